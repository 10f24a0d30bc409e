/*
 * Rate limits: rates and bursts against arithmetic of the test's own on a simulated clock, budgets
 * that threads share, and queues that a real loop wakes.
 */
#include "driver.h"
#include <linux/virtio_ids.h>
#include <pthread.h>
#include "axdevice/virtio/limit.h"

#define S_NS 1000000000ULL

static uint64_t start_ns = 12345678901ULL;

static struct limit make(const struct axvirtio_limit *config)
{
	struct limit limit;

	limit_init_at(&limit, config, start_ns);
	return limit;
}

/* Take requests of `bytes` as soon as each may be, jumping from wait to wait, until end_ns. */
static uint64_t greedy(struct limit *limit, uint64_t bytes, uint64_t end_ns)
{
	uint64_t count = 0, now = 0;

	while (now <= end_ns) {
		const uint64_t wait = limit_may_take_at(limit, start_ns + now);

		if (!wait) {
			limit_charge(limit, bytes);
			count++;
			continue;
		}
		/* Not a nanosecond early, and not one late. */
		if (wait > 1)
			assert_true(limit_may_take_at(limit, start_ns + now + wait - 1) > 0);
		now += wait;
		assert_int_equal(limit_may_take_at(limit, start_ns + now), 0);
	}
	return count;
}

/* Burst, then exactly the rate, also where it does not divide a second's nanoseconds. */
static void test_exact_rate(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 999, 1000, 12345, 99991};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rates); i++) {
		const struct axvirtio_limit config = {.ops_per_s = rates[i], .ops_burst = 5};
		struct limit limit = make(&config);

		assert_int_equal(greedy(&limit, 0, 10 * S_NS), 5 + 10 * rates[i]);
	}
	/* Bytes: requests far smaller and far larger than what comes in a nanosecond or burst. */
	for (uint64_t size = 1; size <= 1 << 20; size *= 32) {
		const uint64_t rate = 300 * size + 7;
		const struct axvirtio_limit config = {.bytes_per_s = rate, .bytes_burst = size};
		struct limit limit = make(&config);
		const uint64_t budget = size + 20 * rate;

		/* The last one taken may overdraw. */
		assert_int_equal(greedy(&limit, size, 20 * S_NS), (budget + size - 1) / size);
	}
}

/* A rate at which single bytes cost less than a nanosecond loses none of them. */
static void test_small_charges(void **state)
{
	const struct axvirtio_limit config = {.bytes_per_s = 7 * S_NS, .bytes_burst = 1000};
	struct limit limit = make(&config);
	uint64_t taken = 0, now;

	(void)state;
	for (now = 0; now <= 100000; now++) {
		while (!limit_may_take_at(&limit, start_ns + now)) {
			limit_charge(&limit, 3);
			taken += 3;
		}
	}
	assert_in_range(taken, 1000 + 7 * 100000, 1000 + 7 * 100000 + 3);
}

static void test_burst(void **state)
{
	const struct axvirtio_limit config = {.ops_per_s = 10, .ops_burst = 64};
	const struct axvirtio_limit tenth = {.ops_per_s = 500};
	const struct axvirtio_limit slow = {.ops_per_s = 1};
	struct limit limit = make(&config);

	(void)state;
	assert_int_equal(greedy(&limit, 0, 0), 64);
	/* Half of it comes back in 3.2 s; idle for a year, no more than all of it. */
	assert_int_equal(limit_may_take_at(&limit, start_ns + 3200000000), 0);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(limit_may_take_at(&limit, start_ns + 3200000000), 0);
		limit_charge(&limit, 0);
	}
	assert_int_equal(limit_may_take_at(&limit, start_ns + 3200000000), S_NS / 10);
	start_ns += 86400 * 365 * S_NS;
	assert_int_equal(greedy(&limit, 0, 0), 64);
	limit = make(&tenth);
	assert_int_equal(greedy(&limit, 0, 0), 50);
	limit = make(&slow);
	assert_int_equal(greedy(&limit, 0, 0), 1);
}

/* A request larger than all the bucket is let through when it is not empty, and paid for after. */
static void test_overdraft(void **state)
{
	const struct axvirtio_limit config = {.bytes_per_s = 1000, .bytes_burst = 100};
	struct limit limit = make(&config);

	(void)state;
	limit_charge(&limit, 99);
	assert_int_equal(limit_may_take_at(&limit, start_ns), 0);
	limit_charge(&limit, 10001);
	/* 100 - 10100 tokens: one is there after 10001 ms. */
	assert_int_equal(limit_may_take_at(&limit, start_ns), 10001 * (S_NS / 1000));
	assert_int_equal(limit_may_take_at(&limit, start_ns + 10 * S_NS), S_NS / 1000);
}

static void test_both(void **state)
{
	const struct axvirtio_limit config = {
		.bytes_per_s = 1000, .bytes_burst = 1000, .ops_per_s = 10, .ops_burst = 2};
	const struct axvirtio_limit none = {0};
	struct limit limit = make(&config);

	(void)state;
	assert_true(limit_active(&limit));
	assert_int_equal(greedy(&limit, 1, 0), 2); /* operations run out first */
	limit = make(&config);
	limit_charge(&limit, 1200); /* bytes do: 201 ms, when operations never were */
	assert_int_equal(limit_may_take_at(&limit, start_ns), 201 * (S_NS / 1000));
	limit = make(&config);
	assert_int_equal(greedy(&limit, 10, 10 * S_NS), 2 + 10 * 10);
	limit = make(&none);
	assert_false(limit_active(&limit));
	limit_charge(&limit, UINT64_MAX);
	assert_int_equal(limit_may_take_at(&limit, start_ns), 0);
}

/* No configuration and no request makes a limit that lets nothing through, or wraps. */
static void test_extremes(void **state)
{
	static const uint64_t values[] = {
		1, 2, S_NS, 1ULL << 34, (1ULL << 34) + 1, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};

	(void)state;
	for (size_t r = 0; r < AX_ARRAY_LEN(values); r++) {
		for (size_t b = 0; b < AX_ARRAY_LEN(values); b++) {
			const struct axvirtio_limit config = {.bytes_per_s = values[r],
							      .bytes_burst = values[b]};
			struct limit limit = make(&config);
			uint64_t wait;

			assert_int_equal(limit_may_take_at(&limit, start_ns), 0);
			limit_charge(&limit, values[b]);
			wait = limit_may_take_at(&limit, start_ns);
			/* Past 2^34 per second, single bytes may be too little to count. */
			assert_in_range(wait, values[r] > 1ULL << 34 ? 0 : 1, 3600 * S_NS);
			assert_int_equal(limit_may_take_at(&limit, start_ns + S_NS), 0);
			/* Debts do not wrap into credit... */
			for (unsigned i = 0; i < 3; i++)
				limit_charge(&limit, UINT64_MAX);
			assert_true(limit_may_take_at(&limit, start_ns + S_NS) > 0 ||
				    values[b] > 1ULL << 62);
			/* ... nor does time. */
			assert_true(limit_may_take_at(&limit, UINT64_MAX) <= 3600 * S_NS);
			assert_true(limit_may_take_at(&limit, 0) <= 3600 * S_NS);
		}
	}
}

/* A thread whose look at the clock is old takes nothing from what others have paid. */
static void test_backwards(void **state)
{
	const struct axvirtio_limit config = {.ops_per_s = 1000, .ops_burst = 10};
	struct limit limit = make(&config);

	(void)state;
	assert_int_equal(limit_may_take_at(&limit, start_ns + S_NS), 0);
	for (unsigned i = 0; i < 10; i++)
		limit_charge(&limit, 0);
	assert_int_equal(limit_may_take_at(&limit, start_ns), S_NS + S_NS / 1000);
	assert_int_equal(limit_may_take_at(&limit, 0), S_NS + S_NS / 1000);
	assert_int_equal(limit_may_take_at(&limit, start_ns + S_NS), S_NS / 1000);
}

/* ---- shared by threads ----------------------------------------------------------------------- */

#define THREADS 4

struct share {
	struct limit limit;
	_Atomic uint64_t clock_ns, taken;
};

static void *take_share(void *arg)
{
	struct share *share = arg;

	for (unsigned i = 0; i < 200000; i++) {
		const uint64_t now = atomic_fetch_add(&share->clock_ns, 100);

		if (limit_may_take_at(&share->limit, start_ns + now))
			continue;
		limit_charge(&share->limit, 512);
		atomic_fetch_add(&share->taken, 512);
	}
	return NULL;
}

static void test_threads(void **state)
{
	const struct axvirtio_limit config = {.bytes_per_s = 100000000, .bytes_burst = 10000};
	static struct share share;
	pthread_t threads[THREADS];
	uint64_t budget;

	(void)state;
	share.limit = make(&config);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_share, &share), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	budget = 10000 + share.clock_ns / 10;
	/* One request each may be between its look and its charge. */
	assert_in_range(share.taken, budget - THREADS * 512, budget + THREADS * 512);
}

/* ---- a queue that waits ---------------------------------------------------------------------- */

/* A device that gives every chain back, as fast as its limit lets it. */
struct toy {
	struct axvirtio device;
	struct limit limit;
	struct limit_waiter waiter;
	unsigned taken, refused;
};

static struct toy *toy_of(struct axvirtio *device)
{
	return ax_container_of(device, struct toy, device);
}

static int toy_bound(struct axvirtio *device, struct ax_error *err)
{
	struct toy *toy = toy_of(device);

	return limit_waiter_init(&toy->waiter, &toy->limit, device, 0, err);
}

static void toy_unbound(struct axvirtio *device)
{
	limit_waiter_finish(&toy_of(device)->waiter);
}

static int toy_one(struct axvirtio *device, unsigned index)
{
	struct toy *toy = toy_of(device);
	struct axvq_chain chain;
	struct iovec iov[8];
	int r;

	if (!limit_may_take(&toy->limit, &toy->waiter)) {
		toy->refused++;
		return -EAGAIN;
	}
	r = axvirtio_pop(device, index, iov, 8, &chain);
	if (r <= 0)
		return r;
	limit_charge(&toy->limit, chain.writable_bytes);
	axvirtio_push(device, index, chain.head, 0, 0);
	toy->taken++;
	return 1;
}

static void toy_handle(struct axvirtio *device, unsigned index)
{
	axvirtio_serve(device, index, toy_one);
}

static void toy_destroy(struct axvirtio *device)
{
	(void)device;
}

static void on_end(void *ctx, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	ax_loop_stop(ctx);
}

/* 12 requests at 100 a second, 2 at once: the queue sleeps, no kick comes, and 100 ms later all are
 * done, after about one refusal for each. */
static void wait_for_timer(const struct axvirtio_limit *config, unsigned min_ms)
{
	static const uint16_t queue_max[] = {64};
	static const struct axvirtio_ops ops = {.bound = toy_bound,
						.unbound = toy_unbound,
						.handle_queue = toy_handle,
						.destroy = toy_destroy};
	const struct buffer b = {0x40000, 100, true};
	struct toy toy = {.device = {.ops = &ops,
				     .class_name = "toy",
				     .device_id = VIRTIO_ID_RNG,
				     .queue_count = 1,
				     .queue_max = queue_max}};
	struct machine m;
	struct ring ring;
	struct ax_loop *loop;
	struct ax_event *end;
	struct axdev *dev;
	uint64_t began_ns;

	machine_init(&m);
	assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &loop, NULL), 0);
	m.services.io_loop = loop;
	limit_init(&toy.limit, config);
	assert_int_equal(
		axvirtio_mmio_create("toy0", WINDOW_GPA, GSI, &toy.device, &m.services, &dev, NULL),
		0);
	ring_init(&ring, &m, 0x10000, 64);
	negotiate(dev, F_VERSION_1);
	for (unsigned i = 0; i < 12; i++)
		offer_chain(&ring, &b, 1);
	start_queue(dev, &ring);
	began_ns = ax_clock_ns();
	assert_int_equal(ax_loop_add_timer(loop, 100000000, 20000000, on_end, loop, &end, NULL), 0);
	do {
		assert_int_equal(ax_loop_run(loop, NULL), 0);
	} while (toy.taken < 12 && ax_clock_ns() - began_ns < 30 * S_NS);
	assert_int_equal(toy.taken, 12);
	assert_int_equal(used_shown(&ring), 12);
	assert_true(ax_clock_ns() - began_ns >= min_ms * 1000000ULL);
	assert_in_range(toy.refused, min_ms ? 1 : 0, min_ms ? 16 : 0);
	assert_int_equal(ax_counter_read(&toy.limit.throttled), toy.refused);
	dev->ops->destroy(dev);
	limit_waiter_finish(&toy.waiter);
	ax_loop_destroy(loop);
	machine_finish(&m);
}

static void test_waiter(void **state)
{
	const struct axvirtio_limit ops = {.ops_per_s = 100, .ops_burst = 2};
	const struct axvirtio_limit bytes = {.bytes_per_s = 10000, .bytes_burst = 200};
	const struct axvirtio_limit none = {0};

	(void)state;
	wait_for_timer(&ops, 100);
	wait_for_timer(&bytes, 90);
	wait_for_timer(&none, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_rate), cmocka_unit_test(test_small_charges),
		cmocka_unit_test(test_burst),      cmocka_unit_test(test_overdraft),
		cmocka_unit_test(test_both),       cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_backwards),  cmocka_unit_test(test_threads),
		cmocka_unit_test(test_waiter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
