/*
 * From the configuration to the planner's request, and back: hints of the planner come out in words
 * of the command line.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lists of a request, in the form that it wants. */
struct lists {
	uint32_t pins[AXCFG_MAX_CPUS], keep_free[AXCFG_MAX_CPUS], nodes[AXCFG_MAX_CPUS];
};

enum axas_backing axvm_backing(const struct axcfg *config, const struct axprof *profile)
{
	static const enum axas_backing by_choice[] = {
		[AXCFG_BACKING_ANON] = AXAS_BACKING_ANON,
		[AXCFG_BACKING_THP] = AXAS_BACKING_THP,
		[AXCFG_BACKING_HUGETLB_2M] = AXAS_BACKING_HUGETLB_2M,
		[AXCFG_BACKING_HUGETLB_1G] = AXAS_BACKING_HUGETLB_1G,
	};

	return config->memory.backing == AXCFG_BACKING_AUTO ? profile->memory_backing
							    : by_choice[config->memory.backing];
}

static void set_backing(const struct axcfg *config, const struct axprof *profile,
			struct axplace_request *request)
{
	request->backing = axvm_backing(config, profile);
	/* As for `run`: pages of a pool must be there, transparent ones are a wish. */
	request->backing_is_must = config->memory.backing == AXCFG_BACKING_HUGETLB_2M ||
				   config->memory.backing == AXCFG_BACKING_HUGETLB_1G;
}

static size_t copy(const struct axcfg_uint_list *list, uint32_t *ret_ids)
{
	for (size_t i = 0; i < list->count; i++)
		ret_ids[i] = (uint32_t)list->values[i];
	return list->count;
}

static void set_constraints(const struct axcfg *config, struct lists *lists,
			    struct axplace_request *request)
{
	static const enum axplace_cores cores[] = {
		[AXCFG_CORES_AUTO] = AXPLACE_CORES_AUTO,
		[AXCFG_CORES_OWN] = AXPLACE_CORES_OWN,
		[AXCFG_CORES_SMT] = AXPLACE_CORES_SMT,
	};

	request->spread = config->placement.spread ? AXPLACE_SPREAD : AXPLACE_COMPACT;
	request->cores = cores[config->placement.cores];
	request->whole_nodes = config->placement.whole_nodes;
	request->may_overcommit = config->placement.overcommit;
	request->max_nodes = (uint32_t)config->placement.max_nodes;
	request->keep_free_count = copy(&config->placement.keep_free, lists->keep_free);
	request->keep_free = lists->keep_free;
	request->node_count = copy(&config->placement.nodes, lists->nodes);
	request->nodes = lists->nodes;
	request->pin_count = copy(&config->cpus.affinity, lists->pins);
	request->pins = lists->pins;
	/* Who names a CPU twice wants two vCPUs on it. */
	for (size_t i = 0; i < request->pin_count; i++)
		for (size_t k = 0; k < i; k++)
			request->may_overcommit |= request->pins[k] == request->pins[i];
}

/* The planner speaks of its request; that is said by the options it came from. */
static void translate(struct ax_error *err)
{
	static const struct {
		const char *from, *to;
	} words[] = {
		{"vcpus=", "--cpus "},
		{"memory=", "--memory "},
		{"pins=none", "no --cpu-affinity"},
		{"backing_is_must=no", "smaller pages by --memory-backing"},
		{"may_overcommit=yes", "--overcommit"},
		{"max_nodes=", "--max-nodes "},
		{"cores=auto", "--cores auto"},
		{"nodes=all", "no --nodes"},
		{"keep_free=none", "no --keep-free"},
		{"whole_nodes=no", "no --whole-nodes"},
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

/* Would a core be left if siblings stood side by side? */
static bool siblings_leave_core(const struct axhost_facts *facts, const struct axprof *profile,
				const struct axplace_request *request,
				const struct axplace_held *held)
{
	struct axplace_request changed = *request;
	struct axplace_plan *plan = NULL;
	bool leave;

	changed.cores = AXPLACE_CORES_SMT;
	if (request->pin_count || axplace_make(facts, profile, &changed, held, &plan, NULL))
		return false;
	leave = axvm_has_spare_core(facts, plan);
	axplace_free(plan);
	return leave;
}

/* A thread of such a class gives its CPU to nobody: who does the guest's I/O would never run. */
static int check_class(const struct axcfg *config, const struct axhost_facts *facts,
		       const struct axprof *profile, const struct axplace_request *request,
		       const struct axplace_held *held, const struct axplace_plan *plan,
		       struct ax_error *err)
{
	if (config->cpus.scheduler < AXCFG_SCHEDULER_FIFO || axvm_has_spare_core(facts, plan))
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, ENOSPC,
		     "placement: cpus.scheduler fifo or rr, but no core is left for I/O beside the "
		     "%llu vCPU%s",
		     (unsigned long long)config->cpus.count, config->cpus.count == 1 ? "" : "s");
	return ax_error_hint(err, "%s%sleave out --scheduler",
			     config->cpus.count == 1 ? "" : "ask for fewer vCPUs, or ",
			     siblings_leave_core(facts, profile, request, held) ? "--cores smt, or "
										: "");
}

int axvm_plan(const struct axcfg *config, const struct axhost_facts *facts,
	      const struct axplace_held *held, struct axplace_plan **ret_plan, struct ax_error *err)
{
	AX_AUTO_FREE struct lists *lists = malloc(sizeof(*lists));
	struct axplace_request request = {
		.vcpus = (uint32_t)config->cpus.count,
		.memory_bytes = config->memory.size_bytes,
		.io_threads = (uint32_t)config->io.threads,
	};
	const struct axprof *profile;
	int rc = axprof_select(config->profile, facts, &profile, err);

	if (rc)
		return rc;
	if (!lists)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	set_backing(config, profile, &request);
	set_constraints(config, lists, &request);
	rc = axplace_make(facts, profile, &request, held, ret_plan, err);
	if (rc) {
		if (err)
			translate(err);
		return rc;
	}
	rc = check_class(config, facts, profile, &request, held, *ret_plan, err);
	if (rc) {
		axplace_free(*ret_plan);
		*ret_plan = NULL;
	}
	return rc;
}
