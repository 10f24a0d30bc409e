/* CPUs of a machine in the order in which they are drawn, and what each is marked with. */
#include "drawing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b, void *ctx)
{
	const struct axhost_facts *facts = ctx;
	const struct axhost_cpu *x = &facts->cpus[*(const uint32_t *)a];
	const struct axhost_cpu *y = &facts->cpus[*(const uint32_t *)b];
	const uint32_t keys[][2] = {
		{x->node, y->node}, {x->llc, y->llc}, {x->core, y->core}, {x->id, y->id}};

	for (size_t i = 0; i < AX_ARRAY_LEN(keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1] ? -1 : 1;
	return 0;
}

/* Later marks cover earlier ones, but a vCPU's stays. */
static void mark_list(struct drawing *d, const uint32_t *ids, size_t count, enum mark mark)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t cpu = axplace_cpu_index(d->facts, ids[i]);
		bool taken = d->mark[cpu] == MARK_VCPU || d->mark[cpu] == MARK_SHARED;

		d->mark[cpu] = (uint8_t)(taken ? MARK_SHARED : mark);
	}
}

static void mark_all(struct drawing *d)
{
	const struct axplace_plan *plan = d->plan;

	for (size_t i = 0; i < d->facts->cpu_count; i++) {
		d->mark[i] = d->facts->cpus[i].allowed ? MARK_FREE : MARK_FORBIDDEN;
		d->vcpu[i] = PLACE_NONE;
	}
	mark_list(d, plan->claims, plan->claim_count, MARK_IDLE);
	mark_list(d, plan->held, plan->held_count, MARK_HELD);
	for (size_t v = 0; v < plan->vcpu_count; v++) {
		uint32_t cpu = axplace_cpu_index(d->facts, plan->vcpus[v].cpu);
		bool again = d->vcpu[cpu] != PLACE_NONE;
		bool shared = again || d->mark[cpu] == MARK_HELD;

		d->mark[cpu] = (uint8_t)(shared ? MARK_SHARED : MARK_VCPU);
		d->vcpu[cpu] = again ? d->vcpu[cpu] : (uint32_t)v;
	}
	mark_list(d, plan->housekeeping, plan->housekeeping_count, MARK_HOUSEKEEPING);
	for (size_t i = 0; i < plan->io_count; i++)
		mark_list(d, plan->io[i].cpus, plan->io[i].cpu_count, MARK_IO);
}

int axplace_drawing_init(struct drawing *d, const struct axhost_facts *facts,
			 const struct axplace_plan *plan)
{
	*d = (struct drawing){.facts = facts, .plan = plan};
	d->order = calloc(facts->cpu_count, sizeof(*d->order));
	d->mark = calloc(facts->cpu_count, sizeof(*d->mark));
	d->vcpu = calloc(facts->cpu_count, sizeof(*d->vcpu));
	if (!d->order || !d->mark || !d->vcpu) {
		axplace_drawing_finish(d);
		return -ENOMEM;
	}
	mark_all(d);
	for (uint32_t i = 0; i < facts->cpu_count; i++) {
		if (!facts->cpus[i].online || facts->cpus[i].node >= facts->node_count)
			continue;
		d->order[d->count++] = i;
		d->seen[d->mark[i]] = true;
	}
	qsort_r(d->order, d->count, sizeof(*d->order), compare, (void *)(uintptr_t)facts);
	return 0;
}

void axplace_drawing_finish(struct drawing *d)
{
	free(d->order);
	free(d->mark);
	free(d->vcpu);
	*d = (struct drawing){0};
}

const char *axplace_mark_meaning(enum mark mark)
{
	static const char *const meanings[MARKS] = {
		[MARK_FREE] = "free",
		[MARK_VCPU] = "vCPU, by number",
		[MARK_SHARED] = "vCPU that shares its CPU",
		[MARK_IO] = "I/O threads, housekeeping",
		[MARK_HOUSEKEEPING] = "housekeeping",
		[MARK_IDLE] = "kept empty for a vCPU",
		[MARK_HELD] = "held by another VM",
		[MARK_FORBIDDEN] = "outside of the cpuset",
	};

	return meanings[mark];
}

const char *axplace_mark_text(const struct drawing *d, uint32_t cpu, char buf[16])
{
	static const char *const texts[MARKS] = {
		[MARK_FREE] = "",  [MARK_IO] = "io",   [MARK_HOUSEKEEPING] = "hk",
		[MARK_IDLE] = ".", [MARK_HELD] = "##", [MARK_FORBIDDEN] = "--",
	};
	enum mark mark = (enum mark)d->mark[cpu];

	if (mark == MARK_VCPU || mark == MARK_SHARED)
		snprintf(buf, 16, mark == MARK_SHARED ? "%u+" : "%u", d->vcpu[cpu]);
	else
		snprintf(buf, 16, "%s", texts[mark]);
	return buf;
}

static size_t end_of(const struct drawing *d, size_t first, bool cache, bool core)
{
	const struct axhost_cpu *a = &d->facts->cpus[d->order[first]];
	size_t end = first;

	for (; end < d->count; end++) {
		const struct axhost_cpu *b = &d->facts->cpus[d->order[end]];

		if (b->node != a->node || (cache && b->llc != a->llc) ||
		    (core && b->core != a->core))
			break;
	}
	return end;
}

size_t axplace_core_end(const struct drawing *d, size_t first)
{
	return end_of(d, first, true, true);
}

size_t axplace_cache_end(const struct drawing *d, size_t first)
{
	return end_of(d, first, true, false);
}

size_t axplace_node_end(const struct drawing *d, size_t first)
{
	return end_of(d, first, false, false);
}

/* Several have one node where their memory is interleaved, or with numa=off. */
static void sockets_of(const struct drawing *d, uint32_t node, uint32_t *ret_low,
		       uint32_t *ret_high)
{
	*ret_low = UINT32_MAX;
	*ret_high = 0;
	for (size_t i = 0; i < d->count; i++) {
		const struct axhost_cpu *cpu = &d->facts->cpus[d->order[i]];

		if (cpu->node != node)
			continue;
		*ret_low = cpu->package < *ret_low ? cpu->package : *ret_low;
		*ret_high = cpu->package > *ret_high ? cpu->package : *ret_high;
	}
}

void axplace_node_title(const struct drawing *d, uint32_t node, size_t first, char *buf,
			size_t buf_size)
{
	const uint32_t id = d->facts->nodes[node].id;
	uint32_t low, high;

	sockets_of(d, node, &low, &high);
	if (first == d->count)
		snprintf(buf, buf_size, "node %u, no CPUs", id);
	else if (low == high)
		snprintf(buf, buf_size, "node %u, socket %u", id, low);
	else
		snprintf(buf, buf_size, "node %u, sockets %u-%u", id, low, high);
}

void axplace_cache_title(const struct drawing *d, size_t first, char *buf, size_t buf_size)
{
	const struct axhost_cpu *cpu = &d->facts->cpus[d->order[first]];
	uint32_t low, high;

	sockets_of(d, cpu->node, &low, &high);
	snprintf(buf, buf_size, low == high ? "cache %u" : "cache %u, socket %u", cpu->llc,
		 cpu->package);
}

void axplace_node_memory(const struct drawing *d, uint32_t node, char *buf, size_t buf_size)
{
	const struct axhost_node *n = &d->facts->nodes[node];
	char whole[24], available[24], part[24];

	if (!n->memory_bytes) {
		snprintf(buf, buf_size, "no memory");
		return;
	}
	ax_format_size(ax_align_down(n->memory_bytes, AX_MIB), whole, sizeof(whole));
	ax_format_size(ax_align_down(n->memory_free_bytes, AX_MIB), available, sizeof(available));
	snprintf(buf, buf_size, "memory %s, %s free", whole, available);
	for (size_t i = 0; i < d->plan->memory_count; i++)
		if (d->plan->memory[i].node == n->id)
			snprintf(buf, buf_size, "guest node %zu: %s of %s in %s pages", i,
				 ax_format_size(d->plan->memory[i].size_bytes, part, sizeof(part)),
				 whole, axplace_backing_name(d->plan->memory[i].backing));
}
