/*
 * Hosts for tests of the planner: built by a few calls, or at random from a seed. And the checks
 * that are independent of the planner: is a plan legal, what does it cost (by docs/placement.md),
 * and what would the best one cost.
 */
#ifndef AXVM_TESTS_PLACE_HOSTS_H
#define AXVM_TESTS_PLACE_HOSTS_H

#include "../test.h"

#include <axvm/place.h>

#include <stdlib.h>
#include <string.h>

#define MIB AX_MIB
#define GIB AX_GIB

/* Nodes alike: `cores` cores of `threads` CPUs each, numbered as Linux does on a PC: first threads
 * of all cores of all nodes, then the second ones. */
struct axhost_facts host_make(uint32_t nodes, uint32_t cores, uint32_t threads,
			      uint64_t memory_bytes);
void host_pool(struct axhost_facts *facts, uint32_t node, uint64_t page_size, uint64_t pages);
struct axhost_cpu *host_cpu(struct axhost_facts *facts, uint32_t id);

/* xorshift64*, so that a seed means the same everywhere. */
struct prng {
	uint64_t state;
};
uint32_t prng_below(struct prng *prng, uint32_t bound);

/* What a case needs, in storage of its own. */
struct scene {
	struct axhost_facts facts;
	struct axplace_request request;
	struct axplace_held held;
	uint32_t pins[64], keep_free[64], nodes[16], held_cpus[64], holders[64];
	struct axplace_held_memory held_memory[16];
};
void scene_random(struct prng *prng, bool small, struct scene *ret_scene);
void scene_free(struct scene *scene);

const struct axprof *profile_by_name(const char *name);

/* NULL, or what is wrong with the plan. */
const char *plan_wrong(const struct axhost_facts *facts, const struct axprof *profile,
		       const struct axplace_request *request, const struct axplace_held *held,
		       const struct axplace_plan *plan);
/* What a set of CPUs (indices; one for each vCPU) with memory on a set of nodes costs. */
void cost_of(const struct axhost_facts *facts, const struct axplace_request *request,
	     const struct axplace_held *held, uint32_t most_holders, const uint32_t *cpus,
	     const bool *memory, uint32_t pages, uint32_t *ret_cost);
/* The least cost of all CPUs and nodes; false: there is no plan. Without pins and overcommitment;
 * at most 10 CPUs and 3 nodes. */
bool brute_force(const struct axhost_facts *facts, const struct axprof *profile,
		 const struct axplace_request *request, const struct axplace_held *held,
		 uint32_t *ret_cost);
/* Steps down from the page size wanted to `backing`, UINT32_MAX: not one of them. */
uint32_t page_steps(enum axas_backing wanted, enum axas_backing backing);
/* Bytes that the plan may take of the node at this page size, before rounding. */
uint64_t room_of(const struct axhost_facts *facts, const struct axplace_request *request,
		 const struct axplace_held *held, uint32_t node, enum axas_backing backing);
/* What a guest node has at least. */
uint64_t least_of(const struct axplace_request *request, enum axas_backing backing);
bool cpu_usable(const struct axhost_facts *facts, const struct axplace_request *request,
		const struct axplace_held *held, uint32_t most_holders, uint32_t index);
uint32_t holders_of(const struct axplace_held *held, uint32_t id);
bool is_held(const struct axplace_held *held, uint32_t id);
bool node_may(const struct axhost_facts *facts, const struct axplace_request *request,
	      const struct axplace_held *held, uint32_t node);

/* Small things that both files of checks use. */
bool has_id(const uint32_t *ids, size_t count, uint32_t id);
uint32_t cpu_at(const struct axhost_facts *facts, uint32_t id);
uint32_t node_at(const struct axhost_facts *facts, uint32_t id);
uint32_t far_from(const struct axhost_facts *facts, uint32_t a, uint32_t b);
uint64_t granule_of(enum axas_backing backing);
uint64_t page_of(enum axas_backing backing);
bool core_of_its_own(const struct axhost_facts *facts, const struct axplace_held *held,
		     const uint32_t *cpus, uint32_t vcpus);

#endif
