/*
 * Why a VM stops: each reason with its state, exit status and report; the first reason wins, one
 * vCPU's end is the end of all, and stop requests from anywhere never get lost (L3, C18, P7).
 */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct axvm_stop_info play(enum axvm_stop_reason reason, int status,
				  const struct generic_step *steps, size_t count,
				  const char *const *words)
{
	struct axvm_stop_info info;
	struct rig rig;

	rig_init(&rig, words);
	rig_script(&rig, 0, steps, count);
	info = rig_play(&rig, reason);
	assert_int_equal(axvm_stop_exit_status(info.reason, &info.error), status);
	rig_finish(&rig);
	return info;
}

#define PLAY(reason, status, words, ...)                                                       \
	play(reason, status, (const struct generic_step[]){__VA_ARGS__},                       \
	     sizeof((const struct generic_step[]){__VA_ARGS__}) / sizeof(struct generic_step), \
	     words)

static void test_guest_ends(void **state)
{
	struct axvm_stop_info info;

	(void)state;
	PLAY(AXVM_STOP_SYSTEM_DOWN, 0, NULL, STEP_OUT(GENERIC_POWER_PORT, 2, 0x2000));
	PLAY(AXVM_STOP_SYSTEM_DOWN, 0, NULL, STEP_OFF);
	PLAY(AXVM_STOP_SYSTEM_DOWN, 0, NULL, {.exit = {.kind = AXVCPU_EXIT_HALT}});
	PLAY(AXVM_STOP_RESET, 10, NULL, STEP_OUT(GENERIC_RESET_PORT, 1, 0xfe));
	PLAY(AXVM_STOP_RESET, 10, NULL, STEP_EVENT(AXVCPU_SYSTEM_RESET));
	PLAY(AXVM_STOP_PANIC, 11, NULL, STEP_OUT(GENERIC_PANIC_PORT, 1, 1));
	info = PLAY(AXVM_STOP_PANIC, 11, NULL, STEP_EVENT(AXVCPU_SYSTEM_CRASH));
	/* None of these is an error, nor worth a look at registers. */
	assert_int_equal(info.error.kind, AX_ERROR_NONE);
	assert_string_equal(info.registers, "");
	assert_int_equal(info.vcpu, 0);
}

static void test_faults(void **state)
{
	struct axvm_stop_info info =
		PLAY(AXVM_STOP_FAULT, 12, NULL, STEP_EVENT(AXVCPU_SYSTEM_TRIPLE_FAULT));

	(void)state;
	assert_non_null(strstr(info.error.message, "triple fault"));
	assert_true(strlen(info.registers) > 20);
	assert_int_equal(info.vcpu, 0);
	info = PLAY(AXVM_STOP_FAULT, 12, NULL,
		    {.exit = {.kind = AXVCPU_EXIT_INTERNAL_ERROR, .failure = {.reason = 0x1234}}});
	assert_int_equal(info.error.kind, AX_ERROR_INTERNAL_EXIT);
	assert_non_null(strstr(info.error.message, "0x1234"));
	assert_true(ax_error_requires_shutdown(&info.error));
	assert_true(info.registers[0]);
	info = PLAY(AXVM_STOP_FAULT, 12, NULL,
		    {.exit = {.kind = AXVCPU_EXIT_NESTED_PAGE_FAULT,
			      .fault = {.gpa = 0xdead000, .access = AXAS_WRITE}}});
	assert_int_equal(info.error.kind, AX_ERROR_MEMORY_ACCESS);
	assert_non_null(strstr(info.error.message, "0xdead000 (w)"));
	info = PLAY(AXVM_STOP_FAULT, 12, WORDS("--unclaimed=fault"), STEP_OUT(0x1f0, 1, 0));
	assert_int_equal(info.error.kind, AX_ERROR_DEVICE_NOT_FOUND);
	assert_non_null(strstr(info.error.message, "port 0x1f0"));
	assert_non_null(strstr(info.error.hint, "--unclaimed ignore"));
}

static void test_host_failures(void **state)
{
	struct axvm_stop_info info =
		PLAY(AXVM_STOP_HOST, 25, NULL,
		     {.exit = {.kind = AXVCPU_EXIT_FAIL_ENTRY, .failure = {.reason = 0x80000021}}});

	(void)state;
	assert_int_equal(info.error.kind, AX_ERROR_HARDWARE_FAILURE);
	assert_non_null(strstr(info.error.message, "0x80000021"));
	assert_true(info.registers[0]);
	/* run() itself fails: the error and its exit status are the hook's own. */
	info = PLAY(AXVM_STOP_HOST, 1, NULL, {.kind = GENERIC_STEP_FAIL});
	assert_int_equal(info.error.kind, AX_ERROR_VCPU_RUNTIME);
	info = PLAY(AXVM_STOP_HOST, 30, NULL,
		    {.kind = GENERIC_STEP_FAIL, .error_kind = AX_ERROR_MEMORY_ALLOCATION});
	assert_int_equal(info.error.kind, AX_ERROR_MEMORY_ALLOCATION);
}

static void test_limits(void **state)
{
	static const struct generic_step endless[] = {STEP_OUT(GENERIC_MARK_PORT, 1, 1),
						      {.kind = GENERIC_STEP_JUMP, .count = 0}};
	struct axvm_stop_info info;

	(void)state;
	info = play(AXVM_STOP_LIMIT, 13, endless, 2, WORDS("--max-exits=10"));
	assert_int_equal(info.error.kind, AX_ERROR_MAX_ITERATIONS);
	assert_non_null(strstr(info.error.message, "10 times"));
	info = PLAY(AXVM_STOP_LIMIT, 13, WORDS("--timeout=50ms"), STEP_SPIN);
	assert_int_equal(info.error.kind, AX_ERROR_TIMEOUT);
	info = play(AXVM_STOP_LIMIT, 13, endless, 2, WORDS("--timeout=50ms"));
	assert_int_equal(info.error.kind, AX_ERROR_TIMEOUT);
	/* Shorter than it takes to start the vCPUs. */
	for (int i = 0; i < 200; i++)
		PLAY(AXVM_STOP_LIMIT, 13, WORDS("--timeout=1us", "-c", "3"), STEP_SPIN);
	/* One that is not reached changes nothing. */
	PLAY(AXVM_STOP_SYSTEM_DOWN, 0, WORDS("--timeout=1h", "--max-exits=1000"), STEP_OFF);
}

static void test_owner_asks(void **state)
{
	static const struct {
		enum axvm_stop_reason reason;
		int status;
	} cases[] = {{AXVM_STOP_CLEAN, 0}, {AXVM_STOP_FORCED, 0}};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		struct axvm_stop_info info;
		struct rig rig;

		rig_init(&rig, WORDS("-c", "2"));
		RIG_SCRIPT(&rig, 0, STEP_SPIN);
		rig_boot(&rig);
		assert_int_equal(axvm_stop(rig.vm, cases[i].reason, &rig.err), 0);
		info = rig_end(&rig);
		assert_int_equal(info.reason, cases[i].reason);
		assert_int_equal(info.vcpu, UINT32_MAX);
		assert_int_equal(axvm_stop_exit_status(info.reason, &info.error), cases[i].status);
		rig_finish(&rig);
	}
}

static void test_names_and_statuses(void **state)
{
	static const struct {
		enum axvm_stop_reason reason;
		const char *name;
		int status;
	} rows[AXVM_STOP_REASON_COUNT] = {
		{AXVM_STOP_NONE, "none", 1},
		{AXVM_STOP_CLEAN, "clean", 0},
		{AXVM_STOP_SYSTEM_DOWN, "system-down", 0},
		{AXVM_STOP_RESET, "reset", 10},
		{AXVM_STOP_PANIC, "panic", 11},
		{AXVM_STOP_FORCED, "forced", 0},
		{AXVM_STOP_LIMIT, "limit", 13},
		{AXVM_STOP_FAULT, "fault", 12},
		{AXVM_STOP_HOST, "host-error", 31},
	};
	const struct ax_error error = {.kind = AX_ERROR_THREAD};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		assert_string_equal(axvm_stop_reason_name(rows[i].reason), rows[i].name);
		assert_int_equal(axvm_stop_exit_status(rows[i].reason, &error), rows[i].status);
	}
	assert_string_equal(axvm_stop_reason_name(AXVM_STOP_REASON_COUNT), "?");
	assert_int_equal(axvm_stop_exit_status(AXVM_STOP_REASON_COUNT, &error), 1);
}

/* 4 vCPUs: one ends the machine, the others are busy, halted for ever, or polling. */
static void test_one_stops_all(void **state)
{
	for (uint32_t who = 0; who < 4; who++) {
		static const struct generic_step spin[] = {STEP_SPIN};
		static const struct generic_step halted[] = {{.kind = GENERIC_STEP_HALT}};
		static const struct generic_step polls[] = {
			STEP_IN(0x60, 1), {.kind = GENERIC_STEP_JUMP, .count = 0}};
		static const struct generic_step off[] = {STEP_OFF};
		struct axvm_stop_info info;
		struct rig rig;

		(void)state;
		rig_init(&rig, WORDS("-c", "4"));
		rig_script(&rig, (who + 1) % 4, spin, 1);
		rig_script(&rig, (who + 2) % 4, halted, 1);
		rig_script(&rig, (who + 3) % 4, polls, 2);
		rig_script(&rig, who, off, 1);
		info = rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
		assert_int_equal(info.vcpu, who);
		for (uint32_t v = 0; v < 4; v++)
			assert_int_equal(axvcpu_tid(axvm_vcpu(rig.vm, v)), 0);
		rig_finish(&rig);
	}
}

static void test_first_reason_wins(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "2"));
	RIG_SCRIPT(&rig, 0, STEP_EVENT(AXVCPU_SYSTEM_CRASH));
	rig_boot(&rig);
	RIG_UNTIL(axvm_state(rig.vm) == AXVM_STOPPING);
	axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
	assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_FORCED, &rig.err), 0);
	assert_int_equal(rig_end(&rig).reason, AXVM_STOP_PANIC);
	rig_finish(&rig);
}

struct asker {
	struct rig *rig;
	pthread_barrier_t *barrier;
	enum axvm_stop_reason reason;
};

static void *ask(void *arg)
{
	struct asker *asker = arg;

	pthread_barrier_wait(asker->barrier);
	axvm_request_stop(asker->rig->vm, asker->reason);
	return NULL;
}

/* The guest powers off while others ask too, and the owner waits already: one consistent end. */
static void test_requests_race(void **state)
{
	static const struct generic_step off[] = {STEP_OFF};

	(void)state;
	for (int round = 0; round < 200; round++) {
		enum axvm_stop_reason reasons[] = {AXVM_STOP_CLEAN, AXVM_STOP_FORCED};
		struct asker askers[2];
		pthread_t threads[2];
		pthread_barrier_t barrier;
		struct axvm_stop_info info;
		struct rig rig;

		rig_init(&rig, NULL);
		rig_script(&rig, 0, off, 1);
		assert_int_equal(rig_create(&rig), 0);
		pthread_barrier_init(&barrier, NULL, 3);
		for (int i = 0; i < 2; i++) {
			askers[i] = (struct asker){&rig, &barrier, reasons[i]};
			assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
		}
		pthread_barrier_wait(&barrier);
		/* Before the start, during it or after it: the start may be refused. */
		if (axvm_start(rig.vm, &rig.err))
			assert_int_equal(rig.err.kind, AX_ERROR_INVALID_STATE);
		if (axvm_wait(rig.vm, &rig.err))
			fail_msg("round %d: %s", round, rig.err.message);
		axvm_get_stop_info(rig.vm, &info);
		assert_true(info.reason == AXVM_STOP_SYSTEM_DOWN ||
			    info.reason == AXVM_STOP_CLEAN || info.reason == AXVM_STOP_FORCED);
		assert_int_equal(axvm_state(rig.vm), AXVM_STOPPED);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		pthread_barrier_destroy(&barrier);
		rig_finish(&rig);
	}
}

static void test_stop_before_start(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	assert_int_equal(rig_create(&rig), 0);
	axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
	assert_int_equal(axvm_start(rig.vm, &rig.err), -EBADFD);
	assert_int_equal(rig_end(&rig).reason, AXVM_STOP_CLEAN);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_ends),    cmocka_unit_test(test_faults),
		cmocka_unit_test(test_host_failures), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_owner_asks),    cmocka_unit_test(test_names_and_statuses),
		cmocka_unit_test(test_one_stops_all), cmocka_unit_test(test_first_reason_wins),
		cmocka_unit_test(test_requests_race), cmocka_unit_test(test_stop_before_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
