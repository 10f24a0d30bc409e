/*
 * Memory of the nodes: how much room each has at each page size, whose memory a node without any
 * uses, and how the VM's memory divides over those that were chosen.
 */
#include "private.h"

/* A smaller guest node serves nobody: Linux throws those below 4 MiB away, and takes a part of each
 * for itself. */
#define LEAST_NODE (64 * AX_MIB)

/* Nodes get whole ones: of 2 MiB at least, so that large pages can be used in the guest. */
uint64_t axplace_granule(enum axas_backing backing)
{
	return backing == AXAS_BACKING_HUGETLB_1G ? AX_GIB : 2 * AX_MIB;
}

const char *axplace_backing_name(enum axas_backing backing)
{
	static const char *const names[] = {
		[AXAS_BACKING_ANON] = "4k",       [AXAS_BACKING_THP] = "thp",
		[AXAS_BACKING_HUGETLB_2M] = "2m", [AXAS_BACKING_HUGETLB_1G] = "1g",
		[AXAS_BACKING_FILE] = "file",
	};

	return (unsigned)backing < AX_ARRAY_LEN(names) ? names[backing] : "?";
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Bytes that others hold of the node, of a pool, or of its ordinary pages (0). */
static uint64_t held_bytes(const struct place *p, uint32_t node, uint64_t page_size)
{
	uint64_t bytes = 0;

	for (size_t i = 0; p->held && i < p->held->memory_count; i++) {
		uint64_t size = p->held->memory[i].page_size_bytes;

		if (p->held->memory[i].node == p->facts->nodes[node].id &&
		    (size < 2 * AX_MIB ? 0 : size) == page_size)
			bytes += p->held->memory[i].bytes;
	}
	return bytes;
}

/* What stays the kernel's. Filled to its last page, a node has its VM refused or killed: beside
 * what axas holds back as much again goes to page tables (of 4 KiB pages, the host's and the second
 * stage's), and the rest to what khugepaged keeps free and to what changes until memory is taken.
 */
static uint64_t reserve(uint64_t node_bytes)
{
	uint64_t rest = node_bytes / 8 < 64 * AX_MIB ? node_bytes / 8 : 64 * AX_MIB;

	return 2 * axas_node_reserve(node_bytes) + rest;
}

uint64_t axplace_free_bytes(const struct place *p, uint32_t node)
{
	const struct axhost_node *n = &p->facts->nodes[node];

	return less(n->memory_free_bytes, held_bytes(p, node, 0) + reserve(n->memory_bytes));
}

uint64_t axplace_pool_free(const struct place *p, uint32_t node, uint64_t page_size)
{
	const struct axhost_node *n = &p->facts->nodes[node];

	for (size_t i = 0; i < n->pool_count; i++)
		if (n->pools[i].page_size_bytes == page_size)
			return less(n->pools[i].free,
				    (held_bytes(p, node, page_size) + page_size - 1) / page_size);
	return 0;
}

/* A cgroup's limit counts ordinary pages, not those of hugetlbfs. */
uint64_t axplace_limit_left(const struct place *p)
{
	const uint64_t limit = p->facts->memory_limit_bytes;

	return limit ? less(limit, p->facts->memory_limit_used_bytes) : UINT64_MAX;
}

static uint64_t room(const struct place *p, uint32_t node, enum axas_backing backing)
{
	uint64_t page = axas_page_size(backing);

	if (!p->nodes[node].eligible)
		return 0;
	if (p->ignore_memory)
		return UINT64_C(1) << 52;
	if (!p->facts->nodes[node].allowed && !p->any_cpuset)
		return 0;
	if (page > AXAS_PAGE_SIZE)
		return axplace_pool_free(p, node, page) * page;
	if (p->request.memory_bytes > axplace_limit_left(p) ||
	    (backing == AXAS_BACKING_THP && !p->facts->thp))
		return 0;
	return ax_align_down(axplace_free_bytes(p, node), axplace_granule(backing));
}

void axplace_rooms(struct place *p)
{
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		for (uint32_t l = 0; l < p->level_count; l++)
			p->nodes[i].room[l] = room(p, i, p->levels[l]);
}

uint64_t axplace_units(const struct place *p, uint32_t level)
{
	uint64_t granule = axplace_granule(p->levels[level]), bytes = p->request.memory_bytes;

	if (bytes % axas_page_size(p->levels[level]))
		return 0;
	return bytes / granule + !!(bytes % granule);
}

uint64_t axplace_least(const struct place *p, uint32_t level)
{
	uint64_t granule = axplace_granule(p->levels[level]);
	uint64_t all = ax_align_up(p->request.memory_bytes, granule);
	uint64_t least = ax_align_up(LEAST_NODE, granule);

	return all < least ? all : least;
}

uint32_t axplace_memory_nodes(const struct place *p, uint32_t level, uint32_t capable)
{
	uint64_t most = p->request.memory_bytes / axplace_least(p, level);

	if (!most)
		return 1;
	return most < capable ? (uint32_t)most : capable;
}

uint32_t axplace_home(const struct place *p, const bool *memory, uint32_t node)
{
	uint32_t home = PLACE_NONE;

	if (memory[node])
		return node;
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (memory[i] &&
		    (home == PLACE_NONE ||
		     axplace_distance(p->facts, node, i) < axplace_distance(p->facts, node, home)))
			home = i;
	return home;
}

/* One round: `rest` over the nodes with room, by weight or, when no such node has a weight, alike.
 * What is left over by rounding goes to the first ones. Returns what could not be given. */
static uint64_t give(const struct place *p, const bool *memory, const uint64_t *weight,
		     const uint64_t *most, uint64_t *units, uint64_t rest)
{
	uint64_t whole = 0, begin = rest;
	bool alike;

	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (memory[i] && units[i] < most[i])
			whole += weight[i];
	alike = !whole;
	for (uint32_t i = 0; i < p->facts->node_count && alike; i++)
		whole += memory[i] && units[i] < most[i];
	if (!whole)
		return rest;
	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		uint64_t share, free_units;

		if (!memory[i] || units[i] >= most[i])
			continue;
		/* Below 2^40 granules and 2^12 vCPUs: no overflow. */
		share = begin * (alike ? 1 : weight[i]) / whole;
		free_units = most[i] - units[i];
		share = share < free_units ? share : free_units;
		units[i] += share;
		rest -= share;
	}
	for (uint32_t i = 0; i < p->facts->node_count && rest == begin && rest; i++)
		if (memory[i] && units[i] < most[i] && (alike || weight[i])) {
			units[i]++;
			rest--;
			begin--;
		}
	return rest;
}

/* The node that has most; of equals the last one. */
static uint32_t largest(const struct place *p, const uint64_t *units)
{
	uint32_t most = 0;

	for (uint32_t i = 1; i < p->facts->node_count; i++)
		if (units[i] >= units[most])
			most = i;
	return most;
}

void axplace_divide(const struct place *p, const struct choice *choice, uint64_t *ret_bytes)
{
	uint64_t granule = axplace_granule(p->levels[choice->level]);
	uint64_t rest = axplace_units(p, choice->level), *units = ret_bytes;
	uint64_t *weight = p->scratch, *most = p->scratch + p->facts->node_count;
	uint64_t least = axplace_least(p, choice->level) / granule;

	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		weight[i] = 0;
		most[i] = choice->memory[i] ? p->nodes[i].room[choice->level] / granule : 0;
		units[i] = 0;
	}
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (choice->vcpus[i])
			weight[axplace_home(p, choice->memory, i)] += choice->vcpus[i];
	while (rest)
		rest = give(p, choice->memory, weight, most, units, rest);
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		while (choice->memory[i] && units[i] < least) {
			units[largest(p, units)]--;
			units[i]++;
		}
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		units[i] *= granule;
	/* One granule may be a short one. */
	if (p->request.memory_bytes % granule)
		ret_bytes[largest(p, ret_bytes)] -= granule - p->request.memory_bytes % granule;
}
