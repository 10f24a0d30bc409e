/*
 * virtio-mmio registers against Spec 4.2.2 and the status rules of 3.1, with a device made for the
 * purpose: two queues, eleven bytes of writable configuration space, chains given back at once.
 */
#include "driver.h"
#include <sys/resource.h>

#define RING_GPA 0x10000ULL
#define BUF_GPA  0x40000ULL

static struct machine m;
static struct ring ring;
static struct axdev *dev;

/* ---- a device -------------------------------------------------------------------------------- */

static struct {
	struct axvirtio device;
	uint8_t config[11];
	unsigned activated, resets, destroyed, bound, unbound;
	uint64_t features;
	int activate_result;
	unsigned delay_us; /* of each chain */
	/* Requests of two operations each, the second begun when the first has ended. */
	bool asynchronous;
	struct ax_op op;
	unsigned ops_left;
	uint16_t head;
	int fd;
	uint8_t byte;
	struct iovec iov;
} toy;

static int toy_bound(struct axvirtio *device, struct ax_error *err)
{
	(void)err;
	assert_non_null(axvirtio_loop(device, 1));
	toy.bound++;
	return 0;
}

static void toy_unbound(struct axvirtio *device)
{
	assert_non_null(axvirtio_loop(device, 1));
	toy.unbound++;
}

static int toy_activate(struct axvirtio *device, uint64_t features)
{
	assert_ptr_equal(device, &toy.device);
	toy.activated++;
	toy.features = features;
	return toy.activate_result;
}

static void toy_reset(struct axvirtio *device)
{
	(void)device;
	assert_int_equal(toy.ops_left, 0);
	toy.resets++;
}

static void toy_on_read(struct ax_op *op, int32_t result)
{
	assert_int_equal(result, 1);
	if (--toy.ops_left) {
		ax_op_readv(axvirtio_loop(&toy.device, 0), op, toy.fd, &toy.iov, 1, 0, 0);
		return;
	}
	axvirtio_push(&toy.device, 0, toy.head, 1, 10);
	axvirtio_release(&toy.device, 0);
}

static int toy_one(struct axvirtio *device, unsigned index)
{
	struct iovec iov[16];
	struct axvq_chain chain;
	int r = axvirtio_pop(device, index, iov, 16, &chain);

	if (r > 0 && toy.asynchronous) {
		toy.head = chain.head;
		toy.ops_left = 2;
		toy.op.fn = toy_on_read;
		toy.iov = (struct iovec){&toy.byte, 1};
		axvirtio_hold(device, index);
		ax_op_readv(axvirtio_loop(device, index), &toy.op, toy.fd, &toy.iov, 1, 0, 0);
	} else if (r > 0) {
		if (toy.delay_us)
			usleep(toy.delay_us);
		axvirtio_push(device, index, chain.head, 1, 10);
	}
	return r;
}

static void toy_handle(struct axvirtio *device, unsigned index)
{
	axvirtio_serve(device, index, toy_one);
}

static void toy_write(struct axvirtio *device, uint32_t offset, const uint8_t *bytes,
		      unsigned width)
{
	(void)device;
	memcpy(toy.config + offset, bytes, width);
}

static void toy_destroy(struct axvirtio *device)
{
	(void)device;
	toy.destroyed++;
}

static const struct axvirtio_ops toy_ops = {
	.bound = toy_bound,
	.unbound = toy_unbound,
	.activate = toy_activate,
	.reset = toy_reset,
	.handle_queue = toy_handle,
	.write_config = toy_write,
	.destroy = toy_destroy,
};
static const uint16_t toy_max[] = {8, 16};
#define TOY_FEATURES (1ULL << 3 | 1ULL << 40)

static void toy_make(void)
{
	memset(&toy, 0, sizeof(toy));
	for (size_t i = 0; i < sizeof(toy.config); i++)
		toy.config[i] = (uint8_t)(0x10 + i);
	toy.device = (struct axvirtio){
		.ops = &toy_ops,
		.class_name = "toy",
		.device_id = 42,
		.features = TOY_FEATURES,
		.queue_count = 2,
		.queue_max = toy_max,
		.config = toy.config,
		.config_size = sizeof(toy.config),
	};
}

static int setup(void **state)
{
	(void)state;
	machine_init(&m);
	toy_make();
	assert_int_equal(
		axvirtio_mmio_create("toy0", WINDOW_GPA, GSI, &toy.device, &m.services, &dev, NULL),
		0);
	ring_init(&ring, &m, RING_GPA, 8);
	set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dev->ops->destroy(dev);
	assert_int_equal(toy.destroyed, 1);
	machine_finish(&m);
	return 0;
}

static struct axvirtio_stats stats(void)
{
	struct axvirtio_stats s;

	assert_int_equal(axvirtio_get_stats(dev, &s), 0);
	return s;
}

static void kick(uint32_t queue)
{
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	axvirtio_poll(&toy.device);
}

#define S_READY (ST_ACK | ST_DRIVER | ST_FEAT | ST_OK)

/* ---- the register matrix --------------------------------------------------------------------- */

static void test_identity(void **state)
{
	struct axvirtio_mmio_info info;
	struct axdev other = {0};

	(void)state;
	assert_int_equal(rd(dev, 0x000), 0x74726976);
	assert_int_equal(rd(dev, 0x004), 2);
	assert_int_equal(rd(dev, 0x008), 42);
	assert_int_equal(rd(dev, 0x00c), 0x4d565841);
	assert_int_equal(dev->resource_count, 1);
	assert_int_equal(dev->resource[0].space, AXDEV_MMIO);
	assert_true(dev->resource[0].base == WINDOW_GPA);
	assert_int_equal(dev->resource[0].size, 4096);
	assert_string_equal(dev->class_name, "toy");
	assert_int_equal(axvirtio_mmio_get_info(dev, &info), 0);
	assert_true(info.gpa == WINDOW_GPA && info.size_bytes == 4096);
	assert_int_equal(info.gsi, GSI);
	assert_int_equal(info.device_id, 42);
	assert_int_equal(axvirtio_mmio_get_info(&other, &info), -ENODEV);
	assert_int_equal(axvirtio_mmio_get_info(NULL, &info), -ENODEV);
	assert_true(offered(dev) == (TOY_FEATURES | F_VERSION_1 | F_EVENT_IDX | F_INDIRECT));
	for (uint32_t sel = 2; sel; sel *= 2) {
		wr(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, sel);
		assert_int_equal(rd(dev, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	}
}

/* Each offset below the configuration space, each width and alignment: 32 bits aligned or nothing;
 * no read changes anything, and write-only or unknown registers read as zero. */
static void test_access_matrix(void **state)
{
	static const struct {
		uint32_t offset, value;
	} readable[] = {
		{0x000, 0x74726976}, {0x004, 2},          {0x008, 42},         {0x00c, 0x4d565841},
		{0x010, 0x30000008}, {0x034, 8},          {0x0b0, 0xffffffff}, {0x0b4, 0xffffffff},
		{0x0b8, 0xffffffff}, {0x0bc, 0xffffffff},
	};

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t offset = 0; offset < 0x100; offset++) {
			for (unsigned width = 1; width <= 8; width *= 2) {
				const bool legal = width == 4 && offset % 4 == 0;
				uint64_t value = 0, want = 0;

				for (size_t i = 0; i < AX_ARRAY_LEN(readable); i++) {
					if (readable[i].offset == offset)
						want = readable[i].value;
				}
				assert_int_equal(reg_access(dev, offset, width, false, &value),
						 legal ? AXDEV_HANDLED : AXDEV_UNHANDLED);
				if (legal)
					assert_int_equal(value, want);
				value = ~0ULL;
				if (!legal)
					assert_int_equal(
						reg_access(dev, offset, width, true, &value),
						AXDEV_UNHANDLED);
			}
		}
	}
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), 0);
	/* Writes to read-only and unknown registers do nothing but count. */
	const uint64_t before = stats().bad_register_writes;
	wr(dev, 0x000, 1);
	wr(dev, 0x034, 1);
	wr(dev, 0x0fc, 1);
	wr(dev, 0x0c0, 1);    /* QueueReset: RING_RESET is not offered */
	wr(dev, 0x028, 4096); /* GuestPageSize and QueuePFN of the legacy interface */
	wr(dev, 0x040, 1);
	assert_int_equal(stats().bad_register_writes, before + 6);
	assert_int_equal(rd(dev, 0x000), 0x74726976);
}

/* ---- status (3.1.1, 2.1) --------------------------------------------------------------------- */

/* Every sequence of two status writes from power-on, against the rules. */
static void test_status_ladder(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			const unsigned write[] = {a, b};
			unsigned want = 0;

			wr(dev, VIRTIO_MMIO_STATUS, 0);
			for (unsigned i = 0; i < 2; i++) {
				const unsigned v = write[i] & 0x8f; /* what a driver may set */

				wr(dev, VIRTIO_MMIO_STATUS, write[i]);
				if (write[i] == 0)
					want = 0;
				else if (want & ~v || want & ST_FAILED)
					; /* clearing a bit, or FAILED: ignored */
				else if (v & ST_FAILED)
					want |= ST_FAILED;
				else if (v & ST_ACK)
					/* FEATURES_OK is refused here: no VERSION_1. */
					want |= v & (ST_ACK | ST_DRIVER);
				if (rd(dev, VIRTIO_MMIO_STATUS) != want)
					fail_msg("writes 0x%x, 0x%x: status 0x%x, not 0x%x", a, b,
						 rd(dev, VIRTIO_MMIO_STATUS), want);
			}
		}
	}
	assert_int_equal(toy.activated, 0);
}

static void test_features_refused(void **state)
{
	(void)state;
	negotiate(dev, 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), ST_ACK | ST_DRIVER);
	negotiate(dev, F_VERSION_1 | 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), ST_ACK | ST_DRIVER);
	for (unsigned bit = 0; bit < 64; bit++) {
		const bool ok = (TOY_FEATURES | F_VERSION_1 | F_EVENT_IDX | F_INDIRECT) >> bit & 1;

		negotiate(dev, F_VERSION_1 | 1ULL << bit);
		assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS),
				 ST_ACK | ST_DRIVER | (ok ? ST_FEAT : 0));
	}
	/* A bit past 63 that nobody offered, and then a change of mind. */
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	wr(dev, VIRTIO_MMIO_STATUS, 1);
	wr(dev, VIRTIO_MMIO_STATUS, 3);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	wr(dev, VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), 3);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	wr(dev, VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), 11);
	/* After FEATURES_OK the set is fixed. */
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1U << 3);
	start_queue(dev, &ring);
	assert_true(toy.features == F_VERSION_1);
}

static void test_renegotiate_after_reset(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		const uint64_t features = F_VERSION_1 | (i % 2 ? F_EVENT_IDX : 0);
		uint32_t id, len;

		ring_init(&ring, &m, RING_GPA + 0x1000 * i, (uint16_t)(1 << (i % 4)));
		set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
		negotiate(dev, features);
		start_queue(dev, &ring);
		assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY);
		assert_true(toy.features == features);
		assert_int_equal(toy.activated, i + 1);
		offer(&ring, 0);
		kick(0);
		assert_true(take_used(&ring, &id, &len));
		assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	}
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	/* After a reset the old rings are nobody's: offering and kicking does nothing. */
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 1);
}

static void test_failed(void **state)
{
	(void)state;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	wr(dev, VIRTIO_MMIO_STATUS, S_READY | ST_FAILED);
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY | ST_FAILED);
}

static void test_activate_fails(void **state)
{
	(void)state;
	toy.activate_result = -EIO;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY | ST_RESET);
	assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 0);
}

/* ---- queues (must-test 2 and 3) -------------------------------------------------------------- */

static void test_queue_select(void **state)
{
	const uint32_t bad[] = {2, 3, 64, 0x7fffffff, 0x80000000, 0xffffffff};

	(void)state;
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), 16);
	negotiate(dev, F_VERSION_1);
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		const struct axvq_setup s = ring_setup(&ring);

		write_setup(dev, bad[i], &s);
		assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	assert_int_equal(stats().bad_register_writes, 8 * AX_ARRAY_LEN(bad));
	start_queue(dev, &ring);
	const uint64_t before = stats().bad_register_writes;
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++)
		kick(bad[i]);
	assert_int_equal(stats().bad_register_writes, before + AX_ARRAY_LEN(bad));
	kick(1); /* exists, but was never made ready */
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY);
}

static void test_queue_order(void **state)
{
	const struct axvq_setup s = ring_setup(&ring);

	(void)state;
	/* Before FEATURES_OK nothing of a queue can be written. */
	write_setup(dev, 0, &s);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	negotiate(dev, F_VERSION_1);
	write_setup(dev, 0, &s);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_READY), 1);
	/* While it is ready its addresses stand still; it can be taken back before DRIVER_OK. */
	wr(dev, VIRTIO_MMIO_QUEUE_NUM, 0);
	wr(dev, VIRTIO_MMIO_QUEUE_DESC_HIGH, 77);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	wr(dev, VIRTIO_MMIO_STATUS, S_READY);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY);
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 1);
}

/* Size and addresses changed behind an active queue, each register with hostile values. */
static void test_latched_after_driver_ok(void **state)
{
	const uint32_t regs[] = {
		VIRTIO_MMIO_QUEUE_NUM,        VIRTIO_MMIO_QUEUE_DESC_LOW,
		VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
		VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW,
		VIRTIO_MMIO_QUEUE_USED_HIGH,  VIRTIO_MMIO_QUEUE_READY,
	};
	const uint32_t values[] = {0xffffffff, 3, 0x8000, 1};
	unsigned done = 0;

	(void)state;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	for (size_t r = 0; r < AX_ARRAY_LEN(regs); r++) {
		for (size_t v = 0; v < AX_ARRAY_LEN(values); v++) {
			wr(dev, VIRTIO_MMIO_QUEUE_SEL, (uint32_t)v % 2);
			wr(dev, regs[r], values[v]);
			offer(&ring, 0);
			kick(0);
			assert_int_equal(used_shown(&ring), ++done);
		}
	}
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, 1);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY);
}

static void test_bad_setups_at_driver_ok(void **state)
{
	const uint32_t sizes[] = {0, 3, 9, 16, 0x10008, 0xffffffff};
	struct axvq_setup s;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(sizes); i++) {
		negotiate(dev, F_VERSION_1);
		s = ring_setup(&ring);
		s.size = sizes[i];
		write_setup(dev, 0, &s);
		wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
		wr(dev, VIRTIO_MMIO_STATUS, S_READY);
		assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY | ST_RESET);
		assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
		kick(0);
	}
	assert_int_equal(stats().malformed_by[AXVQ_SIZE], AX_ARRAY_LEN(sizes));
	negotiate(dev, F_VERSION_1);
	s = ring_setup(&ring);
	s.used_gpa = ~3ULL;
	write_setup(dev, 1, &s);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	start_queue(dev, &ring);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY | ST_RESET);
	assert_int_equal(stats().last_error, AXVQ_RING_OUTSIDE);
	assert_int_equal(stats().malformed, AX_ARRAY_LEN(sizes) + 1);
	assert_int_equal(toy.activated, 0);
	/* And a reset mends it. */
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY);
}

static void test_queue_stop(void **state)
{
	(void)state;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, 0);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_READY), 0);
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 0);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1); /* not without a reset */
	kick(0);
	assert_int_equal(used_shown(&ring), 0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY);
}

/* ---- running --------------------------------------------------------------------------------- */

static void test_one_interrupt_per_batch(void **state)
{
	(void)state;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	for (unsigned i = 0; i < 8; i++)
		offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 8);
	assert_int_equal(m.pulses, 1);
	assert_int_equal(stats().kicks, 1);
	assert_true(
		axvirtio_poll(&toy.device)); /* a full budget was used: the queue kicks itself */
	assert_false(axvirtio_poll(&toy.device));
	assert_int_equal(m.pulses, 1);
	assert_int_equal(stats().requests, 8);
	assert_int_equal(stats().bytes, 80);
	assert_int_equal(stats().batches, 1);
	assert_int_equal(stats().batch_size[3], 1);
	assert_int_equal(stats().interrupts, 1);
	/* Acknowledging takes only the bits that are named. */
	assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	wr(dev, VIRTIO_MMIO_INTERRUPT_ACK, 2);
	assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	wr(dev, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	ring.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 9);
	assert_int_equal(m.pulses, 1);
	assert_int_equal(stats().interrupts_suppressed, 1);
}

/* A guest whose every request takes long does not keep the loop from its timers and its stop. */
static void test_turns_are_short(void **state)
{
	(void)state;
	toy.delay_us = 51000;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	for (unsigned i = 0; i < 2; i++)
		offer(&ring, 0);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	for (unsigned turn = 1; turn <= 2; turn++) {
		assert_true(axvirtio_poll(&toy.device));
		assert_int_equal(used_shown(&ring), turn);
	}
}

static void test_needs_reset(void **state)
{
	(void)state;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	offer(&ring, 100);
	kick(0);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY | ST_RESET);
	assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	assert_int_equal(m.pulses, 1);
	assert_int_equal(stats().malformed, 1);
	assert_int_equal(stats().malformed_by[AXVQ_HEAD], 1);
	assert_int_equal(stats().last_error, AXVQ_HEAD);
	for (unsigned i = 0; i < 5; i++)
		kick(0);
	assert_int_equal(stats().malformed, 1);
	assert_int_equal(m.pulses, 1);
	/* The driver cannot talk it out of that state, except by a reset. */
	wr(dev, VIRTIO_MMIO_STATUS, S_READY);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), S_READY | ST_RESET);
	ring_init(&ring, &m, RING_GPA, 8);
	set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 1);
}

static void test_chains_before_driver_ok(void **state)
{
	(void)state;
	negotiate(dev, F_VERSION_1);
	offer(&ring, 0);
	start_queue(dev, &ring);
	axvirtio_poll(&toy.device); /* no kick needed */
	assert_int_equal(used_shown(&ring), 1);
}

static void test_suspend_resume(void **state)
{
	(void)state;
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	axvirtio_poll(&toy.device);
	assert_int_equal(dev->ops->suspend(dev, NULL), 0);
	offer(&ring, 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 0);
	assert_int_equal(dev->ops->resume(dev, NULL), 0);
	axvirtio_poll(&toy.device); /* the kick of the pause is not lost */
	assert_int_equal(used_shown(&ring), 1);
	dev->ops->reset(dev);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(dev->ops->suspend(dev, NULL), 0); /* not active: nothing to quiesce */
	assert_int_equal(dev->ops->resume(dev, NULL), 0);
	kick(0);
	assert_int_equal(used_shown(&ring), 1);
}

/* Whoever polls a device is the only one who can end what is in flight, so waiting for it without
 * doing so would be for ever. */
static void test_quiet_without_a_thread(void **state)
{
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	assert_int_equal(fputc('x', file), 'x');
	assert_int_equal(fflush(file), 0);
	toy.fd = fileno(file);
	toy.asynchronous = true;
	for (unsigned way = 0; way < 3; way++) {
		ring_init(&ring, &m, RING_GPA, 8);
		set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
		negotiate(dev, F_VERSION_1);
		start_queue(dev, &ring);
		offer(&ring, 0);
		kick(0);
		assert_int_equal(toy.ops_left, 1);
		alarm(10);
		if (way == 1) {
			wr(dev, VIRTIO_MMIO_QUEUE_SEL, 0);
			wr(dev, VIRTIO_MMIO_QUEUE_READY, 0);
		} else if (way == 2) {
			assert_int_equal(dev->ops->suspend(dev, NULL), 0);
			assert_int_equal(toy.ops_left, 0);
			assert_int_equal(used_shown(&ring), 0);
			assert_int_equal(dev->ops->resume(dev, NULL), 0);
			while (axvirtio_poll(&toy.device))
				;
			assert_int_equal(used_shown(&ring), 1);
		}
		assert_int_equal(toy.ops_left, way == 0);
		wr(dev, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(toy.ops_left, 0);
		alarm(0);
	}
	fclose(file);
}

/* What was never bound is not unbound, wherever the descriptors ran out. */
static void test_no_descriptors(void **state)
{
	struct rlimit before, limit;
	struct axdev *again = NULL;
	unsigned failures = 0;
	int lowest, r = -1;

	(void)state;
	dev->ops->destroy(dev);
	assert_int_equal(toy.unbound, 1);
	toy_make();
	lowest = dup(STDOUT_FILENO);
	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	while (r < 0) {
		struct ax_error err = {0};

		limit = (struct rlimit){(rlim_t)lowest + failures, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = axvirtio_mmio_create("toy0", WINDOW_GPA, GSI, &toy.device, &m.services, &again,
					 &err);
		setrlimit(RLIMIT_NOFILE, &before);
		if (r < 0) {
			assert_int_equal(r, -EMFILE);
			assert_null(toy.device.core);
			assert_true(++failures < 100);
		}
		assert_int_equal(toy.bound, r == 0);
		assert_int_equal(toy.unbound, 0);
	}
	assert_true(failures >= 2);
	dev = again;
}

/* ---- configuration space --------------------------------------------------------------------- */

static void test_config_any_access(void **state)
{
	(void)state;
	for (uint64_t offset = 0x100; offset + 8 <= 0x1000; offset++) {
		for (unsigned width = 1; width <= 8; width++) {
			uint64_t want = 0, value = 0;

			for (unsigned i = 0; i < width; i++) {
				if (offset - 0x100 + i < sizeof(toy.config))
					want |= (uint64_t)(0x10 + offset - 0x100 + i) << (8 * i);
			}
			assert_int_equal(reg_access(dev, offset, width, false, &value),
					 AXDEV_HANDLED);
			if (value != want)
				fail_msg("offset 0x%x width %u", (unsigned)offset, width);
		}
	}
	/* Writes count only when they lie wholly inside. */
	uint64_t value = 0xa5a5a5a5a5a5a5a5ULL;
	reg_access(dev, 0x100 + 3, 8, true, &value);
	assert_int_equal(toy.config[2], 0x12);
	assert_int_equal(toy.config[3], 0xa5);
	assert_int_equal(toy.config[10], 0xa5);
	value = 0;
	reg_access(dev, 0x100 + 4, 8, true, &value);
	reg_access(dev, 0x100 + 11, 1, true, &value);
	reg_access(dev, 0xff8, 8, true, &value);
	assert_int_equal(toy.config[4], 0xa5);
	assert_int_equal(toy.config[10], 0xa5);
}

static void test_config_change(void **state)
{
	const uint8_t news[] = {1, 2, 3};
	uint32_t generation = rd(dev, VIRTIO_MMIO_CONFIG_GENERATION);

	(void)state;
	axvirtio_update_config(&toy.device, 2, news, 3);
	assert_int_equal(m.pulses, 0); /* no driver to tell */
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG_GENERATION), generation + 1);
	negotiate(dev, F_VERSION_1);
	start_queue(dev, &ring);
	axvirtio_update_config(&toy.device, 8, news, 3);
	assert_int_equal(m.pulses, 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG_GENERATION), generation + 2);
	axvirtio_update_config(&toy.device, 9, news, 3); /* past the end: refused */
	axvirtio_update_config(&toy.device, 0xffffffff, news, 3);
	assert_int_equal(rd(dev, VIRTIO_MMIO_CONFIG_GENERATION), generation + 2);
}

/* ---- creation -------------------------------------------------------------------------------- */

static struct axdev_doorbell bells[4];
static unsigned bell_count;
static int bell_limit;

static int assign_bell(void *ctx, const struct axdev_doorbell *bell, struct ax_error *err)
{
	(void)ctx;
	if ((int)bell_count >= bell_limit)
		return ax_error_set(err, AX_ERROR_DEVICE, ENOSPC, "no more doorbells");
	bells[bell_count++] = *bell;
	return 0;
}

static int release_bell(void *ctx, const struct axdev_doorbell *bell)
{
	(void)ctx;
	assert_true(bell_count > 0);
	assert_memory_equal(&bells[--bell_count].match, &bell->match, sizeof(bell->match));
	return 0;
}

static void test_creation(void **state)
{
	struct axdev_services services = m.services;
	struct ax_error err = {0};
	struct axdev *second = NULL;
	struct axvirtio *device = &toy.device;

	(void)state;
	/* setup's device holds the line; a second one cannot have it, nor a place in RAM. */
	static struct axvirtio other;
	other = (struct axvirtio){
		.ops = &toy_ops, .class_name = "toy", .queue_count = 2, .queue_max = toy_max};
	assert_int_equal(
		axvirtio_mmio_create("toy1", WINDOW_GPA, GSI, &other, &services, &second, &err),
		-EEXIST);
	assert_null(second);
	assert_null(other.core);
	assert_int_equal(
		axvirtio_mmio_create("toy1", RAM1_GPA, GSI + 1, &other, &services, &second, &err),
		-EEXIST);
	assert_int_equal(axvirtio_mmio_create("toy1", WINDOW_GPA + 16, GSI + 1, &other, &services,
					      &second, &err),
			 -EINVAL);
	assert_int_equal(
		axvirtio_mmio_create("toy1", WINDOW_GPA, 1000, &other, &services, &second, &err),
		-ERANGE);
	assert_int_equal(
		axvirtio_mmio_create("toy1", WINDOW_GPA, GSI + 1, device, &services, &second, &err),
		-EINVAL); /* bound already */
	/* Doorbells: one a queue, matched by number; a failure takes all back. */
	services.assign_doorbell = assign_bell;
	services.release_doorbell = release_bell;
	bell_limit = 1;
	assert_int_equal(axvirtio_mmio_create("toy1", WINDOW_GPA + 0x1000, GSI + 1, &other,
					      &services, &second, &err),
			 -ENOSPC);
	assert_int_equal(bell_count, 0);
	assert_null(other.core);
	bell_limit = 2;
	assert_int_equal(axvirtio_mmio_create("toy1", WINDOW_GPA + 0x1000, GSI + 1, &other,
					      &services, &second, &err),
			 0);
	assert_int_equal(bell_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(bells[i].addr == WINDOW_GPA + 0x1050);
		assert_int_equal(bells[i].width, 4);
		assert_true(bells[i].has_match && bells[i].match == i);
		assert_true(bells[i].event_fd >= 0);
	}
	second->ops->destroy(second);
	assert_int_equal(bell_count, 0);
	toy.destroyed = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_access_matrix),
		T(test_status_ladder),
		T(test_features_refused),
		T(test_renegotiate_after_reset),
		T(test_failed),
		T(test_activate_fails),
		T(test_queue_select),
		T(test_queue_order),
		T(test_latched_after_driver_ok),
		T(test_bad_setups_at_driver_ok),
		T(test_queue_stop),
		T(test_one_interrupt_per_batch),
		T(test_turns_are_short),
		T(test_needs_reset),
		T(test_chains_before_driver_ok),
		T(test_suspend_resume),
		T(test_quiet_without_a_thread),
		T(test_no_descriptors),
		T(test_config_any_access),
		T(test_config_change),
		T(test_creation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
