/*
 * From the configuration to the planner's request, and back: hints of the planner come out in words
 * of the command line.
 */
#include "cmd.h"

#include <axvm/place.h>

#include <stdio.h>
#include <string.h>

static void set_backing(const struct axcfg *config, const struct axprof *profile,
			struct axplace_request *request)
{
	static const enum axas_backing by_choice[] = {
		[AXCFG_BACKING_ANON] = AXAS_BACKING_ANON,
		[AXCFG_BACKING_THP] = AXAS_BACKING_THP,
		[AXCFG_BACKING_HUGETLB_2M] = AXAS_BACKING_HUGETLB_2M,
		[AXCFG_BACKING_HUGETLB_1G] = AXAS_BACKING_HUGETLB_1G,
	};

	request->backing = config->memory.backing == AXCFG_BACKING_AUTO
				   ? profile->memory_backing
				   : by_choice[config->memory.backing];
	/* As for `run`: pages of a pool must be there, transparent ones are a wish. */
	request->backing_is_must = config->memory.backing == AXCFG_BACKING_HUGETLB_2M ||
				   config->memory.backing == AXCFG_BACKING_HUGETLB_1G;
}

/* Who names a CPU twice wants two vCPUs on it. */
static void set_pins(const struct axcfg *config, uint32_t *pins, struct axplace_request *request)
{
	const struct axcfg_uint_list *list = &config->cpus.affinity;

	for (size_t i = 0; i < list->count; i++) {
		pins[i] = (uint32_t)list->values[i];
		for (size_t k = 0; k < i; k++)
			request->may_overcommit |= pins[k] == pins[i];
	}
	request->pins = pins;
	request->pin_count = list->count;
}

/* The planner speaks of its request; what of that has an option is said by it. */
static void translate(struct ax_error *err)
{
	static const struct {
		const char *from, *to;
	} words[] = {
		{"vcpus=", "--cpus "},
		{"memory=", "--memory "},
		{"pins=none", "no --cpu-affinity"},
		{"backing_is_must=no", "smaller pages by --memory-backing"},
		{"may_overcommit=yes", "a --cpu-affinity that names CPUs twice"},
	};
	char text[sizeof(err->hint)] = "";
	size_t used = 0;

	for (const char *at = err->hint; *at && used + 1 < sizeof(text);) {
		size_t i = 0;

		while (i < AX_ARRAY_LEN(words) &&
		       strncmp(at, words[i].from, strlen(words[i].from)) != 0)
			i++;
		if (i == AX_ARRAY_LEN(words)) {
			text[used++] = *at++;
			text[used] = '\0';
			continue;
		}
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", words[i].to);
		at += strlen(words[i].from);
	}
	ax_error_hint(err, "%s", text);
}

int plan_make(const struct axcfg *config, const struct axhost_facts *facts,
	      struct axplace_plan **ret_plan, struct ax_error *err)
{
	uint32_t pins[AXCFG_MAX_CPUS];
	struct axplace_request request = {
		.vcpus = (uint32_t)config->cpus.count,
		.memory_bytes = config->memory.size_bytes,
		.io_threads = (uint32_t)config->io.threads,
	};
	const struct axprof *profile;
	int rc = axprof_select(config->profile, facts, &profile, err);

	if (rc)
		return rc;
	if (config->io.affinity.count)
		ax_log(AX_LOG_WARN, "plan",
		       "--io-affinity is no part of a plan, which chooses "
		       "the CPUs of I/O threads itself");
	set_backing(config, profile, &request);
	set_pins(config, pins, &request);
	rc = axplace_make(facts, profile, &request, NULL, ret_plan, err);
	if (rc)
		translate(err);
	return rc;
}
