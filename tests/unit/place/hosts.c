/* Building hosts, by hand and at random. */
#include "hosts.h"

const struct axprof *profile_by_name(const char *name)
{
	const struct axprof *profile;

	for (size_t i = 0; (profile = axprof_at(i)); i++)
		if (!strcmp(profile->name, name))
			return profile;
	abort();
}

static void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

struct axhost_facts host_make(uint32_t nodes, uint32_t cores, uint32_t threads,
			      uint64_t memory_bytes)
{
	struct axhost_facts facts = {.thp = true, .node_count = nodes, .nodes_online = nodes};

	facts.cpu_count = (size_t)nodes * cores * threads;
	facts.cpus_online = (uint32_t)facts.cpu_count;
	facts.cpus = zeroed(facts.cpu_count, sizeof(*facts.cpus));
	facts.nodes = zeroed(nodes, sizeof(*facts.nodes));
	facts.distances = zeroed(nodes, nodes);
	for (uint32_t i = 0; i < facts.cpu_count; i++) {
		uint32_t core = i % (nodes * cores);

		facts.cpus[i] = (struct axhost_cpu){
			.id = i,
			.package = core / cores,
			.core = core,
			.llc = core / cores,
			.node = core / cores,
			.online = true,
			.allowed = true,
		};
	}
	for (uint32_t n = 0; n < nodes; n++) {
		facts.nodes[n] = (struct axhost_node){
			.id = n,
			.memory_bytes = memory_bytes,
			.memory_free_bytes = memory_bytes,
			.allowed = true,
		};
		for (uint32_t k = 0; k < nodes; k++)
			facts.distances[n * nodes + k] = n == k ? 10 : 21;
	}
	return facts;
}

void host_pool(struct axhost_facts *facts, uint32_t node, uint64_t page_size, uint64_t pages)
{
	struct axhost_node *n = &facts->nodes[node];

	n->pools[n->pool_count++] = (struct axhost_page_pool){page_size, pages, pages};
}

struct axhost_cpu *host_cpu(struct axhost_facts *facts, uint32_t id)
{
	for (size_t i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].id == id)
			return &facts->cpus[i];
	abort();
}

uint32_t prng_below(struct prng *prng, uint32_t bound)
{
	prng->state ^= prng->state >> 12;
	prng->state ^= prng->state << 25;
	prng->state ^= prng->state >> 27;
	return (uint32_t)((prng->state * UINT64_C(2685821657736338717) >> 33) % bound);
}

static bool one_in(struct prng *prng, uint32_t n)
{
	return prng_below(prng, n) == 0;
}

/* Cores of one to three threads, on nodes at random; caches within nodes; gaps in the numbers. */
static void random_cpus(struct prng *prng, struct axhost_facts *facts, uint32_t most_cpus)
{
	uint32_t count = 1 + prng_below(prng, most_cpus), id = prng_below(prng, 4) ? 0 : 1;
	uint32_t cores = 0, widest = 1 + prng_below(prng, 2) + one_in(prng, 8);
	bool interleaved = one_in(prng, 2), isolation = one_in(prng, 3), caches = one_in(prng, 3);

	facts->cpus = zeroed(count, sizeof(*facts->cpus));
	facts->cpu_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct axhost_cpu *cpu = &facts->cpus[i];
		uint32_t threads = 0, wanted;

		cpu->id = id;
		id += one_in(prng, 8) ? 2 : 1;
		cpu->online = !one_in(prng, 12);
		cpu->allowed = !one_in(prng, 12);
		cpu->isolated = isolation && one_in(prng, 2);
		if (!cpu->online) {
			cpu->package = cpu->core = cpu->llc = cpu->node = AXHOST_NONE;
			continue;
		}
		wanted = interleaved && cores > 1 ? prng_below(prng, cores) : cores - 1;
		for (uint32_t k = 0; k < i; k++)
			threads += facts->cpus[k].online && facts->cpus[k].core == wanted;
		if (cores && threads < widest && !one_in(prng, 8)) {
			for (uint32_t k = 0; k < i; k++)
				if (facts->cpus[k].online && facts->cpus[k].core == wanted) {
					cpu->node = facts->cpus[k].node;
					cpu->llc = facts->cpus[k].llc;
				}
			cpu->core = wanted;
		} else {
			cpu->core = cores++;
			cpu->node = prng_below(prng, (uint32_t)facts->node_count);
			cpu->llc = cpu->node * 2 + (caches && one_in(prng, 2));
		}
		cpu->package = cpu->node;
	}
}

static void random_nodes(struct prng *prng, struct axhost_facts *facts, uint32_t most_nodes)
{
	uint32_t count = 1 + prng_below(prng, most_nodes), id = 0;

	facts->node_count = count;
	facts->nodes = zeroed(count, sizeof(*facts->nodes));
	facts->distances = zeroed(count, count);
	facts->thp = !one_in(prng, 5);
	for (uint32_t n = 0; n < count; n++) {
		struct axhost_node *node = &facts->nodes[n];

		node->id = id;
		id += one_in(prng, 6) ? 2 : 1;
		node->allowed = !one_in(prng, 12);
		node->memory_bytes = one_in(prng, 6) ? 0 : (1 + prng_below(prng, 16)) * 256 * MIB;
		node->memory_free_bytes =
			node->memory_bytes ? node->memory_bytes - prng_below(prng, 64) * MIB : 0;
		if (!one_in(prng, 3))
			host_pool(facts, n, 2 * MIB, prng_below(prng, 1024));
		if (!one_in(prng, 3))
			host_pool(facts, n, GIB, prng_below(prng, 4));
		for (uint32_t k = 0; k < n; k++) {
			uint8_t distance =
				(uint8_t)(one_in(prng, 3) ? 10 + prng_below(prng, 20) : 21);

			facts->distances[n * count + k] = distance;
			facts->distances[k * count + n] =
				one_in(prng, 10) ? (uint8_t)(distance + 1) : distance;
		}
		facts->distances[n * count + n] = 10;
	}
	if (one_in(prng, 8)) {
		facts->memory_limit_bytes = (1 + prng_below(prng, 8)) * 256 * MIB;
		facts->memory_limit_used_bytes = prng_below(prng, 5) * 256 * MIB;
	}
}

static void random_request(struct prng *prng, struct scene *s)
{
	static const enum axas_backing backings[] = {AXAS_BACKING_ANON, AXAS_BACKING_THP,
						     AXAS_BACKING_HUGETLB_2M,
						     AXAS_BACKING_HUGETLB_1G, AXAS_BACKING_FILE};
	const struct axhost_facts *facts = &s->facts;
	struct axplace_request *r = &s->request;

	r->vcpus = 1 + prng_below(prng, (uint32_t)facts->cpu_count);
	r->memory_bytes = one_in(prng, 3) ? (1 + prng_below(prng, 4)) * GIB
					  : (1 + prng_below(prng, 24)) * 128 * MIB;
	if (one_in(prng, 10))
		r->memory_bytes += AXAS_PAGE_SIZE * (1 + prng_below(prng, 600));
	if (one_in(prng, 20))
		r->memory_bytes = AXAS_PAGE_SIZE * (1 + prng_below(prng, 1500));
	r->backing = backings[prng_below(prng, 5)];
	r->backing_is_must = one_in(prng, 4);
	r->io_threads = one_in(prng, 3) ? 1 + prng_below(prng, 4) : 0;
	r->spread = one_in(prng, 3) ? AXPLACE_SPREAD : AXPLACE_COMPACT;
	r->cores = (enum axplace_cores)prng_below(prng, 3);
	r->whole_nodes = one_in(prng, 8);
	r->max_nodes = one_in(prng, 3) ? 1 + prng_below(prng, 3) : 0;
	for (size_t i = 0; i < facts->cpu_count; i++) {
		if (one_in(prng, 10))
			s->keep_free[r->keep_free_count++] = facts->cpus[i].id;
		if (one_in(prng, 8))
			s->held_cpus[s->held.cpu_count++] = facts->cpus[i].id;
		s->holders[i] = 1 + prng_below(prng, 3);
	}
	for (size_t i = 0; i < facts->node_count; i++) {
		if (one_in(prng, 4))
			s->held_memory[s->held.memory_count++] = (struct axplace_held_memory){
				facts->nodes[i].id, one_in(prng, 2) ? 2 * MIB : AXAS_PAGE_SIZE,
				prng_below(prng, 512) * MIB};
		if (one_in(prng, 2) && r->node_count + 1 < facts->node_count)
			s->nodes[r->node_count++] = facts->nodes[i].id;
	}
	if (one_in(prng, 2))
		r->node_count = 0;
	r->keep_free = s->keep_free;
	r->nodes = s->nodes;
	s->held.cpus = s->held_cpus;
	s->held.holders = one_in(prng, 2) ? s->holders : NULL;
	s->held.memory = s->held_memory;
}

void scene_random(struct prng *prng, bool small, struct scene *ret_scene)
{
	memset(ret_scene, 0, sizeof(*ret_scene));
	random_nodes(prng, &ret_scene->facts, small ? 3 : 12);
	random_cpus(prng, &ret_scene->facts, small ? 8 : 48);
	random_request(prng, ret_scene);
}

void scene_free(struct scene *scene)
{
	free(scene->facts.cpus);
	free(scene->facts.nodes);
	free(scene->facts.distances);
}
