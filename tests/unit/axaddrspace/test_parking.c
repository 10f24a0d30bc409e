/*
 * Large pages whose regions go piece by piece: a page is given back with the last of it and not
 * before. Needs no pool: memory of small pages is told that it comes and goes in large ones.
 */
#include "common.h"

#include "internal.h"

#define BASE  0x40000000ULL
#define LARGE (2 * AX_MIB)
#define COUNT 5

static void a_large_page_goes_with_the_last_of_it(void **state)
{
	static const struct {
		uint64_t gpa, size_bytes;
		unsigned int gone; /* large pages by now, a bit each */
	} rows[] = {
		{BASE + PAGE, PAGE, 0x0},
		/* The last of the first, the second, and the first of the third. */
		{BASE + LARGE - PAGE, LARGE + 2 * PAGE, 0x2},
		{BASE + 2 * PAGE, LARGE - 3 * PAGE, 0x2},
		{BASE, PAGE, 0x3},
		{BASE + 2 * LARGE + PAGE, LARGE - PAGE, 0x7},
	};
	struct axas_region_config config = region(BASE, COUNT * LARGE);
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	const uint8_t *p;

	(void)state;
	map_ok(as, &config);
	as->backings->page_size_bytes = LARGE;
	p = host_of(as, BASE);
	assert_int_equal(axas_fill(as, BASE, 7, COUNT * LARGE), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		assert_int_equal(axas_unmap(as, rows[i].gpa, rows[i].size_bytes, NULL), 0);
		for (uint64_t at = 0; at < COUNT * LARGE; at += PAGE)
			assert_int_equal(p[at], rows[i].gone >> at / LARGE & 1 ? 0 : 7);
	}
	recorder_agrees(&recorder, as);
	axas_destroy(as);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_page_goes_with_the_last_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
