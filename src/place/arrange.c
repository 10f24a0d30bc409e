/*
 * A plan's vCPUs, memory and claims, once nodes are chosen: in which order vCPUs stand on the CPUs,
 * the guest's nodes and cores, and what a ledger is to keep from other VMs.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

enum { LOCAL_DISTANCE = 10 };

struct seat {
	uint32_t cpu; /* index */
	uint32_t guest_node, node, core, mates;
};

/* Guest node, node; cores that have more vCPUs first, so that pairs stand at even numbers. */
static int compare_seats(const void *a, const void *b)
{
	const struct seat *x = a, *y = b;
	const uint32_t keys[][2] = {
		{x->guest_node, y->guest_node},
		{x->node, y->node},
		{y->mates, x->mates},
		{x->core, y->core},
		{x->cpu, y->cpu},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1] ? -1 : 1;
	return 0;
}

/* Firmware and numa=fake may have 10 between different nodes, which a guest cannot be told
 * (axarch_topology). */
static uint8_t guest_distance(const struct place *p, uint32_t from, uint32_t to)
{
	uint32_t distance = axplace_distance(p->facts, from, to);

	if (from == to)
		return LOCAL_DISTANCE;
	return (uint8_t)(distance > LOCAL_DISTANCE ? distance : LOCAL_DISTANCE + 1);
}

static int arrange_memory(struct place *p, const struct choice *choice, struct axplace_plan *plan)
{
	const struct axhost_facts *facts = p->facts;
	AX_AUTO_FREE uint64_t *bytes = calloc(facts->node_count, sizeof(*bytes));

	for (uint32_t i = 0; i < facts->node_count; i++)
		plan->memory_count += choice->memory[i];
	plan->memory = calloc(plan->memory_count, sizeof(*plan->memory));
	plan->distances = calloc(plan->memory_count, plan->memory_count);
	if (!bytes || !plan->memory || !plan->distances)
		return -ENOMEM;
	axplace_divide(p, choice, bytes);
	for (uint32_t i = 0, n = 0; i < facts->node_count; i++) {
		if (!choice->memory[i])
			continue;
		plan->memory[n] = (struct axplace_memory){
			.node = facts->nodes[i].id,
			.size_bytes = bytes[i],
			.backing = p->levels[choice->level],
		};
		for (uint32_t k = 0, to = 0; k < facts->node_count; k++)
			if (choice->memory[k])
				plan->distances[n * plan->memory_count + to++] =
					guest_distance(p, i, k);
		n++;
	}
	return 0;
}

static uint32_t guest_node(const struct place *p, const struct choice *choice, uint32_t node)
{
	uint32_t home = axplace_home(p, choice->memory, node), index = 0;

	for (uint32_t i = 0; i < home; i++)
		index += choice->memory[i];
	return index;
}

/* Guest cores in the order in which vCPUs come to them. A CPU that several vCPUs share is a core
 * to each of them. */
static int number_cores(const struct place *p, struct axplace_plan *plan)
{
	AX_AUTO_FREE uint32_t *numbers = calloc(p->facts->cpu_count, sizeof(*numbers));
	AX_AUTO_FREE uint32_t *threads = calloc(p->facts->cpu_count, sizeof(*threads));
	uint32_t cores = 0;

	if (!numbers || !threads)
		return -ENOMEM;
	plan->threads_per_core = 1;
	for (uint32_t v = 0; v < plan->vcpu_count; v++) {
		struct axplace_vcpu *vcpu = &plan->vcpus[v];
		uint32_t core = p->facts->cpus[axplace_cpu_index(p->facts, vcpu->cpu)].core;

		if (p->shared_vcpus) {
			vcpu->core = v;
			continue;
		}
		if (!threads[core])
			numbers[core] = cores++;
		vcpu->core = numbers[core];
		vcpu->thread = threads[core]++;
		if (threads[core] > plan->threads_per_core)
			plan->threads_per_core = threads[core];
	}
	return 0;
}

static int arrange_vcpus(struct place *p, const struct choice *choice, struct axplace_plan *plan)
{
	uint32_t vcpus = p->request.vcpus, *end;
	AX_AUTO_FREE struct seat *seats = calloc(vcpus, sizeof(*seats));
	AX_AUTO_FREE uint32_t *cpus = calloc(vcpus, sizeof(*cpus));
	AX_AUTO_FREE uint32_t *mates = calloc(p->facts->cpu_count, sizeof(*mates));
	AX_AUTO_FREE uint32_t *guest_nodes = calloc(p->facts->node_count, sizeof(*guest_nodes));

	plan->vcpus = calloc(vcpus, sizeof(*plan->vcpus));
	if (!seats || !cpus || !mates || !guest_nodes || !plan->vcpus)
		return -ENOMEM;
	plan->vcpu_count = vcpus;
	end = cpus;
	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		if (!choice->vcpus[i])
			continue;
		guest_nodes[i] = guest_node(p, choice, i);
		if (choice->mode != PLACE_FIXED)
			end = axplace_pick(&p->nodes[i], choice->mode, choice->vcpus[i], end);
	}
	for (uint32_t v = 0; v < vcpus; v++) {
		if (choice->mode == PLACE_FIXED)
			cpus[v] = p->fixed[v];
		mates[p->facts->cpus[cpus[v]].core]++;
	}
	for (uint32_t v = 0; v < vcpus; v++) {
		const struct axhost_cpu *cpu = &p->facts->cpus[cpus[v]];

		seats[v] = (struct seat){
			.cpu = cpus[v],
			.guest_node = guest_nodes[cpu->node],
			.node = cpu->node,
			.core = cpu->core,
			.mates = p->overcommit ? 0 : mates[cpu->core],
		};
	}
	if (!p->pinned)
		qsort(seats, vcpus, sizeof(*seats), compare_seats);
	plan->dedicated = !p->shared_vcpus;
	for (uint32_t v = 0; v < vcpus; v++) {
		plan->vcpus[v].cpu = p->facts->cpus[seats[v].cpu].id;
		plan->vcpus[v].guest_node = seats[v].guest_node;
		plan->dedicated &= !(p->cpu_flags[seats[v].cpu] & PLACE_CPU_HELD);
	}
	return number_cores(p, plan);
}

/* The whole of every core that has a vCPU, so that VMs do not share cores; or the whole node. */
static int arrange_claims(const struct place *p, const struct choice *choice,
			  struct axplace_plan *plan)
{
	const struct axhost_facts *facts = p->facts;
	AX_AUTO_FREE bool *cores = calloc(facts->cpu_count, sizeof(*cores));

	plan->claims = calloc(facts->cpu_count, sizeof(*plan->claims));
	plan->held = calloc(facts->cpu_count, sizeof(*plan->held));
	if (!cores || !plan->claims || !plan->held)
		return -ENOMEM;
	for (size_t v = 0; v < plan->vcpu_count; v++)
		cores[facts->cpus[axplace_cpu_index(facts, plan->vcpus[v].cpu)].core] = true;
	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];

		if (p->cpu_flags[i] & PLACE_CPU_HELD)
			plan->held[plan->held_count++] = cpu->id;
		if (cpu->online &&
		    (cores[cpu->core] || (p->request.whole_nodes && cpu->node < facts->node_count &&
					  choice->vcpus[cpu->node])))
			plan->claims[plan->claim_count++] = cpu->id;
	}
	return 0;
}

int axplace_arrange(struct place *p, const struct choice *choice, struct axplace_plan *plan)
{
	int r = arrange_memory(p, choice, plan);

	if (!r)
		r = arrange_vcpus(p, choice, plan);
	if (!r)
		r = arrange_claims(p, choice, plan);
	for (size_t i = 0; i < AXPLACE_COSTS; i++)
		plan->cost[i] = choice->cost[i];
	return r;
}
