/*
 * Every counter of AXVM_METRICS is fed, by what it says and by nothing else; kinds of exits add up
 * to the exits; differences, derived values and reset (O1).
 */
#include "rig.h"

#include "rng_driver.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct axvm_metrics after(struct rig *rig)
{
	struct axvm_metrics metrics;

	axvm_get_metrics(rig->vm, &metrics);
	return metrics;
}

static void check_sum(const struct axvm_metrics *m)
{
	assert_int_equal(m->io_exits + m->mmio_exits + m->sysreg_exits + m->halt_exits +
				 m->interrupt_exits + m->fault_exits + m->other_exits,
			 m->vcpu_exits);
}

static void test_exits_by_kind(void **state)
{
	struct axvm_metrics m;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, STEP_IN(0x60, 1), STEP_OUT(0x61, 1, 1), STEP_OUT(0x62, 1, 1),
		   {.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {0xfed00000, 4}}},
		   {.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {0xfed00000, 4}}},
		   {.exit = {.kind = AXVCPU_EXIT_SYSREG_READ, .sysreg = {.reg = 1}}},
		   {.exit = {.kind = AXVCPU_EXIT_SYSREG_WRITE, .sysreg = {.reg = 1}}},
		   {.exit = {.kind = AXVCPU_EXIT_SYSREG_WRITE, .sysreg = {.reg = 2}}},
		   {.exit = {.kind = AXVCPU_EXIT_HYPERCALL}}, {.exit = {.kind = AXVCPU_EXIT_IDLE}},
		   {.exit = {.kind = AXVCPU_EXIT_HALT}});
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	m = after(&rig);
	assert_int_equal(m.vcpu_runs, 11);
	assert_int_equal(m.vcpu_exits, 11);
	assert_int_equal(m.io_exits, 3);
	assert_int_equal(m.mmio_exits, 2);
	assert_int_equal(m.sysreg_exits, 3);
	assert_int_equal(m.hypercalls, 1);
	assert_int_equal(m.halt_exits, 1);
	assert_int_equal(m.other_exits, 2); /* the hypercall's and the idle exit */
	assert_int_equal(m.bus_missing, 8);
	assert_int_equal(m.errors, 0);
	/* The hypervisor's own count: here it sees no more than we do. */
	assert_int_equal(m.kvm_exits, 11);
	assert_int_equal(m.kvm_io_exits, 3);
	assert_int_equal(m.kvm_mmio_exits, 2);
	assert_int_equal(m.kvm_halt_exits, 1);
	check_sum(&m);
	rig_finish(&rig);
}

/* It is halted, or will not be soon. */
static bool is_halted(struct rig *rig)
{
	for (int i = 0; i < 100 && axvcpu_state(axvm_vcpu(rig->vm, 0)) != AXVCPU_BLOCKED; i++)
		rig_pause_a_little();
	return axvcpu_state(axvm_vcpu(rig->vm, 0)) == AXVCPU_BLOCKED;
}

static void test_interrupts_and_kicks(void **state)
{
	const struct axvcpu_irq irq = {.vector = 0x30};
	struct axvm_metrics before, m;
	unsigned kicks = 0;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, {.kind = GENERIC_STEP_SPIN, .count = 3}, {.kind = GENERIC_STEP_HALT},
		   STEP_OFF);
	rig_boot(&rig);
	RIG_UNTIL(axvcpu_state(axvm_vcpu(rig.vm, 0)) == AXVCPU_RUNNING);
	before = after(&rig);
	/* The first may come before the guest spins, and one more than needed when it is about to
	 * halt. */
	while (kicks < 3 || !is_halted(&rig)) {
		assert_true(kicks < 100);
		axvcpu_kick(axvm_vcpu(rig.vm, 0));
		kicks++;
		RIG_UNTIL(after(&rig).interrupt_exits >= before.interrupt_exits + kicks);
	}
	m = after(&rig);
	assert_int_equal(m.kicks - before.kicks, kicks);
	assert_int_equal(axvm_inject(rig.vm, 0, &irq, &rig.err), 0);
	rig_end(&rig);
	m = after(&rig);
	assert_int_equal(m.injected, 1);
	/* Injecting kicks as well, which may find the vCPU awake already and cost an exit. */
	assert_in_range(m.interrupt_exits, kicks, kicks + 1);
	assert_int_equal(m.kvm_halt_exits, 1); /* inside: no exit of ours */
	assert_int_equal(m.halt_exits, 0);
	check_sum(&m);
	rig_finish(&rig);
}

static void test_errors(void **state)
{
	struct axvm_metrics m;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, {.exit = {.kind = AXVCPU_EXIT_NESTED_PAGE_FAULT}});
	rig_play(&rig, AXVM_STOP_FAULT);
	m = after(&rig);
	assert_int_equal(m.fault_exits, 1);
	assert_int_equal(m.errors, 1);
	assert_int_equal(m.hardware_failures, 0);
	assert_true(m.error_rate > 0.99 && m.error_rate < 1.01);
	check_sum(&m);
	rig_finish(&rig);

	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, {.exit = {.kind = AXVCPU_EXIT_FAIL_ENTRY}});
	rig_play(&rig, AXVM_STOP_HOST);
	m = after(&rig);
	assert_int_equal(m.hardware_failures, 1);
	assert_int_equal(m.errors, 1);
	rig_finish(&rig);

	rig_init(&rig, WORDS("--timeout=20ms"));
	RIG_SCRIPT(&rig, 0, STEP_SPIN);
	rig_play(&rig, AXVM_STOP_LIMIT);
	m = after(&rig);
	assert_int_equal(m.timeout_events, 1);
	assert_int_equal(m.errors, 1);
	assert_true(m.io_wakeups >= 1); /* its timer */
	rig_finish(&rig);
}

static void test_memory(void **state)
{
	struct axvm_metrics before, m;
	uint64_t value = 1;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	assert_int_equal(rig_create(&rig), 0);
	before = after(&rig);
	assert_int_equal(axas_write(axvm_memory(rig.vm), 0x1000, &value, 8), 0);
	assert_int_equal(axas_read(axvm_memory(rig.vm), 0x1000, &value, 8), 0);
	assert_int_equal(axas_read(axvm_memory(rig.vm), 0x1000, &value, 8), 0);
	assert_true(axas_read(axvm_memory(rig.vm), UINT64_MAX - 3, &value, 8) < 0);
	m = after(&rig);
	assert_int_equal(m.memory_writes - before.memory_writes, 1);
	assert_int_equal(m.memory_reads - before.memory_reads, 2);
	assert_int_equal(m.memory_faults - before.memory_faults, 1);
	rig_finish(&rig);
}

static void linger(struct generic_guest *guest, void *ctx)
{
	uint64_t end = ax_clock_ns() + 30000000;

	(void)ctx;
	while (ax_clock_ns() < end)
		generic_guest_relax(guest);
}

static enum axdev_result slow_access(struct axdev *dev, struct axdev_access *access)
{
	uint64_t end = ax_clock_ns() + 30000000;

	(void)dev;
	(void)access;
	while (ax_clock_ns() < end)
		;
	return AXDEV_HANDLED;
}

static void keep(struct axdev *dev)
{
	(void)dev;
}

static void test_times(void **state)
{
	static const struct axdev_ops ops = {.access = slow_access, .destroy = keep};
	struct axdev slow = {.ops = &ops,
			     .class_name = "slow",
			     .name = "slow",
			     .resource = {{AXDEV_PORT, 0x700, 1}},
			     .resource_count = 1};
	struct axvm_metrics m;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, {.kind = GENERIC_STEP_PROGRAM, .program = linger}, STEP_IN(0x700, 1),
		   STEP_OFF);
	assert_int_equal(rig_create(&rig), 0);
	assert_int_equal(after(&rig).runtime_ns, 0);
	assert_int_equal(axbus_attach(axvm_bus(rig.vm), &slow, &rig.err), 0);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	rig_end(&rig);
	m = after(&rig);
	assert_true(m.guest_ns >= 30000000);
	assert_true(m.user_ns >= 30000000);
	assert_true(m.runtime_ns >= 60000000);
	assert_true(m.guest_ns + m.user_ns <= m.runtime_ns);
	assert_true(m.guest_share > 0 && m.guest_share < 1);
	assert_true(m.exits_per_second > 0);
	/* The clock stands with the VM. */
	rig_pause_a_little();
	assert_int_equal(after(&rig).runtime_ns, m.runtime_ns);
	rig_finish(&rig);
}

static void test_devices(void **state)
{
	struct axvm_metrics m;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--rng"));
	RIG_SCRIPT(&rig, 0, {.kind = GENERIC_STEP_PROGRAM, .program = rng_driver_program},
		   STEP_OFF);
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	m = after(&rig);
	assert_int_equal(m.io_requests, RNG_REQUESTS);
	assert_int_equal(m.io_bytes, RNG_REQUESTS * RNG_BYTES);
	assert_true(m.irqs_raised >= 1);
	assert_true(m.irqs_suppressed >= 1);
	assert_true(m.io_wakeups >= 2);
	assert_int_equal(m.errors, 0);
	rig_finish(&rig);
}

static void test_delta_and_reset(void **state)
{
	struct axvm_metrics first, second, delta, m;
	const char *name, *help;
	uint64_t value;
	struct rig rig;
	size_t rows = 0;

	(void)state;
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
#define FILL(name, text)         \
	first.name = 3 * ++rows; \
	second.name = 10 * rows;
	AXVM_METRICS(FILL)
#undef FILL
	axvm_metrics_delta(&first, &second, &delta);
	for (size_t i = 0; i < rows; i++) {
		name = axvm_metric_at(&delta, i, &help, &value);
		assert_non_null(name);
		assert_true(strlen(help) > 3);
		assert_int_equal(value, 7 * (i + 1));
	}
	assert_null(axvm_metric_at(&delta, rows, &help, &value));
	axvm_metrics_delta(&first, &first, &delta);
	assert_true(delta.exits_per_second >= 0 && delta.exits_per_second <= 0);
	assert_true(delta.guest_share >= 0 && delta.guest_share <= 0);

	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, STEP_IN(0x60, 1), STEP_IN(0x60, 1), STEP_OFF);
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	axvm_metrics_reset(rig.vm);
	m = after(&rig);
	for (size_t i = 0; (name = axvm_metric_at(&m, i, &help, &value)); i++)
		if (value)
			fail_msg("%s is %llu after a reset", name, (unsigned long long)value);
	rig_finish(&rig);
}

static void *read_often(void *arg)
{
	struct rig *rig = arg;
	struct axvm_metrics m;

	while (axvm_state(rig->vm) != AXVM_STOPPED) {
		axvm_get_metrics(rig->vm, &m);
		/* Nothing ever counts backwards, not even around a reset. */
		if (m.vcpu_exits > UINT64_MAX / 2 || m.runtime_ns > UINT64_MAX / 2)
			return rig;
	}
	return NULL;
}

static void test_read_while_running(void **state)
{
	pthread_t reader;
	void *negative = NULL;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "2"));
	RIG_SCRIPT(&rig, 1, STEP_IN(0x60, 1), {.kind = GENERIC_STEP_JUMP, .count = 0});
	assert_int_equal(rig_create(&rig), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_often, &rig), 0);
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	for (int i = 0; i < 100; i++)
		axvm_metrics_reset(rig.vm);
	assert_int_equal(axvm_stop(rig.vm, AXVM_STOP_CLEAN, &rig.err), 0);
	pthread_join(reader, &negative);
	assert_null(negative);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exits_by_kind),   cmocka_unit_test(test_interrupts_and_kicks),
		cmocka_unit_test(test_errors),          cmocka_unit_test(test_memory),
		cmocka_unit_test(test_times),           cmocka_unit_test(test_devices),
		cmocka_unit_test(test_delta_and_reset), cmocka_unit_test(test_read_while_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
