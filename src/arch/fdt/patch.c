/*
 * What every machine says about itself, in a tree made here or given: memory and /chosen, by the
 * Devicetree Specification v0.4, 3.4 and 3.6. Knows no board and no architecture.
 */
#include "fdt_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint32_t axfdt_read_cells(struct axfdt *fdt, int node, const char *path, const char *property,
			  uint32_t otherwise)
{
	const uint32_t cells = fdt_getprop(fdt->blob, node, property, NULL)
				       ? axfdt_cell(fdt->blob, node, property, 0)
				       : otherwise;

	if (cells == 1 || cells == 2)
		return cells;
	axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, EINVAL, path, property, "expected 1 or 2");
	return 0;
}

bool axfdt_put_number(uint8_t **at, uint64_t number, uint32_t cells)
{
	const fdt64_t both = cpu_to_fdt64(number);

	if (cells == 1 && number > UINT32_MAX)
		return false;
	memcpy(*at, (const uint8_t *)&both + 8 - 4 * cells, 4 * (size_t)cells);
	*at += 4 * cells;
	return true;
}

bool axfdt_is_a(const void *blob, int node, const char *what)
{
	int len = 0;
	const char *type = fdt_getprop(blob, node, "device_type", &len);

	return axfdt_has_base_name(blob, node, what) ||
	       (type && (size_t)len == strlen(what) + 1 && memcmp(type, what, (size_t)len) == 0);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void remove_memory(struct axfdt *fdt)
{
	int node = fdt_first_subnode(fdt->blob, 0);

	while (node >= 0) {
		const int next = fdt_next_subnode(fdt->blob, node);
		if (axfdt_is_a(fdt->blob, node, "memory"))
			fdt_nop_node(fdt->blob, node);
		node = next;
	}
	axfdt_squeeze(fdt);
}

static void add_memory(struct axfdt *fdt, const struct axfdt_range *range, uint32_t address_cells,
		       uint32_t size_cells)
{
	char path[32];

	snprintf(path, sizeof(path), "/memory@%" PRIx64, range->gpa);
	if (axfdt_has(fdt, path)) {
		axfdt_fail(fdt, AX_ERROR_INTERNAL, EEXIST, path, NULL, "given twice");
		return;
	}
	axfdt_set_string(fdt, path, "device_type", "memory");
	const int node = axfdt_find(fdt->blob, path);
	uint8_t *at = axfdt_reserve(fdt, node, path, "reg", 4 * (address_cells + size_cells));
	if (at && (!axfdt_put_number(&at, range->gpa, address_cells) ||
		   !axfdt_put_number(&at, range->size_bytes, size_cells)))
		axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, ERANGE, path, "reg",
			   "0x%" PRIx64 " bytes at 0x%" PRIx64
			   " do not fit the root's #address-cells and #size-cells",
			   range->size_bytes, range->gpa);
}

void axfdt_set_memory(struct axfdt *fdt, const struct axfdt_range *ranges, size_t count)
{
	static const char *const names[] = {"#address-cells", "#size-cells"};
	uint32_t cells[2];

	for (size_t i = 0; i < 2; i++) {
		if (fdt->failed)
			return;
		if (!fdt_getprop(fdt->blob, 0, names[i], NULL))
			axfdt_set_u32(fdt, "/", names[i], 2);
		cells[i] = axfdt_read_cells(fdt, 0, "/", names[i], 2);
	}
	if (!fdt->failed)
		remove_memory(fdt);
	for (size_t i = 0; i < count && !fdt->failed; i++)
		add_memory(fdt, &ranges[i], cells[0], cells[1]);
}

/* ---- /chosen --------------------------------------------------------------------------------- */

void axfdt_set_chosen(struct axfdt *fdt, const struct axfdt_chosen *chosen)
{
	const struct axfdt_range *initrd = &chosen->initrd;
	uint64_t end = 0;

	axfdt_node(fdt, "/chosen");
	if (chosen->cmdline)
		axfdt_set_string(fdt, "/chosen", "bootargs", chosen->cmdline);
	if (chosen->stdout_path)
		axfdt_set_string(fdt, "/chosen", "stdout-path", chosen->stdout_path);
	if (chosen->seed)
		axfdt_set_bytes(fdt, "/chosen", "rng-seed", chosen->seed, chosen->seed_bytes);
	else
		axfdt_remove_property(fdt, "/chosen", "rng-seed");
	if (!initrd->size_bytes) {
		axfdt_remove_property(fdt, "/chosen", "linux,initrd-start");
		axfdt_remove_property(fdt, "/chosen", "linux,initrd-end");
	} else if (ax_add_overflows(initrd->gpa, initrd->size_bytes, &end)) {
		axfdt_fail(fdt, AX_ERROR_INTERNAL, EOVERFLOW, "/chosen", "linux,initrd-end",
			   "an initrd past 2^64");
	} else {
		axfdt_set_u64(fdt, "/chosen", "linux,initrd-start", initrd->gpa);
		axfdt_set_u64(fdt, "/chosen", "linux,initrd-end", end);
	}
}
