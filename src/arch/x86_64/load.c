/*
 * x86_load: from an open kernel file to a machine ready to run. Decides which loader a file belongs
 * to, then puts together what the kernel is told: initrd, command line, ACPI and MP tables, zero
 * page or PVH info, descriptors and page tables. The formats themselves are in the files beside.
 */
#include "load.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

static int refuse_unknown(const struct axarch_image *image, const uint8_t *head, size_t len,
			  struct ax_error *err)
{
	const char *guess = axarch_image_guess(head, len);

	axarch_image_error(image, err,
			   "is %s, expected a bzImage (\"HdrS\" at offset 0x202) or a 64-bit ELF "
			   "vmlinux",
			   guess ? guess : "of no format known here");
	return ax_error_hint(err, "accepted are bzImage (vmlinuz), ELF vmlinux, and raw bytes with "
				  "the flat protocol, a load address and an entry");
}

static int load_kernel(struct axas *memory, const struct x86_boot_info *info,
		       struct x86_kernel *ret_kernel, struct ax_error *err)
{
	const enum axarch_boot_protocol protocol = info->boot->protocol;
	struct axarch_image image;
	uint8_t head[0x210] = {0};
	int rc;

	rc = axarch_image_open(info->boot->kernel_fd, "kernel", info->boot->kernel_name, &image,
			       err);
	if (rc < 0)
		return rc;
	const size_t len = image.size_bytes < sizeof(head) ? image.size_bytes : sizeof(head);
	rc = axarch_image_read(&image, 0, head, len, "the start of the file", err);
	if (rc < 0)
		return rc;

	if (memcmp(head, ELFMAG, SELFMAG) == 0)
		return x86_load_elf(memory, info->plan, &image, protocol, ret_kernel, err);
	if (memcmp(head + 0x202, "HdrS", 4) != 0)
		return refuse_unknown(&image, head, len, err);
	return x86_load_bzimage(memory, info->plan, &image, protocol, ret_kernel, err);
}

/* The BIOS area's tables, for kernels and for flat images that look for them there. */
static int write_tables(struct axas *memory, const struct x86_boot_info *info,
			uint64_t *ret_rsdp_gpa, struct ax_error *err)
{
	int rc;

	*ret_rsdp_gpa = 0;
	/* Interrupt vectors and BIOS data area: a guest that ran before may have left something
	 * there, and Linux reads the EBDA's address from 0x40e. */
	rc = axas_zero(memory, 0, 0x500);
	if (rc < 0)
		return ax_error_set(err, AX_ERROR_MEMORY_SETUP, -rc,
				    "BIOS data area: guest memory 0..0x4ff is not writable RAM");
	/* Both describe interrupt controllers, so there is nothing to say without them. */
	if (info->config->irq_mode == AXARCH_IRQ_NONE)
		return 0;
	if (info->config->acpi)
		rc = x86_write_acpi(memory, info, ret_rsdp_gpa, err);
	/* An MP table cannot name a bootstrap processor with a large id: an error only where there
	 * is no ACPI to do it. */
	if (rc == 0 && info->config->mp_table &&
	    (info->apic_ids[0] <= X86_MAX_XAPIC_ID || !info->config->acpi))
		rc = x86_write_mptable(memory, info, err);
	return rc;
}

int x86_load(struct axas *memory, const struct x86_boot_info *info, struct x86_start *ret_start,
	     struct ax_error *err)
{
	struct x86_kernel kernel = {.entry = 0};
	struct x86_initrd initrd = {.gpa = 0};
	uint64_t rsdp_gpa = 0;
	int rc = axarch_refuse_dtb(info->boot, "x86_64", err);

	if (rc < 0)
		return rc;
	if (info->boot->protocol == AXARCH_BOOT_FLAT || info->boot->kernel_fd < 0) {
		struct x86_start start;
		rc = write_tables(memory, info, &rsdp_gpa, err);
		if (rc == 0)
			rc = x86_load_flat(memory, info, &start, err);
		if (rc == 0)
			*ret_start = start;
		return rc;
	}

	rc = load_kernel(memory, info, &kernel, err);
	if (rc == 0)
		rc = x86_load_initrd(memory, info->plan, info->boot, &kernel, &initrd, err);
	if (rc == 0)
		rc = x86_write_cmdline(memory, info, kernel.cmdline_max, err);
	if (rc == 0)
		rc = write_tables(memory, info, &rsdp_gpa, err);
	if (rc == 0)
		rc = x86_write_boot_tables(memory, err);
	if (rc == 0 && kernel.handover == X86_HANDOVER_PVH)
		rc = x86_write_pvh_info(memory, info->plan, &initrd, rsdp_gpa, err);
	if (rc == 0 && kernel.handover == X86_HANDOVER_ZERO_PAGE)
		rc = x86_write_zero_page(memory, info->plan, &kernel, &initrd, rsdp_gpa, err);
	if (rc < 0)
		return rc;

	memset(ret_start, 0, sizeof(*ret_start));
	ret_start->mode = kernel.mode;
	ret_start->rip = kernel.entry;
	ret_start->rsp = X86_STACK_GPA;
	if (kernel.handover == X86_HANDOVER_PVH)
		ret_start->rbx = X86_PVH_INFO_GPA;
	else
		ret_start->rsi = X86_ZERO_PAGE_GPA;
	return 0;
}
