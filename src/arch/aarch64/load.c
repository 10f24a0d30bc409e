/*
 * a64_load: from an open kernel file to a machine ready to run. Says where the kernel goes, what it
 * needs, and where the first CPU starts; the steps are ../tree_load.c's.
 * Documentation/arch/arm64/booting.rst.
 */
#include "aarch64.h"
#include "../tree.h"

#include <errno.h>

#define BASE_ALIGN  (2ULL << 20)
#define CMDLINE_MAX 2047u /* COMMAND_LINE_SIZE, NUL not counted */
/* Kernel and initrd must lie in one window of this size, which begins on a multiple of 1 GiB. */
#define WINDOW (32ULL << 30)

static const struct axarch_linux_image_format format = {
	.name = "an arm64",
	.magic = {'A', 'R', 'M', 0x64},
	.text_offset = 0x80000, /* of kernels before Linux 3.17 */
};

static int load_kernel(struct axas *memory, const void *ctx, uint64_t *ret_entry, uint64_t *ret_end,
		       struct ax_error *err)
{
	const struct a64_boot_info *info = ctx;
	struct axarch_linux_image header = {0};
	struct axarch_image image;
	int rc = axarch_image_open(info->boot->kernel_fd, "kernel", info->boot->kernel_name, &image,
				   err);

	if (rc == 0)
		rc = axarch_linux_image_read(&image, &format, &header, err);
	if (rc < 0)
		return rc;
	const uint64_t base = ax_align_up(A64_DTB_GPA + A64_DTB_SIZE, BASE_ALIGN);
	const uint64_t start = base + header.text_offset;
	const uint64_t end = start + header.memory_bytes;
	if (end > axarch_tree_ram_end(info->plan)) {
		axarch_image_error(&image, err,
				   "needs memory up to 0x%llx with its BSS, RAM ends at 0x%llx",
				   (unsigned long long)end,
				   (unsigned long long)axarch_tree_ram_end(info->plan));
		return ax_error_hint(
			err, "raise --memory to at least %lluM",
			(unsigned long long)((end - A64_RAM_GPA + AX_MIB - 1) / AX_MIB));
	}
	rc = axas_load_fd(memory, start, image.fd, 0, image.size_bytes, err);
	if (rc < 0)
		return rc;
	*ret_entry = start;
	*ret_end = end;
	return 0;
}

static uint64_t cpu_id(const void *ctx, uint32_t index)
{
	(void)ctx;
	return a64_mpidr(index);
}

int a64_load(struct axas *memory, const struct a64_boot_info *info, struct a64_start *ret_start,
	     struct ax_error *err)
{
	const size_t kaslr = sizeof(uint64_t);
	const bool seeded = info->seed && info->seed_bytes > kaslr;
	const uint64_t end = axarch_tree_ram_end(info->plan), window = A64_RAM_GPA + WINDOW;
	const struct axarch_tree_machine machine = {
		.arch = "aarch64",
		.config = info->config,
		.plan = info->plan,
		.boot = info->boot,
		.machine = info->machine,
		.info = info,
		.dtb_gpa = A64_DTB_GPA,
		.dtb_size = A64_DTB_SIZE,
		.serial_gpa = A64_UART_GPA,
		.pvpanic_gpa = A64_PVPANIC_GPA,
		.seed = seeded ? info->seed + kaslr : NULL,
		.seed_bytes = seeded ? info->seed_bytes - kaslr : 0,
		.has_cache_registers = true,
		.kaslr_seed = seeded ? info->seed : NULL,
		.load_kernel = load_kernel,
		.initrd_ceiling = end < window ? end : window,
		.cmdline_max = CMDLINE_MAX,
		.entry_align = 4,
		.flat_gpa = A64_DTB_GPA + A64_DTB_SIZE,
		.cpu_id = cpu_id,
		.put_nodes = a64_put_nodes,
		.given_room = a64_given_room,
		.put_edge = a64_put_edge,
	};
	uint64_t entry = 0;
	int rc = axarch_tree_load(memory, &machine, &entry, err);

	if (rc == 0)
		*ret_start = (struct a64_start){.pc = entry, .x0 = A64_DTB_GPA};
	return rc;
}
