/*
 * The processors of a given tree: as many as the machine has, with its ids. Surplus nodes go,
 * missing ones are copies of the last, phandles of their own included (Devicetree Specification
 * v0.4, 3.8).
 */
#include "fdt_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cpu {
	int node;
	uint64_t reg;
	size_t rank; /* in order of reg */
};

static int by_reg(const void *a, const void *b)
{
	const struct cpu *x = a, *y = b;

	return x->reg != y->reg ? (x->reg < y->reg ? -1 : 1) : x->node - y->node;
}

static int from_behind(const void *a, const void *b)
{
	return ((const struct cpu *)b)->node - ((const struct cpu *)a)->node;
}

/* All CPUs in order of their reg, or NULL after a failure; the caller frees. */
static struct cpu *find_cpus(struct axfdt *fdt, uint32_t *ret_cells, size_t *ret_count)
{
	const int parent = axfdt_find(fdt->blob, "/cpus");
	size_t count = 0, max = 0;
	int node, len = 0;

	if (parent < 0) {
		axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, ENOENT, "/cpus", NULL, "is missing");
		return NULL;
	}
	fdt_for_each_subnode(node, fdt->blob, parent) max++;
	struct cpu *cpus = calloc(max + 1, sizeof(*cpus));
	if (!cpus) {
		axfdt_fail(fdt, AX_ERROR_NO_MEMORY, ENOMEM, "/cpus", NULL, "no memory");
		return NULL;
	}
	*ret_cells = axfdt_read_cells(fdt, parent, "/cpus", "#address-cells", 2);
	if (!*ret_cells) {
		free(cpus);
		return NULL;
	}
	fdt_for_each_subnode(node, fdt->blob, parent)
	{
		if (!axfdt_is_a(fdt->blob, node, "cpu"))
			continue;
		const uint8_t *reg = fdt_getprop(fdt->blob, node, "reg", &len);
		if (!reg || (uint32_t)len < 4 * *ret_cells) {
			axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, EINVAL, "/cpus", NULL,
				   "'%.60s' has no reg of %u cells",
				   fdt_get_name(fdt->blob, node, NULL), *ret_cells);
			break;
		}
		uint64_t value = 0;
		for (uint32_t i = 0; i < 4 * *ret_cells; i++)
			value = value << 8 | reg[i];
		cpus[count++] = (struct cpu){.node = node, .reg = value};
	}
	if (!count)
		axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, ENOENT, "/cpus", NULL, "has no processor");
	if (fdt->failed) {
		free(cpus);
		return NULL;
	}
	qsort(cpus, count, sizeof(*cpus), by_reg);
	for (size_t i = 0; i < count; i++)
		cpus[i].rank = i;
	*ret_count = count;
	return cpus;
}

static void set_cpu_id(struct axfdt *fdt, int node, uint32_t cells, uint64_t id)
{
	char name[AXFDT_MAX_NAME + 1] = {0};
	int rc;

	const char *old = fdt_get_name(fdt->blob, node, NULL);
	const size_t base = strcspn(old, "@");
	snprintf(name, sizeof(name), "%.*s@%" PRIx64, base < 200 ? (int)base : 200, old, id);
	uint8_t *at = axfdt_reserve(fdt, node, "/cpus", "reg", 4 * (size_t)cells);
	if (!at)
		return;
	if (!axfdt_put_number(&at, id, cells)) {
		axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, ERANGE, "/cpus", "reg",
			   "0x%" PRIx64 " needs two cells, #address-cells is 1", id);
		return;
	}
	do
		rc = fdt_set_name(fdt->blob, node, name);
	while (axfdt_again(fdt, rc));
	if (rc < 0) {
		axfdt_fail_rc(fdt, rc, "/cpus", NULL);
		return;
	}
	/* Again with the zeroes that pad it. */
	memcpy((char *)fdt->blob + fdt_off_dt_struct(fdt->blob) + node + 4, name,
	       ax_align_up(strlen(name) + 1, 4));
}

/* A phandle names one node: those of a copy get their own, which count on from *max. */
static void renew_phandles(struct axfdt *fdt, int node, uint32_t *max)
{
	static const char *const names[] = {"phandle", "linux,phandle"};
	int depth = 0, rc = 0;

	for (; rc >= 0 && node >= 0 && depth >= 0; node = fdt_next_node(fdt->blob, node, &depth)) {
		if (!fdt_get_phandle(fdt->blob, node))
			continue;
		rc = ++*max > FDT_MAX_PHANDLE ? -FDT_ERR_NOPHANDLES : 0;
		for (size_t i = 0; i < 2 && rc >= 0; i++)
			if (axfdt_cell(fdt->blob, node, names[i], 0))
				rc = fdt_setprop_inplace_u32(fdt->blob, node, names[i], *max);
	}
	if (rc < 0)
		axfdt_fail_rc(fdt, rc, "/cpus", "phandle");
}

/* Copies of the CPU `last`, one behind the other, until there are `count`. */
static void add_cpus(struct axfdt *fdt, uint64_t last, const uint64_t *ids, size_t have,
		     size_t count)
{
	uint32_t cells = 0, max_phandle = 0;
	size_t found = 0;
	struct cpu *cpus = find_cpus(fdt, &cells, &found);
	int node = -1;

	for (size_t i = 0; cpus && i < found; i++)
		if (cpus[i].reg == last)
			node = cpus[i].node;
	free(cpus);
	const int end = node < 0 ? -1 : axfdt_node_end(fdt->blob, node);
	if (end < 0 || fdt_find_max_phandle(fdt->blob, &max_phandle) < 0) {
		axfdt_fail_rc(fdt, -FDT_ERR_BADSTRUCTURE, "/cpus", NULL);
		return;
	}
	const size_t size = (size_t)(end - node);
	AX_AUTO_FREE void *bytes = malloc(size);
	if (!bytes) {
		axfdt_fail(fdt, AX_ERROR_NO_MEMORY, ENOMEM, "/cpus", NULL, "no memory");
		return;
	}
	memcpy(bytes, (const char *)fdt->blob + fdt_off_dt_struct(fdt->blob) + node, size);
	for (size_t i = have; i < count && !fdt->failed; i++) {
		node = axfdt_node_end(fdt->blob, node);
		if (!axfdt_insert(fdt, node, bytes, size))
			return;
		renew_phandles(fdt, node, &max_phandle);
		if (!fdt->failed)
			set_cpu_id(fdt, node, cells, ids ? ids[i] : last + (i - have + 1));
	}
}

void axfdt_keep_cpus(struct axfdt *fdt, const uint64_t *ids, size_t count)
{
	uint32_t cells = 0;
	size_t found = 0;

	if (fdt->failed)
		return;
	for (size_t i = 0; ids && i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (ids[i] == ids[j])
				axfdt_fail(fdt, AX_ERROR_INTERNAL, EEXIST, "/cpus", NULL,
					   "id 0x%" PRIx64 " is given twice", ids[i]);
	if (!count)
		axfdt_fail(fdt, AX_ERROR_INTERNAL, EINVAL, "/cpus", NULL, "none is to be kept");
	struct cpu *cpus = fdt->failed ? NULL : find_cpus(fdt, &cells, &found);
	if (!cpus)
		return;
	const size_t kept = found < count ? found : count;
	const uint64_t last = ids ? ids[kept - 1] : cpus[kept - 1].reg;
	/* From behind: a change moves only what stands behind it. */
	qsort(cpus, found, sizeof(*cpus), from_behind);
	for (size_t i = 0; i < found && !fdt->failed; i++) {
		if (cpus[i].rank >= kept)
			fdt_nop_node(fdt->blob, cpus[i].node);
		else if (ids)
			set_cpu_id(fdt, cpus[i].node, cells, ids[cpus[i].rank]);
	}
	free(cpus);
	if (fdt->failed)
		return;
	axfdt_squeeze(fdt);
	if (kept < count)
		add_cpus(fdt, last, ids, kept, count);
	if (found != count)
		axfdt_remove(fdt, "/cpus/cpu-map");
}
