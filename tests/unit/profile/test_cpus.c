/*
 * What CPUs each profile gives to guests: on cores of their own and on shared ones, whoever idles,
 * on a machine and in a virtual one.
 */
#include "../test.h"

#include <axvm/profile.h>

#include <string.h>

static struct axarch_cpu_policy policy(const struct axprof *profile, bool dedicated,
				       enum axprof_idle idle, bool in_a_vm, bool tickless)
{
	/* One for the host, two for guests, one of another cpuset, one taken away. */
	struct axhost_cpu cpus[] = {
		{.online = true, .allowed = true},
		{.online = true, .allowed = true, .isolated = true, .tickless = tickless},
		{.online = true, .allowed = true, .isolated = true, .tickless = tickless},
		{.online = true, .isolated = true},
		{.isolated = true},
	};
	const struct axhost_facts facts = {
		.hypervisor = in_a_vm, .cpus = cpus, .cpu_count = AX_ARRAY_LEN(cpus)};
	struct axarch_cpu_policy ret;

	memset(&ret, 0xff, sizeof(ret));
	axprof_cpu_policy(profile, &facts, 2, dedicated, idle, &ret);
	/* Not a profile's. */
	assert_false(ret.mask_paravirt);
	assert_int_equal(ret.sockets | ret.cores | ret.threads | ret.llcs, 0);
	/* Emulation costs exits whoever else is on the core. */
	assert_true(ret.no_emulated);
	return ret;
}

/* What is for CPUs that may lose their core, and useless without the first. */
#define FOR_PREEMPTED \
	(AXARCH_PARAVIRT_STEAL_TIME | AXARCH_PARAVIRT_TLB_FLUSH | AXARCH_PARAVIRT_SCHED_YIELD)
#define SPIN AXARCH_WAIT_PAUSE
#define IDLE (AXARCH_WAIT_HALT | AXARCH_WAIT_MWAIT | AXARCH_WAIT_CSTATE)

static void test_policies(void **state)
{
	static const struct {
		bool dedicated;
		enum axprof_idle idle;
		bool in_a_vm, tickless;
		uint32_t own_waits, no_paravirt;
		bool realtime;
	} rows[] = {
		{false, AXPROF_IDLE_AUTO, false, true, 0, 0, false},
		{false, AXPROF_IDLE_HOST, false, true, 0, 0, false},
		/* Asked for: it keeps CPUs from others, but spinning still gives way. */
		{false, AXPROF_IDLE_GUEST, false, false, IDLE, 0, false},
		{true, AXPROF_IDLE_AUTO, false, true, IDLE | SPIN, FOR_PREEMPTED, true},
		{true, AXPROF_IDLE_GUEST, false, true, IDLE | SPIN, FOR_PREEMPTED, true},
		{true, AXPROF_IDLE_GUEST, false, false, IDLE | SPIN, FOR_PREEMPTED, true},
		{true, AXPROF_IDLE_HOST, false, true, SPIN, FOR_PREEMPTED, true},
		/* Ticks would make it leave more often than its own waiting. */
		{true, AXPROF_IDLE_AUTO, false, false, SPIN, FOR_PREEMPTED, true},
		/* The core is not ours to promise. */
		{true, AXPROF_IDLE_AUTO, true, true, IDLE | SPIN, 0, false},
		{true, AXPROF_IDLE_AUTO, true, false, SPIN, 0, false},
		{false, AXPROF_IDLE_AUTO, true, true, 0, 0, false},
	};
	const struct axprof *profile;

	(void)state;
	for (size_t p = 0; (profile = axprof_at(p)); p++)
		for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
			const struct axarch_cpu_policy got =
				policy(profile, rows[i].dedicated, rows[i].idle, rows[i].in_a_vm,
				       rows[i].tickless);

			if (got.own_waits != rows[i].own_waits ||
			    got.no_paravirt != rows[i].no_paravirt ||
			    got.realtime != rows[i].realtime)
				fail_msg("%s, row %zu: waits 0x%x, left out 0x%x, realtime %d",
					 profile->name, i, got.own_waits, got.no_paravirt,
					 got.realtime);
		}
}

/* A host that isolates nothing is not made for it, and one ticking CPU is enough to spoil it. */
static void test_tickless(void **state)
{
	struct axhost_cpu cpus[] = {
		{.online = true, .allowed = true, .tickless = true},
		{.online = true, .allowed = true, .tickless = true},
	};
	const struct axhost_facts facts = {.cpus = cpus, .cpu_count = 2}, none = {.family = 6};
	struct axarch_cpu_policy got;

	(void)state;
	axprof_cpu_policy(axprof_at(0), &facts, 2, true, AXPROF_IDLE_AUTO, &got);
	assert_int_equal(got.own_waits, SPIN);
	axprof_cpu_policy(axprof_at(0), &none, 2, true, AXPROF_IDLE_AUTO, &got);
	assert_int_equal(got.own_waits, SPIN);
	cpus[0].isolated = cpus[1].isolated = true;
	axprof_cpu_policy(axprof_at(0), &facts, 2, true, AXPROF_IDLE_AUTO, &got);
	assert_int_equal(got.own_waits, IDLE | SPIN);
	cpus[1].tickless = false;
	axprof_cpu_policy(axprof_at(0), &facts, 2, true, AXPROF_IDLE_AUTO, &got);
	assert_int_equal(got.own_waits, SPIN);
}

/* The group's time is less than the vCPUs could use: they are as on shared cores. */
static void test_throttled(void **state)
{
	static const struct {
		uint32_t limit, vcpus;
		bool throttled;
	} rows[] = {
		{0, 4, false},    {4000, 4, false}, {64000, 4, false},
		{3999, 4, true},  {1, 1, true},     {999, 1, true},
		{1000, 1, false}, {1500, 2, true},  {UINT32_MAX - 1, 4294968, true},
	};
	struct axhost_facts facts = {.family = 6};
	struct axarch_cpu_policy got, expected;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		facts.cpu_limit_thousandths = 0;
		axprof_cpu_policy(axprof_at(0), &facts, rows[i].vcpus, !rows[i].throttled,
				  AXPROF_IDLE_AUTO, &expected);
		facts.cpu_limit_thousandths = rows[i].limit;
		assert_int_equal(axprof_is_throttled(&facts, rows[i].vcpus), rows[i].throttled);
		axprof_cpu_policy(axprof_at(0), &facts, rows[i].vcpus, true, AXPROF_IDLE_AUTO,
				  &got);
		assert_int_equal(got.own_waits, expected.own_waits);
		assert_int_equal(got.no_paravirt, expected.no_paravirt);
		assert_int_equal(got.realtime, expected.realtime);
		assert_int_equal(got.realtime, !rows[i].throttled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_policies),
					   cmocka_unit_test(test_tickless),
					   cmocka_unit_test(test_throttled)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
