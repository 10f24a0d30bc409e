/*
 * Sets of nodes worth trying: all of them while few nodes are of use, otherwise one grown from each
 * node by the nearest ones. The least costly are proposed first, by what nodes alone decide.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

/* CPUs that vCPUs could get on the node. */
static uint32_t room_for_vcpus(const struct place *p, uint32_t node)
{
	uint32_t count = 0;

	if (p->pinned)
		return p->nodes[node].fixed.cap;
	if (p->request.cores != AXPLACE_CORES_OWN &&
	    (p->request.cores == AXPLACE_CORES_SMT || p->profile->siblings))
		return p->nodes[node].cpu_count;
	for (uint32_t i = 0; i < p->nodes[node].core_count; i++)
		count += !p->nodes[node].cores[i].stranger;
	return count;
}

static uint64_t most_room(const struct place *p, uint32_t node)
{
	uint64_t most = 0;

	for (uint32_t l = 0; l < p->level_count; l++)
		if (p->nodes[node].room[l] > most &&
		    p->nodes[node].room[l] >= axplace_granule(p->levels[l]))
			most = p->nodes[node].room[l];
	return most;
}

static uint32_t most_nodes(const struct place *p)
{
	return p->request.max_nodes ? p->request.max_nodes : UINT32_MAX;
}

void axplace_set_bound(const struct place *p, const uint32_t *nodes, uint32_t count,
		       uint32_t ret_bound[2])
{
	uint32_t with_cpus = 0, distance = 0;

	for (uint32_t i = 0; i < count; i++) {
		with_cpus += room_for_vcpus(p, nodes[i]) > 0;
		for (uint32_t k = 0; k < count; k++)
			if (k != i)
				distance += axplace_distance(p->facts, nodes[i], nodes[k]);
	}
	if (with_cpus > p->request.vcpus)
		with_cpus = p->request.vcpus;
	ret_bound[0] = p->request.spread == AXPLACE_SPREAD
			       ? (uint32_t)p->facts->node_count - with_cpus
			       : count;
	ret_bound[1] = distance;
}

struct subset {
	uint32_t bound[2], mask;
};

static int compare_subsets(const void *a, const void *b)
{
	const struct subset *x = a, *y = b;

	for (int i = 0; i < 2; i++)
		if (x->bound[i] != y->bound[i])
			return x->bound[i] < y->bound[i] ? -1 : 1;
	/* Lowest ids first: the first node in which they differ is in the better one. */
	uint32_t differ = x->mask ^ y->mask;
	return x->mask & (differ & -differ) ? -1 : 1;
}

static int every_set(struct place *p, const uint32_t *useful, uint32_t count, axplace_set_fn *fn,
		     void *ctx)
{
	struct subset subsets[1 << PLACE_EXACT_NODES];
	uint32_t set[PLACE_EXACT_NODES], total = 0, size;
	int r = 0;

	for (uint32_t mask = 1; mask < 1U << count; mask++) {
		if ((uint32_t)__builtin_popcount(mask) > most_nodes(p))
			continue;
		size = 0;
		for (uint32_t i = 0; i < count; i++)
			if (mask >> i & 1)
				set[size++] = useful[i];
		subsets[total].mask = mask;
		axplace_set_bound(p, set, size, subsets[total++].bound);
	}
	qsort(subsets, total, sizeof(*subsets), compare_subsets);
	for (uint32_t s = 0; s < total && !r; s++) {
		size = 0;
		for (uint32_t i = 0; i < count; i++)
			if (subsets[s].mask >> i & 1)
				set[size++] = useful[i];
		r = fn(ctx, set, size);
	}
	return r;
}

struct growth {
	uint64_t memory, cpus;
	uint32_t with_cpus, size;
};

static void grow_by(const struct place *p, struct growth *g, bool *in, uint32_t node)
{
	in[node] = true;
	g->size++;
	g->memory += most_room(p, node);
	g->cpus += room_for_vcpus(p, node);
	g->with_cpus += room_for_vcpus(p, node) > 0;
}

/* The nearest node, to all that are in, which has what is still missing. */
static uint32_t nearest(const struct place *p, const bool *in, bool cpus, bool memory)
{
	uint32_t best = PLACE_NONE;
	uint64_t best_distance = 0;

	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		uint64_t distance = 0;

		if (in[i] || !((cpus && room_for_vcpus(p, i)) || (memory && most_room(p, i))))
			continue;
		for (uint32_t k = 0; k < p->facts->node_count; k++)
			if (in[k])
				distance += axplace_distance(p->facts, i, k) +
					    axplace_distance(p->facts, k, i);
		if (best == PLACE_NONE || distance < best_distance) {
			best = i;
			best_distance = distance;
		}
	}
	return best;
}

/* From `start` on; *ret_size is that of the set grown before, and starts that end in the same set
 * as the one before are not tried again. */
static int grow(struct place *p, uint32_t start, bool *in, uint32_t *set, uint32_t *ret_size,
		axplace_set_fn *fn, void *ctx)
{
	struct growth g = {0};
	uint32_t next = start, size = 0;
	bool same = true;

	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		in[i] = false;
		/* Fixed vCPUs bring their nodes. */
		if (p->pinned && p->nodes[i].fixed.cap)
			grow_by(p, &g, in, i);
	}
	while (next != PLACE_NONE && g.size < most_nodes(p)) {
		if (!in[next])
			grow_by(p, &g, in, next);
		bool cpus = g.cpus < p->request.vcpus ||
			    (p->request.spread == AXPLACE_SPREAD && g.with_cpus < p->request.vcpus);
		bool memory = g.memory < p->request.memory_bytes;
		next = cpus || memory ? nearest(p, in, cpus, memory) : PLACE_NONE;
	}
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (in[i]) {
			same &= size < *ret_size && set[size] == i;
			set[size++] = i;
		}
	same &= size == *ret_size;
	*ret_size = size;
	return !same && size <= most_nodes(p) ? fn(ctx, set, size) : 0;
}

static int grow_all(struct place *p, const uint32_t *useful, uint32_t count, axplace_set_fn *fn,
		    void *ctx)
{
	bool *in = calloc(p->facts->node_count, sizeof(*in));
	uint32_t *set = calloc(p->facts->node_count, sizeof(*set));
	uint32_t size = 0;
	int r = in && set ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < count && !r; i++)
		r = grow(p, useful[i], in, set, &size, fn, ctx);
	free(in);
	free(set);
	return r;
}

int axplace_each_set(struct place *p, axplace_set_fn *fn, void *ctx)
{
	uint32_t *useful = calloc(p->facts->node_count, sizeof(*useful)), count = 0;
	int r;

	if (!useful)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (room_for_vcpus(p, i) || most_room(p, i))
			useful[count++] = i;
	if (count <= PLACE_EXACT_NODES)
		r = every_set(p, useful, count, fn, ctx);
	else
		r = grow_all(p, useful, count, fn, ctx);
	free(useful);
	return r;
}
