/*
 * The topology of a host, its caches and nodes as tables, and what of it this process may use: what
 * `axvm host` prints beyond the summary.
 */
#include "cmd.h"

#include <axvm/host.h>

#include <stdio.h>
#include <string.h>

enum { ALLOWED, ISOLATED, TICKLESS, OFFLINE, OF_NODE };

static bool is_in(const struct axhost_cpu *cpu, int what, uint32_t node)
{
	switch (what) {
	case ALLOWED:
		return cpu->allowed;
	case ISOLATED:
		return cpu->isolated;
	case TICKLESS:
		return cpu->tickless;
	case OFFLINE:
		return !cpu->online;
	default:
		return cpu->node == node;
	}
}

/* "0-9,20-29", or "none"; ends with "..." where buf ends. */
static const char *list_cpus(const struct axhost_facts *facts, int what, uint32_t node, char *buf,
			     size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < facts->cpu_count; i++) {
		size_t last = i;

		if (!is_in(&facts->cpus[i], what, node))
			continue;
		while (last + 1 < facts->cpu_count && is_in(&facts->cpus[last + 1], what, node) &&
		       facts->cpus[last + 1].id == facts->cpus[last].id + 1)
			last++;
		if (used + 28 > size) {
			snprintf(buf + used, size - used, "...");
			return buf;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%u", used ? "," : "",
					 facts->cpus[i].id);
		if (last > i)
			used += (size_t)snprintf(buf + used, size - used, "-%u",
						 facts->cpus[last].id);
		i = last;
	}
	return used ? buf : "none";
}

static const char *gib(uint64_t bytes, char *buf, size_t size)
{
	if (!bytes)
		return "none";
	snprintf(buf, size, "%.1f GiB", (double)bytes / AX_GIB);
	return buf;
}

static void print_counts(const struct axhost_facts *facts)
{
	uint32_t packages = 0, cores = 0, llcs = 0;

	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];

		if (!cpu->online)
			continue;
		packages += cpu->package == packages;
		cores += cpu->core == cores;
		llcs += cpu->llc == llcs;
	}
	if (packages && cores && cores % packages == 0 && facts->cpus_online % cores == 0)
		printf("  %-26s %u socket%s x %u core%s x %u thread%s\n", "layout", packages,
		       packages == 1 ? "" : "s", cores / packages, cores / packages == 1 ? "" : "s",
		       facts->cpus_online / cores, facts->cpus_online / cores == 1 ? "" : "s");
	else
		printf("  %-26s %u sockets, %u cores, %u threads\n", "layout", packages, cores,
		       facts->cpus_online);
	printf("  %-26s %u\n", "last level caches", llcs);
}

static void print_caches(const struct axhost_facts *facts)
{
	char size[24];

	for (size_t i = 0; i < facts->cache_count; i++) {
		const struct axhost_cache *cache = &facts->caches[i];

		printf("%sL%u %-23s %s, %u ways, lines of %u bytes, shared by %u CPU%s\n",
		       i ? "  " : "\nCaches\n  ", cache->level,
		       cache->type == 'd'   ? "data"
		       : cache->type == 'i' ? "instructions"
					    : "",
		       ax_format_size(cache->size_bytes, size, sizeof(size)), cache->ways,
		       cache->line_bytes, cache->shared_by, cache->shared_by == 1 ? "" : "s");
	}
}

static void print_nodes(const struct axhost_facts *facts)
{
	char cpus[256], memory[24], available[24], size[24], pages[48];

	printf("\nNodes (memory that is free, or holds files; huge pages free of all)\n");
	printf("  %4s  %-20s %10s %10s", "node", "CPUs", "memory", "free");
	for (size_t p = 0; p < facts->pool_count; p++)
		printf("  %13s",
		       ax_format_size(facts->pools[p].page_size_bytes, size, sizeof(size)));
	printf("\n");
	for (uint32_t n = 0; n < facts->node_count; n++) {
		const struct axhost_node *node = &facts->nodes[n];

		printf("  %4u  %-20s %10s %10s", node->id,
		       list_cpus(facts, OF_NODE, n, cpus, sizeof(cpus)),
		       gib(node->memory_bytes, memory, sizeof(memory)),
		       gib(node->memory_free_bytes, available, sizeof(available)));
		for (size_t p = 0; p < facts->pool_count; p++) {
			uint64_t total = 0, free = 0;

			for (size_t i = 0; i < node->pool_count; i++)
				if (node->pools[i].page_size_bytes ==
				    facts->pools[p].page_size_bytes) {
					total = node->pools[i].total;
					free = node->pools[i].free;
				}
			snprintf(pages, sizeof(pages), "%llu/%llu", (unsigned long long)free,
				 (unsigned long long)total);
			printf("  %13s", pages);
		}
		printf("%s\n", node->allowed ? "" : "  not allowed");
	}
}

static void print_distances(const struct axhost_facts *facts)
{
	const size_t n = facts->node_count;

	if (n < 2)
		return;
	printf("\nDistances\n  %4s", "");
	for (size_t i = 0; i < n; i++)
		printf(" %4u", facts->nodes[i].id);
	printf("\n");
	for (size_t i = 0; i < n; i++) {
		printf("  %4u", facts->nodes[i].id);
		for (size_t j = 0; j < n; j++)
			printf(" %4u", facts->distances[i * n + j]);
		printf("\n");
	}
}

static void print_abilities(const struct axhost_facts *facts)
{
	const struct {
		const char *name;
		bool there;
	} abilities[] = {
		{"VT-x", facts->vmx},
		{"AMD-V", facts->svm},
		{"EPT", facts->ept},
		{"NPT", facts->npt},
		{"APICv or AVIC", facts->apicv},
		{"x2APIC", facts->x2apic},
		{"invariant TSC", facts->invariant_tsc},
		{"TSC scaling", facts->tsc_scaling},
		{"1 GiB pages", facts->gbpages},
	};

	if (!facts->family) /* no x86: `axvm doctor` asks KVM itself */
		return;
	printf("\nFor KVM\n");
	for (size_t i = 0; i < AX_ARRAY_LEN(abilities); i++)
		printf("  %-26s %s\n", abilities[i].name, abilities[i].there ? "yes" : "no");
}

static const char *cpus(uint32_t thousandths, char *buf, size_t size)
{
	if (!thousandths)
		return "none";
	snprintf(buf, size, "%.3f CPUs", thousandths / 1e3);
	return buf;
}

static void print_limits(const struct axhost_facts *facts)
{
	char list[512], size[24], used[24];

	printf("\nLimits\n");
	printf("  %-26s %s\n", "CPUs allowed", list_cpus(facts, ALLOWED, 0, list, sizeof(list)));
	printf("  %-26s %s\n", "CPUs isolated", list_cpus(facts, ISOLATED, 0, list, sizeof(list)));
	printf("  %-26s %s\n", "CPUs without ticks",
	       list_cpus(facts, TICKLESS, 0, list, sizeof(list)));
	printf("  %-26s %s\n", "CPUs offline", list_cpus(facts, OFFLINE, 0, list, sizeof(list)));
	printf("  %-26s %s", "memory limit of the group",
	       gib(facts->memory_limit_bytes, size, sizeof(size)));
	if (facts->memory_limit_bytes)
		printf(", %s in use", gib(facts->memory_limit_used_bytes, used, sizeof(used)));
	printf("\n");
	printf("  %-26s %s\n", "CPU limit of the group",
	       cpus(facts->cpu_limit_thousandths, size, sizeof(size)));
	printf("  %-26s %s\n", "automatic NUMA balancing", facts->numa_balancing ? "yes" : "no");
}

static void print_mitigations(const struct axhost_facts *facts)
{
	const char *at = facts->mitigations;

	if (!*at)
		return;
	printf("\nMitigations\n");
	while (*at) {
		const size_t length = strcspn(at, ";"), name = strcspn(at, ":;");

		if (at[name] == ':')
			printf("  %-26.*s%.*s\n", (int)name, at, (int)(length - name - 1),
			       at + name + 1); /* begins with a blank */
		at += length;
		at += strspn(at, "; ");
	}
}

void host_print_tables(const struct axhost_facts *facts)
{
	print_counts(facts);
	print_caches(facts);
	print_nodes(facts);
	print_distances(facts);
	print_abilities(facts);
	print_limits(facts);
	print_mitigations(facts);
}
