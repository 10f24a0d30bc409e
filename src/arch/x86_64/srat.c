/*
 * The nodes of a topology as ACPI tells them (ACPI 6.4): which CPUs and which memory are near to
 * each other (SRAT, 5.2.16), and how far nodes are apart (SLIT, 5.2.17). The proximity domain of a
 * node is its number. Room, header and checksum are acpi.c's.
 */
#include "acpi.h"
#include "le.h"
#include "../boot.h"

#include <string.h>

enum { SRAT_FIXED = X86_ACPI_HEADER + 12, SLIT_FIXED = X86_ACPI_HEADER + 8 };
enum { TYPE_LAPIC = 0, TYPE_MEMORY = 1, TYPE_X2APIC = 2 };
enum { LAPIC_SIZE = 16, MEMORY_SIZE = 40, X2APIC_SIZE = 24 };
enum { ENABLED = 1 }; /* of all three */

/* The kind of structure that the MADT has for the same CPU. */
static size_t cpu_size(uint32_t apic_id)
{
	return apic_id <= X86_MAX_XAPIC_ID ? LAPIC_SIZE : X2APIC_SIZE;
}

static size_t put_cpu(uint8_t *e, uint32_t apic_id, uint32_t node)
{
	e[1] = (uint8_t)cpu_size(apic_id);
	if (apic_id <= X86_MAX_XAPIC_ID) {
		e[0] = TYPE_LAPIC;
		e[2] = (uint8_t)node;
		e[3] = (uint8_t)apic_id;
		x86_put32(e, 4, ENABLED);
		e[9] = (uint8_t)(node >> 8); /* bits 8 to 31 of the domain */
		x86_put16(e, 10, (uint16_t)(node >> 16));
	} else {
		e[0] = TYPE_X2APIC;
		x86_put32(e, 4, node);
		x86_put32(e, 8, apic_id);
		x86_put32(e, 12, ENABLED);
	}
	return e[1];
}

static size_t put_memory(uint8_t *e, uint64_t gpa, uint64_t size_bytes, uint32_t node)
{
	e[0] = TYPE_MEMORY;
	e[1] = MEMORY_SIZE;
	x86_put32(e, 2, node);
	x86_put64(e, 8, gpa);
	x86_put64(e, 16, size_bytes);
	x86_put32(e, 28, ENABLED);
	return e[1];
}

/* Memory beside the plan's own, for which the topology has no node. A Linux that finds RAM without
 * one throws the table away, so it goes to the lowest memory's. */
static bool is_extra(const struct axarch_plan *plan, const struct axas_layout_range *range)
{
	return range->kind == AXAS_LAYOUT_MEMORY &&
	       !axarch_plan_is_ram(plan, range->gpa, range->size_bytes);
}

static uint64_t add_srat(struct x86_acpi *b, const struct x86_boot_info *info)
{
	const struct axarch_topology *topology = info->config->topology;
	const struct axarch_plan *plan = info->plan;
	size_t size = SRAT_FIXED + plan->memory_count * MEMORY_SIZE;
	uint64_t gpa = 0;

	for (uint32_t i = 0; i < info->config->vcpu_count; i++)
		size += cpu_size(info->apic_ids[i]);
	for (size_t i = 0; i < plan->layout.count; i++)
		size += is_extra(plan, &plan->layout.range[i]) ? MEMORY_SIZE : 0;
	uint8_t *t = x86_acpi_reserve(b, size, &gpa);
	if (!t)
		return 0;
	x86_put32(t, X86_ACPI_HEADER, 1); /* reserved, and has to be 1 */
	uint8_t *e = t + SRAT_FIXED;
	for (uint32_t i = 0; i < info->config->vcpu_count; i++)
		e += put_cpu(e, info->apic_ids[i], topology->vcpu_nodes[i]);
	for (size_t i = 0; i < plan->memory_count; i++)
		e += put_memory(e, plan->memory[i].gpa, plan->memory[i].size_bytes,
				plan->memory[i].node);
	for (size_t i = 0; i < plan->layout.count; i++) {
		const struct axas_layout_range *range = &plan->layout.range[i];

		if (is_extra(plan, range))
			e += put_memory(e, range->gpa, range->size_bytes, plan->memory[0].node);
	}
	x86_acpi_finish(t, "SRAT", 3, size);
	return gpa;
}

static uint64_t add_slit(struct x86_acpi *b, const struct axarch_topology *topology)
{
	const size_t count = topology->node_count, size = SLIT_FIXED + count * count;
	uint64_t gpa = 0;
	uint8_t *t = x86_acpi_reserve(b, size, &gpa);

	if (!t)
		return 0;
	x86_put64(t, X86_ACPI_HEADER, count);
	memcpy(t + SLIT_FIXED, topology->distances, count * count);
	x86_acpi_finish(t, "SLIT", 1, size);
	return gpa;
}

size_t x86_acpi_add_nodes(struct x86_acpi *b, const struct x86_boot_info *info,
			  uint64_t ret_tables[2])
{
	const struct axarch_topology *topology = info->config->topology;
	size_t count = 0;

	if (!topology || !topology->node_count)
		return 0;
	ret_tables[count++] = add_srat(b, info);
	if (topology->distances)
		ret_tables[count++] = add_slit(b, topology);
	return count;
}
