/*
 * What would work instead of a request that has no plan. Every piece of advice was planned before
 * it is given: changes of one thing first, then of several together.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No VM has less (memory.size of the configuration): a hint below it is none. */
#define LEAST_MEMORY (16 * AX_MIB)

struct advice {
	const struct place *p;
	char text[256];
	size_t used, count;
};

static void add(struct advice *a, const char *text)
{
	size_t room = sizeof(a->text) - a->used;

	/* What does not fit is left out whole. */
	if (a->count == 3 || strlen(text) + 8 > room)
		return;
	a->used += (size_t)snprintf(a->text + a->used, room, "%s%s", a->count ? ", or " : "", text);
	a->count++;
}

/* What a request may be limited by. */
enum limit {
	LIMIT_NODE_COUNT,
	LIMIT_CORES,
	LIMIT_PAGES,
	LIMIT_PINS,
	LIMIT_NODES,
	LIMIT_KEEP_FREE,
	LIMIT_WHOLE_NODES,
	LIMITS
};

/* Whether the request had it. */
static bool lift(struct axplace_request *request, enum limit limit)
{
	const struct axplace_request old = *request;

	switch (limit) {
	case LIMIT_NODE_COUNT:
		request->max_nodes = 0;
		return old.max_nodes;
	case LIMIT_CORES:
		if (old.cores == AXPLACE_CORES_OWN)
			request->cores = AXPLACE_CORES_AUTO;
		return old.cores == AXPLACE_CORES_OWN;
	case LIMIT_PAGES:
		/* Smaller ones are meant, which are not in that pool. */
		request->backing_is_must = false;
		if (old.backing_is_must && old.backing == AXAS_BACKING_HUGETLB_1G)
			request->backing = AXAS_BACKING_HUGETLB_2M;
		else if (old.backing_is_must && old.backing == AXAS_BACKING_HUGETLB_2M)
			request->backing = AXAS_BACKING_THP;
		return old.backing_is_must;
	case LIMIT_PINS:
		/* Pins that name a CPU twice are overcommitment, and all there is of it. */
		request->pin_count = 0;
		request->may_overcommit = old.may_overcommit && !old.pin_count;
		return old.pin_count;
	case LIMIT_NODES:
		request->node_count = 0;
		return old.node_count;
	case LIMIT_KEEP_FREE:
		request->keep_free_count = 0;
		return old.keep_free_count;
	case LIMIT_WHOLE_NODES:
		request->whole_nodes = false;
		return old.whole_nodes;
	default:
		return false;
	}
}

static struct axplace_request without(const struct axplace_request *old, unsigned limits)
{
	struct axplace_request request = *old;

	for (unsigned l = 0; l < LIMITS; l++)
		if (limits >> l & 1)
			(void)lift(&request, (enum limit)l);
	return request;
}

static unsigned limits_of(const struct axplace_request *request)
{
	struct axplace_request copy = *request;
	unsigned limits = 0;

	for (unsigned l = 0; l < LIMITS; l++)
		limits |= (unsigned)lift(&copy, (enum limit)l) << l;
	return limits;
}

/* The fewest nodes that it works with. */
static uint32_t least_nodes(const struct place *p, struct axplace_request request)
{
	do
		request.max_nodes++;
	while (request.max_nodes < p->facts->node_count && !axplace_would_work(p, &request, 0));
	return request.max_nodes;
}

/* The limits that `request` is without, as a list that ends with `also`. */
static const char *spell(const struct place *p, const struct axplace_request *request,
			 unsigned limits, const char *also, char *buf, size_t buf_size)
{
	static const char *const texts[LIMITS] = {
		[LIMIT_CORES] = "cores=auto",         [LIMIT_PAGES] = "backing_is_must=no",
		[LIMIT_PINS] = "pins=none",           [LIMIT_NODES] = "nodes=all",
		[LIMIT_KEEP_FREE] = "keep_free=none", [LIMIT_WHOLE_NODES] = "whole_nodes=no",
	};
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned l = 0; l < LIMITS && used < buf_size; l++) {
		char nodes[32] = "";

		if (!(limits >> l & 1))
			continue;
		if (l == LIMIT_NODE_COUNT)
			snprintf(nodes, sizeof(nodes), "max_nodes=%u", least_nodes(p, *request));
		used += (size_t)snprintf(buf + used, buf_size - used, "%s%s", used ? " with " : "",
					 texts[l] ? texts[l] : nodes);
	}
	if (*also && used < buf_size)
		snprintf(buf + used, buf_size - used, "%s%s", used ? " with " : "", also);
	return buf;
}

/* With these limits lifted, those of them that need not be put back. */
static void try_without(struct advice *a, unsigned limits)
{
	struct axplace_request request = without(&a->p->request, limits);
	char text[192];

	if (a->count == 3 || !axplace_would_work(a->p, &request, 0))
		return;
	for (unsigned l = 0; l < LIMITS; l++) {
		request = without(&a->p->request, limits & ~(1U << l));
		if ((limits >> l & 1) && axplace_would_work(a->p, &request, 0))
			limits &= ~(1U << l);
	}
	request = without(&a->p->request, limits);
	add(a, spell(a->p, &request, limits, "", text, sizeof(text)));
}

static uint32_t most_vcpus(const struct place *p, const struct axplace_request *old)
{
	struct axplace_request request = *old;
	uint32_t low = 0, high = old->vcpus - 1;

	while (low < high && !request.pin_count) {
		request.vcpus = low + (high - low + 1) / 2;
		if (axplace_would_work(p, &request, 0))
			low = request.vcpus;
		else
			high = request.vcpus - 1;
	}
	return low;
}

static uint64_t most_memory(const struct place *p, const struct axplace_request *old)
{
	struct axplace_request request = *old;
	uint64_t unit = axplace_granule(old->backing), low = 0;
	uint64_t high = (old->memory_bytes - 1) / unit;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		request.memory_bytes = middle * unit;
		if (axplace_would_work(p, &request, 0))
			low = middle;
		else
			high = middle - 1;
	}
	return low * unit < LEAST_MEMORY ? 0 : low * unit;
}

/* The free memory of a host is another the next moment: a number that is a little smaller, and
 * short to type, works then, too. Pools change only when somebody changes them. */
static uint64_t some_less(const struct place *p, const struct axplace_request *old, uint64_t memory)
{
	struct axplace_request request = *old;
	uint64_t less = memory - memory / 64;

	if (!memory || (old->backing_is_must && axas_page_size(old->backing) > AXAS_PAGE_SIZE))
		return memory;
	less -= less % ax_align_up((1ULL << (63 - __builtin_clzll(memory))) / 32,
				   axplace_granule(old->backing));
	request.memory_bytes = less;
	return less >= LEAST_MEMORY && axplace_would_work(p, &request, 0) ? less : memory;
}

/* Less of the request without these limits. */
static void with_less(struct advice *a, unsigned limits)
{
	const struct axplace_request base = without(&a->p->request, limits);
	struct axplace_request request = base;
	uint32_t vcpus = most_vcpus(a->p, &base);
	uint64_t memory = some_less(a->p, &base, most_memory(a->p, &base));
	char less[64], size[24], text[192];

	request.may_overcommit = true;
	if (!base.may_overcommit && base.cores != AXPLACE_CORES_OWN && a->count < 3 &&
	    axplace_would_work(a->p, &request, 0))
		add(a, spell(a->p, &request, limits, "may_overcommit=yes", text, sizeof(text)));
	request = base;
	if (vcpus) {
		request.vcpus = vcpus;
		snprintf(less, sizeof(less), "vcpus=%u", vcpus);
		add(a, spell(a->p, &request, limits, less, text, sizeof(text)));
		request.vcpus = base.vcpus;
	}
	if (memory) {
		request.memory_bytes = memory;
		snprintf(less, sizeof(less), "memory=%s",
			 ax_format_size(memory, size, sizeof(size)));
		add(a, spell(a->p, &request, limits, less, text, sizeof(text)));
	}
	if (a->count)
		return;
	/* Neither alone: as many vCPUs as there is room for with the least memory, then theirs. */
	request.memory_bytes = ax_align_up(LEAST_MEMORY, axplace_granule(base.backing));
	request.vcpus = most_vcpus(a->p, &request);
	if (!request.vcpus)
		return;
	request.memory_bytes = base.memory_bytes;
	memory = some_less(a->p, &request, most_memory(a->p, &request));
	if (!memory)
		return;
	request.memory_bytes = memory;
	snprintf(less, sizeof(less), "vcpus=%u with memory=%s", request.vcpus,
		 ax_format_size(memory, size, sizeof(size)));
	add(a, spell(a->p, &request, limits, less, text, sizeof(text)));
}

/* The commands that make the huge pages that are missing: the plan there would be if every node
 * turned its free memory into them says where. */
static void make_pages(const struct place *p, char *buf, size_t buf_size)
{
	uint64_t page = axas_page_size(p->request.backing);
	struct axhost_facts facts = *p->facts;
	struct place other = {.profile = p->profile, .request = p->request, .held = p->held};
	struct choice best = {0}, second = {0};
	AX_AUTO_FREE uint64_t *bytes = calloc(facts.node_count, sizeof(*bytes));
	char pairs[160];
	size_t used = 0, listed = 0;

	buf[0] = pairs[0] = '\0';
	facts.nodes = calloc(facts.node_count, sizeof(*facts.nodes));
	other.facts = &facts;
	if (!bytes || !facts.nodes || page == AXAS_PAGE_SIZE)
		goto out;
	for (uint32_t i = 0; i < facts.node_count; i++) {
		facts.nodes[i] = p->facts->nodes[i];
		for (size_t k = 0; k < facts.nodes[i].pool_count; k++)
			if (facts.nodes[i].pools[k].page_size_bytes == page)
				facts.nodes[i].pools[k].free += axplace_free_bytes(p, i) / page;
	}
	if (axplace_init(&other, NULL))
		goto out;
	if (!axplace_choice_init(&other, &best) && !axplace_choice_init(&other, &second) &&
	    !axplace_check_pins(&other, NULL) && !axplace_find(&other, &best, &second) &&
	    best.found) {
		axplace_divide(&other, &best, bytes);
		for (uint32_t i = 0; i < facts.node_count; i++) {
			uint64_t needed = bytes[i] / page;
			/* What is promised to others may be more than is free now. */
			uint64_t spare = axplace_pool_free(&other, i, page) - needed;
			uint64_t made = axplace_free_bytes(p, i) / page;
			uint64_t total = 0;

			if (!best.memory[i] || spare >= made)
				continue;
			for (size_t k = 0; k < facts.nodes[i].pool_count; k++)
				if (facts.nodes[i].pools[k].page_size_bytes == page)
					total = facts.nodes[i].pools[k].total;
			if (used < buf_size)
				used += (size_t)snprintf(
					buf + used, buf_size - used,
					"%secho %llu > /sys/devices/system/node/node%u/hugepages/"
					"hugepages-%llukB/nr_hugepages",
					used ? "; " : "",
					(unsigned long long)(total + made - spare),
					facts.nodes[i].id, (unsigned long long)(page / 1024));
			if (listed < sizeof(pairs))
				listed += (size_t)snprintf(
					pairs + listed, sizeof(pairs) - listed, " %u:%llu",
					facts.nodes[i].id,
					(unsigned long long)(total + made - spare));
		}
		/* A command for each is more than there is room for: one for all. */
		if (used >= buf_size && listed < sizeof(pairs))
			used = (size_t)snprintf(buf, buf_size,
						"for n in%s; do echo ${n#*:} > "
						"/sys/devices/system/node/node${n%%:*}/"
						"hugepages/hugepages-%llukB/nr_hugepages; done",
						pairs, (unsigned long long)(page / 1024));
		if (used >= buf_size)
			buf[0] = '\0';
	}
out:
	axplace_choice_finish(&best);
	axplace_choice_finish(&second);
	if (other.nodes)
		axplace_finish(&other);
	free(facts.nodes);
}

void axplace_advise(const struct place *p, struct ax_error *err)
{
	struct advice advice = {.p = p};
	bool others = p->held && (p->held->cpu_count || p->held->memory_count);
	const unsigned limits = limits_of(&p->request);
	const unsigned several[] = {limits & ~(1U << LIMIT_PAGES), limits};
	char pages[256] = "";

	if (p->request.backing_is_must && err->sys_errno == ENOMEM)
		make_pages(p, pages, sizeof(pages));
	for (unsigned l = 0; l < LIMITS; l++)
		if (limits >> l & 1)
			try_without(&advice, 1U << l);
	if (advice.count < 3)
		with_less(&advice, 0);
	/* No change of one thing: of several. */
	for (size_t i = 0; i < AX_ARRAY_LEN(several) && !advice.count; i++)
		try_without(&advice, several[i]);
	for (size_t i = 0; i < AX_ARRAY_LEN(several) && !advice.count; i++)
		with_less(&advice, several[i]);
	if (pages[0] && advice.count)
		ax_error_hint(err, "%s; would work: %s", pages, advice.text);
	else if (pages[0])
		ax_error_hint(err, "%s", pages);
	else if (advice.count)
		ax_error_hint(err, "would work: %s", advice.text);
	else
		ax_error_hint(err, "nothing smaller works either: %schange what this host offers",
			      others ? "end another VM, or " : "");
}
