/*
 * Raw images: bytes to an address, started at an entry in real, protected or long mode (RTOSes,
 * unikernels, BIOS shims, test payloads). The image finds nothing prepared but descriptors and page
 * tables of its mode; command line and boot protocol are not for it.
 */
#include "load.h"

#include <errno.h>
#include <string.h>

struct range {
	uint64_t gpa, size_bytes;
	const char *what;
};

static bool overlap(const struct range *a, uint64_t gpa, uint64_t size_bytes)
{
	return gpa < a->gpa + a->size_bytes && a->gpa < gpa + size_bytes;
}

/* What stands in memory for the sake of the start state or the firmware tables. */
static int check_free(const struct axarch_image *image, const struct x86_boot_info *info,
		      uint64_t gpa, struct ax_error *err)
{
	const bool tables = info->config->irq_mode != AXARCH_IRQ_NONE;
	const struct range used[] = {
		{X86_GDT_GPA, info->boot->flat_bits == 16 ? 0 : 0x100, "descriptor tables"},
		{X86_PML4_GPA, info->boot->flat_bits == 64 ? 0x6000 : 0, "page tables"},
		{X86_ACPI_GPA, tables && info->config->acpi ? X86_ACPI_SIZE : 0, "ACPI tables"},
		{X86_MP_TABLE_GPA, tables && info->config->mp_table ? X86_MP_TABLE_SIZE : 0,
		 "MP table"},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(used); i++)
		if (used[i].size_bytes && overlap(&used[i], gpa, image->size_bytes))
			return axarch_image_error(
				image, err,
				"at 0x%llx..0x%llx would overwrite the %s at 0x%llx..0x%llx",
				(unsigned long long)gpa,
				(unsigned long long)(gpa + image->size_bytes - 1), used[i].what,
				(unsigned long long)used[i].gpa,
				(unsigned long long)(used[i].gpa + used[i].size_bytes - 1));
	return 0;
}

static int load_image(struct axas *memory, const struct x86_boot_info *info, uint64_t entry,
		      struct axarch_image *image, struct ax_error *err)
{
	const uint64_t gpa = info->boot->load_gpa;
	int rc;

	rc = axarch_image_open(info->boot->kernel_fd, "kernel", info->boot->kernel_name, image,
			       err);
	if (rc < 0)
		return rc;
	if (!axarch_plan_is_ram(info->plan, gpa, image->size_bytes))
		return axarch_image_error(image, err,
					  "%llu bytes at load address 0x%llx do not fit into RAM "
					  "(low RAM ends at 0x%llx)",
					  (unsigned long long)image->size_bytes,
					  (unsigned long long)gpa,
					  (unsigned long long)x86_plan_low_ram_end(info->plan));
	rc = axarch_image_check_entry(image, gpa, entry, err);
	if (rc == 0)
		rc = check_free(image, info, gpa, err);
	if (rc < 0)
		return rc;
	return axas_load_fd(memory, gpa, image->fd, 0, image->size_bytes, err);
}

static int check_request(const struct axarch_boot *boot, uint64_t entry, struct ax_error *err)
{
	/* Long mode maps 4 GiB; real mode's CS:IP reaches the first MiB. */
	const uint64_t limit = boot->flat_bits == 16 ? 1ULL << 20 : 1ULL << 32;

	if (boot->flat_bits != 16 && boot->flat_bits != 32 && boot->flat_bits != 64)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "a flat image of %u bits, expected 16, 32 or 64",
				    boot->flat_bits);
	int rc = axarch_refuse_initrd(boot, err);
	if (rc < 0)
		return rc;
	if (entry >= limit)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "entry 0x%llx of a %u-bit flat image, expected less than "
				    "0x%llx",
				    (unsigned long long)entry, boot->flat_bits,
				    (unsigned long long)limit);
	return 0;
}

int x86_load_flat(struct axas *memory, const struct x86_boot_info *info,
		  struct x86_start *ret_start, struct ax_error *err)
{
	const struct axarch_boot *boot = info->boot;
	const uint64_t entry = boot->entry ? boot->entry : boot->load_gpa;
	struct axarch_image image = {.size_bytes = 0};
	struct x86_start start = {.rip = entry, .rsp = X86_STACK_GPA};
	int rc;

	rc = check_request(boot, entry, err);
	if (rc == 0 && boot->kernel_fd >= 0)
		rc = load_image(memory, info, entry, &image, err);
	/* A real-mode image may lie where the others' tables would be. */
	if (rc == 0 && boot->flat_bits == 64)
		rc = x86_write_boot_tables(memory, err);
	if (rc == 0 && boot->flat_bits == 32)
		rc = x86_write_gdt(memory, X86_START_PROTECTED, err);
	if (rc < 0)
		return rc;

	start.mode = boot->flat_bits == 64   ? X86_START_LONG
		     : boot->flat_bits == 32 ? X86_START_PROTECTED
					     : X86_START_REAL;
	if (start.mode == X86_START_REAL && entry > 0xffff) {
		start.real_cs = (uint16_t)(entry >> 4 & 0xf000);
		start.rip = entry & 0xffff;
	}
	/* An image over the usual stack gets one that grows down from its start. */
	if (X86_STACK_GPA >= boot->load_gpa && X86_STACK_GPA - boot->load_gpa < image.size_bytes)
		start.rsp = ax_align_down(boot->load_gpa, 16);
	*ret_start = start;
	return 0;
}
