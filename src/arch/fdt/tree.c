/*
 * The bytes of a device tree: a libfdt blob in a buffer that grows, nodes by exact path, raw
 * insertion and removal. New nodes are put behind their elder siblings, where libfdt would put them
 * in front: Linux numbers CPUs and disks in the order of the tree.
 */
#include "fdt_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding --------------------------------------------------------------------------------- */

/* libfdt's own search takes "memory@0" for "memory", and a path without '/' for an alias.
 * *ret_last: the last child that was looked at, the parent when there is none. */
static int find_child(const void *blob, int parent, const char *name, size_t len, int *ret_last)
{
	int child, child_len = 0;

	*ret_last = parent;
	fdt_for_each_subnode(child, blob, parent)
	{
		const char *child_name = fdt_get_name(blob, child, &child_len);
		if (child_name && (size_t)child_len == len && memcmp(child_name, name, len) == 0)
			break;
		*ret_last = child;
	}
	return child;
}

int axfdt_find(const void *blob, const char *path)
{
	int node = 0, last = 0;

	if (*path != '/')
		return -FDT_ERR_BADPATH;
	if (!path[1])
		return 0;
	while (*path == '/' && node >= 0) {
		const size_t len = strcspn(++path, "/");
		node = find_child(blob, node, path, len, &last);
		path += len;
	}
	return node;
}

bool axfdt_has_base_name(const void *blob, int node, const char *base)
{
	const size_t len = strlen(base);
	int name_len = 0;
	const char *name = fdt_get_name(blob, node, &name_len);

	return name && (size_t)name_len >= len && memcmp(name, base, len) == 0 &&
	       (!name[len] || name[len] == '@');
}

int axfdt_node_end(const void *blob, int node)
{
	int at = node, next = 0, depth = 0;

	do {
		const uint32_t tag = fdt_next_tag(blob, at, &next);
		if (next < 0 || tag == FDT_END)
			return -FDT_ERR_BADSTRUCTURE;
		depth += tag == FDT_BEGIN_NODE ? 1 : tag == FDT_END_NODE ? -1 : 0;
		at = next;
	} while (depth > 0);
	return at;
}

uint32_t axfdt_cell(const void *blob, int node, const char *property, uint32_t otherwise)
{
	int len = 0;
	const void *value = fdt_getprop(blob, node, property, &len);

	return value && len == 4 ? fdt32_ld(value) : otherwise;
}

/* ---- changing -------------------------------------------------------------------------------- */

bool axfdt_again(struct axfdt *fdt, int rc)
{
	if (rc != -FDT_ERR_NOSPACE || fdt->failed)
		return false;
	if (fdt_totalsize(fdt->blob) < fdt->capacity) { /* it was packed */
		fdt_set_totalsize(fdt->blob, (uint32_t)fdt->capacity);
		return true;
	}
	if (fdt->capacity >= AXFDT_MAX_BYTES) {
		axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, EFBIG, NULL, NULL,
			   "would be larger than %u bytes, the most there may be", AXFDT_MAX_BYTES);
		return false;
	}
	const size_t twice = fdt->capacity * 2;
	const size_t capacity = twice < AXFDT_MAX_BYTES ? twice : AXFDT_MAX_BYTES;
	void *blob = malloc(capacity);
	if (!blob) {
		axfdt_fail(fdt, AX_ERROR_NO_MEMORY, ENOMEM, NULL, NULL, "no memory for %zu bytes",
			   capacity);
		return false;
	}
	const int moved = fdt_open_into(fdt->blob, blob, (int)capacity);
	if (moved < 0) {
		free(blob);
		axfdt_fail_rc(fdt, moved, NULL, NULL);
		return false;
	}
	free(fdt->blob);
	fdt->blob = blob;
	fdt->capacity = capacity;
	return true;
}

void axfdt_forget_last(struct axfdt *fdt)
{
	fdt->last_path[0] = '\0';
}

static void remember_last(struct axfdt *fdt, const char *path, int node)
{
	const size_t len = strlen(path);

	if (len >= sizeof(fdt->last_path)) {
		axfdt_forget_last(fdt);
		return;
	}
	memcpy(fdt->last_path, path, len + 1);
	fdt->last_node = node;
}

/* How much of the path leads to the last node; 0: it does not. */
static size_t way_to_last(const struct axfdt *fdt, const char *path)
{
	const size_t len = strlen(fdt->last_path);

	return strncmp(path, fdt->last_path, len) == 0 && (!path[len] || path[len] == '/') ? len
											   : 0;
}

bool axfdt_insert(struct axfdt *fdt, int at, const void *bytes, size_t size)
{
	while (fdt_totalsize(fdt->blob) -
		       (fdt_off_dt_strings(fdt->blob) + fdt_size_dt_strings(fdt->blob)) <
	       size)
		if (!axfdt_again(fdt, -FDT_ERR_NOSPACE))
			return false;
	axfdt_forget_last(fdt);
	char *blob = fdt->blob;
	const uint32_t strings = fdt_off_dt_strings(blob);
	char *place = blob + fdt_off_dt_struct(blob) + at;
	memmove(place + size, place, (size_t)(blob + strings + fdt_size_dt_strings(blob) - place));
	memcpy(place, bytes, size);
	fdt_set_size_dt_struct(blob, fdt_size_dt_struct(blob) + (uint32_t)size);
	fdt_set_off_dt_strings(blob, strings + (uint32_t)size);
	return true;
}

void axfdt_squeeze(struct axfdt *fdt)
{
	char *structure = (char *)fdt->blob + fdt_off_dt_struct(fdt->blob);
	int from = 0, to = 0, next = 0;
	uint32_t tag;

	axfdt_forget_last(fdt);
	do {
		tag = fdt_next_tag(fdt->blob, from, &next);
		if (next < 0) {
			axfdt_fail_rc(fdt, next, NULL, NULL);
			return;
		}
		if (tag != FDT_NOP) {
			memmove(structure + to, structure + from, (size_t)(next - from));
			to += next - from;
		}
		from = next;
	} while (tag != FDT_END);
	/* The gap before the strings is closed by fdt_pack. */
	fdt_set_size_dt_struct(fdt->blob, (uint32_t)to);
}

/* A new node behind the parent's other children, of which `last` is the last. */
static int add_child(struct axfdt *fdt, int parent, int last, const char *name, size_t len)
{
	const size_t end = 4 + ax_align_up(len + 1, 4);
	const int at = axfdt_node_end(fdt->blob, last) - (last == parent ? (int)FDT_TAGSIZE : 0);
	uint8_t bytes[4 + AXFDT_MAX_NAME + 1 + 4] = {0};

	fdt32_st((void *)bytes, FDT_BEGIN_NODE);
	memcpy(bytes + 4, name, len);
	fdt32_st((void *)(bytes + end), FDT_END_NODE);
	return axfdt_insert(fdt, at, bytes, end + 4) ? at : -FDT_ERR_NOSPACE;
}

/* The node, made with all above it where they are missing; negative after a failure. */
int axfdt_make(struct axfdt *fdt, const char *path)
{
	const char *name = path;
	int node = 0, last = 0, depth = 1;

	if (fdt->failed)
		return -FDT_ERR_BADSTATE;
	if (*path != '/') {
		axfdt_fail(fdt, AX_ERROR_INTERNAL, EINVAL, path, NULL, "a path begins with '/'");
		return -FDT_ERR_BADPATH;
	}
	if (!path[1])
		return 0;
	const size_t known = way_to_last(fdt, path);
	if (known)
		node = fdt->last_node;
	for (; name < path + known; name++)
		depth += *name == '/';
	for (; *name == '/'; depth++) {
		const size_t len = strcspn(++name, "/");
		if (!axfdt_valid_node_name(name, len) || depth == AXFDT_MAX_DEPTH) {
			axfdt_fail(fdt, AX_ERROR_INTERNAL, EINVAL, path, NULL,
				   depth == AXFDT_MAX_DEPTH ? "too many nodes deep"
							    : "no name for a node");
			return -FDT_ERR_BADPATH;
		}
		int child = find_child(fdt->blob, node, name, len, &last);
		if (child < 0)
			child = add_child(fdt, node, last, name, len);
		if (child < 0)
			return child;
		node = child;
		name += len;
	}
	remember_last(fdt, path, node);
	return node;
}

void *axfdt_reserve(struct axfdt *fdt, int node, const char *path, const char *property,
		    size_t size)
{
	void *value = NULL;
	int rc;

	if (fdt->failed)
		return NULL;
	if (!axfdt_valid_property_name(property, strlen(property))) {
		axfdt_fail(fdt, AX_ERROR_INTERNAL, EINVAL, path, property,
			   "no name for a property");
		return NULL;
	}
	if (size > AXFDT_MAX_BYTES) {
		axfdt_fail(fdt, AX_ERROR_BOOT_IMAGE, EFBIG, path, property,
			   "%zu bytes, a tree has at most %u", size, AXFDT_MAX_BYTES);
		return NULL;
	}
	if (node != fdt->last_node)
		axfdt_forget_last(fdt);
	do
		rc = fdt_setprop_placeholder(fdt->blob, node, property, (int)size, &value);
	while (axfdt_again(fdt, rc));
	if (rc < 0) {
		axfdt_fail_rc(fdt, rc, path, property);
		return NULL;
	}
	/* libfdt leaves there what was, up to bytes of our heap that no guest is to see. */
	memset((char *)value + size, 0, ax_align_up(size, 4) - size);
	return value;
}
