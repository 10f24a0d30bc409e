/*
 * The order in which ways of placing are tried: pins as they are; otherwise a CPU for each vCPU;
 * then, where the request allows it, several vCPUs on a CPU; and CPUs of other VMs only when no
 * other is left, those of the fewest first.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool axplace_overcommit(struct place *p, const uint32_t *nodes, uint32_t count)
{
	uint32_t total = 0, n = 0;

	for (uint32_t i = 0; i < count; i++)
		total += p->nodes[nodes[i]].cpu_count;
	if (!total || total >= p->request.vcpus)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		const struct node *node = &p->nodes[nodes[i]];

		for (uint32_t c = 0; c < node->core_count; c++)
			for (uint32_t k = 0; k < node->cores[c].cpu_count; k++)
				p->fixed[n++] = node->cores[c].cpus[k];
	}
	for (; n < p->request.vcpus; n++)
		p->fixed[n] = p->fixed[n - total];
	p->shared_vcpus = p->request.vcpus - total;
	return true;
}

int axplace_check_pins(const struct place *p, struct ax_error *err)
{
	for (size_t i = 0; i < p->request.pin_count; i++) {
		uint32_t id = p->request.pins[i], at = axplace_cpu_index(p->facts, id);
		const struct axhost_cpu *cpu = &p->facts->cpus[at];
		char online[80];
		const struct {
			bool wrong;
			int number;
			const char *what, *hint;
		} checks[] = {
			{!cpu->online, EINVAL, "is offline", online},
			{!cpu->allowed && !p->any_cpuset, EPERM,
			 "is outside of the cpuset or affinity mask that AxVM runs in",
			 "widen it (cpuset.cpus, taskset), or choose a CPU of it"},
			{cpu->node >= p->facts->node_count, EINVAL, "belongs to no node",
			 "choose another CPU"},
			{(p->cpu_flags[at] & PLACE_CPU_HELD) && !p->request.may_overcommit, ENOSPC,
			 "is held by another VM", "choose another, or allow overcommitment"},
			{cpu->node < p->facts->node_count && !p->nodes[cpu->node].eligible, EINVAL,
			 p->request.whole_nodes ? "is of a node that another VM has CPUs of, or "
						  "that the request leaves out"
						: "is of a node that the request leaves out",
			 "choose a CPU of a node that may be used"},
			{cpu->online && p->request.cores == AXPLACE_CORES_OWN &&
				 p->core_strangers[cpu->core],
			 ENOSPC, "shares its core with another VM", "choose a core of its own"},
		};

		snprintf(online, sizeof(online),
			 "echo 1 > /sys/devices/system/cpu/cpu%u/online, or choose another", id);
		for (size_t c = 0; c < AX_ARRAY_LEN(checks); c++)
			if (checks[c].wrong) {
				ax_error_set(err, AX_ERROR_CONFIGURATION, checks[c].number,
					     "placement: CPU %u, where vCPU %zu is to run, %s", id,
					     i, checks[c].what);
				return ax_error_hint(err, "%s", checks[c].hint);
			}
	}
	return 0;
}

static int find_pinned(struct place *p, struct choice *best, struct choice *second)
{
	int r;

	p->pinned = true;
	p->shared_vcpus = 0;
	for (uint32_t v = 0; v < p->request.vcpus; v++) {
		bool again = false;

		p->fixed[v] = axplace_cpu_index(p->facts, p->request.pins[v]);
		for (uint32_t u = 0; u < v; u++)
			again |= p->fixed[u] == p->fixed[v];
		p->shared_vcpus += again;
	}
	r = axplace_fix(p);
	return r ? r : axplace_search(p, best, second);
}

static bool any_cpu(const struct place *p)
{
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (p->nodes[i].cpu_count)
			return true;
	return false;
}

/* The fewest VMs that any CPU has which was left out for having too many; 0: none was. */
static uint32_t next_holders(const struct place *p)
{
	uint32_t next = 0;

	for (size_t i = 0; p->held && i < p->held->cpu_count; i++) {
		const uint32_t holders = axplace_holders(p->held, i);

		if (holders > p->most_holders && (!next || holders < next))
			next = holders;
	}
	return next;
}

/* With CPUs of other VMs: of as few VMs each as make a CPU for each vCPU. When nothing does, all of
 * them are in. */
static int find_held(struct place *p, struct choice *best, struct choice *second)
{
	uint32_t holders;
	int r = 0;

	while (!r && !best->found && (holders = next_holders(p))) {
		axplace_finish(p);
		p->most_holders = holders;
		r = axplace_init(p, NULL) ? -ENOMEM : axplace_search(p, best, second);
	}
	return r;
}

static int find_overcommitted(struct place *p, struct choice *best, struct choice *second)
{
	AX_AUTO_FREE uint32_t *set = calloc(p->facts->node_count, sizeof(*set));
	uint32_t count = 0;
	int r;

	p->fixed = calloc(p->request.vcpus, sizeof(*p->fixed));
	if (!p->fixed || !set)
		return -ENOMEM;
	p->overcommit = true;
	r = axplace_search(p, best, second);
	if (r || !best->found)
		return r;
	/* The last set tried need not be the best. */
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (axplace_uses(best, i))
			set[count++] = i;
	axplace_overcommit(p, set, count);
	return axplace_fix(p);
}

int axplace_find(struct place *p, struct choice *best, struct choice *second)
{
	int r;

	if (p->request.pin_count) {
		p->fixed = calloc(p->request.vcpus, sizeof(*p->fixed));
		return p->fixed ? find_pinned(p, best, second) : -ENOMEM;
	}
	if (p->request.may_overcommit && !any_cpu(p))
		r = find_held(p, best, second);
	else
		r = axplace_search(p, best, second);
	if (!r && !best->found && p->request.may_overcommit)
		r = find_overcommitted(p, best, second);
	return r;
}
