/*
 * Steps that the planners of the architectures have in common: is the size asked for possible, and
 * adding ranges to the layout and the list of RAM,
 * and refusing what only other architectures have.
 */
#include "boot.h"

#include <errno.h>

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

int axarch_plan_add_ram(struct axarch_plan *plan, uint64_t gpa, uint64_t size_bytes,
			struct ax_error *err)
{
	plan->memory[plan->memory_count].gpa = gpa;
	plan->memory[plan->memory_count].size_bytes = size_bytes;
	plan->memory_count++;
	return axarch_plan_add(plan, "ram", AXAS_LAYOUT_MEMORY, gpa, size_bytes, err);
}

bool axarch_plan_is_ram(const struct axarch_plan *plan, uint64_t gpa, uint64_t size_bytes)
{
	for (size_t i = 0; i < plan->memory_count; i++) {
		const uint64_t start = plan->memory[i].gpa, size = plan->memory[i].size_bytes;
		if (gpa >= start && gpa - start <= size && size_bytes <= size - (gpa - start))
			return true;
	}
	return false;
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
