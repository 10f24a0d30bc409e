/*
 * The machine without a hypervisor of rig.h.
 */
#include "rig.h"

#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ax_pwrite_full(fd, bytes, len, 0), 0);
	return fd;
}

void rig_init(struct rig *rig)
{
	*rig = (struct rig){
		.config =
			{
				.name = "test",
				.vcpu_count = 2,
				.memory_bytes = 512 * AX_MIB,
				.irq_mode = AXARCH_IRQ_EMULATED,
			},
		.devices =
			{
				.devices = rig->device,
				.device_count = 2,
				.has_serial = true,
			},
		.boot =
			{
				.kernel_fd = -1,
				.kernel_name = "test-kernel",
				.initrd_fd = -1,
				.initrd_name = "test-initrd",
				.dtb_fd = -1,
				.cmdline = "panic=-1",
			},
	};
}

void rig_place_devices(struct rig *rig, uint64_t gpa, uint32_t gsi)
{
	for (uint32_t i = 0; i < AX_ARRAY_LEN(rig->device); i++)
		rig->device[i] = (struct axarch_device){
			.kind = AXARCH_DEVICE_VIRTIO_MMIO,
			.gpa = gpa + i * AXAS_PAGE_SIZE,
			.size_bytes = AXAS_PAGE_SIZE,
			.gsi = gsi + i,
		};
}

void rig_map(struct rig *rig)
{
	assert_int_equal(axas_create(rig->plan.gpa_limit, NULL, &rig->memory, &rig->err), 0);
	for (size_t i = 0; i < rig->plan.memory_count; i++) {
		const struct axas_region_config region = {
			.name = "ram",
			.gpa = rig->plan.memory[i].gpa,
			.size_bytes = rig->plan.memory[i].size_bytes,
			.backing = AXAS_BACKING_ANON,
			.flags = AXAS_RW,
			.fd = -1,
		};
		if (axas_map(rig->memory, &region, &rig->err) < 0)
			fail_msg("%s", rig->err.message);
	}
}

static void replace(int *fd, int with)
{
	if (*fd >= 0)
		close(*fd);
	*fd = with;
}

void rig_finish(struct rig *rig)
{
	replace(&rig->boot.kernel_fd, -1);
	replace(&rig->boot.initrd_fd, -1);
	replace(&rig->boot.dtb_fd, -1);
	axas_destroy(rig->memory);
}

void rig_kernel(struct rig *rig, const void *bytes, size_t len)
{
	replace(&rig->boot.kernel_fd, file_of(bytes, len));
}

void rig_image(struct rig *rig, const char magic[4], uint64_t text_offset, uint64_t image_size,
	       uint64_t flags)
{
	uint8_t image[IMAGE_BYTES];
	const uint64_t words[] = {htole64(text_offset), htole64(image_size), htole64(flags)};

	memset(image, 0xa5, sizeof(image));
	memcpy(image, "MZ", 2); /* as kernels with an EFI stub begin */
	memcpy(image + 8, words, sizeof(words));
	memcpy(image + 0x38, magic, 4);
	rig_kernel(rig, image, sizeof(image));
}

void rig_initrd(struct rig *rig, uint64_t size_bytes)
{
	replace(&rig->boot.initrd_fd, file_of("070701", size_bytes < 6 ? (size_t)size_bytes : 6));
	assert_int_equal(ftruncate(rig->boot.initrd_fd, (off_t)size_bytes), 0);
}

void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text)
{
	if (err->kind != kind)
		fail_msg("error kind %s, expected %s: %s", ax_error_kind_name(err->kind),
			 ax_error_kind_name(kind), err->message);
	if (!strstr(err->message, text) && !strstr(err->hint, text))
		fail_msg("'%s' (%s) does not mention '%s'", err->message, err->hint, text);
}
