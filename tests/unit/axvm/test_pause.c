/*
 * Pause and resume: every vCPU stands BLOCKED outside the guest and none enters it, devices are
 * asked too, a stop gets through; and looking at a VM never waits for a vCPU that is busy (L11).
 */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VCPUS 4

static void boot_mixed(struct rig *rig)
{
	static const struct generic_step spin[] = {STEP_SPIN};
	static const struct generic_step halted[] = {{.kind = GENERIC_STEP_HALT}, STEP_OFF};
	static const struct generic_step polls[] = {STEP_IN(0x60, 1),
						    {.kind = GENERIC_STEP_JUMP, .count = 0}};
	static const struct generic_step marks[] = {STEP_OUT(0x61, 1, 1),
						    {.kind = GENERIC_STEP_JUMP, .count = 0}};

	rig_init(rig, WORDS("-c", "4"));
	rig_script(rig, 0, spin, 1);
	rig_script(rig, 1, halted, 2);
	rig_script(rig, 2, polls, 2);
	rig_script(rig, 3, marks, 2);
	rig_boot(rig);
}

static void entries(struct rig *rig, uint64_t runs[VCPUS])
{
	for (uint32_t v = 0; v < VCPUS; v++) {
		struct axvcpu_stats stats;

		axvcpu_get_stats(axvm_vcpu(rig->vm, v), &stats);
		runs[v] = stats.runs;
	}
}

static void test_parked(void **state)
{
	uint64_t before[VCPUS], after[VCPUS];
	struct rig rig;

	(void)state;
	boot_mixed(&rig);
	for (int round = 0; round < 10; round++) {
		assert_int_equal(axvm_pause(rig.vm, &rig.err), 0);
		assert_int_equal(axvm_state(rig.vm), AXVM_SUSPENDED);
		for (uint32_t v = 0; v < VCPUS; v++)
			assert_int_equal(axvcpu_state(axvm_vcpu(rig.vm, v)), AXVCPU_BLOCKED);
		entries(&rig, before);
		for (int i = 0; i < 10; i++)
			rig_pause_a_little();
		entries(&rig, after);
		assert_memory_equal(before, after, sizeof(before));
		assert_int_equal(axvm_resume(rig.vm, &rig.err), 0);
		/* And all of them go on: the polling ones at least by one entry. */
		for (uint32_t v = 2; v < VCPUS; v++) {
			struct axvcpu_stats stats;

			do
				axvcpu_get_stats(axvm_vcpu(rig.vm, v), &stats);
			while (stats.runs <= before[v]);
		}
	}
	/* The halted one was not woken by all this, and still is by its interrupt. */
	assert_int_equal(axvm_state(rig.vm), AXVM_RUNNING);
	assert_int_equal(axvm_inject(rig.vm, 1, &(struct axvcpu_irq){.vector = 0x40}, &rig.err), 0);
	assert_int_equal(rig_end(&rig).reason, AXVM_STOP_SYSTEM_DOWN);
	rig_finish(&rig);
}

static void test_stop_while_suspended(void **state)
{
	struct rig rig;

	(void)state;
	boot_mixed(&rig);
	assert_int_equal(axvm_pause(rig.vm, &rig.err), 0);
	assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_CLEAN, &rig.err), 0);
	assert_int_equal(axvm_state(rig.vm), AXVM_STOPPED);
	assert_int_equal(axvm_resume(rig.vm, &rig.err), -EBADFD);
	rig_finish(&rig);
}

static void test_limit_while_suspended(void **state)
{
	/* On a busy machine a short limit may be over before the pause. */
	static const char *const limits[] = {"--timeout=100ms", "--timeout=2s", "--timeout=20s"};
	bool paused = false;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(limits) && !paused; i++) {
		struct rig rig;

		rig_init(&rig, WORDS("-c", "2", limits[i]));
		RIG_SCRIPT(&rig, 0, STEP_SPIN);
		rig_boot(&rig);
		paused = !axvm_pause(rig.vm, &rig.err);
		assert_int_equal(rig_end(&rig).reason, AXVM_STOP_LIMIT);
		rig_finish(&rig);
	}
	assert_true(paused);
}

/* A device of the test's own: counts its hooks, can refuse to be quiet, can keep a vCPU busy. */
struct stubborn {
	struct axdev dev;
	int suspends, resumes;
	bool refuses;
	sem_t entered, leave;
};

static enum axdev_result stubborn_access(struct axdev *dev, struct axdev_access *access)
{
	struct stubborn *self = (struct stubborn *)dev;

	(void)access;
	sem_post(&self->entered);
	while (sem_wait(&self->leave))
		; /* a kick is a signal */
	return AXDEV_HANDLED;
}

static int stubborn_suspend(struct axdev *dev, struct ax_error *err)
{
	struct stubborn *self = (struct stubborn *)dev;

	self->suspends++;
	return self->refuses ? ax_error_set(err, AX_ERROR_DEVICE, EBUSY, "it will not be quiet")
			     : 0;
}

static int stubborn_resume(struct axdev *dev, struct ax_error *err)
{
	(void)err;
	((struct stubborn *)dev)->resumes++;
	return 0;
}

static void stubborn_destroy(struct axdev *dev)
{
	struct stubborn *self = (struct stubborn *)dev;

	sem_destroy(&self->entered);
	sem_destroy(&self->leave);
	free(self);
}

static struct stubborn *attach_stubborn(struct rig *rig)
{
	static const struct axdev_ops ops = {.access = stubborn_access,
					     .suspend = stubborn_suspend,
					     .resume = stubborn_resume,
					     .destroy = stubborn_destroy};
	struct stubborn *self = calloc(1, sizeof(*self));

	assert_non_null(self);
	sem_init(&self->entered, 0, 0);
	sem_init(&self->leave, 0, 0);
	self->dev = (struct axdev){.ops = &ops,
				   .class_name = "stubborn",
				   .name = "stubborn",
				   .resource = {{AXDEV_PORT, 0x700, 1}},
				   .resource_count = 1};
	assert_int_equal(axbus_attach(axvm_bus(rig->vm), &self->dev, &rig->err), 0);
	return self;
}

static void test_devices_are_asked(void **state)
{
	struct stubborn *device;
	uint64_t before[VCPUS];
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "4"));
	RIG_SCRIPT(&rig, 2, STEP_IN(0x60, 1), {.kind = GENERIC_STEP_JUMP, .count = 0});
	assert_int_equal(rig_create(&rig), 0);
	device = attach_stubborn(&rig);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	assert_int_equal(axvm_pause(rig.vm, &rig.err), 0);
	assert_int_equal(device->suspends, 1);
	assert_int_equal(axvm_resume(rig.vm, &rig.err), 0);
	assert_int_equal(device->resumes, 1);
	/* A refusal is told, and the VM runs as before. */
	device->refuses = true;
	assert_int_equal(axvm_pause(rig.vm, &rig.err), -EBUSY);
	assert_non_null(strstr(rig.err.message, "it will not be quiet"));
	assert_int_equal(axvm_state(rig.vm), AXVM_RUNNING);
	entries(&rig, before);
	for (uint64_t now[VCPUS];;) {
		entries(&rig, now);
		if (now[2] > before[2] + 10)
			break;
	}
	assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_CLEAN, &rig.err), 0);
	rig_finish(&rig);
}

/* One vCPU is held inside a device: everything there is to look at answers all the same. */
static void test_status_while_busy(void **state)
{
	struct stubborn *device;
	struct axvm_stop_info info;
	struct axvm_metrics metrics;
	struct axvm_moment moments[70];
	struct rig rig;
	uint64_t begin;

	(void)state;
	rig_init(&rig, WORDS("-c", "2"));
	RIG_SCRIPT(&rig, 0, STEP_OUT(0x700, 1, 1), STEP_SPIN);
	assert_int_equal(rig_create(&rig), 0);
	device = attach_stubborn(&rig);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	while (sem_wait(&device->entered))
		;
	begin = ax_clock_ns();
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(axvm_state(rig.vm), AXVM_RUNNING);
		axvm_get_metrics(rig.vm, &metrics);
		axvm_get_stop_info(rig.vm, &info);
		assert_true(axvm_timeline(rig.vm, moments, AX_ARRAY_LEN(moments)) > 5);
		axvcpu_state(axvm_vcpu(rig.vm, 0));
	}
	assert_int_equal(metrics.io_exits, 1);
	assert_int_equal(info.reason, AXVM_STOP_NONE);
	/* Asking it to stop does not wait for the vCPU either. */
	axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
	assert_int_equal(axvm_state(rig.vm), AXVM_STOPPING);
	assert_true(ax_clock_ns() - begin < 10000000000ULL);
	sem_post(&device->leave);
	assert_int_equal(rig_end(&rig).reason, AXVM_STOP_CLEAN);
	rig_finish(&rig);
}

static void *pause_often(void *arg)
{
	struct rig *rig = arg;
	struct ax_error err = {0};

	/* The control thread of the VM, until the guest's end makes it refuse. */
	while (!axvm_pause(rig->vm, &err) && !axvm_resume(rig->vm, &err))
		;
	return NULL;
}

/* The guest ends while it is being paused: the pause is refused, the end is the guest's. */
static void test_end_while_pausing(void **state)
{
	(void)state;
	for (int round = 0; round < 30; round++) {
		static const struct generic_step steps[] = {{.kind = GENERIC_STEP_SPIN, .count = 3},
							    STEP_OFF};
		struct rig rig;

		rig_init(&rig, WORDS("-c", "3"));
		rig_script(&rig, (uint32_t)round % 3, steps, 2);
		rig_boot(&rig);
		pause_often(&rig);
		assert_int_equal(rig_end(&rig).reason, AXVM_STOP_SYSTEM_DOWN);
		rig_finish(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parked),
		cmocka_unit_test(test_stop_while_suspended),
		cmocka_unit_test(test_limit_while_suspended),
		cmocka_unit_test(test_devices_are_asked),
		cmocka_unit_test(test_status_while_busy),
		cmocka_unit_test(test_end_while_pausing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
