/*
 * Guests written in C: all they can do, that they stand still while their vCPU is paused, and that
 * they end with it wherever they are.
 */
#include "machine.h"

#include <string.h>

struct visit {
	uint64_t from_memory, from_device, from_port, call, reg;
	bool reg_ok, beyond, read_only;
	_Atomic int stage;
};

static void tour(struct generic_guest *guest, void *ctx)
{
	struct visit *visit = ctx;
	const uint64_t args[6] = {8};
	uint64_t word = 0x0102030405060708;

	generic_guest_store(guest, 0x1000, 8, 0xabcdef);
	generic_guest_store(guest, 0x1009, 2, 0xbeef); /* unaligned */
	visit->from_memory =
		generic_guest_load(guest, 0x1000, 4) + generic_guest_load(guest, 0x1009, 2);
	visit->from_device = generic_guest_load(guest, 0xd0000000, 4);
	generic_guest_store(guest, 0xd0000000, 1, 0x77);
	visit->from_port = generic_guest_in(guest, 0x71, 1);
	generic_guest_out(guest, GENERIC_SERIAL_PORT, 1, 'T');
	visit->call = generic_guest_hypercall(guest, 30, args);
	visit->reg_ok = generic_guest_sysreg_read(guest, 0x10, &visit->reg) &&
			generic_guest_sysreg_write(guest, 0x10, 1);
	visit->beyond = generic_guest_read(guest, MACHINE_RAM - 4, &word, 8) ||
			generic_guest_write(guest, UINT64_MAX - 3, &word, 8);
	visit->read_only = generic_guest_write(guest, 0x2ffc, &word, 8);
	atomic_store(&visit->stage, 1);
	generic_guest_halt(guest);
	atomic_store(&visit->stage, 2);
	generic_guest_wait_irq(guest, 20);
	atomic_store(&visit->stage, 3);
	while (generic_guest_load(guest, 0x2000, 4) == 0)
		generic_guest_relax(guest);
	atomic_store(&visit->stage, 4);
}

static void test_program(void **state)
{
	struct visit visit = {0};
	const struct generic_step steps[] = {
		{.kind = GENERIC_STEP_PROGRAM, .program = tour, .ctx = &visit},
		STEP_OFF,
	};
	const struct axvcpu_irq irq = {.vector = 48};
	struct axirq_chip chip;
	struct machine machine;
	uint64_t value;

	(void)state;
	machine_create(&machine, 1);
	machine.arch->vm_irq_chip(machine.vm, &chip);
	assert_int_equal(axas_protect(machine.memory, 0x3000, 0x1000, AXAS_READ, NULL), 0);
	machine_script(&machine, 0, steps, AX_ARRAY_LEN(steps));
	machine_start(&machine);
	wait_until(atomic_load(&visit.stage) == 1);
	wait_until(axvcpu_state(machine.vcpu[0]) == AXVCPU_BLOCKED);
	assert_int_equal(axvcpu_inject(machine.vcpu[0], &irq, NULL), 0);
	wait_until(atomic_load(&visit.stage) == 2);
	assert_int_equal(chip.set_level(chip.ctx, 20, true), 0);
	wait_until(atomic_load(&visit.stage) == 3);
	/* It polls memory; paused, it stands still. */
	assert_int_equal(axvcpu_pause(machine.vcpu[0], NULL), 0);
	assert_int_equal(axas_write_u32(machine.memory, 0x2000, 1), 0);
	usleep(5000);
	assert_int_equal(visit.stage, 3);
	assert_int_equal(axvcpu_resume(machine.vcpu[0], NULL), 0);
	machine_join(&machine);
	assert_int_equal(visit.stage, 4);
	assert_int_equal(visit.from_memory, 0xabcdef + 0xbeef);
	assert_int_equal(visit.from_device, 0x55667788);
	assert_int_equal(visit.from_port, 0x88);
	assert_int_equal(visit.call, 38);
	assert_true(visit.reg_ok);
	assert_int_equal(visit.reg, machine.read_value);
	assert_false(visit.beyond);
	assert_false(visit.read_only);
	assert_int_equal(axas_read_u64(machine.memory, 0x1000, &value), 0);
	assert_int_equal(value, 0xabcdef);
	assert_string_equal(machine.text, "T");
	machine_destroy(&machine);
}

/* Destroyed while its program is halted, or polls, or never ran. */
static void test_program_is_ended(void **state)
{
	(void)state;
	for (int stage = 0; stage <= 3; stage++) {
		struct visit visit = {0};
		const struct generic_step step = {
			.kind = GENERIC_STEP_PROGRAM, .program = tour, .ctx = &visit};
		const struct axvcpu_irq irq = {.vector = 48};
		struct axirq_chip chip;
		struct machine machine;

		machine_create(&machine, 1);
		machine.arch->vm_irq_chip(machine.vm, &chip);
		machine_script(&machine, 0, &step, 1);
		if (stage > 0) {
			machine_start(&machine);
			wait_until(atomic_load(&visit.stage) == 1);
		}
		if (stage > 1)
			assert_int_equal(axvcpu_inject(machine.vcpu[0], &irq, NULL), 0);
		if (stage > 2)
			assert_int_equal(chip.set_level(chip.ctx, 20, true), 0);
		if (stage > 0)
			wait_until(atomic_load(&visit.stage) == stage);
		machine_destroy(&machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_program_is_ended),
	};

	return cmocka_run_group_tests_name("generic-program", tests, NULL, NULL);
}
