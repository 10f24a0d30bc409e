/*
 * Sets of nodes worth trying: all of them while few nodes are of use, otherwise some that have
 * enough, grown from each node (grow). The least costly are proposed first, by what nodes alone
 * decide.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct set {
	uint32_t bound[2]; /* the least cost that it can come to, in the first terms */
	uint32_t count;
	uint32_t *nodes; /* ascending; in struct sets */
};

/* Sets of `useful` nodes, while they are collected. */
struct sets {
	const struct place *p;
	uint32_t *useful, useful_count;
	uint32_t *cpus;   /* of each node, that vCPUs could get */
	struct set *sets; /* each has useful_count nodes at most */
	uint32_t *nodes;
	size_t count;
	/* Of the set that is being grown. */
	bool *in;
	uint64_t *far; /* of each node, the distances to and from all that are in */
};

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

/* Bytes that the node could give in pages of this level. */
static uint64_t room_for_memory(const struct place *p, uint32_t node, uint32_t level)
{
	uint64_t room = p->nodes[node].room[level];

	return room >= axplace_least(p, level) ? room : 0;
}

static bool is_useful(const struct sets *s, uint32_t node)
{
	bool useful = s->cpus[node] > 0;

	for (uint32_t l = 0; l < s->p->level_count && !useful; l++)
		useful = room_for_memory(s->p, node, l) > 0;
	return useful;
}

static uint32_t most_nodes(const struct place *p)
{
	return p->request.max_nodes ? p->request.max_nodes : UINT32_MAX;
}

/* ---- collecting and proposing ---------------------------------------------------------------- */

/* The nodes that are in, if they may be so many. */
static void collect(struct sets *s)
{
	const struct place *p = s->p;
	struct set *set = &s->sets[s->count];
	uint32_t with_cpus = 0;

	*set = (struct set){.nodes = s->nodes + s->count * s->useful_count};
	for (uint32_t i = 0; i < s->useful_count; i++)
		if (s->in[s->useful[i]])
			set->nodes[set->count++] = s->useful[i];
	for (uint32_t i = 0; i < set->count; i++) {
		with_cpus += s->cpus[set->nodes[i]] > 0;
		for (uint32_t k = 0; k < set->count; k++)
			if (k != i)
				set->bound[1] +=
					axplace_distance(p->facts, set->nodes[i], set->nodes[k]);
	}
	if (with_cpus > p->request.vcpus)
		with_cpus = p->request.vcpus;
	set->bound[0] = p->request.spread == AXPLACE_SPREAD
				? (uint32_t)p->facts->node_count - with_cpus
				: set->count;
	s->count += set->count <= most_nodes(p);
}

/* By cost, then lowest ids first: the first node in which they differ is in the better one. */
static int compare_sets(const void *a, const void *b)
{
	const struct set *x = a, *y = b;

	for (int i = 0; i < 2; i++)
		if (x->bound[i] != y->bound[i])
			return x->bound[i] < y->bound[i] ? -1 : 1;
	for (uint32_t i = 0; i < x->count && i < y->count; i++)
		if (x->nodes[i] != y->nodes[i])
			return x->nodes[i] < y->nodes[i] ? -1 : 1;
	return (x->count < y->count) - (x->count > y->count);
}

static int propose(const struct sets *s, axplace_set_fn *fn, void *ctx)
{
	int r = 0;

	qsort(s->sets, s->count, sizeof(*s->sets), compare_sets);
	for (size_t i = 0; i < s->count && !r; i++)
		if (!i || compare_sets(&s->sets[i - 1], &s->sets[i]))
			r = fn(ctx, s->sets[i].nodes, s->sets[i].count, s->sets[i].bound);
	return r;
}

static void every_set(struct sets *s)
{
	for (uint32_t mask = 1; mask < 1U << s->useful_count; mask++) {
		for (uint32_t i = 0; i < s->useful_count; i++)
			s->in[s->useful[i]] = mask >> i & 1;
		collect(s);
	}
}

/* ---- growing --------------------------------------------------------------------------------- */

/* What a set has; a VM's memory is of one level. */
struct growth {
	uint32_t level, size, with_cpus;
	uint64_t cpus, memory;
};

/* What it lacks. */
struct lack {
	uint64_t cpus, memory;
	bool nodes; /* to spread over */
};

static struct lack lack_of(const struct sets *s, const struct growth *g)
{
	const struct axplace_request *request = &s->p->request;

	return (struct lack){
		.cpus = request->vcpus > g->cpus ? request->vcpus - g->cpus : 0,
		.memory = request->memory_bytes > g->memory ? request->memory_bytes - g->memory : 0,
		.nodes = request->spread == AXPLACE_SPREAD && g->with_cpus < request->vcpus,
	};
}

static bool is_enough(struct lack lack)
{
	return !lack.cpus && !lack.memory && !lack.nodes;
}

/* The node comes (+1) or goes (-1). */
static void move(struct sets *s, struct growth *g, uint32_t node, int by)
{
	const struct axhost_facts *facts = s->p->facts;
	uint64_t times = (uint64_t)by; /* modulo 2^64 */

	s->in[node] = by > 0;
	g->size += (uint32_t)times;
	g->with_cpus += (uint32_t)times * (s->cpus[node] > 0);
	g->cpus += times * s->cpus[node];
	g->memory += times * room_for_memory(s->p, node, g->level);
	for (uint32_t i = 0; i < s->useful_count; i++) {
		uint32_t at = s->useful[i];

		if (at != node)
			s->far[at] += times * (axplace_distance(facts, at, node) +
					       axplace_distance(facts, node, at));
	}
}

/* How much of that the node has, in thousandths; 0: nothing of use. */
static uint64_t share(const struct sets *s, const struct growth *g, uint32_t node, struct lack lack)
{
	uint64_t cpus = s->cpus[node], memory = room_for_memory(s->p, node, g->level), part = 0;

	if ((lack.cpus || lack.nodes) && cpus)
		part += 1;
	if (lack.cpus)
		part += 1000 * (cpus < lack.cpus ? cpus : lack.cpus) / lack.cpus;
	if (lack.memory && memory)
		part += 1 + 1000 * (memory < lack.memory ? memory : lack.memory) / lack.memory;
	return part;
}

/* Of those that have what is missing the nearest, or the one that has most of it. */
static uint32_t next_node(const struct sets *s, const struct growth *g, struct lack lack, bool near)
{
	uint32_t best = PLACE_NONE;
	uint64_t most = 0;

	for (uint32_t i = 0; i < s->useful_count; i++) {
		uint32_t at = s->useful[i];
		uint64_t part = s->in[at] ? 0 : share(s, g, at, lack);
		bool nearer = best != PLACE_NONE && s->far[at] < s->far[best];

		if (!part)
			continue;
		if (best == PLACE_NONE ||
		    (near ? nearer : part > most || (part == most && nearer))) {
			best = at;
			most = part;
		}
	}
	return best;
}

/* Nodes without which there is enough leave it, those that have least first, then the farthest. */
static void shrink(struct sets *s, struct growth *g)
{
	const struct lack all = {s->p->request.vcpus, s->p->request.memory_bytes, false};
	uint32_t worst;

	do {
		worst = PLACE_NONE;
		for (uint32_t i = 0; i < s->useful_count; i++) {
			uint32_t at = s->useful[i];
			struct growth without = *g;

			if (!s->in[at])
				continue;
			without.cpus -= s->cpus[at];
			without.with_cpus -= s->cpus[at] > 0;
			without.memory -= room_for_memory(s->p, at, g->level);
			if (!is_enough(lack_of(s, &without)))
				continue;
			if (worst == PLACE_NONE || share(s, g, at, all) < share(s, g, worst, all) ||
			    (share(s, g, at, all) == share(s, g, worst, all) &&
			     s->far[at] > s->far[worst]))
				worst = at;
		}
		if (worst != PLACE_NONE)
			move(s, g, worst, -1);
	} while (worst != PLACE_NONE);
}

/* From `start` on until there is enough, or nothing more is of use. */
static void grow(struct sets *s, uint32_t start, uint32_t level, bool near)
{
	const struct place *p = s->p;
	struct growth g = {.level = level};
	uint32_t next = start;

	memset(s->in, 0, p->facts->node_count * sizeof(*s->in));
	memset(s->far, 0, p->facts->node_count * sizeof(*s->far));
	/* Fixed vCPUs bring their nodes. */
	for (uint32_t i = 0; i < p->facts->node_count && p->pinned; i++)
		if (s->cpus[i])
			move(s, &g, i, 1);
	while (next != PLACE_NONE && g.size < most_nodes(p)) {
		if (!s->in[next])
			move(s, &g, next, 1);
		next = next_node(s, &g, lack_of(s, &g), near);
	}
	shrink(s, &g);
	collect(s);
}

static void grow_all(struct sets *s)
{
	for (uint32_t l = 0; l < s->p->level_count; l++)
		for (uint32_t i = 0; axplace_units(s->p, l) && i < s->useful_count; i++) {
			grow(s, s->useful[i], l, true);
			grow(s, s->useful[i], l, false);
		}
}

int axplace_each_set(struct place *p, axplace_set_fn *fn, void *ctx)
{
	size_t nodes = p->facts->node_count, most;
	struct sets s = {
		.p = p,
		.useful = calloc(nodes, sizeof(*s.useful)),
		.cpus = calloc(nodes, sizeof(*s.cpus)),
		.in = calloc(nodes, sizeof(*s.in)),
		.far = calloc(nodes, sizeof(*s.far)),
	};
	int r = -ENOMEM;

	if (s.useful && s.cpus && s.in && s.far) {
		for (uint32_t i = 0; i < nodes; i++)
			s.cpus[i] = room_for_vcpus(p, i);
		for (uint32_t i = 0; i < nodes; i++)
			if (is_useful(&s, i))
				s.useful[s.useful_count++] = i;
		most = s.useful_count <= PLACE_EXACT_NODES ? 1U << s.useful_count
							   : 2UL * p->level_count * s.useful_count;
		s.sets = calloc(most, sizeof(*s.sets));
		s.nodes = calloc(most * (s.useful_count + 1UL), sizeof(*s.nodes));
	}
	if (s.sets && s.nodes) {
		if (s.useful_count <= PLACE_EXACT_NODES)
			every_set(&s);
		else
			grow_all(&s);
		r = propose(&s, fn, ctx);
	}
	free(s.useful);
	free(s.cpus);
	free(s.in);
	free(s.far);
	free(s.sets);
	free(s.nodes);
	return r;
}
