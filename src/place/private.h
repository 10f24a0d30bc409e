/*
 * What the files of the planner share. A struct place is one request on one host, checked and
 * indexed (request.c); a struct choice says which nodes get how many vCPUs and which have memory
 * (nodes.c); the plan is made from both (plan.c). docs/placement.md tells the policy.
 */
#ifndef AXVM_PLACE_PRIVATE_H
#define AXVM_PLACE_PRIVATE_H

#include <axvm/place.h>

#define PLACE_NONE   UINT32_MAX
#define PLACE_LEVELS 4
/* Up to so many nodes that can be of use every set of them is tried; with more, sets are grown from
 * each node. */
#define PLACE_EXACT_NODES 8

enum {
	PLACE_OWN,   /* a vCPU a core */
	PLACE_SMT,   /* every usable thread */
	PLACE_FIXED, /* the CPUs are given: pins, or overcommitted */
	PLACE_MODES
};

/* The additive part of a cost, so that sums over cores, caches and nodes compare as costs do. */
struct sum {
	uint64_t word[3];
};
/* at[n]: the least cost of n vCPUs, n from 0 to cap. */
struct table {
	uint32_t cap;
	struct sum *at;
};
/* The best division of n vCPUs over some items, for every n, and how many each item gets. */
struct split {
	uint32_t item_count;
	struct table sum;
	uint16_t *take; /* item_count rows of cap + 1 */
};

struct core {
	uint32_t id, llc;
	uint32_t *cpus; /* indices into facts->cpus of usable CPUs, the best first */
	uint32_t cpu_count;
	bool stranger; /* another VM has CPUs of it */
	bool boot;     /* has CPU 0 */
};

/* The usable CPUs of a node, by mode: caches, and cores in each. */
struct node_mode {
	bool built;
	struct split top;
	struct split *caches; /* one a cache of struct node */
};

struct node {
	bool eligible;      /* the request allows it */
	struct core *cores; /* by cache, then id; only those with usable CPUs */
	uint32_t core_count, cpu_count;
	uint32_t *caches; /* index of each cache's first core */
	uint32_t cache_count;
	struct node_mode mode[PLACE_MODES];
	struct table fixed;
	uint64_t room[PLACE_LEVELS]; /* bytes, whole granules */
};

struct place {
	const struct axhost_facts *facts;
	const struct axprof *profile;
	struct axplace_request request;
	const struct axplace_held *held;
	/* What request.c may look away from, for finding out what an error is about. */
	bool any_cpuset, ignore_memory;
	uint32_t most_holders; /* other VMs that a CPU may have and be used: mostly none */

	uint8_t *cpu_flags;   /* PLACE_CPU_* of each of facts->cpus */
	uint32_t *core_cpus;  /* indices of usable CPUs; the cores point into it */
	bool *core_strangers; /* of each core's number: other VMs hold a CPU of it */
	struct node *nodes;   /* as facts->nodes */
	struct core *cores;
	uint32_t *caches;
	uint64_t *scratch; /* two for each node */
	/* The page sizes to try, the one wanted first. */
	enum axas_backing levels[PLACE_LEVELS];
	uint32_t level_count;
	uint32_t shared_vcpus; /* vCPUs less CPUs, when they are overcommitted */
	bool pinned;           /* p->fixed are the request's pins */
	bool overcommit;       /* p->fixed is made for each set of nodes */
	uint32_t *fixed;       /* CPU index of each vCPU, in mode PLACE_FIXED */
};
#define PLACE_CPU_USABLE 1u
#define PLACE_CPU_HELD   2u
#define PLACE_CPU_KEPT   4u /* the request leaves it alone */
#define PLACE_CPU_FULL   8u /* more VMs hold it than it may have */

struct choice {
	bool found;
	int mode;
	uint32_t level;  /* index into levels */
	uint32_t *vcpus; /* of each node */
	bool *memory;    /* each node: has some */
	uint32_t cost[AXPLACE_COSTS];
};

/* request.c */
int axplace_check(const struct axhost_facts *facts, const struct axplace_request *request,
		  struct ax_error *err);
/* p->facts, profile, request, held and the flags are set, the rest is zero. */
int axplace_init(struct place *p, struct ax_error *err);
uint32_t axplace_holders(const struct axplace_held *held, size_t index); /* of held->cpus */
void axplace_finish(struct place *p);
uint32_t axplace_cpu_index(const struct axhost_facts *facts, uint32_t id); /* or PLACE_NONE */
uint32_t axplace_node_index(const struct axhost_facts *facts, uint32_t id);
uint32_t axplace_distance(const struct axhost_facts *facts, uint32_t from, uint32_t to);
int axplace_no_memory(struct ax_error *err);

/* cpus.c */
struct sum axplace_sum_add(struct sum a, struct sum b, uint64_t times);
int axplace_sum_compare(struct sum a, struct sum b);
extern const struct sum axplace_sum_impossible;
void axplace_sum_to_cost(struct sum sum, uint32_t *cost);
struct sum axplace_term(enum axplace_cost term);
/* few_first: of equal divisions the one that gives the first items less; otherwise more. */
int axplace_split(struct split *ret_split, const struct table *items, uint32_t count,
		  uint32_t limit, bool few_first);
void axplace_split_free(struct split *split);
int axplace_build_node(const struct place *p, struct node *node, int mode);
/* The table of a node in that mode. */
const struct table *axplace_node_table(const struct node *node, int mode);
/* CPU indices of `count` vCPUs on the node; returns past the last written. */
uint32_t *axplace_pick(const struct node *node, int mode, uint32_t count, uint32_t *ret_cpus);
/* PLACE_FIXED: the node tables of p->fixed. */
int axplace_fix(struct place *p);
/* p->fixed becomes the usable CPUs of the nodes, in turn; false when there are enough for a CPU
 * each, or none. */
bool axplace_overcommit(struct place *p, const uint32_t *nodes, uint32_t count);

/* memory.c */
uint64_t axplace_granule(enum axas_backing backing);
const char *axplace_backing_name(enum axas_backing backing);
void axplace_rooms(struct place *p);
uint64_t axplace_pool_free(const struct place *p, uint32_t node, uint64_t page_size);
uint64_t axplace_limit_left(const struct place *p); /* of ordinary pages, by the cgroup */
/* Ordinary pages: free, promised to nobody, and not the kernel's. */
uint64_t axplace_free_bytes(const struct place *p, uint32_t node);
/* Granules that the memory takes at this level, 0 when it is no multiple of its page size. */
uint64_t axplace_units(const struct place *p, uint32_t level);
/* What a node that has memory of the VM has of it at least: whole granules. */
uint64_t axplace_least(const struct place *p, uint32_t level);
/* How many of the capable nodes, those that have room for the least, get memory. */
uint32_t axplace_memory_nodes(const struct place *p, uint32_t level, uint32_t capable);
/* The node whose memory vCPUs of `node` use. */
uint32_t axplace_home(const struct place *p, const bool *memory, uint32_t node);
void axplace_divide(const struct place *p, const struct choice *choice, uint64_t *ret_bytes);

/* nodes.c. second: the best with other nodes, may stay unfound. */
int axplace_search(struct place *p, struct choice *best, struct choice *second);
int axplace_choice_init(const struct place *p, struct choice *choice);
void axplace_choice_finish(struct choice *choice);
bool axplace_uses(const struct choice *choice, uint32_t node);

/* sets.c: calls fn with each set of nodes worth trying, until it returns other than 0. `bound` is
 * the least cost that it can come to, in the first two terms that nodes decide. */
typedef int axplace_set_fn(void *ctx, const uint32_t *nodes, uint32_t count,
			   const uint32_t bound[2]);
int axplace_each_set(struct place *p, axplace_set_fn *fn, void *ctx);

/* find.c: -ENOMEM, or 0, and best.found tells. */
int axplace_find(struct place *p, struct choice *best, struct choice *second);
/* Whether the pins may be used at all. */
int axplace_check_pins(const struct place *p, struct ax_error *err);

/* arrange.c: vCPUs, memory, claims of the plan from the choice. */
int axplace_arrange(struct place *p, const struct choice *choice, struct axplace_plan *plan);

/* io.c */
int axplace_io(const struct place *p, struct axplace_plan *plan);

/* why.c: fills the error; its negative errno. */
int axplace_refuse(const struct place *p, struct ax_error *err);
enum axplace_leave_out {
	PLACE_NO_CPUSET = 1, /* every CPU and node is allowed */
	PLACE_NO_MEMORY = 2, /* nodes have room without end */
};
bool axplace_would_work(const struct place *p, const struct axplace_request *request,
			unsigned leave_out);

/* advice.c: the hint */
void axplace_advise(const struct place *p, struct ax_error *err);

/* notes.c */
int axplace_notes(const struct place *p, const struct choice *best, const struct choice *second,
		  struct axplace_plan *plan);
/* "0-3,8" of ascending ids. */
void axplace_format_ids(const uint32_t *ids, size_t count, char *buf, size_t buf_size);

#endif
