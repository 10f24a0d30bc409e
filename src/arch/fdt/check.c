/*
 * Device trees from outside: read, checked from the first byte to the last, copied. What passes
 * here passes fdt_check_full of libfdt as well, and is also free of what that lets through: no
 * root, properties behind subnodes, names that no path can name, names and depths without an end.
 */
#include "fdt_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool printable(const char *name, size_t len, char but)
{
	if (len == 0 || len > AXFDT_MAX_NAME)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == but)
			return false;
	return true;
}

bool axfdt_valid_node_name(const char *name, size_t len)
{
	return printable(name, len, '/');
}

bool axfdt_valid_property_name(const char *name, size_t len)
{
	return printable(name, len, ' ');
}

/* ---- the checks ------------------------------------------------------------------------------ */

static bool inside(uint32_t total, uint32_t offset, uint32_t size)
{
	return offset <= total && size <= total - offset;
}

/* Everything the header says; its first 40 bytes and nothing else is read. */
static const char *check_header(const void *blob, size_t size)
{
	if (size < sizeof(struct fdt_header))
		return "is shorter than the header of a device tree";
	if (fdt_magic(blob) != FDT_MAGIC)
		return "does not begin with the magic number 0xd00dfeed";
	if (fdt_version(blob) < 17 || fdt_last_comp_version(blob) > 17 ||
	    fdt_last_comp_version(blob) > fdt_version(blob))
		return "is of a version other than 17";
	const uint32_t total = fdt_totalsize(blob);
	if (total > size)
		return "is cut off: the header says it is longer";
	if (total < sizeof(struct fdt_header))
		return "says it is shorter than its header";
	if (fdt_off_mem_rsvmap(blob) % 8 || fdt_off_dt_struct(blob) % 4 ||
	    fdt_size_dt_struct(blob) % 4)
		return "has a block at an odd offset";
	if (fdt_off_mem_rsvmap(blob) < sizeof(struct fdt_header) ||
	    fdt_off_dt_struct(blob) < sizeof(struct fdt_header) ||
	    fdt_off_dt_strings(blob) < sizeof(struct fdt_header))
		return "has a block inside its header";
	if (!inside(total, fdt_off_mem_rsvmap(blob), 16) ||
	    !inside(total, fdt_off_dt_struct(blob), fdt_size_dt_struct(blob)) ||
	    !inside(total, fdt_off_dt_strings(blob), fdt_size_dt_strings(blob)))
		return "has a block that reaches past its end";
	return fdt_check_header(blob) < 0 ? "has a header that libfdt refuses" : NULL;
}

/* Names are looked up in the strings many times: none may be so long that this takes its time. */
static const char *check_strings(const void *blob)
{
	const char *strings = (const char *)blob + fdt_off_dt_strings(blob);
	const uint32_t size = fdt_size_dt_strings(blob);
	uint32_t run = 0;

	for (uint32_t i = 0; i < size; i++) {
		run = strings[i] ? run + 1 : 0;
		if (run > AXFDT_MAX_NAME)
			return "has a property name of more than 255 bytes";
	}
	return run ? "has a strings block without an end" : NULL;
}

static const char *check_node(const void *blob, int offset, int depth)
{
	int len = 0;
	const char *name = fdt_get_name(blob, offset, &len);

	if (depth == AXFDT_MAX_DEPTH)
		return "has nodes too deep in each other";
	if (!name)
		return "has a node without a name";
	if (depth == 0)
		return len ? "has a root with a name" : NULL;
	return axfdt_valid_node_name(name, (size_t)len) ? NULL : "has a node with an odd name";
}

static const char *check_property(const void *blob, int offset)
{
	const char *name = NULL;
	int len = 0;

	if (!fdt_getprop_by_offset(blob, offset, &name, &len) || !name)
		return "has a property that reaches outside";
	return axfdt_valid_property_name(name, strlen(name)) ? NULL
							     : "has a property with an odd name";
}

/* libfdt before 1.7 adds a property's length to its offset in 32 bits: one just below 2^32 comes
 * out as a value of negative length, or as a property that follows itself. */
static bool wraps(const void *blob, int offset, int next)
{
	const char *len = (const char *)blob + fdt_off_dt_struct(blob) + offset + 4;

	return (uint64_t)offset + 12 + fdt32_ld((const void *)len) > (uint64_t)next;
}

/* One root at offset 0; in each node first properties, then nodes; the end where all are closed. */
static const char *check_structure(const void *blob)
{
	bool properties = false; /* may come here */
	int at = 0, next = 0, depth = 0;

	for (;; at = next) {
		const char *wrong = NULL;
		const uint32_t tag = fdt_next_tag(blob, at, &next);
		if (next < 0 || (tag == FDT_PROP && wraps(blob, at, next)))
			return "has a structure without an end";
		if (tag != FDT_BEGIN_NODE && at == 0)
			return "has no root node";
		if (at && !depth && tag != FDT_END)
			return "goes on behind its root node";
		switch (tag) {
		case FDT_BEGIN_NODE:
			wrong = check_node(blob, at, depth++);
			properties = true;
			break;
		case FDT_END_NODE:
			depth--;
			properties = false;
			break;
		case FDT_PROP:
			wrong = properties ? check_property(blob, at)
					   : "has a property behind a subnode";
			break;
		case FDT_NOP:
			break;
		case FDT_END:
			return depth ? "ends inside a node" : NULL;
		default:
			return "has an unknown tag in its structure";
		}
		if (wrong)
			return wrong;
	}
}

const char *axfdt_check(const void *blob, size_t size)
{
	const char *wrong = check_header(blob, size);

	if (!wrong && fdt_num_mem_rsv(blob) < 0)
		wrong = "has a memory reserve map without an end";
	if (!wrong)
		wrong = check_strings(blob);
	return wrong ? wrong : check_structure(blob);
}

/* ---- from outside ---------------------------------------------------------------------------- */

static int refuse(const char *name, const char *wrong, bool text, struct ax_error *err)
{
	char label[96];

	axfdt_set_label(label, sizeof(label), name);
	ax_error_set(err, AX_ERROR_BOOT_IMAGE, EINVAL,
		     "%s: %s%s, expected a flattened device tree (DTB)", label, wrong,
		     text ? " and is text" : "");
	return ax_error_hint(err, text ? "a DTB made by dtc; a .dts must be compiled first: "
					 "dtc -I dts -O dtb"
				       : "a DTB made by dtc, of at most 2 MiB");
}

static bool looks_like_text(const char *bytes, size_t size)
{
	const size_t len = size < 64 ? size : 64;

	for (size_t i = 0; i < len; i++)
		if ((bytes[i] < ' ' && !strchr("\t\r\n", bytes[i])) || !bytes[i] || bytes[i] > '~')
			return false;
	return len > 0;
}

int axfdt_parse(const void *blob, size_t size, const char *name, struct axfdt **ret_fdt,
		struct ax_error *err)
{
	const bool text = looks_like_text(blob, size);

	if (!name)
		name = "unnamed";
	if (size == 0)
		return refuse(name, "is empty", false, err);
	if (size > AXFDT_MAX_BYTES)
		return refuse(name, "is larger than 2 MiB", text, err);
	/* Aligned, and out of the reach of whoever may change the original meanwhile. */
	void *copy = malloc(size);
	const size_t capacity = ax_align_up(size, 8) + AXFDT_GROW_BYTES;
	void *tree = copy ? malloc(capacity) : NULL;
	if (!tree) {
		free(copy);
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "device tree '%s': no memory for %zu bytes", name, capacity);
	}
	memcpy(copy, blob, size);
	const char *wrong = axfdt_check(copy, size);
	/* Puts the blocks in order. Those that overlap may take more room than they came in. */
	if (!wrong && fdt_open_into(copy, tree, (int)capacity) < 0)
		wrong = "has blocks that overlap";
	free(copy);
	if (wrong) {
		free(tree);
		return refuse(name, wrong, text, err);
	}
	return axfdt_wrap(tree, capacity, name, ret_fdt, err);
}

int axfdt_load(int fd, const char *name, struct axfdt **ret_fdt, struct ax_error *err)
{
	struct stat st;

	if (!name)
		name = "unnamed";
	if (fstat(fd, &st) < 0) {
		const int error = errno;
		return ax_error_set(err, AX_ERROR_BOOT_IMAGE, error,
				    "device tree '%s': cannot be read: %s", name, strerror(error));
	}
	if (S_ISDIR(st.st_mode))
		return refuse(name, "is a directory", false, err);
	if (!S_ISREG(st.st_mode))
		return refuse(name, "is not a regular file", false, err);
	if (st.st_size == 0)
		return refuse(name, "is empty", false, err);
	if (st.st_size < 0 || (uint64_t)st.st_size > AXFDT_MAX_BYTES)
		return refuse(name, "is larger than 2 MiB", false, err);
	AX_AUTO_FREE void *bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "device tree '%s': no memory for %lld bytes", name,
				    (long long)st.st_size);
	const int rc = ax_pread_full(fd, bytes, (size_t)st.st_size, 0);
	if (rc < 0)
		return ax_error_set(err, AX_ERROR_BOOT_IMAGE, -rc,
				    "device tree '%s': reading %lld bytes failed: %s", name,
				    (long long)st.st_size, strerror(-rc));
	return axfdt_parse(bytes, (size_t)st.st_size, name, ret_fdt, err);
}
