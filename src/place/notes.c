/*
 * The reasons of a plan in words: why each thing stands where it does, and what it would cost to do
 * otherwise. Reads what was decided, decides nothing.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void axplace_format_ids(const uint32_t *ids, size_t count, char *buf, size_t buf_size)
{
	static const char more[] = ",...";
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0, end; i < count; i = end) {
		char part[24];
		size_t length;

		for (end = i + 1; end < count && ids[end] == ids[end - 1] + 1; end++)
			;
		length = (size_t)snprintf(part, sizeof(part), end - i > 1 ? "%s%u-%u" : "%s%u",
					  i ? "," : "", ids[i], ids[end - 1]);
		/* A number that is cut would be another one. */
		if (used + length + (end < count ? sizeof(more) : 1) > buf_size) {
			snprintf(buf + used, buf_size - used, "%s", more);
			return;
		}
		memcpy(buf + used, part, length + 1);
		used += length;
	}
}

/* The next note, zeroed. */
static struct axplace_note *next(struct axplace_plan *plan)
{
	struct axplace_note *notes =
		realloc(plan->notes, (plan->note_count + 1) * sizeof(*plan->notes));

	if (!notes)
		return NULL;
	plan->notes = notes;
	memset(&notes[plan->note_count], 0, sizeof(*notes));
	return &notes[plan->note_count++];
}

static int list_nodes(const struct place *p, const struct choice *choice, char *buf,
		      size_t buf_size)
{
	AX_AUTO_FREE uint32_t *ids = calloc(p->facts->node_count, sizeof(*ids));
	size_t count = 0;

	for (uint32_t i = 0; ids && i < p->facts->node_count; i++)
		if (axplace_uses(choice, i))
			ids[count++] = p->facts->nodes[i].id;
	axplace_format_ids(ids, count, buf, buf_size);
	return ids ? 0 : -ENOMEM;
}

static int note_nodes(const struct place *p, const struct choice *best, const struct choice *second,
		      struct axplace_plan *plan)
{
	struct axplace_note *note = next(plan);
	char nodes[64], others[64], size[24];

	if (!note || list_nodes(p, best, nodes, sizeof(nodes)))
		return -ENOMEM;
	snprintf(note->subject, sizeof(note->subject), "nodes");
	ax_format_size(p->request.memory_bytes, size, sizeof(size));
	snprintf(note->why, sizeof(note->why), "%s: %s %u vCPU%s and %s", nodes,
		 p->pinned                             ? "as pinned, for"
		 : p->request.spread == AXPLACE_SPREAD ? "as many as may be used, for"
		 : p->overcommit                       ? "the most CPUs there are for"
		 : best->cost[AXPLACE_COST_NODES] == 1 ? "one node holds"
						       : "the fewest nodes that hold",
		 p->request.vcpus, p->request.vcpus > 1 ? "s" : "", size);
	if (!second->found)
		return 0;
	if (list_nodes(p, second, others, sizeof(others)))
		return -ENOMEM;
	for (size_t i = 0; i < AXPLACE_COSTS; i++)
		if (best->cost[i] != second->cost[i]) {
			snprintf(note->otherwise, sizeof(note->otherwise),
				 "on %s: cost '%s' would be %u instead of %u", others,
				 axplace_cost_name((enum axplace_cost)i), second->cost[i],
				 best->cost[i]);
			return 0;
		}
	snprintf(note->otherwise, sizeof(note->otherwise),
		 "on %s: costs the same; the lowest numbers are taken", others);
	return 0;
}

static uint32_t own_cores(const struct place *p, uint32_t node)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < p->nodes[node].core_count; i++)
		count += !p->nodes[node].cores[i].stranger;
	return count;
}

/* Could two vCPUs be on one core of it? */
static bool has_siblings(const struct place *p, uint32_t node)
{
	for (uint32_t i = 0; i < p->nodes[node].core_count; i++)
		if (p->nodes[node].cores[i].cpu_count > 1)
			return true;
	return false;
}

static int note_vcpus(const struct place *p, struct axplace_plan *plan, size_t first, size_t end)
{
	const struct axhost_facts *facts = p->facts;
	uint32_t node = facts->cpus[axplace_cpu_index(facts, plan->vcpus[first].cpu)].node;
	uint32_t cores = own_cores(p, node), id = facts->nodes[node].id, held = 0;
	struct axplace_note *note = next(plan);
	bool shares_cores = false; /* siblings are neighbours */

	if (!note)
		return -ENOMEM;
	for (size_t v = first + 1; v < end; v++)
		shares_cores |= plan->vcpus[v].core == plan->vcpus[v - 1].core;
	for (size_t v = first; v < end; v++)
		held += (p->cpu_flags[axplace_cpu_index(facts, plan->vcpus[v].cpu)] &
			 PLACE_CPU_HELD) != 0;
	snprintf(note->subject, sizeof(note->subject),
		 end - first > 1 ? "vcpus %zu-%zu" : "vcpu %zu", first, end - 1);
	if (p->pinned) {
		snprintf(note->why, sizeof(note->why), "node %u, pinned by the request%s", id,
			 held ? ", also to CPUs of other VMs" : "");
	} else if (held) {
		snprintf(note->why, sizeof(note->why),
			 "node %u, on CPUs of other VMs: no others are left", id);
	} else if (p->shared_vcpus) {
		snprintf(note->why, sizeof(note->why),
			 "node %u: more vCPUs than CPUs, they take turns", id);
		snprintf(note->otherwise, sizeof(note->otherwise),
			 "%u vCPU%s less, and each would have a CPU", p->shared_vcpus,
			 p->shared_vcpus > 1 ? "s" : "");
	} else if (shares_cores) {
		snprintf(note->why, sizeof(note->why), "node %u, siblings side by side: %s", id,
			 p->request.cores == AXPLACE_CORES_SMT
				 ? "as asked for"
				 : "a core each is more than there are");
		snprintf(note->otherwise, sizeof(note->otherwise),
			 "the node has %u cores free of other VMs", cores);
	} else {
		snprintf(note->why, sizeof(note->why), "node %u, a core each of %u", id, cores);
		if (has_siblings(p, node))
			snprintf(note->otherwise, sizeof(note->otherwise),
				 "on siblings: fewer cores, and vCPUs slow each other down");
	}
	return 0;
}

static int note_memory(const struct place *p, const struct choice *best, struct axplace_plan *plan,
		       size_t guest_node)
{
	const struct axplace_memory *memory = &plan->memory[guest_node];
	uint32_t node = axplace_node_index(p->facts, memory->node);
	uint64_t page = axas_page_size(p->request.backing), pools;
	struct axplace_note *note = next(plan);
	char size[24], pages[24];

	if (!note)
		return -ENOMEM;
	snprintf(note->subject, sizeof(note->subject), "memory %zu", guest_node);
	ax_format_size(memory->size_bytes, size, sizeof(size));
	snprintf(note->why, sizeof(note->why), "%s on node %u%s", size, memory->node,
		 best->vcpus[node]         ? ", beside its vCPUs"
		 : plan->memory_count == 1 ? ", the nearest that has memory"
					   : ", for what the vCPUs' nodes have not got");
	if (!best->level)
		return 0;
	ax_format_size(page, pages, sizeof(pages));
	pools = axplace_pool_free(p, node, page);
	if (p->request.memory_bytes % page)
		snprintf(note->otherwise, sizeof(note->otherwise),
			 "%s pages were wanted: make memory a multiple of %s",
			 axplace_backing_name(p->request.backing), pages);
	else if (page == AXAS_PAGE_SIZE)
		snprintf(note->otherwise, sizeof(note->otherwise),
			 "transparent huge pages were wanted, and are switched off");
	else
		snprintf(note->otherwise, sizeof(note->otherwise),
			 "pages of %s were wanted: the node has %llu free, %llu are needed", pages,
			 (unsigned long long)pools,
			 (unsigned long long)(memory->size_bytes / page));
	return 0;
}

/* Where housekeeping came to stand, in words. */
static const char *neighbourhood(const struct place *p, const struct axplace_plan *plan,
				 const struct axplace_io *io)
{
	const struct axhost_facts *facts = p->facts;
	const struct axhost_cpu *cpu = &facts->cpus[axplace_cpu_index(facts, io->cpus[0])];
	bool same_node = false, same_core = false, same_cpu = false;

	for (size_t v = 0; v < plan->vcpu_count; v++) {
		const struct axhost_cpu *other =
			&facts->cpus[axplace_cpu_index(facts, plan->vcpus[v].cpu)];

		same_node |=
			plan->vcpus[v].guest_node == io->guest_node && other->node == cpu->node;
		same_core |= other->core == cpu->core;
		same_cpu |= other == cpu;
	}
	if (same_cpu)
		return "no CPU is left: it shares that of the last vCPU";
	if (same_core)
		return "no core is left: it has the idle sibling of a vCPU";
	return same_node ? "on the node of its vCPUs, on none of their cores"
			 : "its vCPUs' node has no core left: the nearest that has";
}

static int note_io(const struct place *p, struct axplace_plan *plan, size_t i)
{
	const struct axplace_io *io = &plan->io[i];
	struct axplace_note *note = next(plan);
	char cpus[48];

	if (!note)
		return -ENOMEM;
	axplace_format_ids(io->cpus, io->cpu_count, cpus, sizeof(cpus));
	snprintf(note->subject, sizeof(note->subject), "io %zu", i);
	snprintf(note->why, sizeof(note->why), "CPUs %s: %s", cpus, neighbourhood(p, plan, io));
	return 0;
}

static int note_limit(const struct place *p, struct axplace_plan *plan)
{
	struct axplace_note *note;

	if (!axprof_is_throttled(p->facts, p->request.vcpus))
		return 0;
	note = next(plan);
	if (!note)
		return -ENOMEM;
	snprintf(note->subject, sizeof(note->subject), "cpu.max");
	snprintf(note->why, sizeof(note->why), "the cgroup's allows %.3g CPUs for %u vCPU%s",
		 p->facts->cpu_limit_thousandths / 1e3, p->request.vcpus,
		 p->request.vcpus > 1 ? "s" : "");
	snprintf(note->otherwise, sizeof(note->otherwise),
		 "%u CPU%s or more: no vCPU is stopped, and the guest is told so", p->request.vcpus,
		 p->request.vcpus > 1 ? "s" : "");
	return 0;
}

int axplace_notes(const struct place *p, const struct choice *best, const struct choice *second,
		  struct axplace_plan *plan)
{
	int r = note_nodes(p, best, second, plan);

	r = r ? r : note_limit(p, plan);
	for (size_t v = 0, end; v < plan->vcpu_count && !r; v = end) {
		const struct axhost_facts *facts = p->facts;
		uint32_t node = facts->cpus[axplace_cpu_index(facts, plan->vcpus[v].cpu)].node;

		end = v + 1;
		while (end < plan->vcpu_count &&
		       facts->cpus[axplace_cpu_index(facts, plan->vcpus[end].cpu)].node == node)
			end++;
		r = note_vcpus(p, plan, v, end);
	}
	for (size_t i = 0; i < plan->memory_count && !r; i++)
		r = note_memory(p, best, plan, i);
	for (size_t i = 0; i < plan->io_count && !r; i++)
		r = note_io(p, plan, i);
	return r;
}
