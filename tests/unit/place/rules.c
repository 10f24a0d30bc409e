/*
 * The rules of docs/placement.md, written down once more without the planner: who may be used, what
 * a plan costs, and by trying everything, what the best one costs.
 */
#include "hosts.h"

#include <stdio.h>

uint32_t holders_of(const struct axplace_held *held, uint32_t id)
{
	for (size_t i = 0; held && i < held->cpu_count; i++)
		if (held->cpus[i] == id)
			return held->holders ? held->holders[i] : 1;
	return 0;
}

bool is_held(const struct axplace_held *held, uint32_t id)
{
	return holders_of(held, id) > 0;
}

bool has_id(const uint32_t *ids, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

uint32_t cpu_at(const struct axhost_facts *facts, uint32_t id)
{
	for (uint32_t i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].id == id)
			return i;
	return UINT32_MAX;
}

uint32_t node_at(const struct axhost_facts *facts, uint32_t id)
{
	for (uint32_t i = 0; i < facts->node_count; i++)
		if (facts->nodes[i].id == id)
			return i;
	return UINT32_MAX;
}

uint32_t far_from(const struct axhost_facts *facts, uint32_t a, uint32_t b)
{
	return facts->distances[a * facts->node_count + b];
}

bool node_may(const struct axhost_facts *facts, const struct axplace_request *request,
	      const struct axplace_held *held, uint32_t node)
{
	if (request->node_count &&
	    !has_id(request->nodes, request->node_count, facts->nodes[node].id))
		return false;
	for (size_t i = 0; i < facts->cpu_count && request->whole_nodes; i++)
		if (facts->cpus[i].node == node && is_held(held, facts->cpus[i].id))
			return false;
	return true;
}

bool cpu_usable(const struct axhost_facts *facts, const struct axplace_request *request,
		const struct axplace_held *held, uint32_t most_holders, uint32_t index)
{
	const struct axhost_cpu *cpu = &facts->cpus[index];

	return cpu->online && cpu->allowed && cpu->node < facts->node_count &&
	       !has_id(request->keep_free, request->keep_free_count, cpu->id) &&
	       holders_of(held, cpu->id) <= most_holders &&
	       node_may(facts, request, held, cpu->node);
}

uint64_t granule_of(enum axas_backing backing)
{
	return backing == AXAS_BACKING_HUGETLB_1G ? GIB : 2 * MIB;
}

uint64_t page_of(enum axas_backing backing)
{
	return backing == AXAS_BACKING_HUGETLB_1G   ? GIB
	       : backing == AXAS_BACKING_HUGETLB_2M ? 2 * MIB
						    : 4096;
}

uint64_t room_of(const struct axhost_facts *facts, const struct axplace_request *request,
		 const struct axplace_held *held, uint32_t node, enum axas_backing backing)
{
	const struct axhost_node *n = &facts->nodes[node];
	uint64_t page = page_of(backing), held_bytes = 0, room = 0;

	if (!n->allowed || !node_may(facts, request, held, node))
		return 0;
	for (size_t i = 0; held && i < held->memory_count; i++) {
		uint64_t size = held->memory[i].page_size_bytes;

		if (held->memory[i].node == n->id &&
		    (size == page || (page == 4096 && size < 2 * MIB)))
			held_bytes += held->memory[i].bytes;
	}
	if (page == 4096) {
		if (facts->memory_limit_bytes &&
		    request->memory_bytes + facts->memory_limit_used_bytes >
			    facts->memory_limit_bytes)
			return 0;
		if (backing == AXAS_BACKING_THP && !facts->thp)
			return 0;
		room = n->memory_free_bytes;
		held_bytes += n->memory_bytes / 64;
		held_bytes += n->memory_bytes < 512 * MIB ? n->memory_bytes / 8 : 64 * MIB;
	}
	for (size_t i = 0; i < n->pool_count && page > 4096; i++)
		if (n->pools[i].page_size_bytes == page) {
			room = n->pools[i].free * page;
			held_bytes = (held_bytes + page - 1) / page * page;
		}
	return room > held_bytes ? room - held_bytes : 0;
}

uint64_t least_of(const struct axplace_request *request, enum axas_backing backing)
{
	uint64_t unit = granule_of(backing), least = unit > 64 * MIB ? unit : 64 * MIB;
	uint64_t all = (request->memory_bytes + unit - 1) / unit * unit;

	return all < least ? all : least;
}

uint32_t page_steps(enum axas_backing wanted, enum axas_backing backing)
{
	static const enum axas_backing down[] = {AXAS_BACKING_HUGETLB_1G, AXAS_BACKING_HUGETLB_2M,
						 AXAS_BACKING_THP, AXAS_BACKING_ANON};
	uint32_t from = 4, to = 4;

	for (uint32_t i = 0; i < 4; i++) {
		from = down[i] == wanted ? i : from;
		to = down[i] == backing ? i : to;
	}
	if (wanted == backing)
		return 0;
	return from < 4 && to < 4 && to > from ? to - from : UINT32_MAX;
}

void cost_of(const struct axhost_facts *facts, const struct axplace_request *request,
	     const struct axplace_held *held, uint32_t most_holders, const uint32_t *cpus,
	     const bool *memory, uint32_t pages, uint32_t *ret_cost)
{
	uint32_t nodes = (uint32_t)facts->node_count, used = 0, with_vcpus = 0, cores = 0;
	uint32_t *c = ret_cost, distinct = 0;
	bool alone = true;

	memset(c, 0, AXPLACE_COSTS * sizeof(*c));
	c[AXPLACE_COST_PAGES] = pages;
	for (uint32_t n = 0; n < nodes; n++) {
		uint32_t here = 0, usable = 0, home = UINT32_MAX;
		bool housekeeping = false;

		for (uint32_t v = 0; v < request->vcpus; v++)
			here += facts->cpus[cpus[v]].node == n;
		if (!here && !memory[n])
			continue;
		used++;
		for (uint32_t k = 0; k < nodes; k++) {
			bool uses = memory[k];

			for (uint32_t v = 0; v < request->vcpus; v++)
				uses |= facts->cpus[cpus[v]].node == k;
			if (k != n && uses)
				c[AXPLACE_COST_DISTANCE] += far_from(facts, n, k);
			if (memory[k] && (home == UINT32_MAX ||
					  far_from(facts, n, k) < far_from(facts, n, home)))
				home = k;
		}
		c[AXPLACE_COST_LOPSIDED] += !here + !memory[n];
		if (!here)
			continue;
		with_vcpus++;
		if (memory[n])
			home = n;
		c[AXPLACE_COST_REMOTE] += here * far_from(facts, n, home);
		c[AXPLACE_COST_UNEVEN] += here * here;
		for (uint32_t i = 0; i < facts->cpu_count; i++) {
			bool core_used = false;

			if (facts->cpus[i].node != n ||
			    !cpu_usable(facts, request, held, most_holders, i))
				continue;
			usable++;
			for (uint32_t v = 0; v < request->vcpus; v++)
				core_used |= facts->cpus[cpus[v]].core == facts->cpus[i].core;
			housekeeping |= !core_used;
		}
		c[AXPLACE_COST_HOUSEKEEPING] += !housekeeping;
		c[AXPLACE_COST_LEFT_OVER] += usable > here ? usable - here : 0;
	}
	for (uint32_t v = 0; v < request->vcpus; v++) {
		const struct axhost_cpu *cpu = &facts->cpus[cpus[v]];
		bool core = true, cache = true, mine = true, stranger = false;

		for (uint32_t u = 0; u < v; u++) {
			const struct axhost_cpu *other = &facts->cpus[cpus[u]];

			core &= other->core != cpu->core;
			cache &= other->node != cpu->node || other->llc != cpu->llc;
			mine &= other != cpu;
		}
		for (uint32_t i = 0; i < facts->cpu_count; i++) {
			stranger |= facts->cpus[i].online && facts->cpus[i].core == cpu->core &&
				    is_held(held, facts->cpus[i].id);
			c[AXPLACE_COST_BOOT_CORE] += facts->cpus[i].online && !facts->cpus[i].id &&
						     facts->cpus[i].core == cpu->core;
		}
		cores += core;
		alone &= core && !stranger;
		distinct += mine;
		c[AXPLACE_COST_CACHES] += cache;
		c[AXPLACE_COST_STRANGERS] += stranger;
		c[AXPLACE_COST_UNISOLATED] += !cpu->isolated;
	}
	c[AXPLACE_COST_OVERCOMMIT] = request->vcpus - distinct;
	c[AXPLACE_COST_NODES] = request->spread == AXPLACE_SPREAD ? nodes - with_vcpus : used;
	c[AXPLACE_COST_CORES] = request->cores == AXPLACE_CORES_SMT ? cores : alone ? 0 : 1 + cores;
}

bool core_of_its_own(const struct axhost_facts *facts, const struct axplace_held *held,
		     const uint32_t *cpus, uint32_t vcpus)
{
	for (uint32_t v = 0; v < vcpus; v++) {
		uint32_t core = facts->cpus[cpus[v]].core;

		for (uint32_t u = 0; u < v; u++)
			if (facts->cpus[cpus[u]].core == core)
				return false;
		for (uint32_t i = 0; i < facts->cpu_count; i++)
			if (facts->cpus[i].online && facts->cpus[i].core == core &&
			    is_held(held, facts->cpus[i].id))
				return false;
	}
	return true;
}

static bool memory_fits(const struct axhost_facts *facts, const struct axplace_request *request,
			const struct axplace_held *held, const bool *memory,
			enum axas_backing backing)
{
	uint64_t unit = granule_of(backing), units = (request->memory_bytes + unit - 1) / unit;
	uint64_t room = 0, count = 0, least = least_of(request, backing);

	if (request->memory_bytes % page_of(backing))
		return false;
	for (uint32_t n = 0; n < facts->node_count; n++) {
		uint64_t here = room_of(facts, request, held, n, backing) / unit;

		if (!memory[n])
			continue;
		if (here * unit < least)
			return false;
		room += here;
		count++;
	}
	return count && (count == 1 || count * least <= request->memory_bytes) && room >= units;
}

bool brute_force(const struct axhost_facts *facts, const struct axprof *profile,
		 const struct axplace_request *request, const struct axplace_held *held,
		 uint32_t *ret_cost)
{
	bool found = false;

	for (uint32_t set = 1; set < 1U << facts->cpu_count; set++) {
		uint32_t cpus[16], count = 0;

		if ((uint32_t)__builtin_popcount(set) != request->vcpus)
			continue;
		for (uint32_t i = 0; i < facts->cpu_count; i++)
			if (set >> i & 1 && cpu_usable(facts, request, held, 0, i))
				cpus[count++] = i;
		if (count != request->vcpus)
			continue;
		if ((request->cores == AXPLACE_CORES_OWN ||
		     (request->cores == AXPLACE_CORES_AUTO && !profile->siblings)) &&
		    !core_of_its_own(facts, held, cpus, count))
			continue;
		for (uint32_t nodes = 1; nodes < 1U << facts->node_count; nodes++) {
			bool memory[8];
			uint32_t used = nodes;

			for (uint32_t n = 0; n < facts->node_count; n++)
				memory[n] = nodes >> n & 1;
			for (uint32_t v = 0; v < count; v++)
				used |= 1U << facts->cpus[cpus[v]].node;
			if (request->max_nodes &&
			    (uint32_t)__builtin_popcount(used) > request->max_nodes)
				continue;
			for (int b = AXAS_BACKING_ANON; b <= AXAS_BACKING_FILE; b++) {
				uint32_t steps = page_steps(request->backing, (enum axas_backing)b);
				uint32_t cost[AXPLACE_COSTS];

				if (steps == UINT32_MAX || (steps && request->backing_is_must) ||
				    !memory_fits(facts, request, held, memory,
						 (enum axas_backing)b))
					continue;
				cost_of(facts, request, held, 0, cpus, memory, steps, cost);
				for (size_t i = 0; i < AXPLACE_COSTS && found; i++) {
					if (cost[i] == ret_cost[i])
						continue;
					if (cost[i] < ret_cost[i])
						found = false;
					break;
				}
				if (!found)
					memcpy(ret_cost, cost, sizeof(cost));
				found = true;
			}
		}
	}
	return found;
}
