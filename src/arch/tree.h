/*
 * A machine that is described by a device tree: booting it and writing the tree, for all of which
 * an architecture decides only what this struct says. Model code.
 */
#ifndef AXVM_ARCH_TREE_H
#define AXVM_ARCH_TREE_H

#include "boot.h"

#include <axvm/fdt.h>

struct axarch_tree_machine {
	const char *arch; /* "aarch64" */
	const struct axarch_vm_config *config;
	const struct axarch_plan *plan;
	const struct axarch_boot *boot;
	const struct axarch_machine *machine;
	const void *info; /* the architecture's own, for the functions below */

	/* Where the tree goes, and what room it has. */
	uint64_t dtb_gpa, dtb_size;
	uint64_t serial_gpa, pvpanic_gpa;
	/* For the kernel's random number generator; NULL: none. */
	const uint8_t *seed;
	size_t seed_bytes;
	const uint8_t *kaslr_seed; /* 8 bytes */

	/* The kernel at its place, for what ends behind it. */
	int (*load_kernel)(struct axas *memory, const void *info, uint64_t *ret_entry,
			   uint64_t *ret_end, struct ax_error *err);
	uint64_t initrd_ceiling;
	uint64_t cmdline_max; /* NUL not counted */
	/* Flat images: what an entry is a multiple of, and an address to propose. */
	unsigned entry_align;
	uint64_t flat_gpa;

	/* CPUs tell of caches by registers; a tree then has to say which of them they share. */
	bool has_cache_registers;
	/* The id of a CPU, as its node's reg has it. */
	uint64_t (*cpu_id)(const void *info, uint32_t index);
	/* CPUs, interrupt controllers, and the devices only this architecture has. */
	void (*put_nodes)(struct axfdt *fdt, const void *info);
	/* For how many CPUs the interrupt controller of a given tree has room; UINT32_MAX: it does
	 * not say. */
	uint32_t (*given_room)(const struct axfdt *fdt, const void *info);
	/* The interrupt of a device that raises edges, if there are lines at all. */
	void (*put_edge)(struct axfdt *fdt, const void *info, const char *path, uint32_t gsi);
};

/* Kernel, initrd and device tree into memory. Every malformed image is refused with file, value
 * and expectation. The tree is the machine's own, or the given one with memory, cpus and chosen
 * replaced; a flat image's has no command line. */
int axarch_tree_load(struct axas *memory, const struct axarch_tree_machine *m, uint64_t *ret_entry,
		     struct ax_error *err);

/* Where the first piece of RAM ends; these machines have but one. */
uint64_t axarch_tree_ram_end(const struct axarch_plan *plan);

/* ---- nodes (tree.c) -------------------------------------------------------------------------- */

#define AXARCH_TREE_PATH_MAX 40
/* The node "/name@gpa" of a device there; `compatible` as axfdt_set_strings has it. */
void axarch_tree_put_device(struct axfdt *fdt, char path[AXARCH_TREE_PATH_MAX], const char *name,
			    const char *compatible, uint64_t gpa, uint64_t size_bytes);
/* The serial port where it is a 16550, but for its interrupt. */
void axarch_tree_put_16550(struct axfdt *fdt, char path[AXARCH_TREE_PATH_MAX], uint64_t gpa);
/* Before the first CPU, if there is a topology: the node of its map, which is found faster there
 * than behind a thousand CPUs. */
void axarch_tree_begin_cpus(struct axfdt *fdt, const struct axarch_vm_config *config);
/* What the topology, if there is one, says of a CPU whose node is at `path`. */
void axarch_tree_put_cpu(struct axfdt *fdt, const struct axarch_vm_config *config, const char *path,
			 uint32_t index);
#define AXARCH_TREE_PHANDLE_CPU 0x10000u /* and those behind it, by index */
/* And of memory, distances, packages and cores (tree_numa.c). */
void axarch_tree_put_topology(struct axfdt *fdt, const struct axarch_tree_machine *m);
int axarch_tree_write(struct axas *memory, const struct axarch_tree_machine *m, const char *cmdline,
		      uint64_t initrd_gpa, uint64_t initrd_bytes, struct ax_error *err);

#endif
