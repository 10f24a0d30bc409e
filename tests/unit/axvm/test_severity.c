/*
 * What an error's severity does: every kind of error, reported to a running VM or coming out of one
 * of its operations, stops it or leaves it running as its row says, and nothing between (O2).
 */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>

static void boot_spinning(struct rig *rig)
{
	rig_init(rig, WORDS("-c", "2"));
	RIG_SCRIPT(rig, 0, STEP_SPIN);
	RIG_SCRIPT(rig, 1, STEP_IN(0x60, 1), {.kind = GENERIC_STEP_JUMP, .count = 0});
	rig_boot(rig);
}

/* The guest still moves. */
static void expect_running(struct rig *rig)
{
	struct axvcpu_stats before, now;

	assert_int_equal(axvm_state(rig->vm), AXVM_RUNNING);
	axvcpu_get_stats(axvm_vcpu(rig->vm, 1), &before);
	RIG_UNTIL((axvcpu_get_stats(axvm_vcpu(rig->vm, 1), &now), now.exits > before.exits));
}

static void expect_stopped(struct rig *rig, enum ax_error_kind kind)
{
	struct axvm_stop_info info = rig_end(rig);

	assert_int_equal(info.reason, AXVM_STOP_HOST);
	assert_int_equal(info.error.kind, kind);
	assert_int_equal(axvm_stop_exit_status(info.reason, &info.error),
			 ax_error_kind_exit_status(kind));
	assert_int_equal(axvm_state(rig->vm), AXVM_FAILED);
}

static uint64_t errors_of(struct rig *rig)
{
	struct axvm_metrics metrics;

	axvm_get_metrics(rig->vm, &metrics);
	return metrics.errors;
}

static void test_reports(void **state)
{
	struct rig rig;
	uint64_t reported = 0;

	(void)state;
	boot_spinning(&rig);
	for (int kind = AX_ERROR_NONE + 1; kind < AX_ERROR_KIND_COUNT; kind++) {
		struct ax_error error = {0};
		bool stops;

		ax_error_set(&error, (enum ax_error_kind)kind, EIO, "kind %d", kind);
		stops = ax_error_kind_severity((enum ax_error_kind)kind) >= AX_SEVERITY_CRITICAL;
		assert_int_equal(axvm_report(rig.vm, &error), stops);
		assert_int_equal(errors_of(&rig), ++reported);
		if (stops) {
			expect_stopped(&rig, (enum ax_error_kind)kind);
			rig_finish(&rig);
			boot_spinning(&rig);
			reported = 0;
		} else {
			expect_running(&rig);
		}
	}
	rig_finish(&rig);
}

/* A device whose suspend fails with the kind that it is told. */
struct failing {
	struct axdev dev;
	enum ax_error_kind kind;
};

static enum axdev_result failing_access(struct axdev *dev, struct axdev_access *access)
{
	(void)dev;
	(void)access;
	return AXDEV_UNHANDLED;
}

static int failing_suspend(struct axdev *dev, struct ax_error *err)
{
	const struct failing *self = (const struct failing *)dev;

	return ax_error_set(err, self->kind, EIO, "suspend");
}

static void failing_destroy(struct axdev *dev)
{
	free(dev);
}

static void attach_failing(struct rig *rig, enum ax_error_kind kind)
{
	static const struct axdev_ops ops = {
		.access = failing_access, .suspend = failing_suspend, .destroy = failing_destroy};
	struct failing *self = calloc(1, sizeof(*self));

	assert_non_null(self);
	self->dev = (struct axdev){.ops = &ops,
				   .class_name = "failing",
				   .name = "failing",
				   .resource = {{AXDEV_PORT, 0x700, 1}},
				   .resource_count = 1};
	self->kind = kind;
	assert_int_equal(axbus_attach(axvm_bus(rig->vm), &self->dev, &rig->err), 0);
}

static void test_pause(void **state)
{
	static const enum ax_error_kind kinds[] = {AX_ERROR_DEVICE, AX_ERROR_UNSUPPORTED,
						   AX_ERROR_THREAD, AX_ERROR_HARDWARE_FAILURE};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(kinds); i++) {
		struct rig rig;

		boot_spinning(&rig);
		attach_failing(&rig, kinds[i]);
		assert_int_equal(axvm_pause(rig.vm, i % 2 ? NULL : &rig.err), -EIO);
		if (i % 2 == 0)
			assert_int_equal(rig.err.kind, kinds[i]);
		if (i < 2)
			expect_running(&rig);
		else
			expect_stopped(&rig, kinds[i]);
		rig_finish(&rig);
	}
}

static void test_inject(void **state)
{
	static const enum ax_error_kind kinds[] = {AX_ERROR_IRQ_INJECTION, AX_ERROR_INTERNAL_EXIT};
	const struct axvcpu_irq irq = {.vector = 0x30};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(kinds); i++) {
		struct rig rig;

		boot_spinning(&rig);
		generic_vm_set_fault(rig_arch(&rig), GENERIC_HOOK_INJECT, 1, kinds[i]);
		assert_true(axvm_inject(rig.vm, 0, &irq, &rig.err) < 0);
		assert_int_equal(rig.err.kind, kinds[i]);
		if (i == 0)
			expect_running(&rig);
		else
			expect_stopped(&rig, kinds[i]);
		rig_finish(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_inject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
