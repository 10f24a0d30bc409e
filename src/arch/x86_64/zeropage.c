/*
 * What a kernel is handed: the zero page of the Linux boot protocol (Documentation/arch/x86/
 * zero-page.rst) or PVH's hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h), each with
 * the e820 map, command line, initrd and RSDP.
 */
#include "load.h"
#include "le.h"

#include <string.h>

/* Zero page fields by offset. */
enum {
	ACPI_RSDP_ADDR = 0x070,
	EXT_RAMDISK_IMAGE = 0x0c0,
	EXT_RAMDISK_SIZE = 0x0c4,
	E820_ENTRIES = 0x1e8,
	BOOT_FLAG = 0x1fe,
	HEADER = 0x202,
	VERSION = 0x206,
	TYPE_OF_LOADER = 0x210,
	LOADFLAGS = 0x211,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	HEAP_END_PTR = 0x224,
	EXT_LOADER_VER = 0x226,
	EXT_LOADER_TYPE = 0x227,
	CMD_LINE_PTR = 0x228,
	KERNEL_ALIGNMENT = 0x230,
	CMDLINE_SIZE = 0x238,
	SETUP_DATA = 0x250,
	E820_TABLE = 0x2d0,
};
enum { LOADED_HIGH = 0x01, KEEP_SEGMENTS = 0x40, CAN_USE_HEAP = 0x80 };
enum { E820_ENTRY_SIZE = 20, LOADER_UNDEFINED = 0xff };

int x86_write_zero_page(struct axas *memory, const struct axarch_plan *plan,
			const struct x86_kernel *kernel, const struct x86_initrd *initrd,
			uint64_t rsdp_gpa, struct ax_error *err)
{
	struct x86_e820_entry map[X86_E820_MAX];
	uint8_t page[0x1000] = {0};

	memcpy(page + X86_SETUP_HEADER_OFFSET, kernel->setup_header, sizeof(kernel->setup_header));
	if (memcmp(page + HEADER, "HdrS", 4) != 0) {
		/* A vmlinux has no header; what the kernel proper reads of one: */
		x86_put16(page, BOOT_FLAG, 0xaa55);
		memcpy(page + HEADER, "HdrS", 4);
		x86_put16(page, VERSION, 0x20f);
		page[LOADFLAGS] = LOADED_HIGH;
		x86_put32(page, KERNEL_ALIGNMENT, 0x1000000);
		x86_put32(page, CMDLINE_SIZE, kernel->cmdline_max);
	}
	page[TYPE_OF_LOADER] = LOADER_UNDEFINED;
	page[EXT_LOADER_TYPE] = 0;
	page[EXT_LOADER_VER] = 0;
	/* Segments are as the protocol wants them, the kernel may load its own. */
	page[LOADFLAGS] = (uint8_t)((page[LOADFLAGS] | CAN_USE_HEAP) & ~KEEP_SEGMENTS);
	x86_put16(page, HEAP_END_PTR, 0xe000 - 0x200);
	x86_put32(page, CMD_LINE_PTR, X86_CMDLINE_GPA);
	x86_put64(page, SETUP_DATA, 0);
	x86_put64(page, ACPI_RSDP_ADDR, rsdp_gpa);

	x86_put32(page, RAMDISK_IMAGE, (uint32_t)initrd->gpa);
	x86_put32(page, RAMDISK_SIZE, (uint32_t)initrd->size_bytes);
	x86_put32(page, EXT_RAMDISK_IMAGE, (uint32_t)(initrd->gpa >> 32));
	x86_put32(page, EXT_RAMDISK_SIZE, (uint32_t)(initrd->size_bytes >> 32));

	const size_t count = x86_e820(plan, map);
	page[E820_ENTRIES] = (uint8_t)count;
	for (size_t i = 0; i < count; i++) {
		const size_t at = E820_TABLE + i * E820_ENTRY_SIZE;
		x86_put64(page, at, map[i].gpa);
		x86_put64(page, at + 8, map[i].size_bytes);
		x86_put32(page, at + 16, map[i].type);
	}
	return axarch_write(memory, X86_ZERO_PAGE_GPA, page, sizeof(page), "zero page", err);
}

/* Offsets in the page at X86_PVH_INFO_GPA. */
enum { PVH_START_INFO = 0x000, PVH_MODLIST = 0x040, PVH_MEMMAP = 0x080 };
enum { PVH_MAGIC = 0x336ec578, PVH_VERSION = 1, PVH_MEMMAP_ENTRY_SIZE = 24 };

int x86_write_pvh_info(struct axas *memory, const struct axarch_plan *plan,
		       const struct x86_initrd *initrd, uint64_t rsdp_gpa, struct ax_error *err)
{
	struct x86_e820_entry map[X86_E820_MAX];
	uint8_t page[0x1000] = {0};
	const size_t count = x86_e820(plan, map);

	x86_put32(page, PVH_START_INFO, PVH_MAGIC);
	x86_put32(page, PVH_START_INFO + 4, PVH_VERSION);
	if (initrd->size_bytes) {
		x86_put32(page, PVH_START_INFO + 12, 1); /* nr_modules */
		x86_put64(page, PVH_START_INFO + 16, X86_PVH_INFO_GPA + PVH_MODLIST);
		x86_put64(page, PVH_MODLIST, initrd->gpa);
		x86_put64(page, PVH_MODLIST + 8, initrd->size_bytes);
	}
	x86_put64(page, PVH_START_INFO + 24, X86_CMDLINE_GPA);
	x86_put64(page, PVH_START_INFO + 32, rsdp_gpa);
	x86_put64(page, PVH_START_INFO + 40, X86_PVH_INFO_GPA + PVH_MEMMAP);
	x86_put32(page, PVH_START_INFO + 48, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const size_t at = PVH_MEMMAP + i * PVH_MEMMAP_ENTRY_SIZE;
		x86_put64(page, at, map[i].gpa);
		x86_put64(page, at + 8, map[i].size_bytes);
		x86_put32(page, at + 16, map[i].type); /* the numbers are e820's */
	}
	return axarch_write(memory, X86_PVH_INFO_GPA, page, sizeof(page), "PVH start info", err);
}
