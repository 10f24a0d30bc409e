/* A plan as tables for a terminal: what runs where, and why. */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>

/* Runs of ids that may be long: no row is cut. */
static void add_ids(struct text *text, const uint32_t *ids, size_t count)
{
	for (size_t i = 0, end; i < count; i = end) {
		for (end = i + 1; end < count && ids[end] == ids[end - 1] + 1; end++)
			;
		axplace_text_add(text, end - i > 1 ? "%s%u-%u" : "%s%u", i ? "," : "", ids[i],
				 ids[end - 1]);
	}
	axplace_text_add(text, "\n");
}

static void add_vcpus(struct text *text, const struct axhost_facts *facts,
		      const struct axplace_plan *plan)
{
	axplace_text_add(text, "%5s %5s %5s %5s %11s %11s\n", "vCPU", "CPU", "node", "core",
			 "guest node", "guest core");
	for (size_t v = 0; v < plan->vcpu_count; v++) {
		const struct axplace_vcpu *vcpu = &plan->vcpus[v];
		const struct axhost_cpu *cpu = &facts->cpus[axplace_cpu_index(facts, vcpu->cpu)];
		char core[24];

		snprintf(core, sizeof(core), "%u.%u", vcpu->core, vcpu->thread);
		axplace_text_add(text, "%5zu %5u %5u %5u %11u %11s\n", v, vcpu->cpu,
				 facts->nodes[cpu->node].id, cpu->core, vcpu->guest_node, core);
	}
}

static void add_memory(struct text *text, const struct axplace_plan *plan)
{
	axplace_text_add(text, "\n%10s %5s %10s %5s  distances\n", "guest node", "node", "memory",
			 "pages");
	for (size_t i = 0; i < plan->memory_count; i++) {
		char size[24];

		axplace_text_add(text, "%10zu %5u %10s %5s ", i, plan->memory[i].node,
				 ax_format_size(plan->memory[i].size_bytes, size, sizeof(size)),
				 axplace_backing_name(plan->memory[i].backing));
		for (size_t k = 0; k < plan->memory_count; k++)
			axplace_text_add(text, " %u", plan->distances[i * plan->memory_count + k]);
		axplace_text_add(text, "\n");
	}
}

int axplace_to_table(const struct axhost_facts *facts, const struct axplace_plan *plan,
		     char **ret_text, struct ax_error *err)
{
	struct text text = {0};

	add_vcpus(&text, facts, plan);
	add_memory(&text, plan);
	axplace_text_add(&text, "\n%10s %10s  CPUs\n", "I/O thread", "guest node");
	for (size_t i = 0; i < plan->io_count; i++) {
		axplace_text_add(&text, "%10zu %10u  ", i, plan->io[i].guest_node);
		add_ids(&text, plan->io[i].cpus, plan->io[i].cpu_count);
	}
	axplace_text_add(&text, "\nhousekeeping: CPUs ");
	add_ids(&text, plan->housekeeping, plan->housekeeping_count);
	axplace_text_add(&text, "claimed:      CPUs ");
	add_ids(&text, plan->claims, plan->claim_count);
	axplace_text_add(&text, "profile %s, %u thread%s a guest core, CPUs %s\n\n", plan->profile,
			 plan->threads_per_core, plan->threads_per_core > 1 ? "s" : "",
			 plan->dedicated ? "dedicated" : "shared");
	for (size_t i = 0; i < plan->note_count; i++) {
		const struct axplace_note *note = &plan->notes[i];

		axplace_text_add(&text, "%s: %s\n", note->subject, note->why);
		if (note->otherwise[0])
			axplace_text_add(&text, "  otherwise: %s\n", note->otherwise);
	}
	return axplace_text_take(&text, ret_text, err);
}
