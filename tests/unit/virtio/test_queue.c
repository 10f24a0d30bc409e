/*
 * The split virtqueue: set-up checks, each way a chain can be wrong, suppression of notifications
 * both ways with index wrap-around, and buffers that cross memory regions.
 */
#include "driver.h"
#include <pthread.h>

#define RING_GPA 0x10000ULL
#define BUF_GPA  0x40000ULL
#define N        4

static struct machine m;
static struct ring ring;
static struct axvq vq;
static struct iovec iov[16];
static struct axvq_chain chain;

static int setup(void **state)
{
	(void)state;
	machine_init(&m);
	ring_init(&ring, &m, RING_GPA, N);
	memset(&vq, 0, sizeof(vq));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_finish(&m);
	return 0;
}

static void start(uint64_t features)
{
	const struct axvq_setup s = ring_setup(&ring);
	enum axvq_error why = AXVQ_OK;

	assert_int_equal(axvq_start(&vq, m.memory, &s, 256, features, &why), 0);
}

static void expect_start(struct axvq_setup s, enum axvq_error want)
{
	enum axvq_error why = AXVQ_OK;

	assert_int_equal(axvq_start(&vq, m.memory, &s, 256, 0, &why), want ? -EPROTO : 0);
	assert_string_equal(axvq_error_name(why), axvq_error_name(want));
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 0); /* nothing offered, or inactive */
}

static void expect_break(enum axvq_error want)
{
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), -EPROTO);
	assert_string_equal(axvq_error_name(vq.broken), axvq_error_name(want));
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), -EPROTO); /* and it stays so */
	axvq_push(&vq, 0, 1);
	assert_false(axvq_publish(&vq));
	assert_int_equal(used_shown(&ring), 0); /* a broken queue is not written */
}

/* ---- set-up (must-test 1 and 2) -------------------------------------------------------------- */

static void test_sizes(void **state)
{
	const uint32_t bad[] = {0, 3, 5, 257, 512, 0x10000, 0x10004, 0x80000000, 0xffffffff};
	struct axvq_setup s = ring_setup(&ring);

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		s.size = bad[i];
		expect_start(s, AXVQ_SIZE);
	}
	for (uint32_t n = 1; n <= 256; n *= 2) {
		s = (struct axvq_setup){0x10000, 0x20000, 0x30000, n};
		expect_start(s, AXVQ_OK);
	}
}

static void test_alignment(void **state)
{
	struct axvq_setup s;

	(void)state;
	for (unsigned off = 1; off < 16; off++) {
		s = ring_setup(&ring);
		s.desc_gpa += off;
		expect_start(s, AXVQ_ALIGNMENT);
	}
	s = ring_setup(&ring);
	s.avail_gpa = 0x20001;
	expect_start(s, AXVQ_ALIGNMENT);
	s.avail_gpa = 0x20002;
	expect_start(s, AXVQ_OK);
	for (unsigned off = 1; off < 4; off++) {
		s.used_gpa = 0x30000 + off;
		expect_start(s, AXVQ_ALIGNMENT);
	}
}

static void test_rings_outside(void **state)
{
	const uint64_t bad[] = {HOLE_GPA,
				HOLE_GPA - 16,
				0xfffffffffffffff0ULL,
				0xffffffffffffff00ULL,
				1ULL << 52,
				0x8000000000000000ULL,
				RAM1_GPA - 16 /* crosses: not contiguous on the host */};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		struct axvq_setup s = ring_setup(&ring);

		s.desc_gpa = bad[i];
		expect_start(s, AXVQ_RING_OUTSIDE);
		s = ring_setup(&ring);
		s.avail_gpa = bad[i] == RAM1_GPA - 16   ? RAM1_GPA - 8
			      : bad[i] == HOLE_GPA - 16 ? HOLE_GPA - 4
							: bad[i];
		if (s.avail_gpa == 0xffffffffffffff00ULL)
			s.avail_gpa = 0xfffffffffffffffcULL;
		expect_start(s, AXVQ_RING_OUTSIDE);
		s = ring_setup(&ring);
		s.used_gpa = bad[i];
		expect_start(s, AXVQ_RING_OUTSIDE);
	}
	/* The device writes only the used ring. */
	struct axvq_setup s = ring_setup(&ring);
	s.used_gpa = ROM_GPA;
	expect_start(s, AXVQ_RING_OUTSIDE);
	s = ring_setup(&ring);
	s.desc_gpa = ROM_GPA;
	s.avail_gpa = ROM_GPA + 0x100;
	expect_start(s, AXVQ_OK);
	/* The event word counts only when it is in use: avail is 4 + 2 * 4 bytes here. */
	s = ring_setup(&ring);
	s.avail_gpa = HOLE_GPA - 12;
	expect_start(s, AXVQ_OK);
	enum axvq_error why;
	assert_int_equal(axvq_start(&vq, m.memory, &s, 256, F_EVENT_IDX, &why), -EPROTO);
	assert_int_equal(why, AXVQ_RING_OUTSIDE);
}

static void test_ring_overlap(void **state)
{
	struct axvq_setup s = ring_setup(&ring);

	(void)state;
	s.avail_gpa = s.desc_gpa;
	expect_start(s, AXVQ_RING_OVERLAP);
	s = ring_setup(&ring);
	s.used_gpa = s.desc_gpa + 16 * N - 4;
	expect_start(s, AXVQ_RING_OVERLAP);
	s = ring_setup(&ring);
	s.used_gpa = s.avail_gpa;
	expect_start(s, AXVQ_RING_OVERLAP);
	s.used_gpa = s.avail_gpa + 4 + 2 * N; /* touching is fine */
	s.used_gpa = (s.used_gpa + 3) & ~3ULL;
	expect_start(s, AXVQ_OK);
}

/* ---- chains: what is right ------------------------------------------------------------------- */

static void test_simple_chain(void **state)
{
	const struct buffer b[] = {
		{BUF_GPA, 16, false}, {BUF_GPA + 0x1000, 512, false}, {BUF_GPA + 0x2000, 1, true}};

	(void)state;
	start(0);
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 0);
	ring.free_desc = 2; /* wraps inside the table */
	offer_chain(&ring, b, 3);
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
	assert_int_equal(chain.head, 2);
	assert_int_equal(chain.readable, 2);
	assert_int_equal(chain.writable, 1);
	assert_int_equal(chain.readable_bytes, 528);
	assert_int_equal(chain.writable_bytes, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(iov[i].iov_base, guest(&m, b[i].gpa, b[i].len));
		assert_int_equal(iov[i].iov_len, b[i].len);
	}
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 0);
	axvq_push(&vq, 2, 77);
	assert_int_equal(used_shown(&ring), 0);
	assert_true(axvq_publish(&vq));
	assert_false(axvq_publish(&vq));
	uint32_t id = 0, len = 0;
	assert_true(take_used(&ring, &id, &len));
	assert_int_equal(id, 2);
	assert_int_equal(len, 77);
}

static void test_crossing_regions(void **state)
{
	const struct buffer b[] = {{RAM1_GPA - 100, 300, true}};

	(void)state;
	start(0);
	offer_chain(&ring, b, 1);
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
	assert_int_equal(chain.writable, 2);
	assert_int_equal(chain.writable_bytes, 300);
	assert_int_equal(iov[0].iov_len, 100);
	assert_int_equal(iov[1].iov_len, 200);
	assert_ptr_equal(iov[1].iov_base, guest(&m, RAM1_GPA, 1));
}

static void test_zero_length(void **state)
{
	(void)state;
	start(0);
	set_desc(&ring, 0, HOLE_GPA, 0, VRING_DESC_F_NEXT, 1);
	set_desc(&ring, 1, BUF_GPA, 8, VRING_DESC_F_NEXT, 2);
	set_desc(&ring, 2, ~0ULL, 0, VRING_DESC_F_WRITE, 0);
	offer(&ring, 0);
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
	assert_int_equal(chain.readable, 1);
	assert_int_equal(chain.writable, 0);
}

static void indirect_table(uint64_t gpa, const struct vring_desc *table, unsigned count)
{
	assert_int_equal(axas_write(m.memory, gpa, table, 16 * count), 0);
}

static void test_indirect(void **state)
{
	const struct vring_desc table[] = {{BUF_GPA + 32, 8, VRING_DESC_F_NEXT, 2},
					   {0, 0, 0, 0},
					   {BUF_GPA + 64, 4, VRING_DESC_F_WRITE, 99}};
	/* Aligned, at an odd address, and across two regions. */
	const uint64_t at[] = {0x50000, 0x50003, RAM1_GPA - 24, RAM1_GPA - 16};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(at); i++) {
		ring_init(&ring, &m, RING_GPA, N);
		start(F_INDIRECT);
		indirect_table(at[i], table, 3);
		/* A direct descriptor first, and a WRITE flag that is to be ignored. */
		set_desc(&ring, 1, BUF_GPA, 16, VRING_DESC_F_NEXT, 3);
		set_desc(&ring, 3, at[i], 48, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
		offer(&ring, 1);
		assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
		assert_int_equal(chain.head, 1);
		assert_int_equal(chain.readable, 2);
		assert_int_equal(chain.writable, 1);
		assert_int_equal(chain.readable_bytes, 24);
		assert_ptr_equal(iov[2].iov_base, guest(&m, BUF_GPA + 64, 4));
	}
}

/* The longest legal chain: the indirect descriptor itself carries no buffer. */
static void test_indirect_full(void **state)
{
	struct vring_desc table[N + 1];

	(void)state;
	start(F_INDIRECT);
	for (uint16_t i = 0; i <= N; i++)
		table[i] = (struct vring_desc){BUF_GPA + 64 * i, 64, VRING_DESC_F_NEXT,
					       (uint16_t)(i + 1)};
	table[N - 1].flags = 0;
	indirect_table(0x50000, table, N + 1);
	set_desc(&ring, 0, 0x50000, 16 * N, VRING_DESC_F_INDIRECT, 0);
	offer(&ring, 0);
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
	assert_int_equal(chain.readable, N);
	axvq_push(&vq, 0, 0);
	axvq_publish(&vq);
	table[N - 1].flags = VRING_DESC_F_NEXT;
	table[N].flags = 0;
	indirect_table(0x50000, table, N + 1);
	set_desc(&ring, 0, 0x50000, 16 * (N + 1), VRING_DESC_F_INDIRECT, 0);
	offer(&ring, 0);
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), -EPROTO);
	assert_int_equal(vq.broken, AXVQ_LENGTH);
}

/* ---- chains: what is wrong (must-test 1) ----------------------------------------------------- */

static void test_bad_avail(void **state)
{
	const uint16_t jumps[] = {N + 1, N + 2, 0x7fff, 0x8000, 0xffff};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(jumps); i++) {
		ring_init(&ring, &m, RING_GPA, N);
		start(0);
		ring.avail[1] = jumps[i];
		expect_break(AXVQ_AVAIL_JUMP);
	}
	for (uint16_t head = N; head < 0x8000; head = (uint16_t)(head * 2)) {
		ring_init(&ring, &m, RING_GPA, N);
		start(0);
		offer(&ring, head);
		expect_break(AXVQ_HEAD);
	}
}

/* Heads that were taken but not given back still occupy their slots. */
static void test_avail_overrun_in_flight(void **state)
{
	(void)state;
	start(0);
	for (uint16_t i = 0; i < N; i++) {
		set_desc(&ring, i, BUF_GPA, 8, 0, 0);
		offer(&ring, i);
		assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
	}
	offer(&ring, 0);
	expect_break(AXVQ_AVAIL_JUMP);
}

static void test_bad_next_and_loops(void **state)
{
	(void)state;
	start(0);
	set_desc(&ring, 0, BUF_GPA, 8, VRING_DESC_F_NEXT, N);
	offer(&ring, 0);
	expect_break(AXVQ_NEXT);

	ring_init(&ring, &m, RING_GPA, N);
	start(0);
	set_desc(&ring, 0, BUF_GPA, 8, VRING_DESC_F_NEXT, 0); /* itself */
	offer(&ring, 0);
	expect_break(AXVQ_LENGTH);

	ring_init(&ring, &m, RING_GPA, N);
	start(0);
	for (uint16_t i = 0; i < N; i++) /* zero-length, so that bytes do not stop it */
		set_desc(&ring, i, BUF_GPA, 0, VRING_DESC_F_NEXT, (uint16_t)((i + 1) % N));
	offer(&ring, 0);
	expect_break(AXVQ_LENGTH);
}

static void expect_indirect_break(uint64_t features, uint64_t gpa, uint32_t len, uint16_t flags,
				  enum axvq_error want)
{
	ring_init(&ring, &m, RING_GPA, N);
	start(features);
	set_desc(&ring, 0, gpa, len, flags, 1);
	set_desc(&ring, 1, BUF_GPA, 8, 0, 0);
	offer(&ring, 0);
	expect_break(want);
}

static void test_bad_indirect(void **state)
{
	struct vring_desc table[2] = {{0x50000, 16, VRING_DESC_F_INDIRECT, 0}};
	const uint16_t ind = VRING_DESC_F_INDIRECT;
	const uint32_t bad_len[] = {0, 1, 8, 15, 17, 24, 65536 * 16 + 16, 0xfffffff0, 0xffffffff};

	(void)state;
	expect_indirect_break(0, 0x50000, 16, ind, AXVQ_INDIRECT_FEATURE);
	expect_indirect_break(F_INDIRECT, 0x50000, 16, ind | VRING_DESC_F_NEXT, AXVQ_INDIRECT_NEXT);
	for (size_t i = 0; i < AX_ARRAY_LEN(bad_len); i++)
		expect_indirect_break(F_INDIRECT, 0x50000, bad_len[i], ind, AXVQ_INDIRECT_LENGTH);
	expect_indirect_break(F_INDIRECT, HOLE_GPA, 16, ind, AXVQ_INDIRECT_OUTSIDE);
	expect_indirect_break(F_INDIRECT, HOLE_GPA - 8, 16, ind, AXVQ_INDIRECT_OUTSIDE);
	expect_indirect_break(F_INDIRECT, 0xfffffffffffffff8ULL, 16, ind, AXVQ_INDIRECT_OUTSIDE);
	expect_indirect_break(F_INDIRECT, 0xfffffffffffffff0ULL, 16, ind, AXVQ_INDIRECT_OUTSIDE);
	indirect_table(0x50000, table, 1);
	expect_indirect_break(F_INDIRECT, 0x50000, 16, ind, AXVQ_INDIRECT_NESTED);
	table[0] = (struct vring_desc){BUF_GPA, 8, VRING_DESC_F_NEXT, 2};
	indirect_table(0x50000, table, 2);
	expect_indirect_break(F_INDIRECT, 0x50000, 32, ind, AXVQ_NEXT);
	table[0].next = 0; /* loop inside the table */
	indirect_table(0x50000, table, 2);
	expect_indirect_break(F_INDIRECT, 0x50000, 32, ind, AXVQ_LENGTH);
	/* A table inside the queue's own descriptors: allowed to look at, loops end as always. */
	expect_indirect_break(F_INDIRECT, RING_GPA, 16 * N, ind, AXVQ_INDIRECT_NESTED);
}

static void expect_buffer_break(uint64_t gpa, uint32_t len, bool write, enum axvq_error want)
{
	const struct buffer b = {gpa, len, write};

	ring_init(&ring, &m, RING_GPA, N);
	start(0);
	offer_chain(&ring, &b, 1);
	expect_break(want);
}

static void test_bad_addresses(void **state)
{
	const struct {
		uint64_t gpa;
		uint32_t len;
	} bad[] = {{HOLE_GPA, 1},
		   {HOLE_GPA - 1, 2},
		   {RAM0_GPA, (uint32_t)HOLE_GPA + 1},
		   {RAM0_GPA, 0xffffffff},
		   {~0ULL, 1},
		   {~0ULL, 2},
		   {~0ULL - 0xfff, 0x1001}, /* wraps to 0, where there is RAM */
		   {0xffffffff00000000ULL, 0xffffffff},
		   {WINDOW_GPA, 4}, /* the device's own registers are no memory */
		   {1ULL << 52, 1}};
	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		expect_buffer_break(bad[i].gpa, bad[i].len, false, AXVQ_ADDRESS);
		expect_buffer_break(bad[i].gpa, bad[i].len, true, AXVQ_ADDRESS);
	}
	expect_buffer_break(ROM_GPA, 8, true, AXVQ_ADDRESS);
	const struct buffer rom = {ROM_GPA, 8, false};
	ring_init(&ring, &m, RING_GPA, N);
	start(0);
	offer_chain(&ring, &rom, 1);
	assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
}

static void test_bad_order_and_segments(void **state)
{
	const struct buffer order[] = {{BUF_GPA, 8, true}, {BUF_GPA + 8, 8, false}};
	const struct buffer empty[] = {{BUF_GPA, 0, true}, {BUF_GPA + 8, 8, false}};
	const struct buffer three[] = {
		{BUF_GPA, 8, false}, {BUF_GPA, 8, false}, {BUF_GPA, 8, true}};

	(void)state;
	start(0);
	offer_chain(&ring, order, 2);
	expect_break(AXVQ_ORDER);
	ring_init(&ring, &m, RING_GPA, N);
	start(0);
	offer_chain(&ring, empty, 2);
	expect_break(AXVQ_ORDER);
	ring_init(&ring, &m, RING_GPA, N);
	start(0);
	offer_chain(&ring, three, 3);
	assert_int_equal(axvq_pop(&vq, iov, 2, &chain), -EPROTO);
	assert_int_equal(vq.broken, AXVQ_SEGMENTS);
	const struct buffer cross = {RAM1_GPA - 1, 2, false};
	ring_init(&ring, &m, RING_GPA, N);
	start(0);
	offer_chain(&ring, &cross, 1);
	assert_int_equal(axvq_pop(&vq, iov, 1, &chain), -EPROTO);
	assert_int_equal(vq.broken, AXVQ_SEGMENTS);
}

/* More than 2^32 bytes in a chain (2.7.5.2), by pointing at the same memory again and again. */
static void test_too_many_bytes(void **state)
{
	static struct ring big;
	static struct iovec many[128];
	const uint64_t big_gpa = 0x10000000, big_bytes = 64ULL << 20;

	(void)state;
	map_ram(&m, "big", big_gpa, big_bytes); /* never touched, so it costs nothing */
	for (unsigned count = 64; count <= 65; count++) {
		struct axvq_setup s;
		enum axvq_error why;

		ring_init(&big, &m, 0x20000, 128);
		s = ring_setup(&big);
		assert_int_equal(axvq_start(&vq, m.memory, &s, 128, 0, &why), 0);
		for (unsigned i = 0; i < count; i++)
			set_desc(&big, (uint16_t)i, big_gpa, (uint32_t)big_bytes,
				 i + 1u < count ? VRING_DESC_F_NEXT : 0, (uint16_t)(i + 1));
		offer(&big, 0);
		if (count == 64) {
			assert_int_equal(axvq_pop(&vq, many, 128, &chain), 1);
			assert_true(chain.readable_bytes == 1ULL << 32);
		} else {
			assert_int_equal(axvq_pop(&vq, many, 128, &chain), -EPROTO);
			assert_int_equal(vq.broken, AXVQ_LENGTH);
		}
	}
}

/* ---- suppression ----------------------------------------------------------------------------- */

static void test_flags_suppression(void **state)
{
	(void)state;
	start(0);
	axvq_disable_kicks(&vq);
	assert_int_equal(ring.used[0], VRING_USED_F_NO_NOTIFY);
	assert_false(axvq_enable_kicks(&vq));
	assert_int_equal(ring.used[0], 0);
	offer(&ring, 0);
	assert_true(axvq_enable_kicks(&vq));
	ring.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	axvq_push(&vq, 0, 0);
	assert_false(axvq_publish(&vq));
	ring.avail[0] = 0;
	axvq_push(&vq, 0, 0);
	assert_true(axvq_publish(&vq));
}

/* Walk the indices once around 2^16 with batches of 1..N and used_event at every distance: an
 * interrupt exactly when used.idx passes used_event (2.7.7.2). */
static void test_event_idx_wrap(void **state)
{
	uint32_t published = 0;

	(void)state;
	start(F_EVENT_IDX);
	set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
	for (unsigned round = 0; published < 3 * 65536u; round++) {
		const unsigned batch = 1 + round % N;
		const unsigned ahead = round / N % (N + 2); /* used_event = old + ahead */
		const uint16_t old = (uint16_t)published;

		for (unsigned i = 0; i < batch; i++)
			offer(&ring, 0);
		/* Kicks: the driver must kick iff avail.idx passed avail_event. */
		assert_true(axvq_enable_kicks(&vq));
		for (unsigned i = 0; i < batch; i++) {
			assert_int_equal(axvq_pop(&vq, iov, 16, &chain), 1);
			axvq_push(&vq, chain.head, i);
		}
		*driver_used_event(&ring) = (uint16_t)(old + ahead);
		ring.avail[0] = VRING_AVAIL_F_NO_INTERRUPT; /* ignored with EVENT_IDX */
		assert_int_equal(axvq_publish(&vq), ahead < batch);
		published += batch;
		assert_int_equal(used_shown(&ring), (uint16_t)published);
		assert_false(axvq_enable_kicks(&vq));
		assert_int_equal(driver_avail_event(&ring), (uint16_t)published);
		assert_int_equal(ring.used[0], 0);
	}
}

/* ---- double fetch (must-test 4) -------------------------------------------------------------- */

static _Atomic bool stop_flipping;

/* The guest changes a descriptor between good and bad as fast as it can. Not instrumented: to the
 * monitor this is another machine, whose races are not its own. */
__attribute__((no_sanitize("thread"))) static void *flip(void *arg)
{
	volatile struct vring_desc *d = arg;

	while (!stop_flipping) {
		d->addr = ~0ULL - 7;
		d->len = 0xffffff00;
		d->addr = BUF_GPA;
		d->len = 64;
	}
	return NULL;
}

static void test_changing_descriptor(void **state)
{
	pthread_t thread;
	unsigned good = 0, bad = 0;

	(void)state;
	set_desc(&ring, 0, BUF_GPA, 64, VRING_DESC_F_WRITE, 0);
	stop_flipping = false;
	assert_int_equal(pthread_create(&thread, NULL, flip, &ring.desc[0]), 0);
	/* Until both outcomes were seen often; on one CPU that takes a few time slices. */
	for (unsigned i = 0; i < 5000000 && (good < 1000 || bad < 1000); i++) {
		const struct axvq_setup s = ring_setup(&ring);
		enum axvq_error why;

		assert_int_equal(axvq_start(&vq, m.memory, &s, 256, 0, &why), 0);
		ring.avail[1] = 1;
		ring.avail[2] = 0;
		if (axvq_pop(&vq, iov, 16, &chain) == 1) {
			/* Whatever was let through is the good pair, whole. */
			assert_int_equal(chain.writable, 1);
			assert_ptr_equal(iov[0].iov_base, guest(&m, BUF_GPA, 64));
			assert_int_equal(iov[0].iov_len, 64);
			good++;
		} else {
			assert_int_equal(vq.broken, AXVQ_ADDRESS);
			bad++;
		}
	}
	stop_flipping = true;
	pthread_join(thread, NULL);
	print_message("%u good snapshots, %u refused\n", good, bad);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < AXVQ_ERROR_COUNT; i++) {
		for (int k = 0; k < i; k++)
			assert_string_not_equal(axvq_error_name((enum axvq_error)i),
						axvq_error_name((enum axvq_error)k));
	}
	assert_string_equal(axvq_error_name(AXVQ_ERROR_COUNT), "unknown");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_sizes),
		T(test_alignment),
		T(test_rings_outside),
		T(test_ring_overlap),
		T(test_simple_chain),
		T(test_crossing_regions),
		T(test_zero_length),
		T(test_indirect),
		T(test_indirect_full),
		T(test_bad_avail),
		T(test_avail_overrun_in_flight),
		T(test_bad_next_and_loops),
		T(test_bad_indirect),
		T(test_bad_addresses),
		T(test_bad_order_and_segments),
		T(test_too_many_bytes),
		T(test_flags_suppression),
		T(test_event_idx_wrap),
		T(test_changing_descriptor),
		T(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
