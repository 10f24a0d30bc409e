/*
 * a64_load: from an open kernel file to a machine ready to run. Puts kernel, initrd and device
 * tree in place and says where the first CPU starts. What the tree says is tree.c's.
 * Documentation/arch/arm64/booting.rst.
 */
#include "aarch64.h"
#include "../boot.h"

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

static uint64_t ram_end(const struct axarch_plan *plan)
{
	return plan->memory[0].gpa + plan->memory[0].size_bytes;
}

/* How this machine's kernels take it, and what to warn of. */
static bool announce_by_cmdline(const struct a64_boot_info *info)
{
	if (!(info->machine->announce & AXARCH_ANNOUNCE_CMDLINE) || !info->machine->device_count)
		return false;
	ax_log(AX_LOG_WARN, "aarch64",
	       "devices are announced on the command line: Linux on aarch64 maps interrupts from "
	       "a device tree only and will not get those of the devices");
	return true;
}

/* ---- Linux ----------------------------------------------------------------------------------- */

static int load_kernel(struct axas *memory, const struct a64_boot_info *info, uint64_t *ret_entry,
		       uint64_t *ret_end, struct ax_error *err)
{
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
	if (end > ram_end(info->plan)) {
		axarch_image_error(
			&image, err, "needs memory up to 0x%llx with its BSS, RAM ends at 0x%llx",
			(unsigned long long)end, (unsigned long long)ram_end(info->plan));
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

static int load_linux(struct axas *memory, const struct a64_boot_info *info,
		      struct a64_start *ret_start, struct ax_error *err)
{
	uint64_t entry = 0, end = 0, initrd_gpa = 0, initrd_bytes = 0;
	uint64_t ceiling = ram_end(info->plan);
	AX_AUTO_FREE char *cmdline = NULL;
	int rc;

	if (info->boot->protocol != AXARCH_BOOT_AUTO &&
	    info->boot->protocol != AXARCH_BOOT_LINUX64) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
			     "the boot protocol asked for is not one of aarch64");
		return ax_error_hint(err, "choose --protocol auto, linux64 or flat");
	}
	if (ceiling > A64_RAM_GPA + WINDOW)
		ceiling = A64_RAM_GPA + WINDOW;
	rc = load_kernel(memory, info, &entry, &end, err);
	if (rc == 0)
		rc = axarch_load_initrd(memory, info->boot, end, ceiling, &initrd_gpa,
					&initrd_bytes, err);
	if (rc == 0)
		rc = axarch_cmdline(info->boot, info->machine, announce_by_cmdline(info),
				    CMDLINE_MAX, &cmdline, err);
	if (rc == 0)
		rc = a64_write_tree(memory, info, cmdline, initrd_gpa, initrd_bytes, err);
	if (rc == 0)
		*ret_start = (struct a64_start){.pc = entry, .x0 = A64_DTB_GPA};
	return rc;
}

/* ---- flat images ----------------------------------------------------------------------------- */

static int load_flat_image(struct axas *memory, const struct a64_boot_info *info, uint64_t entry,
			   struct ax_error *err)
{
	const uint64_t gpa = info->boot->load_gpa;
	struct axarch_image image;
	int rc = axarch_image_open(info->boot->kernel_fd, "kernel", info->boot->kernel_name, &image,
				   err);

	if (rc < 0)
		return rc;
	if (!axarch_plan_is_ram(info->plan, gpa, image.size_bytes)) {
		axarch_image_error(
			&image, err,
			"%llu bytes at load address 0x%llx do not fit into RAM (0x%llx to 0x%llx)",
			(unsigned long long)image.size_bytes, (unsigned long long)gpa,
			(unsigned long long)A64_RAM_GPA, (unsigned long long)ram_end(info->plan));
		return ax_error_hint(err, "choose --load-gpa 0x%llx",
				     (unsigned long long)(A64_DTB_GPA + A64_DTB_SIZE));
	}
	if (gpa < A64_DTB_GPA + A64_DTB_SIZE) {
		axarch_image_error(&image, err,
				   "at 0x%llx would overwrite the device tree at 0x%llx..0x%llx",
				   (unsigned long long)gpa, (unsigned long long)A64_DTB_GPA,
				   (unsigned long long)(A64_DTB_GPA + A64_DTB_SIZE - 1));
		return ax_error_hint(err, "choose --load-gpa 0x%llx or above",
				     (unsigned long long)(A64_DTB_GPA + A64_DTB_SIZE));
	}
	if (entry < gpa || entry - gpa >= image.size_bytes)
		return axarch_image_error(&image, err,
					  "entry 0x%llx is outside the image at 0x%llx..0x%llx",
					  (unsigned long long)entry, (unsigned long long)gpa,
					  (unsigned long long)(gpa + image.size_bytes - 1));
	return axas_load_fd(memory, gpa, image.fd, 0, image.size_bytes, err);
}

/* Bytes started at EL1 with the MMU off and x0 the address of the device tree, which has no command
 * line. */
static int load_flat(struct axas *memory, const struct a64_boot_info *info,
		     struct a64_start *ret_start, struct ax_error *err)
{
	const struct axarch_boot *boot = info->boot;
	const uint64_t entry = boot->entry ? boot->entry : boot->load_gpa;
	int rc = 0;

	if (boot->initrd_fd >= 0)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "a flat image takes no initrd ('%s')",
				    boot->initrd_name ? boot->initrd_name : "unnamed");
	if (entry % 4)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "entry 0x%llx is no multiple of 4", (unsigned long long)entry);
	if (boot->kernel_fd >= 0)
		rc = load_flat_image(memory, info, entry, err);
	if (rc == 0)
		rc = a64_write_tree(memory, info, NULL, 0, 0, err);
	if (rc == 0)
		*ret_start = (struct a64_start){.pc = entry, .x0 = A64_DTB_GPA};
	return rc;
}

int a64_load(struct axas *memory, const struct a64_boot_info *info, struct a64_start *ret_start,
	     struct ax_error *err)
{
	if (info->boot->protocol == AXARCH_BOOT_FLAT || info->boot->kernel_fd < 0)
		return load_flat(memory, info, ret_start, err);
	return load_linux(memory, info, ret_start, err);
}
