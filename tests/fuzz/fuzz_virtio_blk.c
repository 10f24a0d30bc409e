/*
 * virtio-blk against arbitrary requests: a small image, a driver that brings the device up, and
 * guest memory (rings, headers and all) from the input. The image may never change its size, and a
 * read-only one never its content.
 */
#include "virtio_machine.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_BYTES (16 * 512 + 100)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int image_fd[2]; /* writable, read-only */
static struct axvirtio *device[2];
static struct axdev *dev[2];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	machine_init();
	for (unsigned i = 0; i < 2; i++) {
		struct axvirtio_blk_config config = {.read_only = i};

		image_fd[i] = memfd_create("image", MFD_CLOEXEC);
		MUST(image_fd[i] >= 0 && ftruncate(image_fd[i], IMAGE_BYTES) == 0);
		config.fd = image_fd[i];
		MUST(axvirtio_blk_create("disk", &config, &device[i], NULL) == 0);
		MUST(axvirtio_mmio_create("disk", WINDOW_GPA + 0x1000 * i, 5 + i, device[i],
					  &services, &dev[i], NULL) == 0);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t zero[IMAGE_BYTES];
	uint8_t content[IMAGE_BYTES];
	const unsigned i = size ? data[0] & 1 : 0;
	uint32_t features = 1u << 9; /* FLUSH */
	struct stat st;

	if (size < 2)
		return 0;
	if (data[0] & 2)
		features = 0; /* write-through */
	if (data[0] & 4)
		features |= 1u << VIRTIO_RING_F_INDIRECT_DESC;
	if (data[0] & 8)
		features |= 1u << VIRTIO_RING_F_EVENT_IDX;
	load_memory(data + 2, size - 2);
	MUST(axas_write_u32(memory, 0x400, 0) == 0);
	bring_up(dev[i], features, 1u << (data[1] % 6));
	reg_write(dev[i], VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	/* A guest that lets the disk write into its own rings can go on for ever; we do not. */
	for (unsigned turn = 0; turn < 8 && axvirtio_poll(device[i]); turn++)
		;
	MUST(fstat(image_fd[i], &st) == 0 && st.st_size == IMAGE_BYTES);
	if (i) {
		MUST(pread(image_fd[i], content, sizeof(content), 0) == sizeof(content));
		MUST(memcmp(content, zero, sizeof(zero)) == 0);
	}
	reg_write(dev[i], VIRTIO_MMIO_STATUS, 0);
	return 0;
}
