/*
 * The VM's memory: what the configuration says of RAM and further regions, as a plan's ranges and
 * then as regions of the address space.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Further regions become part of the plan before anybody works by it: fresh memory that the guest
 * may write is RAM to it; a file shared with others, or what it may only read, is reserved.
 */
int axvm_plan_regions(struct axvm *vm, struct ax_error *err)
{
	for (size_t i = 0; i < vm->config->memory.region_count; i++) {
		const struct axcfg_region *extra = &vm->config->memory.regions[i];
		bool ram = extra->map_type != AXAS_MAP_RESERVED && !extra->read_only;
		struct axas_layout_range range = {
			.name = "memory.regions",
			.kind = ram ? AXAS_LAYOUT_MEMORY : AXAS_LAYOUT_RESERVED,
			.gpa = extra->gpa,
			.size_bytes = extra->size_bytes,
		};
		int rc = axas_layout_add(&vm->plan.layout, &range, err);

		if (rc)
			return ax_error_context(err, "memory.regions[%zu]", i);
	}
	return 0;
}

/* CPUs of the vCPUs of a guest node: who uses its memory brings it, each a part. What is bound to
 * no node lies where it is brought, so all do that. */
static size_t node_cpus(const struct axvm *vm, uint32_t guest_node, uint32_t *ret_cpus)
{
	const struct axplace_plan *plan = vm->placement.plan;
	size_t count = 0;

	for (size_t i = 0; i < plan->vcpu_count; i++)
		if (!vm->placement.bind || plan->vcpus[i].guest_node == guest_node)
			ret_cpus[count++] = plan->vcpus[i].cpu;
	return count;
}

/* Of all regions together; populating threads count. */
struct progress {
	struct axvm *vm;
	_Atomic uint64_t bytes;
};

static int on_populated(void *ctx, uint64_t bytes)
{
	struct progress *progress = ctx;
	const struct axvm_options *options = &progress->vm->options;
	const uint64_t before = atomic_fetch_add(&progress->bytes, bytes);

	return options->on_memory(options->on_memory_ctx, before + bytes,
				  progress->vm->config->memory.size_bytes);
}

/* Is all of it taken once it is mapped? Huge pages of a node cannot be promised, so they come at
 * once. */
static bool is_brought(const struct axvm *vm)
{
	const struct axplace_plan *plan = vm->placement.plan;
	const bool huge = plan && (plan->memory[0].backing == AXAS_BACKING_HUGETLB_2M ||
				   plan->memory[0].backing == AXAS_BACKING_HUGETLB_1G);

	return vm->config->memory.populate ||
	       (vm->placement.bind && (vm->config->memory.prefault || huge));
}

static int map_ram(struct axvm *vm, struct ax_error *err)
{
	struct progress progress = {.vm = vm};
	const struct axplace_plan *plan = vm->placement.plan;
	const bool bind = vm->placement.bind;
	uint32_t *cpus = calloc(vm->config->cpus.count, sizeof(*cpus));
	int rc = 0;

	if (!cpus)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory");
	for (size_t i = 0; !rc && i < vm->plan.memory_count; i++) {
		const struct axplace_memory *planned =
			plan ? &plan->memory[vm->plan.memory[i].node] : NULL;
		char name[24];
		struct axas_region_config region = {
			.name = name,
			.gpa = vm->plan.memory[i].gpa,
			.size_bytes = vm->plan.memory[i].size_bytes,
			.backing =
				planned ? planned->backing : axvm_backing(vm->config, vm->profile),
			.flags = AXAS_RW | AXAS_EXEC,
			.populate = vm->config->memory.populate ||
				    (bind && vm->config->memory.prefault),
			.lock = vm->config->memory.lock,
			.bind = bind,
			.node = planned ? planned->node : 0,
			.populate_cpus = cpus,
			.populate_cpu_count =
				plan ? node_cpus(vm, vm->plan.memory[i].node, cpus) : 0,
			.on_populated = vm->options.on_memory ? on_populated : NULL,
			.ctx = &progress,
			.fd = -1,
		};

		snprintf(name, sizeof(name), "ram%zu", i);
		rc = axas_map(vm->memory, &region, err);
	}
	free(cpus);
	if (!rc && vm->placement.claim && is_brought(vm))
		axledger_populated(vm->placement.claim);
	return rc;
}

static int map_extra(struct axvm *vm, size_t index, struct ax_error *err)
{
	const struct axcfg_region *extra = &vm->config->memory.regions[index];
	bool reserved = extra->map_type == AXAS_MAP_RESERVED;
	char name[32];
	struct axas_region_config region = {
		.name = name,
		.gpa = extra->gpa,
		.size_bytes = extra->size_bytes,
		.type = (enum axas_map_type)extra->map_type,
		.backing = reserved ? AXAS_BACKING_FILE : AXAS_BACKING_ANON,
		.flags = extra->read_only ? AXAS_READ : AXAS_RW,
		/* As the rest of the guest's RAM; a file is also other people's. */
		.populate = vm->config->memory.populate && !reserved,
		.lock = vm->config->memory.lock && !reserved,
		.path = extra->path,
		.fd = -1,
	};
	int rc;

	snprintf(name, sizeof(name), "region%zu", index);
	rc = axas_map(vm->memory, &region, err);
	return rc ? ax_error_context(err, "memory.regions[%zu]", index) : 0;
}

int axvm_build_memory(struct axvm *vm, struct ax_error *err)
{
	struct axas_mapper mapper;
	int rc;

	vm->arch->vm_mapper(vm->arch_vm, &mapper);
	rc = axas_create(vm->plan.gpa_limit, &mapper, &vm->memory, err);
	if (!rc)
		rc = map_ram(vm, err);
	for (size_t i = 0; !rc && i < vm->config->memory.region_count; i++)
		rc = map_extra(vm, i, err);
	return rc;
}
