/*
 * The memory map the guest is told: RAM of the plan with the holes of a PC cut out. The zero page
 * and PVH's memory map are both written from it.
 */
#include "x86.h"

static void add(struct x86_e820_entry *entries, size_t *count, uint64_t gpa, uint64_t end,
		uint32_t type)
{
	if (*count < X86_E820_MAX && end > gpa) {
		entries[*count].gpa = gpa;
		entries[*count].size_bytes = end - gpa;
		entries[*count].type = type;
		++*count;
	}
}

size_t x86_e820(const struct axarch_plan *plan, struct x86_e820_entry entries[X86_E820_MAX])
{
	enum { RAM = 1, RESERVED = 2 };
	bool devices_told = false;
	size_t count = 0;

	for (size_t i = 0; i < plan->memory_count; i++) {
		const uint64_t gpa = plan->memory[i].gpa, end = gpa + plan->memory[i].size_bytes;
		if (gpa >= X86_HOLE_GPA && !devices_told) {
			add(entries, &count, X86_DEVICE_GPA, X86_HYPERCALL_GPA + 0x1000, RESERVED);
			add(entries, &count, X86_IDENTITY_MAP_GPA, X86_TSS_GPA + 0x3000, RESERVED);
			devices_told = true;
		}
		if (gpa >= X86_HIGH_RAM_GPA) {
			add(entries, &count, gpa, end, RAM);
			continue;
		}
		/* Conventional memory; EBDA; nothing said of 0xa0000 (no VGA); BIOS area with our
		 * tables, which the guest must not take for RAM; the rest. */
		add(entries, &count, gpa, X86_EBDA_GPA, RAM);
		add(entries, &count, X86_EBDA_GPA, 0xa0000, RESERVED);
		add(entries, &count, X86_ACPI_GPA, X86_HIGH_RAM_GPA, RESERVED);
		add(entries, &count, X86_HIGH_RAM_GPA, end, RAM);
	}
	if (!devices_told) {
		add(entries, &count, X86_DEVICE_GPA, X86_HYPERCALL_GPA + 0x1000, RESERVED);
		add(entries, &count, X86_IDENTITY_MAP_GPA, X86_TSS_GPA + 0x3000, RESERVED);
	}
	return count;
}
