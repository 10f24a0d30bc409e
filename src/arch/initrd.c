/*
 * The initrd of architectures whose kernels take it anywhere in RAM: as high as it goes. x86 has
 * limits of its own, and a file for them.
 */
#include "boot.h"

int axarch_load_initrd(struct axas *memory, const struct axarch_boot *boot, uint64_t floor,
		       uint64_t ceiling, uint64_t *ret_gpa, uint64_t *ret_size,
		       struct ax_error *err)
{
	struct axarch_image image;
	uint64_t gpa;
	int rc;

	*ret_gpa = *ret_size = 0;
	if (boot->initrd_fd < 0)
		return 0;
	rc = axarch_image_open(boot->initrd_fd, "initrd", boot->initrd_name, &image, err);
	if (rc < 0)
		return rc;
	gpa = ceiling >= image.size_bytes
		      ? ax_align_down(ceiling - image.size_bytes, AXAS_PAGE_SIZE)
		      : 0;
	if (gpa < floor || !gpa) {
		const uint64_t room = ceiling > floor ? ceiling - floor : 0;
		const uint64_t missing = image.size_bytes - (room < image.size_bytes ? room : 0);

		axarch_image_error(&image, err,
				   "needs %llu MiB, only %llu MiB are free between the kernel's "
				   "end at 0x%llx and 0x%llx",
				   (unsigned long long)((image.size_bytes + AX_MIB - 1) >> 20),
				   (unsigned long long)(room >> 20), (unsigned long long)floor,
				   (unsigned long long)ceiling);
		return ax_error_hint(err, "raise --memory by at least %lluM",
				     (unsigned long long)((missing >> 20) + 1));
	}
	rc = axas_load_fd(memory, gpa, image.fd, 0, image.size_bytes, err);
	if (rc < 0)
		return rc;
	*ret_gpa = gpa;
	*ret_size = image.size_bytes;
	return 0;
}
