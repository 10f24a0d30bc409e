/*
 * What would work instead of a request that has no plan. Every piece of advice was planned before
 * it is given: changes of one thing first, then fewer vCPUs together with less memory.
 */
#include "private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void try(struct advice *a, const struct axplace_request *request, const char *text)
{
	if (a->count < 3 && axplace_would_work(a->p, request, 0))
		add(a, text);
}

static void without_limits(struct advice *a)
{
	const struct axplace_request *old = &a->p->request;
	struct axplace_request request;
	char text[48];

	if (old->max_nodes) {
		for (uint32_t n = old->max_nodes + 1; n <= a->p->facts->node_count; n++) {
			request = *old;
			request.max_nodes = n;
			if (!axplace_would_work(a->p, &request, 0))
				continue;
			snprintf(text, sizeof(text), "max_nodes=%u", n);
			add(a, text);
			break;
		}
	}
	request = *old;
	request.cores = AXPLACE_CORES_AUTO;
	if (old->cores == AXPLACE_CORES_OWN)
		try(a, &request, "cores=auto");
	request = *old;
	request.backing_is_must = false;
	if (old->backing_is_must)
		try(a, &request, "backing_is_must=no");
	request = *old;
	request.pin_count = 0;
	if (old->pin_count)
		try(a, &request, "pins=none");
	request = *old;
	request.node_count = 0;
	if (old->node_count)
		try(a, &request, "nodes=all");
	request = *old;
	request.keep_free_count = 0;
	if (old->keep_free_count)
		try(a, &request, "keep_free=none");
	request = *old;
	request.whole_nodes = false;
	if (old->whole_nodes)
		try(a, &request, "whole_nodes=no");
}

static uint32_t most_vcpus(const struct place *p, const struct axplace_request *old,
			   unsigned leave_out)
{
	struct axplace_request request = *old;
	uint32_t low = 0, high = old->vcpus - 1;

	while (low < high && !request.pin_count) {
		request.vcpus = low + (high - low + 1) / 2;
		if (axplace_would_work(p, &request, leave_out))
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
	return low * unit;
}

static void with_less(struct advice *a)
{
	const struct axplace_request *old = &a->p->request;
	struct axplace_request request = *old;
	uint32_t vcpus = most_vcpus(a->p, old, 0);
	uint64_t memory = most_memory(a->p, old);
	char text[64], size[24];

	request.may_overcommit = true;
	if (!old->may_overcommit && old->cores != AXPLACE_CORES_OWN)
		try(a, &request, "may_overcommit=yes");
	if (vcpus) {
		snprintf(text, sizeof(text), "vcpus=%u", vcpus);
		add(a, text);
	}
	if (memory) {
		snprintf(text, sizeof(text), "memory=%s",
			 ax_format_size(memory, size, sizeof(size)));
		add(a, text);
	}
	if (a->count)
		return;
	/* Neither alone: as many vCPUs as there is room for, then the memory for those. */
	request = *old;
	request.vcpus = most_vcpus(a->p, old, PLACE_NO_MEMORY);
	memory = request.vcpus ? most_memory(a->p, &request) : 0;
	if (!memory)
		return;
	snprintf(text, sizeof(text), "vcpus=%u with memory=%s", request.vcpus,
		 ax_format_size(memory, size, sizeof(size)));
	add(a, text);
}

/* The commands that make the huge pages that are missing: the plan there would be if every node
 * turned its free memory into them says where. */
static void make_pages(const struct place *p, char *buf, size_t buf_size)
{
	uint64_t page = axplace_page_size(p->request.backing);
	struct axhost_facts facts = *p->facts;
	struct place other = {.profile = p->profile, .request = p->request, .held = p->held};
	struct choice best = {0}, second = {0};
	AX_AUTO_FREE uint64_t *bytes = calloc(facts.node_count, sizeof(*bytes));
	size_t used = 0;

	buf[0] = '\0';
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
		}
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
	char pages[256] = "";

	if (p->request.backing_is_must && err->sys_errno == ENOMEM)
		make_pages(p, pages, sizeof(pages));
	without_limits(&advice);
	if (advice.count < 3)
		with_less(&advice);
	if (pages[0] && advice.count)
		ax_error_hint(err, "%s; would work: %s", pages, advice.text);
	else if (pages[0])
		ax_error_hint(err, "%s", pages);
	else if (advice.count)
		ax_error_hint(err, "would work: %s", advice.text);
	else
		ax_error_hint(err, "nothing smaller works either: end another VM, or change what "
				   "this host offers");
}
