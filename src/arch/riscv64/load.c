/*
 * rv64_load: from an open kernel file to a machine ready to run. Puts kernel, initrd and device
 * tree in place and says where the first hart starts. What the tree says is tree.c's.
 * Linux' Documentation/arch/riscv/boot.rst.
 */
#include "riscv64.h"
#include "../boot.h"

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

static uint64_t ram_end(const struct axarch_plan *plan)
{
	return plan->memory[0].gpa + plan->memory[0].size_bytes;
}

uint64_t rv64_dtb_gpa(const struct axarch_plan *plan)
{
	uint64_t end = ram_end(plan);

	if (end > RV64_RAM_GPA + DTB_CEILING)
		end = RV64_RAM_GPA + DTB_CEILING;
	return ax_align_down(end, BASE_ALIGN) - RV64_DTB_SIZE;
}

/* How this machine's kernels take it, and what to warn of. */
static bool announce_by_cmdline(const struct rv64_boot_info *info)
{
	if (!(info->machine->announce & AXARCH_ANNOUNCE_CMDLINE) || !info->machine->device_count)
		return false;
	ax_log(AX_LOG_WARN, "riscv64",
	       "devices are announced on the command line: Linux on riscv64 maps interrupts from a "
	       "device tree only and will not get those of the devices");
	return true;
}

/* ---- Linux ----------------------------------------------------------------------------------- */

static int load_kernel(struct axas *memory, const struct rv64_boot_info *info, uint64_t *ret_entry,
		       uint64_t *ret_end, struct ax_error *err)
{
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

static struct rv64_start start_at(const struct rv64_boot_info *info, uint64_t entry)
{
	return (struct rv64_start){
		.pc = entry,
		.a0 = rv64_hart_id(info->config, 0),
		.a1 = rv64_dtb_gpa(info->plan),
	};
}

static int load_linux(struct axas *memory, const struct rv64_boot_info *info,
		      struct rv64_start *ret_start, struct ax_error *err)
{
	uint64_t entry = 0, end = 0, initrd_gpa = 0, initrd_bytes = 0;
	AX_AUTO_FREE char *cmdline = NULL;
	int rc;

	if (info->boot->protocol != AXARCH_BOOT_AUTO &&
	    info->boot->protocol != AXARCH_BOOT_LINUX64) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
			     "the boot protocol asked for is not one of riscv64");
		return ax_error_hint(err, "choose --protocol auto, linux64 or flat");
	}
	rc = load_kernel(memory, info, &entry, &end, err);
	if (rc == 0)
		rc = axarch_load_initrd(memory, info->boot, end, rv64_dtb_gpa(info->plan),
					&initrd_gpa, &initrd_bytes, err);
	if (rc == 0)
		rc = axarch_cmdline(info->boot, info->machine, announce_by_cmdline(info),
				    CMDLINE_MAX, &cmdline, err);
	if (rc == 0)
		rc = rv64_write_tree(memory, info, cmdline, initrd_gpa, initrd_bytes, err);
	if (rc == 0)
		*ret_start = start_at(info, entry);
	return rc;
}

/* ---- flat images ----------------------------------------------------------------------------- */

static int load_flat_image(struct axas *memory, const struct rv64_boot_info *info, uint64_t entry,
			   struct ax_error *err)
{
	const uint64_t gpa = info->boot->load_gpa, dtb = rv64_dtb_gpa(info->plan);
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
			(unsigned long long)RV64_RAM_GPA, (unsigned long long)ram_end(info->plan));
		return ax_error_hint(err, "choose --load-gpa 0x%llx",
				     (unsigned long long)RV64_RAM_GPA);
	}
	if (gpa < dtb + RV64_DTB_SIZE && gpa + image.size_bytes > dtb) {
		axarch_image_error(&image, err,
				   "at 0x%llx would overwrite the device tree at 0x%llx..0x%llx",
				   (unsigned long long)gpa, (unsigned long long)dtb,
				   (unsigned long long)(dtb + RV64_DTB_SIZE - 1));
		return ax_error_hint(err, "choose --load-gpa 0x%llx",
				     (unsigned long long)RV64_RAM_GPA);
	}
	if (entry < gpa || entry - gpa >= image.size_bytes)
		return axarch_image_error(&image, err,
					  "entry 0x%llx is outside the image at 0x%llx..0x%llx",
					  (unsigned long long)entry, (unsigned long long)gpa,
					  (unsigned long long)(gpa + image.size_bytes - 1));
	return axas_load_fd(memory, gpa, image.fd, 0, image.size_bytes, err);
}

/* Bytes started in S-mode as a kernel is: a0 the hart's id, a1 the device tree, which has no
 * command line. */
static int load_flat(struct axas *memory, const struct rv64_boot_info *info,
		     struct rv64_start *ret_start, struct ax_error *err)
{
	const struct axarch_boot *boot = info->boot;
	const uint64_t entry = boot->entry ? boot->entry : boot->load_gpa;
	int rc = 0;

	if (boot->initrd_fd >= 0)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "a flat image takes no initrd ('%s')",
				    boot->initrd_name ? boot->initrd_name : "unnamed");
	if (entry % 2)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "entry 0x%llx is no multiple of 2", (unsigned long long)entry);
	if (boot->kernel_fd >= 0)
		rc = load_flat_image(memory, info, entry, err);
	if (rc == 0)
		rc = rv64_write_tree(memory, info, NULL, 0, 0, err);
	if (rc == 0)
		*ret_start = start_at(info, entry);
	return rc;
}

int rv64_load(struct axas *memory, const struct rv64_boot_info *info, struct rv64_start *ret_start,
	      struct ax_error *err)
{
	if (info->boot->protocol == AXARCH_BOOT_FLAT || info->boot->kernel_fd < 0)
		return load_flat(memory, info, ret_start, err);
	return load_linux(memory, info, ret_start, err);
}
