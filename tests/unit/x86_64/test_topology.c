/*
 * Packages, cores and threads that a topology gives, as a guest finds them: CPUID taken apart as
 * Linux does it, from what KVM reports on an Intel with leaf 0x1f and on an EPYC.
 */
#include "helpers.h"

#include <string.h>

/* What KVM reports where it matters here. */
static const struct x86_cpuid_entry intel[] = {
	{0x0, 0, false, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69},
	{0x1, 0, false, 0x306e4, 0x0a200800, 0x77bee3ff, 0x0fabfbff},
	{0x4, 0, true, 0x3c004121, 0x1c0003f, 0x3f, 0},
	{0x4, 1, true, 0x3c004143, 0x1c0003f, 0x1ff, 0},
	{0x4, 2, true, 0x3c07c163, 0x4c0003f, 0x4fff, 6},
	{0x4, 3, true, 0, 0, 0, 0},
	{0xb, 0, true, 1, 2, 0x100, 0x0a},
	{0xb, 1, true, 5, 20, 0x201, 0x0a},
	{0x1f, 0, true, 1, 2, 0x100, 0x0a},
	{0x1f, 1, true, 5, 20, 0x201, 0x0a},
	{0x1f, 2, true, 6, 40, 0x502, 0x0a}, /* dies of the host */
};
static const struct x86_cpuid_entry amd[] = {
	{0x0, 0, false, 0x10, 0x68747541, 0x444d4163, 0x69746e65},
	{0x1, 0, false, 0x830f10, 0x07400800, 0xfed8320b, 0x178bfbff},
	{0xb, 0, true, 1, 2, 0x100, 7},
	{0x80000000, 0, false, 0x8000001e, 0x68747541, 0x444d4163, 0x69746e65},
	{0x80000001, 0, false, 0x830f10, 0, 0x004001f7, 0x2fd3fbff},
	{0x80000008, 0, false, 0x3030, 0x10d2000, 0x700f, 0},
	{0x8000001d, 0, true, 0x4121, 0x1c0003f, 0x3f, 0},
	{0x8000001d, 1, true, 0x1c163, 0x3c0003f, 0x3fff, 1},
	{0x8000001e, 0, false, 7, 0x103, 0x300, 0},
};

struct leaves {
	struct x86_cpuid_entry entries[32];
	size_t count;
};

static struct x86_cpuid_entry leaf(const struct leaves *list, uint32_t number, uint32_t subleaf)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct x86_cpuid_entry *e = &list->entries[i];
		if (e->leaf == number && (!e->has_subleaf || e->subleaf == subleaf))
			return *e;
	}
	return (struct x86_cpuid_entry){0};
}

static unsigned count_order(uint32_t n) /* Linux' get_count_order */
{
	unsigned order = 0;
	while (1ULL << order < n)
		order++;
	return order;
}

struct decoded {
	uint32_t package, core, thread, threads, llc;
};

/* arch/x86/kernel/cpu/topology.c, detect_extended_topology: shifts of the levels until one has type
 * 0; the id is the EDX of any. */
static struct decoded by_levels(const struct leaves *list, uint32_t number)
{
	const struct x86_cpuid_entry smt = leaf(list, number, 0);
	unsigned package_shift = smt.eax & 0x1f;
	const unsigned core_shift = package_shift;

	assert_int_equal(smt.ecx >> 8 & 0xff, 1); /* SMT */
	for (uint32_t i = 1; leaf(list, number, i).ecx >> 8 & 0xff; i++) {
		assert_int_equal(leaf(list, number, i).ecx >> 8 & 0xff, 2); /* no dies or modules */
		assert_int_equal(leaf(list, number, i).edx, smt.edx);
		package_shift = leaf(list, number, i).eax & 0x1f;
	}
	return (struct decoded){
		.package = smt.edx >> package_shift,
		.core = (smt.edx & ((1u << package_shift) - 1)) >> core_shift,
		.thread = smt.edx & ((1u << core_shift) - 1),
		.threads = smt.ebx & 0xffff,
	};
}

/* arch/x86/kernel/cpu/cacheinfo.c: CPUs that share have the same id above the sharing's order. */
static uint32_t cache_id(uint32_t apic_id, uint32_t eax)
{
	return apic_id >> count_order((eax >> 14 & 0xfff) + 1);
}

/* What identifies the last level cache of a CPU. */
static uint32_t llc_of(const struct leaves *list, bool is_amd, uint32_t apic_id)
{
	return cache_id(apic_id, is_amd ? leaf(list, 0x8000001d, 1).eax : leaf(list, 4, 2).eax);
}

/* Who shares a core, and who a cache: those whose places say so, and nobody else. */
static void check_sharing(const struct leaves *lists, bool is_amd, const uint32_t *ids,
			  const struct axarch_cpu_place *places, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < i; k++) {
			const struct axarch_cpu_place *a = &places[i], *b = &places[k];
			const struct decoded x = by_levels(&lists[i], 0xb);
			const struct decoded y = by_levels(&lists[k], 0xb);
			const bool here = a->package == b->package;

			assert_int_equal(x.package == y.package, here);
			assert_int_equal(here && x.core == y.core, here && a->core == b->core);
			assert_int_equal(llc_of(&lists[i], is_amd, ids[i]) ==
						 llc_of(&lists[k], is_amd, ids[k]),
					 here && a->llc == b->llc);
		}
}

static void check_vcpu(const struct leaves *list, bool is_amd, uint32_t apic_id,
		       const struct axarch_cpu_place *place, uint32_t threads)
{
	const struct x86_cpuid_entry one = leaf(list, 1, 0);
	const struct decoded d = by_levels(list, 0xb);

	assert_int_equal(leaf(list, 0xb, 0).edx, apic_id);
	assert_int_equal(one.ebx >> 24, apic_id & 0xff);
	assert_int_equal(d.package, place->package);
	assert_int_equal(d.thread, place->thread);
	assert_int_equal(d.threads, threads);
	/* The old way (detect_ht): the package is above the order of leaf 1's count. */
	assert_int_equal(apic_id >> count_order(one.ebx >> 16 & 0xff), place->package);
	if (!is_amd) {
		const struct decoded again = by_levels(list, 0x1f);
		assert_memory_equal(&again, &d, sizeof(d));
		assert_int_equal(cache_id(apic_id, leaf(list, 4, 0).eax), apic_id / threads);
		/* Cores: ids a package over ids a core. */
		assert_true((leaf(list, 4, 0).eax >> 26) + 1 > d.core);
		return;
	}
	/* arch/x86/kernel/cpu/amd.c: ApicIdSize of 0x80000008, threads and ids of 0x8000001e. */
	assert_int_equal(apic_id >> (leaf(list, 0x80000008, 0).ecx >> 12 & 0xf), place->package);
	const struct x86_cpuid_entry ext = leaf(list, 0x8000001e, 0);
	assert_int_equal(ext.eax, apic_id);
	assert_int_equal((ext.ebx >> 8 & 0xff) + 1, threads);
	assert_int_equal(ext.ebx & 0xff, d.core);
	assert_int_equal(ext.ecx & 0xff, place->package); /* node */
	assert_int_equal(ext.ecx >> 8 & 7, 0);            /* one a package */
	assert_int_equal(cache_id(apic_id, leaf(list, 0x8000001d, 0).eax), apic_id / threads);
}

static void cpuid(void **state)
{
	static const uint64_t bytes[] = {AX_GIB, AX_GIB, AX_GIB};
	static const uint32_t in_turn[] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
	static const uint32_t uneven[] = {2, 2, 2, 2, 2, 0, 0, 0, 2, 2, 0, 2}; /* 8, none, 4 */
	static const uint32_t cores[] = {5, 5, 5, 6, 6, 6, 8, 8, 9, 9, 10, 10};
	/* Complexes of an EPYC: three cores of one, two of another; and of a package each. */
	static const uint32_t complexes[] = {4, 4, 4, 4, 4, 4, 9, 9, 9, 9, 2, 2};
	static const struct {
		struct axarch_topology topology;
		struct axarch_cpu_place places[12];
		uint32_t threads;
	} rows[] = {
		{{.node_count = 3, .node_bytes = bytes, .vcpu_nodes = in_turn},
		 {{0, 0, 0},
		  {1, 0, 0},
		  {2, 0, 0},
		  {0, 1, 0},
		  {1, 1, 0},
		  {2, 1, 0},
		  {0, 2, 0},
		  {1, 2, 0},
		  {2, 2, 0},
		  {0, 3, 0},
		  {1, 3, 0},
		  {2, 3, 0}},
		 1},
		{{.node_count = 3,
		  .node_bytes = bytes,
		  .vcpu_nodes = uneven,
		  .threads_per_core = 2},
		 {{1, 0, 0},
		  {1, 0, 1},
		  {1, 1, 0},
		  {1, 1, 1},
		  {1, 2, 0},
		  {0, 0, 0},
		  {0, 0, 1},
		  {0, 1, 0},
		  {1, 2, 1},
		  {1, 3, 0},
		  {0, 1, 1},
		  {1, 3, 1}},
		 2},
		/* No nodes; three threads of four on some cores. */
		{{.threads_per_core = 4, .vcpu_cores = cores},
		 {{0, 0, 0},
		  {0, 0, 1},
		  {0, 0, 2},
		  {0, 1, 0},
		  {0, 1, 1},
		  {0, 1, 2},
		  {0, 2, 0},
		  {0, 2, 1},
		  {0, 3, 0},
		  {0, 3, 1},
		  {0, 4, 0},
		  {0, 4, 1}},
		 4},
		{{.threads_per_core = 2, .vcpu_llcs = complexes},
		 {{0, 1, 0, 1},
		  {0, 1, 1, 1},
		  {0, 2, 0, 1},
		  {0, 2, 1, 1},
		  {0, 3, 0, 1},
		  {0, 3, 1, 1},
		  {0, 4, 0, 2},
		  {0, 4, 1, 2},
		  {0, 5, 0, 2},
		  {0, 5, 1, 2},
		  {0, 0, 0, 0},
		  {0, 0, 1, 0}},
		 2},
		{{.node_count = 3,
		  .node_bytes = bytes,
		  .vcpu_nodes = in_turn,
		  .vcpu_llcs = complexes},
		 {{0, 0, 0, 0},
		  {1, 1, 0, 1},
		  {2, 1, 0, 1},
		  {0, 1, 0, 0},
		  {1, 2, 0, 1},
		  {2, 2, 0, 1},
		  {0, 2, 0, 1},
		  {1, 3, 0, 2},
		  {2, 3, 0, 2},
		  {0, 3, 0, 1},
		  {1, 0, 0, 0},
		  {2, 0, 0, 0}},
		 1},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = {.vcpu_count = 12,
							.memory_bytes = 3 * AX_GIB,
							.topology = &rows[i].topology};
		struct axarch_cpu_policy policy;
		struct ax_error err = {0};
		struct leaves lists[12];
		uint32_t ids[12];

		if (x86_apic_ids(&config, ids, &err) < 0)
			fail_msg("row %zu: %s", i, err.message);
		x86_policy_of(&config, &policy);
		for (uint32_t n = 0; n < 24; n++) {
			const bool is_amd = n >= 12;
			const struct x86_cpuid_request request = {
				.apic_id = ids[n % 12],
				.vcpu_count = 12,
				.policy = &policy,
				.x2apic = true,
			};
			struct leaves *list = &lists[n % 12];

			list->count = is_amd ? AX_ARRAY_LEN(amd) : AX_ARRAY_LEN(intel);
			memcpy(list->entries, is_amd ? amd : intel,
			       is_amd ? sizeof(amd) : sizeof(intel));
			list->count = x86_cpuid_edit(list->entries, list->count,
						     AX_ARRAY_LEN(list->entries), &request);
			for (uint32_t other = 0; other < n % 12; other++)
				assert_int_not_equal(ids[other], ids[n % 12]);
			check_vcpu(list, is_amd, ids[n % 12], &rows[i].places[n % 12],
				   rows[i].threads);
			/* Where there is one cache, cores are numbered without gaps. */
			if (!rows[i].topology.vcpu_llcs)
				assert_int_equal(by_levels(list, 0xb).core,
						 rows[i].places[n % 12].core);
			if (n % 12 == 11)
				check_sharing(lists, is_amd, ids, rows[i].places, 12);
		}
	}
}

/* Ids of the configuration's own show no topology. */
static void given_ids(void **state)
{
	static const uint32_t ids[] = {0, 4, 8, 200};
	static const uint64_t bytes[] = {AX_GIB, AX_GIB};
	static const uint32_t halves[] = {0, 0, 1, 1}, left[] = {0, 0, 0, 0};
	static const struct {
		struct axarch_topology topology;
		const char *text;
	} rows[] = {
		{{.threads_per_core = 2}, "1 packages with 2 threads"},
		{{.node_count = 2, .node_bytes = bytes, .vcpu_nodes = halves}, "2 packages"},
		{{.node_count = 2, .node_bytes = bytes, .vcpu_nodes = left}, NULL},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = {.vcpu_count = 4,
							.memory_bytes = 2 * AX_GIB,
							.hardware_ids = ids,
							.topology = &rows[i].topology};
		struct axarch_plan plan;
		struct ax_error err = {0};
		uint32_t got[4];
		if (!rows[i].text) {
			assert_int_equal(x86_apic_ids(&config, got, &err), 0);
			assert_memory_equal(got, ids, sizeof(ids));
			continue;
		}
		assert_true(x86_plan(&config, &plan, &err) < 0);
		assert_error(&err, AX_ERROR_CONFIGURATION, rows[i].text);
		assert_error(&err, AX_ERROR_CONFIGURATION, "--cpu-ids");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpuid),
		cmocka_unit_test(given_ids),
	};
	return cmocka_run_group_tests_name("x86_64-topology", tests, NULL, NULL);
}
