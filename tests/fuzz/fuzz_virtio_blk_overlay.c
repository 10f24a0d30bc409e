/*
 * Overlay files: header and bitmap from the input, as they are or with what a checksum and a
 * comparison would stop put right, so that what is behind those is reached too. What is opened is
 * then used; the base may never change, nor the size of the file.
 */
#include "virtio_machine.h"
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTORS   83u /* eleven clusters, the last not whole */
#define CLUSTER   4096u
#define DATA      8192u
#define FILE_SIZE (DATA + SECTORS * 512)
#define GOOD      4096u /* bytes of a header */
#define NO_STATUS 0xeeu

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char base_path[64];
static int base_fd, overlay_fd;
static uint8_t good[GOOD], base[SECTORS * 512];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char made[] = "/tmp/axvm-fuzz-overlay-XXXXXX";
	int fd;

	(void)argc;
	(void)argv;
	machine_init();
	base_fd = memfd_create("base", MFD_CLOEXEC);
	overlay_fd = memfd_create("overlay", MFD_CLOEXEC);
	for (unsigned i = 0; i < sizeof(base); i++)
		base[i] = (uint8_t)(0x80 | i / 512);
	MUST(pwrite(base_fd, base, sizeof(base), 0) == sizeof(base));
	snprintf(base_path, sizeof(base_path), "/proc/self/fd/%d", base_fd);
	close(mkstemp(made));
	unlink(made);
	MUST(axvirtio_blk_make_overlay(made, base_path, NULL) == 0);
	fd = open(made, O_RDONLY | O_CLOEXEC);
	MUST(pread(fd, good, sizeof(good), 0) == sizeof(good));
	close(fd);
	unlink(made);
	return 0;
}

static uint32_t crc32_of(const uint8_t *bytes, size_t count)
{
	uint32_t crc = ~0u;

	while (count--) {
		crc ^= *bytes++;
		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1));
	}
	return ~crc;
}

static uint8_t request(struct axvirtio *device, struct axdev *dev, uint32_t type, uint64_t sector,
		       uint32_t bytes)
{
	static uint16_t next;
	const uint16_t write = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;
	const struct virtio_blk_outhdr header = {.type = type, .sector = sector};
	const struct vring_desc chain[] = {{0x1000, 16, VRING_DESC_F_NEXT, 1},
					   {0x2000, bytes, VRING_DESC_F_NEXT | write, 2},
					   {0x1100, 1, VRING_DESC_F_WRITE, 0}};
	uint8_t status = NO_STATUS;

	MUST(axas_read_u16(memory, 0x202, &next) == 0);
	MUST(axas_write(memory, 0, chain, sizeof(chain)) == 0);
	MUST(axas_write(memory, 0x1000, &header, sizeof(header)) == 0);
	MUST(axas_write(memory, 0x1100, &status, 1) == 0);
	MUST(axas_write_u16(memory, 0x204 + 2 * (next % 8), 0) == 0);
	MUST(axas_write_u16(memory, 0x202, (uint16_t)(next + 1)) == 0);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (axvirtio_poll(device))
		;
	MUST(axas_read(memory, 0x1100, &status, 1) == 0);
	return status;
}

/* Writes in the middle of clusters and over several, flushes, and reads them back. */
static void use(struct axvirtio *device, struct axdev *dev, uint8_t how)
{
	static const uint32_t places[] = {0, 3, 13, 79, 82};
	uint8_t sector[512];

	MUST(axas_fill(memory, 0, 0, RAM_BYTES) == 0);
	bring_up(dev, how & 1 ? 1u << VIRTIO_BLK_F_FLUSH : 0, 8);
	for (unsigned i = 0; i < 5; i++) {
		const uint32_t at = places[(i + how) % 5];
		const uint32_t count = at + 9 <= SECTORS ? 9 : 1;

		MUST(axas_fill(memory, 0x2000, (uint8_t)(i + 1), count * 512) == 0);
		MUST(request(device, dev, VIRTIO_BLK_T_OUT, at, count * 512) == 0);
		MUST(axas_fill(memory, 0x2000, 0, count * 512) == 0);
		MUST(request(device, dev, VIRTIO_BLK_T_IN, at, count * 512) == 0);
		MUST(axas_read(memory, 0x2000, sector, sizeof(sector)) == 0);
		MUST(sector[0] == i + 1 && sector[511] == i + 1);
		MUST(request(device, dev, VIRTIO_BLK_T_FLUSH, 0, 0) == 0);
	}
	MUST(request(device, dev, VIRTIO_BLK_T_IN, SECTORS, 512) == VIRTIO_BLK_S_IOERR);
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct axvirtio_blk_config config = {.base = base_path};
	static uint8_t head[DATA], content[sizeof(base)];
	struct axvirtio *device = NULL;
	struct axdev *dev = NULL;
	struct stat st;
	uint32_t crc;

	if (size < 2)
		return 0;
	/* Header from the input, or the good one changed by it; then the bitmap. */
	memset(head, 0, sizeof(head));
	memcpy(head, good, GOOD);
	if (data[0] & 1) {
		for (size_t i = 2; i < size && i < 2 + 80; i++)
			head[i - 2] = data[0] & 2 ? data[i] : head[i - 2] ^ data[i];
		crc = crc32_of(head, GOOD - 4);
		if (data[0] & 4)
			memcpy(head + GOOD - 4, &crc, 4);
	} else {
		memcpy(head + GOOD, data + 2, size - 2 < GOOD ? size - 2 : GOOD);
	}
	MUST(ftruncate(overlay_fd, 0) == 0);
	MUST(ftruncate(overlay_fd, FILE_SIZE - (data[0] & 8 ? data[1] * 64 : 0)) == 0);
	MUST(pwrite(overlay_fd, head, sizeof(head), 0) == sizeof(head));
	MUST(fstat(overlay_fd, &st) == 0);
	config.fd = overlay_fd;
	if (axvirtio_blk_create("disk", &config, &device, NULL) < 0)
		return 0;
	MUST(axvirtio_mmio_create("disk", WINDOW_GPA, 5, device, &services, &dev, NULL) == 0);
	use(device, dev, data[1]);
	dev->ops->destroy(dev);
	MUST(pread(base_fd, content, sizeof(content), 0) == sizeof(content));
	MUST(memcmp(content, base, sizeof(base)) == 0);
	MUST(fstat(overlay_fd, &st) == 0 && st.st_size == FILE_SIZE);
	return 0;
}
