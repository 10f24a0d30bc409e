/*
 * Bounded exhaustive enumeration: every combination of flags, next and length class that a guest
 * can put into queues of 1, 2 and 4 descriptors, and into indirect tables of 2, against an oracle
 * that follows the text of the specification and shares nothing with the walker.
 */
#include "driver.h"

#define RING_GPA  0x10000ULL
#define TABLE_GPA 0x20000ULL
#define BUF_GPA   0x40000ULL

static struct machine m;
static struct ring ring;
static struct axvq vq;
static struct axvq_setup ring_at;

/* ---- the oracle ------------------------------------------------------------------------------ */

struct seen {
	struct buffer buffer[64];
	unsigned count;
};

/* The list of buffers of a chain, or false when some MUST is violated. */
static bool oracle(const struct vring_desc *direct, unsigned size, uint16_t head,
		   const struct vring_desc *table, unsigned table_len_bytes, struct seen *ret)
{
	const struct vring_desc *list = direct;
	unsigned limit = size, total = 0, at = head;
	bool in_table = false, writable = false;

	ret->count = 0;
	if (head >= size)
		return false;
	for (;;) {
		const struct vring_desc *d;

		if (at >= limit)
			return false;
		d = &list[at];
		if (d->flags & VRING_DESC_F_INDIRECT) {
			if (in_table || d->flags & VRING_DESC_F_NEXT || d->addr != TABLE_GPA ||
			    table_len_bytes == 0 || table_len_bytes % 16 != 0)
				return false;
			in_table = true;
			list = table;
			limit = table_len_bytes / 16;
			at = 0;
			continue;
		}
		if (++total > size)
			return false;
		if (d->flags & VRING_DESC_F_WRITE)
			writable = true;
		else if (writable)
			return false;
		if (d->len != 0) {
			if (d->addr >= HOLE_GPA)
				return false;
			ret->buffer[ret->count++] =
				(struct buffer){d->addr, d->len, d->flags & VRING_DESC_F_WRITE};
		}
		if (!(d->flags & VRING_DESC_F_NEXT))
			return true;
		at = d->next;
	}
}

/* ---- comparing ------------------------------------------------------------------------------- */

static uint64_t accepted, refused;

static void fail_case(const char *what, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		print_error("desc %u: addr 0x%llx len %u flags %u next %u\n", i,
			    (unsigned long long)ring.desc[i].addr, ring.desc[i].len,
			    ring.desc[i].flags, ring.desc[i].next);
	print_error("%s (%s)\n", what, axvq_error_name(vq.broken));
	fail();
}

static void check(uint16_t head, const struct vring_desc *table, unsigned table_len)
{
	static struct seen want;
	struct iovec iov[16];
	struct axvq_chain chain;
	enum axvq_error why;
	const bool ok = oracle(ring.desc, ring.size, head, table, table_len, &want);
	int r;

	if (axvq_start(&vq, m.memory, &ring_at, 4, F_INDIRECT, &why) < 0)
		fail_case("queue refused", ring.size);
	ring.avail[2] = head;
	ring.avail[1] = 1;
	r = axvq_pop(&vq, iov, 16, &chain);
	if (r != (ok ? 1 : -EPROTO) || (!ok && vq.broken == AXVQ_OK))
		fail_case(ok ? "refused a legal chain" : "accepted an illegal chain", ring.size);
	ok ? accepted++ : refused++;
	if (!ok)
		return;
	if (chain.readable + chain.writable != want.count)
		fail_case("wrong number of buffers", ring.size);
	for (unsigned i = 0; i < want.count; i++) {
		const struct buffer *b = &want.buffer[i];

		if (iov[i].iov_len != b->len || (i >= chain.readable) != b->write ||
		    iov[i].iov_base != axas_ptr(m.memory, b->gpa, b->len, AXAS_READ))
			fail_case("wrong buffer", ring.size);
	}
}

/* Digit k of a number in mixed radix: one choice for one field. */
static unsigned digit(uint64_t *number, unsigned radix)
{
	const unsigned d = (unsigned)(*number % radix);

	*number /= radix;
	return d;
}

static void begin(uint16_t size)
{
	ring_init(&ring, &m, RING_GPA, size);
	ring_at = ring_setup(&ring);
	accepted = refused = 0;
}

static void test_direct(void **state)
{
	static const uint16_t sizes[] = {1, 2, 4};
	const struct vring_desc table[] = {{BUF_GPA + 0x1000, 32, 0, 0}};

	(void)state;
	assert_int_equal(axas_write(m.memory, TABLE_GPA, table, sizeof(table)), 0);
	for (size_t s = 0; s < AX_ARRAY_LEN(sizes); s++) {
		const uint16_t n = sizes[s];
		const unsigned kinds = n < 4 ? 3 : 1;
		uint64_t cases = 1;

		/* Flags 0..7, next 0..n; for small queues also three kinds of buffer and every
		 * head. In a queue of four, other heads are the same queues renumbered. */
		begin(n);
		for (unsigned i = 0; i < n; i++)
			cases *= 8u * (n + 1u) * kinds;
		for (uint64_t c = 0; c < cases; c++) {
			uint64_t rest = c;

			for (uint16_t i = 0; i < n; i++) {
				const uint16_t flags = (uint16_t)digit(&rest, 8);
				const uint16_t next = (uint16_t)digit(&rest, n + 1u);
				const unsigned kind = digit(&rest, kinds);

				if (flags & VRING_DESC_F_INDIRECT)
					set_desc(&ring, i, TABLE_GPA, 16, flags, next);
				else
					set_desc(&ring, i,
						 kind == 2 ? HOLE_GPA : BUF_GPA + 0x100u * i,
						 kind == 1 ? 0 : 16u + i, flags, next);
			}
			for (unsigned head = 0; head <= (n < 4 ? n : 0u); head++)
				check((uint16_t)head, table, 16);
		}
		print_message("size %u: %llu legal, %llu refused\n", n,
			      (unsigned long long)accepted, (unsigned long long)refused);
		assert_true(accepted > 0 && refused > 0);
	}
}

static void test_indirect(void **state)
{
	static const unsigned lengths[] = {0, 8, 16, 24, 32};
	struct vring_desc table[2];

	(void)state;
	begin(2);
	/* Table: flags 0..7, next 0..2 for two entries; ring: flags 0..7, next 0..2 for two. */
	for (size_t l = 0; l < AX_ARRAY_LEN(lengths); l++) {
		for (uint64_t t = 0; t < 24 * 24; t++) {
			uint64_t rest = t;

			for (unsigned i = 0; i < 2; i++) {
				table[i].flags = (uint16_t)digit(&rest, 8);
				table[i].next = (uint16_t)digit(&rest, 3);
				table[i].addr = BUF_GPA + 0x1000 + 0x100 * i;
				table[i].len = 32 + i;
			}
			assert_int_equal(axas_write(m.memory, TABLE_GPA, table, sizeof(table)), 0);
			for (uint64_t c = 0; c < 24 * 24; c++) {
				rest = c;
				for (uint16_t i = 0; i < 2; i++) {
					const uint16_t flags = (uint16_t)digit(&rest, 8);
					const uint16_t next = (uint16_t)digit(&rest, 3);
					const bool ind = flags & VRING_DESC_F_INDIRECT;

					set_desc(&ring, i, ind ? TABLE_GPA : BUF_GPA + 0x100u * i,
						 ind ? lengths[l] : 16u + i, flags, next);
				}
				check(0, table, lengths[l]);
			}
		}
	}
	print_message("indirect: %llu legal, %llu refused\n", (unsigned long long)accepted,
		      (unsigned long long)refused);
	assert_true(accepted > 0 && refused > 0);
}

/* Every value of avail.idx against every position of the queue. */
static void test_avail_index(void **state)
{
	struct iovec iov[4];
	struct axvq_chain chain;
	enum axvq_error why;

	(void)state;
	begin(4);
	set_desc(&ring, 0, BUF_GPA, 8, 0, 0);
	for (unsigned idx = 0; idx < 65536; idx++) {
		const int want = idx == 0 ? 0 : idx <= 4 ? 1 : -EPROTO;

		assert_int_equal(axvq_start(&vq, m.memory, &ring_at, 4, 0, &why), 0);
		ring.avail[1] = (uint16_t)idx;
		if (axvq_pop(&vq, iov, 4, &chain) != want)
			fail_case("avail.idx", 4);
	}
}

static int setup(void **state)
{
	(void)state;
	machine_init(&m);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_finish(&m);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_indirect),
		cmocka_unit_test(test_avail_index),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
