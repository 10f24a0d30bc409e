/*
 * Why a request has no plan: what is missing and where, found by asking again without one of the
 * demands. The hints are requests that were tried and work (advice.c).
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool axplace_would_work(const struct place *p, const struct axplace_request *request,
			unsigned leave_out)
{
	struct place other = {
		.facts = p->facts,
		.profile = p->profile,
		.request = *request,
		.held = p->held,
		.any_cpuset = leave_out & PLACE_NO_CPUSET,
		.ignore_memory = leave_out & PLACE_NO_MEMORY,
	};
	struct choice best = {0}, second = {0};
	bool found = false;

	if (axplace_check(p->facts, request, NULL) || axplace_init(&other, NULL))
		return false;
	if (!axplace_check_pins(&other, NULL) && !axplace_choice_init(&other, &best) &&
	    !axplace_choice_init(&other, &second) && !axplace_find(&other, &best, &second))
		found = best.found;
	axplace_choice_finish(&best);
	axplace_choice_finish(&second);
	axplace_finish(&other);
	return found;
}

/* " at most N nodes" and the like: which part of the host is spoken of. */
static const char *limit_of_nodes(const struct place *p, char *buf, size_t buf_size)
{
	buf[0] = '\0';
	if (p->request.max_nodes)
		snprintf(buf, buf_size, " on at most %u node%s", p->request.max_nodes,
			 p->request.max_nodes > 1 ? "s" : "");
	return buf;
}

/* What there is no room for is left out whole, and said to be: half a number would be another.
 * Returns how much is used, buf_size once something was left out. */
static size_t append(char *buf, size_t buf_size, size_t used, const char *text)
{
	static const char more[] = ", ...";
	size_t length = strlen(text);

	if (used == buf_size)
		return used;
	if (used + length + sizeof(more) > buf_size) {
		memcpy(buf + used, more, sizeof(more));
		return buf_size;
	}
	memcpy(buf + used, text, length + 1);
	return used + length;
}

/* "node 0 has 8 CPUs in 4 cores, node 1 ...", as far as there is room. */
static void list_cpus(const struct place *p, char *buf, size_t buf_size)
{
	size_t used = 0;
	char part[96];

	buf[0] = '\0';
	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		const struct node *node = &p->nodes[i];
		uint32_t untouched = 0;

		for (uint32_t c = 0; c < node->core_count; c++)
			untouched += !node->cores[c].stranger;
		snprintf(part, sizeof(part), "%snode %u has %u in %u core%s", used ? ", " : "",
			 p->facts->nodes[i].id, node->cpu_count, untouched,
			 untouched == 1 ? "" : "s");
		used = append(buf, buf_size, used, part);
	}
}

/* How the host's other CPUs are lost to this request. */
static void list_lost(const struct place *p, char *buf, size_t buf_size)
{
	uint32_t offline = 0, forbidden = 0, held = 0, kept = 0, elsewhere = 0;
	const struct {
		const uint32_t *count;
		const char *what;
	} rows[] = {
		{&offline, "offline"},
		{&forbidden, "outside of the cpuset"},
		{&held, "held by other VMs"},
		{&kept, "kept free"},
		{&elsewhere, p->request.whole_nodes ? "on nodes left out or of other VMs"
						    : "on nodes left out"},
	};
	size_t used = 0;
	char part[64];

	buf[0] = '\0';
	for (size_t i = 0; i < p->facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &p->facts->cpus[i];

		offline += !cpu->online;
		forbidden += cpu->online && !cpu->allowed;
		held += (p->cpu_flags[i] & PLACE_CPU_HELD) != 0;
		kept += (p->cpu_flags[i] & PLACE_CPU_KEPT) != 0;
		elsewhere += cpu->online && cpu->allowed && cpu->node < p->facts->node_count &&
			     !p->nodes[cpu->node].eligible &&
			     !(p->cpu_flags[i] & (PLACE_CPU_HELD | PLACE_CPU_KEPT));
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		if (!*rows[i].count)
			continue;
		snprintf(part, sizeof(part), "%s%u %s", used ? ", " : "; ", *rows[i].count,
			 rows[i].what);
		used = append(buf, buf_size, used, part);
	}
}

static int refuse_cpus(const struct place *p, struct ax_error *err)
{
	bool cpuset = axplace_would_work(p, &p->request, PLACE_NO_MEMORY | PLACE_NO_CPUSET);
	char cpus[256], lost[128], limit[64];

	list_cpus(p, cpus, sizeof(cpus));
	list_lost(p, lost, sizeof(lost));
	return ax_error_set(err, AX_ERROR_CONFIGURATION, cpuset ? EPERM : ENOSPC,
			    "placement: %s%u vCPU%s%s %s not fit%s: usable CPUs: %s%s",
			    cpuset ? "the cpuset or affinity mask forbids it: " : "",
			    p->request.vcpus, p->request.vcpus == 1 ? "" : "s",
			    p->request.cores == AXPLACE_CORES_OWN ? " with a core each" : "",
			    p->request.vcpus == 1 ? "does" : "do",
			    limit_of_nodes(p, limit, sizeof(limit)), cpus, lost);
}

static void list_memory(const struct place *p, char *buf, size_t buf_size)
{
	uint64_t page = axas_page_size(p->request.backing);
	size_t used = 0;
	char part[128], size[24], name[24];

	buf[0] = '\0';
	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		uint64_t pages = axplace_pool_free(p, i, page);
		bool allowed = p->nodes[i].eligible && p->facts->nodes[i].allowed;
		uint64_t bytes = ax_align_down(axplace_free_bytes(p, i), AX_MIB);

		if (!allowed)
			snprintf(part, sizeof(part), "%snode %u may not be used", used ? ", " : "",
				 p->facts->nodes[i].id);
		else if (p->request.backing_is_must && page > AXAS_PAGE_SIZE)
			snprintf(part, sizeof(part), "%snode %u has %llu pages of %s",
				 used ? ", " : "", p->facts->nodes[i].id, (unsigned long long)pages,
				 ax_format_size(page, name, sizeof(name)));
		else
			snprintf(part, sizeof(part), "%snode %u has %s", used ? ", " : "",
				 p->facts->nodes[i].id, ax_format_size(bytes, size, sizeof(size)));
		used = append(buf, buf_size, used, part);
	}
}

static int refuse_memory(const struct place *p, struct ax_error *err)
{
	uint64_t page = axas_page_size(p->request.backing), left = axplace_limit_left(p);
	bool huge = p->request.backing_is_must && page > AXAS_PAGE_SIZE;
	bool cpuset = axplace_would_work(p, &p->request, PLACE_NO_CPUSET);
	char where[288], size[24], nodes[64], need[64] = "", part[24], limit[24];

	if (p->request.backing_is_must && p->request.backing == AXAS_BACKING_THP && !p->facts->thp)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ENOMEM,
				    "placement: transparent huge pages are wanted, and switched "
				    "off on this host");
	if (!huge && p->request.memory_bytes > left)
		return ax_error_set(
			err, AX_ERROR_CONFIGURATION, ENOMEM,
			"placement: %s of memory are more than the limit of the "
			"cgroup that AxVM runs in leaves: %s of %s",
			ax_format_size(p->request.memory_bytes, size, sizeof(size)),
			ax_format_size(ax_align_down(left, AX_MIB), part, sizeof(part)),
			ax_format_size(p->facts->memory_limit_bytes, limit, sizeof(limit)));
	list_memory(p, where, sizeof(where));
	if (huge)
		snprintf(need, sizeof(need), " (%llu pages of %s)",
			 (unsigned long long)(p->request.memory_bytes / page),
			 ax_format_size(page, part, sizeof(part)));
	return ax_error_set(err, AX_ERROR_CONFIGURATION, cpuset ? EPERM : ENOMEM,
			    "placement: %s%s of memory%s for %u vCPU%s are not free%s: %s",
			    cpuset ? "the cpuset forbids it: " : "",
			    ax_format_size(p->request.memory_bytes, size, sizeof(size)), need,
			    p->request.vcpus, p->request.vcpus == 1 ? "" : "s",
			    limit_of_nodes(p, nodes, sizeof(nodes)), where);
}

int axplace_refuse(const struct place *p, struct ax_error *err)
{
	int r = -ENOSPC;

	if (!err)
		return axplace_would_work(p, &p->request, PLACE_NO_MEMORY) ? -ENOMEM : -ENOSPC;
	if (axplace_would_work(p, &p->request, PLACE_NO_MEMORY))
		r = refuse_memory(p, err);
	else
		r = refuse_cpus(p, err);
	axplace_advise(p, err);
	return r;
}
