/*
 * rv64_load: from an open kernel file to a machine ready to run. Says where the kernel goes, what
 * it needs and where the tree is, and where the first hart starts; the steps are ../tree_load.c's.
 * Linux' Documentation/arch/riscv/boot.rst.
 */
#include "riscv64.h"
#include "../tree.h"

#include <errno.h>

#define BASE_ALIGN  (2ULL << 20)
#define CMDLINE_MAX 1023u /* COMMAND_LINE_SIZE, NUL not counted */
/* Kernels find the tree through a mapping of their own before they know where RAM is; within the
 * first GiB all of them do. */
#define DTB_CEILING (1ULL << 30)

static const struct axarch_linux_image_format format = {
	.name = "a riscv64",
	.magic = {'R', 'S', 'C', 0x05},
	.text_offset = BASE_ALIGN,
};

uint64_t rv64_dtb_gpa(const struct axarch_plan *plan)
{
	uint64_t end = axarch_tree_ram_end(plan);

	if (end > RV64_RAM_GPA + DTB_CEILING)
		end = RV64_RAM_GPA + DTB_CEILING;
	return ax_align_down(end, BASE_ALIGN) - RV64_DTB_SIZE;
}

static int load_kernel(struct axas *memory, const void *ctx, uint64_t *ret_entry, uint64_t *ret_end,
		       struct ax_error *err)
{
	const struct rv64_boot_info *info = ctx;
	const uint64_t ceiling = rv64_dtb_gpa(info->plan);
	struct axarch_linux_image header = {0};
	struct axarch_image image;
	int rc = axarch_image_open(info->boot->kernel_fd, "kernel", info->boot->kernel_name, &image,
				   err);

	if (rc == 0)
		rc = axarch_linux_image_read(&image, &format, &header, err);
	if (rc < 0)
		return rc;
	const uint64_t start = RV64_RAM_GPA + header.text_offset;
	const uint64_t end = start + header.memory_bytes;
	if (start % BASE_ALIGN)
		return axarch_image_error(&image, err,
					  "has text_offset 0x%llx in its header, expected a "
					  "multiple of 2 MiB",
					  (unsigned long long)header.text_offset);
	if (end > ceiling) {
		axarch_image_error(&image, err,
				   "needs memory up to 0x%llx with its BSS, the device tree is at "
				   "0x%llx",
				   (unsigned long long)end, (unsigned long long)ceiling);
		return ax_error_hint(err, "raise --memory to at least %lluM",
				     (unsigned long long)((ax_align_up(end, BASE_ALIGN) +
							   RV64_DTB_SIZE - RV64_RAM_GPA) /
							  AX_MIB));
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
	const struct rv64_boot_info *info = ctx;

	return rv64_hart_id(info->config, index);
}

int rv64_load(struct axas *memory, const struct rv64_boot_info *info, struct rv64_start *ret_start,
	      struct ax_error *err)
{
	const uint64_t dtb = rv64_dtb_gpa(info->plan);
	const struct axarch_tree_machine machine = {
		.arch = "riscv64",
		.config = info->config,
		.plan = info->plan,
		.boot = info->boot,
		.machine = info->machine,
		.info = info,
		.dtb_gpa = dtb,
		.dtb_size = RV64_DTB_SIZE,
		.serial_gpa = RV64_UART_GPA,
		.pvpanic_gpa = RV64_PVPANIC_GPA,
		.seed = info->seed,
		.seed_bytes = info->seed_bytes,
		.load_kernel = load_kernel,
		.initrd_ceiling = dtb,
		.cmdline_max = CMDLINE_MAX,
		.entry_align = 2,
		.flat_gpa = RV64_RAM_GPA,
		.cpu_id = cpu_id,
		.put_nodes = rv64_put_nodes,
		.given_room = rv64_given_room,
		.put_edge = rv64_put_edge,
	};
	uint64_t entry = 0;
	int rc = axarch_tree_load(memory, &machine, &entry, err);

	if (rc == 0)
		*ret_start = (struct rv64_start){
			.pc = entry,
			.a0 = rv64_hart_id(info->config, 0),
			.a1 = dtb,
		};
	return rc;
}
