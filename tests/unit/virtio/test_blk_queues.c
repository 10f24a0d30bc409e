/*
 * virtio-blk with several queues, each served by a real I/O thread of its own: what one queue has
 * written the others read, nothing moves after a reset (must-test 7), requests end in any order,
 * and a limit holds for all queues together. Run it under ThreadSanitizer too.
 */
#include "blk_driver.h"
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>

#define OK_    VIRTIO_BLK_S_OK
#define QUEUES 4
#define DEPTH  16u /* requests of one queue at a time */
#define BYTES  4096u
#define F_MQ   (1ULL << VIRTIO_BLK_F_MQ)

/* Each queue has 64 KiB for its ring and headers and 128 KiB for data. */
#define RINGS_GPA(q) (0x10000ULL * (1 + (q)))
#define HEADERS(q)   (RINGS_GPA(q) + 0x8000)
#define STATUSES(q)  (RINGS_GPA(q) + 0xa000)
#define DATAS(q)     (RAM1_GPA + 0x20000ULL * (q))

static struct ring rings[QUEUES];
static struct ax_loop *loops[2];
static pthread_t threads[2];
static unsigned loop_count;
static struct axvirtio_blk_config config;
static enum ax_loop_engine engine;

/* A slow disk, for loops without io_uring: reads wait until they may go on. */
static _Atomic bool is_slow;
static sem_t in_read, go_on;

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t at, int flags)
{
	if (is_slow) {
		sem_post(&in_read);
		sem_wait(&go_on);
	}
	return syscall(SYS_preadv2, fd, iov, count, at, 0, flags);
}

/* A process without memory (linked with --wrap). */
static bool no_memory;
int __real_ax_loop_post(struct ax_loop *loop, void (*fn)(void *arg), void *arg);
int __wrap_ax_loop_post(struct ax_loop *loop, void (*fn)(void *arg), void *arg);

int __wrap_ax_loop_post(struct ax_loop *loop, void (*fn)(void *arg), void *arg)
{
	return no_memory ? -ENOMEM : __real_ax_loop_post(loop, fn, arg);
}

static void *run_loop(void *arg)
{
	ax_loop_run(arg, NULL);
	return NULL;
}

static void up(uint32_t queues, unsigned loop_total)
{
	struct ax_error err = {0};

	config.queues = queues;
	loop_count = loop_total;
	for (unsigned i = 0; i < loop_count; i++)
		assert_int_equal(ax_loop_create(engine, &loops[i], NULL), 0);
	m.services.io_loop = loops[0];
	m.services.io_loops = loops;
	m.services.io_loop_count = loop_count;
	if (axvirtio_blk_create("disk0", &config, &device, &err) < 0 ||
	    axvirtio_mmio_create("disk0", WINDOW_GPA, GSI, device, &m.services, &dev, &err) < 0)
		fail_msg("%s", err.message);
	for (unsigned i = 0; i < loop_count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_loop, loops[i]), 0);
}

static void down(void)
{
	for (unsigned i = 0; i < loop_count; i++)
		ax_loop_stop(loops[i]);
	for (unsigned i = 0; i < loop_count; i++)
		pthread_join(threads[i], NULL);
	blk_down();
	for (unsigned i = 0; i < loop_count; i++)
		ax_loop_destroy(loops[i]);
	memset(&m.services.io_loop, 0, sizeof(m.services.io_loop));
	m.services.io_loops = NULL;
	m.services.io_loop_count = 0;
	m.services.io_of_vcpu = NULL;
	m.services.vcpu_count = 0;
}

static void start_all(uint64_t features)
{
	negotiate(dev, F_VERSION_1 | features);
	for (unsigned q = 0; q < config.queues; q++) {
		struct axvq_setup s;

		ring_init(&rings[q], &m, RINGS_GPA(q), QUEUE);
		s = ring_setup(&rings[q]);
		write_setup(dev, q, &s);
		wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
	assert_int_equal(rd(dev, VIRTIO_MMIO_STATUS), ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

/* Request `slot` of queue q; not kicked. */
static void put(unsigned q, unsigned slot, uint32_t type, uint64_t sector, uint32_t bytes)
{
	const struct buffer b[] = {{HEADERS(q) + 16 * slot, 16, false},
				   {DATAS(q) + BYTES * slot, bytes, type != VIRTIO_BLK_T_OUT},
				   {STATUSES(q) + slot, 1, true}};

	put_header(b[0].gpa, type, sector);
	*(uint8_t *)guest(&m, b[2].gpa, 1) = NO_STATUS;
	offer_chain(&rings[q], b, 3);
}

static void kick(unsigned q)
{
	wr(dev, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* All that was offered to q has come back, each request with status OK. */
static void wait_all(unsigned q, unsigned count)
{
	const uint64_t give_up = ax_clock_ns() + 20ULL * 1000000000;
	const uint8_t *status = guest(&m, STATUSES(q), count);
	uint32_t id, len;

	while (used_shown(&rings[q]) != rings[q].avail_idx) {
		if (ax_clock_ns() > give_up)
			fail_msg("queue %u is stuck", q);
		sched_yield();
	}
	while (take_used(&rings[q], &id, &len))
		assert_true(len > 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(status[i], OK_);
}

static uint8_t pattern(unsigned round, unsigned q, unsigned slot)
{
	return (uint8_t)(round * 67 + q * 16 + slot + 1);
}

static int setup(void **state)
{
	(void)state;
	no_memory = false;
	machine_init(&m);
	image_create(SECTORS * 512);
	config = blk_config(false);
	engine = AX_LOOP_AUTO;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	down();
	image_remove();
	machine_finish(&m);
	return 0;
}

static void test_offer(void **state)
{
	uint64_t queues = 0;

	(void)state;
	up(QUEUES, 2);
	assert_true(offered(dev) & F_MQ);
	reg_access(dev, 0x100 + offsetof(struct virtio_blk_config, num_queues), 2, false, &queues);
	assert_int_equal(queues, QUEUES);
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, QUEUES - 1);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE);
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, QUEUES);
	assert_int_equal(rd(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_ptr_not_equal(axvirtio_loop(device, 0), axvirtio_loop(device, 1));
	struct ax_error err = {0};
	struct axvirtio *none = NULL;
	config.queues = AXVIRTIO_BLK_MAX_QUEUES + 1;
	assert_int_equal(axvirtio_blk_create("d", &config, &none, &err), -EINVAL);
	assert_non_null(strstr(err.message, "queues"));
	config.queues = QUEUES;
}

/* All queues write their own part at once, flush, and read the part of the next. */
static void exchange(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned q = 0; q < QUEUES; q++) {
			for (unsigned i = 0; i < DEPTH; i++) {
				memset(guest(&m, DATAS(q) + BYTES * i, BYTES), pattern(round, q, i),
				       BYTES);
				put(q, i, VIRTIO_BLK_T_OUT, (q * DEPTH + i) * (BYTES / 512), BYTES);
			}
			kick(q);
		}
		for (unsigned q = 0; q < QUEUES; q++) {
			wait_all(q, DEPTH);
			put(q, 0, VIRTIO_BLK_T_FLUSH, 0, 0);
			kick(q);
		}
		for (unsigned q = 0; q < QUEUES; q++)
			wait_all(q, 1);
		for (unsigned q = 0; q < QUEUES; q++) {
			for (unsigned i = 0; i < DEPTH; i++)
				put(q, i, VIRTIO_BLK_T_IN,
				    ((q + 1) % QUEUES * DEPTH + i) * (BYTES / 512), BYTES);
			kick(q);
		}
		for (unsigned q = 0; q < QUEUES; q++) {
			wait_all(q, DEPTH);
			for (unsigned i = 0; i < DEPTH; i++) {
				const uint8_t *data = guest(&m, DATAS(q) + BYTES * i, BYTES);
				const uint8_t want = pattern(round, (q + 1) % QUEUES, i);

				assert_int_equal(data[0], want);
				assert_int_equal(data[BYTES - 1], want);
				assert_memory_equal(data, data + 1, BYTES - 1);
			}
		}
	}
	assert_int_equal(stats().errors, 0);
}

static void test_exchange(void **state)
{
	(void)state;
	up(QUEUES, 2);
	start_all(F_MQ | F_FLUSH);
	exchange(40);
	start_all(F_MQ); /* write-through */
	exchange(4);
}

/* Overlays: all queues write to sectors of the same clusters at the same time, of which each has to
 * be copied up once, and flush; then each reads what all have written. */
#define SHARED 24u /* clusters of 8 sectors */

static void share(unsigned round)
{
	const unsigned first = round * SHARED * 8;

	for (unsigned q = 0; q < QUEUES; q++) {
		for (unsigned i = 0; i < SHARED; i++) {
			memset(guest(&m, DATAS(q) + BYTES * i, 512), pattern(round, q, i), 512);
			put(q, i, VIRTIO_BLK_T_OUT, first + 8 * i + q, 512);
			if (i % 8 == 7)
				kick(q);
		}
	}
	for (unsigned q = 0; q < QUEUES; q++) {
		put(q, SHARED, VIRTIO_BLK_T_FLUSH, 0, 0);
		kick(q);
	}
	for (unsigned q = 0; q < QUEUES; q++)
		wait_all(q, SHARED + 1);
	for (unsigned q = 0; q < QUEUES; q++) {
		for (unsigned i = 0; i < SHARED; i++)
			put(q, i, VIRTIO_BLK_T_IN, first + 8 * i, BYTES);
		kick(q);
	}
	for (unsigned q = 0; q < QUEUES; q++) {
		wait_all(q, SHARED);
		for (unsigned i = 0; i < SHARED; i++) {
			const uint8_t *data = guest(&m, DATAS(q) + BYTES * i, BYTES);

			for (unsigned s = 0; s < 8; s++) {
				const uint8_t want =
					s < QUEUES ? pattern(round, s, i) : (uint8_t)(0xb0 + s);

				assert_int_equal(data[512 * s], want);
				assert_int_equal(data[512 * s + 511], want);
			}
		}
	}
	assert_int_equal(stats().errors, 0);
}

static void up_overlay(char *overlay, size_t bytes)
{
	static uint8_t base[SECTORS * 512];
	struct ax_error err = {0};

	for (unsigned i = 0; i < SECTORS; i++)
		memset(base + (size_t)512 * i, (int)(0xb0 + i % 8), 512);
	assert_int_equal(pwrite(image_fd, base, sizeof(base), 0), sizeof(base));
	snprintf(overlay, bytes, "%s.overlay", image);
	assert_int_equal(axvirtio_blk_make_overlay(overlay, image, &err), 0);
	config.path = overlay;
	config.base = image;
	up(QUEUES, 2);
}

/* Requests that wait for those of other loops are woken even when nothing can be allocated. */
static void test_no_memory(void **state)
{
	char overlay[64];

	(void)state;
	up_overlay(overlay, sizeof(overlay));
	start_all(F_MQ); /* write-through: each write waits for a commit */
	no_memory = true;
	for (unsigned round = 0; round < 5; round++)
		share(round);
	unlink(overlay);
}

static void test_overlay(void **state)
{
	char overlay[64];

	(void)state;
	up_overlay(overlay, sizeof(overlay));
	start_all(F_MQ | F_FLUSH);
	for (unsigned round = 0; round < 5; round++)
		share(round);
	start_all(F_MQ); /* write-through */
	for (unsigned round = 5; round < 10; round++)
		share(round);
	unlink(overlay);
	/* And resets, and the end of all, with requests in flight that wait for one another. */
	for (unsigned round = 0; round < 100; round++) {
		start_all(F_MQ | (round & 1 ? F_FLUSH : 0));
		for (unsigned q = 0; q < QUEUES; q++) {
			for (unsigned i = 0; i < DEPTH; i++)
				put(q, i, i % 4 == 3 ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT,
				    SECTORS - 1 - q - (round * DEPTH + i) % 128,
				    i % 4 == 3 ? 0 : 512);
			kick(q);
		}
		if (round % 3)
			usleep(round % 16 * 30);
		if (round < 99)
			wr(dev, VIRTIO_MMIO_STATUS, 0);
	}
}

/* A loop that is kept busy: the reset waits until what was begun there has ended. */
static void be_busy(void *arg)
{
	(void)arg;
	usleep(1000);
}

/* Resets with requests in flight on all queues; afterwards the memory is the driver's alone. */
static void test_reset_storm(void **state)
{
	(void)state;
	up(QUEUES, 2);
	for (unsigned round = 0; round < 200; round++) {
		start_all(F_MQ | F_FLUSH);
		for (unsigned q = 0; q < QUEUES; q++) {
			for (unsigned i = 0; i < DEPTH; i++)
				put(q, i, i % 3 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
				    (q * DEPTH + i) * (BYTES / 512), BYTES);
			put(q, DEPTH, VIRTIO_BLK_T_FLUSH, 0, 0);
			if (round % 6 == 0)
				assert_int_equal(
					ax_loop_post(axvirtio_loop(device, q), be_busy, NULL), 0);
			kick(q);
		}
		if (round % 4)
			usleep(round % 4 * 60);
		if (round % 5 == 0) {
			assert_int_equal(dev->ops->suspend(dev, NULL), 0);
			assert_int_equal(dev->ops->resume(dev, NULL), 0);
		}
		if (round % 7 == 0) {
			wr(dev, VIRTIO_MMIO_QUEUE_SEL, 1);
			wr(dev, VIRTIO_MMIO_QUEUE_READY, 0);
		}
		wr(dev, VIRTIO_MMIO_STATUS, 0);
		for (unsigned q = 0; q < QUEUES; q++) {
			uint8_t *data = guest(&m, DATAS(q), BYTES * DEPTH);

			memset(data, 0xa5, BYTES * DEPTH);
			memset(rings[q].used, 0xa5, 4 + 8 * QUEUE);
		}
		if (round % 8 == 0)
			usleep(200);
		for (unsigned q = 0; q < QUEUES; q++) {
			const uint8_t *data = guest(&m, DATAS(q), BYTES * DEPTH);

			for (unsigned i = 0; i < BYTES * DEPTH; i += 512)
				assert_int_equal(data[i], 0xa5);
			assert_int_equal(((uint8_t *)rings[q].used)[2], 0xa5);
		}
	}
}

static void *reset_disk(void *arg)
{
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	atomic_store((_Atomic bool *)arg, true);
	return NULL;
}

/* must-test 7: a reset lasts as long as what the disk has begun, on whichever queue; then nothing
 * comes any more. */
static void test_slow_disk(void **state)
{
	_Atomic bool done = false;
	pthread_t thread;
	uint8_t *data[2];

	(void)state;
	sem_init(&in_read, 0, 0);
	sem_init(&go_on, 0, 0);
	engine = AX_LOOP_EPOLL;
	up(2, 2);
	start_all(F_MQ | F_FLUSH);
	is_slow = true;
	for (unsigned q = 0; q < 2; q++) {
		data[q] = guest(&m, DATAS(q), BYTES * DEPTH);
		for (unsigned i = 0; i < DEPTH; i++)
			put(q, i, VIRTIO_BLK_T_IN, i * 8, BYTES);
		kick(q);
	}
	sem_wait(&in_read);
	sem_wait(&in_read);
	assert_int_equal(pthread_create(&thread, NULL, reset_disk, &done), 0);
	usleep(20000);
	assert_false(done);
	is_slow = false;
	sem_post(&go_on);
	usleep(20000);
	assert_false(done); /* the other queue's is still out */
	sem_post(&go_on);
	pthread_join(thread, NULL);
	assert_true(done);
	for (unsigned q = 0; q < 2; q++) {
		memset(data[q], 0xa5, BYTES * DEPTH);
		memset(rings[q].used, 0xa5, 4 + 8 * QUEUE);
	}
	usleep(20000);
	for (unsigned q = 0; q < 2; q++) {
		for (unsigned i = 0; i < BYTES * DEPTH; i++)
			assert_int_equal(data[q][i], 0xa5);
		assert_int_equal(((uint8_t *)rings[q].used)[2], 0xa5);
	}
	/* And it is as good as new. */
	start_all(F_MQ | F_FLUSH);
	put(0, 0, VIRTIO_BLK_T_IN, 0, BYTES);
	kick(0);
	wait_all(0, 1);
}

/* 200 requests per second for both queues together, a burst of ten: 40 take some 150 ms. */
static void test_limit(void **state)
{
	uint64_t began, took;

	(void)state;
	config.limit.ops_per_s = 200;
	config.limit.ops_burst = 10;
	up(2, 2);
	start_all(F_MQ | F_FLUSH);
	began = ax_clock_ns();
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned q = 0; q < 2; q++) {
			for (unsigned i = 0; i < 10; i++)
				put(q, i, VIRTIO_BLK_T_IN, i * 8, BYTES);
			kick(q);
		}
		wait_all(0, 10);
		wait_all(1, 10);
	}
	took = ax_clock_ns() - began;
	assert_true(took >= 120000000);
	assert_true(took < 5000000000ULL);
	/* And a reset need not wait for a throttled queue. */
	for (unsigned i = 0; i < DEPTH; i++)
		put(0, i, VIRTIO_BLK_T_IN, i * 8, BYTES);
	kick(0);
	wr(dev, VIRTIO_MMIO_STATUS, 0);
}

/* Four queues of eight vCPUs: each pair of neighbours has one, and its loop is theirs. */
static const uint32_t halves[] = {1, 1, 1, 1, 0, 0, 0, 0};

static void test_near(void **state)
{
	(void)state;
	m.services.io_of_vcpu = halves;
	m.services.vcpu_count = AX_ARRAY_LEN(halves);
	up(4, 2);
	for (unsigned q = 0; q < 4; q++)
		assert_ptr_equal(axvirtio_loop(device, q), loops[q < 2]);
}

/* One that all vCPUs share is near to none: such devices are dealt out. */
static void test_near_none(void **state)
{
	(void)state;
	m.services.io_of_vcpu = halves;
	m.services.vcpu_count = AX_ARRAY_LEN(halves);
	m.services.io_first = 1;
	up(1, 2);
	assert_ptr_equal(axvirtio_loop(device, 0), loops[1]);
	m.services.io_first = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_offer),     T(test_exchange),    T(test_overlay),
		T(test_no_memory), T(test_reset_storm), T(test_slow_disk),
		T(test_limit),     T(test_near),        T(test_near_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
