/*
 * Thousands of random hosts and requests, always the same ones: plans are legal, the same whenever
 * and in whatever order the request names things; on small hosts nothing is cheaper, and what is
 * refused is impossible.
 */
#include "hosts.h"

#include <errno.h>
#include <stdio.h>

enum { SMALL_CASES = 6000, LARGE_CASES = 1500 };

static void show(const struct scene *s, uint64_t number)
{
	const struct axplace_request *r = &s->request;

	print_message("case %llu: vcpus %u memory %llu MiB backing %d must %d spread %d cores %d "
		      "whole %d max %u\n",
		      (unsigned long long)number, r->vcpus,
		      (unsigned long long)(r->memory_bytes / MIB), r->backing, r->backing_is_must,
		      r->spread, r->cores, r->whole_nodes, r->max_nodes);
	for (uint32_t i = 0; i < s->facts.cpu_count; i++) {
		const struct axhost_cpu *c = &s->facts.cpus[i];

		print_message("  cpu %u core %d llc %d node %d online %d allowed %d iso %d held %d "
			      "usable %d\n",
			      c->id, (int)c->core, (int)c->llc, (int)c->node, c->online, c->allowed,
			      c->isolated, is_held(&s->held, c->id),
			      cpu_usable(&s->facts, r, &s->held, false, i));
	}
	for (uint32_t i = 0; i < s->facts.node_count; i++)
		print_message("  node %u may %d free 4k %llu thp %llu 2m %llu 1g %llu MiB\n",
			      s->facts.nodes[i].id, node_may(&s->facts, r, &s->held, i),
			      (unsigned long long)room_of(&s->facts, r, &s->held, i, 0) / MIB,
			      (unsigned long long)room_of(&s->facts, r, &s->held, i, 1) / MIB,
			      (unsigned long long)room_of(&s->facts, r, &s->held, i, 2) / MIB,
			      (unsigned long long)room_of(&s->facts, r, &s->held, i, 3) / MIB);
}

static void swap(uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		uint32_t id = ids[i];

		ids[i] = ids[count - 1 - i];
		ids[count - 1 - i] = id;
	}
}

static void assert_same_plan(const struct axhost_facts *facts, const struct axplace_plan *a,
			     const struct axplace_plan *b)
{
	char *x = NULL, *y = NULL;

	assert_int_equal(axplace_to_json(facts, a, &x, NULL), 0);
	assert_int_equal(axplace_to_json(facts, b, &y, NULL), 0);
	assert_string_equal(x, y);
	free(x);
	free(y);
}

/* Everything that has no order, the other way round. */
static void reverse(struct scene *s)
{
	swap(s->keep_free, s->request.keep_free_count);
	swap(s->nodes, s->request.node_count);
	swap(s->held_cpus, s->held.cpu_count);
	swap(s->holders, s->held.cpu_count);
	for (size_t i = 0; i < s->held.memory_count / 2; i++) {
		struct axplace_held_memory m = s->held_memory[i];

		s->held_memory[i] = s->held_memory[s->held.memory_count - 1 - i];
		s->held_memory[s->held.memory_count - 1 - i] = m;
	}
}

static int plan_twice(struct scene *s, const struct axprof *profile, uint64_t number,
		      struct axplace_plan **ret_plan)
{
	struct axplace_plan *plan = NULL, *again = NULL;
	struct ax_error err = {0}, other = {0};
	int r = axplace_make(&s->facts, profile, &s->request, &s->held, &plan, &err);
	const char *wrong;

	reverse(s);
	assert_int_equal(axplace_make(&s->facts, profile, &s->request, &s->held, &again, &other),
			 r);
	if (r) {
		assert_null(plan);
		assert_true(r == -EINVAL || r == -ENOSPC || r == -ENOMEM || r == -EPERM);
		assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
		assert_string_equal(err.message, other.message);
		assert_string_equal(err.hint, other.hint);
		assert_true(err.hint[0]);
		return r;
	}
	wrong = plan_wrong(&s->facts, profile, &s->request, &s->held, plan);
	if (wrong) {
		show(s, number);
		fail_msg("%s", wrong);
	}
	assert_same_plan(&s->facts, plan, again);
	axplace_free(again);
	*ret_plan = plan;
	return 0;
}

static void test_small(void **state)
{
	const struct axprof *profile = profile_by_name("generic");
	uint32_t planned = 0;

	(void)state;
	for (uint64_t number = 1; number <= SMALL_CASES; number++) {
		struct prng prng = {number * UINT64_C(0x9e3779b97f4a7c15)};
		uint32_t best[AXPLACE_COSTS] = {0};
		struct axplace_plan *plan = NULL;
		struct scene s;
		bool possible;
		int r;

		scene_random(&prng, true, &s);
		r = plan_twice(&s, profile, number, &plan);
		possible =
			r != -EINVAL && brute_force(&s.facts, profile, &s.request, &s.held, best);
		if (possible != !r) {
			show(&s, number);
			fail_msg("planned: %d, possible: %d", r, possible);
		}
		for (int i = 0; i < AXPLACE_COSTS && !r; i++)
			if (best[i] != plan->cost[i]) {
				show(&s, number);
				fail_msg("cost '%s' is %u, could be %u",
					 axplace_cost_name((enum axplace_cost)i), plan->cost[i],
					 best[i]);
			}
		planned += !r;
		axplace_free(plan);
		scene_free(&s);
	}
	/* A test of refusals only, or of plans only, would be none. */
	assert_in_range(planned, SMALL_CASES / 4, SMALL_CASES * 3 / 4);
}

static void test_large(void **state)
{
	const struct axprof *profile = profile_by_name("generic");

	(void)state;
	for (uint64_t number = 1; number <= LARGE_CASES; number++) {
		struct prng prng = {number * UINT64_C(0xd1342543de82ef95)};
		struct axplace_plan *plan = NULL;
		struct scene s;

		scene_random(&prng, false, &s);
		(void)!plan_twice(&s, profile, number, &plan);
		axplace_free(plan);
		scene_free(&s);
	}
}

static void hold_all(struct scene *s)
{
	for (size_t i = 0; i < s->facts.cpu_count; i++)
		s->held_cpus[i] = s->facts.cpus[i].id;
	s->held.cpu_count = s->facts.cpu_count;
}

/* With overcommitment only memory can be short; vCPUs differ by one at most in what they get. */
static void test_overcommit(void **state)
{
	const struct axprof *profile = profile_by_name("generic");
	uint32_t over = 0;

	(void)state;
	for (uint64_t number = 1; number <= LARGE_CASES; number++) {
		struct prng prng = {number * UINT64_C(0xa0761d6478bd642f)};
		struct axplace_plan *plan = NULL;
		uint32_t load[64] = {0}, most = 0, least = UINT32_MAX;
		struct scene s;

		scene_random(&prng, true, &s);
		s.request.may_overcommit = true;
		s.request.vcpus = 1 + prng_below(&prng, 24);
		if (s.request.cores == AXPLACE_CORES_OWN)
			s.request.cores = AXPLACE_CORES_AUTO;
		if (number % 4 == 0)
			hold_all(&s);
		if (!plan_twice(&s, profile, number, &plan) && plan->cost[0]) {
			for (size_t v = 0; v < plan->vcpu_count; v++)
				load[plan->vcpus[v].cpu]++;
			for (size_t i = 0; i < 64; i++) {
				most = load[i] > most ? load[i] : most;
				least = load[i] && load[i] < least ? load[i] : least;
			}
			assert_true(most - least <= 1);
			assert_false(plan->dedicated);
			over++;
		}
		axplace_free(plan);
		scene_free(&s);
	}
	assert_in_range(over, LARGE_CASES / 10, LARGE_CASES);
}

/* Pins of a plan, given back, are that plan. */
static void test_pins(void **state)
{
	const struct axprof *profile = profile_by_name("generic");
	uint32_t pinned = 0;

	(void)state;
	for (uint64_t number = 1; number <= LARGE_CASES; number++) {
		struct prng prng = {number * UINT64_C(0xe7037ed1a0b428db)};
		struct axplace_plan *plan = NULL, *again = NULL;
		struct scene s;

		scene_random(&prng, true, &s);
		if (!plan_twice(&s, profile, number, &plan)) {
			for (size_t v = 0; v < plan->vcpu_count; v++)
				s.pins[v] = plan->vcpus[v].cpu;
			s.request.pins = s.pins;
			s.request.pin_count = plan->vcpu_count;
			assert_int_equal(plan_twice(&s, profile, number, &again), 0);
			if (!again)
				abort(); /* there is a plan where there was no error */
			assert_memory_equal(plan->cost, again->cost, sizeof(plan->cost));
			assert_memory_equal(plan->vcpus, again->vcpus,
					    plan->vcpu_count * sizeof(*plan->vcpus));
			pinned++;
		}
		axplace_free(plan);
		axplace_free(again);
		scene_free(&s);
	}
	assert_in_range(pinned, LARGE_CASES / 4, LARGE_CASES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_overcommit),
		cmocka_unit_test(test_pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
