/*
 * A virtio-console driver for tests, as 5.3 describes it: a ring per queue, buffers of one size,
 * the control messages, and the far end of every port. Backends and device are on one loop, which
 * is stepped, or run by a thread of the test.
 */
#ifndef AXVM_TEST_VIRTIO_CONSOLE_DRIVER_H
#define AXVM_TEST_VIRTIO_CONSOLE_DRIVER_H

#include "driver.h"
#include <fcntl.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <sys/socket.h>

#define RING_SIZE   16
#define RINGS_GPA   0x10000ULL
#define BUFFER      1024U
#define QUEUES      18U
#define CONTROL_IN  2U
#define CONTROL_OUT 3U

#define F_SIZE      (1ULL << VIRTIO_CONSOLE_F_SIZE)
#define F_MULTIPORT (1ULL << VIRTIO_CONSOLE_F_MULTIPORT)
#define F_EMERG     (1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE)

static struct machine m;
static struct ax_loop *loop;
static struct axchr *chr[AXVIRTIO_CONSOLE_MAX_PORTS];
static int peer[AXVIRTIO_CONSOLE_MAX_PORTS]; /* the host's end, non-blocking; -1: a socket_path */
static int backend_fd[AXVIRTIO_CONSOLE_MAX_PORTS];
static struct axvirtio *device;
static struct axdev *dev;
static struct ring ring[QUEUES];
static struct ax_error err;

static UNUSED unsigned rx_of(unsigned port)
{
	return port ? 2 + 2 * port : 0;
}

static UNUSED unsigned tx_of(unsigned port)
{
	return rx_of(port) + 1;
}

/* All there is to do; a device that never comes to rest is a failure. */
static UNUSED void settle(void)
{
	unsigned steps = 0;

	while (ax_loop_step(loop))
		assert_true(++steps < 100000);
}

static UNUSED uint64_t buffer_gpa(unsigned queue, unsigned slot)
{
	return RAM1_GPA + ((uint64_t)queue * RING_SIZE + slot) * BUFFER;
}

static UNUSED void backend_up(unsigned port, const char *path)
{
	struct axchr_config config = {.in_fd = -1, .out_fd = -1, .socket_path = path};
	int fds[2] = {-1, -1};

	if (!path) {
		assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
		config.in_fd = config.out_fd = fds[1];
	}
	peer[port] = fds[0];
	backend_fd[port] = fds[1];
	if (axchr_create(&config, loop, &chr[port], &err) < 0)
		fail_msg("%s", err.message);
}

/* Ports with chr NULL get a socket pair. */
static UNUSED void console_up(struct axvirtio_console_port *ports, unsigned count, uint16_t columns,
			      uint16_t rows)
{
	const struct axvirtio_console_config config = {
		.ports = ports, .port_count = count, .columns = columns, .rows = rows};

	machine_init(&m);
	m.services.io_loop = loop;
	for (unsigned i = 0; i < count; i++) {
		if (!chr[i])
			backend_up(i, NULL);
		ports[i].chr = chr[i];
	}
	if (axvirtio_console_create("console0", &config, &device, &err) < 0 ||
	    axvirtio_mmio_create("console0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
}

static UNUSED int setup(void **state)
{
	(void)state;
	memset(chr, 0, sizeof(chr));
	memset(&err, 0, sizeof(err));
	for (unsigned i = 0; i < AXVIRTIO_CONSOLE_MAX_PORTS; i++)
		peer[i] = backend_fd[i] = -1;
	assert_int_equal(ax_loop_create(AX_LOOP_EPOLL, &loop, NULL), 0);
	return 0;
}

static UNUSED int teardown(void **state)
{
	(void)state;
	if (dev) {
		dev->ops->destroy(dev);
		machine_finish(&m);
	}
	dev = NULL;
	for (unsigned i = 0; i < AXVIRTIO_CONSOLE_MAX_PORTS; i++) {
		axchr_destroy(chr[i]);
		if (peer[i] >= 0)
			close(peer[i]);
		if (backend_fd[i] >= 0)
			close(backend_fd[i]);
	}
	ax_loop_destroy(loop);
	return 0;
}

/* Reset, negotiate, all queues there are, DRIVER_OK. Does not touch the loop. */
static UNUSED void drive(uint64_t features)
{
	negotiate(dev, F_VERSION_1 | features);
	for (unsigned i = 0; i < QUEUES; i++) {
		struct axvq_setup s;

		wr(dev, VIRTIO_MMIO_QUEUE_SEL, i);
		if (!rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX))
			continue;
		ring_init(&ring[i], &m, RINGS_GPA + 0x1000 * i, RING_SIZE);
		s = ring_setup(&ring[i]);
		write_setup(dev, i, &s);
		wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

static UNUSED void kick(unsigned queue)
{
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

/* `count` buffers for the device to write, of `bytes` each. */
static UNUSED void offer_buffers(unsigned queue, unsigned count, uint32_t bytes)
{
	for (unsigned i = 0; i < count; i++) {
		const struct buffer b = {buffer_gpa(queue, ring[queue].free_desc), bytes, true};

		offer_chain(&ring[queue], &b, 1);
	}
	kick(queue);
}

/* What the device has written next, or -1. */
static UNUSED int64_t take_buffer(unsigned queue, void *bytes, size_t max)
{
	uint32_t id, len;

	if (!take_used(&ring[queue], &id, &len))
		return -1;
	assert_true(len <= max);
	memcpy(bytes, guest(&m, buffer_gpa(queue, id), BUFFER), len);
	return len;
}

/* One buffer for the device to read; settle() is the caller's. */
static UNUSED uint16_t transmit(unsigned queue, const void *bytes, uint32_t count)
{
	const struct buffer b = {buffer_gpa(queue, ring[queue].free_desc), count, false};

	assert_true(count <= BUFFER);
	assert_int_equal(axas_write(m.memory, b.gpa, bytes, count), 0);
	offer_chain(&ring[queue], &b, 1);
	kick(queue);
	return 0;
}

static UNUSED unsigned taken(unsigned queue)
{
	unsigned count = 0;
	uint32_t id, len;

	while (take_used(&ring[queue], &id, &len))
		count++;
	return count;
}

static UNUSED void expect_peer(unsigned port, const void *bytes, size_t count)
{
	uint8_t got[4096];

	assert_true(count < sizeof(got));
	assert_int_equal(recv(peer[port], got, sizeof(got), 0), count ? (ssize_t)count : -1);
	assert_memory_equal(got, bytes, count);
}

/* ---- control messages ------------------------------------------------------------------------ */

static UNUSED void tell(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control message = {id, event, value};

	transmit(CONTROL_OUT, &message, sizeof(message));
	settle();
	assert_int_equal(taken(CONTROL_OUT), 1);
}

struct told {
	struct virtio_console_control header;
	uint8_t more[128];
};

/* The next message; false: none. */
static UNUSED bool heard(struct told *message, uint32_t *ret_more)
{
	int64_t n;

	memset(message, 0, sizeof(*message));
	*ret_more = 0;
	n = take_buffer(CONTROL_IN, message, sizeof(*message));
	if (n < 0)
		return false;
	assert_true(n >= (int64_t)sizeof(message->header));
	*ret_more = (uint32_t)n - (uint32_t)sizeof(message->header);
	return true;
}

static UNUSED void expect_message(uint32_t id, uint16_t event, uint16_t value, const void *more,
				  uint32_t count)
{
	struct told message;
	uint32_t got;

	assert_true(heard(&message, &got));
	assert_int_equal(message.header.id, id);
	assert_int_equal(message.header.event, event);
	assert_int_equal(message.header.value, value);
	assert_int_equal(got, count);
	assert_memory_equal(message.more, more, count);
}

static UNUSED void expect_silence(void)
{
	struct told message;
	uint32_t more;

	assert_false(heard(&message, &more));
}

static UNUSED struct axvirtio_stats stats(void)
{
	struct axvirtio_stats s;

	assert_int_equal(axvirtio_get_stats(dev, &s), 0);
	return s;
}

#endif
