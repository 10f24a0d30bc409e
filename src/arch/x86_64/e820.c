/*
 * The memory map the guest is told, made from the plan's layout: RAM with the holes of a PC cut
 * out, what is reserved, and the device windows. The zero page and PVH's memory map are both
 * written from it.
 */
#include "x86.h"

enum { RAM = 1, RESERVED = 2 };

struct map {
	struct x86_e820_entry *entries;
	size_t count;
};

/* Called in gpa order; what continues an entry of its type becomes part of it. */
static void add(struct map *map, uint64_t gpa, uint64_t end, uint32_t type)
{
	struct x86_e820_entry *last = map->count ? &map->entries[map->count - 1] : NULL;

	if (end <= gpa)
		return;
	if (last && last->type == type && last->gpa + last->size_bytes == gpa)
		last->size_bytes += end - gpa;
	else if (map->count < X86_E820_MAX)
		map->entries[map->count++] = (struct x86_e820_entry){gpa, end - gpa, type};
}

/* Conventional memory; EBDA; nothing said of 0xa0000 (no VGA); BIOS area with our tables, which
 * the guest must not take for RAM; the rest. */
static void add_first_ram(struct map *map, uint64_t end)
{
	add(map, 0, X86_EBDA_GPA, RAM);
	add(map, X86_EBDA_GPA, 0xa0000, RESERVED);
	add(map, X86_ACPI_GPA, X86_HIGH_RAM_GPA, RESERVED);
	add(map, X86_HIGH_RAM_GPA, end, RAM);
}

size_t x86_e820(const struct axarch_plan *plan, struct x86_e820_entry entries[X86_E820_MAX])
{
	struct map map = {.entries = entries};

	for (size_t i = 0; i < plan->layout.count; i++) {
		const struct axas_layout_range *range = &plan->layout.range[i];
		const uint64_t gpa = range->gpa, end = gpa + range->size_bytes;

		switch (range->kind) {
		case AXAS_LAYOUT_MEMORY:
			if (gpa == 0)
				add_first_ram(&map, end);
			else
				add(&map, gpa, end, RAM);
			break;
		case AXAS_LAYOUT_RESERVED:
		case AXAS_LAYOUT_PASSTHROUGH:
			add(&map, gpa, end, RESERVED);
			break;
		case AXAS_LAYOUT_EMULATED_DEVICE:
			/* Interrupt controllers are where every PC has them and not listed; nor is
			 * the window of PCI, since what is reserved is not for BARs. ECAM has to be
			 * (PCI Firmware 3.3, 4.1.2). */
			if (gpa >= X86_DEVICE_GPA && gpa <= X86_PCI_ECAM_GPA)
				add(&map, gpa, end, RESERVED);
			break;
		case AXAS_LAYOUT_BOOT_DESCRIPTION:
			break; /* inside RAM, in the areas cut out above */
		}
	}
	return map.count;
}
