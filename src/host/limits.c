/*
 * What of the host this process may use: CPUs and memory nodes, and how much memory.
 *
 * A thread's affinity is never wider than the cpuset of its group, of either version of cgroups,
 * and /proc/self/status tells the memory nodes of the cpuset; so neither is looked for below
 * /sys/fs/cgroup, whose mount may not even show our group.
 */
#include "host_private.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_affinity(struct axhost_facts *facts)
{
	static const size_t bits = 8 * sizeof(unsigned long);
	unsigned long mask[(AXHOST_MAX_CPU_ID + 1) / (8 * sizeof(unsigned long))] = {0};

	if (sched_getaffinity(0, sizeof(mask), (cpu_set_t *)mask))
		return;
	for (size_t i = 0; i < facts->cpu_count; i++) {
		struct axhost_cpu *cpu = &facts->cpus[i];

		cpu->allowed = cpu->online && (mask[cpu->id / bits] >> cpu->id % bits & 1);
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

/* The least of our group's limit and those of all groups around it. */
static void read_memory_limit(const char *root, struct axhost_facts *facts)
{
	char text[8192], limit[32], *group;

	axhost_text(root, text, sizeof(text), "/proc/self/cgroup");
	group = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!group)
		return;
	group = strchr(group, '/');
	/* Outside of our namespace of groups it begins with /.. and cannot be seen. */
	if (!group || !strncmp(group, "/..", 3))
		return;
	group[strcspn(group, "\n")] = '\0';
	if (!group[1])
		group[0] = '\0';
	for (;;) {
		char *slash = strrchr(group, '/');

		if (axhost_text(root, limit, sizeof(limit), "/sys/fs/cgroup%s/memory.max", group) &&
		    limit[0] >= '0' && limit[0] <= '9') { /* or "max" */
			const uint64_t bytes = strtoull(limit, NULL, 10);

			if (!facts->memory_limit_bytes || bytes < facts->memory_limit_bytes)
				facts->memory_limit_bytes = bytes;
		}
		if (!slash)
			return;
		*slash = '\0';
	}
}

void axhost_read_limits(const char *root, struct axhost_facts *facts, bool affinity)
{
	if (affinity) {
		read_affinity(facts);
		read_memory_nodes(root, facts);
	}
	read_memory_limit(root, facts);
}
