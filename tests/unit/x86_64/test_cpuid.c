/*
 * CPUID as a guest would read it, from what KVM reports on an Ivy Bridge-EP and on an EPYC: ids,
 * topology, caches and the bits we decide, for counts from one vCPU to three hundred.
 */
#include "helpers.h"

#include <string.h>

enum { MAX = 128 };

struct list {
	struct x86_cpuid_entry entries[MAX];
	size_t count;
};

/* { leaf, subleaf, has_subleaf, eax, ebx, ecx, edx } */
static const struct x86_cpuid_entry ivy_bridge[] = {
	{0x0, 0, false, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69},
	{0x1, 0, false, 0x306e4, 0x0a200800, 0x77bee3ff & ~(1u << 24), 0x0fabfbff},
	{0x4, 0, true, 0x3c004121, 0x1c0003f, 0x3f, 0},
	{0x4, 1, true, 0x3c004122, 0x1c0003f, 0x3f, 0},
	{0x4, 2, true, 0x3c004143, 0x1c0003f, 0x1ff, 0},
	{0x4, 3, true, 0x3c07c163, 0x4c0003f, 0x4fff, 6},
	{0x4, 4, true, 0, 0, 0, 0},
	{0x5, 0, false, 0x40, 0x40, 3, 0x1120},
	{0x6, 0, false, 4, 0, 0, 0},
	{0x7, 0, true, 0, 0x281, 0, 0xbc000400},
	{0xa, 0, false, 0x07300403, 0, 0, 0x603},
	{0xb, 0, true, 1, 2, 0x100, 0x0a},
	{0xb, 1, true, 5, 20, 0x201, 0x0a},
	{0xd, 0, true, 7, 0x240, 0x340, 0},
	{0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d},
	{0x40000001, 0, false, 0x01037eff, 0, 0, 0},
	{0x80000000, 0, false, 0x80000008, 0, 0, 0},
	{0x80000001, 0, false, 0, 0, 1, 0x2c100800},
	{0x80000008, 0, false, 0x302e, 0, 0, 0},
};

static const struct x86_cpuid_entry epyc[] = {
	{0x0, 0, false, 0x10, 0x68747541, 0x444d4163, 0x69746e65},
	{0x1, 0, false, 0x830f10, 0x07400800, 0xfed8320b, 0x178bfbff},
	{0x7, 0, true, 0, 0x219c91a9, 0x400004, 0},
	{0xb, 0, true, 1, 2, 0x100, 7},
	{0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d},
	{0x40000001, 0, false, 0x0100fefb, 0, 0, 0},
	{0x80000000, 0, false, 0x80000026, 0x68747541, 0x444d4163, 0x69746e65},
	{0x80000001, 0, false, 0x830f10, 0, 0x004001f7, 0x2fd3fbff},
	{0x80000008, 0, false, 0x3030, 0x10d2000, 0x700f, 0},
	{0x8000001d, 0, true, 0x4121, 0x1c0003f, 0x3f, 0},
	{0x8000001d, 1, true, 0x4122, 0x1c0003f, 0x3f, 0},
	{0x8000001d, 2, true, 0x4143, 0x1c0003f, 0x3ff, 2},
	{0x8000001d, 3, true, 0x1c163, 0x3c0003f, 0x3fff, 1},
	{0x8000001d, 4, true, 0, 0, 0, 0},
	{0x8000001e, 0, false, 7, 0x103, 0x300, 0},
	{0x80000026, 0, true, 1, 2, 0x100, 7},
	{0x80000026, 1, true, 4, 16, 0x201, 7},
};

static struct list edit(const struct x86_cpuid_entry *from, size_t count,
			const struct x86_cpuid_request *request)
{
	struct list list = {.count = count};
	memcpy(list.entries, from, count * sizeof(*from));
	list.count = x86_cpuid_edit(list.entries, count, MAX, request);
	assert_true(list.count <= MAX);
	return list;
}

/* As KVM answers: exactly one entry, or zeroes. */
static struct x86_cpuid_entry read_leaf(const struct list *list, uint32_t leaf, uint32_t subleaf)
{
	struct x86_cpuid_entry found = {0};
	int hits = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct x86_cpuid_entry *e = &list->entries[i];
		if (e->leaf == leaf && (!e->has_subleaf || e->subleaf == subleaf)) {
			found = *e;
			hits++;
		}
	}
	assert_true(hits <= 1);
	return found;
}

static void check_common(const struct list *list, uint32_t apic_id, uint32_t threads,
			 uint32_t per_package, unsigned thread_bits, unsigned package_bits)
{
	const struct x86_cpuid_entry one = read_leaf(list, 1, 0);
	assert_int_equal(one.ebx >> 24, apic_id & 0xff);
	assert_int_equal(one.ebx >> 16 & 0xff, per_package < 255 ? per_package : 255);
	assert_int_equal(one.ebx & 0xffff, 0x0800);
	assert_int_equal(one.edx >> 28 & 1, per_package > 1);
	assert_true(one.ecx & 1u << 31);  /* hypervisor */
	assert_true(one.ecx & 1u << 21);  /* x2APIC */
	assert_true(one.ecx & 1u << 24);  /* TSC deadline */
	assert_false(one.ecx & 1u << 3);  /* MONITOR */
	assert_false(one.ecx & 1u << 27); /* OSXSAVE is the guest's to set */
	assert_false(one.ecx & 1u << 5);  /* VMX */

	const struct x86_cpuid_entry smt = read_leaf(list, 0xb, 0), core = read_leaf(list, 0xb, 1);
	assert_int_equal(smt.eax, thread_bits);
	assert_int_equal(smt.ebx, threads);
	assert_int_equal(smt.ecx, 0x100);
	assert_int_equal(smt.edx, apic_id);
	assert_int_equal(core.eax, package_bits);
	assert_int_equal(core.ecx, 0x201);
	assert_int_equal(core.edx, apic_id);
	assert_int_equal(read_leaf(list, 0xb, 2).ecx, 2);
	assert_int_equal(read_leaf(list, 0xb, 2).ebx, 0);
	assert_true(read_leaf(list, 0, 0).eax >= 0xb);
}

struct shape {
	uint32_t count, sockets, cores, threads;
	uint32_t t, per_package; /* expected */
	unsigned thread_bits, package_bits;
};
static const struct shape shapes[] = {
	{1, 0, 0, 0, 1, 1, 0, 0},     {2, 0, 0, 0, 1, 2, 0, 1},     {4, 0, 0, 0, 1, 4, 0, 2},
	{20, 0, 0, 0, 1, 20, 0, 5},   {20, 2, 5, 2, 2, 10, 1, 4},   {40, 2, 10, 2, 2, 20, 1, 5},
	{255, 0, 0, 0, 1, 255, 0, 8}, {300, 0, 0, 0, 1, 300, 0, 9}, {300, 2, 75, 2, 2, 150, 1, 8},
};

static struct x86_cpuid_request request_of(struct axarch_cpu_policy *policy, const struct shape *s)
{
	*policy = (struct axarch_cpu_policy){
		.sockets = s->sockets, .cores = s->cores, .threads = s->threads};
	return (struct x86_cpuid_request){
		.vcpu_count = s->count,
		.policy = policy,
		.tsc_deadline = true,
		.x2apic = true,
		.tsc_khz = 2800000,
	};
}

static const struct shape *each(size_t i, struct axarch_cpu_policy *policy,
				struct x86_cpuid_request *request, uint32_t ids[X86_MAX_VCPUS])
{
	*request = request_of(policy, &shapes[i]);
	const struct axarch_vm_config config = {.vcpu_count = shapes[i].count, .cpu = *policy};
	assert_int_equal(x86_apic_ids(&config, ids, NULL), 0);
	for (uint32_t n = 0; n < shapes[i].count; n++)
		if (ids[n] > request->max_apic_id)
			request->max_apic_id = ids[n];
	return &shapes[i];
}

static void intel(void **state)
{
	static uint32_t ids[X86_MAX_VCPUS];
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(shapes); i++) {
		struct axarch_cpu_policy policy;
		struct x86_cpuid_request request;
		const struct shape *s = each(i, &policy, &request, ids);
		for (uint32_t n = 0; n < s->count; n++) {
			request.apic_id = ids[n];
			const struct list l = edit(ivy_bridge, AX_ARRAY_LEN(ivy_bridge), &request);
			check_common(&l, ids[n], s->t, s->per_package, s->thread_bits,
				     s->package_bits);
			/* The old way to the same shape: leaf 4. */
			const struct x86_cpuid_entry l1 = read_leaf(&l, 4, 0);
			const uint32_t core_ids = 1u << (s->package_bits - s->thread_bits);
			assert_int_equal(l1.eax >> 26, core_ids > 64 ? 63 : core_ids - 1);
			assert_int_equal(l1.eax >> 14 & 0xfff, (1u << s->thread_bits) - 1);
			assert_int_equal(l1.eax & 0x3fff, 0x0121);
			const struct x86_cpuid_entry l2 = read_leaf(&l, 4, 2);
			assert_int_equal(l2.eax >> 14 & 0xfff, (1u << s->thread_bits) - 1);
			const struct x86_cpuid_entry l3 = read_leaf(&l, 4, 3);
			assert_int_equal(l3.eax >> 14 & 0xfff, (1u << s->package_bits) - 1);
			assert_int_equal(read_leaf(&l, 4, 4).eax, 0);
		}
	}
}

static void amd(void **state)
{
	static uint32_t ids[X86_MAX_VCPUS];
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(shapes); i++) {
		struct axarch_cpu_policy policy;
		struct x86_cpuid_request request;
		const struct shape *s = each(i, &policy, &request, ids);
		for (uint32_t n = 0; n < s->count; n++) {
			request.apic_id = ids[n];
			const struct list l = edit(epyc, AX_ARRAY_LEN(epyc), &request);
			check_common(&l, ids[n], s->t, s->per_package, s->thread_bits,
				     s->package_bits);
			const struct x86_cpuid_entry size = read_leaf(&l, 0x80000008, 0);
			assert_int_equal(size.ecx & 0xff,
					 (s->per_package < 256 ? s->per_package : 256) - 1);
			assert_int_equal(size.ecx >> 12 & 0xf, s->package_bits);
			const struct x86_cpuid_entry ext = read_leaf(&l, 0x8000001e, 0);
			assert_int_equal(ext.eax, ids[n]);
			assert_int_equal(ext.ebx >> 8 & 0xff, s->t - 1);
			assert_int_equal(ext.ebx & 0xff, (ids[n] & ((1u << s->package_bits) - 1)) >>
									 s->thread_bits &
								 0xff);
			assert_int_equal(ext.ecx, ids[n] >> s->package_bits);
			assert_int_equal(read_leaf(&l, 0x8000001d, 0).eax >> 14,
					 (1u << s->thread_bits) - 1);
			assert_int_equal(read_leaf(&l, 0x8000001d, 2).eax >> 14,
					 (1u << s->thread_bits) - 1);
			assert_int_equal(read_leaf(&l, 0x8000001d, 3).eax >> 14,
					 (1u << s->package_bits) - 1);
			const struct x86_cpuid_entry features = read_leaf(&l, 0x80000001, 0);
			assert_int_equal(features.ecx >> 1 & 1, s->per_package > 1);
			assert_false(features.ecx & 1u << 2); /* SVM */
			assert_int_equal(read_leaf(&l, 0x80000026, 0).ebx, 0);
		}
	}
}

/* All vCPUs are of one kind, whichever of the host's they run on. */
static void hybrid(void **state)
{
	struct x86_cpuid_entry host[AX_ARRAY_LEN(ivy_bridge) + 1];
	const struct x86_cpuid_request request = {.vcpu_count = 1};
	(void)state;

	memcpy(host, ivy_bridge, sizeof(ivy_bridge));
	host[AX_ARRAY_LEN(ivy_bridge)] =
		(struct x86_cpuid_entry){.leaf = 0x1a, .has_subleaf = true, .eax = 0x40000001};
	for (size_t i = 0; i < AX_ARRAY_LEN(host); i++)
		if (host[i].leaf == 7)
			host[i].edx |= 1u << 15;
	const struct list l = edit(host, AX_ARRAY_LEN(host), &request);
	assert_int_equal(read_leaf(&l, 7, 0).edx, 0xbc000400);
	assert_int_equal(read_leaf(&l, 0x1a, 0).eax, 0);
}

/* Given ids with gaps are one socket unless the policy says otherwise. */
static void sparse_ids(void **state)
{
	static const uint32_t ids[] = {0, 4, 8, 200};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(ids); i++) {
		const struct x86_cpuid_request request = {
			.apic_id = ids[i],
			.max_apic_id = 200,
			.vcpu_count = 4,
			.x2apic = true,
		};
		const struct list l = edit(ivy_bridge, AX_ARRAY_LEN(ivy_bridge), &request);
		assert_int_equal(read_leaf(&l, 1, 0).ebx >> 24, ids[i]);
		assert_int_equal(read_leaf(&l, 0xb, 1).edx, ids[i]);
		assert_int_equal(ids[i] >> read_leaf(&l, 0xb, 1).eax, 0);
	}
}

static void switches(void **state)
{
	struct axarch_cpu_policy policy = {.mask_paravirt = true};
	struct x86_cpuid_request request = {.vcpu_count = 1, .policy = &policy, .tsc_khz = 2800000};
	struct list l = edit(ivy_bridge, AX_ARRAY_LEN(ivy_bridge), &request);
	(void)state;

	for (size_t i = 0; i < l.count; i++)
		assert_int_not_equal(l.entries[i].leaf >> 28, 4);
	assert_false(read_leaf(&l, 1, 0).ecx & 1u << 24);
	assert_false(read_leaf(&l, 1, 0).ecx & 1u << 21);

	/* Paravirtual features that need KVM's LAPIC go with it; kvmclock stays. */
	policy.mask_paravirt = false;
	l = edit(epyc, AX_ARRAY_LEN(epyc), &request);
	assert_int_equal(read_leaf(&l, 0x40000001, 0).eax & 0x9, 0x9);
	assert_int_equal(read_leaf(&l, 0x40000001, 0).eax & (1u << 6 | 1u << 7 | 1u << 11), 0);
	request.x2apic = true;
	l = edit(epyc, AX_ARRAY_LEN(epyc), &request);
	assert_int_equal(read_leaf(&l, 0x40000001, 0).eax, 0x0100fefb & ~(1u << 15));
	/* Extended destination ids are there when we make them work, whatever KVM says. */
	request.msi_ext_dest = true;
	l = edit(epyc, AX_ARRAY_LEN(epyc), &request);
	assert_int_equal(read_leaf(&l, 0x40000001, 0).eax, 0x0100fefb);
	l = edit(ivy_bridge, AX_ARRAY_LEN(ivy_bridge), &request);
	assert_true(read_leaf(&l, 0x40000001, 0).eax & 1u << 15);
	request.msi_ext_dest = false;
	l = edit(epyc, AX_ARRAY_LEN(epyc), &request);
	assert_int_equal(read_leaf(&l, 0x40000000, 0).eax, 0x40000010);
	assert_int_equal(read_leaf(&l, 0x40000000, 0).ebx, 0x4b4d564b);
	assert_int_equal(read_leaf(&l, 0x40000010, 0).eax, 2800000);
	assert_int_equal(read_leaf(&l, 0x40000010, 0).ebx, 1000000);
	/* Unknown frequency: nothing is told. */
	request.tsc_khz = 0;
	l = edit(epyc, AX_ARRAY_LEN(epyc), &request);
	assert_int_equal(read_leaf(&l, 0x40000000, 0).eax, 0x40000001);
	assert_int_equal(read_leaf(&l, 0x40000010, 0).eax, 0);
}

static void frequency_leaf(void **state)
{
	static const struct {
		uint32_t khz, max_leaf, eax, ebx;
	} rows[] = {
		{2800000, 0x16, 5, 14}, {3000000, 0x20, 1, 3}, {2793000, 0x16, 1000, 2793},
		{2793437, 0x16, 0, 0}, /* does not reduce */
		{2800000, 0xd, 0, 0},  /* a CPU without the leaf */
		{0, 0x16, 0, 0},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct x86_cpuid_request request = {
			.vcpu_count = 1, .x2apic = true, .tsc_khz = rows[i].khz};
		struct x86_cpuid_entry host[AX_ARRAY_LEN(ivy_bridge)];
		memcpy(host, ivy_bridge, sizeof(host));
		host[0].eax = rows[i].max_leaf;
		const struct list l = edit(host, AX_ARRAY_LEN(host), &request);
		const struct x86_cpuid_entry e = read_leaf(&l, 0x15, 0);
		assert_int_equal(e.eax, rows[i].eax);
		assert_int_equal(e.ebx, rows[i].ebx);
		/* Linux's arithmetic: crystal kHz * EBX / EAX in 32 bits. */
		if (e.eax)
			assert_int_equal(e.ecx / 1000 * e.ebx / e.eax, rows[i].khz);
	}
}

/* No room for more entries: what fits stays, nothing is written past the end. */
static void full_table(void **state)
{
	struct x86_cpuid_entry exact[AX_ARRAY_LEN(epyc)];
	const struct x86_cpuid_request request = {
		.vcpu_count = 4, .apic_id = 3, .x2apic = true, .tsc_khz = 2000000};
	(void)state;

	memcpy(exact, epyc, sizeof(exact));
	const size_t count =
		x86_cpuid_edit(exact, AX_ARRAY_LEN(exact), AX_ARRAY_LEN(exact), &request);
	assert_true(count <= AX_ARRAY_LEN(exact));
	assert_int_equal(x86_cpuid_edit(exact, 0, 0, &request), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intel),      cmocka_unit_test(amd),
		cmocka_unit_test(sparse_ids), cmocka_unit_test(hybrid),
		cmocka_unit_test(switches),   cmocka_unit_test(frequency_leaf),
		cmocka_unit_test(full_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
