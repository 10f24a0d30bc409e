/*
 * SBI calls that KVM hands over: what each wants, with and without a console.
 */
#include "helpers.h"

#include <errno.h>

#define MINUS(n) ((uint64_t) - (n))

static struct rv64_sbi_result decode(uint64_t extension, uint64_t function, uint64_t a0,
				     uint64_t a1, uint64_t a2, bool has_console)
{
	const struct rv64_sbi_call call = {
		.extension = extension, .function = function, .args = {a0, a1, a2, 3, 4, 5}};
	struct rv64_sbi_result result;

	rv64_sbi_decode(&call, has_console, &result);
	return result;
}

static void answers(void **state)
{
	static const struct {
		uint64_t extension, function, a0, a1, a2;
		bool console;
		uint64_t ret0, ret1;
	} rows[] = {
		/* Legacy: a1 stays, input never comes. */
		{0x01, 0, 'x', 77, 0, false, MINUS(2), 77},
		{0x02, 0, 0, 78, 0, true, MINUS(1), 78},
		{0x02, 0, 0, 78, 0, false, MINUS(1), 78},
		{0x03, 0, 0, 0, 0, true, MINUS(2), 0},
		/* Base: only the probe of forwarded ranges comes to us. */
		{0x10, 3, RV64_SBI_AXVM, 0, 0, false, 0, 1},
		{0x10, 3, RV64_SBI_AXVM + 1, 0, 0, false, 0, 0},
		{0x10, 3, 0x09000000, 0, 0, false, 0, 0},
		{0x10, 0, 0, 0, 0, false, MINUS(2), 0},
		/* Debug console. */
		{0x4442434e, 0, 4, 0x80000000, 0, false, MINUS(2), 0},
		{0x4442434e, 0, 4, 0x80000000, 1, true, MINUS(3), 0},
		{0x4442434e, 1, 4, 0x80000000, 0, true, 0, 0},
		{0x4442434e, 1, 4, 0x80000000, 0, false, MINUS(2), 0},
		{0x4442434e, 2, 'y', 0, 0, false, MINUS(2), 0},
		{0x4442434e, 3, 0, 0, 0, true, MINUS(2), 0},
		{0x4442434e, UINT64_MAX, 0, 0, 0, true, MINUS(2), 0},
		/* Nobody's. */
		{0x08000000, 0, 0, 0, 0, true, MINUS(2), 0},
		{0x09ffffff, 1, 0, 0, 0, true, MINUS(2), 0},
		{UINT64_MAX, 0, 0, 0, 0, true, MINUS(2), 0},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct rv64_sbi_result result =
			decode(rows[i].extension, rows[i].function, rows[i].a0, rows[i].a1,
			       rows[i].a2, rows[i].console);
		if (result.kind != RV64_SBI_ANSWER || result.a0 != rows[i].ret0 ||
		    result.a1 != rows[i].ret1)
			fail_msg("row %zu: kind %d, a0 0x%llx, a1 0x%llx", i, (int)result.kind,
				 (unsigned long long)result.a0, (unsigned long long)result.a1);
	}
}

static void console(void **state)
{
	struct rv64_sbi_result result = decode(0x01, 0, 0x1241, 9, 0, true);
	(void)state;

	assert_int_equal(result.kind, RV64_SBI_PUT);
	assert_int_equal(result.byte, 'A');
	assert_int_equal(result.a0, 0);
	assert_int_equal(result.a1, 9);

	result = decode(0x4442434e, 2, 0x1242, 9, 0, true);
	assert_int_equal(result.kind, RV64_SBI_PUT);
	assert_int_equal(result.byte, 'B');
	assert_int_equal(result.a1, 0);

	result = decode(0x4442434e, 0, UINT64_MAX, 0x80001000, 0, true);
	assert_int_equal(result.kind, RV64_SBI_WRITE);
	assert_int_equal(result.gpa, 0x80001000);
	assert_true(result.bytes == UINT64_MAX);
	assert_int_equal(result.a0, 0);
}

static void hypercalls(void **state)
{
	uint64_t a0 = 0, a1 = 0;
	(void)state;

	assert_int_equal(decode(RV64_SBI_AXVM, 7, 1, 2, 3, false).kind, RV64_SBI_HYPERCALL);
	rv64_sbi_hypercall_answer(12, &a0, &a1);
	assert_int_equal(a0, 0);
	assert_int_equal(a1, 12);
	rv64_sbi_hypercall_answer(MINUS(ENOSYS), &a0, &a1);
	assert_true(a0 == MINUS(2) && a1 == MINUS(ENOSYS));
	rv64_sbi_hypercall_answer(MINUS(EINVAL), &a0, &a1);
	assert_true(a0 == 0 && a1 == MINUS(EINVAL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(console),
		cmocka_unit_test(hypercalls),
	};
	return cmocka_run_group_tests_name("riscv64-sbi", tests, NULL, NULL);
}
