/* A plan as JSON: keys in the order of the alphabet, the same bytes for the same plan. */
#include "text.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *numbers(const uint32_t *values, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_integer(values[i]));
	return array;
}

static json_t *vcpus_of(const struct axhost_facts *facts, const struct axplace_plan *plan)
{
	json_t *array = json_array();

	for (size_t v = 0; v < plan->vcpu_count; v++) {
		const struct axplace_vcpu *vcpu = &plan->vcpus[v];
		const struct axhost_cpu *cpu = &facts->cpus[axplace_cpu_index(facts, vcpu->cpu)];

		json_array_append_new(array, json_pack("{s:I, s:I, s:I, s:I, s:I}", "cpu",
						       (json_int_t)vcpu->cpu, "node",
						       (json_int_t)facts->nodes[cpu->node].id,
						       "guest_node", (json_int_t)vcpu->guest_node,
						       "core", (json_int_t)vcpu->core, "thread",
						       (json_int_t)vcpu->thread));
	}
	return array;
}

static json_t *memory_of(const struct axplace_plan *plan)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plan->memory_count; i++) {
		json_t *distances = json_array();

		for (size_t k = 0; k < plan->memory_count; k++)
			json_array_append_new(
				distances,
				json_integer(plan->distances[i * plan->memory_count + k]));
		json_array_append_new(array,
				      json_pack("{s:I, s:I, s:s, s:o}", "node",
						(json_int_t)plan->memory[i].node, "size_bytes",
						(json_int_t)plan->memory[i].size_bytes, "pages",
						axplace_backing_name(plan->memory[i].backing),
						"distances", distances));
	}
	return array;
}

static json_t *io_of(const struct axplace_plan *plan)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plan->io_count; i++)
		json_array_append_new(array,
				      json_pack("{s:I, s:o}", "guest_node",
						(json_int_t)plan->io[i].guest_node, "cpus",
						numbers(plan->io[i].cpus, plan->io[i].cpu_count)));
	return array;
}

static json_t *notes_of(const struct axplace_plan *plan)
{
	json_t *array = json_array();

	for (size_t i = 0; i < plan->note_count; i++) {
		const struct axplace_note *note = &plan->notes[i];

		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:s}", "subject", note->subject, "why",
						note->why, "otherwise", note->otherwise));
	}
	return array;
}

int axplace_to_json(const struct axhost_facts *facts, const struct axplace_plan *plan,
		    char **ret_text, struct ax_error *err)
{
	json_t *cost = json_object(), *root;
	struct text text = {0};
	char *line = NULL;

	for (int i = 0; i < AXPLACE_COSTS; i++)
		json_object_set_new(cost, axplace_cost_name((enum axplace_cost)i),
				    json_integer(plan->cost[i]));
	root = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:I, s:o, s:o}", "profile",
			 plan->profile, "vcpus", vcpus_of(facts, plan), "memory", memory_of(plan),
			 "io", io_of(plan), "housekeeping",
			 numbers(plan->housekeeping, plan->housekeeping_count), "claims",
			 numbers(plan->claims, plan->claim_count), "held",
			 numbers(plan->held, plan->held_count), "dedicated", plan->dedicated,
			 "threads_per_core", (json_int_t)plan->threads_per_core, "cost", cost,
			 "notes", notes_of(plan));
	if (root)
		line = json_dumps(root, JSON_SORT_KEYS | JSON_INDENT(1));
	json_decref(root);
	if (line)
		axplace_text_add(&text, "%s\n", line);
	free(line);
	return axplace_text_take(&text, ret_text, err);
}
