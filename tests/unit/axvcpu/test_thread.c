/*
 * The vCPU's thread: its start and end from every situation, limits, failures, affinity, and that
 * it leaves nothing behind.
 */
#include "fake.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct axvcpu_stats stats_of(const struct axvcpu *vcpu)
{
	struct axvcpu_stats stats;

	axvcpu_get_stats(vcpu, &stats);
	return stats;
}

static void test_start_stop(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_NOTHING},
						   {.kind = AXVCPU_EXIT_IDLE}};
	struct fake fake = {.exits = exits, .exit_count = 2};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_started(&fake, &owner, false);
	char name[32] = "", path[64];

	(void)state;
	wait_until(atomic_load(&fake.blocking));
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_RUNNING);
	assert_int_equal(owner.seen[AXVCPU_EXIT_IDLE], 1);
	assert_int_equal(owner.total, 1); /* NOTHING is not reported */
	assert_int_equal(owner.state_inside, AXVCPU_READY);
	assert_true(axvcpu_tid(vcpu) > 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int)axvcpu_tid(vcpu));
	FILE *comm = fopen(path, "r");
	assert_non_null(comm);
	assert_non_null(fgets(name, sizeof(name), comm));
	fclose(comm);
	assert_string_equal(name, "vcpu 0\n");

	assert_int_equal(axvcpu_start(vcpu, false, NULL), -EBADFD);
	assert_int_equal(axvcpu_unbind(vcpu, NULL), -EBADFD);
	axvcpu_request_stop(vcpu);
	axvcpu_request_stop(vcpu);
	axvcpu_join(vcpu);
	axvcpu_join(vcpu);
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
	assert_int_equal(axvcpu_tid(vcpu), 0);
	struct axvcpu_stats stats = stats_of(vcpu);
	assert_int_equal(sum_by_kind(&stats), stats.exits);
	assert_int_equal(stats.exits, stats.runs);

	/* Once more, from where it was; the stop of before is forgotten. */
	assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
	wait_until(atomic_load(&fake.blocking));
	axvcpu_destroy(vcpu);
	assert_int_equal(fake.destroyed, 1);
}

static void test_verdict_stops(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_SYSTEM_DOWN}};
	struct fake fake = {.exits = exits, .exit_count = 1};
	struct owner owner = {0};
	struct axvcpu *vcpu = fake_vcpu(&fake, &owner, 0);

	(void)state;
	atomic_store(&owner.stop_at, AXVCPU_EXIT_SYSTEM_DOWN);
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
	wait_until(axvcpu_tid(vcpu) == 0);
	/* Ended but not joined: outside the guest, which is all a pause wants. */
	assert_int_equal(axvcpu_pause(vcpu, NULL), 0);
	assert_int_equal(axvcpu_resume(vcpu, NULL), 0);
	assert_int_equal(axvcpu_start(vcpu, false, NULL), -EBADFD); /* join it first */
	axvcpu_kick(vcpu);
	axvcpu_expire(vcpu);
	axvcpu_join(vcpu);
	assert_int_equal(owner.total, 1);
	assert_int_equal(axvcpu_pause(vcpu, NULL), -EBADFD);
	axvcpu_destroy(vcpu);
}

static void test_timeout(void **state)
{
	(void)state;
	for (int paused = 0; paused < 2; paused++) {
		struct fake fake = {0};
		struct owner owner = {0};
		struct axvcpu *vcpu = fake_started(&fake, &owner, paused);

		if (!paused)
			wait_until(atomic_load(&fake.blocking));
		axvcpu_expire(vcpu);
		axvcpu_join(vcpu);
		assert_int_equal(owner.total, 1);
		assert_int_equal(owner.seen[AXVCPU_EXIT_PREEMPTION_TIMER], 1);
		assert_int_equal(owner.last_error, AX_ERROR_TIMEOUT);
		assert_int_equal(owner.last_errno, ETIMEDOUT);
		assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
		struct axvcpu_stats stats = stats_of(vcpu);
		assert_int_equal(stats.by_kind[AXVCPU_EXIT_PREEMPTION_TIMER], 0);
		axvcpu_destroy(vcpu);
	}
}

static void test_max_exits(void **state)
{
	static const struct axvcpu_exit exits[] = {{.kind = AXVCPU_EXIT_IO_WRITE},
						   {.kind = AXVCPU_EXIT_NOTHING}};
	struct fake fake = {.exits = exits, .exit_count = 2, .repeat = true};
	struct owner owner = {.stop_at = -1};
	const struct axvcpu_config config = {
		.limits.max_exits = 101,
		.ops = &fake_ops,
		.impl = &fake,
		.on_exit = owner_on_exit,
		.on_exit_ctx = &owner,
	};
	struct axvcpu *vcpu = NULL;

	(void)state;
	assert_int_equal(axvcpu_create(&config, &vcpu, NULL), 0);
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	for (uint32_t round = 1; round <= 2; round++) { /* the limit is one start's */
		assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
		axvcpu_join(vcpu);
		assert_int_equal(stats_of(vcpu).exits, 101 * round);
		assert_int_equal(owner.seen[AXVCPU_EXIT_PREEMPTION_TIMER], round);
		assert_int_equal(owner.last_error, AX_ERROR_MAX_ITERATIONS);
		assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
	}
	axvcpu_destroy(vcpu);
}

static void test_failures_on_the_thread(void **state)
{
	static const struct {
		enum fake_hook hook;
		uint32_t reports;
		enum axvcpu_state end;
	} cases[] = {
		{FAKE_BIND, 1, AXVCPU_INVALID},
		{FAKE_RUN, 1, AXVCPU_INVALID},
		{FAKE_UNBIND, 0, AXVCPU_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		struct fake fake = {.failing = cases[i].hook};
		struct owner owner = {0};
		struct axvcpu *vcpu = fake_started(&fake, &owner, false);

		axvcpu_request_stop(vcpu);
		axvcpu_join(vcpu);
		/* The stop may have come before the first run. */
		if (cases[i].hook != FAKE_RUN || owner.total) {
			assert_int_equal(owner.seen[AXVCPU_EXIT_INTERNAL_ERROR], cases[i].reports);
			assert_int_equal(axvcpu_state(vcpu), cases[i].end);
			assert_int_equal(axvcpu_start(vcpu, false, NULL), -EBADFD);
		}
		if (owner.total)
			assert_int_equal(owner.last_error, AX_ERROR_REGISTER_ACCESS);
		axvcpu_destroy(vcpu);
	}
}

static void test_affinity(void **state)
{
	cpu_set_t allowed, got;
	int cpu = 0;
	struct fake fake = {0};
	struct owner owner = {.stop_at = -1};
	struct axvcpu_config config = {
		.ops = &fake_ops,
		.impl = &fake,
		.on_exit = owner_on_exit,
		.on_exit_ctx = &owner,
		.host_cpus = &cpu,
		.host_cpu_count = 1,
	};
	struct axvcpu *vcpu = NULL;
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	assert_int_equal(axvcpu_create(&config, &vcpu, NULL), 0);
	int expected = cpu;
	cpu = -1; /* the list was copied */
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_start(vcpu, false, NULL), 0);
	assert_int_equal(sched_getaffinity(axvcpu_tid(vcpu), sizeof(got), &got), 0);
	assert_int_equal(CPU_COUNT(&got), 1);
	assert_true(CPU_ISSET(expected, &got));
	axvcpu_destroy(vcpu);

	/* A CPU that is not there: the start fails and the vCPU is as it was. */
	cpu = 8000;
	assert_int_equal(axvcpu_create(&config, &vcpu, NULL), 0);
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_true(axvcpu_start(vcpu, false, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_THREAD);
	assert_non_null(strstr(err.message, "8000"));
	assert_int_equal(axvcpu_state(vcpu), AXVCPU_FREE);
	assert_int_equal(axvcpu_set_entry(vcpu, 1, NULL), 0);
	axvcpu_destroy(vcpu);
}

static void test_needs_a_handler(void **state)
{
	struct fake fake = {0};
	struct axvcpu *vcpu = fake_vcpu(&fake, NULL, 0);

	(void)state;
	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_start(vcpu, false, NULL), -EINVAL);
	axvcpu_destroy(vcpu);
}

#define MANY 64
static void test_many(void **state)
{
	struct fake fakes[MANY];
	struct owner owner = {0};
	struct axvcpu *vcpus[MANY];
	int before = count_threads();

	(void)state;
	memset(fakes, 0, sizeof(fakes));
	for (uint32_t i = 0; i < MANY; i++) {
		vcpus[i] = fake_vcpu(&fakes[i], &owner, i);
		assert_int_equal(axvcpu_setup(vcpus[i], NULL), 0);
	}
	for (int round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(axvcpu_start(vcpus[i], round % 2, NULL), 0);
		for (uint32_t i = 0; i < MANY; i++) /* all at once, then wait */
			axvcpu_request_pause(vcpus[i]);
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(axvcpu_pause(vcpus[i], NULL), 0);
		assert_true(count_threads() > MANY); /* `before` may hold one that was joined */
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(axvcpu_resume(vcpus[i], NULL), 0);
		for (uint32_t i = 0; i < MANY; i++)
			axvcpu_request_stop(vcpus[i]);
		for (uint32_t i = 0; i < MANY; i++)
			axvcpu_join(vcpus[i]);
		/* A joined thread leaves /proc a moment after its last breath. */
		wait_until(count_threads() <= before);
	}
	for (uint32_t i = 0; i < MANY; i++)
		axvcpu_destroy(vcpus[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_stop),
		cmocka_unit_test(test_verdict_stops),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_max_exits),
		cmocka_unit_test(test_failures_on_the_thread),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_needs_a_handler),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("axvcpu-thread", tests, NULL, NULL);
}
