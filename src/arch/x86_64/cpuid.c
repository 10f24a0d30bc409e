/*
 * What one vCPU reads from CPUID: KVM's supported list with the vCPU's own APIC id, the topology of
 * the policy instead of the host's, and without what cannot work here. Leaves registers it has no
 * opinion on as KVM reports them.
 */
#include "topology.h"

#include <string.h>

struct table {
	struct x86_cpuid_entry *entries;
	size_t count, max;
};

static struct x86_cpuid_entry *find(const struct table *t, uint32_t leaf, uint32_t subleaf)
{
	for (size_t i = 0; i < t->count; i++) {
		struct x86_cpuid_entry *e = &t->entries[i];
		if (e->leaf == leaf && (!e->has_subleaf || e->subleaf == subleaf))
			return e;
	}
	return NULL;
}

static void remove_range(struct table *t, uint32_t first, uint32_t last)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->count; i++)
		if (t->entries[i].leaf < first || t->entries[i].leaf > last)
			t->entries[kept++] = t->entries[i];
	t->count = kept;
}

/* Leaves that do not fit are left out: the guest reads zeroes there. */
static void add(struct table *t, const struct x86_cpuid_entry *entry)
{
	if (t->count < t->max)
		t->entries[t->count++] = *entry;
}

static void set_bit(uint32_t *reg, unsigned bit, bool on)
{
	*reg = on ? *reg | 1u << bit : *reg & ~(1u << bit);
}

static uint32_t at_most(uint32_t v, uint32_t max)
{
	return v < max ? v : max;
}

static bool is_vendor(const struct x86_cpuid_entry *leaf0, const char *name)
{
	return leaf0 && memcmp(&leaf0->ebx, name, 4) == 0 &&
	       memcmp(&leaf0->edx, name + 4, 4) == 0 && memcmp(&leaf0->ecx, name + 8, 4) == 0;
}

/* Highest basic leaf, raised where we add one past it. */
static void raise_max_leaf(const struct table *t, uint32_t leaf)
{
	struct x86_cpuid_entry *leaf0 = find(t, 0, 0);
	if (leaf0 && leaf0->eax < leaf)
		leaf0->eax = leaf;
}

/* Ids of one package, as CPUID counts them: those there are, or those the id bits could hold. */
static uint32_t per_package(const struct x86_topology *topo)
{
	const uint32_t cpus = topo->cores * topo->threads;
	/* Ids with gaps take more bits than the CPUs would. */
	return 1u << topo->package_bits >= 2 * cpus ? 1u << topo->package_bits : cpus;
}

static void edit_features(const struct table *t, const struct x86_cpuid_request *r,
			  const struct x86_topology *topo)
{
	enum {
		ECX_MONITOR = 3,
		ECX_VMX = 5,
		ECX_X2APIC = 21,
		ECX_TSC_DEADLINE = 24,
		ECX_OSXSAVE = 27,
		ECX_HYPERVISOR = 31,
		EDX_HTT = 28
	};
	struct x86_cpuid_entry *e = find(t, 1, 0);

	if (!e)
		return;
	e->ebx = (e->ebx & 0xffff) | at_most(per_package(topo), 255) << 16 | r->apic_id << 24;
	set_bit(&e->ecx, ECX_MONITOR, false); /* MWAIT would keep the host CPU */
	set_bit(&e->ecx, ECX_VMX, false);     /* AxVM's guests do not nest */
	set_bit(&e->ecx, ECX_X2APIC, r->x2apic);
	set_bit(&e->ecx, ECX_TSC_DEADLINE, r->tsc_deadline);
	set_bit(&e->ecx, ECX_OSXSAVE, false); /* KVM mirrors CR4 there */
	set_bit(&e->ecx, ECX_HYPERVISOR, true);
	set_bit(&e->edx, EDX_HTT, per_package(topo) > 1);
}

/* SDM leaf 4 and its twin 0x8000001D: who shares a cache. Levels 1 and 2 are a core's, level 3 the
 * package's; Intel's leaf also has the number of core ids. */
static void edit_caches(const struct table *t, uint32_t leaf, const struct x86_topology *topo)
{
	for (size_t i = 0; i < t->count; i++) {
		struct x86_cpuid_entry *e = &t->entries[i];
		if (e->leaf != leaf || !(e->eax & 0x1f))
			continue;
		const unsigned level = e->eax >> 5 & 7;
		const unsigned bits = level < 3 ? topo->thread_bits : topo->package_bits;
		e->eax = (e->eax & 0x3fff) | at_most((1u << bits) - 1, 0xfff) << 14;
		if (leaf == 4)
			e->eax |= at_most((1u << (topo->package_bits - topo->thread_bits)) - 1, 63)
				  << 26;
	}
}

/* Leaves 0xB and 0x1F: levels thread and core, then the end. */
static void write_levels(struct table *t, uint32_t leaf, uint32_t apic_id,
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

	remove_range(t, leaf, leaf);
	for (uint32_t i = 0; i < AX_ARRAY_LEN(levels); i++) {
		struct x86_cpuid_entry e = levels[i];
		e.leaf = leaf;
		e.subleaf = i;
		e.has_subleaf = true;
		e.ecx |= i;
		e.edx = apic_id;
		add(t, &e);
	}
}

static void edit_amd(struct table *t, uint32_t apic_id, const struct x86_topology *topo)
{
	const uint32_t id_in_package = apic_id & ((1u << topo->package_bits) - 1);
	const uint32_t cpus = at_most(per_package(topo), 256);
	struct x86_cpuid_entry *e = find(t, 0x80000001, 0);

	if (e) {
		enum { CMP_LEGACY = 1, SVM = 2 };
		set_bit(&e->ecx, CMP_LEGACY, cpus > 1);
		set_bit(&e->ecx, SVM, false);
	}
	/* ApicIdSize and NC (APM volume 3, appendix E.4.7). */
	e = find(t, 0x80000008, 0);
	if (e)
		e->ecx = (e->ecx & ~0xf0ffu) | at_most(topo->package_bits, 15) << 12 | (cpus - 1);
	/* Extended APIC id, core id and threads a core; one node a socket. */
	e = find(t, 0x8000001e, 0);
	if (e) {
		e->eax = apic_id;
		e->ebx = (id_in_package >> topo->thread_bits & 0xff) |
			 at_most(topo->threads - 1, 0xff) << 8;
		e->ecx = apic_id >> topo->package_bits & 0xff;
		e->edx = 0;
	}
	edit_caches(t, 0x8000001d, topo);
	/* 0x80000026 would tell the host's dies and complexes. */
	remove_range(t, 0x80000026, 0x80000026);
}

/* KVM's own leaves (Documentation/virt/kvm/x86/cpuid.rst). */
static void edit_hypervisor(struct table *t, const struct x86_cpuid_request *r)
{
	enum { FIRST = 0x40000000, FEATURES = 0x40000001, TIMING = 0x40000010, LAST = 0x400000ff };
	/* What needs a LAPIC in KVM, and what would need answers from us. */
	enum {
		PV_EOI = 6,
		PV_UNHALT = 7,
		ASYNC_PF = 4,
		PV_SEND_IPI = 11,
		PV_SCHED_YIELD = 13,
		ASYNC_PF_INT = 14,
		MSI_EXT_DEST_ID = 15,
		HC_MAP_GPA_RANGE = 16,
		MIGRATION_CONTROL = 17
	};
	static const uint8_t with_lapic[] = {ASYNC_PF,    PV_EOI,         PV_UNHALT,
					     PV_SEND_IPI, PV_SCHED_YIELD, ASYNC_PF_INT};
	static const uint8_t never[] = {MSI_EXT_DEST_ID, HC_MAP_GPA_RANGE, MIGRATION_CONTROL};
	struct x86_cpuid_entry *e;

	if (r->policy && r->policy->mask_paravirt) {
		remove_range(t, FIRST, LAST);
		return;
	}
	e = find(t, FEATURES, 0);
	for (size_t i = 0; e && i < AX_ARRAY_LEN(never); i++)
		set_bit(&e->eax, never[i], false);
	for (size_t i = 0; e && !r->x2apic && i < AX_ARRAY_LEN(with_lapic); i++)
		set_bit(&e->eax, with_lapic[i], false);
	remove_range(t, TIMING, TIMING);
	e = find(t, FIRST, 0);
	if (!e || !r->tsc_khz)
		return;
	/* The timing leaf other hypervisors established: TSC and APIC bus in kHz. */
	if (e->eax < TIMING)
		e->eax = TIMING;
	add(t, &(struct x86_cpuid_entry){.leaf = TIMING, .eax = r->tsc_khz, .ebx = 1000000});
}

/*
 * Leaf 0x15 says TSC = crystal * EBX / EAX. Linux takes the crystal for the APIC timer's clock too,
 * which is 1 GHz in KVM, so that is the crystal; and it multiplies kHz by EBX in 32 bits, so a
 * ratio that does not reduce to small numbers is not told. Leaf 0x16 would be the host's.
 */
static void edit_frequency(struct table *t, const struct x86_cpuid_request *r, bool is_intel)
{
	enum { CRYSTAL_KHZ = 1000000 };
	const struct x86_cpuid_entry *leaf0 = find(t, 0, 0);
	const bool told = is_intel && leaf0 && leaf0->eax >= 0x15 && r->tsc_khz;
	uint32_t a = r->tsc_khz, b = CRYSTAL_KHZ;

	remove_range(t, 0x15, 0x16);
	while (told && b) {
		const uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	if (!told || r->tsc_khz / a > UINT32_MAX / CRYSTAL_KHZ)
		return;
	add(t, &(struct x86_cpuid_entry){.leaf = 0x15,
					 .eax = CRYSTAL_KHZ / a,
					 .ebx = r->tsc_khz / a,
					 .ecx = CRYSTAL_KHZ * 1000u});
}

static void hide_hybrid(struct table *t)
{
	enum { EDX_HYBRID = 15 };
	struct x86_cpuid_entry *e = find(t, 7, 0);

	if (e)
		set_bit(&e->edx, EDX_HYBRID, false);
	remove_range(t, 0x1a, 0x1a);
}

size_t x86_cpuid_edit(struct x86_cpuid_entry *entries, size_t count, size_t max,
		      const struct x86_cpuid_request *r)
{
	struct table t = {.entries = entries, .count = count, .max = max};
	const struct x86_cpuid_entry *leaf0 = find(&t, 0, 0);
	const bool is_intel = is_vendor(leaf0, "GenuineIntel");
	const bool is_amd = is_vendor(leaf0, "AuthenticAMD") || is_vendor(leaf0, "HygonGenuine");
	const bool had_0x1f = find(&t, 0x1f, 0) && leaf0 && leaf0->eax >= 0x1f;
	uint32_t max_apic_id = r->max_apic_id ? r->max_apic_id : r->vcpu_count - 1;
	struct x86_topology topo;

	if (max_apic_id < r->apic_id)
		max_apic_id = r->apic_id;
	x86_topology_of(r->policy, r->vcpu_count, max_apic_id, &topo);

	edit_features(&t, r, &topo);
	remove_range(&t, 5, 5); /* MONITOR's leaf */
	edit_caches(&t, 4, &topo);
	hide_hybrid(&t);
	/* x2APIC mode asks for leaf 0xB (SDM volume 3, 10.12.1), also on CPUs that lack it. */
	if (r->x2apic || find(&t, 0xb, 0)) {
		raise_max_leaf(&t, 0xb);
		write_levels(&t, 0xb, r->apic_id, &topo);
	}
	remove_range(&t, 0x1f, 0x1f);
	if (had_0x1f)
		write_levels(&t, 0x1f, r->apic_id, &topo);
	if (is_amd)
		edit_amd(&t, r->apic_id, &topo);
	edit_frequency(&t, r, is_intel);
	edit_hypervisor(&t, r);
	return t.count;
}
