/*
 * Private to the files here: the tree as a libfdt blob in a buffer with room to grow, the failure
 * that is kept, exact paths, and raw surgery on the structure block where libfdt has no call for
 * it. Offsets are libfdt's: bytes from the start of the structure block, 0 is the root.
 */
#ifndef AXVM_ARCH_FDT_PRIVATE_H
#define AXVM_ARCH_FDT_PRIVATE_H

#include <axvm/fdt.h>
#include <libfdt.h>

enum {
	AXFDT_MAX_DEPTH = 64, /* nodes in a path, the root too */
	AXFDT_MAX_NAME = 255, /* bytes of a node's or a property's name */
	AXFDT_MAX_CELLS = 32, /* more cells than any #*-cells says */
	AXFDT_GROW_BYTES = 4096,
};

struct axfdt {
	void *blob;      /* as fdt_open_into leaves it: reserve map, structure, strings */
	size_t capacity; /* of the allocation; the blob's totalsize is at most that */
	bool failed;
	struct ax_error error; /* the first failure, when failed */
	char label[96];        /* "device tree" or "device tree 'name'", for messages */
	/* The node that was made or changed last, where the next change mostly is. Changes in it
	 * and below do not move it; those elsewhere forget it. "": none. */
	char last_path[96];
	int last_node;
};

/* Takes the blob, which is totalsize <= capacity bytes and checked. */
int axfdt_wrap(void *blob, size_t capacity, const char *name, struct axfdt **ret_fdt,
	       struct ax_error *err);
void axfdt_set_label(char *label, size_t size, const char *name);

/* Keeps the first failure. `path` may be NULL, and so may `property`. */
void axfdt_fail(struct axfdt *fdt, enum ax_error_kind kind, int sys_errno, const char *path,
		const char *property, const char *fmt, ...) AX_PRINTF(6, 7);
void axfdt_fail_rc(struct axfdt *fdt, int rc, const char *path, const char *property);
/* `do rc = fdt_...; while (axfdt_again(fdt, rc));` - true after more room has been made for a call
 * that had too little. Offsets stay as they are, pointers do not. */
bool axfdt_again(struct axfdt *fdt, int rc);

bool axfdt_valid_node_name(const char *name, size_t len);
bool axfdt_valid_property_name(const char *name, size_t len);
/* NULL, or what is wrong with a blob of which `size` bytes may be read. */
const char *axfdt_check(const void *blob, size_t size);

/* The node of exactly that path, or a negative libfdt error; aliases and names without their unit
 * address are not followed. */
int axfdt_find(const void *blob, const char *path);
/* The node, made with all above it where they are missing; negative after a failure. */
int axfdt_make(struct axfdt *fdt, const char *path);
/* "/cpus/cpu@1" has the base name "cpu". */
bool axfdt_has_base_name(const void *blob, int node, const char *base);
/* What is behind the node and all below it. */
int axfdt_node_end(const void *blob, int node);
/* The property when it is exactly one cell, else `otherwise`. */
uint32_t axfdt_cell(const void *blob, int node, const char *property, uint32_t otherwise);
/* Room for a value of `size` bytes that the caller fills, NULL after a failure. */
void *axfdt_reserve(struct axfdt *fdt, int node, const char *path, const char *property,
		    size_t size);
/* Before a change by other means than axfdt_make and axfdt_reserve. */
void axfdt_forget_last(struct axfdt *fdt);
/* Structure-block bytes (whole nodes) put in at the offset `at`. False after a failure. */
bool axfdt_insert(struct axfdt *fdt, int at, const void *bytes, size_t size);
/* Takes out what fdt_nop_node and fdt_nop_property left; offsets change. */
void axfdt_squeeze(struct axfdt *fdt);

/* ---- values ---------------------------------------------------------------------------------- */

/* #address-cells or #size-cells as far as numbers of 64 bits go, `otherwise` when it is not there;
 * 0 after a failure. */
uint32_t axfdt_read_cells(struct axfdt *fdt, int node, const char *path, const char *property,
			  uint32_t otherwise);
/* The next `cells` cells of a value; false when the number needs more. */
bool axfdt_put_number(uint8_t **at, uint64_t number, uint32_t cells);
/* By base name or device_type. */
bool axfdt_is_a(const void *blob, int node, const char *what);

/* ---- references, for axfdt_select ------------------------------------------------------------ */

struct axfdt_entry {
	int offset;
	int depth;
	size_t parent; /* index; the root is its own parent */
	bool dropped, kept, whole;
};
struct axfdt_phandle {
	uint32_t phandle;
	size_t node;
};
/* All nodes in the order of the tree, which is that of their offsets. */
struct axfdt_nodes {
	const void *blob;
	struct axfdt_entry *entry;
	size_t count;
	struct axfdt_phandle *phandle; /* sorted */
	size_t phandle_count;
};

/* Tells fn every node that a property of `node` is known to refer to; one it tells may come twice.
 */
void axfdt_each_reference(const struct axfdt_nodes *nodes, size_t node,
			  void (*fn)(void *ctx, size_t node, size_t target), void *ctx);

#endif
