/*
 * place: one deterministic plan of where a VM runs on a host. Pure: facts, profile, request and
 * what others hold go in, a frozen plan comes out; the same input gives the same plan, byte for
 * byte. Nothing here touches the machine.
 */
#ifndef AXVM_PLACE_H
#define AXVM_PLACE_H

#include <axvm/axaddrspace.h>
#include <axvm/base.h>
#include <axvm/host.h>
#include <axvm/profile.h>

#define AXPLACE_MAX_VCPUS 4096

/* How vCPUs spread over nodes when the request leaves a choice. */
enum axplace_spread {
	AXPLACE_COMPACT, /* the fewest nodes that hold it, the nearest together */
	AXPLACE_SPREAD,  /* evenly over all nodes that it may use */
};
/* What of a core a vCPU gets. */
enum axplace_cores {
	/* A core each while the nodes have enough, else siblings, next to each other. */
	AXPLACE_CORES_AUTO,
	/* A core each, its siblings stay empty; refuse when there are too few. */
	AXPLACE_CORES_OWN,
	/* Siblings are filled first: half the cores for the same vCPUs. */
	AXPLACE_CORES_SMT,
};

/* What the planner minimises: the first of these in which two plans differ decides. */
enum axplace_cost {
	AXPLACE_COST_OVERCOMMIT, /* vCPUs less the CPUs that they are on */
	AXPLACE_COST_NODES,      /* nodes used; for SPREAD the host's nodes without a vCPU */
	AXPLACE_COST_DISTANCE,   /* sum over ordered pairs of different nodes used */
	AXPLACE_COST_LOPSIDED,   /* nodes used that have no vCPU, and those that have no memory */
	AXPLACE_COST_CORES,      /* 0: a core each. Else 1 and the cores used; for SMT the cores */
	AXPLACE_COST_REMOTE,     /* sum of the distances from each vCPU to its memory */
	AXPLACE_COST_STRANGERS,  /* vCPUs on cores that other VMs have CPUs of */
	AXPLACE_COST_HOUSEKEEPING, /* nodes with vCPUs that keep no core for I/O threads */
	AXPLACE_COST_CACHES,       /* last level caches that vCPUs use */
	AXPLACE_COST_UNISOLATED,   /* vCPUs on CPUs that are not isolated */
	AXPLACE_COST_UNEVEN,       /* sum over nodes of the square of their vCPUs */
	AXPLACE_COST_BOOT_CORE,    /* vCPUs on the core of CPU 0 */
	AXPLACE_COST_PAGES,        /* steps down from the page size wanted */
	AXPLACE_COST_LEFT_OVER,    /* usable CPUs that stay empty on the vCPUs' nodes */
	AXPLACE_COSTS
};
const char *axplace_cost_name(enum axplace_cost term); /* "left_over"; never NULL */

struct axplace_request {
	uint32_t vcpus;
	uint64_t memory_bytes;
	/* The page size wanted (who has no wish passes the profile's); when `backing_is_must` too
	 * few of them are an error, otherwise the plan takes the next smaller and says so. */
	enum axas_backing backing;
	bool backing_is_must;
	uint32_t io_threads; /* 0: as many as the profile gives for each guest node with vCPUs */
	enum axplace_spread spread;
	enum axplace_cores cores;
	bool whole_nodes;     /* no other VM may have CPUs of a node that this one has */
	bool may_overcommit;  /* several vCPUs on a CPU, also of other VMs, when CPUs run out */
	uint32_t max_nodes;   /* 0: any */
	const uint32_t *pins; /* host CPU of each vCPU, all or none (pin_count 0) */
	size_t pin_count;
	const uint32_t *keep_free; /* host CPUs to leave alone */
	size_t keep_free_count;
	const uint32_t *nodes; /* node ids that may be used; none given: all */
	size_t node_count;
};

/* What other VMs of this host hold (the ledger's sum). Memory is what they were promised and have
 * not touched yet: what they have is missing from the free memory of the facts already. */
struct axplace_held {
	const uint32_t *cpus;    /* ids, each once */
	const uint32_t *holders; /* how many VMs have each of them; NULL: one */
	size_t cpu_count;
	const struct axplace_held_memory {
		uint32_t node; /* id */
		uint64_t page_size_bytes, bytes;
	} * memory;
	size_t memory_count;
};

struct axplace_vcpu {
	uint32_t cpu;        /* host CPU's id */
	uint32_t guest_node; /* index into memory */
	/* Guest core, dense from 0, and the number on it: siblings of the guest are siblings of the
	 * host. Their indices are neighbours, unless pins say otherwise. */
	uint32_t core, thread;
};
struct axplace_memory { /* a guest NUMA node, and the host node it lies on */
	uint32_t node;  /* host node's id */
	uint64_t size_bytes;
	enum axas_backing backing;
};
struct axplace_io {
	uint32_t guest_node; /* whose vCPUs it serves */
	uint32_t *cpus;      /* where it may run: ids, ascending */
	size_t cpu_count;
};
struct axplace_note {     /* why, and what else would cost */
	char subject[32]; /* "vcpus 0-7", "memory", "io 0" */
	char why[160];
	char otherwise[160]; /* may be empty */
};

struct axplace_plan {
	const char *profile;
	struct axplace_vcpu *vcpus;
	size_t vcpu_count;
	struct axplace_memory *memory; /* guest node 0 first; never empty */
	size_t memory_count;
	uint8_t *distances; /* memory_count squared, for the guest's SLIT */
	struct axplace_io *io;
	size_t io_count;
	uint32_t *housekeeping; /* CPUs for the control thread and everybody else; ascending */
	size_t housekeeping_count;
	/* What a ledger keeps from other VMs: the vCPUs' CPUs, siblings that are to stay empty, and
	 * whole nodes when asked for; ascending. */
	uint32_t *claims;
	size_t claim_count;
	uint32_t *held; /* CPUs that other VMs hold, for pictures; ascending */
	size_t held_count;
	bool dedicated;               /* no vCPU shares its CPU with another vCPU of any VM */
	uint32_t threads_per_core;    /* of the guest: 1, or the most vCPUs that share a core */
	uint32_t cost[AXPLACE_COSTS]; /* what the planner minimised, for comparing plans */
	struct axplace_note *notes;
	size_t note_count;
};

/*
 * Errors (AX_ERROR_CONFIGURATION unless said): what is missing, where, and in the hint a request
 * that would work. -EINVAL contradictory request or an id that the host does not have, -ENOSPC too
 * few CPUs, -ENOMEM too little memory or pages on the nodes, -EPERM forbidden by the cpuset or
 * affinity mask; AX_ERROR_NO_MEMORY for our own heap.
 */
int axplace_make(const struct axhost_facts *facts, const struct axprof *profile,
		 const struct axplace_request *request, const struct axplace_held *held,
		 struct axplace_plan **ret_plan, struct ax_error *err) AX_MUST_CHECK;
void axplace_free(struct axplace_plan *plan); /* NULL is fine */

/* Forms of a plan; *ret_text is malloc'ed, the caller's. Deterministic too. */
int axplace_to_json(const struct axhost_facts *facts, const struct axplace_plan *plan,
		    char **ret_text, struct ax_error *err) AX_MUST_CHECK;
int axplace_to_table(const struct axhost_facts *facts, const struct axplace_plan *plan,
		     char **ret_text, struct ax_error *err) AX_MUST_CHECK;
/* Sockets, nodes, caches, cores and threads with the VM's vCPUs, memory and I/O threads on them:
 * lines of text at most `columns` wide (but 40, or what a core takes), and an SVG. */
enum axplace_lines { AXPLACE_LINES_UTF8, AXPLACE_LINES_ASCII };
int axplace_to_picture(const struct axhost_facts *facts, const struct axplace_plan *plan,
		       unsigned columns, enum axplace_lines lines, char **ret_text,
		       struct ax_error *err) AX_MUST_CHECK;
int axplace_to_svg(const struct axhost_facts *facts, const struct axplace_plan *plan,
		   char **ret_text, struct ax_error *err) AX_MUST_CHECK;

#endif
