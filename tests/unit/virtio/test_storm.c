/*
 * must-test 7: resets, suspends and queue stops with requests in flight, on a real I/O thread. The
 * driver reuses its memory right after each reset and checks that nothing is written to it any
 * more. Run it under ThreadSanitizer too.
 */
#include "driver.h"
#include <pthread.h>
#include <sched.h>

#define RING_GPA 0x10000ULL
#define BUF_GPA  0x40000ULL
#define QUEUE    16
#define ROUNDS   2000
#define POISON   0xa5

static struct machine m;
static struct ring ring;
static struct axdev *dev;
static struct ax_loop *loop;

/* ---- a device that keeps requests for a while and ends them later, as asynchronous I/O does -- */

static struct {
	struct axvirtio device;
	bool asynchronous;
	unsigned kept;
	struct {
		uint16_t head;
		uint8_t *data;
		uint32_t len;
	} keep[QUEUE];
	struct ax_event *timer;
} slow;

static void end_request(unsigned i)
{
	memset(slow.keep[i].data, 0x11, slow.keep[i].len);
	axvirtio_push(&slow.device, 0, slow.keep[i].head, slow.keep[i].len, slow.keep[i].len);
}

static int slow_one(struct axvirtio *device, unsigned index)
{
	struct iovec iov[QUEUE];
	struct axvq_chain chain;
	int r;

	if (slow.kept == QUEUE)
		return 0;
	r = axvirtio_pop(device, index, iov, QUEUE, &chain);
	if (r <= 0)
		return r;
	slow.keep[slow.kept].head = chain.head;
	slow.keep[slow.kept].data = iov[0].iov_base;
	slow.keep[slow.kept].len = (uint32_t)iov[0].iov_len;
	if (slow.asynchronous) {
		axvirtio_hold(device, index);
		slow.kept++;
	} else {
		end_request(0);
	}
	return 1;
}

static void slow_handle(struct axvirtio *device, unsigned index)
{
	axvirtio_serve(device, index, slow_one);
}

/* Completions arrive on the I/O thread some time later, all at once. */
static void on_timer(void *ctx, int fd, uint32_t events)
{
	const unsigned count = slow.kept;

	(void)ctx;
	(void)fd;
	(void)events;
	if (!count)
		return;
	for (unsigned i = 0; i < count; i++)
		end_request(i);
	slow.kept = 0;
	axvirtio_publish(&slow.device, 0);
	for (unsigned i = 0; i < count; i++)
		axvirtio_release(&slow.device, 0);
}

static void slow_reset(struct axvirtio *device)
{
	(void)device;
	assert_int_equal(slow.kept, 0); /* nothing is in flight when a reset goes through */
}

static void slow_destroy(struct axvirtio *device)
{
	(void)device;
}

static const struct axvirtio_ops slow_ops = {
	.reset = slow_reset,
	.handle_queue = slow_handle,
	.destroy = slow_destroy,
};
static const uint16_t slow_max[] = {QUEUE};

static void *run_loop(void *arg)
{
	(void)arg;
	ax_loop_run(loop, NULL);
	return NULL;
}

static pthread_t io_thread;

static void up(bool asynchronous)
{
	machine_init(&m);
	memset(&slow, 0, sizeof(slow));
	slow.asynchronous = asynchronous;
	slow.device = (struct axvirtio){
		.ops = &slow_ops,
		.class_name = "slow",
		.device_id = 1,
		.queue_count = 1,
		.queue_max = slow_max,
	};
	assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &loop, NULL), 0);
	m.services.io_loop = loop;
	assert_int_equal(axvirtio_mmio_create("slow", WINDOW_GPA, GSI, &slow.device, &m.services,
					      &dev, NULL),
			 0);
	if (asynchronous)
		assert_int_equal(
			ax_loop_add_timer(loop, 50000, 50000, on_timer, NULL, &slow.timer, NULL),
			0);
	assert_int_equal(pthread_create(&io_thread, NULL, run_loop, NULL), 0);
}

static void down(void)
{
	ax_loop_stop(loop);
	pthread_join(io_thread, NULL);
	dev->ops->destroy(dev);
	ax_loop_destroy(loop);
	machine_finish(&m);
}

static void fill_queue(void)
{
	for (uint16_t i = 0; i < QUEUE; i++) {
		set_desc(&ring, i, BUF_GPA + 4096ULL * i, 4096, VRING_DESC_F_WRITE, 0);
		offer_hidden(&ring, i);
	}
	__atomic_store_n(&ring.avail[1], ring.avail_idx, __ATOMIC_RELEASE);
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static void storm(bool asynchronous, bool stop_only)
{
	unsigned completed = 0;

	up(asynchronous);
	for (unsigned round = 0; round < ROUNDS / (asynchronous ? 8 : 1); round++) {
		uint8_t *data;

		ring_init(&ring, &m, RING_GPA, QUEUE);
		negotiate(dev, F_VERSION_1 | (round & 1 ? F_EVENT_IDX : 0));
		start_queue(dev, &ring);
		fill_queue();
		for (unsigned spin = 0; spin < round % 64 * 50; spin++)
			__asm__ volatile("" : : : "memory");
		if (asynchronous) /* sometimes before they are taken, or kept, or ended */
			usleep(round % 4 * 40);
		if (round % 7 == 0) {
			assert_int_equal(dev->ops->suspend(dev, NULL), 0);
			const uint16_t at = used_shown(&ring);
			usleep(20);
			assert_int_equal(used_shown(&ring), at);
			assert_int_equal(dev->ops->resume(dev, NULL), 0);
		}
		if (stop_only)
			wr(dev, VIRTIO_MMIO_QUEUE_READY, 0);
		else
			wr(dev, VIRTIO_MMIO_STATUS, 0);
		completed += used_shown(&ring);
		/* The memory is ours again: plain writes, so that TSan would see a late device. */
		data = guest(&m, BUF_GPA, 4096 * QUEUE);
		memset(data, POISON, 4096 * QUEUE);
		memset(ring.used, POISON, 4 + 8 * QUEUE);
		if (round % 16 == 0)
			usleep(100);
		for (unsigned i = 0; i < 4096 * QUEUE; i += 512)
			assert_int_equal(data[i], POISON);
		assert_int_equal(((uint8_t *)ring.used)[2], POISON);
	}
	print_message("%u requests ended before their reset\n", completed);
	down();
}

static void test_reset_storm(void **state)
{
	(void)state;
	storm(false, false);
}

static void test_reset_storm_asynchronous(void **state)
{
	(void)state;
	storm(true, false);
}

static void test_stop_storm(void **state)
{
	(void)state;
	storm(false, true);
	storm(true, true);
}

/* Many requests, driver and device on their own threads, kicks only when they are asked for: if
 * either side's fence were missing, one of them would wait for ever. */
static void ping(uint64_t features)
{
	const bool event_idx = features & F_EVENT_IDX;
	struct axvirtio_stats stats;
	unsigned kicks = 0;
	uint64_t total = 0;

	up(false);
	ring_init(&ring, &m, RING_GPA, QUEUE);
	for (uint16_t i = 0; i < QUEUE; i++)
		set_desc(&ring, i, BUF_GPA + 64ULL * i, 64, VRING_DESC_F_WRITE, 0);
	negotiate(dev, F_VERSION_1 | features);
	start_queue(dev, &ring);
	while (total < 100000) {
		const uint16_t old = ring.avail_idx;
		const unsigned batch = 1 + (unsigned)(total % QUEUE);
		const uint64_t give_up = ax_clock_ns() + 20ULL * 1000000000;
		bool want;

		for (uint16_t i = 0; i < batch; i++)
			offer_hidden(&ring, i);
		__atomic_store_n(&ring.avail[1], ring.avail_idx, __ATOMIC_RELEASE);
#if !defined(__SANITIZE_THREAD__) || defined(__clang__)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
		if (event_idx)
			want = (uint16_t)(ring.avail_idx - driver_avail_event(&ring) - 1) <
			       (uint16_t)(ring.avail_idx - old);
		else
			want = !(__atomic_load_n(&ring.used[0], __ATOMIC_RELAXED) & 1);
		if (want) {
			kicks++;
			wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		}
		while (used_shown(&ring) != ring.avail_idx) {
			if (ax_clock_ns() > give_up)
				fail_msg("stuck after %llu requests", (unsigned long long)total);
			sched_yield();
		}
		total += batch;
	}
	assert_int_equal(axvirtio_get_stats(dev, &stats), 0);
	assert_true(stats.requests >= total);
	assert_true(stats.kicks <= kicks + stats.requests / QUEUE + 2);
	down();
}

static void test_ping_flags(void **state)
{
	(void)state;
	ping(0);
}

static void test_ping_event_idx(void **state)
{
	(void)state;
	ping(F_EVENT_IDX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reset_storm),
		cmocka_unit_test(test_reset_storm_asynchronous),
		cmocka_unit_test(test_stop_storm),
		cmocka_unit_test(test_ping_flags),
		cmocka_unit_test(test_ping_event_idx),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
