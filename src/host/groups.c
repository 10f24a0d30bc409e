/*
 * Who shares a package, a last level cache and a core. The kernel says of each CPU who else is in
 * its group; a group is read once, from its first CPU, and not again for the others.
 *
 * Groups of one kind lie within those of the kind before: what contradicts that is left out, so
 * that every reader of facts may rely on it.
 */
#include "host_private.h"

#include <stdio.h>

#define CPUS "/sys/devices/system/cpu/cpu"

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
	const char *path; /* below the CPU's directory; NULL: that of its last cache */
	int cache;        /* the first CPU's last one */
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

static bool is_of_instructions(const char *root, uint32_t cpu, int cache)
{
	char type[16];

	axhost_text(root, type, sizeof(type), CPUS "%u/cache/index%d/type", cpu, cache);
	return type[0] == 'I';
}

/* Who shares the farthest cache of a CPU. That is mostly the one that is the first CPU's, so look
 * there; but on hybrid processors some CPUs have a level more than others. */
static size_t read_cache(const char *root, uint32_t cpu, int cache, char *text, size_t size)
{
	size_t length = 0;
	int last = cache;

	for (int i = cache + 1;
	     i < AXHOST_MAX_CACHES && axhost_number(root, CPUS "%u/cache/index%d/level", cpu, i);
	     i++)
		if (!is_of_instructions(root, cpu, i))
			last = i;
	for (; last >= 0 && !length; last--)
		if (last == cache || !is_of_instructions(root, cpu, last))
			length = axhost_text(root, text, size,
					     CPUS "%u/cache/index%d/shared_cpu_list", cpu, last);
	return length;
}

static bool read_group(const char *root, uint32_t cpu, const struct kind *kind, char *text,
		       size_t size)
{
	return kind->path ? axhost_text(root, text, size, CPUS "%u/%s", cpu, kind->path) > 0
			  : read_cache(root, cpu, kind->cache, text, size) > 0;
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
		if (!read_group(root, first.id, kind, text, sizeof(text)) && kind->or_all)
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
	const int last = last_level(facts);
	const struct kind packages = {package_of, "topology/core_siblings_list", .or_all = true},
			  llcs = {llc_of, .cache = last, .or_all = last < 0},
			  cores = {core_of, "topology/thread_siblings_list", .within_node = true};

	group(root, facts, &packages);
	group(root, facts, &llcs); /* none told: the package */
	group(root, facts, &cores);
}
