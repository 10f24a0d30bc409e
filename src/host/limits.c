/*
 * What of the host this process may use: CPUs and memory nodes, how much memory and how much of
 * the CPUs' time.
 *
 * A thread's affinity is never wider than the cpuset of its group, of either version of cgroups,
 * and /proc/self/status tells the memory nodes of the cpuset; so neither is looked for below
 * /sys/fs/cgroup, whose mount may not even show our group. Memory and time are told nowhere else.
 */
#include "host_private.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MASK_BITS (8 * sizeof(unsigned long))
#define GROUPS    "/sys/fs/cgroup"

struct mask {
	unsigned long words[(AXHOST_MAX_CPU_ID + 1) / MASK_BITS];
};

static bool has(const struct mask *mask, uint32_t id)
{
	return mask->words[id / MASK_BITS] >> id % MASK_BITS & 1;
}

/* What the cpuset has, whatever the affinity: found out by a thread of its own. */
static void read_cpuset(void *arg)
{
	struct mask *mask = arg, all;

	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), (cpu_set_t *)&all);
	if (sched_getaffinity(0, sizeof(*mask), (cpu_set_t *)mask))
		*mask = (struct mask){0};
}

/* Is it the mask that every process begins with? That has no CPUs of isolcpus=, which may be used
 * by whoever names them. A mask that somebody chose is obeyed. */
static bool is_default(const struct axhost_facts *facts, const struct mask *mask)
{
	bool any_isolated = false;

	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];

		any_isolated |= cpu->isolated;
		if (cpu->online && has(mask, cpu->id) == cpu->isolated)
			return false;
	}
	return any_isolated;
}

static void read_affinity(struct axhost_facts *facts)
{
	struct mask mask = {0}, cpuset = {0};
	struct ax_thread *thread;

	if (sched_getaffinity(0, sizeof(mask), (cpu_set_t *)&mask))
		return;
	if (is_default(facts, &mask) &&
	    ax_thread_start(&(struct ax_thread_config){.name = "cpuset"}, read_cpuset, &cpuset,
			    &thread, NULL) == 0)
		ax_thread_join(thread);
	for (size_t i = 0; i < facts->cpu_count; i++) {
		struct axhost_cpu *cpu = &facts->cpus[i];

		cpu->allowed = cpu->online &&
			       (has(&mask, cpu->id) || (cpu->isolated && has(&cpuset, cpu->id)));
	}
}

static void read_memory_nodes(const char *root, struct axhost_facts *facts)
{
	char text[AXHOST_LIST_BYTES];
	struct axhost_list list = {.max = AXHOST_MAX_NODE_ID};
	uint32_t id;

	axhost_text(root, text, sizeof(text), "/proc/self/status");
	list.at = strstr(text, "\nMems_allowed_list:\t");
	if (!list.at)
		return; /* a kernel without cpusets */
	list.at += strlen("\nMems_allowed_list:\t");
	for (size_t i = 0; i < facts->node_count; i++)
		facts->nodes[i].allowed = false;
	while (axhost_list_next(&list, &id))
		for (size_t i = 0; i < facts->node_count; i++)
			if (facts->nodes[i].id == id)
				facts->nodes[i].allowed = true;
}

/* Is the name one of a list that commas part? Cuts the list. */
static bool is_listed(char *list, const char *name)
{
	while (list)
		if (!strcmp(strsep(&list, ","), name))
			return true;
	return false;
}

/* Our group in the hierarchy of a controller of v1, or of v2, where it is "". The root is "", too;
 * NULL: there is none, or it is outside of our namespace of groups and cannot be seen. Cuts the
 * text of /proc/self/cgroup. */
static char *find_group(char *text, const char *controller)
{
	while (text) {
		char *group = strsep(&text, "\n"), *controllers;

		strsep(&group, ":"); /* the hierarchy's number */
		controllers = strsep(&group, ":");
		if (!group || !is_listed(controllers, controller))
			continue;
		if (group[0] != '/' || !strncmp(group, "/..", 3))
			return NULL;
		return group[1] ? group : group + 1;
	}
	return NULL;
}

typedef void look_fn(const char *root, const char *group, struct axhost_facts *facts);

/* Our group and all around it: a limit of each is one of ours. */
static void each_group(const char *root, const char *controller, look_fn *look,
		       struct axhost_facts *facts)
{
	char text[8192], *group;

	axhost_text(root, text, sizeof(text), "/proc/self/cgroup");
	group = find_group(text, controller);
	while (group) {
		char *slash = strrchr(group, '/');

		look(root, group, facts);
		if (!slash)
			return;
		*slash = '\0';
	}
}

/* What a group has in use of its memory: not files, which the kernel drops before it refuses more.
 * Each line of its statistics is a name and a number. */
static uint64_t in_use(uint64_t bytes, const char *statistics, const char *inactive,
		       const char *active)
{
	unsigned long long value;
	char name[32];

	for (const char *line = statistics; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%31s %llu", name, &value) == 2 &&
		    (!strcmp(name, inactive) || !strcmp(name, active)))
			bytes -= bytes < value ? bytes : value;
	}
	return bytes;
}

static uint64_t left(uint64_t limit, uint64_t used)
{
	return limit > used ? limit - used : 0;
}

/* Of all groups the one that leaves the least. */
static void limit_memory(struct axhost_facts *facts, uint64_t limit, uint64_t used)
{
	limit = limit ? limit : 1; /* 0 says that there is none */
	if (facts->memory_limit_bytes &&
	    left(facts->memory_limit_bytes, facts->memory_limit_used_bytes) <= left(limit, used))
		return;
	facts->memory_limit_bytes = limit;
	facts->memory_limit_used_bytes = axhost_bytes(used, 1);
}

/* False: it says "max", or v1's number for it, which depends on the size of pages. */
static bool is_limit(const char *text, uint64_t *ret_bytes)
{
	*ret_bytes = strtoull(text, NULL, 10);
	return text[0] >= '0' && text[0] <= '9' && *ret_bytes < INT64_MAX - AX_MIB;
}

/* How a version of cgroups calls what it tells of memory. */
struct memory_names {
	const char *mount, *limit, *used, *inactive, *active;
};

static void look_memory_as(const char *root, const char *group, struct axhost_facts *facts,
			   const struct memory_names *names)
{
	char text[8192];
	uint64_t limit, used;

	axhost_text(root, text, sizeof(text), GROUPS "%s%s/%s", names->mount, group, names->limit);
	if (!is_limit(text, &limit))
		return;
	used = axhost_number(root, GROUPS "%s%s/%s", names->mount, group, names->used);
	axhost_text(root, text, sizeof(text), GROUPS "%s%s/memory.stat", names->mount, group);
	limit_memory(facts, limit, in_use(used, text, names->inactive, names->active));
}

static void look_memory(const char *root, const char *group, struct axhost_facts *facts)
{
	static const struct memory_names names = {"", "memory.max", "memory.current",
						  "inactive_file", "active_file"};

	look_memory_as(root, group, facts, &names);
}

static void look_memory_v1(const char *root, const char *group, struct axhost_facts *facts)
{
	static const struct memory_names names = {"/memory", "memory.limit_in_bytes",
						  "memory.usage_in_bytes", "total_inactive_file",
						  "total_active_file"};

	look_memory_as(root, group, facts, &names);
}

static void limit_cpus(struct axhost_facts *facts, const char *quota, uint64_t period)
{
	const uint64_t used = strtoull(quota, NULL, 10);
	uint64_t limit;

	if (quota[0] < '0' || quota[0] > '9' || !period || used > UINT64_MAX / 1000)
		return; /* "max", or -1 in v1 */
	limit = used * 1000 / period;
	limit = limit ? limit : 1; /* 0 says that there is none */
	if (limit < AXHOST_NONE &&
	    (!facts->cpu_limit_thousandths || limit < facts->cpu_limit_thousandths))
		facts->cpu_limit_thousandths = (uint32_t)limit;
}

static void look_cpus(const char *root, const char *group, struct axhost_facts *facts)
{
	char text[64], *period;

	axhost_text(root, text, sizeof(text), GROUPS "%s/cpu.max", group);
	period = strchr(text, ' ');
	if (period)
		limit_cpus(facts, text, strtoull(period, NULL, 10));
}

static void look_cpus_v1(const char *root, const char *group, struct axhost_facts *facts)
{
	char quota[32];

	if (axhost_text(root, quota, sizeof(quota), GROUPS "/cpu%s/cpu.cfs_quota_us", group))
		limit_cpus(facts, quota,
			   axhost_number(root, GROUPS "/cpu%s/cpu.cfs_period_us", group));
}

void axhost_read_limits(const char *root, struct axhost_facts *facts, bool affinity)
{
	if (affinity) {
		read_affinity(facts);
		read_memory_nodes(root, facts);
	}
	each_group(root, "", look_memory, facts);
	each_group(root, "memory", look_memory_v1, facts);
	each_group(root, "", look_cpus, facts);
	each_group(root, "cpu", look_cpus_v1, facts);
}
