/*
 * Calls by HVC and syndromes of undecoded accesses as portable exits.
 */
#include "helpers.h"

static void psci(void **state)
{
	static const struct {
		uint64_t id;
		enum axvcpu_exit_kind kind;
		enum axvcpu_system_event event;
		uint64_t detail;
	} rows[] = {
		{0x84000002, AXVCPU_EXIT_CPU_DOWN, 0, 0},
		{0x84000008, AXVCPU_EXIT_SYSTEM_DOWN, AXVCPU_SYSTEM_POWEROFF, 0},
		{0x84000009, AXVCPU_EXIT_SYSTEM_DOWN, AXVCPU_SYSTEM_RESET, 0},
		{0x84000012, AXVCPU_EXIT_SYSTEM_DOWN, AXVCPU_SYSTEM_RESET, 0x11},
		{0xc4000012, AXVCPU_EXIT_SYSTEM_DOWN, AXVCPU_SYSTEM_RESET, 0x11},
		/* The upper half of x0 is not part of the number. */
		{0x1234567884000008, AXVCPU_EXIT_SYSTEM_DOWN, AXVCPU_SYSTEM_POWEROFF, 0},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const uint64_t regs[7] = {rows[i].id, 0x11, 0x22, 0x33};
		struct axvcpu_exit exit = {0};
		a64_decode_call(regs, &exit);
		assert_int_equal(exit.kind, rows[i].kind);
		if (exit.kind == AXVCPU_EXIT_SYSTEM_DOWN) {
			assert_int_equal(exit.system.event, rows[i].event);
			assert_int_equal(exit.system.detail, rows[i].detail);
		}
	}
}

static void cpu_on(void **state)
{
	const uint64_t wide = 0xaaaabbbbccccddddULL;
	const uint64_t by64[7] = {0xc4000003, 0x101, 0x40200000, wide};
	const uint64_t by32[7] = {0x84000003, 0xffffffff00000101, 0x40200000, wide};
	struct axvcpu_exit exit = {0};
	(void)state;

	a64_decode_call(by64, &exit);
	assert_int_equal(exit.kind, AXVCPU_EXIT_CPU_UP);
	assert_int_equal(exit.cpu_up.target_cpu, 0x101);
	assert_int_equal(exit.cpu_up.entry_point, 0x40200000);
	assert_int_equal(exit.cpu_up.arg, wide);
	a64_decode_call(by32, &exit);
	assert_int_equal(exit.kind, AXVCPU_EXIT_CPU_UP);
	assert_int_equal(exit.cpu_up.target_cpu, 0x101);
	assert_int_equal(exit.cpu_up.arg, 0xccccdddd);
}

/* Ours become small numbers, all others keep theirs. */
static void hypercalls(void **state)
{
	static const struct {
		uint64_t id, nr;
	} rows[] = {
		{0xc6000100, 0},          {0xc60001ff, 0xff},
		{0xc6000200, 0xc6000200}, {0xc60000ff, 0xc60000ff},
		{0x86000100, 0x86000100}, {0x84000000, 0x84000000},
		{0x84000006, 0x84000006}, {0, 0},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const uint64_t regs[7] = {rows[i].id, 1, 2, 3, 4, 5, 6};
		struct axvcpu_exit exit = {.hypercall.ret = 9};
		a64_decode_call(regs, &exit);
		assert_int_equal(exit.kind, AXVCPU_EXIT_HYPERCALL);
		assert_int_equal(exit.hypercall.nr, rows[i].nr);
		for (unsigned arg = 0; arg < 6; arg++)
			assert_int_equal(exit.hypercall.args[arg], arg + 1);
		assert_int_equal(exit.hypercall.ret, 0);
	}
}

static void undecoded(void **state)
{
	static const struct {
		uint64_t iss;
		uint32_t access;
	} rows[] = {{0x05, AXAS_READ}, {0x45, AXAS_WRITE}, {0x145, 0}, {0, AXAS_READ}};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axvcpu_exit exit = {0};
		a64_decode_nisv(rows[i].iss, 0x0b000010, &exit);
		assert_int_equal(exit.kind, AXVCPU_EXIT_NESTED_PAGE_FAULT);
		assert_int_equal(exit.fault.gpa, 0x0b000010);
		assert_int_equal(exit.fault.access, rows[i].access);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(psci),
		cmocka_unit_test(cpu_on),
		cmocka_unit_test(hypercalls),
		cmocka_unit_test(undecoded),
	};
	return cmocka_run_group_tests_name("aarch64-calls", tests, NULL, NULL);
}
