/*
 * Regions and the guest's view of them: map, overlap, limits, flags, pointers that outlive an
 * unmap, churn, isolation of two spaces. Splitting and failing mappers are in test_change.c.
 */
#include "common.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>

#define BASE 0x100000ULL

static void map_shows_memory_to_guest_and_monitor(void **state)
{
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	struct axas_region_config config = region(BASE, 16 * PAGE);
	struct axas_region_info info[2];
	uint8_t buf[64];

	(void)state;
	config.name = "a name that is longer than what a region keeps of it";
	config.type = AXAS_MAP_IDENTICAL;
	map_ok(as, &config);
	assert_int_equal(axas_regions(as, info, 2), 1);
	assert_int_equal(info[0].gpa, BASE);
	assert_int_equal(info[0].size_bytes, 16 * PAGE);
	assert_int_equal(info[0].type, AXAS_MAP_IDENTICAL);
	assert_int_equal(info[0].backing, AXAS_BACKING_ANON);
	assert_int_equal(info[0].flags, AXAS_RW);
	assert_int_equal(info[0].page_size_bytes, PAGE);
	assert_false(info[0].locked);
	assert_int_equal(strlen(info[0].name), sizeof(info[0].name) - 1);
	recorder_agrees(&recorder, as);
	/* New memory is zero, and what is written is what the slot's host address holds. */
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(axas_read(as, BASE, buf, sizeof(buf)), 0);
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(axas_write_u32(as, BASE + 8, 0x12345678), 0);
	assert_memory_equal((char *)info[0].hva + 8, "\x78\x56\x34\x12", 4);
	assert_int_equal(axas_regions(as, NULL, 0), 1);
	axas_destroy(as);
	assert_int_equal(recorder_live(&recorder), 0);
	assert_false(recorder.inconsistent);
	axas_destroy(NULL);
}

static void refused_maps_change_nothing(void **state)
{
	struct recorder recorder = {0};
	struct axas_mapper mapper = recorder_mapper(&recorder);
	struct axas *as = NULL;
	static const struct {
		uint64_t gpa, size_bytes;
		uint32_t flags;
		int type, backing;
		int rc;
		enum ax_error_kind kind;
	} rows[] = {
		/* overlap: same, inside, around, by one page at either end */
		{BASE, 16 * PAGE, AXAS_RW, 0, 0, -EEXIST, AX_ERROR_ALREADY_EXISTS},
		{BASE + PAGE, PAGE, AXAS_RW, 0, 0, -EEXIST, AX_ERROR_ALREADY_EXISTS},
		{BASE - PAGE, 18 * PAGE, AXAS_RW, 0, 0, -EEXIST, AX_ERROR_ALREADY_EXISTS},
		{BASE - PAGE, 2 * PAGE, AXAS_RW, 0, 0, -EEXIST, AX_ERROR_ALREADY_EXISTS},
		{BASE + 15 * PAGE, 2 * PAGE, AXAS_RW, 0, 0, -EEXIST, AX_ERROR_ALREADY_EXISTS},
		/* misaligned */
		{BASE * 2 + 1, PAGE, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_MEMORY_ALIGNMENT},
		{BASE * 2, PAGE + 1, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_MEMORY_ALIGNMENT},
		{BASE * 2, 2048, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_MEMORY_ALIGNMENT},
		{PAGE, 2 * AX_MIB, AXAS_RW, 0, 2, -EINVAL, AX_ERROR_MEMORY_ALIGNMENT},
		{4 * AX_MIB, AX_MIB, AXAS_RW, 0, 2, -EINVAL, AX_ERROR_MEMORY_ALIGNMENT},
		{2 * AX_MIB, AX_GIB, AXAS_RW, 0, 3, -EINVAL, AX_ERROR_MEMORY_ALIGNMENT},
		/* zero, past the limit, wrap */
		{BASE * 2, 0, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{1ULL << 39, PAGE, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{(1ULL << 39) - PAGE, 2 * PAGE, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{-PAGE, PAGE, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{-PAGE, 2 * PAGE, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{PAGE, -PAGE, AXAS_RW, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		/* flags */
		{BASE * 2, PAGE, 0, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{BASE * 2, PAGE, 0x43, 0, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{BASE * 2, PAGE, AXAS_WRITE, 0, 0, -ENOTSUP, AX_ERROR_UNSUPPORTED},
		{BASE * 2, PAGE, AXAS_EXEC, 0, 0, -ENOTSUP, AX_ERROR_UNSUPPORTED},
		{BASE * 2, PAGE, AXAS_RW | AXAS_USER, 0, 0, -ENOTSUP, AX_ERROR_UNSUPPORTED},
		{BASE * 2, PAGE, AXAS_RW | AXAS_DEVICE, 0, 0, -ENOTSUP, AX_ERROR_UNSUPPORTED},
		{BASE * 2, PAGE, AXAS_RW | AXAS_UNCACHED, 0, 0, -ENOTSUP, AX_ERROR_UNSUPPORTED},
		/* a reserved range needs a file, a file needs a name, kinds must exist */
		{BASE * 2, PAGE, AXAS_RW, 2, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{BASE * 2, PAGE, AXAS_RW, 0, 4, -EINVAL, AX_ERROR_CONFIGURATION},
		{BASE * 2, PAGE, AXAS_RW, 3, 0, -EINVAL, AX_ERROR_CONFIGURATION},
		{BASE * 2, PAGE, AXAS_RW, 0, 5, -EINVAL, AX_ERROR_CONFIGURATION},
	};
	const struct axas_region_info expected = {
		.gpa = BASE, .size_bytes = 16 * PAGE, .flags = AXAS_RW};
	struct axas_region_config config = region(BASE, 16 * PAGE);

	(void)state;
	assert_int_equal(axas_create(1ULL << 39, &mapper, &as, NULL), 0);
	map_ok(as, &config);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct ax_error err = {0};
		config = region(rows[i].gpa, rows[i].size_bytes);
		config.name = "refused";
		config.flags = rows[i].flags;
		config.type = (enum axas_map_type)rows[i].type;
		config.backing = (enum axas_backing)rows[i].backing;
		assert_int_equal(axas_map(as, &config, &err), rows[i].rc);
		assert_int_equal(err.kind, rows[i].kind);
		assert_true(err.message[0]);
		assert_int_equal(axas_map(as, &config, NULL), rows[i].rc);
		assert_regions(as, 1, &expected);
		assert_int_equal(recorder.calls, 1);
	}
	/* Neighbours do not overlap, nor does the last page below the limit. */
	config = region(BASE - PAGE, PAGE);
	map_ok(as, &config);
	config = region(BASE + 16 * PAGE, PAGE);
	config.flags = AXAS_RW | AXAS_EXEC;
	map_ok(as, &config);
	config = region((1ULL << 39) - PAGE, PAGE);
	map_ok(as, &config);
	recorder_agrees(&recorder, as);
	/* All of it goes, up to the limit. */
	assert_int_equal(axas_clear(as, NULL), 0);
	assert_int_equal(axas_total_bytes(as), 0);
	assert_int_equal(recorder_live(&recorder), 0);
	axas_destroy(as);
}

static void create_checks_its_limit(void **state)
{
	struct axas *as = NULL;
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(axas_create(PAGE + 1, NULL, &as, &err), -EINVAL);
	assert_null(as);
	assert_int_equal(err.kind, AX_ERROR_MEMORY_ALIGNMENT);
}

static void pointers_outlive_unmap(void **state)
{
	static const enum axas_backing backings[] = {AXAS_BACKING_ANON, AXAS_BACKING_THP};

	(void)state;
	for (size_t b = 0; b < AX_ARRAY_LEN(backings); b++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = region(BASE, 64 * PAGE);
		uint8_t *p, *fresh;

		config.backing = backings[b];
		config.populate = true;
		map_ok(as, &config);
		p = axas_ptr(as, BASE, 64 * PAGE, AXAS_RW);
		assert_non_null(p);
		memset(p, 0x11, 64 * PAGE);
		/* The middle goes: its pages are given back, the rest keeps its contents. */
		assert_int_equal(axas_unmap(as, BASE + 16 * PAGE, 32 * PAGE, NULL), 0);
		assert_int_equal(resident_bytes(p + 16 * PAGE, 32 * PAGE), 0);
		assert_int_equal(resident_bytes(p, 16 * PAGE), 16 * PAGE);
		assert_int_equal(p[16 * PAGE], 0);
		assert_int_equal(p[16 * PAGE - 1], 0x11);
		assert_int_equal(p[48 * PAGE], 0x11);
		p[20 * PAGE] = 0x22; /* a late device write */
		assert_int_equal(axas_unmap(as, BASE, 16 * PAGE, NULL), 0);
		assert_int_equal(axas_unmap(as, BASE + 48 * PAGE, 16 * PAGE, NULL), 0);
		/* Memory mapped there later is other memory. */
		map_ok(as, &config);
		fresh = axas_ptr(as, BASE, 64 * PAGE, AXAS_RW);
		assert_non_null(fresh);
		memset(p, 0x33, 64 * PAGE);
		for (uint64_t i = 0; i < 64; i++)
			assert_int_equal(fresh[i * PAGE], 0);
		axas_destroy(as);
	}
}

/* A guest may map and unmap as often as it likes: no file is left open, old tables are freed,
 * and parked address ranges merge - in the kernel's list of mappings, too. */
static void churn_does_not_grow(void **state)
{
	static const uint64_t sizes[] = {16 * PAGE, 4 * AX_MIB};
	struct rlimit limit, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (size_t s = 0; s < AX_ARRAY_LEN(sizes); s++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = region(4 * AX_MIB, sizes[s]);
		uint64_t quarter = sizes[s] / 4;
		size_t heap = mallinfo2().uordblks, mappings = count_mappings();

		for (int i = 0; i < 1000; i++) {
			map_ok(as, &config);
			assert_int_equal(axas_write_u64(as, config.gpa + 2 * quarter, 1), 0);
			assert_int_equal(axas_unmap(as, config.gpa + quarter, quarter, NULL), 0);
			assert_int_equal(axas_clear(as, NULL), 0);
		}
		assert_true(mallinfo2().uordblks < heap + 16 * AX_KIB);
		/* The thread sanitizer maps shadow for every range it has ever seen. */
		if (!THREAD_SANITIZER)
			assert_true(count_mappings() < mappings + 100);
		axas_destroy(as);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void two_spaces_are_isolated(void **state)
{
	struct axas *a = new_space(NULL), *b = new_space(NULL);
	struct axas_region_config config = region(BASE, 2 * PAGE);
	uint64_t va = 0, vb = 0;

	(void)state;
	map_ok(a, &config);
	map_ok(b, &config);
	assert_int_equal(axas_write_u64(a, BASE, 0xaaaaaaaaaaaaaaaaULL), 0);
	assert_int_equal(axas_write_u64(b, BASE, 0xbbbbbbbbbbbbbbbbULL), 0);
	assert_int_equal(axas_read_u64(a, BASE, &va), 0);
	assert_int_equal(axas_read_u64(b, BASE, &vb), 0);
	assert_true(va == 0xaaaaaaaaaaaaaaaaULL && vb == 0xbbbbbbbbbbbbbbbbULL);
	axas_destroy(a);
	assert_int_equal(axas_read_u64(b, BASE, &vb), 0);
	assert_true(vb == 0xbbbbbbbbbbbbbbbbULL);
	axas_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_shows_memory_to_guest_and_monitor),
		cmocka_unit_test(refused_maps_change_nothing),
		cmocka_unit_test(create_checks_its_limit),
		cmocka_unit_test(pointers_outlive_unmap),
		cmocka_unit_test(churn_does_not_grow),
		cmocka_unit_test(two_spaces_are_isolated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
