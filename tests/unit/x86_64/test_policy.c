/*
 * What a policy takes out of CPUID and puts into it: which waits a guest has to itself, MWAIT,
 * features of KVM, its hint, what is emulated.
 */
#include "helpers.h"

#include <string.h>

static const struct x86_cpuid_entry amd[] = {
	{0x0, 0, false, 0x10, 0x68747541, 0x444d4163, 0x69746e65},
	{0x1, 0, false, 0x830f10, 0x07400800, 0xfed8320b, 0x178bfbff},
	{0x7, 0, true, 0, 0x219c91a9, 0x400004, 0},
	{0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d},
	{0x40000001, 0, false, 0x0100fefb, 0, 0, 0},
};
static const struct x86_cpuid_entry intel[] = {
	{0x0, 0, false, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69},
	{0x1, 0, false, 0x306e4, 0x0a200800, 0x76bee3ff, 0x0fabfbff},
	{0x5, 0, false, 0x40, 0x40, 3, 0x1120},
	{0x7, 0, true, 0, 0x281, 0, 0xbc000400},
	{0x80000008, 0, false, 0x302e, 0x0100d200, 0, 0},
};
static const struct x86_cpuid_entry host_mwait = {0x5, 0, false, 0x40, 0x40, 3, 0x1120};

enum { COUNT = 5 };
_Static_assert(AX_ARRAY_LEN(amd) == COUNT && AX_ARRAY_LEN(intel) == COUNT, "both are edited");

struct leaves {
	struct x86_cpuid_entry entries[2 * COUNT];
	size_t count;
};

static struct leaves edit(const struct x86_cpuid_entry from[COUNT],
			  const struct x86_cpuid_request *request)
{
	struct leaves list = {.count = COUNT};

	memcpy(list.entries, from, COUNT * sizeof(*from));
	list.count = x86_cpuid_edit(list.entries, COUNT, AX_ARRAY_LEN(list.entries), request);
	return list;
}

static struct x86_cpuid_entry leaf(const struct leaves *list, uint32_t number, uint32_t subleaf)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct x86_cpuid_entry *e = &list->entries[i];
		if (e->leaf == number && (!e->has_subleaf || e->subleaf == subleaf))
			return *e;
	}
	return (struct x86_cpuid_entry){0};
}

/* MWAIT where a guest would idle by it. HLT where not; beside it on AMD's, whose Linux halts. */
static void waits(void **state)
{
	enum { H = AXARCH_WAIT_HALT, P = AXARCH_WAIT_PAUSE, M = AXARCH_WAIT_MWAIT };
	static const struct {
		uint32_t wanted, offered;
		struct x86_cpuid_entry leaf5;
		uint32_t waits;
	} rows[] = {
		{H | P | M, H | P | M, {5, 0, false, 64, 64, 3, 0x1120}, P | M},
		{H | P | M, H | P | M, {5, 0, false, 64, 64, 0, 0}, P | M}, /* no list of states */
		{H | P | M, H | P | M, {5, 0, false, 64, 64, 3, 0x1100}, H | P}, /* no C1 */
		{H | P | M, H | P | M, {5, 0, false, 0, 0, 3, 0x1120}, H | P},   /* no line */
		{H | P | M, H | P, {5, 0, false, 64, 64, 3, 0x1120}, H | P},
		{H | P | M, P, {5, 0, false, 64, 64, 3, 0x1120}, P},
		{H | P | M, 0, {5, 0, false, 64, 64, 3, 0x1120}, 0},
		{0, H | P | M, {5, 0, false, 64, 64, 3, 0x1120}, 0},
		{M, H | P | M, {5, 0, false, 64, 64, 3, 0}, 0},
		{H, H | P | M, {5, 0, false, 64, 64, 3, 0x1120}, H},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		if (x86_own_waits(rows[i].wanted, rows[i].offered, &rows[i].leaf5, true) !=
		    rows[i].waits)
			fail_msg("row %zu", i);
	assert_int_equal(x86_own_waits(H | M, H | M, NULL, true), H);
	assert_int_equal(x86_own_waits(H | M, H | M, &rows[0].leaf5, false), H | M);
	assert_int_equal(x86_own_waits(H | M, H | M, &rows[3].leaf5, false), H);
	assert_int_equal(x86_own_waits(M, H | M, &rows[0].leaf5, false), M);
}

static void policies(void **state)
{
	static const struct {
		uint32_t no_paravirt, bits;
	} rows[] = {
		{AXARCH_PARAVIRT_ASYNC_PF, 1u << 4 | 1u << 10 | 1u << 14},
		{AXARCH_PARAVIRT_STEAL_TIME, 1u << 5},
		{AXARCH_PARAVIRT_EOI, 1u << 6},
		{AXARCH_PARAVIRT_UNHALT, 1u << 7},
		{AXARCH_PARAVIRT_TLB_FLUSH, 1u << 9},
		{AXARCH_PARAVIRT_SEND_IPI, 1u << 11},
		{AXARCH_PARAVIRT_SCHED_YIELD, 1u << 13},
	};
	const uint32_t all = 0x0100fefb & ~(1u << 15);
	struct axarch_cpu_policy policy = {.realtime = false};
	struct x86_cpuid_request request = {.vcpu_count = 1, .policy = &policy, .x2apic = true};
	struct leaves l;
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		policy.no_paravirt = rows[i].no_paravirt;
		l = edit(amd, &request);
		assert_int_equal(leaf(&l, 0x40000001, 0).eax, all & ~rows[i].bits);
		assert_int_equal(leaf(&l, 0x40000001, 0).edx, 0);
	}
	/* KVM could not wake a CPU from an HLT that does not exit. */
	policy = (struct axarch_cpu_policy){.realtime = true};
	request.own_waits = AXARCH_WAIT_HALT;
	l = edit(amd, &request);
	assert_int_equal(leaf(&l, 0x40000001, 0).eax, all & ~(1u << 7));
	assert_int_equal(leaf(&l, 0x40000001, 0).edx, 1);
	/* MWAIT is told with the processor's leaf, or not at all. */
	request.own_waits = AXARCH_WAIT_MWAIT;
	l = edit(intel, &request);
	assert_int_equal(leaf(&l, 1, 0).ecx & 1u << 3, 0);
	request.host_mwait = &host_mwait;
	l = edit(intel, &request);
	assert_int_equal(leaf(&l, 1, 0).ecx & 1u << 3, 1u << 3);
	assert_int_equal(leaf(&l, 5, 0).edx, 0x1120);
	/* Emulated features go when the policy says so, UMIP if the processor has none. */
	for (unsigned i = 0; i < 4; i++) {
		struct x86_cpuid_entry host[AX_ARRAY_LEN(amd)];

		memcpy(host, amd, sizeof(host));
		host[2].ebx |= 1u << 1;
		host[2].ecx |= 1u << 2;
		policy.no_emulated = i & 1;
		request.host_has_umip = i & 2;
		l = edit(host, &request);
		assert_int_equal(leaf(&l, 7, 0).ebx, host[2].ebx & ~(i & 1 ? 1u << 1 : 0));
		assert_int_equal(leaf(&l, 7, 0).ecx, host[2].ecx & ~(i == 1 ? 1u << 2 : 0));
	}
}

/* KVM tells of speculation control by AMD's names too; on an Intel only WBNOINVD is there. */
static void foreign_names(void **state)
{
	const struct x86_cpuid_request request = {.vcpu_count = 1, .x2apic = true};
	const struct leaves l = edit(intel, &request);
	(void)state;

	assert_int_equal(leaf(&l, 0x80000008, 0).ebx, 1u << 9);
	assert_int_equal(leaf(&l, 0x80000008, 0).eax, 0x302e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits),
		cmocka_unit_test(policies),
		cmocka_unit_test(foreign_names),
	};
	return cmocka_run_group_tests_name("x86_64-policy", tests, NULL, NULL);
}
