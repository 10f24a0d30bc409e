/*
 * What the loader's files share among themselves: the image being read, what a kernel turned out to
 * need, and the steps x86_load (load.c) puts together. Nobody outside the loader includes this.
 */
#ifndef AXVM_ARCH_X86_64_LOAD_H
#define AXVM_ARCH_X86_64_LOAD_H

#include "x86.h"

/* ---- an open image file (image.c) ------------------------------------------------------------ */

struct x86_image {
	int fd;
	const char *what; /* "kernel", "initrd" */
	const char *name; /* as the user called it */
	uint64_t size_bytes;
};
/* Refuses what is no regular file and what is empty. */
int x86_image_open(int fd, const char *what, const char *name, struct x86_image *ret_image,
		   struct ax_error *err);
/* All of len bytes at offset; `field` names them in the message when the file is too short. */
int x86_image_read(const struct x86_image *image, uint64_t offset, void *buf, size_t len,
		   const char *field, struct ax_error *err);
/* AX_ERROR_BOOT_IMAGE with "kernel 'name': " in front. */
int x86_image_error(const struct x86_image *image, struct ax_error *err, const char *fmt, ...)
	AX_PRINTF(3, 4);
/* How a file that is no kernel introduces itself ("a gzip file"); NULL when nothing is known. */
const char *x86_image_guess(const uint8_t *head, size_t len);

/* ---- what a kernel needs --------------------------------------------------------------------- */

enum x86_handover {
	X86_HANDOVER_ZERO_PAGE,
	X86_HANDOVER_PVH,
};

#define X86_SETUP_HEADER_OFFSET 0x1f1u /* in file and zero page */
#define X86_SETUP_HEADER_END    0x290u /* the zero page goes on with other things here */

struct x86_kernel {
	enum x86_handover handover;
	enum x86_start_mode mode;
	uint64_t entry;
	uint64_t load_gpa, end_gpa; /* RAM it occupies until it has taken over */
	uint32_t cmdline_max;       /* longest command line in bytes, NUL not counted */
	uint64_t initrd_max_gpa;    /* last byte an initrd may occupy */
	bool initrd_above_4g;
	/* The setup header as the image has it, edited by the loader; zero page offset i is
	 * setup_header[i - X86_SETUP_HEADER_OFFSET]. */
	uint8_t setup_header[X86_SETUP_HEADER_END - X86_SETUP_HEADER_OFFSET];
};

struct x86_initrd {
	uint64_t gpa, size_bytes; /* size 0: none */
};

/* ---- the steps ---------------------------------------------------------------------------------
 */

/* Is the whole range RAM? */
bool x86_plan_is_ram(const struct axarch_plan *plan, uint64_t gpa, uint64_t size_bytes);
uint64_t x86_plan_low_ram_end(const struct axarch_plan *plan);
/* axas_write / axas_zero with a typed error naming what was being written. */
int x86_write(struct axas *memory, uint64_t gpa, const void *buf, size_t len, const char *what,
	      struct ax_error *err);

/* The descriptors of one mode. */
int x86_write_gdt(struct axas *memory, enum x86_start_mode mode, struct ax_error *err);

int x86_load_bzimage(struct axas *memory, const struct axarch_plan *plan,
		     const struct x86_image *image, enum axarch_boot_protocol protocol,
		     struct x86_kernel *ret_kernel, struct ax_error *err);
int x86_load_elf(struct axas *memory, const struct axarch_plan *plan, const struct x86_image *image,
		 enum axarch_boot_protocol protocol, struct x86_kernel *ret_kernel,
		 struct ax_error *err);
/* Looks through one PT_NOTE segment; *ret_found and *ret_entry stay as they are when it has none.
 */
int x86_find_pvh_note(const struct x86_image *image, uint64_t offset, uint64_t size_bytes,
		      uint64_t segment_align, bool *ret_found, uint64_t *ret_entry,
		      struct ax_error *err);
/* The whole start: a flat image is told nothing. */
int x86_load_flat(struct axas *memory, const struct x86_boot_info *info,
		  struct x86_start *ret_start, struct ax_error *err);
int x86_load_initrd(struct axas *memory, const struct axarch_plan *plan,
		    const struct axarch_boot *boot, const struct x86_kernel *kernel,
		    struct x86_initrd *ret_initrd, struct ax_error *err);
int x86_write_cmdline(struct axas *memory, const struct x86_boot_info *info, uint32_t max_len,
		      struct ax_error *err);
int x86_write_zero_page(struct axas *memory, const struct axarch_plan *plan,
			const struct x86_kernel *kernel, const struct x86_initrd *initrd,
			uint64_t rsdp_gpa, struct ax_error *err);
int x86_write_pvh_info(struct axas *memory, const struct axarch_plan *plan,
		       const struct x86_initrd *initrd, uint64_t rsdp_gpa, struct ax_error *err);

#endif
