/*
 * Booting a machine that is described by a device tree: kernel, initrd and tree in place for Linux,
 * or a flat image with the tree alone.
 */
#include "tree.h"

#include <errno.h>

uint64_t axarch_tree_ram_end(const struct axarch_plan *plan)
{
	return axarch_plan_ram_end(plan, plan->memory[0].gpa);
}

/* How this machine's kernels take it, and what to warn of. */
static bool announce_by_cmdline(const struct axarch_tree_machine *m)
{
	if (!(m->machine->announce & AXARCH_ANNOUNCE_CMDLINE) || !m->machine->device_count)
		return false;
	ax_log(AX_LOG_WARN, m->arch,
	       "devices are announced on the command line: Linux on %s maps interrupts from a "
	       "device tree only and will not get those of the devices",
	       m->arch);
	return true;
}

static int load_linux(struct axas *memory, const struct axarch_tree_machine *m, uint64_t *ret_entry,
		      struct ax_error *err)
{
	const enum axarch_boot_protocol protocol = m->boot->protocol;
	uint64_t end = 0, initrd_gpa = 0, initrd_bytes = 0;
	AX_AUTO_FREE char *cmdline = NULL;
	int rc;

	if (protocol != AXARCH_BOOT_AUTO && protocol != AXARCH_BOOT_LINUX64) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
			     "the boot protocol asked for is not one of %s", m->arch);
		return ax_error_hint(err, "choose --protocol auto, linux64 or flat");
	}
	rc = m->load_kernel(memory, m->info, ret_entry, &end, err);
	if (rc == 0)
		rc = axarch_load_initrd(memory, m->boot, end, m->initrd_ceiling, &initrd_gpa,
					&initrd_bytes, err);
	if (rc == 0)
		rc = axarch_cmdline(m->boot, m->machine, announce_by_cmdline(m), m->cmdline_max,
				    &cmdline, err);
	if (rc == 0)
		rc = axarch_tree_write(memory, m, cmdline, initrd_gpa, initrd_bytes, err);
	return rc;
}

/* ---- flat images ----------------------------------------------------------------------------- */

static int load_flat_image(struct axas *memory, const struct axarch_tree_machine *m, uint64_t entry,
			   struct ax_error *err)
{
	const uint64_t gpa = m->boot->load_gpa, dtb_end = m->dtb_gpa + m->dtb_size;
	struct axarch_image image;
	int rc = axarch_image_open(m->boot->kernel_fd, "kernel", m->boot->kernel_name, &image, err);

	if (rc < 0)
		return rc;
	if (!axarch_plan_is_ram(m->plan, gpa, image.size_bytes)) {
		axarch_image_error(
			&image, err,
			"%llu bytes at load address 0x%llx do not fit into RAM (0x%llx to 0x%llx)",
			(unsigned long long)image.size_bytes, (unsigned long long)gpa,
			(unsigned long long)m->plan->memory[0].gpa,
			(unsigned long long)axarch_tree_ram_end(m->plan));
		return ax_error_hint(err, "choose --load-gpa 0x%llx",
				     (unsigned long long)m->flat_gpa);
	}
	if (gpa < dtb_end && gpa + image.size_bytes > m->dtb_gpa) {
		axarch_image_error(&image, err,
				   "at 0x%llx would overwrite the device tree at 0x%llx..0x%llx",
				   (unsigned long long)gpa, (unsigned long long)m->dtb_gpa,
				   (unsigned long long)(dtb_end - 1));
		return ax_error_hint(err, "choose --load-gpa 0x%llx%s",
				     (unsigned long long)m->flat_gpa,
				     m->flat_gpa < m->dtb_gpa ? "" : " or above");
	}
	rc = axarch_image_check_entry(&image, gpa, entry, err);
	if (rc < 0)
		return rc;
	return axas_load_fd(memory, gpa, image.fd, 0, image.size_bytes, err);
}

/* Bytes started as a kernel is, or code that is in memory already. */
static int load_flat(struct axas *memory, const struct axarch_tree_machine *m, uint64_t *ret_entry,
		     struct ax_error *err)
{
	const uint64_t entry = m->boot->entry ? m->boot->entry : m->boot->load_gpa;
	int rc = axarch_refuse_initrd(m->boot, err);

	if (rc < 0)
		return rc;
	if (entry % m->entry_align)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "entry 0x%llx is no multiple of %u", (unsigned long long)entry,
				    m->entry_align);
	if (m->boot->kernel_fd >= 0)
		rc = load_flat_image(memory, m, entry, err);
	if (rc == 0)
		rc = axarch_tree_write(memory, m, NULL, 0, 0, err);
	*ret_entry = entry;
	return rc;
}

int axarch_tree_load(struct axas *memory, const struct axarch_tree_machine *m, uint64_t *ret_entry,
		     struct ax_error *err)
{
	if (m->boot->protocol == AXARCH_BOOT_FLAT || m->boot->kernel_fd < 0)
		return load_flat(memory, m, ret_entry, err);
	return load_linux(memory, m, ret_entry, err);
}
