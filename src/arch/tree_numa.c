/*
 * A topology in a device tree: the node of CPUs and memory, distances, the map of packages, cores
 * and threads, and what cache they share. Linux' Documentation/devicetree/bindings numa.txt and
 * cpu/cpu-topology.txt. The nodes of CPUs themselves are the architectures'.
 */
#include "tree.h"

#include <stdio.h>

enum { PHANDLE_CACHE = AXARCH_TREE_PHANDLE_CPU + AXARCH_TOPOLOGY_MAX_VCPUS }; /* by package */

void axarch_tree_begin_cpus(struct axfdt *fdt, const struct axarch_vm_config *config)
{
	if (config->topology)
		axfdt_node(fdt, "/cpus/cpu-map");
}

void axarch_tree_put_cpu(struct axfdt *fdt, const struct axarch_vm_config *config, const char *path,
			 uint32_t index)
{
	const struct axarch_topology *t = config->topology;

	if (!t)
		return;
	if (t->node_count)
		axfdt_set_u32(fdt, path, "numa-node-id", t->vcpu_nodes[index]);
	axfdt_set_u32(fdt, path, "phandle", AXARCH_TREE_PHANDLE_CPU + index);
}

/*
 * A cache that the CPUs of a package share (Devicetree Specification v0.4, 3.9). Without, Linux
 * takes a CPU's own first level for its last one and finds threads of a core that share none ("the
 * SMT domain not a subset of the MC domain"). Size and sets are not known; where CPUs
 * have registers for their caches, the tree need not tell them.
 */
static void put_caches(struct axfdt *fdt, const struct axarch_tree_machine *m,
		       const struct axarch_cpu_place *places)
{
	char path[40];

	for (uint32_t i = 0; i < m->config->vcpu_count; i++) {
		const uint32_t phandle = PHANDLE_CACHE + places[i].package;

		snprintf(path, sizeof(path), "/cpus/l2-cache%u", places[i].package);
		axfdt_set_string(fdt, path, "compatible", "cache");
		axfdt_set_u32(fdt, path, "cache-level", 2);
		axfdt_set_empty(fdt, path, "cache-unified");
		axfdt_set_u32(fdt, path, "phandle", phandle);
		snprintf(path, sizeof(path), "/cpus/cpu@%llx",
			 (unsigned long long)m->cpu_id(m->info, i));
		axfdt_set_u32(fdt, path, "next-level-cache", phandle);
	}
}

/* One package is its cluster; sockets are told where there are several, and each has a cluster of
 * all its cores: Linux takes no cores right below a socket. */
static void put_cpu_map(struct axfdt *fdt, const struct axarch_vm_config *config,
			const struct axarch_cpu_place *places)
{
	bool has_sockets = false;
	char path[96];

	for (uint32_t i = 0; i < config->vcpu_count; i++)
		has_sockets |= places[i].package > 0;
	for (uint32_t i = 0; i < config->vcpu_count; i++) {
		char socket[24] = "", thread[24] = "";

		if (has_sockets)
			snprintf(socket, sizeof(socket), "/socket%u", places[i].package);
		if (config->topology->threads_per_core > 1)
			snprintf(thread, sizeof(thread), "/thread%u", places[i].thread);
		snprintf(path, sizeof(path), "/cpus/cpu-map%s/cluster0/core%u%s", socket,
			 places[i].core, thread);
		axfdt_set_u32(fdt, path, "cpu", AXARCH_TREE_PHANDLE_CPU + i);
	}
}

static void put_distances(struct axfdt *fdt, const struct axarch_topology *t)
{
	uint32_t cells[3 * AXARCH_MAX_NODES * AXARCH_MAX_NODES];
	size_t count = 0;

	for (uint32_t from = 0; from < t->node_count; from++)
		for (uint32_t to = 0; to < t->node_count; to++) {
			cells[count++] = from;
			cells[count++] = to;
			cells[count++] = t->distances[from * t->node_count + to];
		}
	axfdt_set_string(fdt, "/distance-map", "compatible", "numa-distance-map-v1");
	axfdt_set_cells(fdt, "/distance-map", "distance-matrix", cells, count);
}

void axarch_tree_put_topology(struct axfdt *fdt, const struct axarch_tree_machine *m)
{
	const struct axarch_topology *t = m->config->topology;
	struct axarch_cpu_place places[AXARCH_TOPOLOGY_MAX_VCPUS];
	char path[AXARCH_TREE_PATH_MAX];

	/* The plan has been refused where there are no places. */
	if (!t || axarch_cpu_places(m->config, places, NULL) < 0)
		return;
	if (m->has_cache_registers)
		put_caches(fdt, m, places);
	put_cpu_map(fdt, m->config, places);
	for (size_t i = 0; t->node_count && i < m->plan->memory_count; i++) {
		snprintf(path, sizeof(path), "/memory@%llx",
			 (unsigned long long)m->plan->memory[i].gpa);
		axfdt_set_u32(fdt, path, "numa-node-id", m->plan->memory[i].node);
	}
	if (t->node_count && t->distances)
		put_distances(fdt, t);
}
