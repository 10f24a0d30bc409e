/*
 * Who shares what, from directories: groups are told by their first member only, as it is the only
 * one that may be asked. What is offline, uneven, contradictory or not told at all ends in groups
 * that hold together all the same.
 */
#include "../../../src/host/host_private.h"
#include "../test.h"
#include "tree.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU   "/sys/devices/system/cpu/"
#define NODE  "/sys/devices/system/node/"
#define GROUP "/sys/fs/cgroup"

/* What host.h promises of every topology. */
static void check_sound(const struct axhost_facts *f)
{
	uint32_t packages = 0, cores = 0, llcs = 0, online = 0;

	for (size_t i = 0; i < f->cpu_count; i++) {
		const struct axhost_cpu *cpu = &f->cpus[i];

		assert_true(!i || cpu->id > f->cpus[i - 1].id);
		online += cpu->online;
		if (!cpu->online) {
			assert_false(cpu->allowed);
			assert_true(cpu->package == AXHOST_NONE && cpu->core == AXHOST_NONE &&
				    cpu->llc == AXHOST_NONE && cpu->node == AXHOST_NONE);
			continue;
		}
		/* Dense, in the order of the first members. */
		assert_true(cpu->package <= packages && cpu->core <= cores && cpu->llc <= llcs);
		packages += cpu->package == packages;
		cores += cpu->core == cores;
		llcs += cpu->llc == llcs;
		assert_true(cpu->node < f->node_count);
		for (size_t j = 0; j < i; j++) {
			const struct axhost_cpu *other = &f->cpus[j];

			if (other->core == cpu->core)
				assert_true(other->llc == cpu->llc && other->node == cpu->node);
			if (other->llc == cpu->llc)
				assert_int_equal(other->package, cpu->package);
		}
	}
	assert_int_equal(online, f->cpus_online);
	assert_int_equal(f->nodes_online, f->node_count);
	for (size_t i = 0; i < f->node_count; i++) {
		assert_int_equal(f->distances[i * f->node_count + i], 10);
		assert_true(f->nodes[i].memory_free_bytes <= f->nodes[i].memory_bytes);
	}
}

static void test_two_sockets(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/e5-2680v2", &f);
	check_sound(&f);
	assert_int_equal(f.cpu_count, 40);
	assert_int_equal(f.node_count, 2);
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(f.cpus[i].id, i);
		assert_int_equal(f.cpus[i].package, i / 10 % 2);
		assert_int_equal(f.cpus[i].llc, i / 10 % 2);
		assert_int_equal(f.cpus[i].node, i / 10 % 2);
		assert_int_equal(f.cpus[i].core, i % 20);
		assert_int_equal(f.cpus[i].isolated, i % 20 == 8 || i % 20 == 9);
		assert_false(f.cpus[i].tickless); /* "(null)", as Linux writes none */
		assert_true(f.cpus[i].online && f.cpus[i].allowed);
	}
	assert_memory_equal(f.distances, ((const uint8_t[]){10, 21, 21, 10}), 4);
	assert_int_equal(f.nodes[1].memory_bytes, 65962776 * AX_KIB);
	/* MemFree, and both lists of file pages: 8 GiB, a quarter and a half of them. */
	assert_int_equal(f.nodes[1].memory_free_bytes, (31457280 + 6291456) * AX_KIB);
	assert_int_equal(f.nodes[0].pool_count, 2);
	assert_int_equal(f.nodes[0].pools[1].page_size_bytes, AX_GIB);
	assert_int_equal(f.nodes[0].pools[1].total, 2);
	assert_int_equal(f.nodes[0].pools[1].free, 1);
	assert_int_equal(f.nodes[1].pools[1].free, 2);
	assert_int_equal(f.cache_count, 4);
	assert_int_equal(f.caches[3].level, 3);
	assert_int_equal(f.caches[3].type, 'u');
	assert_int_equal(f.caches[3].size_bytes, 25 * AX_MIB);
	assert_int_equal(f.caches[3].ways, 20);
	assert_int_equal(f.caches[3].line_bytes, 64);
	assert_int_equal(f.caches[3].shared_by, 20);
	assert_int_equal(f.caches[1].type, 'i');
	axhost_free(&f);
}

/* Several nodes a socket, several last level caches a node, no SMT. */
static void test_nodes_per_socket(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/epyc-7543", &f);
	check_sound(&f);
	assert_int_equal(f.cpu_count, 64);
	assert_int_equal(f.node_count, 8);
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(f.cpus[i].package, i / 32);
		assert_int_equal(f.cpus[i].node, i / 8);
		assert_int_equal(f.cpus[i].llc, i / 4);
		assert_int_equal(f.cpus[i].core, i);
	}
	assert_int_equal(f.distances[0 * 8 + 3], 12);
	assert_int_equal(f.distances[3 * 8 + 4], 32);
	axhost_free(&f);
}

/* No topology: one node of everything, one package, a core for each CPU. */
static void test_nothing_told(void **state)
{
	struct axhost_facts f;

	(void)state;
	axhost_read(HOSTS "/neoverse-n1", &f);
	check_sound(&f);
	assert_int_equal(f.cpu_count, 2);
	assert_int_equal(f.cpus[1].core, 1);
	assert_int_equal(f.cpus[1].package, 0);
	assert_int_equal(f.cpus[1].llc, 0);
	assert_int_equal(f.node_count, 1);
	assert_int_equal(f.nodes[0].memory_bytes, f.memory_bytes);
	assert_true(f.nodes[0].allowed);
	axhost_free(&f);
}

/* CPU 0 and 5 offline, node ids with gaps, a node without CPUs and one without memory. */
static void test_odd(void **state)
{
	char root[] = "/tmp/axvm-host-XXXXXX";
	struct axhost_facts f;
	uint32_t nodes[5];

	(void)state;
	tree_make(root);
	tree_line(root, CPU "present", "0-7");
	tree_line(root, CPU "online", "1-4,6-7");
	tree_line(root, CPU "cpu1/topology/core_siblings_list", "1-4,6-7");
	tree_line(root, CPU "cpu1/topology/thread_siblings_list", "1-2");
	tree_line(root, CPU "cpu3/topology/thread_siblings_list", "3-4");
	tree_line(root, CPU "cpu6/topology/thread_siblings_list", "6-7");
	tree_line(root, CPU "cpu1/cache/index0/level", "2");
	tree_line(root, CPU "cpu1/cache/index0/type", "Unified");
	tree_line(root, CPU "cpu1/cache/index0/shared_cpu_list", "1-4");
	tree_line(root, CPU "cpu6/cache/index0/shared_cpu_list", "6-7");
	tree_line(root, "/sys/fs/cgroup/cpuset.cpus.isolated", "5,7");
	tree_line(root, CPU "nohz_full", "2,5-6");
	tree_line(root, NODE "online", "0,2-3");
	tree_line(root, NODE "node0/cpulist", "1-4");
	tree_line(root, NODE "node0/meminfo", "Node 0 MemTotal: 1024 kB\nNode 0 MemFree: 512 kB");
	tree_line(root, NODE "node0/distance", "10 17 20");
	tree_line(root, NODE "node2/cpulist", "");
	tree_line(root, NODE "node2/meminfo", "Node 2 MemTotal: 4096 kB\nNode 2 MemFree: 4000 kB");
	tree_line(root, NODE "node2/distance", "17 10"); /* too short */
	tree_line(root, NODE "node3/cpulist", "6-7");
	tree_line(root, NODE "node3/meminfo", "Node 3 MemTotal: 0 kB\nNode 3 MemFree: 0 kB");
	axhost_read(root, &f);
	axhost_nodes_of(root, (const int[]){7, -1, 1, 5, 7}, 5, nodes);
	tree_remove(root);
	assert_memory_equal(nodes, ((const uint32_t[]){3, AXHOST_NONE, 0, AXHOST_NONE, 3}),
			    sizeof(nodes));
	check_sound(&f);
	assert_int_equal(f.cpu_count, 8);
	assert_int_equal(f.cpus_online, 6);
	assert_false(f.cpus[0].online || f.cpus[5].online);
	assert_int_equal(f.cpus[4].core, 1);
	assert_int_equal(f.cpus[7].core, 2);
	assert_int_equal(f.cpus[7].llc, 1);
	assert_int_equal(f.cpus[7].node, 2); /* the index, not the id */
	assert_true(f.cpus[5].isolated && f.cpus[7].isolated);
	assert_false(f.cpus[6].isolated);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(f.cpus[i].tickless, i == 2 || i == 5 || i == 6);
	assert_int_equal(f.nodes[2].id, 3);
	assert_int_equal(f.nodes[2].memory_bytes, 0);
	assert_int_equal(f.nodes[1].memory_free_bytes, 4000 * AX_KIB);
	assert_memory_equal(f.distances, ((const uint8_t[]){10, 17, 20, 20, 10, 20, 20, 20, 10}),
			    9);
	assert_int_equal(f.cache_count, 1); /* of CPU 1, the first there is */
	axhost_free(&f);
}

static void put_cache(const char *root, uint32_t cpu, uint32_t index, uint32_t level,
		      const char *type, const char *sharers)
{
	char path[96], number[8];

	snprintf(path, sizeof(path), CPU "cpu%u/cache/index%u/level", cpu, index);
	snprintf(number, sizeof(number), "%u", level);
	tree_line(root, path, number);
	snprintf(path, sizeof(path), CPU "cpu%u/cache/index%u/type", cpu, index);
	tree_line(root, path, type);
	snprintf(path, sizeof(path), CPU "cpu%u/cache/index%u/shared_cpu_list", cpu, index);
	tree_line(root, path, sharers);
}

/* Caches of the first level, and one for each of `count` that follow. */
static void put_caches(const char *root, uint32_t cpu, uint32_t count, const char *const *sharers)
{
	char own[8];

	snprintf(own, sizeof(own), "%u", cpu);
	put_cache(root, cpu, 0, 1, "Data", own);
	put_cache(root, cpu, 1, 1, "Instruction", own);
	for (uint32_t i = 0; i < count; i++)
		put_cache(root, cpu, 2 + i, 2 + i, "Unified", sharers[i]);
}

/* CPUs with a level of caches more or less than the first one, and with none but their own. */
static void test_hybrid(void **state)
{
	static const char *const big[] = {"0-1", "0-1,6"}, *const small[] = {"2-5"},
				 *const late[] = {"6", "0-1,6"};
	static const uint32_t llcs[] = {0, 0, 1, 1, 1, 1, 0, 2};
	/* The same, and who was first is last. */
	static const char *const big_last[] = {"6-7", "1,6-7"}, *const small_first[] = {"2-5"},
				 *const mid[] = {"1", "1,6-7"};
	static const uint32_t llcs_last[] = {0, 1, 2, 2, 2, 2, 1, 1};

	(void)state;
	for (int turned = 0; turned < 2; turned++) {
		char root[] = "/tmp/axvm-host-XXXXXX";
		struct axhost_facts f;

		tree_make(root);
		tree_line(root, CPU "online", "0-7");
		tree_line(root, CPU "cpu0/topology/core_siblings_list", "0-7");
		put_caches(root, turned ? 6 : 0, 2, turned ? big_last : big);
		put_caches(root, turned ? 7 : 1, 2, turned ? big_last : big);
		for (uint32_t i = 2; i < 6; i++)
			put_caches(root, i, 1, turned ? small_first : small);
		put_caches(root, turned ? 1 : 6, 2, turned ? mid : late);
		put_caches(root, turned ? 0 : 7, 0, NULL);
		axhost_read(root, &f);
		tree_remove(root);
		check_sound(&f);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(f.cpus[i].llc, (turned ? llcs_last : llcs)[i]);
		axhost_free(&f);
	}
}

/* Groups that cross each other, lists of nonsense. */
static void test_contradictions(void **state)
{
	static const char *const lists[] = {
		"",        "0",         "0-7",          "1-2",
		"7-0",     "0,0,0",     "0-4294967295", "99999999999",
		"0,3,5,7", "3-4,1-2,x", "-1-3",         "0-",
		",,",      "5,6,7,8,9",
	};
	char root[] = "/tmp/axvm-host-XXXXXX", path[128];
	struct axhost_facts f;

	(void)state;
	tree_make(root);
	tree_line(root, CPU "online", "0-7");
	tree_line(root, NODE "online", "0-1");
	tree_line(root, CPU "cpu0/cache/index0/level", "3");
	srand(1);
	for (int round = 0; round < 300; round++) {
		static const char *const names[] = {"topology/core_siblings_list",
						    "topology/thread_siblings_list",
						    "cache/index0/shared_cpu_list"};

		snprintf(path, sizeof(path), CPU "cpu%d/%s", rand() % 8,
			 names[(size_t)rand() % AX_ARRAY_LEN(names)]);
		tree_line(root, path, lists[(size_t)rand() % AX_ARRAY_LEN(lists)]);
		snprintf(path, sizeof(path), NODE "node%d/cpulist", rand() % 2);
		tree_line(root, path, lists[(size_t)rand() % AX_ARRAY_LEN(lists)]);
		tree_line(root, CPU "present",
			  round % 3 ? "0-7" : lists[(size_t)rand() % AX_ARRAY_LEN(lists)]);
		axhost_read(root, &f);
		check_sound(&f);
		axhost_free(&f);
	}
	tree_remove(root);
}

/* The least of all groups from ours up, and nothing from outside of our namespace. */
static void test_memory_limit(void **state)
{
	char root[] = "/tmp/axvm-host-XXXXXX";
	struct axhost_facts f = {0};

	(void)state;
	tree_make(root);
	tree_line(root, "/proc/self/cgroup", "4:memory:/old\n0::/a.slice/b.scope");
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 0);
	tree_line(root, "/sys/fs/cgroup/a.slice/b.scope/memory.max", "max");
	tree_line(root, "/sys/fs/cgroup/a.slice/memory.max", "1073741824");
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, AX_GIB);
	tree_line(root, "/sys/fs/cgroup/a.slice/b.scope/memory.max", "536870912");
	tree_line(root, "/sys/fs/cgroup/memory.max", "805306368");
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 512 * AX_MIB);
	f.memory_limit_bytes = 0;
	tree_line(root, "/proc/self/cgroup", "0::/");
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 768 * AX_MIB);
	f.memory_limit_bytes = 0;
	tree_line(root, "/proc/self/cgroup", "0::/../../other");
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 0);
	tree_remove(root);
}

static uint32_t cpu_limit(const char *root)
{
	struct axhost_facts f = {0};

	axhost_read_limits(root, &f, false);
	return f.cpu_limit_thousandths;
}

/* The tightest from ours up, by both versions of cgroups. */
static void test_cpu_limit(void **state)
{
	char root[] = "/tmp/axvm-host-XXXXXX";

	(void)state;
	tree_make(root);
	assert_int_equal(cpu_limit(root), 0);
	tree_line(root, "/proc/self/cgroup", "0::/a.slice/b.scope");
	assert_int_equal(cpu_limit(root), 0);
	tree_line(root, GROUP "/a.slice/b.scope/cpu.max", "max 100000");
	assert_int_equal(cpu_limit(root), 0);
	tree_line(root, GROUP "/a.slice/cpu.max", "150000 100000");
	assert_int_equal(cpu_limit(root), 1500);
	tree_line(root, GROUP "/a.slice/b.scope/cpu.max", "40000 20000");
	assert_int_equal(cpu_limit(root), 1500);
	/* Never none when there is one. */
	tree_line(root, GROUP "/cpu.max", "1 1000000");
	assert_int_equal(cpu_limit(root), 1);
	tree_line(root, GROUP "/cpu.max", "1000 0");
	tree_line(root, GROUP "/a.slice/cpu.max", "18446744073709551615 1");
	assert_int_equal(cpu_limit(root), 2000);

	tree_line(root, "/proc/self/cgroup", "5:cpuset:/c\n4:cpu,cpuacct:/d\n1:name=cpu:/e");
	tree_line(root, GROUP "/cpu/c/cpu.cfs_quota_us", "10000");
	tree_line(root, GROUP "/cpu/c/cpu.cfs_period_us", "100000");
	tree_line(root, GROUP "/cpu/d/cpu.cfs_quota_us", "-1");
	tree_line(root, GROUP "/cpu/d/cpu.cfs_period_us", "100000");
	assert_int_equal(cpu_limit(root), 0);
	tree_line(root, GROUP "/cpu/d/cpu.cfs_quota_us", "250000");
	assert_int_equal(cpu_limit(root), 2500);
	tree_remove(root);
}

/* What others of a group have is not ours: of all groups the one counts that leaves the least. */
static void test_memory_left(void **state)
{
	char root[] = "/tmp/axvm-host-XXXXXX";
	struct axhost_facts f = {0};

	(void)state;
	tree_make(root);
	tree_line(root, "/proc/self/cgroup", "0::/a/b");
	tree_line(root, GROUP "/a/b/memory.max", "1073741824");
	tree_line(root, GROUP "/a/b/memory.current", "4096");
	tree_line(root, GROUP "/a/memory.max", "4294967296");
	tree_line(root, GROUP "/a/memory.current", "3221225472");
	tree_line(root, GROUP "/a/memory.stat", "anon 5\nfile 6");
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, AX_GIB);
	assert_int_equal(f.memory_limit_used_bytes, 4096);
	tree_line(root, GROUP "/a/memory.current", "4294000000");
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 4 * AX_GIB);
	assert_int_equal(f.memory_limit_used_bytes, 4294000000);
	/* The kernel drops files first, but those in memory alone are none. */
	tree_line(root, GROUP "/a/memory.stat",
		  "anon 5\nfile 4000000000\nshmem 70\ninactive_anon 9\nactive_anon 9\n"
		  "inactive_file 3000000000\nactive_file 294000000\nunevictable 7");
	f = (struct axhost_facts){0};
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, AX_GIB);
	tree_line(root, GROUP "/a/b/memory.max", "max");
	f = (struct axhost_facts){0};
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 4 * AX_GIB);
	assert_int_equal(f.memory_limit_used_bytes, 1000000000);
	/* Statistics of another moment; and nothing at all may be had, which is not no limit. */
	tree_line(root, GROUP "/a/memory.current", "1");
	tree_line(root, GROUP "/a/b/memory.max", "0");
	f = (struct axhost_facts){0};
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 1);
	assert_int_equal(f.memory_limit_used_bytes, 4096);

	tree_line(root, "/proc/self/cgroup", "3:cpuset:/c\n2:memory:/d/e");
	tree_line(root, GROUP "/memory/d/e/memory.limit_in_bytes", "9223372036854771712");
	tree_line(root, GROUP "/memory/d/memory.limit_in_bytes", "2147483648");
	tree_line(root, GROUP "/memory/d/memory.usage_in_bytes", "1000");
	tree_line(root, GROUP "/memory/d/memory.stat",
		  "inactive_file 1\nactive_file 2\ntotal_inactive_file 30\ntotal_active_file 40");
	f = (struct axhost_facts){0};
	axhost_read_limits(root, &f, false);
	assert_int_equal(f.memory_limit_bytes, 2 * AX_GIB);
	assert_int_equal(f.memory_limit_used_bytes, 930);
	tree_remove(root);
}

/* A thread that was pinned may use that CPU alone. */
static void test_affinity(void **state)
{
	cpu_set_t before, one;
	struct axhost_facts f;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	axhost_read("", &f);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	for (size_t i = 0; i < f.cpu_count; i++)
		assert_int_equal(f.cpus[i].allowed, f.cpus[i].id == (uint32_t)cpu);
	axhost_free(&f);
}

static void test_this_machine(void **state)
{
	struct axhost_facts f;
	size_t cpus = 0, nodes = 0;

	(void)state;
	axhost_read("", &f);
	check_sound(&f);
	for (size_t i = 0; i < f.cpu_count; i++)
		cpus += f.cpus[i].allowed;
	for (size_t i = 0; i < f.node_count; i++)
		nodes += f.nodes[i].allowed;
	assert_true(cpus > 0 && nodes > 0); /* we run somewhere */
	axhost_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_sockets),  cmocka_unit_test(test_nodes_per_socket),
		cmocka_unit_test(test_nothing_told), cmocka_unit_test(test_odd),
		cmocka_unit_test(test_hybrid),       cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_memory_limit), cmocka_unit_test(test_memory_left),
		cmocka_unit_test(test_cpu_limit),    cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
