/*
 * NUMA nodes: their memory, pools of huge pages, distances, and which CPUs are theirs. A kernel
 * without any has one node that holds everything.
 */
#include "host_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES "/sys/devices/system/node"

static int by_size(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static bool is_page_size(uint64_t kib)
{
	return kib >= 4 && kib <= INT64_MAX / AX_KIB && !(kib & (kib - 1));
}

/* In KiB, smallest first. The same on all nodes, so they are looked for once. */
static size_t page_sizes(const char *root, uint64_t *ret_kib)
{
	char path[512];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir = NULL;

	if (snprintf(path, sizeof(path), "%s/sys/kernel/mm/hugepages", root) < (int)sizeof(path))
		dir = opendir(path);
	if (!dir)
		return 0;
	while (count < AXHOST_MAX_POOLS && (entry = readdir(dir))) {
		ret_kib[count] = 0;
		if (!strncmp(entry->d_name, "hugepages-", 10))
			ret_kib[count] = strtoull(entry->d_name + 10, NULL, 10);
		count += is_page_size(ret_kib[count]);
	}
	closedir(dir);
	qsort(ret_kib, count, sizeof(*ret_kib), by_size);
	return count;
}

/* `where` holds the directories hugepages-*kB. */
static void read_pools(const char *root, const char *where, const uint64_t *kib, size_t count,
		       struct axhost_node *node)
{
	for (size_t i = 0; i < count; i++) {
		struct axhost_page_pool *pool = &node->pools[node->pool_count++];

		pool->page_size_bytes = kib[i] * AX_KIB;
		pool->total = axhost_count(axhost_number(root, "%s/hugepages-%llukB/nr_hugepages",
							 where, (unsigned long long)kib[i]));
		if (!pool->total)
			continue;
		pool->free = axhost_number(root, "%s/hugepages-%llukB/free_hugepages", where,
					   (unsigned long long)kib[i]);
		if (pool->free > pool->total) /* changed in between */
			pool->free = pool->total;
	}
}

static void read_memory(const char *root, struct axhost_node *node)
{
	static const char *const had[] = {"MemFree", "Active(file)", "Inactive(file)"};
	char text[4096], key[32];
	unsigned long long kib;

	axhost_text(root, text, sizeof(text), NODES "/node%u/meminfo", node->id);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "Node %*u %31[^:]: %llu", key, &kib) != 2)
			continue;
		if (!strcmp(key, "MemTotal"))
			node->memory_bytes = axhost_bytes(kib, AX_KIB);
		for (size_t i = 0; i < AX_ARRAY_LEN(had); i++)
			if (!strcmp(key, had[i]))
				node->memory_free_bytes += axhost_bytes(kib, AX_KIB);
	}
	if (node->memory_free_bytes > node->memory_bytes)
		node->memory_free_bytes = node->memory_bytes;
}

static void set_distances(uint8_t *row, size_t count, size_t self)
{
	for (size_t i = 0; i < count; i++)
		row[i] = i == self ? AXHOST_LOCAL : AXHOST_REMOTE;
}

/* A row has one number for each node that is online, in the order of their ids. */
static void read_distances(const char *root, struct axhost_facts *facts, size_t index)
{
	uint8_t *row = facts->distances + index * facts->node_count;
	char text[8192], *at = text;

	axhost_text(root, text, sizeof(text), NODES "/node%u/distance", facts->nodes[index].id);
	for (size_t i = 0; i < facts->node_count; i++) {
		const unsigned long value = strtoul(at, &at, 10);

		if (value < AXHOST_LOCAL || value > UINT8_MAX ||
		    (i == index && value != AXHOST_LOCAL)) {
			set_distances(row, facts->node_count, index);
			return;
		}
		row[i] = (uint8_t)value;
	}
}

static void read_node_cpus(const char *root, struct axhost_facts *facts, uint32_t index)
{
	char text[AXHOST_LIST_BYTES];
	struct axhost_list list = {.at = text, .max = AXHOST_MAX_CPU_ID};
	uint32_t id;

	axhost_text(root, text, sizeof(text), NODES "/node%u/cpulist", facts->nodes[index].id);
	while (axhost_list_next(&list, &id)) {
		struct axhost_cpu *cpu = axhost_find_cpu(facts, id);

		if (cpu && cpu->online && cpu->node == AXHOST_NONE)
			cpu->node = index;
	}
}

/* One node of everything. */
static void fill_node(const char *root, struct axhost_facts *facts, const uint64_t *kib,
		      size_t sizes)
{
	facts->nodes[0].memory_bytes = facts->memory_bytes;
	facts->nodes[0].memory_free_bytes = facts->memory_available_bytes;
	read_pools(root, "/sys/kernel/mm/hugepages", kib, sizes, &facts->nodes[0]);
}

static void read_node(const char *root, struct axhost_facts *facts, uint32_t index,
		      const uint64_t *kib, size_t sizes)
{
	struct axhost_node *node = &facts->nodes[index];
	char where[64];

	read_memory(root, node);
	snprintf(where, sizeof(where), NODES "/node%u/hugepages", node->id);
	read_pools(root, where, kib, sizes, node);
	read_distances(root, facts, index);
	read_node_cpus(root, facts, index);
}

int axhost_read_nodes(const char *root, struct axhost_facts *facts)
{
	char text[AXHOST_LIST_BYTES];
	struct axhost_list list = {.at = text, .max = AXHOST_MAX_NODE_ID};
	uint64_t kib[AXHOST_MAX_POOLS];
	const size_t sizes = page_sizes(root, kib);
	size_t count;
	uint32_t id;

	axhost_text(root, text, sizeof(text), NODES "/online");
	count = axhost_list_count(text, AXHOST_MAX_NODE_ID);
	facts->nodes = calloc(count ? count : 1, sizeof(*facts->nodes));
	facts->distances = calloc(count ? count * count : 1, 1);
	if (!facts->nodes || !facts->distances)
		return -ENOMEM;
	while (facts->node_count < count && axhost_list_next(&list, &id)) {
		if (facts->node_count && id <= facts->nodes[facts->node_count - 1].id)
			break;
		facts->nodes[facts->node_count++] = (struct axhost_node){.id = id, .allowed = true};
	}
	for (uint32_t i = 0; i < facts->node_count; i++)
		read_node(root, facts, i, kib, sizes);
	if (!count) {
		facts->nodes[facts->node_count++].allowed = true;
		fill_node(root, facts, kib, sizes);
		facts->distances[0] = AXHOST_LOCAL;
	}
	for (size_t i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].online && facts->cpus[i].node == AXHOST_NONE)
			facts->cpus[i].node = 0;
	facts->nodes_online = (uint32_t)facts->node_count;
	axhost_sum_pools(facts);
	return 0;
}

static struct axhost_page_pool *pool_of(struct axhost_facts *facts, uint64_t page_size_bytes)
{
	size_t i = 0;

	while (i < facts->pool_count && facts->pools[i].page_size_bytes < page_size_bytes)
		i++;
	if (i < facts->pool_count && facts->pools[i].page_size_bytes == page_size_bytes)
		return &facts->pools[i];
	if (facts->pool_count == AXHOST_MAX_POOLS)
		return NULL;
	memmove(&facts->pools[i + 1], &facts->pools[i],
		(facts->pool_count++ - i) * sizeof(facts->pools[0]));
	facts->pools[i] = (struct axhost_page_pool){.page_size_bytes = page_size_bytes};
	return &facts->pools[i];
}

void axhost_sum_pools(struct axhost_facts *facts)
{
	facts->pool_count = 0;
	for (size_t n = 0; n < facts->node_count; n++)
		for (size_t i = 0; i < facts->nodes[n].pool_count; i++) {
			const struct axhost_page_pool *of_node = &facts->nodes[n].pools[i];
			struct axhost_page_pool *sum = pool_of(facts, of_node->page_size_bytes);

			if (sum) {
				sum->total += of_node->total;
				sum->free += of_node->free;
			}
		}
}

void axhost_nodes_of(const char *root, const int *cpus, size_t count, uint32_t *ret_nodes)
{
	char text[AXHOST_LIST_BYTES], members[AXHOST_LIST_BYTES];
	struct axhost_list nodes = {.at = text, .max = AXHOST_MAX_NODE_ID};
	uint32_t node, cpu;

	for (size_t i = 0; i < count; i++)
		ret_nodes[i] = AXHOST_NONE;
	/* Without any, as axhost_read has it: one node that holds everything. */
	if (!axhost_text(root, text, sizeof(text), NODES "/online"))
		for (size_t i = 0; i < count; i++)
			ret_nodes[i] = cpus[i] < 0 ? AXHOST_NONE : 0;
	while (axhost_list_next(&nodes, &node)) {
		struct axhost_list list = {.at = members, .max = AXHOST_MAX_CPU_ID};

		axhost_text(root, members, sizeof(members), NODES "/node%u/cpulist", node);
		while (axhost_list_next(&list, &cpu))
			for (size_t i = 0; i < count; i++)
				if (cpus[i] >= 0 && (uint32_t)cpus[i] == cpu)
					ret_nodes[i] = node;
	}
}
