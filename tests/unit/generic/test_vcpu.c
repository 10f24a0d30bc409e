/*
 * Scripted vCPUs behind the seam: halting, injection, kicks, pause, registers and failing hooks.
 */
#include "machine.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

static struct generic_answer answer_of(struct machine *machine, size_t step)
{
	struct generic_answer answer;

	assert_true(generic_vm_answer(machine->vm, 0, step, &answer));
	return answer;
}

static void test_halt_and_inject(void **state)
{
	static const struct generic_step steps[] = {
		{.kind = GENERIC_STEP_HALT},
		{.kind = GENERIC_STEP_HALT},
		{.kind = GENERIC_STEP_SPIN, .count = 1},
		{.kind = GENERIC_STEP_HALT},
		STEP_OFF,
	};
	struct machine machine;
	struct axvcpu_irq irq = {.vector = 31};
	uint32_t vectors[8];

	(void)state;
	machine_create(&machine, 1);
	machine_script(&machine, 0, steps, AX_ARRAY_LEN(steps));
	struct axvcpu *vcpu = machine.vcpu[0];
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_inject(vcpu, &irq, NULL), 0); /* stopped: delivered later */
	assert_int_equal(generic_vm_delivered(machine.vm, 0, vectors, 8), 0);
	assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);

	/* The first halt ends at once, the second waits. */
	wait_until(generic_vm_delivered(machine.vm, 0, vectors, 8) == 1);
	wait_until(axvcpu_state(vcpu) == AXVCPU_BLOCKED);
	irq.vector = 32; /* halted */
	irq.trigger = AXVCPU_IRQ_LEVEL;
	assert_int_equal(axvcpu_inject(vcpu, &irq, NULL), 0);
	wait_until(generic_vm_delivered(machine.vm, 0, vectors, 8) == 2);
	irq.vector = 33; /* spinning, or already past that */
	irq.notify_eoi = true;
	assert_int_equal(axvcpu_inject(vcpu, &irq, NULL), 0);
	wait_until(machine.seen[AXVCPU_EXIT_INTERRUPT_END] == 1);
	assert_int_equal(machine.ended_vector, 33);
	axvcpu_kick(vcpu);
	machine_join(&machine);
	assert_int_equal(generic_vm_delivered(machine.vm, 0, vectors, 8), 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(vectors[i], 31 + i);

	struct ax_error err = {0};
	irq.vector = 256;
	assert_int_equal(axvcpu_inject(vcpu, &irq, &err), -EINVAL);
	assert_int_equal(err.kind, AX_ERROR_IRQ_INJECTION);
	irq.vector = 40;
	int rc = 0, accepted = 0;
	for (; rc == 0 && accepted < 1000; accepted++)
		rc = axvcpu_inject(vcpu, &irq, NULL);
	assert_int_equal(rc, -ENOSPC); /* nobody takes them: bounded */
	machine_destroy(&machine);
}

static void test_spin_is_stopped(void **state)
{
	static const struct generic_step steps[] = {{.kind = GENERIC_STEP_SPIN}};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	machine_script(&machine, 0, steps, 1);
	machine_start(&machine);
	wait_until(axvcpu_state(machine.vcpu[0]) == AXVCPU_RUNNING);
	assert_int_equal(axvcpu_pause(machine.vcpu[0], NULL), 0);
	assert_int_equal(axvcpu_state(machine.vcpu[0]), AXVCPU_BLOCKED);
	assert_int_equal(axvcpu_resume(machine.vcpu[0], NULL), 0);
	wait_until(axvcpu_state(machine.vcpu[0]) == AXVCPU_RUNNING);
	axvcpu_request_stop(machine.vcpu[0]);
	machine_join(&machine);
	machine_destroy(&machine);
}

/* A pause is visible only when the answer has reached the guest. */
static void test_pause_completes(void **state)
{
	static const struct generic_step steps[] = {
		{.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {.gpa = 0xd0000000, .width = 4}}},
		{.kind = GENERIC_STEP_JUMP, .count = 0},
	};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	machine_script(&machine, 0, steps, AX_ARRAY_LEN(steps));
	machine_start(&machine);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(axvcpu_pause(machine.vcpu[0], NULL), 0);
		assert_int_equal(answer_of(&machine, 0).count, machine.seen[AXVCPU_EXIT_MMIO_READ]);
		assert_int_equal(axvcpu_resume(machine.vcpu[0], NULL), 0);
	}
	axvcpu_destroy(machine.vcpu[0]); /* while it runs */
	machine.vcpu[0] = NULL;
	machine_destroy(&machine);
}

static void test_fail_step(void **state)
{
	static const struct generic_step steps[] = {
		{.kind = GENERIC_STEP_FAIL,
		 .error_kind = AX_ERROR_HARDWARE_FAILURE,
		 .sys_errno = EFAULT},
	};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	machine_play(&machine, steps, 1);
	assert_int_equal(machine.last.kind, AXVCPU_EXIT_INTERNAL_ERROR);
	assert_int_equal(machine.last_error, AX_ERROR_HARDWARE_FAILURE);
	assert_int_equal(axvcpu_state(machine.vcpu[0]), AXVCPU_INVALID);
	machine_destroy(&machine);
}

static void test_failing_hooks(void **state)
{
	static const struct {
		enum generic_hook hook;
		enum axvcpu_state end;
	} cases[] = {
		{GENERIC_HOOK_SETUP, AXVCPU_INVALID},  {GENERIC_HOOK_BIND, AXVCPU_INVALID},
		{GENERIC_HOOK_RUN, AXVCPU_INVALID},    {GENERIC_HOOK_UNBIND, AXVCPU_INVALID},
		{GENERIC_HOOK_SET_ENTRY, AXVCPU_FREE}, {GENERIC_HOOK_SET_GPR, AXVCPU_FREE},
		{GENERIC_HOOK_GET_GPR, AXVCPU_FREE},   {GENERIC_HOOK_SET_RETURN_VALUE, AXVCPU_FREE},
		{GENERIC_HOOK_INJECT, AXVCPU_FREE},
	};
	static const struct generic_step steps[] = {STEP_OFF};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const struct axvcpu_irq irq = {.vector = 32};
		struct machine machine;
		uint64_t value = 3;
		int rc, failed = 0;

		machine_create(&machine, 1);
		machine_script(&machine, 0, steps, 1);
		generic_vm_set_fault(machine.vm, cases[i].hook, 1, AX_ERROR_NONE);
		struct axvcpu *vcpu = machine.vcpu[0];
		rc = axvcpu_setup(vcpu, NULL);
		failed += rc == -EIO;
		if (rc == 0) {
			failed += axvcpu_set_entry(vcpu, 1, NULL) == -EIO;
			failed += axvcpu_set_gpr(vcpu, 1, 1, NULL) == -EIO;
			failed += axvcpu_get_gpr(vcpu, 1, &value, NULL) == -EIO;
			assert_int_equal(value, cases[i].hook == GENERIC_HOOK_GET_GPR   ? 3
						: cases[i].hook == GENERIC_HOOK_SET_GPR ? 0
											: 1);
			failed += axvcpu_set_return_value(vcpu, 1, NULL) == -EIO;
			failed += axvcpu_inject(vcpu, &irq, NULL) == -EIO;
			assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
			machine_join(&machine);
		}
		assert_int_equal(axvcpu_state(vcpu), cases[i].end);
		if (cases[i].end == AXVCPU_FREE)
			assert_int_equal(failed, 1);
		assert_int_equal(generic_vm_calls(machine.vm, cases[i].hook), 1);
		machine_destroy(&machine);
	}
}

static void test_registers_and_entry(void **state)
{
	struct machine machine;
	struct ax_error err = {0};
	char text[1024];
	uint64_t value;

	(void)state;
	machine_create(&machine, 1);
	machine_start(&machine);
	assert_int_equal(axvcpu_pause(machine.vcpu[0], NULL), 0);
	for (unsigned i = 0; i < GENERIC_GPR_COUNT; i++)
		assert_int_equal(axvcpu_set_gpr(machine.vcpu[0], i, i * 3, NULL), 0);
	assert_int_equal(axvcpu_set_entry(machine.vcpu[0], 0xfeed, NULL), 0);
	assert_int_equal(axvcpu_set_return_value(machine.vcpu[0], 0x42, NULL), 0);
	assert_int_equal(axvcpu_get_gpr(machine.vcpu[0], 0, &value, NULL), 0);
	assert_int_equal(value, 0x42);
	assert_int_equal(axvcpu_set_gpr(machine.vcpu[0], GENERIC_GPR_COUNT, 0, &err), -EINVAL);
	assert_int_equal(err.kind, AX_ERROR_REGISTER_ACCESS);
	axvcpu_dump(machine.vcpu[0], text, sizeof(text));
	assert_non_null(strstr(text, "feed"));
	assert_non_null(strstr(text, "r15"));
	memset(text, 'x', sizeof(text));
	axvcpu_dump(machine.vcpu[0], text, 40);
	assert_non_null(memchr(text, '\0', 40));
	machine_destroy(&machine);
}

/* Without steps: halted for ever, as a processor nobody has started. */
static void test_empty_script(void **state)
{
	struct machine machine;

	(void)state;
	machine_create(&machine, 2);
	machine_start(&machine);
	wait_until(axvcpu_state(machine.vcpu[0]) == AXVCPU_BLOCKED);
	wait_until(axvcpu_state(machine.vcpu[1]) == AXVCPU_BLOCKED);
	assert_true(axvcpu_is_bsp(machine.vcpu[0]));
	assert_false(axvcpu_is_bsp(machine.vcpu[1]));
	machine_destroy(&machine);
}

static void test_many(void **state)
{
	static const struct generic_step steps[] = {
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE, .io = {.port = 1, .width = 1}}},
		{.kind = GENERIC_STEP_HALT},
		STEP_OFF,
	};
	const struct axvcpu_irq irq = {.vector = 99};
	struct machine machine;

	(void)state;
	machine_create(&machine, MACHINE_MAX_VCPUS);
	for (uint32_t i = 0; i < MACHINE_MAX_VCPUS; i++)
		machine_script(&machine, i, steps, AX_ARRAY_LEN(steps));
	machine_start(&machine);
	for (uint32_t i = 0; i < MACHINE_MAX_VCPUS; i++)
		assert_int_equal(axvcpu_inject(machine.vcpu[i], &irq, NULL), 0);
	machine_join(&machine);
	assert_int_equal(machine.seen[AXVCPU_EXIT_IO_WRITE], MACHINE_MAX_VCPUS);
	assert_int_equal(machine.seen[AXVCPU_EXIT_SYSTEM_DOWN], MACHINE_MAX_VCPUS);
	machine_destroy(&machine);
}

static void test_bad_scripts(void **state)
{
	static const struct generic_step jump = {.kind = GENERIC_STEP_JUMP, .count = 1};
	struct machine machine;

	(void)state;
	machine_create(&machine, 1);
	assert_int_equal(generic_vm_set_script(machine.vm, 1, &jump, 1), -ERANGE);
	assert_int_equal(generic_vm_set_script(machine.vm, 0, &jump, 1), -EINVAL);
	assert_int_equal(generic_vm_set_script(machine.vm, 0, NULL, 0), 0);
	machine_destroy(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_halt_and_inject), cmocka_unit_test(test_spin_is_stopped),
		cmocka_unit_test(test_pause_completes), cmocka_unit_test(test_fail_step),
		cmocka_unit_test(test_failing_hooks),   cmocka_unit_test(test_registers_and_entry),
		cmocka_unit_test(test_empty_script),    cmocka_unit_test(test_many),
		cmocka_unit_test(test_bad_scripts),
	};

	return cmocka_run_group_tests_name("generic-vcpu", tests, NULL, NULL);
}
