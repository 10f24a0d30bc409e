/*
 * ACPI tables (ACPI 6.4): RSDP, XSDT, FADT, FACS, MADT and MCFG, laid out in the BIOS area with the
 * DSDT of dsdt.c and the SRAT and SLIT of srat.c. Not hardware-reduced: PIC, IOAPIC and PIT are
 * there, power-off is PM1's S5 and the power button a fixed one, all at the ports named in x86.h.
 */
#include "acpi.h"
#include "le.h"
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RSDP_SIZE = 36, FADT_SIZE = 276, FACS_SIZE = 64 };
enum { TABLE_ALIGN = 64 }; /* FACS must stand on one; the others may */

uint8_t *x86_acpi_reserve(struct x86_acpi *b, size_t size, uint64_t *ret_gpa)
{
	const size_t at = (b->len + TABLE_ALIGN - 1) / TABLE_ALIGN * TABLE_ALIGN;

	if (b->overflow || size > X86_ACPI_SIZE || at > X86_ACPI_SIZE - size) {
		b->overflow = true;
		return NULL;
	}
	b->len = at + size;
	*ret_gpa = X86_ACPI_GPA + at;
	return b->image + at;
}

void x86_acpi_finish(uint8_t *table, const char *signature, uint8_t revision, size_t size)
{
	memcpy(table, signature, 4);
	x86_put32(table, 4, (uint32_t)size);
	table[8] = revision;
	memcpy(table + 10, "AXVM  ", 6);
	memcpy(table + 16, "AXVMX86 ", 8);
	x86_put32(table, 24, 1); /* OEM revision */
	memcpy(table + 28, "AXVM", 4);
	x86_put32(table, 32, 1); /* creator revision */
	table[9] = 0;
	table[9] = x86_checksum(table, size);
}

/* Generic address structure (section 5.2.3.2) in system I/O space. */
static void put_port(uint8_t *gas, uint16_t port, uint8_t bits, uint8_t access)
{
	gas[0] = 1;
	gas[1] = bits;
	gas[2] = 0;
	gas[3] = access; /* 1 byte, 2 word */
	x86_put64(gas, 4, port);
}

/* Section 5.2.9. */
static uint64_t add_fadt(struct x86_acpi *b, uint64_t facs, uint64_t dsdt, bool has_serial)
{
	enum { LEGACY_DEVICES = 1 << 0, VGA_NOT_PRESENT = 1 << 2, CMOS_RTC_NOT_PRESENT = 1 << 5 };
	/* PWR_BUTTON stays clear: the power button is the fixed one of PM1; SLP_BUTTON set: there
	 * is no sleep button. */
	enum {
		WBINVD = 1 << 0,
		PROC_C1 = 1 << 2,
		SLP_BUTTON = 1 << 5,
		FIX_RTC = 1 << 6,
		RESET_REG_SUP = 1 << 10
	};
	uint64_t gpa = 0;
	uint8_t *t = x86_acpi_reserve(b, FADT_SIZE, &gpa);

	if (!t)
		return 0;
	x86_put32(t, 36, (uint32_t)facs); /* X_FIRMWARE_CTRL stays 0: one of the two only */
	x86_put32(t, 40, (uint32_t)dsdt);
	x86_put16(t, 46, X86_SCI_GSI);
	/* SMI_CMD 0: always in ACPI mode. */
	x86_put32(t, 56, X86_PORT_PM1_EVT);
	x86_put32(t, 64, X86_PORT_PM1_CNT);
	t[88] = 4;              /* PM1_EVT_LEN */
	t[89] = 2;              /* PM1_CNT_LEN */
	x86_put16(t, 96, 101);  /* P_LVL2_LAT: more than 100, no C2 */
	x86_put16(t, 98, 1001); /* P_LVL3_LAT: more than 1000, no C3 */
	x86_put16(t, 109,
		  (uint16_t)((has_serial ? LEGACY_DEVICES : 0) | VGA_NOT_PRESENT |
			     CMOS_RTC_NOT_PRESENT));
	x86_put32(t, 112, WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | RESET_REG_SUP);
	put_port(t + 116, X86_PORT_RESET, 8, 1);
	t[128] = 0x06; /* what resets: RST_CPU and SYS_RST, as on an ICH */
	t[131] = 4;    /* minor version: ACPI 6.4 */
	x86_put64(t, 140, dsdt);
	put_port(t + 148, X86_PORT_PM1_EVT, 32, 2);
	put_port(t + 172, X86_PORT_PM1_CNT, 16, 2);
	memcpy(t + 268, "AXVM\0\0\0", 8); /* hypervisor vendor identity */
	x86_acpi_finish(t, "FACP", 6, FADT_SIZE);
	return gpa;
}

/* Section 5.2.10: no common header. */
static uint64_t add_facs(struct x86_acpi *b)
{
	uint64_t gpa = 0;
	uint8_t *t = x86_acpi_reserve(b, FACS_SIZE, &gpa);

	if (!t)
		return 0;
	memcpy(t, "FACS", 4);
	x86_put32(t, 4, FACS_SIZE);
	t[32] = 2; /* version */
	return gpa;
}

static uint64_t add_dsdt(struct x86_acpi *b, const struct x86_boot_info *info)
{
	uint64_t gpa = 0;
	uint8_t *t = x86_acpi_reserve(b, X86_ACPI_HEADER, &gpa);
	struct x86_aml aml;

	if (!t)
		return 0;
	aml = (struct x86_aml){.buf = t,
			       .len = X86_ACPI_HEADER,
			       .max = (size_t)(X86_ACPI_SIZE - (gpa - X86_ACPI_GPA))};
	x86_dsdt_body(&aml, info);
	if (aml.overflow) {
		b->overflow = true;
		return 0;
	}
	b->len += aml.len - X86_ACPI_HEADER;
	x86_acpi_finish(t, "DSDT", 2, aml.len);
	return gpa;
}

/* Interrupt controller structures of the MADT (section 5.2.12). */
enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10
};
/* MPS INTI flags. */
enum { ACTIVE_HIGH = 1, LEVEL = 3 << 2 };

static size_t put_cpu(uint8_t *e, uint32_t apic_id)
{
	enum { ENABLED = 1 };
	if (apic_id <= X86_MAX_XAPIC_ID) {
		e[0] = MADT_LAPIC;
		e[1] = 8;
		e[2] = (uint8_t)apic_id; /* processor _UID */
		e[3] = (uint8_t)apic_id;
		x86_put32(e, 4, ENABLED);
	} else {
		e[0] = MADT_X2APIC;
		e[1] = 16;
		x86_put32(e, 4, apic_id);
		x86_put32(e, 8, ENABLED);
		x86_put32(e, 12, apic_id);
	}
	return e[1];
}

static size_t put_override(uint8_t *e, uint8_t isa_irq, uint32_t gsi, uint16_t flags)
{
	e[0] = MADT_OVERRIDE;
	e[1] = 10;
	e[3] = isa_irq;
	x86_put32(e, 4, gsi);
	x86_put16(e, 8, flags);
	return e[1];
}

static uint64_t add_madt(struct x86_acpi *b, const struct x86_boot_info *info)
{
	enum { PCAT_COMPAT = 1, ALL = 0xff, LINT1 = 1 };
	const uint32_t count = info->config->vcpu_count;
	bool has_x2apic_ids = false;
	uint64_t gpa = 0;
	size_t size = X86_ACPI_HEADER + 8 + 12 + 2 * 10 + 6;

	for (uint32_t i = 0; i < count; i++) {
		const bool small = info->apic_ids[i] <= X86_MAX_XAPIC_ID;
		size += small ? 8 : 16;
		has_x2apic_ids |= !small;
	}
	size += has_x2apic_ids ? 12 : 0;
	uint8_t *t = x86_acpi_reserve(b, size, &gpa);
	if (!t)
		return 0;

	x86_put32(t, 36, X86_LAPIC_GPA);
	x86_put32(t, 40, info->has_pic ? PCAT_COMPAT : 0);
	uint8_t *e = t + X86_ACPI_HEADER + 8;
	for (uint32_t i = 0; i < count; i++)
		e += put_cpu(e, info->apic_ids[i]);

	e[0] = MADT_IOAPIC;
	e[1] = 12; /* id 0 and GSI base 0, as KVM's IOAPIC has them */
	x86_put32(e, 4, X86_IOAPIC_GPA);
	e += e[1];
	e += put_override(e, 0, X86_PIT_IOAPIC_PIN, 0);
	e += put_override(e, X86_SCI_GSI, X86_SCI_GSI, ACTIVE_HIGH | LEVEL);

	e[0] = MADT_LAPIC_NMI;
	e[1] = 6;
	e[2] = ALL;
	e[5] = LINT1;
	e += e[1];
	if (has_x2apic_ids) {
		e[0] = MADT_X2APIC_NMI;
		e[1] = 12;
		x86_put32(e, 4, UINT32_MAX);
		e[8] = LINT1;
	}
	x86_acpi_finish(t, "APIC", 5, size);
	return gpa;
}

/* PCI Firmware 3.3, 4.1.2: one segment with one bus. */
static uint64_t add_mcfg(struct x86_acpi *b, const struct axarch_plan *plan)
{
	enum { MCFG_SIZE = X86_ACPI_HEADER + 8 + 16 };
	uint64_t gpa = 0;
	uint8_t *t = x86_acpi_reserve(b, MCFG_SIZE, &gpa);

	if (!t)
		return 0;
	x86_put64(t, X86_ACPI_HEADER + 8, plan->pci.ecam_gpa); /* segment 0, buses 0 to 0 */
	x86_acpi_finish(t, "MCFG", 1, MCFG_SIZE);
	return gpa;
}

static uint64_t add_xsdt(struct x86_acpi *b, const uint64_t *tables, size_t count)
{
	const size_t size = X86_ACPI_HEADER + count * 8;
	uint64_t gpa = 0;
	uint8_t *t = x86_acpi_reserve(b, size, &gpa);

	if (!t)
		return 0;
	for (size_t i = 0; i < count; i++)
		x86_put64(t, X86_ACPI_HEADER + i * 8, tables[i]);
	x86_acpi_finish(t, "XSDT", 1, size);
	return gpa;
}

/* Section 5.2.5.3: revision 2, an RSDT address of 0 means there is only the XSDT. */
static void fill_rsdp(uint8_t *rsdp, uint64_t xsdt)
{
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "AXVM  ", 6);
	rsdp[15] = 2;
	x86_put32(rsdp, 20, RSDP_SIZE);
	x86_put64(rsdp, 24, xsdt);
	rsdp[8] = x86_checksum(rsdp, 20);
	rsdp[32] = x86_checksum(rsdp, RSDP_SIZE);
}

int x86_write_acpi(struct axas *memory, const struct x86_boot_info *info, uint64_t *ret_rsdp_gpa,
		   struct ax_error *err)
{
	AX_AUTO_FREE uint8_t *image = calloc(1, X86_ACPI_SIZE);
	struct x86_acpi b = {.image = image};
	uint64_t rsdp_gpa = 0, tables[5];
	size_t count = 0;
	int rc;

	if (!image)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for ACPI tables");
	uint8_t *rsdp = x86_acpi_reserve(&b, RSDP_SIZE, &rsdp_gpa);
	const uint64_t facs = add_facs(&b);
	const uint64_t dsdt = add_dsdt(&b, info);
	tables[count++] = add_fadt(&b, facs, dsdt, info->machine->has_serial);
	tables[count++] = add_madt(&b, info);
	if (info->machine->has_pci)
		tables[count++] = add_mcfg(&b, info->plan);
	count += x86_acpi_add_nodes(&b, info, &tables[count]);
	const uint64_t xsdt = add_xsdt(&b, tables, count);
	if (b.overflow || !rsdp)
		return ax_error_set(err, AX_ERROR_MEMORY_SETUP, ENOSPC,
				    "ACPI tables for %u vCPUs and %zu devices do not fit into the "
				    "%llu KiB at 0x%llx",
				    info->config->vcpu_count, info->machine->device_count,
				    X86_ACPI_SIZE >> 10, X86_ACPI_GPA);
	fill_rsdp(rsdp, xsdt);
	rc = axarch_write(memory, X86_ACPI_GPA, image, X86_ACPI_SIZE, "ACPI tables", err);
	if (rc < 0)
		return rc;
	*ret_rsdp_gpa = rsdp_gpa;
	return 0;
}
