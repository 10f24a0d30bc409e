/*
 * More nodes than all sets are tried of (PLACE_EXACT_NODES, 8): sets are grown then. What they give
 * is held against the best of all plans on eight of ten nodes, which are exact.
 */
#include "hosts.h"

#include <stdio.h>

enum { CASES = 300, NODES = 10, EXACT = 8 };

/* Nodes along a line, some with many CPUs, some with much memory, some with pages of 2 MiB. */
static void line_host(struct prng *prng, struct axhost_facts *facts)
{
	static const uint32_t cpus[] = {0, 1, 1, 2, 4, 8}, memory[] = {0, 1, 2, 4, 16};
	uint32_t position[NODES], count = 0;

	*facts = host_make(NODES, 8, 1, 0);
	for (uint32_t n = 0; n < NODES; n++) {
		uint32_t here = cpus[prng_below(prng, AX_ARRAY_LEN(cpus))];

		position[n] = prng_below(prng, 8);
		facts->nodes[n].memory_bytes = 17 * GIB;
		facts->nodes[n].memory_free_bytes =
			memory[prng_below(prng, AX_ARRAY_LEN(memory))] * GIB + GIB / 2;
		host_pool(facts, n, 2 * MIB, memory[prng_below(prng, 4)] * 512);
		for (uint32_t i = 0; i < here; i++, count++) {
			facts->cpus[count].core = count;
			facts->cpus[count].llc = facts->cpus[count].package =
				facts->cpus[count].node = n;
		}
		for (uint32_t k = 0; k <= n; k++)
			facts->distances[n * NODES + k] = facts->distances[k * NODES + n] =
				(uint8_t)(n == k ? 10
						 : 12 + 2 * abs((int)position[n] -
								(int)position[k]));
	}
	facts->cpu_count = count;
}

static void line_request(struct prng *prng, struct axplace_request *request)
{
	static const uint32_t vcpus[] = {1, 4, 6, 10, 14}, memory[] = {1, 4, 10, 20};

	*request = (struct axplace_request){
		.vcpus = vcpus[prng_below(prng, AX_ARRAY_LEN(vcpus))],
		.memory_bytes = memory[prng_below(prng, AX_ARRAY_LEN(memory))] * GIB,
		.backing = prng_below(prng, 2) ? AXAS_BACKING_HUGETLB_2M : AXAS_BACKING_ANON,
		.backing_is_must = !prng_below(prng, 4),
		.max_nodes = prng_below(prng, 2) ? 0 : 1 + prng_below(prng, 4),
	};
}

static bool plan_cost(const struct axhost_facts *facts, const struct axplace_request *request,
		      uint32_t *ret_cost)
{
	const struct axprof *profile = profile_by_name("generic");
	struct axplace_plan *plan = NULL;

	if (axplace_make(facts, profile, request, NULL, &plan, NULL))
		return false;
	memcpy(ret_cost, plan->cost, sizeof(plan->cost));
	axplace_free(plan);
	return true;
}

static int compare(const uint32_t *a, const uint32_t *b)
{
	for (size_t i = 0; i < AXPLACE_COSTS; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* The best on any eight nodes. */
static bool best_cost(const struct axhost_facts *facts, const struct axplace_request *request,
		      uint32_t *ret_cost)
{
	struct axplace_request some = *request;
	uint32_t nodes[EXACT], cost[AXPLACE_COSTS];
	bool found = false;

	some.nodes = nodes;
	some.node_count = EXACT;
	for (uint32_t a = 0; a < NODES; a++)
		for (uint32_t b = 0; b < a; b++) {
			uint32_t count = 0;

			for (uint32_t n = 0; n < NODES; n++)
				if (n != a && n != b)
					nodes[count++] = n;
			if (!plan_cost(facts, &some, cost) ||
			    (found && compare(cost, ret_cost) >= 0))
				continue;
			memcpy(ret_cost, cost, sizeof(cost));
			found = true;
		}
	return found;
}

static void test_grown(void **state)
{
	uint32_t fit = 0, more_nodes = 0, farther = 0, worse = 0, refused = 0;

	(void)state;
	for (uint64_t number = 1; number <= CASES; number++) {
		struct prng prng = {number * UINT64_C(0x9e3779b97f4a7c15)};
		uint32_t best[AXPLACE_COSTS], cost[AXPLACE_COSTS];
		struct axplace_request request;
		struct axhost_facts facts;

		line_host(&prng, &facts);
		line_request(&prng, &request);
		if (best_cost(&facts, &request, best)) {
			fit++;
			if (!plan_cost(&facts, &request, cost))
				refused++;
			else if (cost[AXPLACE_COST_NODES] > best[AXPLACE_COST_NODES])
				more_nodes++;
			else if (cost[AXPLACE_COST_DISTANCE] > best[AXPLACE_COST_DISTANCE])
				farther++;
			else
				worse += compare(cost, best) > 0;
		}
		free(facts.cpus);
		free(facts.nodes);
		free(facts.distances);
	}
	print_message("of %u that fit: refused %u, more nodes %u, farther %u, worse %u\n", fit,
		      refused, more_nodes, farther, worse);
	assert_true(fit > CASES / 2);
	assert_int_equal(refused, 0);
	assert_int_equal(more_nodes, 0);
	assert_true(farther + worse <= fit / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
