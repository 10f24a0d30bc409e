/*
 * How the bootstrap processor stands when it enters the guest: one const preset a mode, and the
 * descriptors and page tables in guest memory that the presets speak of. The native half turns a
 * preset into KVM's sregs; load.c chooses the mode.
 */
#include "x86.h"
#include "le.h"
#include "load.h"

#include <stddef.h>

enum {
	CR0_PE = 1u << 0,
	CR0_ET = 1u << 4,
	CR4_PAE = 1u << 5,
	EFER_LME = 1u << 8,
	EFER_LMA = 1u << 10
};
#define CR0_PG (1u << 31)

/* Segment types, SDM volume 3 tables 3-1 and 3-2. */
enum { TYPE_DATA_RW = 0x3, TYPE_CODE_XR = 0xb, TYPE_LDT = 0x2, TYPE_TSS_BUSY = 0xb };

/* The Linux boot protocol wants __BOOT_CS 0x10 and __BOOT_DS 0x18, flat (Documentation/arch/x86/
 * boot.rst, "32-bit" and "64-bit boot protocol"); PVH wants any flat selectors. */
#define FLAT_DATA                                                                          \
	{                                                                                  \
		.limit = 0xffffffff, .selector = 0x18, .type = TYPE_DATA_RW, .present = 1, \
		.db = 1, .s = 1, .g = 1                                                    \
	}
/* VM entry wants a busy TSS even where nobody switches tasks. */
#define BUSY_TSS                                                                     \
	{                                                                            \
		.limit = 0x67, .selector = 0x20, .type = TYPE_TSS_BUSY, .present = 1 \
	}
/* Not present: KVM marks it unusable. */
#define NO_LDT                   \
	{                        \
		.type = TYPE_LDT \
	}

static const struct x86_sregs presets[] = {
	[X86_START_LONG] =
		{
			.cs = {.limit = 0xffffffff,
			       .selector = 0x10,
			       .type = TYPE_CODE_XR,
			       .present = 1,
			       .s = 1,
			       .l = 1,
			       .g = 1},
			.data = FLAT_DATA,
			.tr = BUSY_TSS,
			.ldt = NO_LDT,
			.gdt_base = X86_GDT64_GPA,
			.gdt_limit = 6 * 8 - 1,
			.cr0 = CR0_PE | CR0_ET | CR0_PG,
			.cr3 = X86_PML4_GPA,
			.cr4 = CR4_PAE,
			.efer = EFER_LME | EFER_LMA,
		},
	[X86_START_PROTECTED] =
		{
			.cs = {.limit = 0xffffffff,
			       .selector = 0x10,
			       .type = TYPE_CODE_XR,
			       .present = 1,
			       .db = 1,
			       .s = 1,
			       .g = 1},
			.data = FLAT_DATA,
			.tr = BUSY_TSS,
			.ldt = NO_LDT,
			.gdt_base = X86_GDT_GPA,
			.gdt_limit = 5 * 8 - 1,
			.cr0 = CR0_PE | CR0_ET,
		},
	[X86_START_REAL] =
		{
			.cs = {.limit = 0xffff, .type = TYPE_CODE_XR, .present = 1, .s = 1},
			.data = {.limit = 0xffff, .type = TYPE_DATA_RW, .present = 1, .s = 1},
			.tr = {.limit = 0xffff, .type = TYPE_TSS_BUSY, .present = 1},
			.ldt = {.limit = 0xffff, .type = TYPE_LDT, .present = 1},
			.idt_limit = 0x3ff,
			.cr0 = CR0_ET,
		},
};

const struct x86_sregs *x86_start_sregs(enum x86_start_mode mode)
{
	return &presets[mode];
}

/* A descriptor in memory, SDM volume 3 figure 3-8. */
static uint64_t descriptor(const struct x86_segment *seg)
{
	const uint32_t limit = seg->g ? seg->limit >> 12 : seg->limit;
	return (limit & 0xffff) | (seg->base & 0xffffff) << 16 | (uint64_t)seg->type << 40 |
	       (uint64_t)seg->s << 44 | (uint64_t)seg->dpl << 45 | (uint64_t)seg->present << 47 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)seg->l << 53 |
	       (uint64_t)seg->db << 54 | (uint64_t)seg->g << 55 | (seg->base >> 24 & 0xff) << 56;
}

int x86_write_gdt(struct axas *memory, enum x86_start_mode mode, struct ax_error *err)
{
	const struct x86_sregs *sregs = &presets[mode];
	uint8_t gdt[8 * 8] = {0};

	x86_put64(gdt, sregs->cs.selector, descriptor(&sregs->cs));
	x86_put64(gdt, sregs->data.selector, descriptor(&sregs->data));
	x86_put64(gdt, sregs->tr.selector, descriptor(&sregs->tr));
	return axarch_write(memory, sregs->gdt_base, gdt, sregs->gdt_limit + 1u, "GDT", err);
}

/* PML4 -> PDPT -> four page directories of 2 MiB pages: the low 4 GiB, one to one. */
static int write_page_tables(struct axas *memory, struct ax_error *err)
{
	enum { PRESENT = 1, WRITABLE = 2, LARGE = 0x80, ENTRIES = 512, DIRECTORIES = 4 };
	const uint64_t pdpt = X86_PML4_GPA + 0x1000, directory = pdpt + 0x1000;
	uint8_t table[0x1000] = {0};
	int rc;

	x86_put64(table, 0, pdpt | PRESENT | WRITABLE);
	rc = axarch_write(memory, X86_PML4_GPA, table, sizeof(table), "page table", err);
	for (uint64_t d = 0; d < DIRECTORIES; d++)
		x86_put64(table, d * 8, (directory + d * 0x1000) | PRESENT | WRITABLE);
	if (rc == 0)
		rc = axarch_write(memory, pdpt, table, sizeof(table), "page table", err);
	for (uint64_t d = 0; rc == 0 && d < DIRECTORIES; d++) {
		for (uint64_t i = 0; i < ENTRIES; i++)
			x86_put64(table, i * 8, (d << 30 | i << 21) | PRESENT | WRITABLE | LARGE);
		rc = axarch_write(memory, directory + d * 0x1000, table, sizeof(table),
				  "page table", err);
	}
	return rc;
}

int x86_write_boot_tables(struct axas *memory, struct ax_error *err)
{
	int rc = x86_write_gdt(memory, X86_START_PROTECTED, err);
	if (rc == 0)
		rc = x86_write_gdt(memory, X86_START_LONG, err);
	return rc ? rc : write_page_tables(memory, err);
}
