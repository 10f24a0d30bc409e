/*
 * Counting pages per node: only what is there, of any range, all of it or a sample. With two nodes,
 * and pages that have strayed, in tests/place.
 */
#include "common.h"

#define BASE 0x40000000ULL

static void only_what_is_there_is_counted(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config low = region(BASE, AX_MIB);
	struct axas_region_config high = on_node(0, BASE + 4 * AX_MIB, AX_MIB);
	struct axas_placement found;

	(void)state;
	skip_without_numa();
	found = placement(as, 0, UINT64_MAX, 0);
	assert_int_equal(found.mapped_bytes, 0);
	assert_int_equal(found.looked_bytes, 0);
	map_ok(as, &low);
	map_ok(as, &high);
	assert_int_equal(axas_fill(as, BASE + 3 * PAGE, 1, 5 * PAGE), 0);
	assert_int_equal(axas_fill(as, BASE + 4 * AX_MIB, 1, 7 * PAGE), 0);
	found = placement(as, 0, UINT64_MAX, 0);
	assert_int_equal(found.mapped_bytes, 2 * AX_MIB);
	assert_int_equal(found.looked_bytes, 2 * AX_MIB);
	assert_int_equal(found.on_node[0], 12 * PAGE);
	assert_int_equal(found.absent_bytes, 2 * AX_MIB - 12 * PAGE);
	/* Asking has brought nothing. */
	assert_int_equal(resident_bytes(host_of(as, BASE), AX_MIB), 5 * PAGE);
	/* Parts of regions, and pages that the range only touches. */
	found = placement(as, BASE + 4 * PAGE, 2 * PAGE, 0);
	assert_int_equal(found.on_node[0], 2 * PAGE);
	assert_int_equal(found.looked_bytes, 2 * PAGE);
	found = placement(as, BASE + 3 * PAGE - 1, 2, 0);
	assert_int_equal(found.on_node[0], PAGE);
	assert_int_equal(found.absent_bytes, PAGE);
	found = placement(as, BASE + 2 * AX_MIB, AX_MIB, 0);
	assert_int_equal(found.mapped_bytes, 0);
	found = placement(as, BASE, 0, 0);
	assert_int_equal(found.mapped_bytes, 0);
	found = placement(as, UINT64_MAX, UINT64_MAX, 0);
	assert_int_equal(found.mapped_bytes, 0);
	axas_destroy(as);
}

static void a_sample_is_bounded_spread_and_the_same_every_time(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, 16 * AX_MIB);
	struct axas_placement found, again;
	uint64_t share;

	(void)state;
	skip_without_numa();
	map_ok(as, &config);
	/* Every other page of the first half: a quarter of all. */
	for (uint64_t i = 0; i < 8 * AX_MIB; i += 2 * PAGE)
		assert_int_equal(axas_write_u8(as, BASE + i, 1), 0);
	found = placement(as, BASE, 16 * AX_MIB, SIZE_MAX);
	assert_int_equal(found.looked_bytes, 16 * AX_MIB);
	assert_int_equal(found.on_node[0], 4 * AX_MIB);
	found = placement(as, BASE, 16 * AX_MIB, 256);
	again = placement(as, BASE, 16 * AX_MIB, 256);
	assert_int_equal(found.mapped_bytes, 16 * AX_MIB);
	assert_int_equal(found.looked_bytes, 256 * PAGE);
	assert_memory_equal(&found, &again, sizeof(found));
	/* 128 pages of the first half, of which about every other is there. */
	share = found.on_node[0] / PAGE;
	assert_in_range(share, 40, 88);
	assert_int_equal(found.absent_bytes, (256 - share) * PAGE);
	assert_int_equal(placement(as, BASE, 16 * AX_MIB, 1).looked_bytes, PAGE);
	axas_destroy(as);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_there_is_counted),
		cmocka_unit_test(a_sample_is_bounded_spread_and_the_same_every_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
