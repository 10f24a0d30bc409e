/*
 * Sizes as people write them: the grammar, its edges, and the way back. Also the inline arithmetic
 * of base.h.
 */
#include "../test.h"

#include <axvm/base.h>

#include <errno.h>
#include <string.h>

static void good_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t unit, bytes;
	} rows[] = {
		{"0", 1, 0},
		{"4096", 1, 4096},
		{"512", AX_MIB, 512 * AX_MIB},
		{"512M", 1, 512 * AX_MIB},
		{"512M", AX_GIB, 512 * AX_MIB},
		{"512m", 1, 512 * AX_MIB},
		{"2MiB", 1, 2 * AX_MIB},
		{"2mib", 1, 2 * AX_MIB},
		{"2MB", 1, 2 * AX_MIB},
		{"2mB", 1, 2 * AX_MIB},
		{"1G", 1, AX_GIB},
		{"1k", 1, AX_KIB},
		{"3T", 1, 3 * AX_KIB * AX_GIB},
		{"007", 1, 7},
		{"0T", 1, 0},
		{"18446744073709551615", 1, UINT64_MAX},
		{"00000000000000000000000001K", 1, 1024},
		{"16777215T", 1, 16777215ULL << 40},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		uint64_t bytes = 0xdead;
		assert_int_equal(ax_parse_size(rows[i].text, rows[i].unit, &bytes), 0);
		assert_true(bytes == rows[i].bytes);
	}
}

static void bad_sizes_leave_the_result_alone(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{NULL, -EINVAL},
		{"", -EINVAL},
		{" ", -EINVAL},
		{" 1", -EINVAL},
		{"1 ", -EINVAL},
		{"1 M", -EINVAL},
		{"-1", -EINVAL},
		{"+1", -EINVAL},
		{"M", -EINVAL},
		{"iB", -EINVAL},
		{"1B", -EINVAL},
		{"1i", -EINVAL},
		{"1Mi", -EINVAL},
		{"1MBi", -EINVAL},
		{"1MiBs", -EINVAL},
		{"1MM", -EINVAL},
		{"1P", -EINVAL},
		{"1.5G", -EINVAL},
		{"0x10", -EINVAL},
		{"1e3", -EINVAL},
		{"12M\n", -EINVAL},
		{"99999999999999999999999Q", -EINVAL},
		{"18446744073709551616", -ERANGE},
		{"99999999999999999999999999999999", -ERANGE},
		{"18446744073709551615K", -ERANGE},
		{"16777216T", -ERANGE},
		{"18014398509481984K", -ERANGE},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		uint64_t bytes = 0xdead;
		assert_int_equal(ax_parse_size(rows[i].text, 1, &bytes), rows[i].rc);
		assert_true(bytes == 0xdead);
	}
	uint64_t bytes = 0xdead;
	assert_int_equal(ax_parse_size("17179869184", AX_GIB, &bytes), -ERANGE);
	assert_true(bytes == 0xdead);
}

static void formats(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0"},
		{17, "17"},
		{1023, "1023"},
		{1024, "1K"},
		{1025, "1025"},
		{1536, "1536"},
		{1536 * AX_KIB, "1536K"},
		{512 * AX_MIB, "512M"},
		{4 * AX_GIB, "4G"},
		{4 * AX_GIB + AX_MIB, "4097M"},
		{1024 * AX_GIB, "1T"},
		{1ULL << 63, "8388608T"},
		{UINT64_MAX, "18446744073709551615"},
	};
	char buf[24];

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		assert_ptr_equal(ax_format_size(rows[i].bytes, buf, sizeof(buf)), buf);
		assert_string_equal(buf, rows[i].text);
	}
}

static void formatting_and_parsing_are_inverse(void **state)
{
	uint64_t v = 1;
	char buf[24];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t shapes[] = {v, v << (i % 50), v >> (i % 60), UINT64_MAX << (i % 64)};
		for (size_t s = 0; s < AX_ARRAY_LEN(shapes); s++) {
			uint64_t back = ~shapes[s];
			ax_format_size(shapes[s], buf, sizeof(buf));
			assert_int_equal(ax_parse_size(buf, 1, &back), 0);
			assert_true(back == shapes[s]);
		}
		v = v * 6364136223846793005ULL + 1442695040888963407ULL;
	}
}

static void arithmetic(void **state)
{
	uint64_t sum = 5;

	(void)state;
	assert_false(ax_add_overflows(1, 2, &sum));
	assert_true(sum == 3);
	assert_false(ax_add_overflows(UINT64_MAX, 0, &sum));
	assert_true(sum == UINT64_MAX);
	assert_true(ax_add_overflows(UINT64_MAX, 1, &sum));
	assert_true(sum == UINT64_MAX);

	assert_false(ax_is_power_of_two(0));
	assert_true(ax_is_power_of_two(1));
	assert_false(ax_is_power_of_two(3));
	assert_true(ax_is_power_of_two(1ULL << 63));

	assert_true(ax_align_down(4097, 4096) == 4096);
	assert_true(ax_align_up(4097, 4096) == 8192);
	assert_true(ax_align_up(4096, 4096) == 4096);
	assert_true(ax_align_up(UINT64_MAX, 4096) == 0);

	uint64_t before = ax_clock_ns();
	assert_true(before > 0 && ax_clock_ns() >= before);

	struct ax_counter counter = {0};
	ax_counter_add(&counter, 3);
	ax_counter_add(&counter, 4);
	assert_int_equal(ax_counter_read(&counter), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_sizes), cmocka_unit_test(bad_sizes_leave_the_result_alone),
		cmocka_unit_test(formats),    cmocka_unit_test(formatting_and_parsing_are_inverse),
		cmocka_unit_test(arithmetic),
	};
	return cmocka_run_group_tests_name("base-size", tests, NULL, NULL);
}
