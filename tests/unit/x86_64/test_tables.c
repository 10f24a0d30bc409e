/*
 * ACPI and MP tables, read back the way a guest finds them: signatures, lengths, checksums, every
 * entry. What ACPICA says to the tables is test_iasl.c's.
 */
#include "helpers.h"
#include "le.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t bios[0x20000]; /* the BIOS area as the guest sees it */

static const uint8_t *at(uint64_t gpa)
{
	assert_true(gpa >= X86_ACPI_GPA && gpa < X86_HIGH_RAM_GPA);
	return bios + (gpa - X86_ACPI_GPA);
}

static uint64_t write_acpi(struct machine *m)
{
	uint64_t rsdp = 0;
	if (x86_write_acpi(m->rig.memory, &m->info, &rsdp, &m->rig.err) < 0)
		fail_msg("%s", m->rig.err.message);
	peek(m, X86_ACPI_GPA, bios, sizeof(bios));
	return rsdp;
}

/* The table with that signature in the XSDT; its checksum and length are checked. */
static const uint8_t *table(uint64_t rsdp, const char *signature, uint32_t *ret_size)
{
	const uint8_t *xsdt = at(x86_get64(at(rsdp), 24));
	for (uint32_t i = 36; i < x86_get32(xsdt, 4); i += 8) {
		const uint64_t gpa = x86_get64(xsdt, i);
		const uint8_t *t = at(gpa);
		if (memcmp(t, signature, 4) != 0)
			continue;
		*ret_size = x86_get32(t, 4);
		assert_true(gpa + *ret_size <= X86_ACPI_GPA + X86_ACPI_SIZE);
		assert_int_equal(byte_sum(t, *ret_size), 0);
		return t;
	}
	fail_msg("no %s in the XSDT", signature);
	return NULL;
}

static void root_pointers(void **state)
{
	struct machine m;
	(void)state;

	machine_init(&m, 64 * AX_MIB, 4);
	const uint64_t rsdp = write_acpi(&m);
	assert_int_equal(rsdp % 16, 0); /* or the scan of the BIOS area misses it */
	assert_memory_equal(at(rsdp), "RSD PTR ", 8);
	assert_int_equal(byte_sum(at(rsdp), 20), 0);
	assert_int_equal(byte_sum(at(rsdp), 36), 0);
	assert_int_equal(at(rsdp)[15], 2);
	const uint8_t *xsdt = at(x86_get64(at(rsdp), 24));
	assert_memory_equal(xsdt, "XSDT", 4);
	assert_int_equal(byte_sum(xsdt, x86_get32(xsdt, 4)), 0);
	rig_finish(&m.rig);
}

static void fadt(void **state)
{
	struct machine m;
	uint32_t size;
	(void)state;

	machine_init(&m, 64 * AX_MIB, 1);
	const uint8_t *t = table(write_acpi(&m), "FACP", &size);
	assert_int_equal(size, 276);
	assert_int_equal(t[8], 6);
	assert_int_equal(x86_get16(t, 46), 9);
	assert_int_equal(x86_get32(t, 48), 0);
	assert_int_equal(x86_get32(t, 56), 0x600);
	assert_int_equal(x86_get32(t, 64), 0x604);
	assert_int_equal(t[88], 4);
	assert_int_equal(t[89], 2);
	assert_int_equal(x86_get32(t, 76), 0); /* no PM timer */
	assert_int_equal(t[91], 0);
	/* Legacy devices (the serial port), no VGA, no RTC, no 8042. */
	assert_int_equal(x86_get16(t, 109), 1 << 0 | 1 << 2 | 1 << 5);
	const uint32_t flags = x86_get32(t, 112);
	assert_true(flags & 1u << 10);  /* reset register */
	assert_false(flags & 1u << 4);  /* fixed power button */
	assert_false(flags & 1u << 20); /* not hardware-reduced */
	assert_int_equal(t[116], 1);
	assert_int_equal(x86_get64(t, 120), 0xcf9);
	assert_int_equal(t[128], 0x06);
	assert_int_equal(x86_get64(t, 152), 0x600);
	assert_int_equal(x86_get64(t, 176), 0x604);

	const uint8_t *facs = at(x86_get32(t, 36));
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(x86_get32(t, 36) % 64, 0);
	assert_int_equal(x86_get32(facs, 4), 64);
	assert_int_equal(x86_get32(t, 40), x86_get64(t, 140));
	const uint8_t *dsdt = at(x86_get64(t, 140));
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_int_equal(byte_sum(dsdt, x86_get32(dsdt, 4)), 0);
	rig_finish(&m.rig);
}

struct madt_count {
	unsigned lapics, x2apics, ioapics, overrides, nmis, x2apic_nmis;
};

static struct madt_count walk_madt(const struct machine *m, const uint8_t *t, uint32_t size)
{
	struct madt_count n = {0};
	uint32_t cpu = 0;

	for (uint32_t i = 44; i < size; i += t[i + 1]) {
		const uint8_t *e = t + i;
		assert_true(e[1] >= 2 && i + e[1] <= size);
		switch (e[0]) {
		case 0:
			assert_int_equal(e[1], 8);
			assert_int_equal(e[2], m->apic_ids[cpu]);
			assert_int_equal(e[3], m->apic_ids[cpu++]);
			assert_int_equal(x86_get32(e, 4), 1);
			n.lapics++;
			break;
		case 9:
			assert_int_equal(e[1], 16);
			assert_true(x86_get32(e, 4) >= 255);
			assert_int_equal(x86_get32(e, 4), m->apic_ids[cpu]);
			assert_int_equal(x86_get32(e, 12), m->apic_ids[cpu++]);
			n.x2apics++;
			break;
		case 1:
			assert_int_equal(x86_get32(e, 4), 0xfec00000);
			assert_int_equal(x86_get32(e, 8), 0);
			n.ioapics++;
			break;
		case 2:
			assert_true(e[3] == 0 || e[3] == 9);
			assert_int_equal(x86_get32(e, 4), e[3] ? 9 : 2);
			assert_int_equal(x86_get16(e, 8), e[3] ? 0xd : 0);
			n.overrides++;
			break;
		case 4:
			assert_int_equal(e[2], 0xff);
			assert_int_equal(e[5], 1);
			n.nmis++;
			break;
		case 10:
			assert_int_equal(x86_get32(e, 4), UINT32_MAX);
			assert_int_equal(e[8], 1);
			n.x2apic_nmis++;
			break;
		default:
			fail_msg("MADT entry of type %u", e[0]);
		}
	}
	return n;
}

static void madt(void **state)
{
	static const uint32_t counts[] = {1, 2, 4, 20, 64, 254, 255, 256, 300, 1024};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(counts); i++) {
		struct machine m;
		uint32_t size;
		machine_init(&m, 64 * AX_MIB, counts[i]);
		m.rig.devices.device_count = m.rig.plan.device_count;
		const uint8_t *t = table(write_acpi(&m), "APIC", &size);
		assert_int_equal(x86_get32(t, 36), 0xfee00000);
		const struct madt_count n = walk_madt(&m, t, size);
		assert_int_equal(n.lapics, counts[i] < 255 ? counts[i] : 255);
		assert_int_equal(n.lapics + n.x2apics, counts[i]);
		assert_int_equal(n.ioapics, 1);
		assert_int_equal(n.overrides, 2);
		assert_int_equal(n.nmis, 1);
		assert_int_equal(n.x2apic_nmis, n.x2apics ? 1 : 0);
		rig_finish(&m.rig);
	}
}

/* PCAT_COMPAT: "the system also has a PC-AT-compatible dual-8259 setup". */
static void madt_tells_of_the_pic(void **state)
{
	(void)state;

	for (unsigned has_pic = 0; has_pic < 2; has_pic++) {
		struct machine m;
		uint32_t size;
		machine_init(&m, 64 * AX_MIB, 2);
		m.info.has_pic = has_pic;
		assert_int_equal(x86_get32(table(write_acpi(&m), "APIC", &size), 40), has_pic);
		rig_finish(&m.rig);
	}
}

static unsigned count_in_dsdt(const uint8_t *dsdt, const char *text)
{
	const size_t len = strlen(text);
	unsigned count = 0;
	for (uint32_t i = 36; i + len <= x86_get32(dsdt, 4); i++)
		count += memcmp(dsdt + i, text, len) == 0;
	return count;
}

/* Where the windows and lines are told; the rest of the byte code is iasl's to judge. */
static void dsdt_devices(void **state)
{
	struct machine m;
	uint32_t size;
	(void)state;

	machine_init(&m, 64 * AX_MIB, 3);
	m.rig.devices.device_count = m.rig.plan.device_count;
	const uint64_t rsdp = write_acpi(&m);
	const uint8_t *dsdt = at(x86_get64(table(rsdp, "FACP", &size), 140));
	assert_int_equal(count_in_dsdt(dsdt, "LNRO0005"), m.rig.plan.device_count);
	assert_int_equal(count_in_dsdt(dsdt, "ACPI0007"), 3);
	assert_int_equal(count_in_dsdt(dsdt, "COM1"), 1);
	assert_int_equal(count_in_dsdt(dsdt, "QEMU0001"), 1);
	assert_int_equal(count_in_dsdt(dsdt, "_S5_"), 1);
	for (uint32_t i = 0; i < m.rig.plan.device_count; i++) {
		char memory[12] = {(char)0x86, 9, 0, 1}, interrupt[9] = {(char)0x89, 6, 0, 3, 1};
		bool found_memory = false, found_interrupt = false;
		x86_put32(memory, 4, (uint32_t)m.rig.device[i].gpa);
		x86_put32(memory, 8, 0x1000);
		x86_put32(interrupt, 5, m.rig.device[i].gsi);
		/* (Reading on past the table's end is reading zeroes.) */
		for (uint32_t b = 36; b < x86_get32(dsdt, 4); b++) {
			found_memory |= memcmp(dsdt + b, memory, 12) == 0;
			found_interrupt |= memcmp(dsdt + b, interrupt, 9) == 0;
		}
		assert_true(found_memory && found_interrupt);
	}
	m.rig.devices.announce = AXARCH_ANNOUNCE_CMDLINE;
	m.rig.devices.has_serial = false;
	const uint64_t again = write_acpi(&m);
	dsdt = at(x86_get64(table(again, "FACP", &size), 140));
	assert_int_equal(count_in_dsdt(dsdt, "LNRO0005"), 0);
	assert_int_equal(count_in_dsdt(dsdt, "COM1"), 0);
	rig_finish(&m.rig);
}

/* MCFG (PCI Firmware 3.3, 4.1.2), its ECAM as a motherboard resource, and what the host bridge
 * hands on: bus 0 and the window. */
static void pci_host(void **state)
{
	static const uint8_t buses[16] = {0x88, 13, 0, 2, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
	uint8_t window[26] = {0x87, 23, 0, 0, 0xc, 1}, ecam[12] = {0x86, 9, 0, 1};
	bool found_window = false, found_buses = false, found_ecam = false;
	struct machine m;
	uint32_t size;
	(void)state;

	machine_init(&m, 64 * AX_MIB, 1);
	const uint64_t without = write_acpi(&m);
	const uint8_t *dsdt = at(x86_get64(table(without, "FACP", &size), 140));
	assert_int_equal(count_in_dsdt(dsdt, "PCI0"), 0);
	m.rig.devices.has_pci = true;
	const uint64_t rsdp = write_acpi(&m);
	const uint8_t *mcfg = table(rsdp, "MCFG", &size);
	assert_int_equal(size, 60);
	assert_int_equal(x86_get64(mcfg, 44), 0xd0200000);
	assert_int_equal(x86_get64(mcfg, 52), 0); /* segment, first and last bus */
	dsdt = at(x86_get64(table(rsdp, "FACP", &size), 140));
	assert_int_equal(count_in_dsdt(dsdt, "PCI0"), 1);
	x86_put32(window, 10, 0xd1000000);
	x86_put32(window, 14, 0xd1ffffff);
	x86_put32(window, 22, 0x1000000);
	x86_put32(ecam, 4, 0xd0200000);
	x86_put32(ecam, 8, 0x100000);
	for (uint32_t b = 36; b < x86_get32(dsdt, 4); b++) {
		found_buses |= memcmp(dsdt + b, buses, sizeof(buses)) == 0;
		found_window |= memcmp(dsdt + b, window, sizeof(window)) == 0;
		found_ecam |= memcmp(dsdt + b, ecam, sizeof(ecam)) == 0;
	}
	assert_true(found_buses && found_window && found_ecam);
	rig_finish(&m.rig);
}

static void acpi_that_does_not_fit(void **state)
{
	static struct axarch_device many[4096];
	struct machine m;
	uint64_t rsdp = 7;
	(void)state;

	machine_init(&m, 64 * AX_MIB, 1024);
	m.rig.devices.devices = many;
	m.rig.devices.device_count = AX_ARRAY_LEN(many);
	assert_true(x86_write_acpi(m.rig.memory, &m.info, &rsdp, &m.rig.err) < 0);
	assert_error(&m.rig.err, AX_ERROR_MEMORY_SETUP, "4096 devices do not fit");
	assert_int_equal(rsdp, 7);
	rig_finish(&m.rig);
}

/* ---- MP table -------------------------------------------------------------------------------- */

static void mp_table(void **state)
{
	static const uint32_t counts[] = {1, 4, 254, 300};
	(void)state;

	for (size_t c = 0; c < AX_ARRAY_LEN(counts); c++) {
		const uint32_t shown = counts[c] < 255 ? counts[c] : 255;
		struct machine m;
		uint32_t cpus = 0, irqs = 0, pins = 0, lints = 0, buses = 0, ioapics = 0;
		machine_init(&m, 64 * AX_MIB, counts[c]);
		if (x86_write_mptable(m.rig.memory, &m.info, &m.rig.err) < 0)
			fail_msg("%s", m.rig.err.message);
		peek(&m, X86_ACPI_GPA, bios, sizeof(bios));

		/* Found by the scan of 0xf0000..0xfffff in steps of 16 bytes. */
		uint64_t floating = 0xf0000;
		while (floating < X86_HIGH_RAM_GPA && memcmp(at(floating), "_MP_", 4) != 0)
			floating += 16;
		assert_int_equal(floating, X86_MP_TABLE_GPA);
		assert_int_equal(byte_sum(at(floating), 16), 0);
		assert_int_equal(at(floating)[9], 4);
		const uint8_t *t = at(x86_get32(at(floating), 4));
		assert_memory_equal(t, "PCMP", 4);
		const unsigned size = x86_get16(t, 4);
		assert_int_equal(byte_sum(t, size), 0);
		assert_int_equal(x86_get32(t, 36), 0xfee00000);

		unsigned i = 44, entries = 0;
		for (; i < size; entries++) {
			const uint8_t *e = t + i;
			switch (e[0]) {
			case 0:
				assert_int_equal(e[1], m.apic_ids[cpus]);
				assert_int_equal(e[3], cpus ? 1 : 3);
				cpus++;
				break;
			case 1:
				assert_memory_equal(e + 2, "ISA   ", 6);
				buses++;
				break;
			case 2:
				assert_int_equal(x86_get32(e, 4), 0xfec00000);
				assert_int_equal(e[3], 1);
				ioapics++;
				break;
			case 3:
				assert_int_equal(e[7], e[5] ? e[5] : 2);
				assert_false(pins & 1u << e[7]);
				pins |= 1u << e[7];
				irqs++;
				break;
			case 4:
				assert_int_equal(e[1], e[7] ? 1 : 3);
				lints++;
				break;
			default:
				fail_msg("MP entry of type %u", e[0]);
			}
			i += e[0] == 0 ? 20 : 8;
		}
		assert_int_equal(i, size);
		assert_int_equal(entries, x86_get16(t, 34));
		assert_int_equal(cpus, shown);
		assert_int_equal(buses + ioapics, 2);
		assert_int_equal(irqs, 23);
		assert_int_equal(lints, 2);
		for (uint32_t d = 0; d < m.rig.plan.device_count; d++)
			assert_true(pins & 1u << m.rig.plan.device_gsi[d]);
		rig_finish(&m.rig);
	}
}

static void mp_table_bsp(void **state)
{
	struct machine m;
	(void)state;

	machine_init(&m, 64 * AX_MIB, 1);
	m.apic_ids[0] = 256;
	assert_true(x86_write_mptable(m.rig.memory, &m.info, &m.rig.err) < 0);
	assert_error(&m.rig.err, AX_ERROR_CONFIGURATION, "256");
	rig_finish(&m.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_pointers),
		cmocka_unit_test(fadt),
		cmocka_unit_test(madt),
		cmocka_unit_test(madt_tells_of_the_pic),
		cmocka_unit_test(dsdt_devices),
		cmocka_unit_test(pci_host),
		cmocka_unit_test(acpi_that_does_not_fit),
		cmocka_unit_test(mp_table),
		cmocka_unit_test(mp_table_bsp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
