/*
 * Memory of the nodes: how much room each has at each page size, whose memory a node without any
 * uses, and how the VM's memory divides over those that were chosen.
 */
#include "private.h"

uint64_t axplace_page_size(enum axas_backing backing)
{
	if (backing == AXAS_BACKING_HUGETLB_1G)
		return AX_GIB;
	return backing == AXAS_BACKING_HUGETLB_2M ? 2 * AX_MIB : AXAS_PAGE_SIZE;
}

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

uint64_t axplace_free_bytes(const struct place *p, uint32_t node)
{
	return less(p->facts->nodes[node].memory_free_bytes, held_bytes(p, node, 0));
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

static uint64_t room(const struct place *p, uint32_t node, enum axas_backing backing)
{
	uint64_t limit = p->facts->memory_limit_bytes, page = axplace_page_size(backing);

	if (!p->nodes[node].eligible)
		return 0;
	if (p->ignore_memory)
		return UINT64_C(1) << 52;
	if (!p->facts->nodes[node].allowed && !p->any_cpuset)
		return 0;
	if (page > AXAS_PAGE_SIZE)
		return axplace_pool_free(p, node, page) * page;
	/* A cgroup's limit counts ordinary pages, not those of hugetlbfs. */
	if ((limit && p->request.memory_bytes > limit) ||
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

	if (bytes % axplace_page_size(p->levels[level]))
		return 0;
	return bytes / granule + !!(bytes % granule);
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

/* A node that is to have memory has a granule at least: from the one that has most. */
static void move_one(const struct place *p, uint64_t *units, uint32_t to)
{
	uint32_t from = 0;

	for (uint32_t i = 1; i < p->facts->node_count; i++)
		if (units[i] > units[from])
			from = i;
	units[from]--;
	units[to]++;
}

void axplace_divide(const struct place *p, const struct choice *choice, uint64_t *ret_bytes)
{
	uint64_t granule = axplace_granule(p->levels[choice->level]);
	uint64_t rest = axplace_units(p, choice->level), *units = ret_bytes;
	uint64_t *weight = p->scratch, *most = p->scratch + p->facts->node_count;
	uint32_t last = 0;

	for (uint32_t i = 0; i < p->facts->node_count; i++) {
		weight[i] = 0;
		most[i] = choice->memory[i] ? p->nodes[i].room[choice->level] / granule : 0;
		units[i] = 0;
		if (choice->memory[i])
			last = i;
	}
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (choice->vcpus[i])
			weight[axplace_home(p, choice->memory, i)] += choice->vcpus[i];
	while (rest)
		rest = give(p, choice->memory, weight, most, units, rest);
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		if (choice->memory[i] && !units[i])
			move_one(p, units, i);
	for (uint32_t i = 0; i < p->facts->node_count; i++)
		units[i] *= granule;
	/* The last granule may be a short one. */
	if (p->request.memory_bytes % granule)
		units[last] -= granule - p->request.memory_bytes % granule;
}
