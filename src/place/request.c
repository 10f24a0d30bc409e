/*
 * A request on a host, indexed for the search: which CPUs and nodes may be used, cores and caches
 * of each node, and the room for memory. Decides nothing.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

static bool listed(const uint32_t *ids, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

int axplace_no_memory(struct ax_error *err)
{
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "placement: out of memory");
}

uint32_t axplace_holders(const struct axplace_held *held, size_t index)
{
	return held->holders ? held->holders[index] : 1;
}

static void mark_cpus(struct place *p)
{
	const struct axplace_request *request = &p->request;

	for (size_t i = 0; i < request->keep_free_count; i++)
		p->cpu_flags[axplace_cpu_index(p->facts, request->keep_free[i])] |= PLACE_CPU_KEPT;
	for (size_t i = 0; p->held && i < p->held->cpu_count; i++) {
		uint32_t cpu = axplace_cpu_index(p->facts, p->held->cpus[i]);

		if (cpu == PLACE_NONE)
			continue;
		p->cpu_flags[cpu] |= PLACE_CPU_HELD;
		if (axplace_holders(p->held, i) > p->most_holders)
			p->cpu_flags[cpu] |= PLACE_CPU_FULL;
	}
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		p->nodes[i].eligible =
			!request->node_count ||
			listed(request->nodes, request->node_count, p->facts->nodes[i].id);
	for (size_t i = 0; i < p->facts->cpu_count && request->whole_nodes; i++)
		if ((p->cpu_flags[i] & PLACE_CPU_HELD) &&
		    p->facts->cpus[i].node < p->facts->node_count)
			p->nodes[p->facts->cpus[i].node].eligible = false;
	for (size_t i = 0; i < p->facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &p->facts->cpus[i];

		if (cpu->online && (cpu->allowed || p->any_cpuset) &&
		    cpu->node < p->facts->node_count && p->nodes[cpu->node].eligible &&
		    !(p->cpu_flags[i] & (PLACE_CPU_KEPT | PLACE_CPU_FULL)))
			p->cpu_flags[i] |= PLACE_CPU_USABLE;
	}
}

/* By node, cache, core; isolated first; id. A total order. */
static int compare_cpus(const void *a, const void *b, void *ctx)
{
	const struct axhost_facts *facts = ctx;
	const struct axhost_cpu *x = &facts->cpus[*(const uint32_t *)a];
	const struct axhost_cpu *y = &facts->cpus[*(const uint32_t *)b];
	const uint32_t keys[][2] = {
		{x->node, y->node},           {x->llc, y->llc}, {x->core, y->core},
		{!x->isolated, !y->isolated}, {x->id, y->id},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1] ? -1 : 1;
	return 0;
}

/* Which cores other VMs have CPUs of, and which one CPU 0 is of. */
static void mark_cores(struct place *p, struct core *core)
{
	const struct axhost_facts *facts = p->facts;

	core->boot = !facts->cpus[0].id && facts->cpus[0].online && facts->cpus[0].core == core->id;
	core->stranger = p->core_strangers[core->id];
}

static void index_cores(struct place *p)
{
	uint32_t count = 0, cores = 0, caches = 0;

	for (uint32_t i = 0; i < p->facts->cpu_count; i++) {
		if (p->cpu_flags[i] & PLACE_CPU_USABLE)
			p->core_cpus[count++] = i;
		if ((p->cpu_flags[i] & PLACE_CPU_HELD) && p->facts->cpus[i].online)
			p->core_strangers[p->facts->cpus[i].core] = true;
	}
	qsort_r(p->core_cpus, count, sizeof(*p->core_cpus), compare_cpus,
		(void *)(uintptr_t)p->facts);
	for (uint32_t i = 0, n = 0; n < p->facts->node_count; n++) {
		struct node *node = &p->nodes[n];
		const struct axhost_cpu *last = NULL;

		node->cores = p->cores + cores;
		node->caches = p->caches + caches;
		for (; i < count && p->facts->cpus[p->core_cpus[i]].node == n; i++) {
			const struct axhost_cpu *cpu = &p->facts->cpus[p->core_cpus[i]];

			if (!last || last->llc != cpu->llc)
				node->caches[node->cache_count++] = node->core_count;
			if (!last || last->core != cpu->core || last->llc != cpu->llc) {
				struct core *core = &node->cores[node->core_count++];

				*core = (struct core){
					.id = cpu->core, .llc = cpu->llc, .cpus = p->core_cpus + i};
				mark_cores(p, core);
			}
			node->cores[node->core_count - 1].cpu_count++;
			node->cpu_count++;
			last = cpu;
		}
		node->caches[node->cache_count] = node->core_count;
		cores += node->core_count;
		caches += node->cache_count + 1;
	}
}

static void order_levels(struct place *p)
{
	static const enum axas_backing down[] = {AXAS_BACKING_HUGETLB_1G, AXAS_BACKING_HUGETLB_2M,
						 AXAS_BACKING_THP, AXAS_BACKING_ANON};
	size_t i = 0;

	p->levels[p->level_count++] = p->request.backing;
	while (i < AX_ARRAY_LEN(down) && down[i] != p->request.backing)
		i++;
	while (!p->request.backing_is_must && ++i < AX_ARRAY_LEN(down))
		p->levels[p->level_count++] = down[i];
}

int axplace_init(struct place *p, struct ax_error *err)
{
	size_t cpus = p->facts->cpu_count, nodes = p->facts->node_count;

	p->cpu_flags = calloc(cpus, sizeof(*p->cpu_flags));
	p->core_cpus = calloc(cpus, sizeof(*p->core_cpus));
	p->core_strangers = calloc(cpus, sizeof(*p->core_strangers));
	p->cores = calloc(cpus, sizeof(*p->cores));
	p->caches = calloc(cpus + nodes, sizeof(*p->caches));
	p->nodes = calloc(nodes, sizeof(*p->nodes));
	p->scratch = calloc(2 * nodes, sizeof(*p->scratch));
	if (!p->cpu_flags || !p->core_cpus || !p->core_strangers || !p->cores || !p->caches ||
	    !p->nodes || !p->scratch) {
		axplace_finish(p);
		return axplace_no_memory(err);
	}
	/* Pins may be CPUs of other VMs, and then count as the others do. */
	if (p->request.pin_count && p->request.may_overcommit)
		p->most_holders = UINT32_MAX;
	mark_cpus(p);
	index_cores(p);
	order_levels(p);
	axplace_rooms(p);
	return 0;
}

void axplace_finish(struct place *p)
{
	for (size_t i = 0; p->nodes && i < p->facts->node_count; i++) {
		struct node *node = &p->nodes[i];

		for (int mode = 0; mode < PLACE_MODES; mode++) {
			for (uint32_t c = 0; node->mode[mode].caches && c < node->cache_count; c++)
				axplace_split_free(&node->mode[mode].caches[c]);
			free(node->mode[mode].caches);
			axplace_split_free(&node->mode[mode].top);
		}
		free(node->fixed.at);
	}
	free(p->cpu_flags);
	free(p->core_cpus);
	free(p->core_strangers);
	free(p->cores);
	free(p->caches);
	free(p->nodes);
	free(p->scratch);
	free(p->fixed);
	*p = (struct place){
		.facts = p->facts,
		.profile = p->profile,
		.request = p->request,
		.held = p->held,
		.any_cpuset = p->any_cpuset,
		.most_holders = p->most_holders,
		.ignore_memory = p->ignore_memory,
	};
}
