/*
 * Which CPUs of a node: for every number of vCPUs the cheapest division over its last level
 * caches, and over the cores of each. The same exact division (axplace_split) serves nodes.c one
 * level up. What a node costs in a plan, and why, is nodes.c's.
 */
#include "private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct sum axplace_sum_impossible = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}};

/* Where the terms of a cost stand in a sum: in their order, so that sums compare as costs. */
static const struct {
	uint8_t word, shift, bits;
} fields[AXPLACE_COSTS] = {
	[AXPLACE_COST_LOPSIDED] = {0, 48, 16},     [AXPLACE_COST_CORES] = {0, 32, 16},
	[AXPLACE_COST_REMOTE] = {0, 0, 32},        [AXPLACE_COST_STRANGERS] = {1, 48, 16},
	[AXPLACE_COST_HOUSEKEEPING] = {1, 32, 16}, [AXPLACE_COST_CACHES] = {1, 16, 16},
	[AXPLACE_COST_UNISOLATED] = {1, 0, 16},    [AXPLACE_COST_UNEVEN] = {2, 32, 32},
	[AXPLACE_COST_BOOT_CORE] = {2, 16, 16},    [AXPLACE_COST_LEFT_OVER] = {2, 0, 16},
};

struct sum axplace_term(enum axplace_cost term)
{
	struct sum sum = {{0}};

	sum.word[fields[term].word] = UINT64_C(1) << fields[term].shift;
	return sum;
}

struct sum axplace_sum_add(struct sum a, struct sum b, uint64_t times)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(a.word); i++)
		a.word[i] += b.word[i] * times;
	return a;
}

int axplace_sum_compare(struct sum a, struct sum b)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(a.word); i++)
		if (a.word[i] != b.word[i])
			return a.word[i] < b.word[i] ? -1 : 1;
	return 0;
}

void axplace_sum_to_cost(struct sum sum, uint32_t *cost)
{
	for (size_t i = 0; i < AXPLACE_COSTS; i++)
		if (fields[i].bits)
			cost[i] = (uint32_t)(sum.word[fields[i].word] >> fields[i].shift &
					     ((UINT64_C(1) << fields[i].bits) - 1));
}

static bool impossible(const struct sum *sum)
{
	return sum->word[0] == UINT64_MAX;
}

static void split_row(const struct table *item, const struct table *rest, struct table *both,
		      uint16_t *take, bool few_first)
{
	uint32_t first = 0;

	assert(item->at && rest->at);
	/* Of fixed vCPUs an item has all or none. */
	while (first < item->cap && impossible(&item->at[first]))
		first++;
	for (uint32_t n = 0; n <= both->cap; n++) {
		uint32_t least = n > rest->cap ? n - rest->cap : 0;
		uint32_t most = item->cap < n ? item->cap : n;

		least = least > first ? least : first;
		both->at[n] = axplace_sum_impossible;
		for (uint32_t i = least; i <= most; i++) {
			uint32_t t = few_first ? i : least + most - i;

			if (impossible(&item->at[t]) || impossible(&rest->at[n - t]))
				continue;
			struct sum sum = axplace_sum_add(item->at[t], rest->at[n - t], 1);
			if (axplace_sum_compare(sum, both->at[n]) < 0) {
				both->at[n] = sum;
				take[n] = (uint16_t)t;
			}
		}
	}
}

int axplace_split(struct split *ret_split, const struct table *items, uint32_t count,
		  uint32_t limit, bool few_first)
{
	struct split split = {.item_count = count};
	struct table rest = {0}, both = {0};
	uint64_t cap = 0;

	for (uint32_t i = 0; i < count; i++)
		cap += items[i].cap;
	split.sum.cap = cap < limit ? (uint32_t)cap : limit;
	rest.at = malloc((split.sum.cap + 1UL) * sizeof(*rest.at));
	both.at = malloc((split.sum.cap + 1UL) * sizeof(*both.at));
	split.take = calloc(count + 1UL, (split.sum.cap + 1UL) * sizeof(*split.take));
	if (!rest.at || !both.at || !split.take) {
		free(rest.at);
		free(both.at);
		free(split.take);
		return -ENOMEM;
	}
	/* From the last item on, so that the first one decides among equals. */
	rest.at[0] = (struct sum){{0}};
	for (uint32_t i = count; i-- > 0;) {
		cap = (uint64_t)rest.cap + items[i].cap;
		both.cap = cap < limit ? (uint32_t)cap : limit;
		split_row(&items[i], &rest, &both, split.take + (size_t)i * (split.sum.cap + 1UL),
			  few_first);
		struct table swap = rest;
		rest = both;
		both = swap;
	}
	free(both.at);
	split.sum = rest;
	*ret_split = split;
	return 0;
}

void axplace_split_free(struct split *split)
{
	free(split->sum.at);
	free(split->take);
	*split = (struct split){0};
}

/* What t vCPUs on a core cost: its best CPUs come first. */
static struct sum core_sum(const struct place *p, const struct core *core, uint32_t count)
{
	struct sum sum = {{0}};

	if (!count)
		return sum;
	sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_CORES), 1);
	for (uint32_t t = 0; t < count; t++)
		if (!p->facts->cpus[core->cpus[t]].isolated)
			sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_UNISOLATED), 1);
	if (core->stranger)
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_STRANGERS), count);
	if (core->boot)
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_BOOT_CORE), count);
	return sum;
}

static int build_cache(const struct place *p, const struct node *node, uint32_t cache, int mode,
		       struct split *ret_split)
{
	uint32_t first = node->caches[cache], end = node->caches[cache + 1], widest = 0;
	struct table *items;
	struct sum *sums;
	int r = -ENOMEM;

	for (uint32_t i = first; i < end; i++)
		if (node->cores[i].cpu_count > widest)
			widest = node->cores[i].cpu_count;
	items = calloc(end - first, sizeof(*items));
	sums = calloc((size_t)(end - first) * (widest + 1UL), sizeof(*sums));
	if (items && sums) {
		for (uint32_t i = first; i < end; i++) {
			const struct core *core = &node->cores[i];
			struct table *item = &items[i - first];

			item->at = sums + (size_t)(i - first) * (widest + 1UL);
			item->cap = mode == PLACE_SMT ? core->cpu_count : !core->stranger;
			for (uint32_t t = 0; t <= item->cap; t++)
				item->at[t] = core_sum(p, core, t);
		}
		r = axplace_split(ret_split, items, end - first, p->request.vcpus, false);
	}
	free(items);
	free(sums);
	return r;
}

/* A cache that is used counts, so that vCPUs stay together below one where they can. */
static void charge_cache(struct split *split)
{
	for (uint32_t n = 1; n <= split->sum.cap; n++)
		if (!impossible(&split->sum.at[n]))
			split->sum.at[n] = axplace_sum_add(split->sum.at[n],
							   axplace_term(AXPLACE_COST_CACHES), 1);
}

int axplace_build_node(const struct place *p, struct node *node, int mode)
{
	struct node_mode *m = &node->mode[mode];
	struct table *items;
	int r = 0;

	if (m->built)
		return 0;
	m->caches = calloc(node->cache_count + 1UL, sizeof(*m->caches));
	items = calloc(node->cache_count + 1UL, sizeof(*items));
	if (!m->caches || !items)
		r = -ENOMEM;
	for (uint32_t i = 0; i < node->cache_count && !r; i++) {
		r = build_cache(p, node, i, mode, &m->caches[i]);
		if (r)
			break;
		charge_cache(&m->caches[i]);
		items[i] = m->caches[i].sum;
	}
	if (!r)
		r = axplace_split(&m->top, items, node->cache_count, p->request.vcpus, false);
	m->built = !r;
	free(items);
	return r;
}

const struct table *axplace_node_table(const struct node *node, int mode)
{
	return mode == PLACE_FIXED ? &node->fixed : &node->mode[mode].top.sum;
}

uint32_t *axplace_pick(const struct node *node, int mode, uint32_t count, uint32_t *ret_cpus)
{
	const struct node_mode *m = &node->mode[mode];

	for (uint32_t i = 0; i < node->cache_count; i++) {
		const struct split *cache = &m->caches[i];
		uint32_t here = m->top.take[(size_t)i * (m->top.sum.cap + 1UL) + count];

		count -= here;
		for (uint32_t c = 0; c < cache->item_count; c++) {
			uint32_t n = cache->take[(size_t)c * (cache->sum.cap + 1UL) + here];
			const struct core *core = &node->cores[node->caches[i] + c];

			here -= n;
			memcpy(ret_cpus, core->cpus, n * sizeof(*ret_cpus));
			ret_cpus += n;
		}
	}
	return ret_cpus;
}

/* The node's part of p->fixed; load: vCPUs on each CPU of the host. */
static struct sum fixed_sum(const struct place *p, const struct node *node, const uint32_t *load,
			    uint32_t *ret_count)
{
	const struct core *last = NULL; /* with vCPUs; cores stand by cache */
	struct sum sum = {{0}};

	*ret_count = 0;
	for (uint32_t c = 0; c < node->core_count; c++) {
		const struct core *core = &node->cores[c];
		uint32_t here = 0, unisolated = 0;

		for (uint32_t i = 0; i < core->cpu_count; i++) {
			uint32_t vcpus = load[core->cpus[i]];

			here += vcpus;
			unisolated += p->facts->cpus[core->cpus[i]].isolated ? 0 : vcpus;
		}
		if (!here)
			continue;
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_CORES), 1);
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_CACHES),
				      !last || last->llc != core->llc);
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_UNISOLATED), unisolated);
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_STRANGERS),
				      core->stranger ? here : 0);
		sum = axplace_sum_add(sum, axplace_term(AXPLACE_COST_BOOT_CORE),
				      core->boot ? here : 0);
		*ret_count += here;
		last = core;
	}
	return sum;
}

int axplace_fix(struct place *p)
{
	AX_AUTO_FREE uint32_t *load = calloc(p->facts->cpu_count, sizeof(*load));

	if (!load)
		return -ENOMEM;
	for (uint32_t v = 0; v < p->request.vcpus; v++)
		load[p->fixed[v]]++;
	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		struct node *node = &p->nodes[i];
		struct table fixed = {0};
		struct sum sum = fixed_sum(p, node, load, &fixed.cap);

		free(node->fixed.at);
		node->fixed = fixed;
		node->fixed.at = calloc(fixed.cap + 1UL, sizeof(*fixed.at));
		if (!node->fixed.at)
			return -ENOMEM;
		for (uint32_t n = 0; n < fixed.cap; n++)
			node->fixed.at[n] = axplace_sum_impossible;
		node->fixed.at[fixed.cap] = sum;
	}
	return 0;
}
