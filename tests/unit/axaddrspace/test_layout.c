/*
 * The layout planner, by tables: refusals with their errno, merging, gaps.
 */
#include "common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MEM  AXAS_LAYOUT_MEMORY
#define RSV  AXAS_LAYOUT_RESERVED
#define BOOT AXAS_LAYOUT_BOOT_DESCRIPTION
#define DEV  AXAS_LAYOUT_EMULATED_DEVICE
#define PASS AXAS_LAYOUT_PASSTHROUGH

static void add_ok(struct axas_layout *layout, struct axas_layout_range range)
{
	struct ax_error err = {0};

	if (axas_layout_add(layout, &range, &err) < 0)
		fail_msg("%s", err.message);
}

static void ranges_are_refused_with_their_reason(void **state)
{
	static const struct {
		struct axas_layout_range range;
		int rc;
		const char *message;
	} rows[] = {
		{{"z", MEM, 0x5000, 0, 0}, -EINVAL, "no size"},
		{{"k", (enum axas_layout_kind)9, 0x5000, 1, 0}, -EINVAL, "unknown kind"},
		{{"w", MEM, UINT64_MAX, 2, 0}, -EOVERFLOW, "2^52"},
		{{"w", MEM, UINT64_MAX, UINT64_MAX, 0}, -EOVERFLOW, "2^52"},
		{{"w", DEV, (1ULL << 52) - 0x1000, 0x1001, 0}, -EOVERFLOW, "2^52"},
		{{"w", DEV, 1ULL << 52, 1, 0}, -EOVERFLOW, "2^52"},
		{{"p", PASS, 0x5010, 0x1000, 0x8020}, -EINVAL, "different offsets"},
		{{"p", PASS, 0x5000, 0x2000, -0x1000ULL}, -EOVERFLOW, "wrap"},
		/* conflicts name both */
		{{"x", MEM, 0x10000, 0x1000, 0}, -EEXIST, "\"x\""},
		{{"x", MEM, 0x10000, 0x1000, 0}, -EEXIST, "\"ram\""},
		{{"x", DEV, 0x1ffff, 1, 0}, -EEXIST, "emulated device \"x\""},
		{{"x", DEV, 0xf000, 0x1001, 0}, -EEXIST, "memory \"ram\""},
		{{"x", RSV, 0x8000, 0x100000, 0}, -EEXIST, "conflicts"},
		{{"x", PASS, 0x40fff, 0x1000, 0xfff}, -EEXIST, "\"uart\""},
		/* a boot description half in memory, over another one, or over a device */
		{{"x", BOOT, 0x1f000, 0x2000, 0}, -EEXIST, "boot description \"x\""},
		{{"x", BOOT, 0x18010, 0x10, 0}, -EEXIST, "\"acpi\""},
		{{"x", BOOT, 0x40000, 0x10, 0}, -EEXIST, "\"uart\""},
		/* memory over half a boot description that stands alone */
		{{"x", MEM, 0x60800, 0x1000, 0}, -EEXIST, "\"rom\""},
	};
	struct axas_layout layout = {0}, before;

	(void)state;
	add_ok(&layout, (struct axas_layout_range){"ram", MEM, 0x10000, 0x10000, 0});
	add_ok(&layout, (struct axas_layout_range){"uart", DEV, 0x40000, 0x1000, 0});
	add_ok(&layout, (struct axas_layout_range){"acpi", BOOT, 0x18000, 0x1000, 0});
	add_ok(&layout, (struct axas_layout_range){"rom", BOOT, 0x60000, 0x1000, 0});
	before = layout;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct ax_error err = {0};
		assert_int_equal(axas_layout_add(&layout, &rows[i].range, &err), rows[i].rc);
		if (!strstr(err.message, rows[i].message))
			fail_msg("row %zu: \"%s\"", i, err.message);
		assert_int_equal(axas_layout_add(&layout, &rows[i].range, NULL), rows[i].rc);
		assert_memory_equal(&layout, &before, sizeof(layout));
	}
}

static void ranges_are_sorted_and_merged(void **state)
{
	static const struct axas_layout_range added[] = {
		{"ram", MEM, 0x30000, 0x10000, 0},       {"ram", MEM, 0x10000, 0x10000, 0},
		{"acpi", BOOT, 0x10000, 0x1000, 0}, /* inside, at the same address */
		{"mp", BOOT, 0x1f000, 0x1000, 0},   /* inside, to the very end */
		{"ram", MEM, 0x20000, 0x10000, 0},  /* closes the gap: one of three */
		{"high", MEM, 0x40000, 0x10000, 0}, /* other name: stays apart */
		{"uart", DEV, 0x50000, 0x8, 0},     /* devices never merge */
		{"uart", DEV, 0x50008, 0x8, 0},          {"nic", PASS, 0x62000, 0x1000, 0x92000},
		{"nic", PASS, 0x61000, 0x1000, 0x91000}, /* below, adjacent on both sides */
		{"nic", PASS, 0x63000, 0x1000, 0xa3000}, /* adjacent in gpa only */
		{NULL, MEM, 0x80000, 0x1000, 0},         {NULL, MEM, 0x81000, 0x1000, 0},
		{"last", RSV, (1ULL << 52) - 1, 1, 0},   {"rom", BOOT, 0x90000, 0x1000, 0},
		{"around", MEM, 0x8f000, 0x3000, 0}, /* memory put around a description */
	};
	static const struct axas_layout_range expected[] = {
		{"ram", MEM, 0x10000, 0x30000, 0},       {"acpi", BOOT, 0x10000, 0x1000, 0},
		{"mp", BOOT, 0x1f000, 0x1000, 0},        {"high", MEM, 0x40000, 0x10000, 0},
		{"uart", DEV, 0x50000, 0x8, 0},          {"uart", DEV, 0x50008, 0x8, 0},
		{"nic", PASS, 0x61000, 0x2000, 0x91000}, {"nic", PASS, 0x63000, 0x1000, 0xa3000},
		{NULL, MEM, 0x80000, 0x2000, 0},         {"around", MEM, 0x8f000, 0x3000, 0},
		{"rom", BOOT, 0x90000, 0x1000, 0},       {"last", RSV, (1ULL << 52) - 1, 1, 0},
	};
	struct axas_layout layout = {0};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(added); i++)
		add_ok(&layout, added[i]);
	assert_int_equal(layout.count, AX_ARRAY_LEN(expected));
	for (size_t i = 0; i < AX_ARRAY_LEN(expected); i++) {
		const struct axas_layout_range *range = &layout.range[i];
		assert_true(range->name == expected[i].name ||
			    !strcmp(range->name, expected[i].name));
		assert_int_equal(range->kind, expected[i].kind);
		assert_int_equal(range->gpa, expected[i].gpa);
		assert_int_equal(range->size_bytes, expected[i].size_bytes);
		assert_int_equal(range->hpa, expected[i].hpa);
	}
}

static void full_layout_still_merges(void **state)
{
	struct axas_layout layout = {0};
	struct axas_layout_range range = {"ram", MEM, 0, 0x1000, 0};
	struct ax_error err = {0};

	(void)state;
	for (uint64_t i = 0; i < AXAS_LAYOUT_MAX; i++) {
		range.gpa = i * 0x2000;
		add_ok(&layout, range);
	}
	range.gpa = AXAS_LAYOUT_MAX * 0x2000;
	assert_int_equal(axas_layout_add(&layout, &range, &err), -ENOSPC);
	range.gpa = 0x1000;
	add_ok(&layout, range);
	assert_int_equal(layout.count, AXAS_LAYOUT_MAX - 1);
	assert_int_equal(layout.range[0].size_bytes, 0x3000);
}

static void gaps_are_found(void **state)
{
	static const struct {
		uint64_t low, high, size_bytes, align;
		int rc;
		uint64_t gpa;
	} rows[] = {
		{0, 0x100000, 0x1000, 0x1000, 0, 0},
		{0, 0x100000, 0x10000, 0x1000, 0, 0},
		{0, 0x100000, 0x10001, 1, 0, 0x20000},
		{0x10000, 0x100000, 0x1000, 0x1000, 0, 0x20000},
		{0x10000, 0x100000, 0x1000, 0x80000, 0, 0x80000},
		{0x18000, 0x100000, 0x20001, 0x1000, 0, 0x41000},
		{0x18000, 0x61000, 0x20000, 0x1000, 0, 0x20000},
		{0x18000, 0x40000, 0x20001, 0x1000, -ENOSPC, 0},
		{0x1fff1, 0x100000, 0x10, 0x10, 0, 0x20000},
		{0x40001, 0x40100, 1, 1, 0, 0x40010}, /* right behind a small device */
		{0x10000, 0x20000, 1, 1, -ENOSPC, 0},
		{0x30000, 0x30000, 1, 1, -ENOSPC, 0},
		{0x30000, 0x20000, 1, 1, -ENOSPC, 0},
		{0, UINT64_MAX, 1ULL << 52, 1, -ENOSPC, 0},
		{0, UINT64_MAX, UINT64_MAX, 1, -ENOSPC, 0},
		{0, UINT64_MAX, 1ULL << 51, 1ULL << 51, 0, 1ULL << 51},
		{1, UINT64_MAX, 1, 1ULL << 63, -ENOSPC, 0},
		{UINT64_MAX, UINT64_MAX, 1, 0x1000, -ENOSPC, 0}, /* aligning low wraps */
		{0, 0x100000, 0, 0x1000, -EINVAL, 0},
		{0, 0x100000, 1, 0, -EINVAL, 0},
		{0, 0x100000, 1, 3, -EINVAL, 0},
	};
	struct axas_layout layout = {0};

	(void)state;
	add_ok(&layout, (struct axas_layout_range){"ram", MEM, 0x10000, 0x10000, 0});
	add_ok(&layout, (struct axas_layout_range){"acpi", BOOT, 0x12000, 0x100, 0});
	add_ok(&layout, (struct axas_layout_range){"uart", DEV, 0x40000, 0x10, 0});
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct ax_error err = {0};
		uint64_t gpa = 0xdead;
		int rc = axas_layout_find_gap(&layout, rows[i].low, rows[i].high,
					      rows[i].size_bytes, rows[i].align, &gpa, &err);
		if (rc != rows[i].rc || gpa != (rc ? 0xdead : rows[i].gpa))
			fail_msg("row %zu: %d, gpa 0x%llx", i, rc, (unsigned long long)gpa);
	}
}

static void kinds_have_names(void **state)
{
	(void)state;
	assert_string_equal(axas_layout_kind_name(MEM), "memory");
	assert_string_equal(axas_layout_kind_name(PASS), "passthrough");
	assert_string_equal(axas_layout_kind_name((enum axas_layout_kind)77), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_refused_with_their_reason),
		cmocka_unit_test(ranges_are_sorted_and_merged),
		cmocka_unit_test(full_layout_still_merges),
		cmocka_unit_test(gaps_are_found),
		cmocka_unit_test(kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
