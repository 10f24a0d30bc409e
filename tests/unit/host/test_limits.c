/*
 * Which CPUs a thread of ours may be put on: affinity and cpuset are this test's (linked with
 * --wrap); Linux's rules are those of isolcpus= and sched_setaffinity(2).
 */
#include "../test.h"

#include "host/host_private.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { CPUS = 6, FIRST_ISOLATED = 3 };

static uint32_t own, cpuset; /* masks; the first is the main thread's */

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	const uint32_t mask = gettid() == getpid() ? own : cpuset;

	assert_int_equal(pid, 0);
	memset(set, 0, size);
	memcpy(set, &mask, sizeof(mask));
	return 0;
}

int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	(void)pid;
	(void)size;
	(void)set;
	assert_true(gettid() != getpid()); /* our own mask stays as it is */
	return 0;
}

static uint32_t allowed(uint32_t own_mask, uint32_t cpuset_mask, bool any_isolated)
{
	struct axhost_cpu cpus[CPUS] = {0};
	struct axhost_facts facts = {.cpus = cpus, .cpu_count = CPUS};
	uint32_t mask = 0;

	own = own_mask;
	cpuset = cpuset_mask;
	for (uint32_t i = 0; i < CPUS; i++) {
		cpus[i].id = i;
		cpus[i].online = i != CPUS - 1;
		cpus[i].isolated = any_isolated && i >= FIRST_ISOLATED;
	}
	axhost_read_limits("/nonexistent", &facts, true);
	for (uint32_t i = 0; i < CPUS; i++)
		mask |= (uint32_t)cpus[i].allowed << i;
	return mask;
}

static void test_allowed(void **state)
{
	(void)state;
	/* Nothing is isolated: the mask is what counts. */
	assert_int_equal(allowed(0x3f, 0x3f, false), 0x1f);
	assert_int_equal(allowed(0x05, 0x3f, false), 0x05);
	/* The mask that every process begins with has none of the isolated ones, but for those
	 * that are offline: all of the cpuset may be used. */
	assert_int_equal(allowed(0x07, 0x3f, true), 0x1f);
	assert_int_equal(allowed(0x07, 0x0f, true), 0x0f);
	/* Somebody chose, narrower or wider: so it is. */
	assert_int_equal(allowed(0x03, 0x3f, true), 0x03);
	assert_int_equal(allowed(0x0f, 0x3f, true), 0x0f);
	assert_int_equal(allowed(0x18, 0x3f, true), 0x18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_allowed)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
