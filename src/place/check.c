/*
 * Requests that contradict themselves, or name what the host does not have. Whether there is room
 * is for later.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>

uint32_t axplace_cpu_index(const struct axhost_facts *facts, uint32_t id)
{
	for (size_t low = 0, high = facts->cpu_count; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (facts->cpus[middle].id == id)
			return (uint32_t)middle;
		if (facts->cpus[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return PLACE_NONE;
}

uint32_t axplace_node_index(const struct axhost_facts *facts, uint32_t id)
{
	for (size_t i = 0; i < facts->node_count; i++)
		if (facts->nodes[i].id == id)
			return (uint32_t)i;
	return PLACE_NONE;
}

uint32_t axplace_distance(const struct axhost_facts *facts, uint32_t from, uint32_t to)
{
	if (!facts->distances)
		return from == to ? 10 : 20;
	return facts->distances[from * facts->node_count + to];
}

static int invalid(struct ax_error *err, const char *what, const char *hint)
{
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "placement: %s", what);
	return ax_error_hint(err, "%s", hint);
}

static int check_facts(const struct axhost_facts *facts, struct ax_error *err)
{
	if (!facts->cpu_count || !facts->node_count || facts->cpu_count > UINT16_MAX ||
	    facts->node_count > UINT16_MAX)
		return invalid(err, "the facts of the host have no topology",
			       "record them again with axvm host --save");
	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];

		/* One of no node is never used; one of no core is none. */
		if ((i && facts->cpus[i - 1].id >= cpu->id) ||
		    (cpu->online && cpu->core >= facts->cpu_count))
			return invalid(err, "the facts of the host's CPUs contradict each other",
				       "record them again with axvm host --save");
	}
	return 0;
}

static int check_ids(const struct axhost_facts *facts, const struct axplace_request *request,
		     struct ax_error *err)
{
	uint32_t last_cpu = facts->cpus[facts->cpu_count - 1].id;
	char what[160];

	for (size_t i = 0; i < request->pin_count + request->keep_free_count; i++) {
		bool pin = i < request->pin_count;
		uint32_t id = pin ? request->pins[i] : request->keep_free[i - request->pin_count];

		if (axplace_cpu_index(facts, id) != PLACE_NONE)
			continue;
		if (pin)
			snprintf(what, sizeof(what),
				 "CPU %u, where vCPU %zu is to run, is not there", id, i);
		else
			snprintf(what, sizeof(what), "CPU %u, to be kept free, is not there", id);
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "placement: %s", what);
		return ax_error_hint(err, "this host has CPUs up to %u", last_cpu);
	}
	for (size_t i = 0; i < request->node_count; i++)
		if (axplace_node_index(facts, request->nodes[i]) == PLACE_NONE) {
			ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				     "placement: node %u is not there", request->nodes[i]);
			return ax_error_hint(err, "this host has %zu nodes, the last is %u",
					     facts->node_count,
					     facts->nodes[facts->node_count - 1].id);
		}
	return 0;
}

/* Pins against the rest of the request. */
static int check_pins(const struct axhost_facts *facts, const struct axplace_request *request,
		      struct ax_error *err)
{
	if (request->pin_count && request->pin_count != request->vcpus) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "placement: %zu CPUs are given for %u vCPUs", request->pin_count,
			     request->vcpus);
		return ax_error_hint(err, "give a CPU for each vCPU, or none");
	}
	for (size_t i = 0; i < request->pin_count; i++) {
		uint32_t id = request->pins[i];

		for (size_t k = 0; k < request->keep_free_count; k++)
			if (request->keep_free[k] == id) {
				ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					     "placement: CPU %u is kept free and vCPU %zu's", id,
					     i);
				return ax_error_hint(err, "take it out of one of the two");
			}
		for (size_t k = 0; k < i; k++) {
			uint32_t a = axplace_cpu_index(facts, id);
			uint32_t b = axplace_cpu_index(facts, request->pins[k]);

			if (a == b && !request->may_overcommit) {
				ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					     "placement: vCPUs %zu and %zu are both on CPU %u", k,
					     i, id);
				return ax_error_hint(err,
						     "allow overcommitment, or give each its own");
			}
			if (request->cores == AXPLACE_CORES_OWN &&
			    facts->cpus[a].core == facts->cpus[b].core) {
				ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					     "placement: CPUs %u and %u are of one core, but "
					     "vCPUs are to have cores of their own",
					     request->pins[k], id);
				return ax_error_hint(err, "leave the choice of cores to AxVM");
			}
		}
	}
	return 0;
}

int axplace_check(const struct axhost_facts *facts, const struct axplace_request *request,
		  struct ax_error *err)
{
	int r = check_facts(facts, err);

	if (r)
		return r;
	if (!request->vcpus || request->vcpus > AXPLACE_MAX_VCPUS) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "placement: %u vCPUs",
			     request->vcpus);
		return ax_error_hint(err, "a VM has from 1 to %u", AXPLACE_MAX_VCPUS);
	}
	if (!request->memory_bytes || request->memory_bytes % AXAS_PAGE_SIZE)
		return invalid(err, "memory is no multiple of 4 KiB", "ask for whole pages");
	if ((unsigned)request->backing > AXAS_BACKING_FILE ||
	    (unsigned)request->spread > AXPLACE_SPREAD ||
	    (unsigned)request->cores > AXPLACE_CORES_SMT)
		return invalid(err, "an unknown choice in the request", "see place.h");
	if (request->backing_is_must && request->memory_bytes % axas_page_size(request->backing)) {
		char size[24], page[24];

		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "placement: memory of %s is no multiple of its pages of %s",
			     ax_format_size(request->memory_bytes, size, sizeof(size)),
			     ax_format_size(axas_page_size(request->backing), page, sizeof(page)));
		return ax_error_hint(err, "memory=%s would do",
				     ax_format_size(ax_align_up(request->memory_bytes,
								axas_page_size(request->backing)),
						    size, sizeof(size)));
	}
	if (request->cores == AXPLACE_CORES_OWN && request->may_overcommit)
		return invalid(err, "a core for each vCPU and several vCPUs on a CPU",
			       "leave out one of the two");
	r = check_ids(facts, request, err);
	return r ? r : check_pins(facts, request, err);
}
