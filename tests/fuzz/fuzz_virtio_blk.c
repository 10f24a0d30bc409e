/*
 * virtio-blk against arbitrary requests: small images, a driver that brings two queues up, and
 * guest memory (rings, headers and all) from the input. No image may ever change its size, and a
 * read-only one, or the base of an overlay, never its content.
 */
#include "virtio_machine.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_BYTES (16 * 512 + 100)
#define DISKS       3
#define READ_ONLY   1 /* 0 is writable, */
#define OVERLAY     2 /* over a base that never changes */
#define S_RESET     64U

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int image_fd[DISKS], base_fd;
static off_t image_bytes[DISKS];
static struct axvirtio *device[DISKS];
static struct axdev *dev[DISKS];

/* The overlay's file is made where a name is needed, and then has none. */
static int make_overlay(char *base, size_t base_size)
{
	char path[] = "/tmp/axvm-fuzz-overlay-XXXXXX";
	int fd;

	base_fd = memfd_create("base", MFD_CLOEXEC);
	MUST(base_fd >= 0 && ftruncate(base_fd, IMAGE_BYTES) == 0);
	snprintf(base, base_size, "/proc/self/fd/%d", base_fd);
	close(mkstemp(path));
	unlink(path);
	MUST(axvirtio_blk_make_overlay(path, base, NULL) == 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char base[64];

	(void)argc;
	(void)argv;
	machine_init();
	for (unsigned i = 0; i < DISKS; i++) {
		struct axvirtio_blk_config config = {.read_only = i == READ_ONLY, .queues = 2};

		struct stat st;

		image_fd[i] = i == OVERLAY ? make_overlay(base, sizeof(base))
					   : memfd_create("image", MFD_CLOEXEC);
		MUST(image_fd[i] >= 0);
		MUST(i == OVERLAY || ftruncate(image_fd[i], IMAGE_BYTES) == 0);
		config.base = i == OVERLAY ? base : NULL;
		MUST(fstat(image_fd[i], &st) == 0);
		image_bytes[i] = st.st_size;
		config.fd = image_fd[i];
		MUST(axvirtio_blk_create("disk", &config, &device[i], NULL) == 0);
		MUST(axvirtio_mmio_create("disk", WINDOW_GPA + 0x1000 * i, 5 + i, device[i],
					  &services, &dev[i], NULL) == 0);
	}
	return 0;
}

/* Queue 0 from 0 on, queue 1 from 0x600 on. */
static void start(struct axdev *disk, uint32_t features, uint32_t size)
{
	reg_write(disk, VIRTIO_MMIO_STATUS, 0);
	reg_write(disk, VIRTIO_MMIO_STATUS, 1);
	reg_write(disk, VIRTIO_MMIO_STATUS, 3);
	reg_write(disk, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(disk, VIRTIO_MMIO_DRIVER_FEATURES, features);
	reg_write(disk, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(disk, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	reg_write(disk, VIRTIO_MMIO_STATUS, 11);
	for (uint32_t q = 0; q < 2; q++) {
		reg_write(disk, VIRTIO_MMIO_QUEUE_SEL, q);
		reg_write(disk, VIRTIO_MMIO_QUEUE_NUM, size);
		reg_write(disk, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x600 * q);
		reg_write(disk, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x600 * q + 0x200);
		reg_write(disk, VIRTIO_MMIO_QUEUE_USED_LOW, 0x600 * q + 0x400);
		reg_write(disk, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	reg_write(disk, VIRTIO_MMIO_STATUS, 15);
}

/* A guest that lets the disk write into its own rings can go on for ever; we do not. A reset would
 * wait for what is in flight, and it is this thread that moves it. */
static void finish(unsigned i)
{
	uint16_t jump = 0;

	for (unsigned turn = 0; turn < 8 && axvirtio_poll(device[i]); turn++)
		;
	while (axvirtio_poll(device[i]) &&
	       !(reg(dev[i], VIRTIO_MMIO_STATUS, 4, false, 0) & S_RESET)) {
		/* More heads than slots: this stops both queues. */
		jump = (uint16_t)(jump + 0x3333);
		for (uint32_t q = 0; q < 2; q++) {
			MUST(axas_write_u16(memory, 0x600 * q + 0x202, jump) == 0);
			reg_write(dev[i], VIRTIO_MMIO_QUEUE_NOTIFY, q);
		}
	}
	while (axvirtio_poll(device[i]))
		;
	reg_write(dev[i], VIRTIO_MMIO_STATUS, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t zero[IMAGE_BYTES];
	uint8_t content[IMAGE_BYTES];
	const unsigned i = size ? (data[0] >> 4 & 1 ? OVERLAY : data[0] & 1) : 0;
	/* FLUSH, or write-through; MQ, DISCARD, WRITE_ZEROES where they are offered */
	uint32_t features = 1u << 9 | 1u << 12 | (i == READ_ONLY ? 0 : 3u << 13);
	struct stat st;

	if (size < 2)
		return 0;
	if (data[0] & 2)
		features &= ~(1u << 9);
	if (data[0] & 4)
		features |= 1u << VIRTIO_RING_F_INDIRECT_DESC;
	if (data[0] & 8)
		features |= 1u << VIRTIO_RING_F_EVENT_IDX;
	load_memory(data + 2, size - 2);
	for (uint32_t q = 0; q < 2; q++)
		MUST(axas_write_u32(memory, 0x600 * q + 0x400, 0) == 0);
	start(dev[i], features, 1u << (data[1] % 6));
	MUST(reg(dev[i], VIRTIO_MMIO_STATUS, 4, false, 0) & 8);
	for (uint32_t q = 0; q < 2; q++)
		reg_write(dev[i], VIRTIO_MMIO_QUEUE_NOTIFY, q);
	finish(i);
	MUST(fstat(image_fd[i], &st) == 0 && st.st_size == image_bytes[i]);
	if (i != 0) {
		MUST(pread(i == OVERLAY ? base_fd : image_fd[i], content, sizeof(content), 0) ==
		     sizeof(content));
		MUST(memcmp(content, zero, sizeof(zero)) == 0);
	}
	return 0;
}
