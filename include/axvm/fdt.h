/*
 * fdt: device trees as a library, over libfdt: build one, load a given one, patch it, choose what
 * of it stays, put it into guest memory. Pure; part of the arch layer, useful to any embedder.
 *
 * Nodes are named by full paths ("/cpus/cpu@1"); setters make the nodes on the way that are not
 * there yet, each behind its elder siblings, for Linux numbers CPUs and disks in that order.
 * Building is a long row of steps that can only fail by lack of memory, by a bad path or by what a
 * given tree says, so setters return nothing: the first failure is kept, with path and property,
 * and told by axfdt_finish; what is set after it is ignored.
 *
 * Threads: one tree, one thread. Format: Devicetree Specification v0.4, chapter 5.
 */
#ifndef AXVM_FDT_H
#define AXVM_FDT_H

#include <axvm/base.h>
#include <axvm/axaddrspace.h>

struct axfdt;

int axfdt_create(struct axfdt **ret_fdt, struct ax_error *err) AX_MUST_CHECK; /* "/" alone */
/* A DTB of version 17 from memory (copied) or an open file. Everything in it is checked first: a
 * short, corrupt or huge (> AXFDT_MAX_BYTES) one is refused with AX_ERROR_BOOT_IMAGE, name and
 * reason. `name` is for messages (NULL: "unnamed"); bytes behind the tree are ignored. */
int axfdt_parse(const void *blob, size_t size, const char *name, struct axfdt **ret_fdt,
		struct ax_error *err) AX_MUST_CHECK;
int axfdt_load(int fd, const char *name, struct axfdt **ret_fdt,
	       struct ax_error *err) AX_MUST_CHECK;
void axfdt_destroy(struct axfdt *fdt); /* NULL is fine */
#define AXFDT_MAX_BYTES (2u << 20)

/* ---- building and patching ------------------------------------------------------------------- */

/* Values are copied and must not point into the tree itself. Setting replaces. */
void axfdt_node(struct axfdt *fdt, const char *path); /* nothing when it is there */
void axfdt_set_empty(struct axfdt *fdt, const char *path, const char *property);
void axfdt_set_u32(struct axfdt *fdt, const char *path, const char *property, uint32_t value);
void axfdt_set_u64(struct axfdt *fdt, const char *path, const char *property, uint64_t value);
void axfdt_set_string(struct axfdt *fdt, const char *path, const char *property, const char *value);
/* A list of strings, each ended by NUL, one more NUL behind the last: "arm,pl011\0arm,primecell\0".
 */
void axfdt_set_strings(struct axfdt *fdt, const char *path, const char *property,
		       const char *values);
/* Cells in host order; they are stored big-endian. */
void axfdt_set_cells(struct axfdt *fdt, const char *path, const char *property,
		     const uint32_t *cells, size_t count);
/* 64-bit numbers as two cells each: reg with #address-cells = #size-cells = 2. */
void axfdt_set_u64s(struct axfdt *fdt, const char *path, const char *property,
		    const uint64_t *values, size_t count);
void axfdt_set_bytes(struct axfdt *fdt, const char *path, const char *property, const void *bytes,
		     size_t count);
void axfdt_remove_property(struct axfdt *fdt, const char *path, const char *property);
/* The subtree; nothing when it is not there. */
void axfdt_remove(struct axfdt *fdt, const char *path);

/* ---- what every machine says ----------------------------------------------------------------- */

struct axfdt_range {
	uint64_t gpa, size_bytes;
};

/* All memory nodes are replaced by one per range. Uses the root's cell counts; where it has none,
 * 2, which is then written there. */
void axfdt_set_memory(struct axfdt *fdt, const struct axfdt_range *ranges, size_t count);

struct axfdt_chosen {
	const char *cmdline;       /* NULL: leave bootargs as they are */
	struct axfdt_range initrd; /* size 0: no initrd properties */
	const void *seed;          /* rng-seed; NULL: none, also where one was */
	size_t seed_bytes;
	const char *stdout_path; /* NULL: leave */
};
void axfdt_set_chosen(struct axfdt *fdt, const struct axfdt_chosen *chosen);

/* The cpu nodes of a given tree, kept to the first `count` in order of their reg, ids (reg and unit
 * address) replaced by `ids` when that is not NULL. Fewer in the tree than `count`: the rest are
 * copies of the last, with phandles of their own and ids that count on. Where nodes come or go,
 * /cpus/cpu-map, which would name others, goes too; other references to lost CPUs stay. */
void axfdt_keep_cpus(struct axfdt *fdt, const uint64_t *ids, size_t count);

/*
 * Which nodes of a given tree stay: those named in `keep` with their descendants, their ancestors,
 * and whatever any of these refer to by phandle (interrupt parents, clocks, power domains ...),
 * with descendants and ancestors again; and never one named in `drop` or below it, so that a
 * reference to one leads nowhere. /chosen, /cpus, /aliases, /reserved-memory and memory nodes
 * always stay unless dropped; {"/"} keeps everything. Aliases of nodes that are gone go with them.
 * A path that is not there is an error naming it (AX_ERROR_NOT_FOUND), and the tree is as it was.
 */
int axfdt_select(struct axfdt *fdt, const char *const *keep, size_t keep_count,
		 const char *const *drop, size_t drop_count, struct ax_error *err) AX_MUST_CHECK;

/* ---- the result ------------------------------------------------------------------------------ */

/* Packs the tree; the first failure of any setter comes out here. *ret_blob is valid until the tree
 * changes or ends. */
int axfdt_finish(struct axfdt *fdt, const void **ret_blob, size_t *ret_size,
		 struct ax_error *err) AX_MUST_CHECK;
/* finish, then into guest memory at gpa (a multiple of 8), where there are max bytes of room. */
int axfdt_write(struct axfdt *fdt, struct axas *memory, uint64_t gpa, uint64_t max,
		struct ax_error *err) AX_MUST_CHECK;

/* ---- reading --------------------------------------------------------------------------------- */

bool axfdt_has(const struct axfdt *fdt, const char *path);
/* The first node that names this among what it is compatible with. False, and an empty path, when
 * there is none or its path needs more than `size` bytes. */
bool axfdt_find_compatible(const struct axfdt *fdt, const char *compatible, char *ret_path,
			   size_t size);
/* The property's bytes, or NULL. Valid until the tree changes. */
const void *axfdt_get(const struct axfdt *fdt, const char *path, const char *property,
		      size_t *ret_size);
/* The property when it is exactly one cell, else `otherwise`. */
uint32_t axfdt_get_u32(const struct axfdt *fdt, const char *path, const char *property,
		       uint32_t otherwise);
/* The ranges of reg, by the cell counts of the node above: how many there are, the first `max` of
 * them in ret_ranges. 0 when it is missing or is no list of such. */
size_t axfdt_get_ranges(const struct axfdt *fdt, const char *path, struct axfdt_range *ret_ranges,
			size_t max);

#endif
