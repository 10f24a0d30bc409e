/* Is a plan legal? Everything that place.h and docs/placement.md promise of one. */
#include "hosts.h"

#include <stdio.h>

#define CHECK(condition, ...)                                      \
	do {                                                       \
		if (!(condition)) {                                \
			snprintf(text, sizeof(text), __VA_ARGS__); \
			return text;                               \
		}                                                  \
	} while (0)

/* The host's, of those that a guest can be told (axarch_topology). */
static uint32_t guest_distance(const struct axhost_facts *facts, uint32_t from, uint32_t to)
{
	uint32_t distance = far_from(facts, from, to);

	return from == to ? 10 : distance < 11 ? 11 : distance;
}

/* What a guest node's vCPUs are of all vCPUs, of the memory. */
static uint64_t share_of(const struct axplace_request *request, const struct axplace_plan *plan,
			 size_t guest_node)
{
	uint64_t vcpus = 0;

	for (size_t v = 0; v < plan->vcpu_count; v++)
		vcpus += plan->vcpus[v].guest_node == guest_node;
	return request->memory_bytes / request->vcpus * vcpus;
}

static const char *memory_wrong(const struct axhost_facts *facts,
				const struct axplace_request *request,
				const struct axplace_held *held, const struct axplace_plan *plan,
				char *text_buf, size_t text_size)
{
	bool roomy = true;
	uint64_t sum = 0, unit = granule_of(plan->memory[0].backing);
	uint64_t least = least_of(request, plan->memory[0].backing), shorter = 0;

	for (size_t i = 0; i < plan->memory_count; i++) {
		const struct axplace_memory *m = &plan->memory[i];
		uint32_t node = node_at(facts, m->node);

		snprintf(text_buf, text_size, "guest node %zu: node or page size wrong", i);
		if (node == UINT32_MAX || (i && plan->memory[i - 1].node >= m->node) ||
		    m->backing != plan->memory[0].backing ||
		    page_steps(request->backing, m->backing) == UINT32_MAX ||
		    (request->backing_is_must && m->backing != request->backing))
			return text_buf;
		snprintf(text_buf, text_size, "guest node %zu: %llu bytes", i,
			 (unsigned long long)m->size_bytes);
		shorter += m->size_bytes % unit != 0;
		if (m->size_bytes % page_of(m->backing) || shorter > 1 ||
		    (m->size_bytes < least && m->size_bytes < request->memory_bytes) ||
		    m->size_bytes > room_of(facts, request, held, node, m->backing))
			return text_buf;
		sum += m->size_bytes;
		for (size_t k = 0; k < plan->memory_count; k++)
			if (plan->distances[i * plan->memory_count + k] !=
			    guest_distance(facts, node, node_at(facts, plan->memory[k].node)))
				return "distances are not the host's";
	}
	/* Where every node has room for all of it, and is to have the least at least, it is in
	 * proportion to vCPUs, up to rounding. */
	for (size_t i = 0; i < plan->memory_count; i++)
		roomy &= share_of(request, plan, i) >= least &&
			 room_of(facts, request, held, node_at(facts, plan->memory[i].node),
				 plan->memory[i].backing) >= request->memory_bytes + unit;
	for (size_t i = 0; i < plan->memory_count && roomy; i++) {
		uint64_t share = share_of(request, plan, i);
		uint64_t slack = unit * (plan->memory_count + 1);

		if (plan->memory[i].size_bytes + slack < share ||
		    plan->memory[i].size_bytes > share + slack)
			return "memory is not in proportion to vCPUs";
	}
	return sum == request->memory_bytes ? NULL : "memory does not add up";
}

const char *plan_wrong(const struct axhost_facts *facts, const struct axprof *profile,
		       const struct axplace_request *request, const struct axplace_held *held,
		       const struct axplace_plan *plan)
{
	static char text[200];
	uint32_t cpus[4096], cost[AXPLACE_COSTS], used = 0, widest = 0;
	uint32_t most_holders = request->may_overcommit ? UINT32_MAX : 0, most = 0;
	bool memory[64] = {false}, mine[4096] = {false}, dedicated = true;
	const char *wrong;

	/* Where no other CPU is left, or pins say so, CPUs of others may be taken: without pins of
	 * no more others than it takes for a CPU each. */
	for (size_t v = 0; v < plan->vcpu_count; v++)
		if (holders_of(held, plan->vcpus[v].cpu) > most)
			most = holders_of(held, plan->vcpus[v].cpu);
	if (!request->pin_count && !plan->cost[AXPLACE_COST_OVERCOMMIT] && most < most_holders)
		most_holders = most;
	for (uint32_t i = 0; i < facts->cpu_count && !request->pin_count; i++)
		if (cpu_usable(facts, request, held, 0, i))
			most_holders = 0;
	CHECK(request->vcpus && plan->vcpu_count == request->vcpus && plan->memory_count, "counts");
	wrong = memory_wrong(facts, request, held, plan, text, sizeof(text));
	if (wrong)
		return wrong;
	for (size_t i = 0; i < plan->memory_count; i++)
		memory[node_at(facts, plan->memory[i].node)] = true;
	for (size_t v = 0; v < plan->vcpu_count; v++) {
		const struct axplace_vcpu *vcpu = &plan->vcpus[v];
		uint32_t home = UINT32_MAX;

		cpus[v] = cpu_at(facts, vcpu->cpu);
		CHECK(cpus[v] != UINT32_MAX, "vcpu %zu: no CPU %u", v, vcpu->cpu);
		CHECK(cpu_usable(facts, request, held, most_holders, cpus[v]),
		      "vcpu %zu: CPU %u is not usable", v, vcpu->cpu);
		dedicated &= !mine[cpus[v]] && !is_held(held, vcpu->cpu);
		CHECK(request->may_overcommit || !mine[cpus[v]], "vcpu %zu: CPU %u again", v,
		      vcpu->cpu);
		mine[cpus[v]] = true;
		for (uint32_t n = 0; n < facts->node_count; n++)
			if (memory[n] && (home == UINT32_MAX ||
					  far_from(facts, facts->cpus[cpus[v]].node, n) <
						  far_from(facts, facts->cpus[cpus[v]].node, home)))
				home = n;
		if (memory[facts->cpus[cpus[v]].node])
			home = facts->cpus[cpus[v]].node;
		CHECK(vcpu->guest_node < plan->memory_count &&
			      node_at(facts, plan->memory[vcpu->guest_node].node) == home,
		      "vcpu %zu: guest node %u", v, vcpu->guest_node);
		CHECK(request->pin_count || !v || vcpu->guest_node >= vcpu[-1].guest_node,
		      "vcpu %zu: guest nodes out of order", v);
		for (size_t u = 0; u < v; u++) {
			const struct axplace_vcpu *other = &plan->vcpus[u];
			bool same = facts->cpus[cpus[u]].core == facts->cpus[cpus[v]].core;

			CHECK(plan->cost[0] || (same == (other->core == vcpu->core)),
			      "vcpus %zu %zu: guest and host siblings differ", u, v);
			CHECK(other->core != vcpu->core || other->thread < vcpu->thread,
			      "vcpus %zu %zu: same thread", u, v);
		}
		widest = vcpu->thread + 1 > widest ? vcpu->thread + 1 : widest;
	}
	CHECK(widest == plan->threads_per_core, "threads_per_core %u", plan->threads_per_core);
	CHECK(dedicated == plan->dedicated, "dedicated");
	if (request->cores == AXPLACE_CORES_OWN)
		CHECK(core_of_its_own(facts, held, cpus, request->vcpus), "cores are shared");
	for (uint32_t n = 0; n < facts->node_count; n++) {
		bool uses = memory[n];

		for (size_t v = 0; v < plan->vcpu_count; v++)
			uses |= facts->cpus[cpus[v]].node == n;
		used += uses;
		CHECK(!uses || node_may(facts, request, held, n), "node %u is not allowed", n);
	}
	CHECK(!request->max_nodes || used <= request->max_nodes, "%u nodes", used);
	CHECK(plan->io_count >= (request->io_threads ? request->io_threads : 1), "I/O threads");
	CHECK(!request->io_threads || plan->io_count == request->io_threads, "I/O threads");
	for (size_t i = 0; i <= plan->io_count; i++) {
		bool all = i == plan->io_count;
		const uint32_t *ids = all ? plan->housekeeping : plan->io[i].cpus;
		size_t count = all ? plan->housekeeping_count : plan->io[i].cpu_count;

		CHECK(count, "io %zu: no CPU", i);
		for (size_t k = 0; k < count; k++) {
			uint32_t cpu = cpu_at(facts, ids[k]);
			bool shares = false;

			CHECK(cpu != UINT32_MAX && (!k || ids[k - 1] < ids[k]), "io %zu: CPUs", i);
			CHECK(mine[cpu] || cpu_usable(facts, request, held, false, cpu),
			      "io %zu: CPU %u", i, ids[k]);
			for (size_t v = 0; v < plan->vcpu_count; v++)
				shares |= facts->cpus[cpus[v]].core == facts->cpus[cpu].core;
			for (uint32_t o = 0; o < facts->cpu_count && shares; o++) {
				bool theirs = false;

				for (size_t v = 0; v < plan->vcpu_count; v++)
					theirs |= facts->cpus[cpus[v]].core == facts->cpus[o].core;
				CHECK(theirs || !cpu_usable(facts, request, held, false, o),
				      "io %zu: on a vCPU's core while CPU %u has none", i,
				      facts->cpus[o].id);
			}
			CHECK(all || has_id(plan->housekeeping, plan->housekeeping_count, ids[k]),
			      "io %zu: CPU %u is not of housekeeping", i, ids[k]);
		}
	}
	for (uint32_t i = 0; i < facts->cpu_count; i++) {
		bool claimed = has_id(plan->claims, plan->claim_count, facts->cpus[i].id),
		     wanted = false;

		for (size_t v = 0; v < plan->vcpu_count; v++)
			wanted |= facts->cpus[i].online &&
				  (facts->cpus[cpus[v]].core == facts->cpus[i].core ||
				   (request->whole_nodes &&
				    facts->cpus[cpus[v]].node == facts->cpus[i].node));
		CHECK(claimed == wanted, "claim of CPU %u", facts->cpus[i].id);
	}
	CHECK(plan->note_count > 0 && plan->profile && !strcmp(plan->profile, profile->name),
	      "notes, profile");
	cost_of(facts, request, held, most_holders, cpus, memory,
		page_steps(request->backing, plan->memory[0].backing), cost);
	for (int i = 0; i < AXPLACE_COSTS; i++)
		CHECK(cost[i] == plan->cost[i], "cost %s is %u, not %u",
		      axplace_cost_name((enum axplace_cost)i), cost[i], plan->cost[i]);
	return NULL;
}
