/*
 * Configuration space against PCI 3.0 chapter 6: the header's fields, what is writable and what is
 * not, BARs that are sized and never move, and every access that a guest can make of it.
 */
#include "pci_rig.h"

#include <stdio.h>
#include <stdlib.h>

#define BAR0 ((uint32_t)WINDOW_GPA)

static void who_is_there(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(cfg(rig, 0, PCI_CLASS_DEVICE, 2), PCI_HEADER_TYPE_NORMAL | 0x0600);
	assert_int_equal(cfg(rig, 0, PCI_BASE_ADDRESS_0, 4), 0);
	for (unsigned slot = 1; slot <= 2; slot++) {
		assert_int_equal(cfg(rig, slot, PCI_VENDOR_ID, 4), 0x56781234);
		assert_int_equal(cfg(rig, slot, PCI_CLASS_REVISION, 4), 0x01800007);
		assert_int_equal(cfg(rig, slot, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
		assert_int_equal(cfg(rig, slot, PCI_HEADER_TYPE, 1), 0); /* one function */
		assert_int_equal(cfg(rig, slot, PCI_INTERRUPT_PIN, 1), 0);
		assert_int_equal(cfg(rig, slot, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
		assert_int_equal(cfg(rig, slot, PCI_BASE_ADDRESS_0, 4),
				 BAR0 + (slot - 1) * BAR_BYTES);
		for (unsigned i = 1; i < 6; i++)
			assert_int_equal(cfg(rig, slot, PCI_BASE_ADDRESS_0 + 4 * i, 4), 0);
		assert_int_equal(cfg(rig, slot, PCI_ROM_ADDRESS, 4), 0);
		assert_int_equal(cfg(rig, slot, 0x100, 4), 0); /* no extended capabilities */
	}
	for (unsigned slot = 3; slot < AXPCI_SLOTS; slot++) {
		cfg_write(rig, slot, PCI_COMMAND, 2, 6);
		assert_int_equal(cfg(rig, slot, 0, 4), UINT32_MAX);
	}
	/* Other functions of a device that has one. */
	for (unsigned number = 1; number < 8; number++)
		assert_int_equal(cfg(rig, 1, number << 12, 2), 0xffff);
}

/* Everything but command, cache line size and interrupt line is as it was after ones and zeroes. */
static void what_is_writable(void **state)
{
	struct rig *rig = *state;

	for (uint32_t offset = 0; offset < PCI_STD_HEADER_SIZEOF; offset++) {
		const uint64_t before = cfg(rig, 1, offset, 1);
		uint8_t mask = 0;

		if (offset == PCI_COMMAND)
			mask = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
		if (offset == PCI_CACHE_LINE_SIZE || offset == PCI_INTERRUPT_LINE)
			mask = 0xff;
		cfg_write(rig, 1, offset, 1, 0xff);
		assert_int_equal(cfg(rig, 1, offset, 1), before | mask);
		cfg_write(rig, 1, offset, 1, 0);
		assert_int_equal(cfg(rig, 1, offset, 1), before & (uint8_t)~mask);
	}
	cfg_write(rig, 1, PCI_COMMAND, 4, UINT32_MAX);
	assert_int_equal(cfg(rig, 1, PCI_COMMAND, 4), PCI_STATUS_CAP_LIST << 16 | 6);
	cfg_write(rig, 1, PCI_COMMAND, 2, 0);
	for (uint32_t offset = 0x100; offset < AXPCI_CONFIG_BYTES; offset += 4) {
		cfg_write(rig, 1, offset, 4, UINT32_MAX);
		assert_int_equal(cfg(rig, 1, offset, 4), 0);
	}
}

static void bars_are_sized_and_stay(void **state)
{
	static const uint32_t elsewhere[] = {0,          0x1000,     0x100000,     0xd1004000,
					     0xfee00000, 0xfff00000, BAR0 | 0x2000};
	struct rig *rig = *state;
	struct axpci_host_stats stats;

	cfg_write(rig, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	cfg_write(rig, 1, PCI_BASE_ADDRESS_0, 4, UINT32_MAX);
	assert_int_equal(cfg(rig, 1, PCI_BASE_ADDRESS_0, 4), ~(BAR_BYTES - 1));
	assert_int_equal(bar(rig, 0, 0, 4), 0x77); /* where it was */
	cfg_write(rig, 1, PCI_BASE_ADDRESS_0, 4, BAR0);
	assert_int_equal(cfg(rig, 1, PCI_BASE_ADDRESS_0, 4), BAR0);
	/* What does not exist has no size. */
	for (unsigned i = 1; i < 6; i++) {
		cfg_write(rig, 1, PCI_BASE_ADDRESS_0 + 4 * i, 4, UINT32_MAX);
		assert_int_equal(cfg(rig, 1, PCI_BASE_ADDRESS_0 + 4 * i, 4), 0);
	}
	axpci_host_get_stats(rig->host, &stats);
	assert_int_equal(stats.bar_moves, 0);

	for (size_t i = 0; i < AX_ARRAY_LEN(elsewhere); i++) {
		const bool moves = (elsewhere[i] & ~(BAR_BYTES - 1)) != BAR0;
		const uint64_t before = stats.bar_moves;

		cfg_write(rig, 1, PCI_BASE_ADDRESS_0, 4, elsewhere[i]);
		axpci_host_get_stats(rig->host, &stats);
		assert_int_equal(stats.bar_moves, before + moves);
		assert_int_equal(cfg(rig, 1, PCI_BASE_ADDRESS_0, 4), BAR0);
		assert_int_equal(bar(rig, 0, 0, 4), 0x77);
	}
	/* By halves and bytes. */
	cfg_write(rig, 1, PCI_BASE_ADDRESS_0 + 2, 2, 0);
	cfg_write(rig, 1, PCI_BASE_ADDRESS_0 + 3, 1, 0xff);
	assert_int_equal(cfg(rig, 1, PCI_BASE_ADDRESS_0, 4), BAR0);
	axpci_host_get_stats(rig->host, &stats);
	assert_int_equal(stats.bar_moves, 8);
}

static void command_register(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(bar(rig, 0, 0, 4), UINT32_MAX); /* off at power-on */
	assert_false(axpci_bus_master(&rig->toy[0].function));
	cfg_write(rig, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(bar(rig, 0, 0, 4), 0x77);
	assert_int_equal(bar(rig, 1, 0, 4), UINT32_MAX); /* the other's is its own */
	assert_true(axpci_bus_master(&rig->toy[0].function));
	assert_int_equal(rig->toy[0].commands, 1);
	cfg_write(rig, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(rig->toy[0].commands, 1);
	axbus_reset(rig->bus);
	assert_int_equal(bar(rig, 0, 0, 4), UINT32_MAX);
	assert_int_equal(cfg(rig, 1, PCI_COMMAND, 2), 0);
	assert_int_equal(rig->toy[0].commands, 2);
}

static void capabilities(void **state)
{
	struct rig *rig = *state;
	const uint32_t own = find_capability(rig, 1, PCI_CAP_ID_VNDR);
	const uint32_t msix = find_capability(rig, 1, PCI_CAP_ID_MSIX);

	assert_true(own >= 0x40 && !(own % 4) && msix >= 0x40 && !(msix % 4));
	assert_int_equal(cfg(rig, 1, own + 2, 1), 8);
	assert_int_equal(cfg(rig, 1, own + 4, 4), 0x05040302);
	assert_int_equal(cfg(rig, 1, msix + 1, 1), 0);
	assert_int_equal(find_capability(rig, 1, PCI_CAP_ID_MSI), 0);
	cfg_write(rig, 1, own + 4, 2, 0xaa55);
	assert_int_equal(rig->toy[0].written_offset, own + 4);
	assert_int_equal(rig->toy[0].written_width, 2);
	assert_int_equal(rig->toy[0].written_value, 0xaa55);
	assert_int_equal(cfg(rig, 1, own + 4, 4), 0x05040302); /* it did not want to */
}

/* All offsets, widths and alignments: an answer of the right width, and nothing changes. */
static void hostile_widths(void **state)
{
	struct rig *rig = *state;
	struct axpci_host_stats stats;

	for (unsigned width = 1; width <= 8; width++) {
		for (uint32_t offset = 0; offset + width <= 0x1000; offset++) {
			const bool good =
				(width == 1 || width == 2 || width == 4) && offset % width == 0;
			const uint64_t ones = width == 8 ? UINT64_MAX : (1ULL << 8 * width) - 1;

			if (good)
				continue;
			cfg_write(rig, 1, offset, width, UINT64_MAX);
			assert_int_equal(cfg(rig, 1, offset, width), ones);
		}
	}
	assert_int_equal(cfg(rig, 1, PCI_COMMAND, 2), 0);
	assert_int_equal(cfg(rig, 1, PCI_BASE_ADDRESS_0, 4), BAR0);
	axpci_host_get_stats(rig->host, &stats);
	assert_true(stats.bad_accesses > 10000);
	/* Beyond the end of the window is nobody's. */
	assert_int_equal(rig_access(rig, AXDEV_MMIO, ECAM_GPA + AXPCI_ECAM_BYTES - 2, 4, false, 0),
			 UINT32_MAX);
}

static void ports(void **state)
{
	struct rig *rig = *state;

	/* What Linux tries first (a byte behind the address), and the address read back. */
	rig_access(rig, AXDEV_PORT, 0xcfb, 1, true, 1);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfc, 4, false, 0), UINT32_MAX);
	rig_access(rig, AXDEV_PORT, 0xcf8, 4, true, 0x80000800);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcf8, 4, false, 0), 0x80000800);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfc, 4, false, 0), 0x56781234);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfe, 2, false, 0), 0x5678);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfd, 1, false, 0), 0x12);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfd, 2, false, 0), 0xffff);
	/* Only a double word is the address; the rest is other people's. */
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcf8, 2, false, 0), 0xffff);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcf9, 1, false, 0), 0xff);
	rig_access(rig, AXDEV_PORT, 0xcf8, 1, true, 0xff);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcf8, 4, false, 0), 0x80000800);
	/* Another bus, another function, another slot, not enabled. */
	rig_access(rig, AXDEV_PORT, 0xcf8, 4, true, 0x80010800);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfc, 4, false, 0), UINT32_MAX);
	rig_access(rig, AXDEV_PORT, 0xcf8, 4, true, 0x80000900);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfc, 4, false, 0), UINT32_MAX);
	rig_access(rig, AXDEV_PORT, 0xcf8, 4, true, 0x8000f800);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcfc, 4, false, 0), UINT32_MAX);
	rig_access(rig, AXDEV_PORT, 0xcf8, 4, true, 0x00000804);
	rig_access(rig, AXDEV_PORT, 0xcfc, 2, true, 6);
	assert_int_equal(cfg(rig, 1, PCI_COMMAND, 2), 0);
	rig_access(rig, AXDEV_PORT, 0xcf8, 4, true, 0x80000804);
	rig_access(rig, AXDEV_PORT, 0xcfc, 2, true, 6);
	assert_int_equal(cfg(rig, 1, PCI_COMMAND, 2), 6);
	axbus_reset(rig->bus);
	assert_int_equal(rig_access(rig, AXDEV_PORT, 0xcf8, 4, false, 0), 0);
}

/* 31 functions beside the bridge, each with a BAR of its own; what goes leaves its place. */
static void slots_and_window(void **state)
{
	static struct toy many[AXPCI_SLOTS];
	struct rig *rig = *state;
	struct toy large = {.dev = {.name = "large"}};

	memset(many, 0, sizeof(many));
	toy_identify(&large);
	assert_int_equal(axpci_function_init(rig->host, &large.function, WINDOW_BYTES, &rig->err),
			 -ENOSPC);
	assert_non_null(strstr(rig->err.message, "large"));
	for (unsigned i = 3; i < AXPCI_SLOTS; i++) {
		snprintf(many[i].dev.name, sizeof(many[i].dev.name), "many%u", i);
		toy_identify(&many[i]);
		assert_int_equal(
			axpci_function_init(rig->host, &many[i].function, BAR_BYTES, &rig->err), 0);
		assert_int_equal(many[i].function.slot, i);
		assert_int_equal(many[i].function.bar[0].gpa, WINDOW_GPA + (i - 1) * BAR_BYTES);
		assert_int_equal(cfg(rig, i, 0, 2), 0x1234);
	}
	assert_int_equal(axpci_function_init(rig->host, &large.function, 4096, &rig->err), -ENOSPC);
	assert_non_null(strstr(rig->err.message, "slots"));
	axpci_function_finish(&many[9].function);
	assert_int_equal(cfg(rig, 9, 0, 2), 0xffff);
	assert_int_equal(axpci_function_init(rig->host, &large.function, 4096, &rig->err), 0);
	assert_int_equal(large.function.slot, 9);
	assert_int_equal(large.function.bar[0].gpa, WINDOW_GPA + 8 * BAR_BYTES);
	axpci_function_finish(&large.function);
	axpci_function_finish(&large.function); /* again: nothing */
	for (unsigned i = 3; i < AXPCI_SLOTS; i++)
		axpci_function_finish(&many[i].function);
}

static void refused_hosts(void **state)
{
	static const struct axpci_host_config bad[] = {
		{0xd0280000, WINDOW_GPA, WINDOW_BYTES, false},
		{ECAM_GPA, 0xfff00000, 0x200000, false},
		{ECAM_GPA, UINT64_MAX - 4095, 0x2000, false},
		{ECAM_GPA, WINDOW_GPA + 1, 0x2000, false},
	};
	const struct axdev_services services = {0};
	struct axdev *dev;
	struct ax_error err;
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++)
		assert_int_equal(axdev_create("pci-host", "pci0", &bad[i], sizeof(bad[i]),
					      &services, &dev, &err),
				 -EINVAL);
	assert_null(axpci_host_of(NULL));
}

/* Nothing that configuration accesses of any kind do is felt elsewhere. */
static void random_accesses(void **state)
{
	struct rig *rig = *state;

	srand(1);
	for (int i = 0; i < 200000; i++) {
		const uint64_t at = ECAM_GPA + (unsigned)(rand() % 3 << 15) +
				    (unsigned)(rand() % (rand() % 4 ? 0x100 : 0x1000));
		rig_access(rig, AXDEV_MMIO, at, 1U << (rand() % 4), rand() & 1,
			   rand() & 1 ? (uint64_t)rand() : UINT64_MAX);
	}
	for (unsigned slot = 1; slot <= 2; slot++) {
		assert_int_equal(cfg(rig, slot, PCI_VENDOR_ID, 4), 0x56781234);
		cfg_write(rig, slot, PCI_BASE_ADDRESS_0, 4, 0);
		assert_int_equal(cfg(rig, slot, PCI_BASE_ADDRESS_0, 4),
				 BAR0 + (slot - 1) * BAR_BYTES);
		assert_int_equal(cfg(rig, slot, PCI_COMMAND, 2) & ~6U, 0);
		assert_true(find_capability(rig, slot, PCI_CAP_ID_MSIX));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_is_there, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(what_is_writable, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(bars_are_sized_and_stay, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(command_register, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(capabilities, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(hostile_widths, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(ports, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(slots_and_window, rig_setup, rig_teardown),
		cmocka_unit_test(refused_hosts),
		cmocka_unit_test_setup_teardown(random_accesses, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
