/*
 * Who shares what, as CPUID tells it: threads of a core, CPUs of a last level cache, cores of a
 * package, instead of the host's. Which APIC ids that makes is topology.c's.
 */
#include "cpuid.h"

static uint32_t at_most(uint32_t v, uint32_t max)
{
	return v < max ? v : max;
}

uint32_t x86_cpuid_per_package(const struct x86_topology *topo)
{
	const uint32_t cpus = topo->cores * topo->threads;
	/* Ids with gaps take more bits than the CPUs would. */
	return 1u << topo->package_bits >= 2 * cpus ? 1u << topo->package_bits : cpus;
}

/* SDM leaf 4 and its twin 0x8000001D: who shares a cache. Levels 1 and 2 are a core's, level 3 its
 * domain's; Intel's leaf also has the number of core ids. */
static void edit_caches(const struct x86_cpuid_table *t, uint32_t leaf,
			const struct x86_topology *topo)
{
	for (size_t i = 0; i < t->count; i++) {
		struct x86_cpuid_entry *e = &t->entries[i];
		if (e->leaf != leaf || !(e->eax & 0x1f))
			continue;
		const unsigned level = e->eax >> 5 & 7;
		const unsigned bits = level < 3 ? topo->thread_bits : topo->llc_bits;
		e->eax = (e->eax & 0x3fff) | at_most((1u << bits) - 1, 0xfff) << 14;
		if (leaf == 4)
			e->eax |= at_most((1u << (topo->package_bits - topo->thread_bits)) - 1, 63)
				  << 26;
	}
}

/* Leaves 0xB and 0x1F: levels thread and core, then the end. */
static void write_levels(struct x86_cpuid_table *t, uint32_t leaf, uint32_t apic_id,
			 const struct x86_topology *topo)
{
	enum { LEVEL_END = 0, LEVEL_THREAD = 1, LEVEL_CORE = 2 };
	const struct x86_cpuid_entry levels[] = {
		{.eax = topo->thread_bits, .ebx = topo->threads, .ecx = LEVEL_THREAD << 8},
		{.eax = topo->package_bits,
		 .ebx = topo->threads * topo->cores,
		 .ecx = LEVEL_CORE << 8},
		{.ecx = LEVEL_END << 8},
	};

	x86_cpuid_remove(t, leaf, leaf);
	for (uint32_t i = 0; i < AX_ARRAY_LEN(levels); i++) {
		struct x86_cpuid_entry e = levels[i];
		e.leaf = leaf;
		e.subleaf = i;
		e.has_subleaf = true;
		e.ecx |= i;
		e.edx = apic_id;
		x86_cpuid_add(t, &e);
	}
}

static void edit_amd(struct x86_cpuid_table *t, uint32_t apic_id, const struct x86_topology *topo)
{
	const uint32_t id_in_package = apic_id & ((1u << topo->package_bits) - 1);
	const uint32_t cpus = at_most(x86_cpuid_per_package(topo), 256);
	struct x86_cpuid_entry *e = x86_cpuid_find(t, 0x80000001, 0);

	if (e) {
		enum { CMP_LEGACY = 1, SVM = 2 };
		x86_cpuid_set_bit(&e->ecx, CMP_LEGACY, cpus > 1);
		x86_cpuid_set_bit(&e->ecx, SVM, false);
	}
	/* ApicIdSize and NC (APM volume 3, appendix E.4.7). */
	e = x86_cpuid_find(t, 0x80000008, 0);
	if (e)
		e->ecx = (e->ecx & ~0xf0ffu) | at_most(topo->package_bits, 15) << 12 | (cpus - 1);
	/* Extended APIC id, core id and threads a core; one node a socket. */
	e = x86_cpuid_find(t, 0x8000001e, 0);
	if (e) {
		e->eax = apic_id;
		e->ebx = (id_in_package >> topo->thread_bits & 0xff) |
			 at_most(topo->threads - 1, 0xff) << 8;
		e->ecx = apic_id >> topo->package_bits & 0xff;
		e->edx = 0;
	}
	edit_caches(t, 0x8000001d, topo);
	/* 0x80000026 would tell the host's dies and complexes. */
	x86_cpuid_remove(t, 0x80000026, 0x80000026);
}

void x86_cpuid_edit_topology(struct x86_cpuid_table *t, const struct x86_cpuid_request *r,
			     const struct x86_topology *topo, bool is_amd)
{
	const struct x86_cpuid_entry *leaf0 = x86_cpuid_find(t, 0, 0);
	const bool had_0x1f = x86_cpuid_find(t, 0x1f, 0) && leaf0 && leaf0->eax >= 0x1f;

	edit_caches(t, 4, topo);
	/* x2APIC mode asks for leaf 0xB (SDM volume 3, 10.12.1), also on CPUs that lack it. */
	if (r->x2apic || x86_cpuid_find(t, 0xb, 0)) {
		x86_cpuid_reach(t, 0xb);
		write_levels(t, 0xb, r->apic_id, topo);
	}
	x86_cpuid_remove(t, 0x1f, 0x1f);
	if (had_0x1f)
		write_levels(t, 0x1f, r->apic_id, topo);
	if (is_amd)
		edit_amd(t, r->apic_id, topo);
}
