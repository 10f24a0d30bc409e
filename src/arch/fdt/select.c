/*
 * axfdt_select: which nodes of a given tree a guest gets to see. Marks what is named, what stands
 * above it and what it refers to, until nothing new is found, and takes out the rest. What refers
 * to what is in phandle.c.
 */
#include "fdt_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct selection {
	struct axfdt_nodes nodes;
	size_t *queue; /* kept nodes; those before `done` have been looked at */
	size_t queued, done;
};

static void selection_free(struct selection *sel)
{
	free(sel->nodes.entry);
	free(sel->nodes.phandle);
	free(sel->queue);
}

static int compare_phandles(const void *a, const void *b)
{
	const struct axfdt_phandle *x = a, *y = b;

	if (x->phandle != y->phandle)
		return x->phandle < y->phandle ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* All nodes of the tree and their phandles; false without memory. */
static bool list_nodes(struct selection *sel, const void *blob)
{
	struct axfdt_nodes *nodes = &sel->nodes;
	size_t above[AXFDT_MAX_DEPTH] = {0};
	size_t max = 0;
	int node, depth = 0;

	for (node = 0; node >= 0; node = fdt_next_node(blob, node, NULL))
		max++;
	nodes->blob = blob;
	nodes->entry = calloc(max, sizeof(*nodes->entry));
	nodes->phandle = calloc(max, sizeof(*nodes->phandle));
	sel->queue = calloc(max, sizeof(*sel->queue));
	if (!nodes->entry || !nodes->phandle || !sel->queue)
		return false;
	for (node = 0; node >= 0 && depth >= 0; node = fdt_next_node(blob, node, &depth)) {
		const size_t i = nodes->count++;
		const uint32_t phandle = fdt_get_phandle(blob, node);
		above[depth] = i;
		nodes->entry[i] = (struct axfdt_entry){
			.offset = node, .depth = depth, .parent = depth ? above[depth - 1] : 0};
		if (phandle && phandle != UINT32_MAX)
			nodes->phandle[nodes->phandle_count++] =
				(struct axfdt_phandle){.phandle = phandle, .node = i};
	}
	qsort(nodes->phandle, nodes->phandle_count, sizeof(*nodes->phandle), compare_phandles);
	return true;
}

static int by_offset(const void *key, const void *element)
{
	const int wanted = *(const int *)key, found = ((const struct axfdt_entry *)element)->offset;

	return wanted < found ? -1 : wanted > found;
}

static size_t index_of(const struct axfdt_nodes *nodes, int offset)
{
	const struct axfdt_entry *found =
		bsearch(&offset, nodes->entry, nodes->count, sizeof(*nodes->entry), by_offset);

	return found ? (size_t)(found - nodes->entry) : 0;
}

static int refuse_path(const struct axfdt *fdt, const char *path, struct ax_error *err)
{
	char there[256] = "/";
	const size_t len = strlen(path);

	const int rc = ax_error_set(err, AX_ERROR_NOT_FOUND, ENOENT,
				    "%s: there is no node '%.200s'", fdt->label, path);
	for (size_t i = 1; i < len && i < sizeof(there); i++) {
		if (path[i] != '/')
			continue;
		char part[sizeof(there)] = {0};
		memcpy(part, path, i);
		if (axfdt_has(fdt, part))
			memcpy(there, part, sizeof(there));
	}
	ax_error_hint(err,
		      "'%.200s' is there; paths are written in full and with unit addresses, "
		      "like /soc/serial@9000000",
		      there);
	return rc;
}

/* ---- marking --------------------------------------------------------------------------------- */

static void drop(struct selection *sel, size_t node)
{
	const struct axfdt_entry *entry = sel->nodes.entry;

	for (size_t i = node; i < sel->nodes.count; i++) {
		if (i > node && entry[i].depth <= entry[node].depth)
			break;
		sel->nodes.entry[i].dropped = true;
	}
}

/* The node and those above it. A node that is not dropped is below none that is. */
static void keep_node(struct selection *sel, size_t node)
{
	struct axfdt_entry *entry = sel->nodes.entry;

	while (!entry[node].kept && !entry[node].dropped) {
		entry[node].kept = true;
		sel->queue[sel->queued++] = node;
		node = entry[node].parent;
	}
}

static void keep_whole(struct selection *sel, size_t node)
{
	struct axfdt_entry *entry = sel->nodes.entry;

	if (entry[node].whole || entry[node].dropped)
		return;
	for (size_t i = node; i < sel->nodes.count; i++) {
		if (i > node && entry[i].depth <= entry[node].depth)
			break;
		entry[i].whole = true;
		keep_node(sel, i);
	}
}

/* Who refers to a node above itself has that already, and does not mean all that is below it. */
static void keep_target(void *ctx, size_t node, size_t target)
{
	struct selection *sel = ctx;

	for (size_t i = node; i; i = sel->nodes.entry[i].parent)
		if (i == target)
			return;
	if (target)
		keep_whole(sel, target);
}

static bool always_stays(const void *blob, int node)
{
	static const char *const names[] = {"chosen", "cpus", "aliases", "reserved-memory"};

	for (size_t i = 0; i < AX_ARRAY_LEN(names); i++)
		if (axfdt_has_base_name(blob, node, names[i]))
			return true;
	return axfdt_is_a(blob, node, "memory");
}

/* ---- taking out ------------------------------------------------------------------------------ */

/* Aliases of nodes that are gone. */
static void prune_aliases(void *blob)
{
	const int aliases = axfdt_find(blob, "/aliases");
	int property = aliases < 0 ? aliases : fdt_first_property_offset(blob, aliases);

	while (property >= 0) {
		const char *name = NULL;
		int len = 0;
		const int next = fdt_next_property_offset(blob, property);
		const char *path = fdt_getprop_by_offset(blob, property, &name, &len);
		if (path && name && len > 1 && path[0] == '/' && path[len - 1] == '\0' &&
		    axfdt_find(blob, path) < 0)
			fdt_nop_property(blob, aliases, name);
		property = next;
	}
}

static void take_out(struct axfdt *fdt, const struct axfdt_nodes *nodes)
{
	const struct axfdt_entry *entry = nodes->entry;

	for (size_t i = 1; i < nodes->count; i++)
		if (!entry[i].kept && entry[entry[i].parent].kept)
			fdt_nop_node(fdt->blob, entry[i].offset);
	prune_aliases(fdt->blob);
	axfdt_squeeze(fdt);
}

static int resolve(const struct axfdt *fdt, const struct axfdt_nodes *nodes, const char *path,
		   size_t *ret_node, struct ax_error *err)
{
	const int offset = axfdt_find(fdt->blob, path);

	if (offset < 0)
		return refuse_path(fdt, path, err);
	*ret_node = index_of(nodes, offset);
	return 0;
}

static int mark(struct axfdt *fdt, struct selection *sel, const char *const *keep,
		size_t keep_count, const char *const *drops, size_t drop_count,
		struct ax_error *err)
{
	size_t node = 0;
	int child, rc;

	for (size_t i = 0; i < drop_count; i++) {
		rc = resolve(fdt, &sel->nodes, drops[i], &node, err);
		if (rc < 0)
			return rc;
		if (node == 0)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "%s: the root cannot be dropped", fdt->label);
		drop(sel, node);
	}
	keep_node(sel, 0);
	for (size_t i = 0; i < keep_count; i++) {
		rc = resolve(fdt, &sel->nodes, keep[i], &node, err);
		if (rc < 0)
			return rc;
		keep_whole(sel, node);
	}
	fdt_for_each_subnode(child, fdt->blob, 0) if (always_stays(fdt->blob, child))
		keep_whole(sel, index_of(&sel->nodes, child));
	while (sel->done < sel->queued)
		axfdt_each_reference(&sel->nodes, sel->queue[sel->done++], keep_target, sel);
	return 0;
}

int axfdt_select(struct axfdt *fdt, const char *const *keep, size_t keep_count,
		 const char *const *drops, size_t drop_count, struct ax_error *err)
{
	struct selection sel = {.queued = 0};
	int rc;

	if (fdt->failed) {
		if (err)
			*err = fdt->error;
		return fdt->error.sys_errno ? -fdt->error.sys_errno : -EINVAL;
	}
	if (list_nodes(&sel, fdt->blob))
		rc = mark(fdt, &sel, keep, keep_count, drops, drop_count, err);
	else
		rc = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "%s: no memory for its nodes",
				  fdt->label);
	if (rc == 0)
		take_out(fdt, &sel.nodes);
	selection_free(&sel);
	return rc;
}
