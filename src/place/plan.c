/*
 * axplace_make: checks, search, and the parts of a plan in their order. What each step decides is
 * in the file that is called after it.
 */
#include "private.h"

#include <errno.h>
#include <stdlib.h>

const char *axplace_cost_name(enum axplace_cost term)
{
	static const char *const names[AXPLACE_COSTS] = {
		[AXPLACE_COST_OVERCOMMIT] = "overcommit",
		[AXPLACE_COST_NODES] = "nodes",
		[AXPLACE_COST_DISTANCE] = "distance",
		[AXPLACE_COST_LOPSIDED] = "lopsided",
		[AXPLACE_COST_CORES] = "cores",
		[AXPLACE_COST_REMOTE] = "remote",
		[AXPLACE_COST_STRANGERS] = "strangers",
		[AXPLACE_COST_HOUSEKEEPING] = "housekeeping",
		[AXPLACE_COST_CACHES] = "caches",
		[AXPLACE_COST_UNISOLATED] = "unisolated",
		[AXPLACE_COST_UNEVEN] = "uneven",
		[AXPLACE_COST_BOOT_CORE] = "boot_core",
		[AXPLACE_COST_PAGES] = "pages",
		[AXPLACE_COST_LEFT_OVER] = "left_over",
	};

	return (unsigned)term < AX_ARRAY_LEN(names) ? names[term] : "?";
}

static int build(struct place *p, const struct choice *best, const struct choice *second,
		 struct axplace_plan **ret_plan)
{
	struct axplace_plan *plan = calloc(1, sizeof(*plan));
	int r = plan ? 0 : -ENOMEM;

	if (!r) {
		plan->profile = p->profile->name;
		r = axplace_arrange(p, best, plan);
	}
	if (!r)
		r = axplace_io(p, plan);
	if (!r)
		r = axplace_notes(p, best, second, plan);
	if (r)
		axplace_free(plan);
	else
		*ret_plan = plan;
	return r;
}

int axplace_make(const struct axhost_facts *facts, const struct axprof *profile,
		 const struct axplace_request *request, const struct axplace_held *held,
		 struct axplace_plan **ret_plan, struct ax_error *err)
{
	struct choice best = {0}, second = {0};
	struct place p;
	int r = axplace_check(facts, request, err);

	if (r)
		return r;
	p = (struct place){.facts = facts, .profile = profile, .request = *request, .held = held};
	r = axplace_init(&p, err);
	if (r)
		return r;
	r = axplace_check_pins(&p, err);
	if (r) {
		axplace_finish(&p);
		return r;
	}
	r = axplace_choice_init(&p, &best);
	if (!r)
		r = axplace_choice_init(&p, &second);
	if (!r)
		r = axplace_find(&p, &best, &second);
	if (!r && best.found)
		r = build(&p, &best, &second, ret_plan);
	if (r)
		axplace_no_memory(err);
	else if (!best.found)
		r = axplace_refuse(&p, err);
	axplace_choice_finish(&best);
	axplace_choice_finish(&second);
	axplace_finish(&p);
	return r;
}

void axplace_free(struct axplace_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; plan->io && i < plan->io_count; i++)
		free(plan->io[i].cpus);
	free(plan->vcpus);
	free(plan->memory);
	free(plan->distances);
	free(plan->io);
	free(plan->housekeeping);
	free(plan->claims);
	free(plan->held);
	free(plan->notes);
	free(plan);
}
