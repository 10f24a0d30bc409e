/*
 * Every accessor with every pair of address and length from a boundary table, checked against a
 * byte-by-byte model: the answer, the bytes, and that nothing else has changed.
 */
#include "common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The space ends one page below 2^64. Three adjacent regions (the middle one read-only), a gap,
 * a region alone, and one up to the very limit.
 */
#define LIMIT (-PAGE)
#define TOP   (-3 * PAGE)

static const struct {
	uint64_t gpa, pages;
	uint32_t flags;
} layout[] = {
	{0x1000, 2, AXAS_RW}, {0x3000, 1, AXAS_READ}, {0x4000, 2, AXAS_RW},
	{0x8000, 1, AXAS_RW}, {TOP, 2, AXAS_RW},
};
#define MODEL_PAGES 8
#define BYTES       (MODEL_PAGES * PAGE)

static const uint64_t addresses[] = {
	0,          1,          0xfff,          0x1000,         0x1001,     0x1ffc,    0x1fff,
	0x2000,     0x2ff9,     0x2fff,         0x3000,         0x3001,     0x3fff,    0x4000,
	0x5fff,     0x6000,     0x7fff,         0x8000,         0x8fff,     0x9000,    TOP - 1,
	TOP,        TOP + 1,    LIMIT - 8,      LIMIT - 1,      LIMIT,      LIMIT + 1, 1ULL << 32,
	1ULL << 52, 1ULL << 63, UINT64_MAX - 7, UINT64_MAX - 1, UINT64_MAX,
};
static const uint64_t lengths[] = {
	0,
	1,
	2,
	3,
	4,
	7,
	8,
	0xfff,
	0x1000,
	0x1001,
	0x2000,
	0x2001,
	0x3000,
	0x4fff,
	0x5000,
	0x5001,
	0x8000,
	1ULL << 32,
	LIMIT,
	TOP,
	-TOP,
	1ULL << 63,
	UINT64_MAX - 7,
	UINT64_MAX - 1,
	UINT64_MAX,
};

struct fixture {
	struct axas *as;
	int file; /* as long as all of guest memory */
	uint64_t gpa[MODEL_PAGES];
	uint32_t flags[MODEL_PAGES];
	int region[MODEL_PAGES];
	uint8_t model[BYTES];
	uint8_t actual[BYTES];
	uint8_t buf[BYTES + 16];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	size_t page = 0;

	assert_non_null(f);
	assert_int_equal(axas_create(LIMIT, NULL, &f->as, NULL), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(layout); i++) {
		struct axas_region_config config = region(layout[i].gpa, layout[i].pages * PAGE);
		config.flags = layout[i].flags;
		map_ok(f->as, &config);
		for (uint64_t p = 0; p < layout[i].pages; p++, page++) {
			f->gpa[page] = layout[i].gpa + p * PAGE;
			f->flags[page] = layout[i].flags;
			f->region[page] = (int)i;
		}
	}
	assert_int_equal(page, MODEL_PAGES);
	for (size_t i = 0; i < BYTES; i++)
		f->model[i] = (uint8_t)(i * 31 + i / 251);
	for (size_t p = 0; p < MODEL_PAGES; p++)
		assert_int_equal(axas_write_host(f->as, f->gpa[p], f->model + p * PAGE, PAGE), 0);
	f->file = temp_file(BYTES);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	axas_destroy(f->as);
	close(f->file);
	free(f);
	return 0;
}

/* Where the model keeps the byte at gpa, or -1: the whole truth about bounds. */
static long index_of(const struct fixture *f, uint64_t gpa)
{
	for (size_t p = 0; p < MODEL_PAGES; p++) {
		if (gpa >= f->gpa[p] && gpa - f->gpa[p] < PAGE)
			return (long)(p * PAGE + (gpa - f->gpa[p]));
	}
	return -1;
}

static uint8_t *model_at(struct fixture *f, uint64_t gpa)
{
	long at = index_of(f, gpa);

	if (at < 0)
		abort(); /* the test itself is wrong */
	return &f->model[at];
}

static bool allowed(const struct fixture *f, uint64_t gpa, uint64_t len, uint32_t access)
{
	for (uint64_t i = 0; i < len; i++) {
		long at = gpa + i < gpa ? -1 : index_of(f, gpa + i);
		if (at < 0 || (f->flags[(size_t)at / PAGE] & access) != access)
			return false;
	}
	return true;
}

static void assert_memory_is_the_model(struct fixture *f)
{
	for (size_t p = 0; p < MODEL_PAGES; p++)
		assert_int_equal(axas_read(f->as, f->gpa[p], f->actual + p * PAGE, PAGE), 0);
	if (memcmp(f->actual, f->model, BYTES))
		fail_msg("guest memory differs from the model");
}

#define FOR_EACH_RANGE(gpa, len)                                                              \
	for (size_t ia = 0; ia < AX_ARRAY_LEN(addresses); ia++)                               \
		for (size_t il = 0; il < AX_ARRAY_LEN(lengths); il++)                         \
			for (uint64_t gpa = addresses[ia], len = lengths[il], once = 1; once; \
			     once = 0)

static void read_answers_like_the_model(void **state)
{
	struct fixture *f = *state;

	FOR_EACH_RANGE(gpa, len)
	{
		bool ok = allowed(f, gpa, len, AXAS_READ);
		memset(f->buf, 0xcc, sizeof(f->buf));
		assert_int_equal(axas_read(f->as, gpa, f->buf, len), ok ? 0 : -EFAULT);
		for (uint64_t i = 0; ok && i < len; i++)
			assert_true(f->buf[i] == *model_at(f, gpa + i));
		/* Nothing behind the end, nothing at all on failure. */
		assert_int_equal(f->buf[ok ? len : 0], 0xcc);
	}
	assert_memory_is_the_model(f);
}

static void writes_answer_like_the_model(void **state)
{
	struct fixture *f = *state;
	uint8_t seed = 0;

	FOR_EACH_RANGE(gpa, len)
	{
		bool ok = allowed(f, gpa, len, AXAS_WRITE);
		bool host_ok = allowed(f, gpa, len, AXAS_READ);
		size_t n = len < BYTES ? len : BYTES;

		for (size_t i = 0; i < n; i++)
			f->buf[i] = (uint8_t)(seed + i * 13);
		assert_int_equal(axas_write(f->as, gpa, f->buf, len), ok ? 0 : -EFAULT);
		for (uint64_t i = 0; ok && i < len; i++)
			*model_at(f, gpa + i) = f->buf[i];
		assert_memory_is_the_model(f);

		for (size_t i = 0; i < n; i++)
			f->buf[i] ^= 0xa5;
		assert_int_equal(axas_write_host(f->as, gpa, f->buf, len), host_ok ? 0 : -EFAULT);
		for (uint64_t i = 0; host_ok && i < len; i++)
			*model_at(f, gpa + i) = f->buf[i];
		assert_memory_is_the_model(f);

		seed += 41;
		assert_int_equal(axas_fill(f->as, gpa, seed, len), ok ? 0 : -EFAULT);
		for (uint64_t i = 0; ok && i < len; i++)
			*model_at(f, gpa + i) = seed;
		assert_memory_is_the_model(f);
	}
	assert_int_equal(axas_zero(f->as, 0x1000, PAGE), 0);
	memset(f->model, 0, PAGE);
	assert_memory_is_the_model(f);
}

static void load_answers_like_the_model(void **state)
{
	struct fixture *f = *state;

	FOR_EACH_RANGE(gpa, len)
	{
		/* A range that does not fit is refused as such, however short the file. */
		bool ok = allowed(f, gpa, len, AXAS_READ);
		struct ax_error err = {0};
		int rc = axas_load_fd(f->as, gpa, f->file, 0, len, &err);

		if (ok)
			assert_int_equal(rc, 0);
		else
			assert_true(rc == -EFAULT || (len > INT64_MAX && rc == -ENODATA));
		assert_int_equal(err.kind == AX_ERROR_NONE, ok);
		for (uint64_t i = 0; ok && i < len; i++)
			*model_at(f, gpa + i) = temp_file_byte(i);
		assert_memory_is_the_model(f);
	}
}

static void load_tells_what_is_wrong_with_the_file(void **state)
{
	struct fixture *f = *state;
	struct ax_error err = {0};
	uint8_t byte = 0;

	assert_int_equal(axas_load_fd(f->as, 0x1000, f->file, BYTES - 100, 101, &err), -ENODATA);
	assert_non_null(strstr(err.message, "101 bytes wanted from offset 32668, it has 32768"));
	assert_int_equal(axas_load_fd(f->as, 0x1000, f->file, UINT64_MAX, 2, &err), -ENODATA);
	assert_int_equal(axas_load_fd(f->as, 0x1000, f->file, INT64_MAX, 2, &err), -ENODATA);
	assert_int_equal(axas_load_fd(f->as, 0x1000, -1, 0, 1, &err), -EBADF);
	assert_non_null(strstr(err.message, "0x1000"));
	assert_int_equal(axas_load_fd(f->as, 0x2ffe, f->file, 11, 4, NULL), 0);
	assert_int_equal(axas_read_u8(f->as, 0x3001, &byte), 0);
	assert_int_equal(byte, temp_file_byte(14));
}

static void ptr_and_iovec_answer_like_the_model(void **state)
{
	static const uint32_t accesses[] = {AXAS_READ, AXAS_WRITE, AXAS_RW, 0, AXAS_EXEC};
	struct fixture *f = *state;

	for (size_t a = 0; a < AX_ARRAY_LEN(accesses); a++) {
		FOR_EACH_RANGE(gpa, len)
		{
			uint32_t access = accesses[a];
			bool valid = access && !(access & ~(uint32_t)AXAS_RW);
			bool ok = valid && allowed(f, gpa, len, access);
			long first = index_of(f, gpa),
			     last = len ? index_of(f, gpa + len - 1) : first;
			/* No length needs an address all the same, and its access. */
			bool one = ok && first >= 0 && last >= 0 &&
				   f->region[first / (long)PAGE] == f->region[last / (long)PAGE] &&
				   allowed(f, gpa, 1, access);
			struct iovec iov[4];
			uint8_t *p = axas_ptr(f->as, gpa, len, access);
			uint64_t done = 0;
			int n;

			assert_int_equal(p != NULL, one);
			for (uint64_t i = 0; p && i < len; i++)
				assert_true(p[i] == *model_at(f, gpa + i));
			n = axas_iovec(f->as, gpa, len, access, iov, 4);
			if (!len) {
				assert_int_equal(n, 0);
				continue;
			}
			if (!ok) {
				assert_int_equal(n, -EFAULT);
				continue;
			}
			assert_int_equal(n, f->region[last / (long)PAGE] -
						    f->region[first / (long)PAGE] + 1);
			for (int v = 0; v < n; v++) {
				const uint8_t *base = iov[v].iov_base;
				assert_true(iov[v].iov_len > 0);
				for (size_t i = 0; i < iov[v].iov_len; i++, done++)
					assert_true(base[i] == *model_at(f, gpa + done));
			}
			assert_true(done == len);
			assert_int_equal(axas_iovec(f->as, gpa, len, access, iov, n - 1), -E2BIG);
			assert_int_equal(axas_iovec(f->as, gpa, len, access, NULL, 0), -E2BIG);
		}
	}
}

static void translate_gives_what_remains(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < AX_ARRAY_LEN(addresses); i++) {
		uint64_t gpa = addresses[i], limit = 0xdead, remaining = 0;
		long at = index_of(f, gpa);
		void *hva = f;

		if (at < 0) {
			assert_int_equal(axas_translate(f->as, gpa, &hva, &limit), -EFAULT);
			assert_true(hva == f && limit == 0xdead);
			continue;
		}
		for (size_t p = (size_t)at / PAGE;
		     p < MODEL_PAGES && f->region[p] == f->region[(size_t)at / PAGE]; p++)
			remaining += PAGE;
		remaining -= (uint64_t)at % PAGE;
		assert_int_equal(axas_translate(f->as, gpa, &hva, &limit), 0);
		assert_int_equal(limit, remaining);
		for (uint64_t b = 0; b < limit; b++)
			assert_true(((uint8_t *)hva)[b] == f->model[(uint64_t)at + b]);
		assert_int_equal(axas_translate(f->as, gpa, NULL, NULL), 0);
	}
}

static void copy_within_answers_like_the_model(void **state)
{
	struct fixture *f = *state;

	for (size_t id = 0; id < AX_ARRAY_LEN(addresses); id++) {
		FOR_EACH_RANGE(src, len)
		{
			uint64_t dst = addresses[id];
			bool ok =
				allowed(f, dst, len, AXAS_WRITE) && allowed(f, src, len, AXAS_READ);

			assert_int_equal(axas_copy_within(f->as, dst, src, len), ok ? 0 : -EFAULT);
			for (uint64_t i = 0; ok && i < len; i++)
				f->buf[i] = *model_at(f, src + i);
			for (uint64_t i = 0; ok && i < len; i++)
				*model_at(f, dst + i) = f->buf[i];
			if (ok)
				assert_memory_is_the_model(f);
		}
	}
	assert_memory_is_the_model(f);
}

/* All writable, so that overlapping copies run across the seams in both directions. */
static void overlapping_copies_cross_regions(void **state)
{
	static const int distances[] = {-9000, -4097, -4096, -4095, -1,  0,
					1,     4095,  4096,  4097,  9000};
	struct fixture *f = *state;

	assert_int_equal(axas_protect(f->as, 0x3000, PAGE, AXAS_RW, NULL), 0);
	f->flags[2] = AXAS_RW;
	for (size_t i = 0; i < AX_ARRAY_LEN(distances); i++) {
		for (uint64_t len = 1; len < 5 * PAGE; len += 1021) {
			for (uint64_t src = 0x1000; src + len <= 0x6000; src += 1371) {
				uint64_t dst = src + (uint64_t)(int64_t)distances[i];
				if (!allowed(f, dst, len, AXAS_WRITE))
					continue;
				assert_int_equal(axas_copy_within(f->as, dst, src, len), 0);
				memmove(model_at(f, dst), model_at(f, src), len);
				assert_memory_is_the_model(f);
				f->model[len % (5 * PAGE)] ^= 0x5a;
				assert_int_equal(axas_write_u8(f->as, 0x1000 + len % (5 * PAGE),
							       f->model[len % (5 * PAGE)]),
						 0);
			}
		}
	}
}

#define CHECK_INTEGER(bits)                                                                      \
	do {                                                                                     \
		bool readable = allowed(f, gpa, bits / 8, AXAS_READ);                            \
		bool writable = allowed(f, gpa, bits / 8, AXAS_WRITE);                           \
		uint##bits##_t value = (uint##bits##_t)0xdeadbeefcafef00dULL, expected = 0;      \
		uint##bits##_t untouched = value;                                                \
		for (int at = bits / 8 - 1; readable && at >= 0; at--)                           \
			expected = (uint##bits##_t)((uint64_t)expected << 8 |                    \
						    *model_at(f, gpa + (uint64_t)at));           \
		assert_int_equal(axas_read_u##bits(f->as, gpa, &value), readable ? 0 : -EFAULT); \
		assert_true(value == (readable ? expected : untouched));                         \
		assert_int_equal(axas_write_u##bits(f->as, gpa, untouched),                      \
				 writable ? 0 : -EFAULT);                                        \
		for (int at = 0; writable && at < bits / 8; at++)                                \
			*model_at(f, gpa + (uint64_t)at) =                                       \
				(uint8_t)((uint64_t)untouched >> 8 * at);                        \
		assert_memory_is_the_model(f);                                                   \
	} while (0)

static void integers_are_little_endian_at_any_address(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < AX_ARRAY_LEN(addresses); i++) {
		for (uint64_t shift = 0; shift < 9; shift++) {
			uint64_t gpa = addresses[i] - shift;
			CHECK_INTEGER(8);
			CHECK_INTEGER(16);
			CHECK_INTEGER(32);
			CHECK_INTEGER(64);
		}
	}
}

static void stats_count_every_access_once(void **state)
{
	struct fixture *f = *state;
	struct axas_stats before, after;
	struct iovec iov[4];
	uint64_t u64 = 0;

	axas_get_stats(f->as, &before);
	assert_int_equal(axas_read(f->as, 0x1000, f->buf, 100), 0);           /* r */
	assert_int_equal(axas_read_u64(f->as, 0x1000, &u64), 0);              /* r */
	assert_int_equal(axas_read_u64(f->as, 0x1001, &u64), 0);              /* r, unaligned */
	assert_int_equal(axas_read(f->as, 0, f->buf, 100), -EFAULT);          /* f */
	assert_int_equal(axas_read(f->as, 0, f->buf, 0), 0);                  /* nothing */
	assert_int_equal(axas_write(f->as, 0x1000, f->buf, 100), 0);          /* w */
	assert_int_equal(axas_write_u8(f->as, 0x3000, 1), -EFAULT);           /* f */
	assert_int_equal(axas_fill(f->as, 0x1000, 1, 8192), 0);               /* w */
	assert_int_equal(axas_copy_within(f->as, 0x1000, 0x3000, 9), 0);      /* r, w */
	assert_int_equal(axas_copy_within(f->as, 0x3000, 0, 9), -EFAULT);     /* f */
	assert_int_equal(axas_translate(f->as, 0x1000, NULL, NULL), 0);       /* nothing */
	assert_int_equal(axas_translate(f->as, 0, NULL, NULL), -EFAULT);      /* f */
	assert_non_null(axas_ptr(f->as, 0x1000, 1, AXAS_READ));               /* r */
	assert_non_null(axas_ptr(f->as, 0x1000, 1, AXAS_RW));                 /* w */
	assert_null(axas_ptr(f->as, 0x3000, 1, AXAS_RW));                     /* f */
	assert_int_equal(axas_iovec(f->as, 0x1000, 9, AXAS_READ, iov, 4), 1); /* r */
	axas_get_stats(f->as, &after);
	assert_int_equal(after.reads - before.reads, 6);
	assert_int_equal(after.writes - before.writes, 4);
	assert_int_equal(after.faults - before.faults, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(read_answers_like_the_model),
		TEST(writes_answer_like_the_model),
		TEST(load_answers_like_the_model),
		TEST(load_tells_what_is_wrong_with_the_file),
		TEST(ptr_and_iovec_answer_like_the_model),
		TEST(translate_gives_what_remains),
		TEST(copy_within_answers_like_the_model),
		TEST(overlapping_copies_cross_regions),
		TEST(integers_are_little_endian_at_any_address),
		TEST(stats_count_every_access_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
