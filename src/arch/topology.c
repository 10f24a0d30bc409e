/*
 * The topology of a VM as its plan gives it: is it one, a copy that outlives the call, and which
 * package, core and thread each vCPU is. How a guest is told is the architectures' (tree_numa.c for
 * those with a device tree).
 */
#include "boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_NODE_BYTES = 1 << 20, LOCAL_DISTANCE = 10, MAX_THREADS = 64 };

static int check_node_sizes(const struct axarch_vm_config *config, struct ax_error *err)
{
	const struct axarch_topology *t = config->topology;
	uint64_t left = config->memory_bytes, total = 0;
	bool too_much = false;

	for (uint32_t i = 0; i < t->node_count; i++) {
		const uint64_t bytes = t->node_bytes[i];

		if (bytes % AXAS_PAGE_SIZE || (bytes && bytes < MIN_NODE_BYTES))
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "node %u is to have %llu bytes of memory, possible are "
					    "0 and multiples of 4096 from 1 MiB on",
					    i, (unsigned long long)bytes);
		too_much |= bytes > left;
		left -= too_much ? 0 : bytes;
		total += bytes;
	}
	if (!too_much && !left)
		return 0;
	return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			    "the memory of %u nodes is %llu bytes together, the machine has %llu",
			    t->node_count, (unsigned long long)total,
			    (unsigned long long)config->memory_bytes);
}

static int check_vcpu_nodes(const struct axarch_vm_config *config, struct ax_error *err)
{
	const struct axarch_topology *t = config->topology;
	bool has_cpu[AXARCH_MAX_NODES] = {false};

	for (uint32_t i = 0; i < config->vcpu_count; i++) {
		if (t->vcpu_nodes[i] >= t->node_count)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
					    "vCPU %u is of node %u, there are nodes 0 to %u", i,
					    t->vcpu_nodes[i], t->node_count - 1);
		has_cpu[t->vcpu_nodes[i]] = true;
	}
	for (uint32_t i = 0; i < t->node_count; i++)
		if (!has_cpu[i] && !t->node_bytes[i])
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "node %u has neither memory nor vCPUs", i);
	return 0;
}

/* 0 to 9 mean nothing (ACPI 6.4, 5.2.17), and a Linux that reads 10 between two nodes throws the
 * whole table away. */
static int check_distances(const struct axarch_topology *t, struct ax_error *err)
{
	for (uint32_t from = 0; t->distances && from < t->node_count; from++)
		for (uint32_t to = 0; to < t->node_count; to++) {
			const unsigned distance = t->distances[from * t->node_count + to];

			if (from == to ? distance == LOCAL_DISTANCE : distance > LOCAL_DISTANCE)
				continue;
			return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
					    "the distance from node %u to node %u is %u, possible "
					    "%s",
					    from, to, distance,
					    from == to ? "is 10" : "are 11 to 255");
		}
	return 0;
}

static int check_nodes(const struct axarch_vm_config *config, struct ax_error *err)
{
	const struct axarch_topology *t = config->topology;
	int rc;

	if (t->node_count > AXARCH_MAX_NODES)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "%u nodes are asked for, up to %d are possible", t->node_count,
				    AXARCH_MAX_NODES);
	if (!t->node_count)
		return 0;
	if (!t->node_bytes || !t->vcpu_nodes)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "nodes are given without %s",
				    t->node_bytes ? "the node of each vCPU" : "their memory");
	rc = check_node_sizes(config, err);
	if (rc == 0)
		rc = check_vcpu_nodes(config, err);
	return rc == 0 ? check_distances(t, err) : rc;
}

int axarch_check_topology(const struct axarch_vm_config *config, struct ax_error *err)
{
	const struct axarch_topology *t = config->topology;
	struct axarch_cpu_place places[AXARCH_TOPOLOGY_MAX_VCPUS];
	int rc;

	if (!t)
		return 0;
	if (config->cpu.sockets || config->cpu.cores || config->cpu.threads || config->cpu.llcs)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "a topology and %u sockets, %u cores, %u threads are given, "
				    "one of them is possible",
				    config->cpu.sockets, config->cpu.cores, config->cpu.threads);
	if (t->threads_per_core > MAX_THREADS)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "%u threads a core are asked for, 1 to %d are possible",
				    t->threads_per_core, MAX_THREADS);
	rc = check_nodes(config, err);
	return rc == 0 ? axarch_cpu_places(config, places, err) : rc;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* In the order in which they are compared. */
struct key {
	uint32_t package, llc, core, index;
};

static int by_place(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->package != y->package)
		return x->package < y->package ? -1 : 1;
	if (x->llc != y->llc)
		return x->llc < y->llc ? -1 : 1;
	if (x->core != y->core)
		return x->core < y->core ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static int by_core(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->package != y->package)
		return x->package < y->package ? -1 : 1;
	if (x->core != y->core)
		return x->core < y->core ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static uint32_t package_of(const struct axarch_topology *t, uint32_t index)
{
	if (t->vcpu_packages)
		return t->vcpu_packages[index];
	return t->node_count ? t->vcpu_nodes[index] : 0;
}

/* A package has caches of its own, which no two nodes share. */
static int check_package(const struct axarch_topology *t, const struct key *a, const struct key *b,
			 struct ax_error *err)
{
	if (!t->node_count || t->vcpu_nodes[a->index] == t->vcpu_nodes[b->index])
		return 0;
	return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			    "vCPUs %u and %u are of package %u, but of nodes %u and %u", a->index,
			    b->index, a->package, t->vcpu_nodes[a->index], t->vcpu_nodes[b->index]);
}

/* A core's threads have the same caches. */
static int check_caches(const struct axarch_topology *t, struct key *keys, uint32_t count,
			struct ax_error *err)
{
	if (!t->vcpu_llcs || !t->vcpu_cores)
		return 0;
	qsort(keys, count, sizeof(keys[0]), by_core);
	for (uint32_t i = 1; i < count; i++) {
		const struct key *a = &keys[i - 1], *b = &keys[i];

		if (a->package == b->package && a->core == b->core && a->llc != b->llc)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "vCPUs %u and %u are of core %u, but of last level "
					    "caches %u and %u",
					    a->index, b->index, a->core, a->llc, b->llc);
	}
	return 0;
}

/* The place behind the one of `a`. */
static int next_place(const struct axarch_topology *t, const struct key *a, const struct key *b,
		      struct axarch_cpu_place *place, struct ax_error *err)
{
	const uint32_t threads = t->threads_per_core ? t->threads_per_core : 1;
	int rc;

	if (a->package != b->package) {
		*place = (struct axarch_cpu_place){.package = place->package + 1};
		return 0;
	}
	rc = check_package(t, a, b, err);
	if (rc < 0)
		return rc;
	place->thread++;
	if (a->llc != b->llc || (t->vcpu_cores ? a->core != b->core : place->thread == threads)) {
		place->core++;
		place->llc_core = a->llc == b->llc ? place->llc_core + 1 : 0;
		place->llc += a->llc != b->llc;
		place->thread = 0;
	}
	if (place->thread < threads)
		return 0;
	return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			    "vCPU %u is of core %u, which has %u others and %u threads", b->index,
			    b->core, place->thread, threads);
}

int axarch_cpu_places(const struct axarch_vm_config *config, struct axarch_cpu_place *ret_places,
		      struct ax_error *err)
{
	const struct axarch_topology *t = config->topology;
	struct key keys[AXARCH_TOPOLOGY_MAX_VCPUS];
	struct axarch_cpu_place place = {.package = 0};
	int rc = axarch_check_cpus(config->vcpu_count, AXARCH_TOPOLOGY_MAX_VCPUS, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < config->vcpu_count; i++)
		keys[i] = (struct key){package_of(t, i), t->vcpu_llcs ? t->vcpu_llcs[i] : 0,
				       t->vcpu_cores ? t->vcpu_cores[i] : 0, i};
	rc = check_caches(t, keys, config->vcpu_count, err);
	if (rc < 0)
		return rc;
	qsort(keys, config->vcpu_count, sizeof(keys[0]), by_place);
	ret_places[keys[0].index] = place;
	for (uint32_t i = 1; i < config->vcpu_count; i++) {
		rc = next_place(t, &keys[i - 1], &keys[i], &place, err);
		if (rc < 0)
			return rc;
		ret_places[keys[i].index] = place;
	}
	return 0;
}

/* ---- the copy -------------------------------------------------------------------------------- */

static const void *put(char **at, const void *from, size_t size)
{
	char *to = *at;

	if (!from)
		return NULL;
	memcpy(to, from, size);
	*at += size;
	return to;
}

int axarch_copy_topology(const struct axarch_vm_config *config, struct axarch_topology **ret_copy,
			 struct ax_error *err)
{
	const struct axarch_topology *from = config->topology;
	const size_t cpus = config->vcpu_count * sizeof(uint32_t);
	int rc = axarch_check_topology(config, err);

	if (rc < 0)
		return rc;
	if (!from) {
		*ret_copy = NULL;
		return 0;
	}
	const size_t nodes = from->node_count;
	struct axarch_topology *copy =
		malloc(sizeof(*copy) + nodes * sizeof(uint64_t) + 4 * cpus + nodes * nodes);
	if (!copy)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a topology");
	char *at = (char *)(copy + 1);
	*copy = *from;
	copy->node_bytes = put(&at, nodes ? from->node_bytes : NULL, nodes * sizeof(uint64_t));
	copy->vcpu_nodes = put(&at, nodes ? from->vcpu_nodes : NULL, cpus);
	copy->vcpu_packages = put(&at, from->vcpu_packages, cpus);
	copy->vcpu_cores = put(&at, from->vcpu_cores, cpus);
	copy->vcpu_llcs = put(&at, from->vcpu_llcs, cpus);
	copy->distances = put(&at, nodes ? from->distances : NULL, nodes * nodes);
	*ret_copy = copy;
	return 0;
}
