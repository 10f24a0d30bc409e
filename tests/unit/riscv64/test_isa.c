/*
 * Extensions in the two forms a device tree has them in.
 */
#include "helpers.h"

#include <string.h>

static void in_order(void **state)
{
	struct rv64_hart hart = {0};
	char text[RV64_ISA_MAX];
	(void)state;

	rv64_isa_string(&hart, text, sizeof(text));
	assert_string_equal(text, "rv64");
	rv64_isa_list(&hart, text, sizeof(text));
	assert_memory_equal(text, "", 1);

	/* V, C, D, F, A, M, I by KVM's numbers, then svpbmt, zicbom, zawrs. */
	static const unsigned numbers[] = {15, 1, 2, 3, 0, 6, 5, 7, 11, 61};
	for (size_t i = 0; i < AX_ARRAY_LEN(numbers); i++)
		rv64_hart_add(&hart, numbers[i]);
	rv64_isa_string(&hart, text, sizeof(text));
	assert_string_equal(text, "rv64imafdcv_svpbmt_zicbom_zawrs");
	rv64_isa_list(&hart, text, sizeof(text));
	static const char list[] = "i\0m\0a\0f\0d\0c\0v\0svpbmt\0zicbom\0zawrs\0";
	assert_memory_equal(text, list, sizeof(list));
}

/* What KVM never gives, what would need us, what is younger than the table, what is no number. */
static void not_told(void **state)
{
	static const unsigned numbers[] = {4, 32, 62, 127, 128, UINT32_MAX};
	struct rv64_hart hart = {0};
	char text[RV64_ISA_MAX];
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(numbers); i++)
		rv64_hart_add(&hart, numbers[i]);
	assert_true(rv64_hart_has(&hart, 127));
	assert_false(rv64_hart_has(&hart, 128));
	rv64_isa_string(&hart, text, sizeof(text));
	assert_string_equal(text, "rv64");
}

static void all_fit(void **state)
{
	struct rv64_hart hart = {0};
	char text[RV64_ISA_MAX], small[16];
	(void)state;

	memset(hart.extensions, 0xff, sizeof(hart.extensions));
	rv64_isa_string(&hart, text, sizeof(text));
	assert_true(strlen(text) < RV64_ISA_MAX / 2);
	assert_non_null(strstr(text, "rv64imafdcv_svpbmt_sstc_"));
	assert_non_null(strstr(text, "_zawrs"));
	assert_null(strstr(text, "zkr"));
	rv64_isa_list(&hart, small, sizeof(small));
	assert_memory_equal(small, "i\0m\0a\0f\0d\0c\0v\0", 15);
	rv64_isa_string(&hart, small, sizeof(small));
	assert_string_equal(small, "rv64imafdcv_svp");
}

static void translation(void **state)
{
	static const struct {
		uint32_t mode;
		const char *text;
	} rows[] = {{0, "riscv,sv39"}, {8, "riscv,sv39"}, {9, "riscv,sv48"}, {10, "riscv,sv57"}};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct rv64_hart hart = {.satp_mode = rows[i].mode};
		assert_string_equal(rv64_mmu_type(&hart), rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(not_told),
		cmocka_unit_test(all_fit),
		cmocka_unit_test(translation),
	};
	return cmocka_run_group_tests_name("riscv64-isa", tests, NULL, NULL);
}
