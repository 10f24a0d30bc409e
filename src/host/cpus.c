/*
 * The logical CPUs of a host: who shares what with whom.
 */
#include "host_private.h"

#include <errno.h>
#include <stdlib.h>

int axhost_fill_flat(struct axhost_facts *facts)
{
	const size_t nodes = facts->node_count ? facts->node_count : 1;

	facts->cpus = calloc(facts->cpus_online ? facts->cpus_online : 1, sizeof(*facts->cpus));
	if (!facts->nodes)
		facts->nodes = calloc(nodes, sizeof(*facts->nodes));
	if (!facts->distances)
		facts->distances = calloc(nodes * nodes, sizeof(*facts->distances));
	if (!facts->cpus || !facts->nodes || !facts->distances)
		return -ENOMEM;
	facts->cpu_count = facts->cpus_online;
	for (uint32_t i = 0; i < facts->cpu_count; i++)
		facts->cpus[i] =
			(struct axhost_cpu){.id = i, .core = i, .online = true, .allowed = true};
	if (facts->node_count)
		return 0;
	facts->node_count = 1;
	facts->distances[0] = 10;
	facts->nodes[0] = (struct axhost_node){
		.memory_bytes = facts->memory_bytes,
		.memory_free_bytes = facts->memory_available_bytes,
		.pool_count = facts->pool_count,
		.allowed = true,
	};
	for (size_t i = 0; i < facts->pool_count; i++)
		facts->nodes[0].pools[i] = facts->pools[i];
	return 0;
}
