/*
 * The VM's memory: what the configuration says of RAM and further regions, as a plan's ranges and
 * then as regions of the address space.
 */
#include "vm_private.h"

#include <stdio.h>

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

static enum axas_backing backing(const struct axvm *vm)
{
	static const enum axas_backing by_choice[] = {
		[AXCFG_BACKING_ANON] = AXAS_BACKING_ANON,
		[AXCFG_BACKING_THP] = AXAS_BACKING_THP,
		[AXCFG_BACKING_HUGETLB_2M] = AXAS_BACKING_HUGETLB_2M,
		[AXCFG_BACKING_HUGETLB_1G] = AXAS_BACKING_HUGETLB_1G,
	};

	if (vm->config->memory.backing == AXCFG_BACKING_AUTO)
		return vm->profile->memory_backing;
	return by_choice[vm->config->memory.backing];
}

static int map_ram(struct axvm *vm, struct ax_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < vm->plan.memory_count; i++) {
		char name[16];
		struct axas_region_config region = {
			.name = name,
			.gpa = vm->plan.memory[i].gpa,
			.size_bytes = vm->plan.memory[i].size_bytes,
			.backing = backing(vm),
			.flags = AXAS_RW | AXAS_EXEC,
			.populate = vm->config->memory.populate,
			.lock = vm->config->memory.lock,
			.fd = -1,
		};

		snprintf(name, sizeof(name), "ram%zu", i);
		rc = axas_map(vm->memory, &region, err);
	}
	return rc;
}

static int map_extra(struct axvm *vm, size_t index, struct ax_error *err)
{
	const struct axcfg_region *extra = &vm->config->memory.regions[index];
	bool reserved = extra->map_type == AXAS_MAP_RESERVED;
	char name[24];
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
