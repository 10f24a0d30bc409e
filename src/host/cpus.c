/*
 * Which logical CPUs there are, which of them are online, isolated and tickless, and the caches of
 * the first. Who shares what with whom is in groups.c and nodes.c.
 */
#include "host_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_caches(const char *root, struct axhost_facts *facts)
{
	const struct axhost_cpu *first = facts->cpus;
	char text[AXHOST_LIST_BYTES];

	while (first < facts->cpus + facts->cpu_count && !first->online)
		first++;
	if (first == facts->cpus + facts->cpu_count)
		return;
	for (uint32_t i = 0; i < AXHOST_MAX_CACHES; i++) {
		struct axhost_cache *cache = &facts->caches[i];
		uint64_t level;
		char base[80];

		snprintf(base, sizeof(base), "/sys/devices/system/cpu/cpu%u/cache/index%u",
			 first->id, i);
		level = axhost_number(root, "%s/level", base);
		if (!level || level > AXHOST_MAX_LEVEL)
			return;
		cache->level = (uint8_t)level;
		axhost_text(root, text, sizeof(text), "%s/type", base);
		cache->type = (char)(text[0] == 'D' ? 'd' : text[0] == 'I' ? 'i' : 'u');
		cache->size_bytes =
			axhost_bytes(axhost_number(root, "%s/size", base), AX_KIB); /* "32K" */
		cache->ways = axhost_count(axhost_number(root, "%s/ways_of_associativity", base));
		cache->line_bytes =
			axhost_count(axhost_number(root, "%s/coherency_line_size", base));
		axhost_text(root, text, sizeof(text), "%s/shared_cpu_list", base);
		cache->shared_by = (uint32_t)axhost_list_count(text, AXHOST_MAX_CPU_ID);
		facts->cache_count++;
	}
}

/* Sets the bool at `offset` of every CPU that a list has. */
static void mark(const char *root, struct axhost_facts *facts, const char *path, size_t offset)
{
	char text[AXHOST_LIST_BYTES];
	struct axhost_list list = {.at = text, .max = AXHOST_MAX_CPU_ID};
	uint32_t id;

	axhost_text(root, text, sizeof(text), "%s", path);
	while (axhost_list_next(&list, &id)) {
		struct axhost_cpu *cpu = axhost_find_cpu(facts, id);

		if (cpu)
			*(bool *)((char *)cpu + offset) = true;
	}
}

/* Sorted and each once, as the kernel writes them; a list that is not ends early. */
static int add_present(struct axhost_facts *facts, const char *text)
{
	struct axhost_list list = {.at = text, .max = AXHOST_MAX_CPU_ID};
	const size_t count = axhost_list_count(text, AXHOST_MAX_CPU_ID);
	uint32_t id;

	facts->cpus = calloc(count ? count : 1, sizeof(*facts->cpus));
	if (!facts->cpus)
		return -ENOMEM;
	while (facts->cpu_count < count && axhost_list_next(&list, &id)) {
		if (facts->cpu_count && id <= facts->cpus[facts->cpu_count - 1].id)
			break;
		facts->cpus[facts->cpu_count++] = (struct axhost_cpu){
			.id = id,
			.package = AXHOST_NONE,
			.core = AXHOST_NONE,
			.llc = AXHOST_NONE,
			.node = AXHOST_NONE,
		};
	}
	return 0;
}

int axhost_read_cpus(const char *root, const char *online, struct axhost_facts *facts)
{
	struct axhost_list list = {.at = online, .max = AXHOST_MAX_CPU_ID};
	char present[AXHOST_LIST_BYTES];
	uint32_t id;
	int rc;

	if (!axhost_text(root, present, sizeof(present), "/sys/devices/system/cpu/present"))
		snprintf(present, sizeof(present), "%s", online);
	rc = add_present(facts, present);
	if (rc)
		return rc;
	facts->cpus_online = 0;
	while (axhost_list_next(&list, &id)) {
		struct axhost_cpu *cpu = axhost_find_cpu(facts, id);

		if (!cpu || cpu->online)
			continue;
		cpu->online = cpu->allowed = true;
		facts->cpus_online++;
	}
	mark(root, facts, "/sys/devices/system/cpu/isolated",
	     offsetof(struct axhost_cpu, isolated));
	/* Partitions of cpuset are told by the root group alone (Linux 6.7). */
	mark(root, facts, "/sys/fs/cgroup/cpuset.cpus.isolated",
	     offsetof(struct axhost_cpu, isolated));
	mark(root, facts, "/sys/devices/system/cpu/nohz_full",
	     offsetof(struct axhost_cpu, tickless));
	read_caches(root, facts);
	return 0;
}

struct axhost_cpu *axhost_find_cpu(const struct axhost_facts *facts, uint32_t id)
{
	size_t low = 0, high = facts->cpu_count;

	if (id < facts->cpu_count && facts->cpus[id].id == id) /* no gaps below, the usual case */
		return &facts->cpus[id];
	while (low < high) {
		const size_t mid = low + (high - low) / 2;

		if (facts->cpus[mid].id == id)
			return &facts->cpus[mid];
		if (facts->cpus[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
