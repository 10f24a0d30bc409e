/*
 * Who shares a package, a last level cache and a core. The kernel says of each CPU who else is in
 * its group; a group is read once, from its first CPU, and not again for the others.
 *
 * Groups of one kind lie within those of the kind before: what contradicts that is left out, so
 * that every reader of facts may rely on it.
 */
#include "host_private.h"

#include <stdio.h>

static uint32_t *package_of(struct axhost_cpu *cpu)
{
	return &cpu->package;
}

static uint32_t *llc_of(struct axhost_cpu *cpu)
{
	return &cpu->llc;
}

static uint32_t *core_of(struct axhost_cpu *cpu)
{
	return &cpu->core;
}

struct kind {
	uint32_t *(*of)(struct axhost_cpu *cpu);
	const char *path; /* below the CPU's directory */
	bool within_node;
	bool or_all; /* nobody tells: one group of all; otherwise each CPU is one */
};

/* `first` is as it was before its group had a number. */
static bool may_join(const struct kind *kind, const struct axhost_cpu *first,
		     struct axhost_cpu *member)
{
	return member->online && *kind->of(member) == AXHOST_NONE &&
	       member->package == first->package && member->llc == first->llc &&
	       (!kind->within_node || member->node == first->node);
}

static void group(const char *root, struct axhost_facts *facts, const struct kind *kind)
{
	char text[AXHOST_LIST_BYTES];
	uint32_t groups = 0, id;

	for (size_t i = 0; i < facts->cpu_count; i++) {
		struct axhost_list list = {.at = text, .max = AXHOST_MAX_CPU_ID};
		struct axhost_cpu first = facts->cpus[i], *cpu;

		if (!first.online || *kind->of(&first) != AXHOST_NONE)
			continue;
		if (!axhost_text(root, text, sizeof(text), "/sys/devices/system/cpu/cpu%u/%s",
				 first.id, kind->path) &&
		    kind->or_all)
			snprintf(text, sizeof(text), "0-%u", AXHOST_MAX_CPU_ID);
		while (axhost_list_next(&list, &id)) {
			cpu = axhost_find_cpu(facts, id);
			if (cpu && may_join(kind, &first, cpu))
				*kind->of(cpu) = groups;
		}
		*kind->of(&facts->cpus[i]) = groups++;
	}
}

/* The cache farthest from the first CPU; -1: no caches are told. */
static int last_level(const struct axhost_facts *facts)
{
	int last = -1;

	for (size_t i = 0; i < facts->cache_count; i++)
		if (facts->caches[i].type != 'i' &&
		    (last < 0 || facts->caches[i].level > facts->caches[last].level))
			last = (int)i;
	return last;
}

void axhost_read_groups(const char *root, struct axhost_facts *facts)
{
	const int level = last_level(facts);
	char path[64] = "no cache";

	if (level >= 0)
		snprintf(path, sizeof(path), "cache/index%d/shared_cpu_list", level);

	const struct kind packages = {package_of, "topology/core_siblings_list", .or_all = true},
			  llcs = {llc_of, path, .or_all = level < 0},
			  cores = {core_of, "topology/thread_siblings_list", .within_node = true};

	group(root, facts, &packages);
	group(root, facts, &llcs); /* none told: the package */
	group(root, facts, &cores);
}
