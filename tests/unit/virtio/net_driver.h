/*
 * A virtio-net driver (Spec 5.1) for tests: pairs of rings, receive buffers, control commands, and
 * the far end of a socket. Single-file; every test executable that includes it has one device.
 */
#ifndef AXVM_TEST_VIRTIO_NET_DRIVER_H
#define AXVM_TEST_VIRTIO_NET_DRIVER_H

#include "driver.h"
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>

#define NET_F(name) (1ULL << VIRTIO_NET_F_##name)
#define HDR         12U
#define PAIRS_MAX   4
#define RINGS_GPA   0x10000ULL /* 0x4000 each */
#define CTRL_GPA    0x38000ULL
#define TX_GPA      0x40000ULL
#define RX_GPA      RAM1_GPA /* buffers for receiving, over all of that region */

static struct machine m;
static struct axvirtio *device;
static struct axdev *dev;
static struct ax_error err;
static struct ring rx[PAIRS_MAX], tx[PAIRS_MAX], ctrl;
static int far_fd;

/* What a frame is taken for when nothing is said about it. */
static const struct virtio_net_hdr_v1 plain;

static UNUSED void net_make(const struct axvirtio_net_config *config)
{
	machine_init(&m);
	if (axvirtio_net_create("net0", config, &device, &err) < 0 ||
	    axvirtio_mmio_create("net0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
}

/* A device on one end of a socket pair, far_fd is the other. */
static UNUSED void net_make_socket(enum axvirtio_net_backend backend,
				   struct axvirtio_net_config *config)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX,
			   (backend == AXVIRTIO_NET_PACKET ? SOCK_SEQPACKET : SOCK_STREAM) |
				   SOCK_NONBLOCK,
			   0, fds),
		0);
	config->backend = backend;
	config->fd = fds[0];
	net_make(config);
	close(fds[0]);
	far_fd = fds[1];
}

static UNUSED void set_queue(unsigned queue, const struct ring *ring)
{
	const struct axvq_setup setup = ring_setup(ring);

	write_setup(dev, queue, &setup);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* Where the control queue is (5.1.2). */
static UNUSED unsigned ctrl_index(uint64_t features, unsigned pairs)
{
	return features & NET_F(MQ) ? 2 * pairs : 2;
}

static UNUSED void net_start(uint64_t features, unsigned pairs, uint16_t size)
{
	negotiate(dev, features | F_VERSION_1);
	assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_FEAT);
	for (unsigned i = 0; i < pairs; i++) {
		ring_init(&rx[i], &m, RINGS_GPA + 0x8000ULL * i, size);
		ring_init(&tx[i], &m, RINGS_GPA + 0x8000ULL * i + 0x4000, size);
		set_queue(2 * i, &rx[i]);
		set_queue(2 * i + 1, &tx[i]);
	}
	if (features & NET_F(CTRL_VQ)) {
		ring_init(&ctrl, &m, CTRL_GPA, 16);
		set_queue(ctrl_index(features, pairs), &ctrl);
	}
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

static UNUSED void net_down(void)
{
	dev->ops->destroy(dev);
	machine_finish(&m);
	if (far_fd >= 0)
		close(far_fd);
	far_fd = -1;
}

static UNUSED void poll_all(void)
{
	for (unsigned i = 0; i < 200 && axvirtio_poll(device); i++)
		;
}

static UNUSED void kick(unsigned queue)
{
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

/* `count` receive buffers of `bytes` each for queue 0, one descriptor each. */
static UNUSED void offer_rx(unsigned count, uint32_t bytes)
{
	for (unsigned i = 0; i < count; i++) {
		const struct buffer b = {RX_GPA + (uint64_t)rx[0].free_desc * bytes, bytes, true};

		offer_chain(&rx[0], &b, 1);
	}
	kick(0);
}

static UNUSED struct virtio_net_hdr_v1 header_at(uint64_t gpa)
{
	struct virtio_net_hdr_v1 header;

	memcpy(&header, guest(&m, gpa, HDR), HDR);
	return header;
}

/* A frame of `bytes` whose content follows from `seed`. */
static UNUSED uint8_t *make_frame(uint32_t bytes, unsigned seed)
{
	static uint8_t frame[70000];

	for (uint32_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)(seed + i * 7 + i / 251);
	return frame;
}

static UNUSED bool is_frame(const void *at, uint32_t bytes, unsigned seed)
{
	return memcmp(at, make_frame(bytes, seed), bytes) == 0;
}

/* Into guest memory at gpa: header and frame. */
static UNUSED void put_packet(uint64_t gpa, const struct virtio_net_hdr_v1 *header, uint32_t bytes,
			      unsigned seed)
{
	memcpy(guest(&m, gpa, HDR), header, HDR);
	if (bytes)
		memcpy(guest(&m, gpa + HDR, bytes), make_frame(bytes, seed), bytes);
}

/* Send from queue 1; the length the device reports, or -1 when it does not give the chain back. */
static UNUSED int64_t send_chain(const struct buffer *b, unsigned count)
{
	uint32_t id, len;

	offer_chain(&tx[0], b, count);
	kick(1);
	poll_all();
	return take_used(&tx[0], &id, &len) ? (int64_t)len : -1;
}

static UNUSED int64_t send_packet(const struct virtio_net_hdr_v1 *header, uint32_t bytes,
				  unsigned seed)
{
	const struct buffer b = {TX_GPA, HDR + bytes, false};

	put_packet(TX_GPA, header, bytes, seed);
	return send_chain(&b, 1);
}

/* One message from the far end's socket into buf; 0: none. */
static UNUSED ssize_t far_read(void *buf, size_t size)
{
	const ssize_t n = read(far_fd, buf, size);

	return n < 0 ? 0 : n;
}

/* One frame to the device, behind a header. */
static UNUSED void far_write(const struct virtio_net_hdr_v1 *header, uint32_t bytes, unsigned seed)
{
	struct virtio_net_hdr_v1 copy = *header;
	struct iovec iov[] = {{&copy, HDR}, {make_frame(bytes, seed), bytes}};

	assert_int_equal(writev(far_fd, iov, 2), HDR + bytes);
}

static UNUSED struct axvirtio_net_stats net_stats(void)
{
	struct axvirtio_net_stats stats;

	axvirtio_net_get_stats(device, &stats);
	return stats;
}

static UNUSED uint16_t link_status(void)
{
	uint64_t value = 0;

	reg_access(dev, VIRTIO_MMIO_CONFIG + 6, 2, false, &value);
	return (uint16_t)value;
}

static UNUSED bool needs_reset(void)
{
	return rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET;
}

/* A control command; what was answered, or -1 when nothing was. */
static UNUSED int command(unsigned queue, uint8_t class, uint8_t cmd, const void *data,
			  uint32_t bytes)
{
	const uint64_t gpa = CTRL_GPA + 0x2000;
	const struct buffer b[] = {
		{gpa, 2, false}, {gpa + 16, bytes, false}, {gpa + 0x1000, 1, true}};
	uint8_t *at = guest(&m, gpa, 0x1001);
	uint32_t id, len;

	at[0] = class;
	at[1] = cmd;
	if (bytes)
		memcpy(at + 16, data, bytes);
	at[0x1000] = 0xee;
	offer_chain(&ctrl, b, 3);
	kick(queue);
	poll_all();
	if (!take_used(&ctrl, &id, &len))
		return -1;
	assert_int_equal(len, 1);
	return at[0x1000];
}

#endif
