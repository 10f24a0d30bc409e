/*
 * Which properties refer to which nodes. A phandle is a number like any other, so the properties
 * that hold one are listed here, with the #*-cells of its target that say how many cells follow it
 * (Devicetree Specification v0.4, 2.4; the bindings of Linux 6.12 for the rest). What no row names
 * refers to nothing.
 */
#include "fdt_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum form {
	LIST,          /* phandle, its cells, phandle, its cells ... */
	FIRST,         /* a phandle, then whatever it is */
	INTERRUPT_MAP, /* child address and interrupt, phandle, parent address and interrupt */
	ID_MAP,        /* id, phandle, base, length */
};

struct row {
	const char *name; /* of the property; behind '*': what it ends with */
	enum form form;
	const char *cells; /* LIST: the target's property, NULL: `fixed` cells */
	uint32_t fixed;    /* also where the target has no such property, unless NO_DEFAULT */
};
#define NO_DEFAULT UINT32_MAX

static const struct row rows[] = {
	{"interrupt-parent", LIST, NULL, 0},
	{"interrupts-extended", LIST, "#interrupt-cells", NO_DEFAULT},
	{"interrupt-map", INTERRUPT_MAP, NULL, 0},
	{"interrupt-affinity", LIST, NULL, 0},
	{"wakeup-parent", LIST, NULL, 0},
	{"msi-parent", LIST, "#msi-cells", 0},
	{"msi-map", ID_MAP, NULL, 0},
	{"iommus", LIST, "#iommu-cells", NO_DEFAULT},
	{"iommu-map", ID_MAP, NULL, 0},
	{"clocks", LIST, "#clock-cells", NO_DEFAULT},
	{"assigned-clocks", LIST, "#clock-cells", NO_DEFAULT},
	{"assigned-clock-parents", LIST, "#clock-cells", NO_DEFAULT},
	{"resets", LIST, "#reset-cells", NO_DEFAULT},
	{"power-domains", LIST, "#power-domain-cells", NO_DEFAULT},
	{"domain-idle-states", LIST, NULL, 0},
	{"dmas", LIST, "#dma-cells", NO_DEFAULT},
	{"phys", LIST, "#phy-cells", NO_DEFAULT},
	{"phy-handle", LIST, NULL, 0},
	{"mboxes", LIST, "#mbox-cells", NO_DEFAULT},
	{"pwms", LIST, "#pwm-cells", NO_DEFAULT},
	{"hwlocks", LIST, "#hwlock-cells", NO_DEFAULT},
	{"interconnects", LIST, "#interconnect-cells", NO_DEFAULT},
	{"io-channels", LIST, "#io-channel-cells", NO_DEFAULT},
	{"io-backends", LIST, "#io-backend-cells", NO_DEFAULT},
	{"mux-controls", LIST, "#mux-control-cells", NO_DEFAULT},
	{"nvmem", LIST, NULL, 0},
	{"nvmem-cells", LIST, "#nvmem-cell-cells", 0},
	{"thermal-sensors", LIST, "#thermal-sensor-cells", NO_DEFAULT},
	{"cooling-device", LIST, "#cooling-cells", NO_DEFAULT},
	{"trip", LIST, NULL, 0},
	{"sound-dai", LIST, "#sound-dai-cells", NO_DEFAULT},
	{"gpio", LIST, "#gpio-cells", NO_DEFAULT},
	{"gpios", LIST, "#gpio-cells", NO_DEFAULT},
	{"*-gpio", LIST, "#gpio-cells", NO_DEFAULT},
	{"*-gpios", LIST, "#gpio-cells", NO_DEFAULT},
	{"gpio-ranges", LIST, NULL, 3},
	{"*-supply", LIST, NULL, 0},
	{"power-supplies", LIST, NULL, 0},
	{"memory-region", LIST, NULL, 0},
	{"sram", LIST, NULL, 0},
	{"cpu", LIST, NULL, 0},
	{"cpu-idle-states", LIST, NULL, 0},
	{"next-level-cache", LIST, NULL, 0},
	{"l2-cache", LIST, NULL, 0},
	{"operating-points-v2", LIST, NULL, 0},
	{"remote-endpoint", LIST, NULL, 0},
	{"syscon", FIRST, NULL, 0},
	{"regmap", FIRST, NULL, 0},
};

/* One property being read, as whole cells. */
struct reader {
	const struct axfdt_nodes *nodes;
	size_t node;
	const uint8_t *cells;
	uint32_t count;
	void (*fn)(void *ctx, size_t node, size_t target);
	void *ctx;
};

static uint32_t cell_at(const struct reader *reader, uint32_t at)
{
	return fdt32_ld((const void *)(reader->cells + 4 * (size_t)at));
}

static int by_phandle(const void *key, const void *element)
{
	const uint32_t wanted = *(const uint32_t *)key;
	const uint32_t found = ((const struct axfdt_phandle *)element)->phandle;

	return wanted < found ? -1 : wanted > found;
}

/* Tells the node that the cell names; NULL when it names none. */
static const struct axfdt_entry *follow(const struct reader *reader, uint32_t at)
{
	const struct axfdt_nodes *nodes = reader->nodes;
	const uint32_t wanted = cell_at(reader, at);
	const struct axfdt_phandle *found = bsearch(&wanted, nodes->phandle, nodes->phandle_count,
						    sizeof(*nodes->phandle), by_phandle);

	if (!found)
		return NULL;
	reader->fn(reader->ctx, reader->node, found->node);
	return &nodes->entry[found->node];
}

static void read_list(const struct reader *reader, const struct row *row)
{
	uint32_t at = 0;

	while (at < reader->count) {
		const bool empty = cell_at(reader, at) == 0; /* takes one cell */
		const struct axfdt_entry *target = follow(reader, at++);
		uint32_t follow_cells = row->fixed;
		if (empty)
			continue;
		if (row->cells) {
			if (!target)
				return; /* where the next one begins is not known */
			follow_cells = axfdt_cell(reader->nodes->blob, target->offset, row->cells,
						  row->fixed);
			if (follow_cells > AXFDT_MAX_CELLS)
				return;
		}
		if (follow_cells > reader->count - at)
			return;
		at += follow_cells;
	}
}

static void read_id_map(const struct reader *reader)
{
	for (uint32_t at = 0; at + 4 <= reader->count; at += 4)
		follow(reader, at + 1);
}

/* The node's own #address-cells, or those of the nearest node above that has some. */
static uint32_t address_cells_above(const struct axfdt_nodes *nodes, size_t node)
{
	for (;; node = nodes->entry[node].parent) {
		const uint32_t cells = axfdt_cell(nodes->blob, nodes->entry[node].offset,
						  "#address-cells", NO_DEFAULT);
		if (cells != NO_DEFAULT)
			return cells;
		if (node == 0)
			return 2;
	}
}

static void read_interrupt_map(const struct reader *reader)
{
	const struct axfdt_nodes *nodes = reader->nodes;
	const uint32_t address = address_cells_above(nodes, reader->node);
	const uint32_t interrupt = axfdt_cell(nodes->blob, nodes->entry[reader->node].offset,
					      "#interrupt-cells", NO_DEFAULT);

	if (address > AXFDT_MAX_CELLS || interrupt > AXFDT_MAX_CELLS)
		return;
	uint32_t at = 0;
	while (reader->count - at > address + interrupt) {
		at += address + interrupt;
		const struct axfdt_entry *parent = follow(reader, at++);
		if (!parent)
			return;
		const uint32_t parent_address =
			axfdt_cell(nodes->blob, parent->offset, "#address-cells", 0);
		const uint32_t parent_interrupt =
			axfdt_cell(nodes->blob, parent->offset, "#interrupt-cells", NO_DEFAULT);
		if (parent_address > AXFDT_MAX_CELLS || parent_interrupt > AXFDT_MAX_CELLS ||
		    parent_address + parent_interrupt > reader->count - at)
			return;
		at += parent_address + parent_interrupt;
	}
}

static bool ends_with(const char *name, const char *end)
{
	const size_t len = strlen(name), end_len = strlen(end);

	return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* The row of a property, or NULL. */
static const struct row *row_of(const char *name)
{
	static const struct row pin_states = {"pinctrl-N", LIST, NULL, 0};

	if (strncmp(name, "pinctrl-", 8) == 0 && isdigit((unsigned char)name[8]) &&
	    name[8 + strspn(name + 8, "0123456789")] == '\0')
		return &pin_states;
	/* A number of lines, not lines. */
	if (strcmp(name, "nr-gpios") == 0 || ends_with(name, ",nr-gpios"))
		return NULL;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		if (rows[i].name[0] == '*' ? ends_with(name, rows[i].name + 1)
					   : strcmp(name, rows[i].name) == 0)
			return &rows[i];
	return NULL;
}

void axfdt_each_reference(const struct axfdt_nodes *nodes, size_t node,
			  void (*fn)(void *ctx, size_t node, size_t target), void *ctx)
{
	const void *blob = nodes->blob;
	const int offset = nodes->entry[node].offset;
	const bool hog = fdt_getprop(blob, offset, "gpio-hog", NULL) != NULL;
	int property;

	fdt_for_each_property_offset(property, blob, offset)
	{
		const char *name = NULL;
		int len = 0;
		const void *value = fdt_getprop_by_offset(blob, property, &name, &len);
		const struct row *row = value && name ? row_of(name) : NULL;
		const struct reader reader = {.nodes = nodes,
					      .node = node,
					      .cells = value,
					      .count = (uint32_t)len / 4,
					      .fn = fn,
					      .ctx = ctx};
		/* A hog's lines belong to the controller it stands in. */
		if (!row || len < 4 || (hog && strcmp(name, "gpios") == 0))
			continue;
		switch (row->form) {
		case LIST:
			read_list(&reader, row);
			break;
		case FIRST:
			follow(&reader, 0);
			break;
		case INTERRUPT_MAP:
			read_interrupt_map(&reader);
			break;
		case ID_MAP:
			read_id_map(&reader);
			break;
		}
	}
}
