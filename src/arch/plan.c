/*
 * Steps that the planners of the architectures have in common: is the size asked for possible,
 * adding ranges to the layout and the list of RAM, keeping to the host's address bits, and refusing
 * what only other architectures have.
 */
#include "boot.h"

#include <errno.h>

int axarch_check_cpus(uint32_t count, uint32_t max, struct ax_error *err)
{
	if (count >= 1 && count <= max)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
		     "%u CPUs are asked for, 1 to %u are possible", count, max);
	return ax_error_hint(err, "choose 1 to %u CPUs", max);
}

int axarch_check_memory(uint64_t bytes, uint64_t min, uint64_t max, struct ax_error *err)
{
	char have[24], low[24], high[24];

	ax_format_size(bytes, have, sizeof(have));
	ax_format_size(min, low, sizeof(low));
	ax_format_size(max, high, sizeof(high));
	if (bytes < min || bytes > max) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			     "guest memory of %s is outside %s to %s", have, low, high);
		return ax_error_hint(err, "choose a memory size from %s to %s", low, high);
	}
	if (bytes % AXAS_PAGE_SIZE) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "guest memory of %llu bytes is no multiple of 4096",
			     (unsigned long long)bytes);
		return ax_error_hint(err, "%llu bytes would do",
				     (unsigned long long)ax_align_down(bytes, AXAS_PAGE_SIZE));
	}
	return 0;
}

int axarch_plan_add(struct axarch_plan *plan, const char *name, enum axas_layout_kind kind,
		    uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	const struct axas_layout_range range = {
		.name = name,
		.kind = kind,
		.gpa = gpa,
		.size_bytes = size_bytes,
	};
	return axas_layout_add(&plan->layout, &range, err);
}

void axarch_plan_split_ram(struct axarch_plan *plan, const struct axarch_vm_config *config,
			   uint64_t gpa, uint64_t size_bytes)
{
	const struct axarch_topology *t = config->topology;
	const uint32_t nodes = t && t->node_count ? t->node_count : 1;
	uint64_t before = 0, node_end = 0;

	for (size_t i = 0; i < plan->memory_count; i++)
		before += plan->memory[i].size_bytes;
	for (uint32_t node = 0; node < nodes && size_bytes; node++) {
		node_end += nodes > 1 ? t->node_bytes[node] : config->memory_bytes;
		if (node_end <= before)
			continue;
		const uint64_t rest = node_end - before;
		const uint64_t piece = rest < size_bytes ? rest : size_bytes;

		plan->memory[plan->memory_count].gpa = gpa;
		plan->memory[plan->memory_count].size_bytes = piece;
		plan->memory[plan->memory_count].node = node;
		plan->memory_count++;
		before += piece;
		gpa += piece;
		size_bytes -= piece;
	}
}

int axarch_plan_add_ram(struct axarch_plan *plan, const struct axarch_vm_config *config,
			uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	axarch_plan_split_ram(plan, config, gpa, size_bytes);
	return axarch_plan_add(plan, "ram", AXAS_LAYOUT_MEMORY, gpa, size_bytes, err);
}

int axarch_plan_add_slots(struct axarch_plan *plan, uint32_t count, uint32_t gsi,
			  struct ax_error *err)
{
	plan->device_count = count;
	for (uint32_t i = 0; i < count; i++)
		plan->device_gsi[i] = gsi + i;
	return axarch_plan_add(plan, "virtio-mmio", AXAS_LAYOUT_EMULATED_DEVICE, plan->device_gpa,
			       count * plan->device_stride, err);
}

int axarch_plan_narrow(struct axarch_plan *plan, unsigned bits, const char *whose, const char *kind,
		       struct ax_error *err)
{
	const uint64_t limit = bits && bits < 64 ? 1ULL << bits : UINT64_MAX;
	uint64_t total = 0, end = 0;
	char have[24], most[24];

	if (limit >= plan->gpa_limit)
		return 0;
	for (size_t i = 0; i < plan->memory_count; i++) {
		total += plan->memory[i].size_bytes;
		end = plan->memory[i].gpa + plan->memory[i].size_bytes;
	}
	if (end > limit) {
		/* What is no RAM below the end stays none. */
		ax_format_size(total, have, sizeof(have));
		ax_format_size(limit - (end - total), most, sizeof(most));
		ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			     "guest memory of %s ends at 0x%llx, this host's %s %u %s, which end "
			     "at 0x%llx",
			     have, (unsigned long long)end, whose, bits, kind,
			     (unsigned long long)limit);
		return ax_error_hint(err, "choose a memory size up to %s", most);
	}
	plan->gpa_limit = limit;
	return 0;
}

uint64_t axarch_plan_ram_end(const struct axarch_plan *plan, uint64_t gpa)
{
	for (size_t i = 0; i < plan->memory_count; i++) {
		const uint64_t start = plan->memory[i].gpa, size = plan->memory[i].size_bytes;
		if (gpa >= start && gpa - start < size)
			gpa = start + size;
	}
	return gpa;
}

bool axarch_plan_is_ram(const struct axarch_plan *plan, uint64_t gpa, uint64_t size_bytes)
{
	return size_bytes <= axarch_plan_ram_end(plan, gpa) - gpa;
}

int axarch_refuse_gic(const struct axarch_vm_config *config, const char *arch, struct ax_error *err)
{
	if (!config->gic_version)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
		     "GIC version %u is asked for, a machine of %s has no GIC", config->gic_version,
		     arch);
	return ax_error_hint(err, "leave --gic out");
}

int axarch_refuse_pl011(const struct axarch_vm_config *config, const char *arch,
			struct ax_error *err)
{
	if (config->uart != AXARCH_UART_PL011)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
		     "a PL011 is asked for, a machine of %s has a 16550 as its serial port", arch);
	return ax_error_hint(err, "leave --uart out");
}

int axarch_refuse_dtb(const struct axarch_boot *boot, const char *arch, struct ax_error *err)
{
	if (!boot->dtb_name)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
		     "dtb '%s': a machine of %s is not described by a device tree", boot->dtb_name,
		     arch);
	return ax_error_hint(err, "leave --dtb out");
}

int axarch_refuse_initrd(const struct axarch_boot *boot, struct ax_error *err)
{
	if (boot->initrd_fd < 0)
		return 0;
	return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			    "a flat image takes no initrd ('%s')",
			    boot->initrd_name ? boot->initrd_name : "unnamed");
}
