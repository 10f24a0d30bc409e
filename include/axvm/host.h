/*
 * host: what this machine is. Facts are read once, from /proc and /sys below a root directory or
 * from a recorded file (`axvm host --save`); nothing here decides anything. Whoever reads facts
 * owns them, from any thread; they never change afterwards.
 */
#ifndef AXVM_HOST_H
#define AXVM_HOST_H

#include <axvm/base.h>

#define AXHOST_MAX_POOLS  4
#define AXHOST_MAX_CACHES 8
#define AXHOST_NONE       UINT32_MAX

struct axhost_page_pool {
	uint64_t page_size_bytes;
	uint64_t total, free; /* pages */
};

/* A logical CPU. package, core and llc are dense numbers from 0 over the whole machine, in the
 * order of their first online CPU: who has the same number shares that thing. The kernel tells
 * nothing of the place of an offline CPU: its package, core, llc and node are AXHOST_NONE. Those of
 * an online one never are. */
struct axhost_cpu {
	uint32_t id;      /* the kernel's number */
	uint32_t package; /* socket */
	uint32_t core;    /* those of one core are SMT siblings */
	uint32_t llc;     /* last level cache */
	uint32_t node;    /* index into nodes */
	bool online;
	bool isolated; /* isolcpus= or an isolated cpuset: the scheduler keeps others away */
	bool tickless; /* nohz_full=: no timer tick while a single thread runs there */
	/* By our affinity mask and our cpuset; only these may a thread be put on. The mask that all
	 * processes begin with lacks the isolated ones: they are allowed then, too. */
	bool allowed;
};

struct axhost_node {
	uint32_t id;           /* the kernel's number */
	uint64_t memory_bytes; /* 0: a node without memory */
	/* What can be had without swapping: free, or holding files. Huge page pools are not in it.
	 */
	uint64_t memory_free_bytes;
	struct axhost_page_pool pools[AXHOST_MAX_POOLS];
	size_t pool_count;
	bool allowed; /* by our cpuset's memory nodes */
};

/* A cache that the first online CPU has. */
struct axhost_cache {
	uint8_t level;
	char type;                            /* 'd', 'i' or 'u' */
	uint32_t line_bytes, ways, shared_by; /* logical CPUs */
	uint64_t size_bytes;
};

struct axhost_facts {
	char vendor[16]; /* "GenuineIntel", "Arm"; empty when unknown */
	char model_name[64];
	/* As x86 numbers them. Arm: family 0, the part, variant and revision (0x41 is r4p1). */
	uint32_t family, model, stepping;
	uint32_t cpus_online;
	uint32_t nodes_online; /* NUMA nodes */
	uint64_t memory_bytes, memory_available_bytes;
	struct axhost_page_pool pools[AXHOST_MAX_POOLS]; /* of all nodes together, smallest first */
	size_t pool_count;
	bool thp; /* transparent huge pages for shared memory or by madvise */
	/* CPU flags and KVM abilities that profiles ask for. */
	bool vmx, svm, ept, npt, invariant_tsc, x2apic, tsc_scaling, apicv, gbpages, hypervisor;
	bool numa_balancing; /* the kernel moves pages after their users by itself */
	/* Of our cgroup or the one above it that leaves us the least; 0: none. In use is what the
	 * kernel cannot have back by dropping files; it may be more than the limit. */
	uint64_t memory_limit_bytes, memory_limit_used_bytes;
	/* Of a CPU: the time that our cgroup and those above it let all our threads have
	 * together; 0: as much as there is. */
	uint32_t cpu_limit_thousandths;
	char mitigations[512]; /* "mds: Clear CPU buffers; meltdown: PTI": those at work */
	char kernel_release[64];

	/* Topology, sorted by id; present CPUs, offline ones too. */
	struct axhost_cpu *cpus;
	size_t cpu_count;
	struct axhost_node *nodes;
	size_t node_count;
	uint8_t *distances; /* node_count x node_count by index, as ACPI's SLIT: 10 is local */
	struct axhost_cache caches[AXHOST_MAX_CACHES];
	size_t cache_count;
};

/* root: "" for this machine, or a directory that holds proc/ and sys/ of another (all its CPUs and
 * nodes are allowed then). Files that are missing leave their facts at zero; a machine that tells
 * no topology has one node, one package, and a core for each CPU. Never fails but for lack of
 * memory, which leaves the topology empty. */
void axhost_read(const char *root, struct axhost_facts *ret_facts);
/* From what axhost_save wrote, or a recording by hand (docs/host.md has the format). -ENOENT and
 * others of open(2), -EINVAL with the key and what was expected. */
int axhost_load(const char *path, struct axhost_facts *ret_facts,
		struct ax_error *err) AX_MUST_CHECK;
/* The same from memory; `name` is for messages. */
int axhost_load_text(const char *name, const char *text, size_t length,
		     struct axhost_facts *ret_facts, struct ax_error *err) AX_MUST_CHECK;
/* The facts as JSON; *ret_text is malloc'ed, the caller's. */
int axhost_save(const struct axhost_facts *facts, char **ret_text,
		struct ax_error *err) AX_MUST_CHECK;
/* The ids of the nodes that these CPUs are of now, without reading all the rest. A CPU that is
 * offline, or negative, is of none: AXHOST_NONE. root as in axhost_read. */
void axhost_nodes_of(const char *root, const int *cpus, size_t count, uint32_t *ret_nodes);
/*
 * IPIs that the guest of a vCPU's thread sends and KVM sees: not those that the processor delivers
 * by itself. KVM's statistics have no such number, its tracepoints on x86 do, which are counted
 * from here to the close (perf_event_open(2)): so somebody else's vCPU can be counted for as long
 * as one looks. Any thread of the host that this user may trace. AX_ERROR_UNSUPPORTED with why not.
 */
struct axhost_ipis;
int axhost_ipis_open(pid_t tid, struct axhost_ipis **ret_ipis, struct ax_error *err) AX_MUST_CHECK;
uint64_t axhost_ipis_read(const struct axhost_ipis *ipis); /* since the open */
void axhost_ipis_close(struct axhost_ipis *ipis);          /* NULL is fine */
void axhost_free(struct axhost_facts *facts); /* what read or load allocated; zeroed is fine */

#endif
