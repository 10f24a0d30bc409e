/*
 * The topology of a VM: what is refused and by which words, where RAM is cut, which place each vCPU
 * gets, and that a copy stands alone.
 */
#include "../../../src/arch/boot.h"
#include "rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES (4 * AX_GIB)

static const uint64_t halves[] = {2 * AX_GIB, 2 * AX_GIB};
static const uint32_t four_of_two[] = {0, 0, 1, 1};
static const uint8_t near_and_far[] = {10, 21, 31, 10};

static struct axarch_vm_config config_of(const struct axarch_topology *topology, uint32_t count)
{
	return (struct axarch_vm_config){
		.vcpu_count = count, .memory_bytes = BYTES, .topology = topology};
}

static void accepted(void **state)
{
	static const uint64_t cpu_only[] = {BYTES, 0}, memory_only[] = {AX_GIB, 3 * AX_GIB};
	static const uint32_t all_0[] = {0, 0, 0, 0};
	static const uint8_t unreachable[] = {10, 255, 11, 10};
	static const struct axarch_topology rows[] = {
		{.threads_per_core = 2},
		{.node_count = 2, .node_bytes = halves, .vcpu_nodes = four_of_two},
		{.node_count = 2,
		 .node_bytes = cpu_only,
		 .vcpu_nodes = four_of_two,
		 .distances = near_and_far},
		{.node_count = 2,
		 .node_bytes = memory_only,
		 .vcpu_nodes = all_0,
		 .distances = unreachable,
		 .threads_per_core = 64},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = config_of(&rows[i], 4);
		struct ax_error err = {0};
		if (axarch_check_topology(&config, &err) < 0)
			fail_msg("row %zu: %s", i, err.message);
	}
	const struct axarch_vm_config none = config_of(NULL, 4);
	assert_int_equal(axarch_check_topology(&none, NULL), 0);
}

static void refused(void **state)
{
	static const uint64_t odd[] = {2 * AX_GIB + 1, 2 * AX_GIB - 1};
	static const uint64_t tiny[] = {4096, BYTES - 4096};
	static const uint64_t little[] = {AX_GIB, AX_GIB}, much[] = {3 * AX_GIB, 3 * AX_GIB};
	static const uint64_t wraps[] = {BYTES, 1ULL << 63, 1ULL << 63};
	static const uint64_t cpu_only[] = {BYTES, 0};
	static const uint32_t out[] = {0, 1, 2, 0}, all_0[] = {0, 0, 0, 0}, apart[] = {0, 0, 7, 7};
	static const uint32_t crowd[] = {5, 5, 5, 9}, in_turn[] = {3, 4, 3, 4};
	static const uint8_t below[] = {10, 9, 20, 10}, local[] = {10, 20, 10, 10};
	static const uint8_t diagonal[] = {10, 20, 20, 11}, zero[] = {0, 20, 20, 10};
	static const struct {
		struct axarch_topology topology;
		const char *text;
	} rows[] = {
#define NODES(bytes, cpus) .node_count = 2, .node_bytes = (bytes), .vcpu_nodes = (cpus)
		{{.node_count = 65, .node_bytes = halves, .vcpu_nodes = four_of_two}, "65 nodes"},
		{{.node_count = 2, .vcpu_nodes = four_of_two}, "without their memory"},
		{{.node_count = 2, .node_bytes = halves}, "without the node of each vCPU"},
		{{NODES(odd, four_of_two)}, "node 0 is to have 2147483649"},
		{{NODES(tiny, four_of_two)}, "node 0 is to have 4096"},
		{{NODES(little, four_of_two)}, "is 2147483648 bytes together"},
		{{NODES(much, four_of_two)}, "is 6442450944 bytes together"},
		{{.node_count = 3, .node_bytes = wraps, .vcpu_nodes = four_of_two}, "together"},
		{{NODES(halves, out)}, "vCPU 2 is of node 2, there are nodes 0 to 1"},
		{{NODES(cpu_only, all_0)}, "node 1 has neither memory nor vCPUs"},
		{{NODES(halves, four_of_two), .distances = below},
		 "from node 0 to node 1 is 9, possible are 11 to 255"},
		{{NODES(halves, four_of_two), .distances = local}, "from node 1 to node 0 is 10"},
		{{NODES(halves, four_of_two), .distances = diagonal},
		 "from node 1 to node 1 is 11, possible is 10"},
		{{NODES(halves, four_of_two), .distances = zero}, "from node 0 to node 0 is 0"},
		{{.threads_per_core = 65}, "65 threads a core"},
		{{.threads_per_core = 2, .vcpu_cores = crowd}, "vCPU 2 is of core 5"},
		{{.threads_per_core = 2, .vcpu_cores = in_turn, .vcpu_llcs = four_of_two},
		 "vCPUs 0 and 2 are of core 3, but of last level caches 0 and 1"},
		{{NODES(halves, four_of_two), .vcpu_packages = all_0},
		 "vCPUs 1 and 2 are of package 0, but of nodes 0 and 1"},
		{{NODES(halves, all_0), .vcpu_packages = apart}, NULL}, /* two in a node are fine */
#undef NODES
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = config_of(&rows[i].topology, 4);
		struct axarch_topology *copy = NULL;
		struct ax_error err = {0};
		if (!rows[i].text) {
			assert_int_equal(axarch_check_topology(&config, &err), 0);
			continue;
		}
		assert_true(axarch_check_topology(&config, &err) < 0);
		assert_error(&err, AX_ERROR_CONFIGURATION, rows[i].text);
		assert_true(axarch_copy_topology(&config, &copy, &err) < 0);
		assert_null(copy);
	}
	/* Two ways to say the same thing, or not the same. */
	const struct axarch_topology smt = {.threads_per_core = 2};
	struct axarch_vm_config both = config_of(&smt, 4);
	struct ax_error err = {0};
	both.cpu.cores = 4;
	assert_true(axarch_check_topology(&both, &err) < 0);
	assert_error(&err, AX_ERROR_CONFIGURATION, "4 cores");
	both.cpu = (struct axarch_cpu_policy){.llcs = 2};
	assert_true(axarch_check_topology(&both, &err) < 0);
}

static void places(void **state)
{
	static const uint64_t three[] = {AX_GIB, AX_GIB, 2 * AX_GIB};
	static const uint32_t mixed[] = {2, 0, 2, 0, 2, 0}, cores[] = {7, 7, 3, 3, 4, 9};
	static const uint32_t packages[] = {40, 40, 7, 7, 7, 7};
	static const uint32_t llcs[] = {6, 6, 6, 6, 2, 6}, same_llcs[] = {8, 8, 8, 5, 8, 5};
	static const struct {
		struct axarch_topology topology;
		struct axarch_cpu_place expected[6];
	} rows[] = {
		{{.threads_per_core = 0},
		 {{0, 0, 0}, {0, 1, 0}, {0, 2, 0}, {0, 3, 0}, {0, 4, 0}, {0, 5, 0}}},
		{{.threads_per_core = 4},
		 {{0, 0, 0}, {0, 0, 1}, {0, 0, 2}, {0, 0, 3}, {0, 1, 0}, {0, 1, 1}}},
		/* Node 1 has memory alone: packages are counted without it. */
		{{.node_count = 3, .node_bytes = three, .vcpu_nodes = mixed, .threads_per_core = 2},
		 {{1, 0, 0}, {0, 0, 0}, {1, 0, 1}, {0, 0, 1}, {1, 1, 0}, {0, 1, 0}}},
		/* Cores by number; a sibling alone leaves its place empty. */
		{{.threads_per_core = 2, .vcpu_cores = cores},
		 {{0, 2, 0}, {0, 2, 1}, {0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 3, 0}}},
		{{.threads_per_core = 2, .vcpu_packages = packages, .vcpu_cores = cores},
		 {{1, 0, 0}, {1, 0, 1}, {0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 2, 0}}},
		/* Caches by number; cores go on from one to the next, and are full in each. */
		{{.threads_per_core = 2, .vcpu_cores = cores, .vcpu_llcs = llcs},
		 {{0, 2, 0, 1, 1},
		  {0, 2, 1, 1, 1},
		  {0, 1, 0, 1, 0},
		  {0, 1, 1, 1, 0},
		  {0, 0, 0, 0, 0},
		  {0, 3, 0, 1, 2}}},
		/* A cache is its package's: number 8 of another is another. */
		{{.threads_per_core = 2, .vcpu_packages = packages, .vcpu_llcs = same_llcs},
		 {{1, 0, 0, 0, 0},
		  {1, 0, 1, 0, 0},
		  {0, 1, 0, 1, 0},
		  {0, 0, 0, 0, 0},
		  {0, 1, 1, 1, 0},
		  {0, 0, 1, 0, 0}}},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = config_of(&rows[i].topology, 6);
		struct axarch_cpu_place place[6];
		struct ax_error err = {0};
		if (axarch_cpu_places(&config, place, &err) < 0)
			fail_msg("row %zu: %s", i, err.message);
		for (size_t n = 0; n < AX_ARRAY_LEN(place); n++) {
			assert_int_equal(place[n].package, rows[i].expected[n].package);
			assert_int_equal(place[n].core, rows[i].expected[n].core);
			assert_int_equal(place[n].thread, rows[i].expected[n].thread);
			assert_int_equal(place[n].llc, rows[i].expected[n].llc);
			/* Where there is one cache, its cores are the package's. */
			assert_int_equal(place[n].llc_core, rows[i].topology.vcpu_llcs
								    ? rows[i].expected[n].llc_core
								    : place[n].core);
		}
	}
}

/* A hole after 1.5 GiB: nodes are cut there and nowhere else but at their ends. */
static void ram_is_cut(void **state)
{
	static const uint64_t bytes[] = {0, AX_GIB, AX_GIB, 0, 2 * AX_GIB};
	static const uint32_t cpus[] = {0, 3};
	const struct axarch_topology topology = {
		.node_count = 5, .node_bytes = bytes, .vcpu_nodes = cpus};
	static const struct {
		uint64_t gpa, size_bytes;
		uint32_t node;
	} expected[] = {
		{AX_GIB, AX_GIB, 1},
		{2 * AX_GIB, AX_GIB / 2, 2},
		{8 * AX_GIB, AX_GIB / 2, 2},
		{8 * AX_GIB + AX_GIB / 2, 2 * AX_GIB, 4},
	};
	struct axarch_vm_config config = config_of(&topology, 2);
	struct axarch_plan plan = {.memory_count = 0};
	(void)state;

	axarch_plan_split_ram(&plan, &config, AX_GIB, AX_GIB + AX_GIB / 2);
	axarch_plan_split_ram(&plan, &config, 8 * AX_GIB, 2 * AX_GIB + AX_GIB / 2);
	assert_int_equal(plan.memory_count, AX_ARRAY_LEN(expected));
	for (size_t i = 0; i < plan.memory_count; i++) {
		assert_int_equal(plan.memory[i].gpa, expected[i].gpa);
		assert_int_equal(plan.memory[i].size_bytes, expected[i].size_bytes);
		assert_int_equal(plan.memory[i].node, expected[i].node);
	}
	/* RAM of several nodes is still one piece. */
	assert_int_equal(axarch_plan_ram_end(&plan, AX_GIB), 2 * AX_GIB + AX_GIB / 2);
	assert_int_equal(axarch_plan_ram_end(&plan, 8 * AX_GIB), 10 * AX_GIB + AX_GIB / 2);
	assert_int_equal(axarch_plan_ram_end(&plan, 3 * AX_GIB), 3 * AX_GIB);
	assert_true(axarch_plan_is_ram(&plan, AX_GIB + 1, AX_GIB));
	assert_false(axarch_plan_is_ram(&plan, 2 * AX_GIB, AX_GIB));
}

/* As many nodes as there may be, each of the least size, and a hole in one of them. */
static void most_nodes(void **state)
{
	static uint64_t bytes[AXARCH_MAX_NODES];
	static const uint32_t cpus[] = {0};
	const struct axarch_topology topology = {
		.node_count = AXARCH_MAX_NODES, .node_bytes = bytes, .vcpu_nodes = cpus};
	struct axarch_vm_config config = config_of(&topology, 1);
	struct axarch_plan plan = {.memory_count = 0};
	(void)state;

	config.memory_bytes = AXARCH_MAX_NODES * AX_MIB;
	for (size_t i = 0; i < AX_ARRAY_LEN(bytes); i++)
		bytes[i] = AX_MIB;
	assert_int_equal(axarch_check_topology(&config, NULL), 0);
	axarch_plan_split_ram(&plan, &config, 0, AX_MIB + 4096);
	axarch_plan_split_ram(&plan, &config, AX_GIB, config.memory_bytes - AX_MIB - 4096);
	assert_int_equal(plan.memory_count, AXARCH_MAX_MEMORY_RANGES);
	assert_int_equal(plan.memory[AXARCH_MAX_NODES].node, AXARCH_MAX_NODES - 1);
}

static void copies(void **state)
{
	uint64_t bytes[] = {2 * AX_GIB, 2 * AX_GIB};
	uint32_t nodes[] = {1, 0, 1}, packages[] = {5, 4, 5}, cores[] = {9, 8, 7};
	uint32_t llcs[] = {3, 2, 1};
	uint8_t distances[] = {10, 21, 31, 10};
	const struct axarch_topology topology = {.node_count = 2,
						 .node_bytes = bytes,
						 .vcpu_nodes = nodes,
						 .distances = distances,
						 .threads_per_core = 2,
						 .vcpu_packages = packages,
						 .vcpu_cores = cores,
						 .vcpu_llcs = llcs};
	struct axarch_vm_config config = config_of(&topology, 3);
	struct axarch_topology *copy = NULL;
	struct ax_error err = {0};
	(void)state;

	if (axarch_copy_topology(&config, &copy, &err) < 0)
		fail_msg("%s", err.message);
	memset(bytes, 0xff, sizeof(bytes));
	memset(nodes, 0xff, sizeof(nodes));
	memset(packages, 0xff, sizeof(packages));
	memset(cores, 0xff, sizeof(cores));
	memset(llcs, 0xff, sizeof(llcs));
	memset(distances, 0xff, sizeof(distances));
	assert_int_equal(copy->node_count, 2);
	assert_int_equal(copy->threads_per_core, 2);
	assert_int_equal(copy->node_bytes[0] + copy->node_bytes[1], 4 * AX_GIB);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(copy->vcpu_nodes[i], (i + 1) % 2);
		assert_int_equal(copy->vcpu_packages[i], 4 + (i + 1) % 2);
		assert_int_equal(copy->vcpu_cores[i], 9 - i);
		assert_int_equal(copy->vcpu_llcs[i], 3 - i);
	}
	assert_memory_equal(copy->distances, near_and_far, sizeof(near_and_far));
	free(copy);

	config.topology = NULL;
	assert_int_equal(axarch_copy_topology(&config, &copy, &err), 0);
	assert_null(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),   cmocka_unit_test(refused),
		cmocka_unit_test(places),     cmocka_unit_test(ram_is_cut),
		cmocka_unit_test(most_nodes), cmocka_unit_test(copies),
	};
	return cmocka_run_group_tests_name("arch-topology", tests, NULL, NULL);
}
