/*
 * The exit router: ports, MMIO and system registers reach the device that claims them in their
 * whole width and count, what nobody claims is answered by policy, and no kind of exit is passed
 * over in silence.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT 0x510
#define MMIO 0xd0200000ULL
#define MSR  0x4b560000ULL

/* A device with all three kinds of resources that remembers what it saw. */
struct probe {
	struct axdev dev;
	_Atomic unsigned count;
	struct axdev_access seen[64];
	uint64_t answer;
	enum axdev_result result;
};

static enum axdev_result probe_access(struct axdev *dev, struct axdev_access *access)
{
	struct probe *probe = (struct probe *)dev;
	unsigned i = atomic_fetch_add(&probe->count, 1);

	if (i < AX_ARRAY_LEN(probe->seen))
		probe->seen[i] = *access;
	if (!access->is_write)
		access->value = probe->answer + i;
	return probe->result;
}

static void probe_destroy(struct axdev *dev)
{
	free(dev);
}

static struct probe *attach_probe(struct rig *rig)
{
	static const struct axdev_ops ops = {.access = probe_access, .destroy = probe_destroy};
	struct probe *probe = calloc(1, sizeof(*probe));

	assert_non_null(probe);
	probe->dev = (struct axdev){.ops = &ops,
				    .class_name = "probe",
				    .name = "probe",
				    .resource = {{AXDEV_PORT, PORT, 8},
						 {AXDEV_MMIO, MMIO, 4096},
						 {AXDEV_SYSREG, MSR, 2}},
				    .resource_count = 3};
	probe->answer = 0x1122334455667788ULL;
	assert_int_equal(axbus_attach(axvm_bus(rig->vm), &probe->dev, &rig->err), 0);
	return probe;
}

/* Create, attach, start, end; the script ends with a power off. */
static struct probe *play(struct rig *rig, enum axdev_result result)
{
	struct probe *probe;

	assert_int_equal(rig_create(rig), 0);
	probe = attach_probe(rig);
	probe->result = result;
	assert_int_equal(axvm_start(rig->vm, &rig->err), 0);
	assert_int_equal(rig_end(rig).reason, AXVM_STOP_SYSTEM_DOWN);
	return probe;
}

#define MMIO_STEP(k, w, v)                                                                \
	{                                                                                 \
		.exit = {.kind = AXVCPU_EXIT_MMIO_##k, .mmio = {MMIO + 8, w}}, .value = v \
	}
#define MSR_STEP(k, r, v)                                                                   \
	{                                                                                   \
		.exit = {.kind = AXVCPU_EXIT_SYSREG_##k, .sysreg = {.reg = r, .value = v} } \
	}

static void test_accesses_reach_the_device(void **state)
{
	struct probe *probe;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, STEP_OUT(PORT + 1, 1, 0xabcdef), STEP_OUT(PORT, 2, 0xabcdef),
		   STEP_OUT(PORT + 4, 4, 0xaabbccddee), STEP_IN(PORT, 1), STEP_IN(PORT, 2),
		   STEP_IN(PORT, 4), MMIO_STEP(WRITE, 8, 0x8877665544332211ULL),
		   MMIO_STEP(READ, 8, 0), MMIO_STEP(READ, 1, 0),
		   MSR_STEP(WRITE, MSR + 1, 0x99aabbccddeeff00ULL), MSR_STEP(READ, MSR, 0),
		   STEP_OFF);
	probe = play(&rig, AXDEV_HANDLED);
	assert_int_equal(probe->count, 11);
	assert_int_equal(probe->seen[0].value, 0xef);
	assert_int_equal(probe->seen[0].offset, 1);
	assert_int_equal(probe->seen[0].width, 1);
	assert_true(probe->seen[0].is_write);
	assert_int_equal(probe->seen[1].value, 0xcdef);
	assert_int_equal(probe->seen[2].value, 0xbbccddee);
	assert_int_equal(probe->seen[2].offset, 4);
	/* The device's answer, cut to the width that was asked for. */
	assert_int_equal(rig_answer(&rig, 0, 3).value, (0x88 + 3) & 0xff);
	assert_int_equal(rig_answer(&rig, 0, 4).value, 0x7788 + 4);
	assert_int_equal(rig_answer(&rig, 0, 5).value, 0x55667788 + 5);
	assert_int_equal(probe->seen[6].resource, 1);
	assert_true(probe->seen[6].value == 0x8877665544332211ULL);
	assert_true(rig_answer(&rig, 0, 7).value == 0x1122334455667788ULL + 7);
	assert_int_equal(rig_answer(&rig, 0, 8).value, 0x88 + 8);
	assert_int_equal(probe->seen[9].space, AXDEV_SYSREG);
	assert_int_equal(probe->seen[9].offset, 1);
	assert_true(probe->seen[9].value == 0x99aabbccddeeff00ULL);
	assert_false(rig_answer(&rig, 0, 9).faulted);
	assert_true(rig_answer(&rig, 0, 10).value == 0x1122334455667788ULL + 10);
	rig_finish(&rig);
}

/* REP OUTSB and REP INSW: one exit, many items, each an access of its own. */
static void test_string_accesses(void **state)
{
	static char text[] = "axvm!";
	struct generic_answer answer;
	struct probe *probe;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0,
		   {.exit = {.kind = AXVCPU_EXIT_IO_WRITE,
			     .io = {.port = PORT, .width = 1, .count = 5, .data = text}}},
		   {.exit = {.kind = AXVCPU_EXIT_IO_READ,
			     .io = {.port = PORT, .width = 2, .count = 3}}},
		   STEP_OFF);
	probe = play(&rig, AXDEV_HANDLED);
	assert_int_equal(probe->count, 8);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(probe->seen[i].value, text[i]);
	answer = rig_answer(&rig, 0, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(answer.bytes[2 * i], 0x88 + 5 + i);
		assert_int_equal(answer.bytes[2 * i + 1], 0x77);
	}
	rig_finish(&rig);
}

/* Nobody there: all ones, writes vanish, system registers fault; all of it counted. */
static void test_unclaimed_is_ignored(void **state)
{
	struct axvm_metrics metrics;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--unclaimed=ignore"));
	RIG_SCRIPT(&rig, 0, STEP_IN(0x1f7, 1), STEP_IN(0xcf8, 4), STEP_OUT(0x1f7, 1, 1),
		   {.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {0xfee00000, 8}}},
		   {.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {0xfee00000, 4}}},
		   MSR_STEP(READ, 0x10, 0), MSR_STEP(WRITE, 0x10, 0), STEP_OFF);
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	assert_int_equal(rig_answer(&rig, 0, 0).value, 0xff);
	assert_int_equal(rig_answer(&rig, 0, 1).value, 0xffffffff);
	assert_true(rig_answer(&rig, 0, 3).value == UINT64_MAX);
	assert_true(rig_answer(&rig, 0, 5).faulted);
	assert_true(rig_answer(&rig, 0, 6).faulted);
	axvm_get_metrics(rig.vm, &metrics);
	assert_int_equal(metrics.bus_missing, 7);
	assert_int_equal(metrics.errors, 0);
	rig_finish(&rig);
}

static void test_unclaimed_is_a_fault(void **state)
{
	static const struct {
		struct generic_step step;
		const char *message;
	} cases[] = {
		{STEP_IN(0x1f7, 1), "port 0x1f7"},
		{STEP_OUT(0xcf8, 4, 0), "port 0xcf8"},
		{{.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {0xfee00000, 4}}},
		 "address 0xfee00000"},
		{{.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {0xfee00000, 4}}},
		 "address 0xfee00000"},
		{MSR_STEP(READ, 0x10, 0), "system register 0x10"},
		{MSR_STEP(WRITE, 0x11, 0), "system register 0x11"},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		struct axvm_stop_info info;
		struct rig rig;

		rig_init(&rig, WORDS("--unclaimed=fault"));
		rig_script(&rig, 0, &cases[i].step, 1);
		info = rig_play(&rig, AXVM_STOP_FAULT);
		assert_non_null(strstr(info.error.message, cases[i].message));
		rig_finish(&rig);
	}
}

/* A device may refuse a system register: the guest's instruction faults, the VM goes on. */
static void test_refused_sysreg(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("--unclaimed=fault"));
	RIG_SCRIPT(&rig, 0, MSR_STEP(READ, MSR, 0), MSR_STEP(WRITE, MSR, 1), STEP_OFF);
	play(&rig, AXDEV_FAULT);
	assert_true(rig_answer(&rig, 0, 0).faulted);
	assert_true(rig_answer(&rig, 0, 1).faulted);
	rig_finish(&rig);
}

static void test_hypercalls(void **state)
{
	struct axvm_metrics metrics;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(
		&rig, 0, {.exit = {.kind = AXVCPU_EXIT_HYPERCALL, .hypercall = {.nr = 0}}},
		{.exit = {.kind = AXVCPU_EXIT_HYPERCALL, .hypercall = {.nr = UINT64_MAX}}},
		/* The same by the block of registers in memory. */
		{.exit = {.kind = AXVCPU_EXIT_MMIO_WRITE, .mmio = {GENERIC_HYPERCALL_GPA + 56, 8}}},
		{.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {GENERIC_HYPERCALL_GPA + 56, 8}}},
		STEP_OFF);
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	assert_true(rig_answer(&rig, 0, 0).value == (uint64_t)-ENOSYS);
	assert_true(rig_answer(&rig, 0, 1).value == (uint64_t)-ENOSYS);
	assert_true(rig_answer(&rig, 0, 3).value == (uint64_t)-ENOSYS);
	axvm_get_metrics(rig.vm, &metrics);
	assert_int_equal(metrics.hypercalls, 3);
	rig_finish(&rig);
}

/* Exits that the hypervisor below has served already: counted, and the guest goes on. */
static void test_exits_without_work(void **state)
{
	static const enum axvcpu_exit_kind kinds[] = {
		AXVCPU_EXIT_NOTHING,  AXVCPU_EXIT_CPU_UP, AXVCPU_EXIT_CPU_DOWN,
		AXVCPU_EXIT_SEND_IPI, AXVCPU_EXIT_IDLE,   AXVCPU_EXIT_INTERRUPT_END,
	};
	struct generic_step steps[AX_ARRAY_LEN(kinds) + 1] = {0};
	struct axvcpu_stats stats;
	struct rig rig;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(kinds); i++)
		steps[i].exit.kind = kinds[i];
	steps[AX_ARRAY_LEN(kinds)] = (struct generic_step)STEP_OFF;
	rig_init(&rig, NULL);
	rig_script(&rig, 0, steps, AX_ARRAY_LEN(steps));
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	axvcpu_get_stats(axvm_vcpu(rig.vm, 0), &stats);
	for (size_t i = 0; i < AX_ARRAY_LEN(kinds); i++)
		assert_int_equal(stats.by_kind[kinds[i]], 1);
	assert_int_equal(stats.exits, AX_ARRAY_LEN(steps));
	rig_finish(&rig);
}

static void test_inject(void **state)
{
	const struct axvcpu_irq irq = {.vector = 0x31};
	uint32_t vector = 0;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "2"));
	RIG_SCRIPT(&rig, 1, {.kind = GENERIC_STEP_HALT}, STEP_OFF);
	rig_boot(&rig);
	assert_int_equal(axvm_inject(rig.vm, 2, &irq, &rig.err), -EINVAL);
	assert_int_equal(rig.err.kind, AX_ERROR_IRQ_INJECTION);
	assert_true(ax_error_is_recoverable(&rig.err));
	assert_int_equal(axvm_state(rig.vm), AXVM_RUNNING);
	assert_int_equal(axvm_inject(rig.vm, 1, &irq, &rig.err), 0);
	assert_int_equal(rig_end(&rig).vcpu, 1);
	assert_int_equal(generic_vm_delivered(rig_arch(&rig), 1, &vector, 1), 1);
	assert_int_equal(vector, 0x31);
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accesses_reach_the_device),
		cmocka_unit_test(test_string_accesses),
		cmocka_unit_test(test_unclaimed_is_ignored),
		cmocka_unit_test(test_unclaimed_is_a_fault),
		cmocka_unit_test(test_refused_sysreg),
		cmocka_unit_test(test_hypercalls),
		cmocka_unit_test(test_exits_without_work),
		cmocka_unit_test(test_inject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
