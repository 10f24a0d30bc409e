/*
 * Guest memory on its planned node, on a host with two: tests/place/run runs it in the lab, as
 * root, with CPUs 0 and 1 on node 0 and 2 and 3 on node 1. Whatever touches memory does so from the
 * wrong node, so that without binding it would lie there. /proc/self/numa_maps is asked beside our
 * count.
 */
#include "witness.h"

#include <axvm/axaddrspace.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE 0x40000000ULL

static int failures;

static void say(const char *kind, const char *name, const char *why)
{
	printf("%s %s%s%s\n", kind, name, *why ? ": " : "", why);
	fflush(stdout);
	failures += *kind == 'F';
}

/* The first thing that was wrong in a case. */
struct finding {
	char why[512];
};

__attribute__((format(printf, 3, 4))) static bool expect(struct finding *finding, bool holds,
							 const char *format, ...)
{
	if (!holds && !*finding->why) {
		va_list args;
		va_start(args, format);
		vsnprintf(finding->why, sizeof(finding->why), format, args);
		va_end(args);
	}
	return holds;
}

static void verdict(const char *name, const struct finding *finding)
{
	say(*finding->why ? "FAIL" : "PASS", name, finding->why);
}

static void run_on(unsigned int node)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(2 * node, &set);
	CPU_SET(2 * node + 1, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		say("FAIL", "affinity", strerror(errno));
}

static struct axas_region_config region(enum axas_backing backing, uint64_t size_bytes)
{
	return (struct axas_region_config){.name = "ram",
					   .gpa = BASE,
					   .size_bytes = size_bytes,
					   .backing = backing,
					   .flags = AXAS_RW,
					   .fd = -1};
}

/* An address space with the region, or NULL and a finding. */
static struct axas *mapped(struct finding *finding, const struct axas_region_config *config,
			   void **ret_hva)
{
	struct ax_error err = {0};
	struct axas *as = NULL;

	if (axas_create(0, NULL, &as, &err) == 0 && axas_map(as, config, &err) == 0 &&
	    axas_translate(as, config->gpa, ret_hva, NULL) == 0)
		return as;
	expect(finding, false, "map: %s", err.message);
	axas_destroy(as);
	return NULL;
}

/* A byte of each page is enough to bring it. */
static bool touch(const struct axas *as, uint64_t size_bytes, uint64_t page_bytes)
{
	int rc = 0;

	for (uint64_t i = 0; !rc && i < size_bytes; i += page_bytes)
		rc = axas_write_u8(as, BASE + i, 1);
	return rc == 0;
}

/* `there` bytes' worth of pages are on the node and none elsewhere, as both witnesses have it. */
static void all_on(struct finding *finding, const struct axas *as, const void *hva,
		   unsigned int node, uint64_t there, const char *when)
{
	struct axas_placement found = {0};
	struct numa_map map = {0};
	struct ax_error err = {0};
	char policy[32];

	snprintf(policy, sizeof(policy), "bind=static:%u", node);
	if (!expect(finding, axas_placement(as, 0, UINT64_MAX, SIZE_MAX, &found, &err) == 0,
		    "%s: %s", when, err.message))
		return;
	expect(finding, numa_map_of(hva, &map), "%s: not in numa_maps", when);
	expect(finding, !strcmp(map.policy, policy), "%s: policy %s", when, map.policy);
	expect(finding, map.bytes[node] == there && !map.bytes[!node] && !map.bytes_beyond,
	       "%s: numa_maps has %llu and %llu bytes", when, (unsigned long long)map.bytes[0],
	       (unsigned long long)map.bytes[1]);
	expect(finding,
	       found.on_node[node] == there && !found.astray_bytes && !found.on_higher_node &&
		       found.absent_bytes == found.mapped_bytes - there,
	       "%s: counted %llu and %llu bytes, %llu absent, %llu astray", when,
	       (unsigned long long)found.on_node[0], (unsigned long long)found.on_node[1],
	       (unsigned long long)found.absent_bytes, (unsigned long long)found.astray_bytes);
}

struct kind {
	enum axas_backing backing;
	const char *name;
	uint64_t page_bytes, size_bytes;
};

static void bound_memory(const struct kind *kind, unsigned int node)
{
	const uint32_t wrong_cpus[2] = {2 * !node, 2 * !node + 1};
	const uint64_t half = ax_align_up(kind->size_bytes / 2, kind->page_bytes);
	struct axas_region_config config = region(kind->backing, kind->size_bytes);
	struct finding finding = {0};
	struct axas *as;
	char name[48];
	void *hva;

	snprintf(name, sizeof(name), "%s-on-node-%u", kind->name, node);
	config.bind = true;
	config.node = node;
	config.populate = true;
	config.populate_cpus = wrong_cpus;
	config.populate_cpu_count = 2;
	run_on(!node);
	as = mapped(&finding, &config, &hva);
	if (!as) {
		verdict(name, &finding);
		return;
	}
	all_on(&finding, as, hva, node, kind->size_bytes, "populated");
	if (kind->backing == AXAS_BACKING_THP)
		expect(&finding, smaps_bytes(hva, "AnonHugePages") >= kind->size_bytes / 2,
		       "few huge pages");
	else
		expect(&finding, smaps_bytes(hva, "KernelPageSize") == kind->page_bytes,
		       "pages of another size");
	/* Given back by a balloon, and touched again by a vCPU that is elsewhere. */
	expect(&finding, axas_discard(as, BASE, half) == half, "nothing given back");
	if (half < kind->size_bytes)
		all_on(&finding, as, hva, node, kind->size_bytes - half, "given back");
	expect(&finding, touch(as, half, kind->page_bytes), "cannot write");
	all_on(&finding, as, hva, node, kind->size_bytes, "touched again");
	if (kind->page_bytes < AX_GIB) { /* which takes its time to zero */
		expect(&finding, axas_discard(as, BASE, half) == half, "nothing given back");
		expect(&finding, axas_lock(as, BASE, kind->size_bytes, NULL) == 0, "cannot lock");
		all_on(&finding, as, hva, node, kind->size_bytes, "locked again");
	}
	axas_destroy(as);
	verdict(name, &finding);
}

static void lazy_memory(const struct kind *kind, unsigned int node)
{
	struct axas_region_config config = region(kind->backing, kind->size_bytes);
	bool from_pool = kind->page_bytes > AXAS_PAGE_SIZE;
	struct finding finding = {0};
	struct axas *as;
	char name[48];
	void *hva;

	snprintf(name, sizeof(name), "lazy-%s-on-node-%u", kind->name, node);
	config.bind = true;
	config.node = node;
	run_on(!node);
	as = mapped(&finding, &config, &hva);
	if (as) {
		/* Pages of a node's pool cannot be promised, so they are there. */
		all_on(&finding, as, hva, node, from_pool ? kind->size_bytes : 0, "mapped");
		expect(&finding, touch(as, kind->size_bytes, kind->page_bytes), "cannot write");
		all_on(&finding, as, hva, node, kind->size_bytes, "touched");
	}
	axas_destroy(as);
	verdict(name, &finding);
}

/* That memory without a node lies where it is touched, or these tests would show nothing. */
static void unbound_memory(void)
{
	struct axas_region_config config = region(AXAS_BACKING_ANON, 8 * AX_MIB);
	struct finding finding = {0};

	config.populate = true;
	for (unsigned int node = 0; node < 2; node++) {
		struct numa_map map = {0};
		struct axas_placement found = {0};
		struct axas *as;
		void *hva;

		run_on(node);
		as = mapped(&finding, &config, &hva);
		if (!as)
			break;
		expect(&finding, axas_placement(as, BASE, UINT64_MAX, 0, &found, NULL) == 0,
		       "placement");
		expect(&finding, numa_map_of(hva, &map) && !strcmp(map.policy, "default"),
		       "policy %s", map.policy);
		expect(&finding, found.on_node[node] == 8 * AX_MIB && map.bytes[node] == 8 * AX_MIB,
		       "touched on node %u, and not there", node);
		axas_destroy(as);
	}
	verdict("unbound", &finding);
}

static void strays_are_counted(void)
{
	enum { PAGES = 64 };
	struct axas_region_config config = region(AXAS_BACKING_ANON, 8 * AX_MIB);
	struct axas_placement found = {0};
	struct finding finding = {0};
	void *hva, *pages[PAGES];
	int nodes[PAGES], status[PAGES];
	struct axas *as;

	config.bind = true;
	config.populate = true;
	as = mapped(&finding, &config, &hva);
	for (int i = 0; as && i < PAGES; i++) {
		pages[i] = (char *)hva + (uint64_t)i * 3 * AXAS_PAGE_SIZE;
		nodes[i] = 1;
	}
	if (as) {
		expect(&finding,
		       syscall(SYS_move_pages, 0, (long)PAGES, pages, nodes, status, 2) == 0,
		       "move_pages: %s", strerror(errno));
		expect(&finding, axas_placement(as, BASE, 8 * AX_MIB, 0, &found, NULL) == 0,
		       "placement");
		expect(&finding,
		       found.astray_bytes == PAGES * AXAS_PAGE_SIZE &&
			       found.on_node[1] == found.astray_bytes,
		       "%llu bytes astray", (unsigned long long)found.astray_bytes);
	}
	axas_destroy(as);
	verdict("strays", &finding);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refused(const char *name, const struct axas_region_config *config, int rc,
		    const char *const *words)
{
	struct finding finding = {0};
	struct ax_error err = {0};
	struct axas *as = NULL;
	int got;

	expect(&finding, axas_create(0, NULL, &as, &err) == 0, "create");
	got = axas_map(as, config, &err);
	expect(&finding, got == rc, "map gives %d: %s", got, err.message);
	for (; *words; words++)
		expect(&finding, strstr(err.message, *words) || strstr(err.hint, *words),
		       "no \"%s\" in: %s (%s)", *words, err.message, err.hint);
	axas_destroy(as);
	verdict(name, &finding);
}

static void refusals(long long pool_0, long long pool_1)
{
	struct axas_region_config config = region(AXAS_BACKING_ANON, AX_MIB);
	char free_pages[48];

	config.bind = true;
	config.node = 2;
	refused("no-such-node", &config, -EINVAL,
		(const char *[]){"node 2:", "no such node", "Nodes with memory: 0-1", NULL});
	/* More than one node has; both together would do. */
	config.node = 1;
	config.populate = true;
	config.size_bytes =
		ax_align_down((uint64_t)sysconf(_SC_PHYS_PAGES) * AXAS_PAGE_SIZE / 4 * 3, AX_MIB);
	refused("more-than-the-node-has", &config, -ENOMEM,
		(const char *[]){"host node 1", "pages of 4K", "available", NULL});
	if (pool_0 <= pool_1 || pool_1 < 1) {
		say("SKIP", "pool-of-the-node", "the pools could not be made");
		return;
	}
	config.backing = AXAS_BACKING_HUGETLB_2M;
	config.populate = false;
	config.size_bytes = (uint64_t)(pool_1 + 1) * 2 * AX_MIB;
	snprintf(free_pages, sizeof(free_pages), "%lld free of %lld", pool_1, pool_1);
	refused("pool-of-the-node", &config, -ENOMEM,
		(const char *[]){"host node 1", "huge pages of 2M", free_pages,
				 "node1/hugepages/hugepages-2048kB/nr_hugepages", "use node 0",
				 NULL});
}

/* fn in a child, which says its verdict itself. */
static void in_child(void (*fn)(void))
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		failures = 0;
		fn();
		_exit(failures != 0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		say("FAIL", "child", "it died");
	else
		failures += WEXITSTATUS(status);
}

static void cpuset_forbids(void)
{
	struct axas_region_config config = region(AXAS_BACKING_ANON, AX_MIB);

	(void)mkdir("/tmp/cgroup", 0755);
	if (mount("none", "/tmp/cgroup", "cgroup2", 0, NULL) != 0 ||
	    !write_text("/tmp/cgroup/cgroup.subtree_control", "+cpuset") ||
	    mkdir("/tmp/cgroup/one", 0755) != 0 ||
	    !write_text("/tmp/cgroup/one/cpuset.mems", "0") ||
	    !write_text("/tmp/cgroup/one/cgroup.procs", "0")) {
		say("SKIP", "cpuset", strerror(errno));
		return;
	}
	config.bind = true;
	config.node = 1;
	refused("cpuset", &config, -EPERM,
		(const char *[]){"node 1", "cpuset allows the memory of nodes 0 only",
				 "cpuset.mems", NULL});
}

/* The pool on a kernel before 5.14, where pages are made through the file. */
static void pool_the_old_way(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 22, 0, 1), /* MADV_POPULATE_READ, _WRITE */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {AX_ARRAY_LEN(code), code};
	const struct kind kind = {AXAS_BACKING_HUGETLB_2M, "2M-old-way", 2 * AX_MIB, 16 * AX_MIB};
	int mode = -1;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		say("SKIP", "2M-old-way", strerror(errno));
		return;
	}
	bound_memory(&kind, 1);
	lazy_memory(&kind, 0); /* by this thread, whose own policy must be as it was */
	if (syscall(SYS_get_mempolicy, &mode, NULL, 0UL, NULL, 0UL) != 0 || mode != 0)
		say("FAIL", "2M-old-way-policy", "the thread's policy was left changed");
}

/* ---- automatic NUMA balancing ---------------------------------------------------------------- */

/* Both regions are used from node 1 until the unbound one has moved there. Anonymous memory: the
 * kernel does not balance a memfd's, whose policy is the file's. */
static void balancing(void)
{
	const uint64_t size = 8 * AX_MIB;
	struct axas_region_config bound = region(AXAS_BACKING_THP, size);
	struct axas_region_config loose = region(AXAS_BACKING_THP, size);
	const uint64_t end_ns = ax_clock_ns() + 12 * 1000000000ULL;
	struct numa_map map = {0};
	struct finding finding = {0};
	struct axas *as, *other;
	void *hva, *other_hva;
	bool moved = false;

	if (!write_text("/proc/sys/kernel/numa_balancing", "1")) {
		say("SKIP", "balancing", "this kernel has none");
		return;
	}
	/* Scan at once and often; the defaults take longer than this test may. */
	write_text("/sys/kernel/debug/sched/numa_balancing/scan_delay_ms", "10");
	write_text("/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms", "50");
	write_text("/sys/kernel/debug/sched/numa_balancing/scan_period_max_ms", "100");
	run_on(0);
	bound.bind = true;
	bound.populate = loose.populate = true;
	as = mapped(&finding, &bound, &hva);
	other = mapped(&finding, &loose, &other_hva);
	run_on(1);
	while (as && other && !moved && ax_clock_ns() < end_ns) {
		for (int round = 0; round < 20; round++) {
			touch(as, size, AXAS_PAGE_SIZE);
			touch(other, size, AXAS_PAGE_SIZE);
		}
		moved = numa_map_of(other_hva, &map) && map.bytes[1] >= size / 2;
	}
	if (as && other)
		all_on(&finding, as, hva, 0, size, "balanced");
	axas_destroy(as);
	axas_destroy(other);
	if (!moved && !*finding.why)
		say("SKIP", "balancing", "it moved nothing, so there is nothing to see");
	else
		verdict("balancing", &finding);
	write_text("/proc/sys/kernel/numa_balancing", "0");
}

int main(void)
{
	static const struct kind kinds[] = {
		{AXAS_BACKING_ANON, "4K", AXAS_PAGE_SIZE, 40 * AX_MIB},
		{AXAS_BACKING_THP, "THP", AXAS_PAGE_SIZE, 40 * AX_MIB},
		{AXAS_BACKING_HUGETLB_2M, "2M", 2 * AX_MIB, 40 * AX_MIB},
		{AXAS_BACKING_HUGETLB_1G, "1G", AX_GIB, AX_GIB},
	};
	long long pool_0, pool_1;

	/* The tests say when it is to be there. */
	write_text("/proc/sys/kernel/numa_balancing", "0");
	if (read_number("/sys/devices/system/node/node1/distance") < 0) {
		say("SKIP", "nodes", "this machine has one");
		return 0;
	}
	unbound_memory();
	pool_0 = set_pool(0, 2048, 30);
	pool_1 = set_pool(1, 2048, 24);
	for (size_t i = 0; i < AX_ARRAY_LEN(kinds); i++) {
		for (unsigned int node = 0; node < 2; node++) {
			const uint64_t page_kib = kinds[i].page_bytes / AX_KIB;
			long long pool = 0;

			if (kinds[i].page_bytes == 2 * AX_MIB)
				pool = node ? pool_1 : pool_0;
			if (kinds[i].page_bytes == AX_GIB)
				pool = set_pool(node, page_kib, 1);
			if (page_kib > 4 &&
			    (uint64_t)pool * kinds[i].page_bytes < kinds[i].size_bytes) {
				char name[48];
				snprintf(name, sizeof(name), "%s-on-node-%u", kinds[i].name, node);
				say("SKIP", name, "the pool could not be made");
				continue;
			}
			bound_memory(&kinds[i], node);
			if (kinds[i].page_bytes < AX_GIB)
				lazy_memory(&kinds[i], node);
		}
	}
	refusals(pool_0, pool_1);
	strays_are_counted();
	if (pool_1 > 0)
		in_child(pool_the_old_way);
	in_child(cpuset_forbids);
	balancing();
	return failures != 0;
}
