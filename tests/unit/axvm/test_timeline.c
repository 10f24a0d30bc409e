/*
 * The timeline of a boot: every step of building, the start, the guest's first instruction and its
 * own marks, in the order they happened, and readable while it grows.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define MAX 80

static size_t read_ordered(struct rig *rig, struct axvm_moment moments[MAX])
{
	size_t count = axvm_timeline(rig->vm, moments, MAX);

	for (size_t i = 1; i < count; i++)
		assert_true(moments[i].at_ns >= moments[i - 1].at_ns);
	return count;
}

static size_t find(const struct axvm_moment *moments, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(moments[i].name, name))
			return i;
	fail_msg("there is no moment '%s'", name);
	return 0;
}

static void test_a_boot(void **state)
{
	static const char *const wanted[] = {
		"configuration read",
		"architecture ready",
		"placement ready",
		"I/O loop ready",
		"machine ready",
		"memory ready",
		"devices ready",
		"vCPUs ready",
		"images ready",
		"start",
		"first guest instruction",
		"guest mark 0x11",
		"guest mark 0x22",
	};
	struct axvm_moment moments[MAX];
	struct axvcpu_stats stats;
	struct rig rig;
	size_t count;

	(void)state;
	rig_init(&rig, NULL);
	rig.options.exec_ns = ax_clock_ns();
	RIG_SCRIPT(&rig, 0, STEP_OUT(GENERIC_MARK_PORT, 1, 0x11),
		   STEP_OUT(GENERIC_MARK_PORT, 1, 0x22), STEP_OFF);
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	count = read_ordered(&rig, moments);
	assert_int_equal(count, AX_ARRAY_LEN(wanted));
	for (size_t i = 0; i < count; i++)
		assert_string_equal(moments[i].name, wanted[i]);
	axvcpu_get_stats(axvm_vcpu(rig.vm, 0), &stats);
	assert_int_equal(moments[find(moments, count, "first guest instruction")].at_ns,
			 stats.first_entry_ns - rig.options.exec_ns);
	assert_true(moments[count - 1].at_ns < 60000000000ULL);
	/* A reader with less room gets the beginning. */
	assert_int_equal(axvm_timeline(rig.vm, moments, 3), 3);
	assert_string_equal(moments[2].name, wanted[2]);
	assert_int_equal(axvm_timeline(rig.vm, moments, 0), 0);
	rig_finish(&rig);
}

static void test_before_the_start(void **state)
{
	struct axvm_moment moments[MAX];
	struct rig rig;
	size_t count;

	(void)state;
	rig_init(&rig, NULL);
	assert_int_equal(rig_create(&rig), 0);
	count = read_ordered(&rig, moments);
	assert_string_equal(moments[count - 1].name, "images ready");
	rig_finish(&rig);
}

/* A guest that marks without end fills the table; what comes later is dropped, not written. */
static void test_full_table(void **state)
{
	struct axvm_moment moments[MAX];
	struct rig rig;
	size_t count;

	(void)state;
	rig_init(&rig, WORDS("-c", "3", "--max-exits=200"));
	for (uint32_t v = 0; v < 3; v++)
		RIG_SCRIPT(&rig, v, STEP_OUT(GENERIC_MARK_PORT, 1, 7),
			   {.kind = GENERIC_STEP_JUMP, .count = 0});
	rig_play(&rig, AXVM_STOP_LIMIT);
	count = read_ordered(&rig, moments);
	assert_int_equal(count, 65); /* 64 and the first instruction */
	find(moments, count, "first guest instruction");
	find(moments, count, "start");
	rig_finish(&rig);
}

static void *read_often(void *arg)
{
	struct rig *rig = arg;
	struct axvm_moment moments[MAX];

	while (axvm_state(rig->vm) != AXVM_STOPPED) {
		size_t count = axvm_timeline(rig->vm, moments, MAX);

		for (size_t i = 0; i < count; i++)
			if (!moments[i].name[0] || (i && moments[i].at_ns < moments[i - 1].at_ns))
				return rig;
	}
	return NULL;
}

static void test_read_while_it_grows(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		void *half_written = NULL;
		pthread_t reader;
		struct rig rig;

		rig_init(&rig, WORDS("-c", "3", "--max-exits=50"));
		for (uint32_t v = 0; v < 3; v++)
			RIG_SCRIPT(&rig, v, STEP_OUT(GENERIC_MARK_PORT, 1, 7),
				   {.kind = GENERIC_STEP_JUMP, .count = 0});
		assert_int_equal(rig_create(&rig), 0);
		assert_int_equal(pthread_create(&reader, NULL, read_often, &rig), 0);
		assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
		rig_end(&rig);
		pthread_join(reader, &half_written);
		assert_null(half_written);
		rig_finish(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_boot),
		cmocka_unit_test(test_before_the_start),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_read_while_it_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
