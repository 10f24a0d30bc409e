/*
 * Every kind of exit the taxonomy has, produced by a script, decoded, answered and counted once.
 */
#include "machine.h"

#include <errno.h>
#include <string.h>

static struct generic_answer answer_of(struct machine *machine, size_t step)
{
	struct generic_answer answer;

	assert_true(generic_vm_answer(machine->vm, 0, step, &answer));
	return answer;
}

static void test_every_exit(void **state)
{
	static const uint8_t string[] = "outs";
	static const struct generic_step steps[] = {
		{.exit = {.kind = AXVCPU_EXIT_NOTHING}},
		{.exit = {.kind = AXVCPU_EXIT_HYPERCALL,
			  .hypercall = {.nr = 3, .args = {40, 1, 2, 3, 4, 5}}}},
		{.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {.gpa = 0xd0000000, .width = 4}}},
		{.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {.gpa = 0xd0000008, .width = 8}},
		 .value = 0x8877665544332211},
		{.exit = {.kind = AXVCPU_EXIT_SYSREG_READ, .sysreg = {.reg = 0x1b}}},
		{.exit = {.kind = AXVCPU_EXIT_SYSREG_WRITE, .sysreg = {.reg = 0x1b, .value = 7}}},
		{.exit = {.kind = AXVCPU_EXIT_IO_READ,
			  .io = {.port = 0x60, .width = 2, .count = 3}}},
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE,
			  .io = {.port = GENERIC_SERIAL_PORT,
				 .width = 1,
				 .count = 4,
				 .data = (void *)(uintptr_t)string}}},
		{.exit = {.kind = AXVCPU_EXIT_NESTED_PAGE_FAULT,
			  .fault = {.gpa = 0x123000, .access = AXAS_WRITE}}},
		{.exit = {.kind = AXVCPU_EXIT_HALT}},
		{.exit = {.kind = AXVCPU_EXIT_CPU_UP,
			  .cpu_up = {.target_cpu = 1, .entry_point = 0x8000, .arg = 9}}},
		{.exit = {.kind = AXVCPU_EXIT_SEND_IPI, .ipi = {.target_cpu = 2, .vector = 0xf0}}},
		{.exit = {.kind = AXVCPU_EXIT_IDLE}},
		{.exit = {.kind = AXVCPU_EXIT_PREEMPTION_TIMER}},
		{.exit = {.kind = AXVCPU_EXIT_INTERRUPT_END, .interrupt = {.vector = 50}}},
		{.exit = {.kind = AXVCPU_EXIT_EXTERNAL_INTERRUPT}},
		STEP_OFF,
	};
	struct machine machine;
	struct axvcpu_stats stats;

	(void)state;
	machine_create(&machine, 1);
	machine_play(&machine, steps, AX_ARRAY_LEN(steps));
	for (size_t i = 0; i < AX_ARRAY_LEN(steps); i++) {
		enum axvcpu_exit_kind kind = steps[i].exit.kind;
		/* These two the run loop answers by itself. */
		bool inside = kind == AXVCPU_EXIT_NOTHING || kind == AXVCPU_EXIT_EXTERNAL_INTERRUPT;
		assert_int_equal(machine.seen[kind], !inside);
	}
	axvcpu_get_stats(machine.vcpu[0], &stats);
	uint64_t sum = 0;
	for (size_t kind = 0; kind < AXVCPU_EXIT_KIND_COUNT; kind++)
		sum += stats.by_kind[kind];
	assert_int_equal(sum, AX_ARRAY_LEN(steps));
	assert_int_equal(stats.exits, sum);

	assert_int_equal(answer_of(&machine, 1).value, 43);
	assert_int_equal(answer_of(&machine, 2).value, 0x55667788);
	assert_int_equal(answer_of(&machine, 2).count, 1);
	assert_int_equal(answer_of(&machine, 4).value, 0x1122334455667788);
	assert_false(answer_of(&machine, 4).faulted);
	assert_memory_equal(answer_of(&machine, 6).bytes, "\x88\x77\x88\x77\x88\x77", 6);
	assert_string_equal(machine.text, "outs");
	assert_false(generic_vm_answer(machine.vm, 0, 99, &(struct generic_answer){0}));

	uint64_t value;
	assert_int_equal(machine.arch->vcpu_stat(machine.vm, 0, "exits", &value), 0);
	assert_int_equal(value, AX_ARRAY_LEN(steps));
	assert_int_equal(machine.arch->vcpu_stat(machine.vm, 0, "io_exits", &value), 0);
	assert_int_equal(value, 2);
	assert_int_equal(machine.arch->vcpu_stat(machine.vm, 0, "mmio_exits", &value), 0);
	assert_int_equal(value, 2);
	assert_int_equal(machine.arch->vcpu_stat(machine.vm, 0, "halt_exits", &value), 0);
	assert_int_equal(value, 1);
	assert_int_equal(machine.arch->vcpu_stat(machine.vm, 0, "tea", &value), -ENOENT);
	machine_destroy(&machine);
}

/* Exits that end a vCPU, with their data. */
static void test_ends(void **state)
{
	static const struct generic_step steps[] = {
		{.exit = {.kind = AXVCPU_EXIT_CPU_DOWN}},
		{.exit = {.kind = AXVCPU_EXIT_SYSTEM_DOWN,
			  .system = {.event = AXVCPU_SYSTEM_TRIPLE_FAULT}}},
		{.exit = {.kind = AXVCPU_EXIT_FAIL_ENTRY,
			  .failure = {.reason = 0x80000021, .detail = {1, 2}}}},
		{.exit = {.kind = AXVCPU_EXIT_INTERNAL_ERROR, .failure = {.reason = 1}}},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(steps); i++) {
		struct machine machine;
		machine_create(&machine, 1);
		machine_play(&machine, &steps[i], 1);
		assert_int_equal(machine.total, 1);
		assert_int_equal(machine.last.kind, steps[i].exit.kind);
		assert_int_equal(machine.last_error, AX_ERROR_NONE);
		assert_int_equal(axvcpu_state(machine.vcpu[0]), AXVCPU_FREE);
		if (i == 2)
			assert_int_equal(machine.last.failure.reason, 0x80000021);
		machine_destroy(&machine);
	}
}

static void test_widths(void **state)
{
	static const uint8_t widths[] = {1, 2, 4, 8};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(widths); i++) {
		struct generic_step steps[] = {
			{.exit = {.kind = AXVCPU_EXIT_MMIO_READ,
				  .mmio = {.gpa = 0xd0000000, .width = widths[i]}}},
			{.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE,
				  .mmio = {.gpa = 0xd0000000, .width = widths[i]}},
			 .value = 0xf1f2f3f4f5f6f7f8},
			STEP_OFF,
		};
		struct machine machine;
		uint64_t mask = widths[i] == 8 ? UINT64_MAX : (1ULL << (8 * widths[i])) - 1;
		uint64_t written = 0;

		machine_create(&machine, 1);
		machine_play(&machine, steps, AX_ARRAY_LEN(steps));
		assert_int_equal(answer_of(&machine, 0).value, 0x1122334455667788 & mask);
		memcpy(&written, machine.last_bytes, widths[i]);
		assert_int_equal(written, 0xf1f2f3f4f5f6f7f8 & mask);
		machine_destroy(&machine);
	}
}

static void test_sysreg_fault(void **state)
{
	static const struct generic_step steps[] = {
		{.exit = {.kind = AXVCPU_EXIT_SYSREG_READ, .sysreg = {.reg = 5}}},
		{.exit = {.kind = AXVCPU_EXIT_SYSREG_WRITE, .sysreg = {.reg = 5}}},
		STEP_OFF,
	};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	machine.refuse_sysregs = true;
	machine_play(&machine, steps, AX_ARRAY_LEN(steps));
	assert_true(answer_of(&machine, 0).faulted);
	assert_true(answer_of(&machine, 1).faulted);
	machine_destroy(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_exit),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_sysreg_fault),
	};

	return cmocka_run_group_tests_name("generic-exits", tests, NULL, NULL);
}
