/*
 * What the guest is told of the plan: its nodes, and which of its vCPUs share a core and a last
 * level cache. Says what is so on the host, decides nothing.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdlib.h>

/* One block, so that one free ends it. */
struct storage {
	struct axarch_topology topology;
	uint64_t node_bytes[AXARCH_MAX_NODES];
	uint32_t of_vcpu[]; /* nodes, then cores, then caches */
};

/* A guest that gets its machine's description from outside has its topology from there; ids of the
 * user's own choice say nothing of cores. */
static bool is_told(const struct axcfg *config, const struct axplace_plan *plan)
{
	return !config->kernel.dtb && !config->cpus.ids.count &&
	       plan->memory_count <= AXARCH_MAX_NODES;
}

static uint32_t memory_nodes(const struct axhost_facts *facts)
{
	uint32_t count = 0;

	for (size_t i = 0; i < facts->node_count; i++)
		count += facts->nodes[i].memory_bytes != 0;
	return count;
}

/* The memory of a guest without nodes is one range, which has no room on one of several. */
bool axvm_plan_binds(const struct axcfg *config, const struct axhost_facts *facts,
		     const struct axplace_plan *plan)
{
	return memory_nodes(facts) > 1 && (plan->memory_count == 1 || is_told(config, plan));
}

static uint32_t cache_of(const struct axhost_facts *facts, uint32_t cpu)
{
	for (size_t i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].id == cpu)
			return facts->cpus[i].llc;
	return 0;
}

int axvm_topology(const struct axvm *vm, const struct axarch_topology **ret_topology,
		  struct ax_error *err)
{
	const struct axplace_plan *plan = vm->placement.plan;
	struct storage *s;
	uint32_t *nodes, *cores, *caches;
	size_t count;

	*ret_topology = NULL;
	if (!plan || !is_told(vm->config, plan))
		return 0;
	count = plan->vcpu_count;
	s = calloc(1, sizeof(*s) + 3 * count * sizeof(*s->of_vcpu));
	if (!s)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	nodes = s->of_vcpu;
	cores = nodes + count;
	caches = cores + count;
	for (size_t i = 0; i < count; i++) {
		nodes[i] = plan->vcpus[i].guest_node;
		/* One that floats is by turns on each core of its node. */
		cores[i] = vm->placement.floats ? (uint32_t)i : plan->vcpus[i].core;
		caches[i] = cache_of(&vm->facts, plan->vcpus[i].cpu);
	}
	for (size_t i = 0; i < plan->memory_count; i++)
		s->node_bytes[i] = plan->memory[i].size_bytes;
	s->topology = (struct axarch_topology){
		.node_count = plan->memory_count > 1 ? (uint32_t)plan->memory_count : 0,
		.node_bytes = s->node_bytes,
		.vcpu_nodes = nodes,
		.distances = plan->distances,
		.threads_per_core = vm->placement.floats ? 1 : plan->threads_per_core,
		.vcpu_cores = cores,
		.vcpu_llcs = vm->placement.floats ? NULL : caches,
	};
	*ret_topology = &s->topology;
	return 0;
}
