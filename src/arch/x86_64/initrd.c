/*
 * The initrd: as high as the kernel lets it be, on a page boundary, clear of what the kernel needs
 * until it runs. Below 4 GiB unless only high RAM has room and the kernel takes it from there.
 */
#include "load.h"

#include <errno.h>

static unsigned long long mib_up(uint64_t bytes)
{
	return (unsigned long long)((bytes + AX_MIB - 1) >> 20);
}

/* The highest page-aligned place for `size` within [floor, ceiling); false when there is none. */
static bool place_below(uint64_t floor, uint64_t ceiling, uint64_t size, uint64_t *ret_gpa)
{
	if (ceiling < size)
		return false;
	const uint64_t gpa = ax_align_down(ceiling - size, AXAS_PAGE_SIZE);
	if (gpa < floor)
		return false;
	*ret_gpa = gpa;
	return true;
}

static bool place(const struct axarch_plan *plan, const struct x86_kernel *kernel, uint64_t size,
		  uint64_t *ret_gpa)
{
	const uint64_t low_end = x86_plan_low_ram_end(plan);
	const uint64_t ceiling =
		kernel->initrd_max_gpa < low_end ? kernel->initrd_max_gpa + 1 : low_end;

	if (place_below(kernel->end_gpa, ceiling, size, ret_gpa))
		return true;
	if (!kernel->initrd_above_4g)
		return false;
	for (size_t i = plan->memory_count; i-- > 1;) {
		const uint64_t start = plan->memory[i].gpa;
		/* A further node of the same piece of RAM. */
		if (start == plan->memory[i - 1].gpa + plan->memory[i - 1].size_bytes)
			continue;
		if (place_below(start, axarch_plan_ram_end(plan, start), size, ret_gpa))
			return true;
	}
	return false;
}

static int refuse(const struct axarch_image *image, const struct axarch_plan *plan,
		  const struct x86_kernel *kernel, struct ax_error *err)
{
	const uint64_t low_end = x86_plan_low_ram_end(plan);
	const uint64_t needed = ax_align_up(kernel->end_gpa, AXAS_PAGE_SIZE) +
				ax_align_up(image->size_bytes, AXAS_PAGE_SIZE);
	uint64_t top = kernel->initrd_max_gpa < low_end ? kernel->initrd_max_gpa + 1 : low_end;

	if (top < kernel->end_gpa)
		top = kernel->end_gpa;
	axarch_image_error(
		image, err,
		"needs %llu MiB, only %llu MiB are free between the kernel's end at 0x%llx "
		"and 0x%llx",
		mib_up(image->size_bytes), (unsigned long long)((top - kernel->end_gpa) >> 20),
		(unsigned long long)kernel->end_gpa, (unsigned long long)top);
	if (needed > kernel->initrd_max_gpa || needed > X86_HOLE_GPA)
		return ax_error_hint(err,
				     "this kernel takes an initrd below 0x%llx only; use a "
				     "smaller one or put the files on a disk",
				     (unsigned long long)kernel->initrd_max_gpa);
	return ax_error_hint(err, "raise --memory to at least %lluM", mib_up(needed));
}

int x86_load_initrd(struct axas *memory, const struct axarch_plan *plan,
		    const struct axarch_boot *boot, const struct x86_kernel *kernel,
		    struct x86_initrd *ret_initrd, struct ax_error *err)
{
	struct x86_initrd initrd;
	struct axarch_image image;
	int rc;

	if (boot->initrd_fd < 0) {
		ret_initrd->gpa = ret_initrd->size_bytes = 0;
		return 0;
	}
	rc = axarch_image_open(boot->initrd_fd, "initrd", boot->initrd_name, &image, err);
	if (rc < 0)
		return rc;
	initrd.size_bytes = image.size_bytes;
	if (!place(plan, kernel, image.size_bytes, &initrd.gpa))
		return refuse(&image, plan, kernel, err);
	rc = axas_load_fd(memory, initrd.gpa, image.fd, 0, image.size_bytes, err);
	if (rc < 0)
		return rc;
	*ret_initrd = initrd;
	return 0;
}
