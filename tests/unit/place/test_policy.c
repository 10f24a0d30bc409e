/* One rule of docs/placement.md at a time, on hosts that show it. */
#include "hosts.h"

#include <stdio.h>

static struct axplace_plan *plan_of(const struct axhost_facts *facts,
				    const struct axplace_request *request,
				    const struct axplace_held *held)
{
	const struct axprof *profile = profile_by_name("generic");
	struct axplace_plan *plan = NULL;
	struct ax_error err = {0};
	const char *wrong;

	if (axplace_make(facts, profile, request, held, &plan, &err))
		fail_msg("%s", err.message);
	wrong = plan_wrong(facts, profile, request, held, plan);
	if (wrong)
		fail_msg("%s", wrong);
	return plan;
}

/* The CPUs of all vCPUs, in order, "1,2"; of the first I/O thread after a slash; and memory. */
static void expect(const struct axhost_facts *facts, const struct axplace_request *request,
		   const struct axplace_held *held, const char *wanted)
{
	struct axplace_plan *plan = plan_of(facts, request, held);
	char text[512];
	size_t used = 0;

	for (size_t v = 0; v < plan->vcpu_count; v++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", v ? "," : "",
					 plan->vcpus[v].cpu);
	for (size_t i = 0; i < plan->io[0].cpu_count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i ? "," : " io ",
					 plan->io[0].cpus[i]);
	for (size_t i = 0; i < plan->memory_count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " %u:%lluM",
					 plan->memory[i].node,
					 (unsigned long long)(plan->memory[i].size_bytes / MIB));
	assert_string_equal(text, wanted);
	axplace_free(plan);
}

static void finish(struct axhost_facts *facts)
{
	free(facts->cpus);
	free(facts->nodes);
	free(facts->distances);
}

static void test_nodes(void **state)
{
	struct axhost_facts facts = host_make(4, 4, 1, 8 * GIB);
	struct axplace_request request = {.vcpus = 2, .memory_bytes = GIB};
	const uint32_t held_cpus[] = {9, 10}, only[] = {3};
	const struct axplace_held held = {.cpus = held_cpus, .cpu_count = 2};

	(void)state;
	/* One node; CPU 0's core for I/O; the lowest of equals. */
	expect(&facts, &request, NULL, "1,2 io 0 0:1024M");
	/* Node 2 has just these two left, but no core for I/O then. */
	expect(&facts, &request, &held, "1,2 io 0 0:1024M");
	/* One vCPU fits there best. */
	request.vcpus = 1;
	expect(&facts, &request, &held, "8 io 11 2:1024M");
	/* Six do not fit one node: evenly over the two nearest. */
	request.vcpus = 6;
	facts.distances[1 * 4 + 3] = facts.distances[3 * 4 + 1] = 15;
	expect(&facts, &request, NULL, "4,5,6,12,13,14 io 7 1:512M 3:512M");
	request.spread = AXPLACE_SPREAD;
	expect(&facts, &request, NULL, "1,4,8,9,12,13 io 0 0:172M 1:172M 2:340M 3:340M");
	request.spread = AXPLACE_COMPACT;
	request.vcpus = 2;
	request.nodes = only;
	request.node_count = 1;
	expect(&facts, &request, NULL, "12,13 io 14 3:1024M");
	/* More memory than a node has brings another node, and its CPUs. */
	request.node_count = 0;
	request.memory_bytes = 12 * GIB;
	expect(&facts, &request, NULL, "4,12 io 5 1:6144M 3:6144M");
	finish(&facts);
}

static void test_cores(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 2, 8 * GIB);
	struct axplace_request request = {.vcpus = 3, .memory_bytes = GIB};
	struct axplace_plan *plan;

	(void)state;
	/* A core each while there are enough; I/O on the fourth. */
	expect(&facts, &request, NULL, "1,2,3 io 0,4 0:1024M");
	/* All cores: I/O beside the vCPU, on an idle sibling, the lowest. */
	request.vcpus = 4;
	expect(&facts, &request, NULL, "0,1,2,3 io 4 0:1024M");
	/* Five: pairs of siblings at even numbers. */
	request.vcpus = 5;
	expect(&facts, &request, NULL, "1,5,2,6,3 io 0,4 0:1024M");
	plan = plan_of(&facts, &request, NULL);
	assert_int_equal(plan->threads_per_core, 2);
	for (uint32_t v = 0; v < 5; v++) {
		assert_int_equal(plan->vcpus[v].core, v / 2);
		assert_int_equal(plan->vcpus[v].thread, v % 2);
	}
	axplace_free(plan);
	/* Every thread: the last vCPU shares its CPU. */
	request.vcpus = 8;
	expect(&facts, &request, NULL, "0,4,1,5,2,6,3,7 io 7 0:1024M");
	request.vcpus = 2;
	request.cores = AXPLACE_CORES_SMT;
	expect(&facts, &request, NULL, "1,5 io 0,4 0:1024M");
	/* Isolated CPUs first, also CPU 0's core. */
	request.cores = AXPLACE_CORES_AUTO;
	for (uint32_t i = 0; i < 8; i++)
		facts.cpus[i].isolated = facts.cpus[i].core == 0 || facts.cpus[i].core == 3;
	expect(&facts, &request, NULL, "0,3 io 1,5 0:1024M");
	finish(&facts);
}

static void test_others(void **state)
{
	struct axhost_facts facts = host_make(2, 2, 2, 4 * GIB);
	struct axplace_request request = {.vcpus = 2, .memory_bytes = GIB};
	const uint32_t held_cpus[] = {1}, free_cpus[] = {2};
	const struct axplace_held_memory promised = {1, AXAS_PAGE_SIZE, 3584 * MIB};
	struct axplace_held held = {.cpus = held_cpus, .cpu_count = 1};
	struct axplace_plan *plan;

	(void)state;
	expect(&facts, &request, &held, "2,3 io 0,4 1:1024M");
	/* What was promised is not free: over to node 0, both on CPU 0's core, as of the other one
	 * only a sibling of another VM's CPU is left. */
	held.memory = &promised;
	held.memory_count = 1;
	expect(&facts, &request, &held, "0,4 io 5 0:1024M");
	/* A CPU to be left alone leaves its core to nobody; the sibling can still be had. */
	held.memory_count = 0;
	request.keep_free = free_cpus;
	request.keep_free_count = 1;
	expect(&facts, &request, &held, "6,3 io 0,4 1:1024M");
	request.keep_free_count = 0;
	request.whole_nodes = true;
	plan = plan_of(&facts, &request, &held);
	assert_int_equal(plan->claim_count, 4);
	assert_int_equal(plan->claims[0], 2);
	assert_int_equal(plan->held_count, 1);
	axplace_free(plan);
	finish(&facts);
}

/* Node 0: CPUs only. Node 1: memory only. Node 2: both, far away. */
static void test_odd_nodes(void **state)
{
	struct axhost_facts facts = host_make(3, 2, 1, 4 * GIB);
	struct axplace_request request = {.vcpus = 1, .memory_bytes = GIB};
	const uint32_t nodes[] = {0, 1};
	static const uint8_t distances[] = {10, 12, 30, 12, 10, 30, 30, 30, 10};

	(void)state;
	facts.nodes[0].memory_bytes = facts.nodes[0].memory_free_bytes = 0;
	facts.cpus[2].node = facts.cpus[3].node = 2;
	memcpy(facts.distances, distances, sizeof(distances));
	expect(&facts, &request, NULL, "2 io 3 2:1024M");
	request.nodes = nodes;
	request.node_count = 2;
	expect(&facts, &request, NULL, "1 io 0 1:1024M");
	/* Six CPUs are on two nodes, and the memory of one of them is enough. */
	request.node_count = 0;
	request.vcpus = 6;
	expect(&facts, &request, NULL, "0,1,2,3,4,5 io 5 2:1024M");
	/* It is not: node 1 helps out, node 0 uses what is nearer. */
	request.memory_bytes = 6 * GIB;
	expect(&facts, &request, NULL, "0,1,2,3,4,5 io 1 1:2048M 2:4096M");
	finish(&facts);
}

static enum axas_backing pages_of(const struct axhost_facts *facts,
				  const struct axplace_request *request)
{
	struct axplace_plan *plan = plan_of(facts, request, NULL);
	enum axas_backing backing = plan->memory[0].backing;

	axplace_free(plan);
	return backing;
}

static void test_pages(void **state)
{
	struct axhost_facts facts = host_make(2, 2, 1, 8 * GIB);
	struct axplace_request request = {
		.vcpus = 1, .memory_bytes = 2 * GIB, .backing = AXAS_BACKING_HUGETLB_1G};

	(void)state;
	host_pool(&facts, 1, GIB, 2);
	host_pool(&facts, 0, 2 * MIB, 1024);
	expect(&facts, &request, NULL, "2 io 3 1:2048M");
	assert_int_equal(pages_of(&facts, &request), AXAS_BACKING_HUGETLB_1G);
	/* No multiple of 1 GiB; then more than there is; then none of it. */
	request.memory_bytes = 1536 * MIB;
	expect(&facts, &request, NULL, "1 io 0 0:1536M");
	assert_int_equal(pages_of(&facts, &request), AXAS_BACKING_HUGETLB_2M);
	request.memory_bytes = 3 * GIB;
	assert_int_equal(pages_of(&facts, &request), AXAS_BACKING_THP);
	facts.thp = false;
	assert_int_equal(pages_of(&facts, &request), AXAS_BACKING_ANON);
	/* A cgroup's limit is for ordinary pages. */
	facts.memory_limit_bytes = GIB;
	request.memory_bytes = 2 * GIB;
	request.backing = AXAS_BACKING_HUGETLB_2M;
	expect(&facts, &request, NULL, "1 io 0 0:2048M");
	finish(&facts);
}

/* Notes name what they are about, and tell when somebody has to share. */
static void test_notes(void **state)
{
	struct axhost_facts facts = host_make(1, 2, 1, 4 * GIB);
	const struct axplace_request full = {.vcpus = 2, .memory_bytes = GIB};
	const struct axplace_request over = {
		.vcpus = 5, .memory_bytes = GIB, .may_overcommit = true};
	struct axplace_plan *plan = plan_of(&facts, &full, NULL);
	const char *const subjects[] = {"nodes", "vcpus 0-1", "memory 0", "io 0"};

	(void)state;
	assert_int_equal(plan->note_count, AX_ARRAY_LEN(subjects));
	for (size_t i = 0; i < AX_ARRAY_LEN(subjects); i++)
		assert_string_equal(plan->notes[i].subject, subjects[i]);
	assert_non_null(strstr(plan->notes[3].why, "shares that of the last vCPU"));
	axplace_free(plan);
	plan = plan_of(&facts, &over, NULL);
	assert_non_null(strstr(plan->notes[1].why, "more vCPUs than CPUs"));
	assert_false(plan->dedicated);
	assert_int_equal(plan->cost[AXPLACE_COST_OVERCOMMIT], 3);
	axplace_free(plan);
	finish(&facts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes),  cmocka_unit_test(test_cores),
		cmocka_unit_test(test_others), cmocka_unit_test(test_odd_nodes),
		cmocka_unit_test(test_pages),  cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
