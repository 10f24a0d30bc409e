/*
 * What no single value can tell: the checks between options before the configuration is frozen.
 * check_devices.c has those of devices, check_files.c the look at what the configuration names.
 */
#include "config_private.h"

#include <errno.h>

static int check_lists(const struct axcfg *config, struct ax_error *err)
{
	const struct {
		const char *key;
		const struct axcfg_uint_list *list;
		bool unique;
	} lists[] = {
		{"cpus.ids", &config->cpus.ids, true},
		{"cpus.affinity", &config->cpus.affinity, false},
	};

	for (size_t l = 0; l < AX_ARRAY_LEN(lists); l++) {
		const struct axcfg_uint_list *list = lists[l].list;

		if (list->count && list->count != config->cpus.count) {
			ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				     "%s has %zu numbers for %llu vCPUs", lists[l].key, list->count,
				     (unsigned long long)config->cpus.count);
			return ax_error_hint(err,
					     "give one number per vCPU, or set cpus.count to %zu",
					     list->count);
		}
		for (size_t i = 0; lists[l].unique && i < list->count; i++)
			for (size_t j = 0; j < i; j++)
				if (list->values[i] == list->values[j])
					return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
							    "%s: %llu stands there twice",
							    lists[l].key,
							    (unsigned long long)list->values[i]);
	}
	return 0;
}

static int check_memory(const struct axcfg *config, struct ax_error *err)
{
	if (config->memory.size_bytes % 4096)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "memory.size: %llu bytes are not a multiple of 4096",
				    (unsigned long long)config->memory.size_bytes);
	for (size_t i = 0; i < config->memory.region_count; i++) {
		const struct axcfg_region *region = &config->memory.regions[i];
		bool reserved = region->map_type == 2;
		uint64_t end;

		if (!region->size_bytes)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "memory.regions[%zu] has no size", i);
		if ((region->gpa | region->size_bytes) % 4096)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "memory.regions[%zu]: 0x%llx and %llu are not both "
					    "multiples of 4096",
					    i, (unsigned long long)region->gpa,
					    (unsigned long long)region->size_bytes);
		if (ax_add_overflows(region->gpa, region->size_bytes, &end))
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EOVERFLOW,
					    "memory.regions[%zu]: 0x%llx plus %llu bytes wraps", i,
					    (unsigned long long)region->gpa,
					    (unsigned long long)region->size_bytes);
		if (reserved != (region->path != NULL))
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "memory.regions[%zu]: a path goes with type reserved, "
					    "and only with it",
					    i);
	}
	return 0;
}

static bool has_twice(const struct axcfg_uint_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < i; j++)
			if (list->values[i] == list->values[j])
				return true;
	return false;
}

/* Words for the planner, in a mode that has none. */
static int check_words(const struct axcfg *config, struct ax_error *err)
{
	const uint32_t mode = config->placement.mode;
	const struct {
		const char *name;
		bool given;
	} words[] = {
		{"nodes", config->placement.nodes.count},
		{"max_nodes", config->placement.max_nodes},
		{"keep_free", config->placement.keep_free.count},
		{"spread", config->placement.spread},
		{"whole_nodes", config->placement.whole_nodes},
		{"cores", config->placement.cores != AXCFG_CORES_AUTO},
		{"overcommit", config->placement.overcommit},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(words); i++) {
		if (!words[i].given ||
		    (mode != AXCFG_PLACEMENT_SHARED && mode != AXCFG_PLACEMENT_OFF))
			continue;
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "placement.%s is for a plan, placement.mode %s has none",
			     words[i].name, mode == AXCFG_PLACEMENT_OFF ? "off" : "shared");
		return ax_error_hint(err, "leave out one of the two");
	}
	return 0;
}

/* What can be told without the host; whether there is room is the planner's. */
static int check_placement(const struct axcfg *config, struct ax_error *err)
{
	const bool real_time = config->cpus.scheduler == AXCFG_SCHEDULER_FIFO ||
			       config->cpus.scheduler == AXCFG_SCHEDULER_RR;
	const uint32_t mode = config->placement.mode;

	if (config->placement.cores == AXCFG_CORES_OWN && config->placement.overcommit) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "placement.cores own and placement.overcommit exclude each other");
		return ax_error_hint(err, "leave out one of the two");
	}
	if (!real_time && config->cpus.priority != 1) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "cpus.priority %llu, but cpus.scheduler is neither fifo nor rr",
			     (unsigned long long)config->cpus.priority);
		return ax_error_hint(err, "add --scheduler fifo, or leave out --priority");
	}
	/* One that never sleeps would keep everybody else off a CPU that is not its own. */
	if (real_time && (mode == AXCFG_PLACEMENT_SHARED || mode == AXCFG_PLACEMENT_OFF ||
			  config->placement.overcommit || has_twice(&config->cpus.affinity))) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "cpus.scheduler fifo and rr want a CPU for each vCPU alone");
		return ax_error_hint(err, "use them with --placement dedicated");
	}
	if (config->cpus.affinity.count && mode == AXCFG_PLACEMENT_SHARED) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "cpus.affinity pins the vCPUs, placement.mode shared does not");
		return ax_error_hint(err, "leave out one of the two");
	}
	return check_words(config, err);
}

static int check_serial(const struct axcfg *config, struct ax_error *err)
{
	const bool is_file = config->serial.mode == AXCFG_SERIAL_FILE;

	if (is_file && !config->serial.path) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "serial.mode is file, but serial.path is not set");
		return ax_error_hint(err, "add --serial-path FILE");
	}
	if (!is_file && config->serial.path) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "serial.path is set, but serial.mode is not file");
		return ax_error_hint(err, "add --serial file, or leave out --serial-path");
	}
	return 0;
}

int axcfg_cross_check(const struct axcfg *config, struct ax_error *err)
{
	int rc = check_lists(config, err);

	if (!rc)
		rc = check_memory(config, err);
	if (!rc)
		rc = check_placement(config, err);
	if (!rc)
		rc = check_serial(config, err);
	if (rc)
		return rc;
	if (config->kernel.bits != 16 && config->kernel.bits != 32 && config->kernel.bits != 64)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "kernel.bits: %llu is not 16, 32 or 64",
				    (unsigned long long)config->kernel.bits);
	if (config->machine.irq_mode == AXCFG_IRQ_NONE &&
	    config->kernel.protocol != AXCFG_PROTOCOL_FLAT) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "machine.irq_mode none leaves a Linux kernel without a timer");
		return ax_error_hint(err, "use it with --protocol flat");
	}
	return axcfg_check_devices(config, err);
}
