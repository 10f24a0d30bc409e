/*
 * Nothing stays behind: VMs that are created, run and destroyed over and over, from every state,
 * and two in one process that know nothing of each other (L10).
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define CYCLES 100

static void test_cycles(void **state)
{
	static const struct generic_step off[] = {STEP_OFF};
	const char *disk = rig_file((char[4096]){0}, 4096);
	struct holdings before = {0};

	(void)state;
	for (int i = 0; i < CYCLES; i++) {
		struct rig rig;

		/* The first ones fill what the process keeps for good. */
		if (i == 2)
			holdings_read(&before);
		rig_init(&rig, WORDS("-c", "3", "--rng", "--disk", disk, "--serial=stdio"));
		rig_script(&rig, (uint32_t)i % 3, off, i % 2);
		rig_boot(&rig);
		if (i % 2)
			rig_end(&rig);
		else
			assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_CLEAN, &rig.err), 0);
		rig_finish(&rig);
	}
	holdings_check(&before);
}

static void test_from_every_state(void **state)
{
	static const struct generic_step spin[] = {STEP_SPIN};
	static const struct generic_step fails[] = {{.kind = GENERIC_STEP_FAIL}};
	enum { LOADED, RUNNING, SUSPENDED, STOPPING, STOPPED, FAILED, STATES };
	struct holdings before = {0};

	(void)state;
	for (int round = 0; round < 3; round++) {
		if (round == 1)
			holdings_read(&before);
		for (int s = 0; s < STATES; s++) {
			struct rig rig;

			rig_init(&rig, WORDS("-c", "2"));
			rig_script(&rig, 0, s == FAILED ? fails : spin, 1);
			assert_int_equal(rig_create(&rig), 0);
			if (s != LOADED)
				assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
			if (s == SUSPENDED)
				assert_int_equal(axvm_pause(rig.vm, &rig.err), 0);
			if (s == STOPPING)
				axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
			if (s == STOPPED)
				assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_CLEAN, &rig.err), 0);
			if (s == FAILED)
				rig_end(&rig);
			rig_finish(&rig);
		}
	}
	holdings_check(&before);
	axvm_destroy(NULL);
}

/* Each writes its own number into its own memory and reads it back, in step with the other. */
static void write_and_check(struct generic_guest *guest, void *ctx)
{
	const uint64_t mine = (uint64_t)(uintptr_t)ctx;

	for (int i = 0; i < 200; i++) {
		generic_guest_store(guest, 0x1000, 8, mine);
		generic_guest_relax(guest);
		if (generic_guest_load(guest, 0x1000, 8) != mine)
			generic_guest_out(guest, GENERIC_PANIC_PORT, 1, 1);
		generic_guest_out(guest, GENERIC_MARK_PORT, 1, mine);
	}
}

static void test_two_at_once(void **state)
{
	static const struct generic_step one[] = {
		{.kind = GENERIC_STEP_PROGRAM, .program = write_and_check, .ctx = (void *)1},
		{.kind = GENERIC_STEP_SPIN}};
	static const struct generic_step two[] = {
		{.kind = GENERIC_STEP_PROGRAM, .program = write_and_check, .ctx = (void *)2},
		STEP_EVENT(AXVCPU_SYSTEM_RESET)};
	struct axvm_metrics first, second;
	uint64_t value = 0;
	struct rig a, b;

	(void)state;
	rig_init(&a, WORDS("--name=a"));
	rig_init(&b, WORDS("--name=b", "-c", "2"));
	rig_script(&a, 0, one, 2);
	rig_script(&b, 0, two, 2);
	rig_boot(&a);
	rig_boot(&b);
	assert_int_equal(rig_end(&b).reason, AXVM_STOP_RESET);
	/* The end of one is not that of the other. */
	assert_int_equal(axvm_state(a.vm), AXVM_RUNNING);
	RIG_UNTIL((axvm_get_metrics(a.vm, &first), first.io_exits >= 200));
	axvm_get_metrics(b.vm, &second);
	assert_int_equal(first.io_exits, 200);
	assert_int_equal(second.io_exits, 200);
	assert_int_equal(axas_read(axvm_memory(b.vm), 0x1000, &value, 8), 0);
	assert_int_equal(value, 2);
	rig_finish(&b);
	assert_int_equal(axas_read(axvm_memory(a.vm), 0x1000, &value, 8), 0);
	assert_int_equal(value, 1);
	assert_string_equal(axvm_name(a.vm), "a");
	assert_int_equal(axvm_stop(a.vm, AXVM_STOP_CLEAN, &a.err), 0);
	rig_finish(&a);
}

/* Many small ones at once, started and stopped in different orders. */
static void test_many_at_once(void **state)
{
	enum { MANY = 12 };
	static const struct generic_step spin[] = {STEP_SPIN};
	struct rig rigs[MANY];
	struct holdings before;

	(void)state;
	holdings_read(&before);
	for (int i = 0; i < MANY; i++) {
		rig_init(&rigs[i], WORDS("-c", "2"));
		rig_script(&rigs[i], 0, spin, 1);
		rig_boot(&rigs[i]);
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(axvm_state(rigs[i].vm), AXVM_RUNNING);
	for (int i = 0; i < MANY; i++)
		rig_finish(&rigs[i * 5 % MANY]);
	holdings_check(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_from_every_state),
		cmocka_unit_test(test_two_at_once),
		cmocka_unit_test(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
