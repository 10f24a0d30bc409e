/*
 * A virtio-blk driver for tests: a device on a temporary image, one queue, and requests in any
 * framing. Synchronous: every request is kicked, served by axvirtio_poll and taken back.
 */
#ifndef AXVM_TEST_VIRTIO_BLK_DRIVER_H
#define AXVM_TEST_VIRTIO_BLK_DRIVER_H

#include "driver.h"
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <sys/stat.h>

#define RING_GPA   0x10000ULL
#define HEADER_GPA 0x30000ULL
#define STATUS_GPA 0x31000ULL
#define DATA_GPA   0x40000ULL
#define QUEUE      256
#define SECTORS    2048u /* 1 MiB */
#define NO_STATUS  0xeeu

#define F_FLUSH (1ULL << VIRTIO_BLK_F_FLUSH)

static struct machine m;
static struct ring ring;
static struct axvirtio *device;
static struct axdev *dev;
static char image[] = "/tmp/axvm-blk-XXXXXX";
static int image_fd = -1;

static void image_create(off_t bytes)
{
	memcpy(image + strlen(image) - 6, "XXXXXX", 6);
	image_fd = mkstemp(image);
	assert_true(image_fd >= 0);
	assert_int_equal(ftruncate(image_fd, bytes), 0);
}

static void image_remove(void)
{
	close(image_fd);
	unlink(image);
}

static UNUSED struct axvirtio_blk_config blk_config(bool read_only)
{
	return (struct axvirtio_blk_config){
		.place = {WINDOW_GPA, GSI},
		.path = image,
		.fd = -1,
		.read_only = read_only,
		.serial = "serial-of-20-bytes-xx",
	};
}

static UNUSED void blk_up(const struct axvirtio_blk_config *config, uint64_t features)
{
	struct ax_error err = {0};

	if (axvirtio_blk_create("disk0", config, &device, &err) < 0 ||
	    axvirtio_mmio_create("disk0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
	ring_init(&ring, &m, RING_GPA, QUEUE);
	negotiate(dev, F_VERSION_1 | features);
	start_queue(dev, &ring);
	axvirtio_poll(device);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

static UNUSED void blk_down(void)
{
	if (dev)
		dev->ops->destroy(dev);
	dev = NULL;
}

static UNUSED void put_header(uint64_t gpa, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	assert_int_equal(axas_write(m.memory, gpa, &header, sizeof(header)), 0);
}

/* Offer, kick, serve; the used length, or -1 when nothing came back. */
static UNUSED int64_t submit(const struct buffer *b, unsigned count)
{
	uint32_t id = 0, len = 0;
	const uint16_t head = offer_chain(&ring, b, count);

	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (axvirtio_poll(device))
		;
	if (!take_used(&ring, &id, &len))
		return -1;
	assert_int_equal(id, head);
	return len;
}

/* The usual three parts. Returns the status byte. */
static UNUSED uint8_t request(uint32_t type, uint64_t sector, uint64_t data, uint32_t bytes)
{
	const struct buffer b[] = {{HEADER_GPA, 16, false},
				   {data, bytes, type != VIRTIO_BLK_T_OUT},
				   {STATUS_GPA, 1, true}};
	uint8_t *status = guest(&m, STATUS_GPA, 1);

	put_header(HEADER_GPA, type, sector);
	*status = NO_STATUS;
	if (submit(b, 3) < 0)
		return NO_STATUS;
	return *status;
}

static UNUSED struct axvirtio_stats stats(void)
{
	struct axvirtio_stats s;

	assert_int_equal(axvirtio_get_stats(dev, &s), 0);
	return s;
}

#endif
