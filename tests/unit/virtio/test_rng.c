/*
 * virtio-rng: bounded requests (must-test 9), sources that run dry, malformed requests, and limits.
 */
#include "driver.h"
#include <fcntl.h>
#include <linux/virtio_ids.h>

#define RING_GPA 0x10000ULL
#define BUF_GPA  0x40000ULL

static struct machine m;
static struct ring ring;
static struct axvirtio *device;
static struct axdev *dev;
static struct ax_error err;

static void up_limited(const char *path, int fd, struct axvirtio_limit limit)
{
	const struct axvirtio_rng_config config = {.path = path, .fd = fd, .limit = limit};

	machine_init(&m);
	if (axvirtio_rng_create("rng0", &config, &device, &err) < 0 ||
	    axvirtio_mmio_create("rng0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
	ring_init(&ring, &m, RING_GPA, 64);
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
}

static void up(const char *path, int fd)
{
	up_limited(path, fd, (struct axvirtio_limit){0});
}

static void down(void)
{
	dev->ops->destroy(dev);
	machine_finish(&m);
}

static int64_t ask(const struct buffer *b, unsigned count)
{
	uint32_t id, len;

	offer_chain(&ring, b, count);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	axvirtio_poll(device);
	return take_used(&ring, &id, &len) ? (int64_t)len : -1;
}

static bool all_zero(uint64_t gpa, uint32_t len)
{
	const uint8_t *p = guest(&m, gpa, len);

	for (uint32_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static void test_fill(void **state)
{
	const struct buffer three[] = {
		{BUF_GPA, 7, true}, {BUF_GPA + 100, 64, true}, {RAM1_GPA - 32, 64, true}};

	(void)state;
	up(NULL, -1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	assert_int_equal(ask(three, 3), 135);
	assert_false(all_zero(BUF_GPA + 100, 64));
	assert_false(all_zero(RAM1_GPA - 32, 32));
	assert_false(all_zero(RAM1_GPA, 32));
	assert_true(all_zero(BUF_GPA + 7, 93));
	down();
}

/* However much is asked for, 64 KiB come, and the rest of the buffer stays as it was. */
static void test_bounded(void **state)
{
	struct buffer many[64];
	const struct buffer one = {RAM1_GPA, 0x80000, true};

	(void)state;
	up(NULL, -1);
	assert_int_equal(ask(&one, 1), AXVIRTIO_RNG_MAX_BYTES);
	assert_false(all_zero(RAM1_GPA + AXVIRTIO_RNG_MAX_BYTES - 64, 64));
	assert_true(all_zero(RAM1_GPA + AXVIRTIO_RNG_MAX_BYTES, 0x80000 - AXVIRTIO_RNG_MAX_BYTES));
	for (unsigned i = 0; i < 64; i++)
		many[i] = (struct buffer){RAM0_GPA + 0x80000, 0x80000, true};
	ring.free_desc = 0;
	assert_int_equal(ask(many, 64), AXVIRTIO_RNG_MAX_BYTES);
	down();
}

static void test_odd_requests(void **state)
{
	const struct buffer readable = {BUF_GPA, 8, false};
	const struct buffer empty = {BUF_GPA, 0, true};
	const struct buffer hole = {HOLE_GPA, 8, true};

	(void)state;
	up(NULL, -1);
	assert_int_equal(ask(&readable, 1), 0);
	assert_true(all_zero(BUF_GPA, 8));
	assert_int_equal(ask(&empty, 1), 0);
	assert_int_equal(ask(&hole, 1), -1);
	assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
	down();
}

static void test_sources(void **state)
{
	const struct buffer b = {BUF_GPA, 100, true};
	const struct axvirtio_rng_config gone = {.path = "/nonexistent/random", .fd = -1};
	struct axvirtio *none = NULL;
	int fds[2];

	(void)state;
	up("/dev/urandom", -1);
	assert_int_equal(ask(&b, 1), 100);
	down();
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	assert_int_equal(write(fds[1], "0123456789", 10), 10);
	up(NULL, fds[0]);
	assert_int_equal(ask(&b, 1), 10);
	assert_memory_equal(guest(&m, BUF_GPA, 10), "0123456789", 10);
	assert_int_equal(ask(&b, 1), 1); /* dry: one byte of the kernel's */
	down();
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(axvirtio_rng_create("rng0", &gone, &none, &err), -ENOENT);
	assert_null(none);
	assert_int_equal(axvirtio_rng_class.type, 0xe4);
}

/* Requests wait until their bytes are there, however often the driver kicks, and a reset while they
 * do is as any other. */
static void test_limited(void **state)
{
	const struct buffer b = {BUF_GPA, 1000, true};
	uint64_t began_ns;
	uint32_t id, len;
	unsigned done = 0;

	(void)state;
	up_limited(NULL, -1, (struct axvirtio_limit){.bytes_per_s = 20000, .bytes_burst = 1000});
	began_ns = ax_clock_ns();
	assert_int_equal(ask(&b, 1), 1000);
	for (unsigned i = 0; i < 4; i++) {
		offer_chain(&ring, &b, 1);
		wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	}
	while (done < 4 && ax_clock_ns() - began_ns < 30000000000ULL) {
		axvirtio_poll(device);
		done += take_used(&ring, &id, &len);
	}
	assert_int_equal(done, 4);
	/* The last is let through when the bucket is no longer empty: 3 x 50 ms and a byte. */
	assert_true(ax_clock_ns() - began_ns >= 150000000);
	offer_chain(&ring, &b, 1);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	axvirtio_poll(device);
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), 0);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill),         cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_odd_requests), cmocka_unit_test(test_sources),
		cmocka_unit_test(test_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
