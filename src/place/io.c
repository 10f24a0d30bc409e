/*
 * Where I/O threads and the control thread run: beside the vCPUs that they serve, not on their
 * cores while there is any other, and never on what other VMs hold.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

struct site {
	const struct place *p;
	const struct axplace_plan *plan;
	bool *core_used, *cpu_used; /* by vCPUs; core numbers, CPU indices */
	bool *chosen, *all_chosen;  /* CPU indices: for this guest node, for any */
	bool *nodes;                /* indices of the guest node's vCPUs' nodes */
	uint32_t guest_node;
};

/* Less is better: how near, and whom it disturbs. PLACE_NONE: not at all. */
static uint32_t tier(const struct site *s, uint32_t index)
{
	const struct axhost_cpu *cpu = &s->p->facts->cpus[index];

	if ((s->p->cpu_flags[index] & (PLACE_CPU_USABLE | PLACE_CPU_HELD)) != PLACE_CPU_USABLE)
		return PLACE_NONE;
	if (!s->core_used[cpu->core])
		return s->nodes[cpu->node] ? 0 : 1;
	if (!s->cpu_used[index])
		return s->nodes[cpu->node] ? 2 : 3;
	return PLACE_NONE;
}

static bool better(const struct site *s, uint32_t a, uint32_t b)
{
	const struct axhost_facts *facts = s->p->facts;
	uint32_t home = axplace_node_index(facts, s->plan->memory[s->guest_node].node);
	const struct axhost_cpu *x = &facts->cpus[a], *y = &facts->cpus[b];
	const uint32_t keys[][2] = {
		{tier(s, a), tier(s, b)},
		{axplace_distance(facts, home, x->node), axplace_distance(facts, home, y->node)},
		{x->isolated, y->isolated},
		{s->p->core_strangers[x->core], s->p->core_strangers[y->core]},
		{s->all_chosen[a], s->all_chosen[b]},
		{x->core, y->core},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1];
	return a < b;
}

/* One more core, with all of it that may be used; its tier, or PLACE_NONE when there is none. */
static uint32_t take_core(struct site *s, uint32_t worst, uint32_t *ret_cpus)
{
	const struct axhost_facts *facts = s->p->facts;
	uint32_t best = PLACE_NONE, at;

	for (uint32_t i = 0; i < facts->cpu_count; i++) {
		at = s->chosen[i] ? PLACE_NONE : tier(s, i);
		if (at <= worst && at != PLACE_NONE && (best == PLACE_NONE || better(s, i, best)))
			best = i;
	}
	if (best == PLACE_NONE)
		return PLACE_NONE;
	at = tier(s, best);
	for (uint32_t i = 0; i < facts->cpu_count; i++)
		if (!s->chosen[i] && tier(s, i) == at &&
		    facts->cpus[i].core == facts->cpus[best].core) {
			s->chosen[i] = true;
			++*ret_cpus;
		}
	return at;
}

/* Nobody else is left: the last vCPU of the guest node shares its CPU. */
static void share_with_vcpu(struct site *s)
{
	for (size_t v = s->plan->vcpu_count; v-- > 0;)
		if (s->plan->vcpus[v].guest_node == s->guest_node) {
			s->chosen[axplace_cpu_index(s->p->facts, s->plan->vcpus[v].cpu)] = true;
			return;
		}
}

static void choose(struct site *s, uint32_t threads)
{
	const struct axhost_facts *facts = s->p->facts;
	uint32_t cpus = 0, cores = 1, first;

	for (size_t i = 0; i < facts->cpu_count; i++)
		s->chosen[i] = false;
	for (size_t i = 0; i < facts->node_count; i++)
		s->nodes[i] = false;
	for (size_t v = 0; v < s->plan->vcpu_count; v++)
		if (s->plan->vcpus[v].guest_node == s->guest_node)
			s->nodes[facts->cpus[axplace_cpu_index(facts, s->plan->vcpus[v].cpu)]
					 .node] = true;
	first = take_core(s, PLACE_NONE, &cpus);
	if (first == PLACE_NONE)
		share_with_vcpu(s);
	while (first <= 1 && (cpus < threads || cores < s->p->profile->housekeeping_cores) &&
	       take_core(s, first, &cpus) != PLACE_NONE)
		cores++;
	for (size_t i = 0; i < facts->cpu_count; i++)
		s->all_chosen[i] |= s->chosen[i];
}

static uint32_t *list(const struct axhost_facts *facts, const bool *chosen, size_t *ret_count)
{
	uint32_t *ids = calloc(facts->cpu_count, sizeof(*ids));

	*ret_count = 0;
	for (size_t i = 0; ids && i < facts->cpu_count; i++)
		if (chosen[i])
			ids[(*ret_count)++] = facts->cpus[i].id;
	return ids;
}

static int serve_all(struct site *s, struct axplace_plan *plan)
{
	const struct place *p = s->p;
	AX_AUTO_FREE uint32_t *served = calloc(plan->memory_count, sizeof(*served));
	uint32_t count = 0, threads = p->request.io_threads;

	if (!served)
		return -ENOMEM;
	for (uint32_t g = 0; g < plan->memory_count; g++)
		for (size_t v = 0; v < plan->vcpu_count; v++)
			if (plan->vcpus[v].guest_node == g) {
				served[count++] = g;
				break;
			}
	if (!threads)
		threads = count * p->profile->io_threads_per_node;
	plan->io = calloc(threads + 1UL, sizeof(*plan->io));
	if (!plan->io)
		return -ENOMEM;
	plan->io_count = threads;
	for (uint32_t i = 0; i < count; i++) {
		s->guest_node = served[i];
		choose(s, threads / count + (i < threads % count));
		for (uint32_t t = i; t < threads; t += count) {
			plan->io[t].guest_node = served[i];
			plan->io[t].cpus = list(p->facts, s->chosen, &plan->io[t].cpu_count);
			if (!plan->io[t].cpus)
				return -ENOMEM;
		}
	}
	plan->housekeeping = list(p->facts, s->all_chosen, &plan->housekeeping_count);
	return plan->housekeeping ? 0 : -ENOMEM;
}

int axplace_io(const struct place *p, struct axplace_plan *plan)
{
	size_t cpus = p->facts->cpu_count;
	AX_AUTO_FREE bool *flags = calloc(4 * cpus + p->facts->node_count, sizeof(*flags));
	struct site s = {.p = p, .plan = plan};

	if (!flags)
		return -ENOMEM;
	s.core_used = flags;
	s.cpu_used = flags + cpus;
	s.chosen = flags + 2 * cpus;
	s.all_chosen = flags + 3 * cpus;
	s.nodes = flags + 4 * cpus;
	for (size_t v = 0; v < plan->vcpu_count; v++) {
		uint32_t cpu = axplace_cpu_index(p->facts, plan->vcpus[v].cpu);

		s.cpu_used[cpu] = true;
		s.core_used[p->facts->cpus[cpu].core] = true;
	}
	return serve_all(&s, plan);
}
