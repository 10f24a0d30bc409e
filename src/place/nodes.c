/*
 * Which nodes, and how many vCPUs on each: every set of nodes that sets.c proposes is given its
 * best division, and the cheapest plan wins. Of equal ones the first proposed does, so that the
 * order of sets is the last tie-break.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct search {
	struct place *p;
	struct choice *best, *second, try;
	const uint32_t *set;
	uint32_t count;
	struct table *items; /* of the nodes of a set */
	struct sum *sums;    /* node_count rows of vcpus + 1 */
	uint32_t *capable;
};

int axplace_choice_init(const struct place *p, struct choice *choice)
{
	*choice = (struct choice){0};
	choice->vcpus = calloc(p->facts->node_count, sizeof(*choice->vcpus));
	choice->memory = calloc(p->facts->node_count, sizeof(*choice->memory));
	return choice->vcpus && choice->memory ? 0 : -ENOMEM;
}

void axplace_choice_finish(struct choice *choice)
{
	free(choice->vcpus);
	free(choice->memory);
	*choice = (struct choice){0};
}

bool axplace_uses(const struct choice *choice, uint32_t node)
{
	return choice->vcpus[node] || choice->memory[node];
}

static void copy(const struct place *p, struct choice *to, const struct choice *from)
{
	struct choice old = *to;

	*to = *from;
	to->vcpus = old.vcpus;
	to->memory = old.memory;
	memcpy(to->vcpus, from->vcpus, p->facts->node_count * sizeof(*to->vcpus));
	memcpy(to->memory, from->memory, p->facts->node_count * sizeof(*to->memory));
}

static int compare_cost(const uint32_t *a, const uint32_t *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static bool same_nodes(const struct place *p, const struct choice *a, const struct choice *b)
{
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (axplace_uses(a, i) != axplace_uses(b, i))
			return false;
	return true;
}

static void offer(struct search *s)
{
	struct choice *best = s->best, *second = s->second;

	s->try.found = true;
	if (!best->found || compare_cost(s->try.cost, best->cost, AXPLACE_COSTS) < 0) {
		if (best->found && !same_nodes(s->p, best, &s->try))
			copy(s->p, second, best);
		copy(s->p, best, &s->try);
		return;
	}
	if (!same_nodes(s->p, best, &s->try) &&
	    (!second->found || compare_cost(s->try.cost, second->cost, AXPLACE_COSTS) < 0))
		copy(s->p, second, &s->try);
}

/* What n vCPUs on a node of the set cost, with all that depends on n. */
static struct sum whole_sum(const struct node *node, uint32_t n, struct sum sum, uint32_t distance)
{
	uint32_t cost[AXPLACE_COSTS] = {0};

	axplace_sum_to_cost(sum, cost);
	sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_REMOTE), (uint64_t)n * distance);
	sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_UNEVEN), (uint64_t)n * n);
	if (cost[AXPLACE_COST_CORES] >= node->core_count)
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_HOUSEKEEPING), 1);
	if (node->cpu_count > n)
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_LEFT_OVER),
				      node->cpu_count - n);
	return sum;
}

static void fill_items(struct search *s)
{
	const struct place *p = s->p;
	uint32_t vcpus = p->request.vcpus;

	for (uint32_t i = 0; i < s->count; i++) {
		const struct node *node = &p->nodes[s->set[i]];
		const struct table *own = axplace_node_table(node, s->try.mode);
		uint32_t home = axplace_home(p, s->try.memory, s->set[i]);
		uint32_t distance = axplace_distance(p->facts, s->set[i], home);
		struct table *item = &s->items[i];

		item->at = s->sums + (size_t)i * (vcpus + 1UL);
		item->cap = own->cap;
		for (uint32_t n = 0; n <= own->cap; n++) {
			item->at[n] = own->at[n];
			if (own->at[n].word[0] == UINT64_MAX)
				continue;
			if (n)
				item->at[n] = whole_sum(node, n, own->at[n], distance);
			else if (s->try.memory[s->set[i]])
				item->at[n] = axplace_term(AXPLACE_COST_LOPSIDED);
			else /* neither vCPUs nor memory: then the set without it is tried */
				item->at[n] = axplace_sum_impossible;
		}
	}
}

/* The terms that are no sums over nodes. */
static void finish_cost(const struct place *p, struct choice *try)
{
	uint32_t used = 0, with_vcpus = 0, distance = 0, *cost = try->cost;
	bool own = cost[AXPLACE_COST_CORES] == p->request.vcpus && !cost[AXPLACE_COST_STRANGERS];

	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		if (!axplace_uses(try, i))
			continue;
		used++;
		with_vcpus += try->vcpus[i] > 0;
		cost[AXPLACE_COST_LOPSIDED] += !try->memory[i];
		for (uint32_t k = 0; k < p->facts->node_count; k++)
			if (k != i && axplace_uses(try, k))
				distance += axplace_distance(p->facts, i, k);
	}
	cost[AXPLACE_COST_NODES] = p->request.spread == AXPLACE_SPREAD
					   ? (uint32_t)p->facts->node_count - with_vcpus
					   : used;
	cost[AXPLACE_COST_DISTANCE] = distance;
	cost[AXPLACE_COST_PAGES] = try->level;
	if (p->request.cores != AXPLACE_CORES_SMT)
		cost[AXPLACE_COST_CORES] = own ? 0 : 1 + cost[AXPLACE_COST_CORES];
	cost[AXPLACE_COST_OVERCOMMIT] = p->shared_vcpus;
}

static int divide_vcpus(struct search *s)
{
	const struct place *p = s->p;
	struct split split;
	uint64_t cap = 0;
	uint32_t n = p->request.vcpus;

	fill_items(s);
	for (uint32_t i = 0; i < s->count; i++)
		cap += s->items[i].cap;
	if (cap < n)
		return 0;
	if (axplace_split(&split, s->items, s->count, n, true))
		return -ENOMEM;
	if (split.sum.at[n].word[0] != UINT64_MAX) {
		memset(s->try.cost, 0, sizeof(s->try.cost));
		memset(s->try.vcpus, 0, p->facts->node_count * sizeof(*s->try.vcpus));
		axplace_sum_to_cost(split.sum.at[n], s->try.cost);
		for (uint32_t i = 0; i < s->count; i++) {
			uint32_t here = split.take[(size_t)i * (split.sum.cap + 1UL) + n];

			s->try.vcpus[s->set[i]] = here;
			n -= here;
		}
		finish_cost(p, &s->try);
		offer(s);
	}
	axplace_split_free(&split);
	return 0;
}

/* All modes that the request allows, for the memory nodes of s->try. */
static int try_modes(struct search *s)
{
	struct place *p = s->p;
	enum axplace_cores cores = p->request.cores;
	bool allowed[PLACE_MODES] = {
		[PLACE_OWN] = !p->fixed && cores != AXPLACE_CORES_SMT,
		[PLACE_SMT] = !p->fixed && (cores == AXPLACE_CORES_SMT ||
					    (cores == AXPLACE_CORES_AUTO && p->profile->siblings)),
		[PLACE_FIXED] = p->fixed,
	};
	int r = 0;

	for (int mode = 0; mode < PLACE_MODES && !r; mode++) {
		uint64_t cap = 0;

		for (uint32_t i = 0; i < s->count && allowed[mode] && !r; i++) {
			struct node *node = &p->nodes[s->set[i]];

			if (mode != PLACE_FIXED)
				r = axplace_build_node(p, node, mode);
			cap += r ? 0 : axplace_node_table(node, mode)->cap;
		}
		s->try.mode = mode;
		if (!r && cap >= p->request.vcpus)
			r = divide_vcpus(s);
	}
	return r;
}

static bool has_room(const struct search *s, uint64_t units)
{
	const struct place *p = s->p;
	uint64_t granule = axplace_granule(p->levels[s->try.level]), room = 0;

	for (uint32_t i = 0; i < s->count; i++)
		if (s->try.memory[s->set[i]])
			room += p->nodes[s->set[i]].room[s->try.level] / granule;
	return room >= units;
}

/* Each way to take `count` of the capable nodes; of many nodes, the first ones only. */
static int try_memory(struct search *s, uint32_t capable, uint32_t count, uint64_t units)
{
	uint32_t sets = capable <= PLACE_EXACT_NODES ? 1U << capable : 2;
	bool *memory = s->try.memory;
	int r = 0;

	for (uint32_t set = 1; set < sets && !r; set++) {
		bool few = capable <= PLACE_EXACT_NODES;

		if (few && (uint32_t)__builtin_popcount(set) != count)
			continue;
		memset(memory, 0, s->p->facts->node_count * sizeof(*memory));
		for (uint32_t i = 0; i < capable; i++)
			memory[s->capable[i]] = few ? set >> i & 1 : i < count;
		if (has_room(s, units))
			r = try_modes(s);
	}
	return r;
}

static int try_set(void *ctx, const uint32_t *nodes, uint32_t count, const uint32_t bound[2])
{
	struct search *s = ctx;
	struct place *p = s->p;
	int r = 0;

	if (p->overcommit) {
		if (!axplace_overcommit(p, nodes, count))
			return 0;
		r = axplace_fix(p);
	}
	/* Where CPUs are short their number comes before that of nodes. */
	if (!p->overcommit && s->best->found && s->second->found &&
	    compare_cost(bound, s->second->cost + AXPLACE_COST_NODES, 2) > 0)
		return 0;
	s->set = nodes;
	s->count = count;
	for (uint32_t level = 0; level < p->level_count && !r; level++) {
		uint64_t units = axplace_units(p, level), least = axplace_least(p, level);
		uint32_t capable = 0, wanted;

		for (uint32_t i = 0; i < count; i++)
			if (p->nodes[nodes[i]].room[level] >= least)
				s->capable[capable++] = nodes[i];
		if (!units || !capable)
			continue;
		s->try.level = level;
		wanted = axplace_memory_nodes(p, level, capable);
		r = try_memory(s, capable, wanted, units);
		/* All the set's nodes have memory: smaller pages can only be worse. */
		if (wanted == count && has_room(s, units))
			break;
	}
	return r;
}

int axplace_search(struct place *p, struct choice *best, struct choice *second)
{
	struct search s = {.p = p, .best = best, .second = second};
	size_t nodes = p->facts->node_count;
	int r = -ENOMEM;

	s.items = calloc(nodes, sizeof(*s.items));
	s.capable = calloc(nodes, sizeof(*s.capable));
	s.sums = malloc(nodes * (p->request.vcpus + 1UL) * sizeof(*s.sums));
	if (!axplace_choice_init(p, &s.try) && s.items && s.capable && s.sums)
		r = axplace_each_set(p, try_set, &s);
	axplace_choice_finish(&s.try);
	free(s.items);
	free(s.capable);
	free(s.sums);
	return r;
}
