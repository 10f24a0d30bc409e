/*
 * A look at a VM: what is told of each vCPU is its own and grows with what it does; threads are
 * where the host has them; what the hypervisor does not count is unknown and never 0; looking is
 * possible at every moment of a VM's life, from any thread.
 */
#include "rig.h"

#include <axvm/live.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static struct axvm_live *look(struct rig *rig)
{
	struct axvm_live *live = NULL;

	if (axvm_live_take(rig->vm, 64, &live, &rig->err))
		fail_msg("%s", rig->err.message);
	return live;
}

/* Each vCPU's exits are its own, by KVM's count and by ours. */
static void test_each_vcpu(void **state)
{
	struct axvm_live *live;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "2", "--name", "two"));
	RIG_SCRIPT(&rig, 0, STEP_IN(0x60, 1), STEP_IN(0x60, 1), STEP_SPIN);
	RIG_SCRIPT(&rig, 1, {.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {0xfed00000, 4}}},
		   STEP_SPIN);
	rig_boot(&rig);
	for (unsigned tries = 0; tries < 20000; tries++) {
		live = look(&rig);
		if (live->vcpus[0].own.exits >= 2 && live->vcpus[1].own.exits >= 1)
			break;
		axvm_live_free(live);
		rig_pause_a_little();
	}
	assert_string_equal(live->name, "two");
	assert_string_equal(live->arch, "generic");
	assert_int_equal(live->pid, getpid());
	assert_int_equal(live->state, AXVM_RUNNING);
	assert_int_equal(live->vcpu_count, 2);
	assert_int_equal(live->vcpus[0].kvm.exits, 2);
	assert_int_equal(live->vcpus[0].kvm.io_exits, 2);
	assert_int_equal(live->vcpus[0].kvm.mmio_exits, 0);
	assert_int_equal(live->vcpus[0].own.by_kind[AXVCPU_EXIT_IO_READ], 2);
	assert_int_equal(live->vcpus[1].kvm.exits, 1);
	assert_int_equal(live->vcpus[1].kvm.io_exits, 0);
	assert_int_equal(live->vcpus[1].kvm.mmio_exits, 1);
	assert_int_equal(live->vcpus[1].own.by_kind[AXVCPU_EXIT_MMIO_READ], 1);
	/* What the fake does not count. */
	assert_true(live->vcpus[0].kvm.irq_exits == AXVM_LIVE_UNKNOWN);
	assert_true(live->vcpus[0].kvm.halt_wait_ns == AXVM_LIVE_UNKNOWN);
	axvm_live_free(live);
	axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
	rig_end(&rig);
	rig_finish(&rig);
}

/* An I/O thread tells its number itself, a moment after it was started. */
static bool io_threads_run(struct rig *rig)
{
	struct axvm_live *live = look(rig);
	bool all = true;

	for (size_t i = 0; i < live->io_count; i++)
		all = all && live->io[i].thread.tid > 0;
	axvm_live_free(live);
	return all;
}

/* The threads are this process's, on CPUs that they may be on; the pinned ones where they are
 * pinned. */
static void test_threads(void **state)
{
	const int cpu = sched_getcpu();
	struct axvcpu_stats stats;
	struct axvm_live *live;
	char pins[32];
	struct rig rig;

	(void)state;
	snprintf(pins, sizeof(pins), "%d,%d", cpu, cpu);
	rig_init(&rig, WORDS("-c", "2", "--cpu-affinity", pins, "--io-threads", "2"));
	RIG_SCRIPT(&rig, 0, STEP_SPIN);
	RIG_SCRIPT(&rig, 1, STEP_SPIN);
	rig_boot(&rig);
	RIG_UNTIL(axvcpu_state(axvm_vcpu(rig.vm, 1)) == AXVCPU_RUNNING && io_threads_run(&rig));
	live = look(&rig);
	snprintf(pins, sizeof(pins), "%d", cpu);
	for (size_t v = 0; v < 2; v++) {
		const struct axvm_live_thread *thread = &live->vcpus[v].thread;

		assert_int_equal(thread->tid, axvcpu_tid(axvm_vcpu(rig.vm, (uint32_t)v)));
		assert_string_equal(thread->planned, pins);
		assert_string_equal(thread->task.allowed, pins);
		assert_int_equal(thread->task.allowed_count, 1);
		assert_int_equal(thread->task.cpu, cpu);
		assert_true(thread->node != UINT32_MAX);
	}
	assert_int_equal(live->io_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(live->io[i].thread.planned, "");
		assert_true(live->io[i].thread.tid > 0);
	}
	assert_true(live->io[0].thread.tid != live->io[1].thread.tid);
	axvm_live_free(live);
	/* On a busy machine its thread may not have had a turn. */
	RIG_UNTIL((axvcpu_get_stats(axvm_vcpu(rig.vm, 0), &stats), stats.runs));
	axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
	rig_end(&rig);
	/* No threads any more, but what they did. */
	live = look(&rig);
	assert_int_equal(live->state, AXVM_STOPPED);
	assert_int_equal(live->vcpus[0].thread.tid, 0);
	assert_int_equal(live->io[0].thread.tid, 0);
	assert_true(live->vcpus[0].own.runs > 0);
	axvm_live_free(live);
	rig_finish(&rig);
}

/* A halted vCPU is Blocked, and its halts are counted. */
static void test_halted(void **state)
{
	struct axvm_live *live;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, {.kind = GENERIC_STEP_HALT}, STEP_OFF);
	rig_boot(&rig);
	RIG_UNTIL(axvcpu_state(axvm_vcpu(rig.vm, 0)) == AXVCPU_BLOCKED);
	live = look(&rig);
	assert_int_equal(live->vcpus[0].state, AXVCPU_BLOCKED);
	assert_int_equal(live->vcpus[0].kvm.halt_exits, 1);
	axvm_live_free(live);
	axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
	rig_end(&rig);
	rig_finish(&rig);
}

/* Before the start, too; pages that were touched are there, and on a host with one node near. */
static void test_memory(void **state)
{
	struct axvm_live *live, *more;
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	assert_int_equal(rig_create(&rig), 0);
	live = look(&rig);
	assert_int_equal(live->state, AXVM_LOADED);
	assert_int_equal(live->memory_bytes, 16 * AX_MIB);
	assert_int_equal(live->vcpus[0].thread.tid, 0);
	assert_int_equal(live->vcpus[0].thread.task.cpu, -1);
	assert_int_equal(live->memory_count, 1);
	if (!live->memory[0].placement.looked_bytes)
		print_message("this host does not say where pages lie\n");
	assert_true(live->memory[0].placement.looked_bytes <= 66 * 4096);
	assert_int_equal(axas_fill(axvm_memory(rig.vm), 0, 1, 16 * AX_MIB), 0);
	more = look(&rig);
	assert_true(more->memory[0].placement.absent_bytes <=
		    live->memory[0].placement.absent_bytes);
	if (more->memory[0].placement.looked_bytes)
		assert_int_equal(more->memory[0].placement.absent_bytes, 0);
	axvm_live_free(live);
	axvm_live_free(more);
	axvm_live_free(NULL);
	/* No look at pages. */
	assert_int_equal(axvm_live_take(rig.vm, 0, &live, &rig.err), 0);
	assert_int_equal(live->memory_count, 0);
	axvm_live_free(live);
	rig_finish(&rig);
}

struct onlooker {
	struct rig *rig;
	_Atomic bool end, failed;
	_Atomic unsigned looks;
};

static void *look_on(void *arg)
{
	struct onlooker *self = arg;
	uint64_t exits = 0;

	while (!atomic_load(&self->end)) {
		struct axvm_live *live = NULL;

		if (axvm_live_take(self->rig->vm, 16, &live, NULL) ||
		    live->vcpus[0].own.exits < exits) {
			atomic_store(&self->failed, true);
			return NULL;
		}
		exits = live->vcpus[0].own.exits;
		axvm_live_free(live);
		atomic_fetch_add(&self->looks, 1);
	}
	return NULL;
}

/* From another thread through the whole life of a VM. */
static void test_any_thread(void **state)
{
	struct onlooker onlooker = {0};
	pthread_t thread;
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "2"));
	RIG_SCRIPT(&rig, 0, STEP_IN(0x60, 1), STEP_SPIN);
	RIG_SCRIPT(&rig, 1, STEP_IN(0x60, 1), STEP_SPIN);
	assert_int_equal(rig_create(&rig), 0);
	onlooker.rig = &rig;
	assert_int_equal(pthread_create(&thread, NULL, look_on, &onlooker), 0);
	RIG_UNTIL(atomic_load(&onlooker.looks) > 2 || atomic_load(&onlooker.failed));
	assert_int_equal(axvm_start(rig.vm, &rig.err), 0);
	RIG_UNTIL(atomic_load(&onlooker.looks) > 5 || atomic_load(&onlooker.failed));
	assert_int_equal(axvm_pause(rig.vm, &rig.err), 0);
	assert_int_equal(axvm_resume(rig.vm, &rig.err), 0);
	axvm_request_stop(rig.vm, AXVM_STOP_CLEAN);
	rig_end(&rig);
	atomic_store(&onlooker.end, true);
	pthread_join(thread, NULL);
	assert_false(atomic_load(&onlooker.failed));
	rig_finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_vcpu),  cmocka_unit_test(test_threads),
		cmocka_unit_test(test_halted),     cmocka_unit_test(test_memory),
		cmocka_unit_test(test_any_thread),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
