/*
 * The MP table (Intel MultiProcessor Specification 1.4) for guests that run without ACPI:
 * processors, the ISA bus, the IOAPIC and which of its pins each interrupt arrives at.
 */
#include "x86.h"
#include "le.h"
#include "load.h"

#include <errno.h>
#include <string.h>

enum { FLOATING_SIZE = 16, HEADER_SIZE = 44, CPU_SIZE = 20, OTHER_SIZE = 8 };
enum { ENTRY_CPU = 0, ENTRY_BUS = 1, ENTRY_IOAPIC = 2, ENTRY_IRQ = 3, ENTRY_LINT = 4 };
enum { IRQ_INT = 0, IRQ_NMI = 1, IRQ_EXTINT = 3 };
enum { ISA_BUS = 0, IOAPIC_ID = 0, ALL_LAPICS = 0xff };
/* Interrupt flags: 0 is "as the bus has it" (ISA: edge, active-high). */
enum { FLAGS_BUS = 0, FLAGS_EDGE_HIGH = 0x5 };

struct table {
	uint8_t bytes[X86_MP_TABLE_SIZE];
	size_t len; /* of floating pointer and table */
	uint16_t entries;
};

/* No caller adds more than fits: 254 CPUs and some forty others are 5.5 KiB. */
static uint8_t *add(struct table *t, uint8_t type, size_t size)
{
	uint8_t *entry = t->bytes + t->len;
	entry[0] = type;
	t->len += size;
	t->entries++;
	return entry;
}

static void add_cpu(struct table *t, uint32_t apic_id, bool is_bsp)
{
	enum { LAPIC_VERSION = 0x14, ENABLED = 1, BOOTSTRAP = 2 };
	uint8_t *e = add(t, ENTRY_CPU, CPU_SIZE);

	e[1] = (uint8_t)apic_id;
	e[2] = LAPIC_VERSION;
	e[3] = ENABLED | (is_bsp ? BOOTSTRAP : 0);
	x86_put32(e, 4, 0x600); /* family 6; who wants more asks CPUID */
	x86_put32(e, 8, 0x201); /* on-chip APIC and FPU */
}

static void add_irq(struct table *t, uint8_t type, uint16_t flags, uint8_t bus_irq, uint8_t pin)
{
	uint8_t *e = add(t, ENTRY_IRQ, OTHER_SIZE);

	e[1] = type;
	x86_put16(e, 2, flags);
	e[4] = ISA_BUS;
	e[5] = bus_irq;
	e[6] = IOAPIC_ID;
	e[7] = pin;
}

static void add_lint(struct table *t, uint8_t type, uint8_t lint)
{
	uint8_t *e = add(t, ENTRY_LINT, OTHER_SIZE);

	e[1] = type;
	e[4] = ISA_BUS;
	e[6] = ALL_LAPICS;
	e[7] = lint;
}

static void add_irqs(struct table *t)
{
	/* The PIT stands at pin 2, where the cascade would be; all others at their own number.
	 * Pins past the ISA ones are told as ISA interrupts too: Linux then takes the numbers of
	 * virtio_mmio.device= for them. */
	for (uint8_t irq = 0; irq < X86_IOAPIC_PINS; irq++) {
		if (irq == X86_PIT_IOAPIC_PIN)
			continue;
		add_irq(t, IRQ_INT, irq < 16 ? FLAGS_BUS : FLAGS_EDGE_HIGH, irq,
			irq == 0 ? X86_PIT_IOAPIC_PIN : irq);
	}
	add_lint(t, IRQ_EXTINT, 0);
	add_lint(t, IRQ_NMI, 1);
}

static void finish(struct table *t)
{
	uint8_t *floating = t->bytes, *header = t->bytes + FLOATING_SIZE;
	const size_t size = t->len - FLOATING_SIZE;

	memcpy(header, "PCMP", 4);
	x86_put16(header, 4, (uint16_t)size);
	header[6] = 4; /* MP 1.4 */
	memcpy(header + 8, "AXVM    ", 8);
	memcpy(header + 16, "AXVM X86_64 ", 12);
	x86_put16(header, 34, t->entries);
	x86_put32(header, 36, X86_LAPIC_GPA);
	header[7] = x86_checksum(header, size);

	memcpy(floating, "_MP_", 4);
	x86_put32(floating, 4, X86_MP_TABLE_GPA + FLOATING_SIZE);
	floating[8] = FLOATING_SIZE / 16;
	floating[9] = 4;
	floating[10] = x86_checksum(floating, FLOATING_SIZE);
}

int x86_write_mptable(struct axas *memory, const struct x86_boot_info *info, struct ax_error *err)
{
	struct table t = {.len = FLOATING_SIZE + HEADER_SIZE};

	if (info->apic_ids[0] > X86_MAX_XAPIC_ID)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "MP table: the bootstrap processor's APIC id %u is above %u",
				    info->apic_ids[0], X86_MAX_XAPIC_ID);
	/* Eight-bit ids: CPUs beyond them exist for ACPI only. */
	for (uint32_t i = 0; i < info->config->vcpu_count; i++)
		if (info->apic_ids[i] <= X86_MAX_XAPIC_ID)
			add_cpu(&t, info->apic_ids[i], i == 0);
	memcpy(add(&t, ENTRY_BUS, OTHER_SIZE) + 1, "\0ISA   ", 7);
	uint8_t *ioapic = add(&t, ENTRY_IOAPIC, OTHER_SIZE);
	ioapic[1] = IOAPIC_ID;
	ioapic[2] = 0x11; /* version */
	ioapic[3] = 1;    /* enabled */
	x86_put32(ioapic, 4, X86_IOAPIC_GPA);
	add_irqs(&t);
	finish(&t);
	return axarch_write(memory, X86_MP_TABLE_GPA, t.bytes, sizeof(t.bytes), "MP table", err);
}
