/*
 * What the planners and loaders of the architectures have in common: image files, the kernel's
 * command line, RAM of a plan, the Image format. Model code: compiles and is tested on every host.
 */
#ifndef AXVM_ARCH_BOOT_H
#define AXVM_ARCH_BOOT_H

#include <axvm/arch.h>

/* ---- planning (plan.c) ----------------------------------------------------------------------- */

/* 1..max? The error names the range. */
int axarch_check_cpus(uint32_t count, uint32_t max, struct ax_error *err);
/* Within min..max and whole pages? The error names the range. */
int axarch_check_memory(uint64_t bytes, uint64_t min, uint64_t max, struct ax_error *err);
int axarch_plan_add(struct axarch_plan *plan, const char *name, enum axas_layout_kind kind,
		    uint64_t gpa, uint64_t size_bytes, struct ax_error *err);
/* To plan->memory, in a piece for each node that it lies on: the next size_bytes of the memory that
 * is asked for, which ends no later than config->memory_bytes. */
void axarch_plan_split_ram(struct axarch_plan *plan, const struct axarch_vm_config *config,
			   uint64_t gpa, uint64_t size_bytes);
/* The same, and to the layout in one piece. */
int axarch_plan_add_ram(struct axarch_plan *plan, const struct axarch_vm_config *config,
			uint64_t gpa, uint64_t size_bytes, struct ax_error *err);
/* `count` windows of virtio-mmio from plan->device_gpa on, with the lines from gsi on. */
int axarch_plan_add_slots(struct axarch_plan *plan, uint32_t count, uint32_t gsi,
			  struct ax_error *err);
/* Lower plan->gpa_limit to that many address bits (0: no limit); refuses a plan whose RAM would lie
 * beyond. The message: "this host's `whose` 40 `kind`". */
int axarch_plan_narrow(struct axarch_plan *plan, unsigned bits, const char *whose, const char *kind,
		       struct ax_error *err);
/* Where the RAM ends that goes on from gpa without a hole; gpa when there is none. */
uint64_t axarch_plan_ram_end(const struct axarch_plan *plan, uint64_t gpa);
/* Is the whole range RAM? */
bool axarch_plan_is_ram(const struct axarch_plan *plan, uint64_t gpa, uint64_t size_bytes);

/* What was asked for and `arch` does not have: -ENOTSUP with option, value and remedy. */
int axarch_refuse_gic(const struct axarch_vm_config *config, const char *arch,
		      struct ax_error *err);
int axarch_refuse_pl011(const struct axarch_vm_config *config, const char *arch,
			struct ax_error *err);
int axarch_refuse_dtb(const struct axarch_boot *boot, const char *arch, struct ax_error *err);
/* A flat image takes none: -EINVAL. */
int axarch_refuse_initrd(const struct axarch_boot *boot, struct ax_error *err);

/* ---- topology (topology.c) ------------------------------------------------------------------- */

/* Does the topology, if there is one, describe this machine? AX_ERROR_CONFIGURATION with the value
 * that does not fit. */
int axarch_check_topology(const struct axarch_vm_config *config, struct ax_error *err);
/* A copy in one block, to be freed with free(); NULL when the configuration has none. */
int axarch_copy_topology(const struct axarch_vm_config *config, struct axarch_topology **ret_copy,
			 struct ax_error *err);

/* Where a vCPU stands: packages counted from 0 in order of their numbers, last level caches and
 * cores in their package, threads in their core in order of the vCPUs. Cores are counted from cache
 * to cache, and by llc_core in each. */
struct axarch_cpu_place {
	uint32_t package, core, thread, llc, llc_core;
};
#define AXARCH_TOPOLOGY_MAX_VCPUS 1024u
/* Of all vCPUs, when there is a topology. Fails only where axarch_check_topology does. */
int axarch_cpu_places(const struct axarch_vm_config *config, struct axarch_cpu_place *ret_places,
		      struct ax_error *err);

/* ---- an open image file (image.c) ------------------------------------------------------------ */

struct axarch_image {
	int fd;
	const char *what; /* "kernel", "initrd" */
	const char *name; /* as the user called it */
	uint64_t size_bytes;
};
/* Refuses what is no regular file and what is empty. */
int axarch_image_open(int fd, const char *what, const char *name, struct axarch_image *ret_image,
		      struct ax_error *err);
/* All of len bytes at offset; `field` names them in the message when the file is too short. */
int axarch_image_read(const struct axarch_image *image, uint64_t offset, void *buf, size_t len,
		      const char *field, struct ax_error *err);
/* Is the entry in the image, which is loaded at gpa? */
int axarch_image_check_entry(const struct axarch_image *image, uint64_t gpa, uint64_t entry,
			     struct ax_error *err);
/* AX_ERROR_BOOT_IMAGE with "kernel 'name': " in front. */
int axarch_image_error(const struct axarch_image *image, struct ax_error *err, const char *fmt, ...)
	AX_PRINTF(3, 4);
/* How a file that is no kernel introduces itself ("a gzip file"); NULL when nothing is known. */
const char *axarch_image_guess(const uint8_t *head, size_t len);
/* axas_write with a typed error naming what was being written. */
int axarch_write(struct axas *memory, uint64_t gpa, const void *buf, size_t len, const char *what,
		 struct ax_error *err);

/* ---- the command line (cmdline.c) ------------------------------------------------------------ */

/* A word of its own on a command line? */
bool axarch_cmdline_has(const char *cmdline, const char *word);
/* The line as the kernel gets it: checked, virtio_mmio.device= for each device put in when
 * `announce` says so, at most `max` bytes (NUL not counted). *ret_line is the caller's to free. */
int axarch_cmdline(const struct axarch_boot *boot, const struct axarch_machine *machine,
		   bool announce, uint64_t max, char **ret_line, struct ax_error *err);

/* ---- Linux' Image (linux_image.c) ------------------------------------------------------------ */

/* arm64 and riscv share it: Documentation/arch/{arm64/booting,riscv/boot-image-header}.rst. */
struct axarch_linux_image {
	uint64_t text_offset;  /* from a 2 MiB boundary */
	uint64_t memory_bytes; /* image with its BSS */
	uint64_t flags;        /* bit 0: big-endian */
};
struct axarch_linux_image_format {
	const char *name;     /* "arm64" */
	uint8_t magic[4];     /* at 0x38 */
	uint64_t text_offset; /* when the header gives none: image_size is 0 before Linux 3.17 */
};
/* Header of an open kernel; refuses every other file, big-endian kernels, and sizes that make no
 * sense. */
int axarch_linux_image_read(const struct axarch_image *image,
			    const struct axarch_linux_image_format *format,
			    struct axarch_linux_image *ret_header, struct ax_error *err);

/* ---- an initrd (initrd.c) -------------------------------------------------------------------- */

/* As high as it goes on a page boundary in [floor, ceiling), which is RAM; *ret_gpa is 0 and
 * *ret_size 0 when boot has none. */
int axarch_load_initrd(struct axas *memory, const struct axarch_boot *boot, uint64_t floor,
		       uint64_t ceiling, uint64_t *ret_gpa, uint64_t *ret_size,
		       struct ax_error *err);

#endif
