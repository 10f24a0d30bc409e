/*
 * virtio-console with one port and a driver without MULTIPORT: bytes both ways, readers and drivers
 * that are slow or gone (must-test 11: nothing grows), resets in the middle, the terminal's size
 * and the emergency write.
 */
#include "console_driver.h"

static struct axvirtio_console_port one[1] = {{.is_console = true}};

static void up(uint64_t features)
{
	console_up(one, 1, 0, 0);
	drive(features);
	settle();
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i % 251 + i / 251);
}

/* ---- what is offered ------------------------------------------------------------------------- */

static uint64_t config_read(uint64_t offset, unsigned width)
{
	uint64_t value = 0;

	assert_int_equal(reg_access(dev, VIRTIO_MMIO_CONFIG + offset, width, false, &value),
			 AXDEV_HANDLED);
	return value;
}

static void test_offer(void **state)
{
	(void)state;
	console_up(one, 1, 132, 43);
	assert_int_equal(rd(dev, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_CONSOLE);
	assert_int_equal(offered(dev) & 0xffffff, F_SIZE | F_MULTIPORT | F_EMERG);
	assert_int_equal(config_read(0, 2), 132);
	assert_int_equal(config_read(2, 2), 43);
	assert_int_equal(config_read(4, 4), 1);
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_true(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX) >= RING_SIZE);
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, 4); /* behind the port's and those of control */
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(axvirtio_console_class.type, 0xe3);
	assert_non_null(axdev_class_by_name("virtio-console"));
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void test_bytes(void **state)
{
	uint8_t all[256], got[BUFFER];
	const struct buffer parts[] = {{RAM1_GPA - 3, 3, false},
				       {RAM1_GPA, 0, false},
				       {RAM1_GPA, 253, false},
				       {RAM0_GPA + 0x8000, 16, true}};
	uint32_t id, len;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	up(0);
	transmit(1, all, 256);
	settle();
	assert_int_equal(taken(1), 1);
	expect_peer(0, all, 256);
	/* Any framing, and what is writable is none of the message. */
	assert_int_equal(axas_write(m.memory, RAM1_GPA - 3, all, 256), 0);
	offer_chain(&ring[1], parts, 4);
	kick(1);
	settle();
	assert_true(take_used(&ring[1], &id, &len));
	assert_int_equal(len, 0);
	expect_peer(0, all, 256);
	/* Input: what comes at once may be cut, but not reordered. */
	offer_buffers(0, 3, 100);
	settle();
	assert_int_equal(send(peer[0], all, 256, 0), 256);
	settle();
	assert_int_equal(take_buffer(0, got, 100), 100);
	assert_int_equal(take_buffer(0, got + 100, 100), 100);
	assert_int_equal(take_buffer(0, got + 200, 100), 56);
	assert_memory_equal(got, all, 256);
	assert_int_equal(take_buffer(0, got, sizeof(got)), -1);
	assert_true(m.pulses > 0);
}

/* A reader that takes little at a time: 1 MiB goes through in order and only so much is under way.
 */
static void test_slow_reader(void **state)
{
	const size_t total = 1 << 20;
	uint8_t bytes[BUFFER];
	size_t sent = 0, got = 0, ended = 0;
	unsigned stuck = 0;

	(void)state;
	up(F_EVENT_IDX);
	while (got < total) {
		ssize_t n;

		while (sent < total && sent / BUFFER - ended < RING_SIZE) {
			for (size_t i = 0; i < BUFFER; i++)
				bytes[i] = pattern(sent + i);
			transmit(1, bytes, BUFFER);
			sent += BUFFER;
		}
		settle();
		ended += taken(1);
		if (sent / BUFFER - ended == RING_SIZE)
			stuck++;
		/* A chain is given back when all of it is gone, and never before. */
		assert_true(ended * BUFFER <= got + 512 * 1024);
		n = recv(peer[0], bytes, 1 + got % sizeof(bytes), 0);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], pattern(got + (size_t)i));
		got += (size_t)n;
	}
	settle();
	assert_int_equal(ended + taken(1), total / BUFFER);
	assert_true(stuck > 10);
	expect_peer(0, "", 0);
}

/* One chain that is larger than all the room there is. */
static void test_large_chain(void **state)
{
	const size_t total = 0x80000;
	const struct buffer b[] = {{RAM0_GPA + 0x60000, 0x80000, false}};
	uint8_t *data, got[5000];
	size_t done = 0;
	uint32_t id, len;

	(void)state;
	up(0);
	data = guest(&m, b[0].gpa, total);
	for (size_t i = 0; i < total; i++)
		data[i] = pattern(i);
	offer_chain(&ring[1], b, 1);
	kick(1);
	settle();
	while (done < total) {
		const ssize_t n = recv(peer[0], got, sizeof(got), 0);

		assert_true(n > 0);
		assert_memory_equal(got, data + done, n);
		done += (size_t)n;
		if (done < total / 4)
			assert_false(take_used(&ring[1], &id, &len));
		settle();
	}
	assert_true(take_used(&ring[1], &id, &len));
	expect_peer(0, "", 0);
}

/* Fill everything between us and a reader that does not read. */
static void stall(void)
{
	static const uint8_t old[BUFFER] = {'o', 'l', 'd'};

	do {
		transmit(1, old, BUFFER);
		settle();
	} while (taken(1));
}

static void drain_peer(void)
{
	uint8_t bytes[BUFFER];

	do {
		settle();
	} while (recv(peer[0], bytes, sizeof(bytes), 0) > 0);
}

/* A reset while a chain is half gone: the next driver's first is sent whole. */
static void test_reset_in_the_middle(void **state)
{
	(void)state;
	up(0);
	for (unsigned round = 0; round < 3; round++) {
		stall();
		wr(dev, VIRTIO_MMIO_STATUS, 0);
		settle();
		drive(round & 1 ? F_EVENT_IDX : 0);
		settle();
		drain_peer();
		transmit(1, "new", 3);
		settle();
		assert_int_equal(taken(1), 1);
		expect_peer(0, "new", 3);
	}
}

/* A driver that changes a chain it has given away harms its own bytes only. */
static void test_changed_chain(void **state)
{
	uint16_t d;

	(void)state;
	up(0);
	stall();
	d = (uint16_t)((ring[1].free_desc + RING_SIZE - 1) % RING_SIZE);
	ring[1].desc[d].len = 0;
	drain_peer();
	assert_int_equal(taken(1), 1);
	transmit(1, "next", 4);
	settle();
	expect_peer(0, "next", 4);
	stall();
	d = (uint16_t)((ring[1].free_desc + RING_SIZE - 1) % RING_SIZE);
	ring[1].desc[d].addr = HOLE_GPA;
	drain_peer();
	assert_int_equal(taken(1), 0);
	assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
}

/* 1 MiB of paste while the driver has no buffers, then with few: bounded, at rest, complete. */
static void test_input_flood(void **state)
{
	const size_t total = 1 << 20;
	static uint8_t paste[1 << 20];
	uint8_t got[BUFFER];
	size_t sent = 0, done = 0;
	ssize_t n;

	(void)state;
	for (size_t i = 0; i < total; i++)
		paste[i] = pattern(i);
	up(F_EVENT_IDX);
	for (unsigned i = 0; i < 100; i++) {
		n = send(peer[0], paste + sent, total - sent, 0);
		sent += n > 0 ? (size_t)n : 0;
		settle();
	}
	assert_true(sent < total);
	while (done < total) {
		int64_t len;

		offer_buffers(0, 1 + (unsigned)done % 3, 1 + (uint32_t)done % BUFFER);
		settle();
		while ((len = take_buffer(0, got, sizeof(got))) >= 0) {
			assert_true(len > 0);
			assert_memory_equal(got, paste + done, len);
			done += (size_t)len;
		}
		n = sent < total ? send(peer[0], paste + sent, total - sent, 0) : 0;
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(done, total);
}

/* Input is there before the driver, and survives it: nothing is lost but what it had taken. */
static void test_input_waits(void **state)
{
	uint8_t got[BUFFER];

	(void)state;
	console_up(one, 1, 0, 0);
	assert_int_equal(send(peer[0], "early", 5, 0), 5);
	settle();
	drive(0);
	settle();
	offer_buffers(0, 1, BUFFER);
	settle();
	assert_int_equal(take_buffer(0, got, sizeof(got)), 5);
	assert_memory_equal(got, "early", 5);
	assert_int_equal(dev->ops->suspend(dev, NULL), 0);
	offer_buffers(0, 1, BUFFER);
	assert_int_equal(send(peer[0], "paused", 6, 0), 6);
	settle();
	assert_int_equal(take_buffer(0, got, sizeof(got)), -1);
	assert_int_equal(dev->ops->resume(dev, NULL), 0);
	settle();
	assert_int_equal(take_buffer(0, got, sizeof(got)), 6);
	assert_int_equal(send(peer[0], "kept", 4, 0), 4);
	settle();
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	settle();
	drive(0);
	settle();
	offer_buffers(0, 1, BUFFER);
	settle();
	assert_int_equal(take_buffer(0, got, sizeof(got)), 4);
	assert_memory_equal(got, "kept", 4);
}

static void test_odd_buffers(void **state)
{
	const struct buffer empty = {RAM1_GPA, 0, true}, readable = {RAM1_GPA, 64, false};
	const struct buffer hole = {HOLE_GPA, 64, true};
	uint8_t got[BUFFER];
	uint32_t id, len;

	(void)state;
	up(0);
	/* Receive buffers that hold nothing go back empty; the bytes find the next one. */
	offer_chain(&ring[0], &empty, 1);
	offer_chain(&ring[0], &readable, 1);
	offer_buffers(0, 1, BUFFER);
	assert_int_equal(send(peer[0], "byte", 4, 0), 4);
	settle();
	for (unsigned i = 0; i < 2; i++) {
		assert_true(take_used(&ring[0], &id, &len));
		assert_int_equal(len, 0);
	}
	assert_int_equal(take_buffer(0, got, sizeof(got)), 4);
	assert_int_equal(stats().errors, 2);
	/* Nothing to send. */
	offer_chain(&ring[1], &empty, 1);
	kick(1);
	settle();
	assert_int_equal(taken(1), 1);
	expect_peer(0, "", 0);
	offer_chain(&ring[0], &hole, 1);
	kick(0);
	assert_int_equal(send(peer[0], "byte", 4, 0), 4);
	settle();
	assert_true(rd(dev, VIRTIO_MMIO_STATUS) & ST_RESET);
	drive(0);
	settle();
	offer_buffers(0, 1, BUFFER);
	settle();
	assert_int_equal(take_buffer(0, got, sizeof(got)), 4);
	assert_memory_equal(got, "byte", 4);
}

/* While the device has buffers and nothing to put in them, it wants no kicks for more. */
static void test_kicks(void **state)
{
	(void)state;
	up(0);
	settle();
	assert_int_equal(ring[0].used[0] & VRING_USED_F_NO_NOTIFY, VRING_USED_F_NO_NOTIFY);
	assert_int_equal(send(peer[0], "x", 1, 0), 1);
	settle();
	assert_int_equal(ring[0].used[0] & VRING_USED_F_NO_NOTIFY, 0);
	offer_buffers(0, 4, BUFFER);
	settle();
	assert_int_equal(ring[0].used[0] & VRING_USED_F_NO_NOTIFY, VRING_USED_F_NO_NOTIFY);
	/* Nor while the reader is stuck. */
	stall();
	assert_int_equal(ring[1].used[0] & VRING_USED_F_NO_NOTIFY, VRING_USED_F_NO_NOTIFY);
	drain_peer();
	assert_int_equal(ring[1].used[0] & VRING_USED_F_NO_NOTIFY, 0);
}

/* ---- configuration space --------------------------------------------------------------------- */

static void test_resize(void **state)
{
	uint32_t generation;
	uint64_t interrupts;

	(void)state;
	console_up(one, 1, 80, 24);
	axvirtio_console_resize(device, 100, 30); /* nobody to tell yet */
	assert_int_equal(stats().config_interrupts, 0);
	assert_int_equal(config_read(0, 4), 30 << 16 | 100);
	drive(F_SIZE);
	settle();
	generation = rd(dev, VIRTIO_MMIO_CONFIG_GENERATION);
	axvirtio_console_resize(device, 65535, 1);
	assert_int_equal(config_read(0, 2), 65535);
	assert_int_equal(config_read(2, 2), 1);
	assert_true(rd(dev, VIRTIO_MMIO_CONFIG_GENERATION) != generation);
	assert_true(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	interrupts = stats().config_interrupts;
	assert_int_equal(interrupts, 1);
	axvirtio_console_resize(device, 65535, 1);
	assert_int_equal(stats().config_interrupts, interrupts);
	settle();
}

static void test_emergency_write(void **state)
{
	uint64_t c;

	(void)state;
	console_up(one, 1, 80, 24);
	/* Before anything was negotiated, which is what it is for. */
	for (const char *p = "panic"; *p; p++) {
		c = 0x1100 | (uint8_t)*p;
		reg_access(dev, VIRTIO_MMIO_CONFIG + 8, 4, true, &c);
	}
	c = 0xff;
	reg_access(dev, VIRTIO_MMIO_CONFIG + 8, 1, true, &c);
	settle();
	expect_peer(0, "panic\xff", 6);
	/* The rest is read-only. */
	for (unsigned offset = 0; offset < 16; offset++) {
		c = 'x';
		if (offset != 8)
			reg_access(dev, VIRTIO_MMIO_CONFIG + offset, 1, true, &c);
	}
	settle();
	expect_peer(0, "", 0);
	assert_int_equal(config_read(0, 4), 24 << 16 | 80);
	assert_int_equal(config_read(4, 4), 1);
	/* One that nobody reads: bounded, and the vCPU never waits. */
	for (unsigned i = 0; i < 1000000; i++) {
		c = 'x';
		reg_access(dev, VIRTIO_MMIO_CONFIG + 8, 4, true, &c);
	}
	settle();
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offer),
		TEST(test_bytes),
		TEST(test_slow_reader),
		TEST(test_large_chain),
		TEST(test_reset_in_the_middle),
		TEST(test_changed_chain),
		TEST(test_input_flood),
		TEST(test_input_waits),
		TEST(test_odd_buffers),
		TEST(test_kicks),
		TEST(test_resize),
		TEST(test_emergency_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
