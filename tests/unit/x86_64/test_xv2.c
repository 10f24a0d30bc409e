/*
 * What a guest of xv2 on two E5-2680 v2 is told, bit by bit, beside what Intel documents of that
 * processor (SDM volume 2, CPUID; "Ivy Bridge-EP" in Linux's tables). From what KVM of Linux 6.1
 * reports there: nothing is told that the processor lacks but for the hypervisor's own, and nothing
 * is left out but for what is listed here with its reason.
 */
#include "e5_2680v2.h"
#include "helpers.h"

#include <axvm/host.h>
#include <axvm/profile.h>

#include <stdlib.h>
#include <string.h>

enum { VCPUS = 16, MAX = 64 };

struct list {
	struct x86_cpuid_entry entries[MAX];
	size_t count;
};

static struct x86_cpuid_entry *find(struct list *list, uint32_t leaf, uint32_t subleaf)
{
	for (size_t i = 0; i < list->count; i++) {
		struct x86_cpuid_entry *e = &list->entries[i];

		if (e->leaf == leaf && (!e->has_subleaf || e->subleaf == subleaf))
			return e;
	}
	return NULL;
}

static struct x86_cpuid_entry *must(struct list *list, uint32_t leaf, uint32_t subleaf)
{
	struct x86_cpuid_entry *e = find(list, leaf, subleaf);

	if (e)
		return e;
	fail_msg("leaf 0x%x, %u is missing", leaf, subleaf);
	abort(); /* fail_msg does not return, but does not say so */
}

static uint32_t *reg_of(struct x86_cpuid_entry *e, enum reg reg)
{
	uint32_t *const regs[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};

	return regs[reg];
}

static struct list as_kvm_reports(void)
{
	struct list list = {.count = AX_ARRAY_LEN(others)};

	memcpy(list.entries, others, sizeof(others));
	for (size_t r = 0; r < AX_ARRAY_LEN(registers); r++) {
		struct x86_cpuid_entry *e = find(&list, registers[r].leaf, registers[r].subleaf);

		assert_non_null(e);
		for (size_t i = 0; i < registers[r].count; i++)
			if (registers[r].features[i].who & KVM)
				*reg_of(e, registers[r].reg) |= 1u << registers[r].features[i].bit;
	}
	return list;
}

/* Of every bit: told exactly when the list above says so. */
static void check_features(struct list *guest, bool waits)
{
	static const char names[] = "abcd";

	for (size_t r = 0; r < AX_ARRAY_LEN(registers); r++) {
		struct x86_cpuid_entry *e = find(guest, registers[r].leaf, registers[r].subleaf);

		assert_non_null(e);
		const uint32_t told = *reg_of(e, registers[r].reg);
		uint32_t known = 0;
		for (size_t i = 0; i < registers[r].count; i++) {
			const struct feature *f = &registers[r].features[i];
			const bool wanted = f->who & WAIT ? waits : !f->left_out;

			/* What the guest has is from somewhere, and so is what it has not. */
			assert_true(!wanted || f->who & (KVM | US | WAIT));
			known |= 1u << f->bit;
			if (!!(told & 1u << f->bit) != wanted)
				fail_msg("%s is %s (%s)", f->name, wanted ? "not told" : "told",
					 wanted ? "documented" : f->left_out);
		}
		if (told & ~known)
			fail_msg("leaf 0x%x: e%cx tells 0x%x, which the processor has not",
				 registers[r].leaf, names[registers[r].reg], told & ~known);
	}
}

/* Numbers are the processor's, but for ids and who shares. */
static void check_others(struct list *guest, bool waits)
{
	for (size_t i = 0; i < guest->count; i++) {
		const struct x86_cpuid_entry *e = &guest->entries[i];
		bool documented = e->leaf >> 28 == 4 || (e->leaf == 5 && waits);

		for (size_t k = 0; k < AX_ARRAY_LEN(others); k++)
			documented |= others[k].leaf == e->leaf;
		if (!documented)
			fail_msg("leaf 0x%x is told, which the processor has not", e->leaf);
	}
	for (size_t k = 0; k < AX_ARRAY_LEN(others); k++) {
		const struct x86_cpuid_entry *want = &others[k];
		const struct x86_cpuid_entry *e = must(guest, want->leaf, want->subleaf);

		switch (want->leaf) {
		case 0x4: /* sizes */
			assert_int_equal(e->eax & 0x3fff, want->eax & 0x3fff);
			assert_int_equal(e->ebx, want->ebx);
			assert_int_equal(e->ecx, want->ecx);
			assert_int_equal(e->edx, want->edx);
			break;
		case 0x0:
		case 0x2:
		case 0xa:
		case 0x80000000:
		case 0x80000002:
		case 0x80000003:
		case 0x80000004:
		case 0x80000006:
			assert_memory_equal(e, want, sizeof(*e));
			break;
		case 0x1: /* signature, and the line that CLFLUSH takes */
			assert_int_equal(e->eax, 0x306e4);
			assert_int_equal(e->ebx & 0xff00, 0x0800);
			break;
		case 0xd:
			if (want->subleaf != 1)
				assert_memory_equal(e, want, sizeof(*e));
			break;
		case 0x80000008:
			assert_int_equal(e->eax, 0x302e);
			break;
		default:
			break;
		}
	}
	if (waits)
		assert_memory_equal(must(guest, 5, 0), &leaf_5, sizeof(leaf_5));
	else
		assert_null(find(guest, 5, 0));
}

/* The hypervisor's leaves: what Linux 6.1 makes of them is in docs/profiles.md. */
static void check_paravirt(struct list *guest, bool dedicated)
{
	enum { STEAL_TIME = 5, PV_EOI, PV_UNHALT, TLB_FLUSH = 9, SEND_IPI = 11, SCHED_YIELD = 13 };
	const uint32_t for_preempted = 1u << STEAL_TIME | 1u << TLB_FLUSH | 1u << SCHED_YIELD;
	const struct x86_cpuid_entry *e = must(guest, 0x40000001, 0);

	assert_int_equal(e->eax & for_preempted, dedicated ? 0 : for_preempted);
	assert_true(e->eax & 1u << PV_EOI);
	assert_true(e->eax & 1u << SEND_IPI);
	/* Without it Linux before 6.17 does not look for the hint (kvm_spinlock_init). */
	assert_true(e->eax & 1u << PV_UNHALT);
	assert_int_equal(e->edx & 1, dedicated);
}

static void compare(bool dedicated)
{
	/* Eight cores of each of two sockets, as `axvm plan --cpus 16 --cores own` has it. */
	static const uint64_t bytes[] = {AX_GIB, AX_GIB};
	static const uint32_t nodes[VCPUS] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
	const struct axarch_topology topology = {
		.node_count = 2, .node_bytes = bytes, .vcpu_nodes = nodes, .vcpu_llcs = nodes};
	struct axarch_vm_config config = {
		.vcpu_count = VCPUS, .memory_bytes = 2 * AX_GIB, .topology = &topology};
	const struct axprof *profile = NULL;
	struct axarch_cpu_policy policy;
	struct axhost_facts facts;
	struct ax_error err = {0};
	uint32_t ids[VCPUS];

	if (axhost_load(SHARE "/e5-2680v2-2s.json", &facts, &err) < 0 ||
	    axprof_select("xv2", &facts, &profile, &err) < 0)
		fail_msg("%s", err.message);
	axprof_cpu_policy(profile, &facts, VCPUS, dedicated,
			  dedicated ? AXPROF_IDLE_GUEST : AXPROF_IDLE_AUTO, &config.cpu);
	axhost_free(&facts);
	if (x86_apic_ids(&config, ids, &err) < 0)
		fail_msg("%s", err.message);
	x86_policy_of(&config, &policy);
	for (uint32_t i = 0; i < VCPUS; i++) {
		const struct x86_cpuid_request request = {
			.apic_id = ids[i],
			.max_apic_id = ids[VCPUS - 1],
			.vcpu_count = VCPUS,
			.policy = &policy,
			.tsc_deadline = true,
			.x2apic = true,
			.tsc_khz = 2793000,
			.own_waits = x86_own_waits(policy.own_waits, UINT32_MAX, &leaf_5, true),
			.host_mwait = &leaf_5,
		};
		struct list guest = as_kvm_reports();

		guest.count = x86_cpuid_edit(guest.entries, guest.count, MAX, &request);
		check_features(&guest, dedicated);
		check_others(&guest, dedicated);
		check_paravirt(&guest, dedicated);
		assert_int_equal(must(&guest, 0xb, 0)->edx, ids[i]);
		/* Each socket has one L3 of eight cores; they have ids 0 to 7 and 8 to 15. */
		assert_int_equal(ids[i], i);
		assert_int_equal(must(&guest, 0x4, 3)->eax >> 14 & 0xfff, 7);
		assert_int_equal(must(&guest, 0xb, 1)->eax, 3);
	}
}

static void on_cores_of_its_own(void **state)
{
	(void)state;
	compare(true);
}

static void on_shared_cores(void **state)
{
	(void)state;
	compare(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_cores_of_its_own),
		cmocka_unit_test(on_shared_cores),
	};

	return cmocka_run_group_tests_name("x86_64-xv2", tests, NULL, NULL);
}
