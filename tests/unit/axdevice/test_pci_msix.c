/*
 * MSI-X against PCI 3.0 section 6.8.2: enable, function mask, vector masks, pending bits, bus
 * mastering, and indices and offsets that do not exist.
 */
#include "pci_rig.h"

#include <stdlib.h>

#define ENABLE  0x8000U
#define MASKALL 0x4000U

static uint32_t control_at(struct rig *rig, unsigned slot)
{
	return find_capability(rig, slot, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
}

static void control(struct rig *rig, unsigned slot, uint32_t value)
{
	cfg_write(rig, slot, control_at(rig, slot), 2, value);
}

static void vector(struct rig *rig, unsigned index, unsigned n, uint32_t low, uint32_t data,
		   uint32_t masked)
{
	const uint32_t at = TABLE + 16 * n;

	bar_write(rig, index, at, 4, low);
	bar_write(rig, index, at + 4, 4, 0);
	bar_write(rig, index, at + 8, 4, data);
	bar_write(rig, index, at + 12, 4, masked);
}

/* Both functions on, all vectors with a message and unmasked. The first function has the chip's
 * first three, the second one those behind. */
static void bring_up(struct rig *rig)
{
	for (unsigned index = 0; index < 2; index++) {
		cfg_write(rig, index + 1, PCI_COMMAND, 2, 6);
		control(rig, index + 1, ENABLE | MASKALL);
		for (unsigned n = 0; n < axpci_msix_vectors(&rig->toy[index].function); n++)
			vector(rig, index, n, 0xfee01000, 0x40 + n, 0);
		control(rig, index + 1, ENABLE);
	}
}

static void capability(void **state)
{
	struct rig *rig = *state;
	const uint32_t at = find_capability(rig, 1, PCI_CAP_ID_MSIX);

	assert_int_equal(cfg(rig, 1, at + PCI_MSIX_FLAGS, 2), 2);  /* three vectors */
	assert_int_equal(cfg(rig, 2, at + PCI_MSIX_FLAGS, 2), 64); /* 65 */
	assert_int_equal(cfg(rig, 1, at + PCI_MSIX_TABLE, 4), TABLE);
	assert_int_equal(cfg(rig, 1, at + PCI_MSIX_PBA, 4), PBA);
	/* Size, table and pending bits are read-only; so are id and link. */
	for (uint32_t i = 0; i < 12; i += 4)
		cfg_write(rig, 1, at + i, 4, 0x3fffffff);
	assert_int_equal(cfg(rig, 1, at, 4), 2U << 16 | PCI_CAP_ID_MSIX);
	assert_int_equal(cfg(rig, 1, at + PCI_MSIX_TABLE, 4), TABLE);
	/* By its upper byte alone. */
	cfg_write(rig, 1, at + 3, 1, 0xff);
	assert_int_equal(cfg(rig, 1, at + PCI_MSIX_FLAGS, 2), ENABLE | MASKALL | 2);
	assert_true(axpci_msix_enabled(&rig->toy[0].function));
	cfg_write(rig, 1, at + 2, 1, 0xff);
	assert_int_equal(cfg(rig, 1, at + PCI_MSIX_FLAGS, 2), ENABLE | MASKALL | 2);
}

static void delivered_per_vector(void **state)
{
	struct rig *rig = *state;

	bring_up(rig);
	axpci_msix_send(&rig->toy[0].function, 1);
	axpci_msix_send(&rig->toy[1].function, 64);
	axpci_msix_send(&rig->toy[1].function, 64);
	assert_int_equal(msi_chip_delivered(&rig->chip, 1), 1);
	assert_int_equal(rig->chip.msi[1].message.address, 0xfee01000);
	assert_int_equal(rig->chip.msi[1].message.data, 0x41);
	assert_int_equal(rig->chip.msi[1].message.device_id, 1 << 3);
	assert_int_equal(rig->chip.msi[3 + 64].message.data, 0x40 + 64);
	assert_int_equal(rig->chip.msi[3 + 64].message.device_id, 2 << 3);
	assert_int_equal(msi_chip_delivered(&rig->chip, 3 + 64), 1); /* two in one */
	for (unsigned i = 0; i < 67; i++)
		if (i != 1)
			assert_int_equal(msi_chip_delivered(&rig->chip, i), 0);
	/* Vectors that are not there. */
	axpci_msix_send(&rig->toy[0].function, 3);
	axpci_msix_send(&rig->toy[0].function, 0xffff);
	axpci_msix_send(&rig->toy[0].function, UINT32_MAX);
}

static void masks_and_pending(void **state)
{
	struct rig *rig = *state;

	bring_up(rig);
	bar_write(rig, 1, TABLE + 16 * 40 + 12, 4, 1);
	bar_write(rig, 1, TABLE + 16 * 64 + 12, 4, 1);
	for (unsigned n = 0; n < 65; n += 8)
		axpci_msix_send(&rig->toy[1].function, n);
	assert_int_equal(bar(rig, 1, PBA, 8), 1ULL << 40);
	assert_int_equal(bar(rig, 1, PBA, 4), 0);
	assert_int_equal(bar(rig, 1, PBA + 4, 4), 1 << 8);
	assert_int_equal(bar(rig, 1, PBA + 8, 8), 1);
	assert_int_equal(bar(rig, 1, PBA + 12, 4), 0);
	assert_int_equal(msi_chip_delivered(&rig->chip, 3 + 40), 0);
	assert_int_equal(msi_chip_delivered(&rig->chip, 3 + 48), 1);
	/* Pending bits are not for writing. */
	bar_write(rig, 1, PBA, 8, 0);
	bar_write(rig, 1, PBA + 8, 4, 0xff);
	assert_int_equal(bar(rig, 1, PBA, 8), 1ULL << 40);
	bar_write(rig, 1, TABLE + 16 * 40 + 12, 4, 0);
	assert_int_equal(msi_chip_delivered(&rig->chip, 3 + 40), 1);
	assert_int_equal(bar(rig, 1, PBA, 8), 0);
	assert_int_equal(bar(rig, 1, PBA + 8, 4), 1);

	/* The function's mask, and the vector's under it. */
	control(rig, 2, ENABLE | MASKALL);
	axpci_msix_send(&rig->toy[1].function, 0);
	bar_write(rig, 1, TABLE + 16 * 64 + 12, 4, 0);
	assert_int_equal(bar(rig, 1, PBA, 8), 1);
	assert_int_equal(bar(rig, 1, PBA + 8, 4), 1);
	assert_int_equal(msi_chip_delivered(&rig->chip, 3 + 64), 0);
	control(rig, 2, ENABLE);
	assert_int_equal(msi_chip_delivered(&rig->chip, 3 + 64), 1);
	assert_int_equal(bar(rig, 1, PBA, 8), 0);
}

static void moved_while_masked(void **state)
{
	struct rig *rig = *state;

	bring_up(rig);
	bar_write(rig, 0, TABLE + 12, 4, 1);
	axpci_msix_send(&rig->toy[0].function, 0);
	bar_write(rig, 0, TABLE, 8, 0x00000100fee02000);
	bar_write(rig, 0, TABLE + 8, 4, 0x99);
	assert_int_equal(rig->chip.msi[0].message.address, 0xfee01000); /* not yet */
	bar_write(rig, 0, TABLE + 8, 8, 0x99); /* data and unmask at once */
	assert_int_equal(rig->chip.msi[0].message.address, 0x100fee02000);
	assert_int_equal(rig->chip.msi[0].message.data, 0x99);
	assert_int_equal(msi_chip_delivered(&rig->chip, 0), 1);
	assert_int_equal(bar(rig, 0, TABLE, 8), 0x00000100fee02000);
	/* Bit 0 is all there is of the control word. */
	bar_write(rig, 0, TABLE + 12, 4, 0xfffffffe);
	assert_int_equal(bar(rig, 0, TABLE + 12, 4), 0);
}

static void bus_master_is_needed(void **state)
{
	struct rig *rig = *state;

	bring_up(rig);
	cfg_write(rig, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	axpci_msix_send(&rig->toy[0].function, 2);
	assert_int_equal(bar(rig, 0, PBA, 4), 4);
	assert_int_equal(msi_chip_delivered(&rig->chip, 2), 0);
	cfg_write(rig, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(msi_chip_delivered(&rig->chip, 2), 1);
}

static void disabled_sends_nothing(void **state)
{
	struct rig *rig = *state;

	bring_up(rig);
	control(rig, 1, ENABLE | MASKALL);
	axpci_msix_send(&rig->toy[0].function, 1);
	control(rig, 1, 0);
	assert_int_equal(bar(rig, 0, PBA, 4), 0);
	axpci_msix_send(&rig->toy[0].function, 1);
	control(rig, 1, ENABLE);
	assert_int_equal(msi_chip_delivered(&rig->chip, 1), 0);
	axpci_msix_send(&rig->toy[0].function, 1); /* the table is as it was */
	assert_int_equal(msi_chip_delivered(&rig->chip, 1), 1);

	axbus_reset(rig->bus);
	assert_int_equal(cfg(rig, 1, control_at(rig, 1), 2), 2);
	cfg_write(rig, 1, PCI_COMMAND, 2, 6);
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(bar(rig, 0, TABLE + 16 * n, 8), 0);
		assert_int_equal(bar(rig, 0, TABLE + 16 * n + 8, 8), 1ULL << 32); /* masked */
	}
}

/* A message that the controller refuses: that vector is silent, and only that. */
static void refused_message(void **state)
{
	struct rig *rig = *state;

	bring_up(rig);
	rig->chip.set_error = EINVAL;
	bar_write(rig, 0, TABLE + 4, 4, 0xffffffff);
	axpci_msix_send(&rig->toy[0].function, 0);
	axpci_msix_send(&rig->toy[0].function, 1);
	assert_int_equal(msi_chip_delivered(&rig->chip, 0), 0);
	assert_int_equal(msi_chip_delivered(&rig->chip, 1), 1);
	assert_int_equal(bar(rig, 0, PBA, 4), 1);
	rig->chip.set_error = 0;
	bar_write(rig, 0, TABLE + 4, 4, 0);
	assert_int_equal(msi_chip_delivered(&rig->chip, 0), 1);
}

/* Everywhere around table and pending bits, with every width. */
static void hostile_accesses(void **state)
{
	struct rig *rig = *state;

	bring_up(rig);
	for (unsigned width = 1; width <= 8; width++) {
		const uint64_t ones = width == 8 ? UINT64_MAX : (1ULL << 8 * width) - 1;

		for (uint32_t at = TABLE - 8; at < TABLE + 3 * 16 + 8; at++) {
			const bool inside = at + width > TABLE && at < TABLE + 48;

			if ((width == 4 || width == 8) && at % width == 0)
				continue;
			bar_write(rig, 0, at, width, UINT64_MAX);
			assert_int_equal(bar(rig, 0, at, width), inside ? ones : 0x77);
		}
		/* One past the end is the device's again: no vector 3. */
		bar_write(rig, 0, TABLE + 48, width, UINT64_MAX);
		assert_int_equal(bar(rig, 0, TABLE + 48, width), 0x77);
		assert_int_equal(bar(rig, 0, PBA + 8, width), 0x77);
	}
	for (unsigned n = 0; n < 3; n++) {
		assert_int_equal(bar(rig, 0, TABLE + 16 * n, 8), 0xfee01000);
		assert_int_equal(bar(rig, 0, TABLE + 16 * n + 8, 8), 0x40 + n);
	}
}

static void not_enough_vectors(void **state)
{
	struct rig *rig = *state;
	struct toy toy = {.dev = {.name = "greedy"}};

	toy_identify(&toy);
	assert_int_equal(axpci_function_init(rig->host, &toy.function, BAR_BYTES, &rig->err), 0);
	assert_int_equal(
		axpci_msix_add(&toy.function, rig->irqs, MSI_COUNT - 67, TABLE, PBA, &rig->err),
		-ENOSPC);
	assert_non_null(strstr(rig->err.message, "greedy"));
	assert_int_equal(axirq_msi_available(rig->irqs), MSI_COUNT - 68);
	assert_int_equal(find_capability(rig, 3, PCI_CAP_ID_MSIX), 0);
	axpci_msix_send(&toy.function, 0);
	axpci_function_finish(&toy.function);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(capability, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(delivered_per_vector, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(masks_and_pending, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(moved_while_masked, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(bus_master_is_needed, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(disabled_sends_nothing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(refused_message, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(hostile_accesses, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(not_enough_vectors, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
