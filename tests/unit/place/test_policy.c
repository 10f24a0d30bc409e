/* One rule of docs/placement.md at a time, on hosts that show it. */
#include "hosts.h"

#include <errno.h>
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
	expect(&facts, &request, NULL, "0,1,2,3,4,5 io 1 1:2176M 2:3968M");
	finish(&facts);
}

/* A node is never filled to where axas refuses it or the kernel ends the VM. */
static void test_reserve(void **state)
{
	static const uint64_t sizes[] = {256 * MIB, GIB, 64 * GIB};
	struct axhost_facts facts = host_make(2, 2, 1, 0);

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(sizes); i++) {
		struct axplace_request request = {.vcpus = 1, .max_nodes = 1};
		struct axplace_plan *plan = NULL;

		facts.nodes[1].memory_bytes = facts.nodes[1].memory_free_bytes = sizes[i];
		request.memory_bytes = sizes[i] - 2 * axas_node_reserve(sizes[i]);
		assert_int_equal(axplace_make(&facts, profile_by_name("generic"), &request, NULL,
					      &plan, NULL),
				 -ENOMEM);
		request.memory_bytes = sizes[i] / 16 * 13;
		axplace_free(plan_of(&facts, &request, NULL));
	}
	finish(&facts);
}

/* No guest node is too small to be one. */
static void test_least(void **state)
{
	struct axhost_facts facts = host_make(4, 2, 1, 8 * GIB);
	struct axplace_request request = {
		.vcpus = 8, .memory_bytes = 256 * MIB, .spread = AXPLACE_SPREAD};
	const uint32_t nodes[] = {1, 2};

	(void)state;
	expect(&facts, &request, NULL, "0,1,2,3,4,5,6,7 io 1 0:64M 1:64M 2:64M 3:64M");
	request.memory_bytes -= AXAS_PAGE_SIZE;
	expect(&facts, &request, NULL, "0,1,6,7,2,3,4,5 io 7 0:127M 1:64M 2:64M");
	request.memory_bytes = 16 * MIB;
	expect(&facts, &request, NULL, "0,1,2,3,4,5,6,7 io 7 0:16M");
	/* The largest is short of a page, not the last. */
	request = (struct axplace_request){.vcpus = 4, .memory_bytes = 8 * GIB - AXAS_PAGE_SIZE};
	facts.nodes[2].memory_free_bytes = GIB;
	request.nodes = nodes;
	request.node_count = 2;
	expect(&facts, &request, NULL, "2,3,4,5 io 3 1:7359M 2:832M");
	/* Where there is too little room for one, there is none. */
	facts.nodes[2].memory_free_bytes -= 800 * MIB;
	request.memory_bytes = 4 * GIB;
	expect(&facts, &request, NULL, "2,3,4,5 io 5 1:4096M");
	finish(&facts);
}

/* numa=fake and careless firmware: all nodes are at the distance of one. */
static void test_distances(void **state)
{
	struct axhost_facts facts = host_make(2, 2, 1, 8 * GIB);
	const struct axplace_request request = {.vcpus = 4, .memory_bytes = GIB};
	static const uint8_t wanted[] = {10, 11, 11, 10};
	struct axplace_plan *plan;

	(void)state;
	memset(facts.distances, 10, 4);
	plan = plan_of(&facts, &request, NULL);
	assert_memory_equal(plan->distances, wanted, sizeof(wanted));
	axplace_free(plan);
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

/* The limit of a cgroup is for all that is in it. */
static void test_memory_limit(void **state)
{
	struct axhost_facts facts = host_make(1, 2, 1, 8 * GIB);
	const struct axplace_request request = {.vcpus = 1, .memory_bytes = 2 * GIB};
	struct axplace_plan *plan = NULL;
	struct ax_error err = {0};

	(void)state;
	facts.memory_limit_bytes = 3 * GIB;
	facts.memory_limit_used_bytes = GIB;
	expect(&facts, &request, NULL, "1 io 0 0:2048M");
	facts.memory_limit_used_bytes = GIB + MIB;
	assert_int_equal(
		axplace_make(&facts, profile_by_name("generic"), &request, NULL, &plan, &err),
		-ENOMEM);
	assert_non_null(strstr(err.message, "leaves: 2047M of 3G"));
	assert_non_null(strstr(err.hint, "memory="));
	facts.memory_limit_used_bytes = 4 * GIB;
	assert_int_equal(
		axplace_make(&facts, profile_by_name("generic"), &request, NULL, &plan, &err),
		-ENOMEM);
	finish(&facts);
}

/* A group with less time than the vCPUs could use: they stand as they would, and the plan says it.
 */
static void test_throttled(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 1, 4 * GIB);
	const struct axplace_request request = {.vcpus = 2, .memory_bytes = GIB};
	struct axplace_plan *plan;

	(void)state;
	facts.cpu_limit_thousandths = 2000;
	plan = plan_of(&facts, &request, NULL);
	for (size_t i = 0; i < plan->note_count; i++)
		assert_string_not_equal(plan->notes[i].subject, "cpu.max");
	axplace_free(plan);
	facts.cpu_limit_thousandths = 1500;
	plan = plan_of(&facts, &request, NULL);
	assert_true(plan->dedicated);
	assert_string_equal(plan->notes[1].subject, "cpu.max");
	assert_non_null(strstr(plan->notes[1].why, "1.5 CPUs for 2 vCPUs"));
	axplace_free(plan);
	finish(&facts);
}

/* Whole nodes of vCPUs: their I/O threads do not crowd on one core of the node that is empty. */
static void io_elsewhere(void)
{
	struct axhost_facts facts = host_make(4, 4, 1, 8 * GIB);
	struct axplace_request request = {.vcpus = 12, .memory_bytes = GIB};
	struct axplace_plan *plan = plan_of(&facts, &request, NULL);

	assert_int_equal(plan->io_count, 3);
	for (size_t i = 0; i < plan->io_count; i++) {
		assert_int_equal(plan->io[i].cpu_count, 1);
		assert_int_equal(plan->io[i].cpus[0], i);
	}
	axplace_free(plan);
	/* As many CPUs as threads, as beside the vCPUs. */
	request.vcpus = 4;
	request.io_threads = 3;
	expect(&facts, &request, NULL, "4,5,6,7 io 0,1,2 1:1024M");
	finish(&facts);
}

/* Whose CPUs those of I/O are: nobody's that is kept for others. */
static void test_io(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 2, 8 * GIB);
	struct axprof profile = *profile_by_name("generic");
	struct axplace_request request = {.vcpus = 1, .memory_bytes = GIB};
	const uint32_t held_cpus[] = {0};
	const struct axplace_held held = {.cpus = held_cpus, .cpu_count = 1};
	struct axplace_plan *plan = NULL;

	(void)state;
	io_elsewhere();
	/* Rather a core alone than the idle half of another VM's. */
	expect(&facts, &request, &held, "1 io 2,6 0:1024M");
	/* Isolated CPUs are for vCPUs. */
	request.vcpus = 2;
	for (uint32_t i = 0; i < 8; i++)
		facts.cpus[i].isolated = facts.cpus[i].core < 3;
	expect(&facts, &request, NULL, "1,2 io 3,7 0:1024M");
	/* As many cores as the profile wants. */
	request.vcpus = 1;
	profile.housekeeping_cores = 2;
	assert_int_equal(axplace_make(&facts, &profile, &request, NULL, &plan, NULL), 0);
	assert_int_equal(plan->housekeeping_count, 4);
	axplace_free(plan);
	finish(&facts);
	/* Three threads on two nodes: a CPU for each. */
	facts = host_make(2, 4, 1, 8 * GIB);
	request = (struct axplace_request){
		.vcpus = 2, .memory_bytes = GIB, .spread = AXPLACE_SPREAD, .io_threads = 3};
	expect(&facts, &request, NULL, "1,4 io 0,2 0:512M 1:512M");
	finish(&facts);
}

static void test_overcommit(void **state)
{
	struct axhost_facts facts = host_make(1, 2, 2, 4 * GIB);
	struct axplace_request request = {.vcpus = 5, .memory_bytes = GIB, .may_overcommit = true};
	const uint32_t held_cpus[] = {0, 1, 2, 3}, pins[] = {1};
	const struct axplace_held held = {.cpus = held_cpus, .cpu_count = 4};
	struct axplace_plan *plan;

	(void)state;
	/* Those that take turns stand side by side, whatever siblings there are. */
	facts.cpus[2].allowed = false;
	expect(&facts, &request, NULL, "0,0,1,1,3 io 3 0:1024M");
	/* Others have all of them: then theirs. */
	facts.cpus[2].allowed = true;
	request.vcpus = 2;
	plan = plan_of(&facts, &request, &held);
	assert_false(plan->dedicated);
	axplace_free(plan);
	request.vcpus = 1;
	request.pins = pins;
	request.pin_count = 1;
	plan = plan_of(&facts, &request, &held);
	assert_int_equal(plan->cost[AXPLACE_COST_STRANGERS], 1);
	axplace_free(plan);
	finish(&facts);
}

/* More nodes than sets are tried of (PLACE_EXACT_NODES): sets grow from each by the nearest. */
static void test_many_nodes(void **state)
{
	struct axhost_facts facts = host_make(12, 2, 1, GIB);
	struct axplace_request request = {.vcpus = 4, .memory_bytes = GIB};
	const uint32_t pins[] = {20, 4};

	(void)state;
	/* The nearest pair, wherever it is; of equal ones the lowest. */
	expect(&facts, &request, NULL, "0,1,2,3 io 4 0:512M 1:512M");
	facts.distances[5 * 12 + 9] = facts.distances[9 * 12 + 5] = 15;
	expect(&facts, &request, NULL, "10,11,18,19 io 0 5:512M 9:512M");
	/* As many as there are vCPUs. */
	request.vcpus = 3;
	request.spread = AXPLACE_SPREAD;
	expect(&facts, &request, NULL, "1,10,18 io 0 0:342M 5:342M 9:340M");
	/* Pins bring their nodes. */
	request.spread = AXPLACE_COMPACT;
	request.vcpus = 2;
	request.pins = pins;
	request.pin_count = request.max_nodes = 2;
	request.memory_bytes = 1536 * MIB;
	expect(&facts, &request, NULL, "20,4 io 5 2:768M 10:768M");
	request.pin_count = request.max_nodes = 0;
	/* Node 0 has pages of 2 MiB only, the others of 4 KiB only: they do not add up. */
	request.memory_bytes = 3584 * MIB;
	request.backing = AXAS_BACKING_HUGETLB_2M;
	facts.nodes[0].memory_free_bytes = 0;
	host_pool(&facts, 0, 2 * MIB, 1536);
	expect(&facts, &request, NULL, "10,18 io 11 1:848M 2:848M 5:944M 9:944M");
	finish(&facts);
}

/* Two nodes with much, far apart on a ring of nodes with little. */
static void test_ring(void **state)
{
	struct axhost_facts facts = host_make(16, 8, 1, 8 * GIB);
	const struct axplace_request request = {.vcpus = 16, .memory_bytes = GIB, .max_nodes = 2};

	(void)state;
	for (uint32_t a = 0; a < 16; a++)
		for (uint32_t b = 0; b < 16; b++) {
			uint32_t steps = a > b ? a - b : b - a;

			facts.distances[a * 16 + b] =
				(uint8_t)(10 + 2 * (steps < 8 ? steps : 16 - steps));
		}
	for (uint32_t i = 0; i < facts.cpu_count; i++)
		facts.cpus[i].allowed = i % 8 == 0 || facts.cpus[i].node % 8 == 0;
	expect(&facts, &request, NULL,
	       "0,1,2,3,4,5,6,7,64,65,66,67,68,69,70,71 io 8 0:512M 8:512M");
	finish(&facts);
}

/* Who has another VM's CPU is told so, in words and in pictures. */
static void test_others_told(void **state)
{
	struct axhost_facts facts = host_make(1, 2, 1, 4 * GIB);
	const uint32_t pins[] = {1}, held_cpus[] = {0, 1};
	const struct axplace_held held = {.cpus = held_cpus, .cpu_count = 2};
	struct axplace_request request = {.vcpus = 1, .memory_bytes = GIB, .may_overcommit = true};
	struct axplace_plan *plan = plan_of(&facts, &request, &held);
	char *text = NULL;

	(void)state;
	assert_non_null(strstr(plan->notes[1].why, "on CPUs of other VMs: no others are left"));
	axplace_free(plan);
	request.pins = pins;
	request.pin_count = 1;
	plan = plan_of(&facts, &request, &held);
	assert_non_null(strstr(plan->notes[1].why, "also to CPUs of other VMs"));
	assert_int_equal(axplace_to_svg(&facts, plan, &text, NULL), 0);
	assert_non_null(strstr(text, "vCPU that shares its CPU"));
	assert_non_null(strstr(text, "held by another VM"));
	free(text);
	axplace_free(plan);
	finish(&facts);
}

/* Lists that are too long end where a number does, and say that they go on. */
static void test_long_notes(void **state)
{
	struct axhost_facts facts = host_make(64, 1, 1, 4 * GIB);
	struct axplace_request request = {.vcpus = 32, .memory_bytes = 8 * GIB};
	uint32_t nodes[32];
	struct axplace_plan *plan;

	(void)state;
	for (uint32_t i = 0; i < 32; i++)
		nodes[i] = 2 * i;
	request.nodes = nodes;
	request.node_count = 32;
	plan = plan_of(&facts, &request, NULL);
	assert_string_equal(plan->notes[0].why,
			    "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,40,...: the "
			    "fewest nodes that hold 32 vCPUs and 8G");
	axplace_free(plan);
	finish(&facts);
}

/* When all CPUs are of other VMs: those of the fewest, the lowest of equals, and no more of the
 * others than it takes for a CPU each. */
static void test_fewest_holders(void **state)
{
	struct axhost_facts facts = host_make(1, 4, 1, 4 * GIB);
	struct axplace_request request = {
		.vcpus = 1, .memory_bytes = 256 * MIB, .may_overcommit = true};
	const uint32_t cpus[] = {0, 1, 2, 3}, some[] = {2, 1, 3, 1};
	uint32_t holders[] = {1, 1, 1, 1};
	struct axplace_held held = {.cpus = cpus, .holders = holders, .cpu_count = 4};

	(void)state;
	/* One VM after the other: none has a CPU twice before all others have it as often. */
	for (uint32_t turn = 0; turn < 12; turn++) {
		struct axplace_plan *plan = plan_of(&facts, &request, &held);

		assert_false(plan->dedicated);
		assert_int_equal(holders[plan->vcpus[0].cpu]++, 1 + turn / 4);
		axplace_free(plan);
	}
	held.holders = some;
	expect(&facts, &request, &held, "1 io 1 0:256M");
	request.vcpus = 2;
	expect(&facts, &request, &held, "1,3 io 3 0:256M");
	request.vcpus = 3;
	expect(&facts, &request, &held, "0,1,3 io 3 0:256M");
	request.vcpus = 6;
	expect(&facts, &request, &held, "0,0,1,1,2,3 io 3 0:256M");
	/* One that nobody has is used alone. */
	held.cpu_count = 3;
	request.vcpus = 2;
	expect(&facts, &request, &held, "3,3 io 3 0:256M");
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
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_cores),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_odd_nodes),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_least),
		cmocka_unit_test(test_distances),
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_overcommit),
		cmocka_unit_test(test_many_nodes),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_others_told),
		cmocka_unit_test(test_long_notes),
		cmocka_unit_test(test_fewest_holders),
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
