/*
 * What the loader's files share among themselves: what a kernel turned out to need, and the steps
 * x86_load (load.c) puts together. Nobody outside the loader includes this.
 */
#ifndef AXVM_ARCH_X86_64_LOAD_H
#define AXVM_ARCH_X86_64_LOAD_H

#include "x86.h"
#include "../boot.h"

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

/* ---- the steps ------------------------------------------------------------------------------- */

uint64_t x86_plan_low_ram_end(const struct axarch_plan *plan);
/* The descriptors of one mode. */
int x86_write_gdt(struct axas *memory, enum x86_start_mode mode, struct ax_error *err);

int x86_load_bzimage(struct axas *memory, const struct axarch_plan *plan,
		     const struct axarch_image *image, enum axarch_boot_protocol protocol,
		     struct x86_kernel *ret_kernel, struct ax_error *err);
int x86_load_elf(struct axas *memory, const struct axarch_plan *plan,
		 const struct axarch_image *image, enum axarch_boot_protocol protocol,
		 struct x86_kernel *ret_kernel, struct ax_error *err);
/* Looks through one PT_NOTE segment; *ret_found and *ret_entry stay as they are when it has none.
 */
int x86_find_pvh_note(const struct axarch_image *image, uint64_t offset, uint64_t size_bytes,
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
