/*
 * What one vCPU reads from CPUID: KVM's supported list with the vCPU's own APIC id, the topology of
 * the policy instead of the host's, and without what cannot work here or costs exits. Leaves
 * registers it has no opinion on as KVM reports them.
 */
#include "cpuid.h"

#include <string.h>

static bool is_vendor(const struct x86_cpuid_entry *leaf0, const char *name)
{
	return leaf0 && memcmp(&leaf0->ebx, name, 4) == 0 &&
	       memcmp(&leaf0->edx, name + 4, 4) == 0 && memcmp(&leaf0->ecx, name + 8, 4) == 0;
}

static void edit_features(const struct x86_cpuid_table *t, const struct x86_cpuid_request *r,
			  const struct x86_topology *topo)
{
	enum {
		ECX_VMX = 5,
		ECX_X2APIC = 21,
		ECX_TSC_DEADLINE = 24,
		ECX_OSXSAVE = 27,
		ECX_HYPERVISOR = 31,
		EDX_HTT = 28
	};
	struct x86_cpuid_entry *e = x86_cpuid_find(t, 1, 0);
	const uint32_t ids = x86_cpuid_per_package(topo);

	if (!e)
		return;
	e->ebx = (e->ebx & 0xffff) | (ids < 255 ? ids : 255) << 16 | r->apic_id << 24;
	x86_cpuid_set_bit(&e->ecx, ECX_VMX, false); /* AxVM's guests do not nest */
	x86_cpuid_set_bit(&e->ecx, ECX_X2APIC, r->x2apic);
	x86_cpuid_set_bit(&e->ecx, ECX_TSC_DEADLINE, r->tsc_deadline);
	x86_cpuid_set_bit(&e->ecx, ECX_OSXSAVE, false); /* KVM mirrors CR4 there */
	x86_cpuid_set_bit(&e->ecx, ECX_HYPERVISOR, true);
	x86_cpuid_set_bit(&e->edx, EDX_HTT, ids > 1);
}

/*
 * Leaf 0x15 says TSC = crystal * EBX / EAX. Linux takes the crystal for the APIC timer's clock too,
 * which is 1 GHz in KVM, so that is the crystal; and it multiplies kHz by EBX in 32 bits, so a
 * ratio that does not reduce to small numbers is not told. Leaf 0x16 would be the host's.
 */
static void edit_frequency(struct x86_cpuid_table *t, const struct x86_cpuid_request *r,
			   bool is_intel)
{
	enum { CRYSTAL_KHZ = 1000000 };
	const struct x86_cpuid_entry *leaf0 = x86_cpuid_find(t, 0, 0);
	const bool told = is_intel && leaf0 && leaf0->eax >= 0x15 && r->tsc_khz;
	uint32_t a = r->tsc_khz, b = CRYSTAL_KHZ;

	x86_cpuid_remove(t, 0x15, 0x16);
	while (told && b) {
		const uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	if (!told || r->tsc_khz / a > UINT32_MAX / CRYSTAL_KHZ)
		return;
	x86_cpuid_add(t, &(struct x86_cpuid_entry){.leaf = 0x15,
						   .eax = CRYSTAL_KHZ / a,
						   .ebx = r->tsc_khz / a,
						   .ecx = CRYSTAL_KHZ * 1000u});
}

static void hide_hybrid(struct x86_cpuid_table *t)
{
	enum { EDX_HYBRID = 15 };
	struct x86_cpuid_entry *e = x86_cpuid_find(t, 7, 0);

	if (e)
		x86_cpuid_set_bit(&e->edx, EDX_HYBRID, false);
	x86_cpuid_remove(t, 0x1a, 0x1a);
}

/* Told when it does not exit: on its own MWAIT is a way to keep the host's CPU, and with exits it
 * is slower than HLT. */
static void edit_mwait(struct x86_cpuid_table *t, const struct x86_cpuid_request *r)
{
	enum { ECX_MONITOR = 3 };
	const bool told = r->own_waits & AXARCH_WAIT_MWAIT && r->host_mwait;
	struct x86_cpuid_entry *e = x86_cpuid_find(t, 1, 0);

	if (e)
		x86_cpuid_set_bit(&e->ecx, ECX_MONITOR, told);
	x86_cpuid_remove(t, 5, 5);
	if (told)
		x86_cpuid_add(t, r->host_mwait);
}

/*
 * Linux reads TSC_ADJUST once a second on each idle CPU, and KVM always exits for it. Together with
 * an invariant TSC it is worth that: Linux does without the clock's watchdog then, which wakes an
 * idle guest twice a second at some ten exits each. KVM makes UMIP up on an Intel without it, and
 * then each use of a descriptor table exits.
 */
static void leave_out_emulated(const struct x86_cpuid_table *t, const struct x86_cpuid_request *r)
{
	enum { EBX_TSC_ADJUST = 1, ECX_UMIP = 2, EDX_INVARIANT_TSC = 8 };
	const struct x86_cpuid_entry *power = x86_cpuid_find(t, 0x80000007, 0);
	struct x86_cpuid_entry *e = x86_cpuid_find(t, 7, 0);

	if (!e || !r->policy || !r->policy->no_emulated)
		return;
	if (!power || !(power->edx >> EDX_INVARIANT_TSC & 1))
		x86_cpuid_set_bit(&e->ebx, EBX_TSC_ADJUST, false);
	if (!r->host_has_umip)
		x86_cpuid_set_bit(&e->ecx, ECX_UMIP, false);
}

/* KVM tells speculation control by AMD's names too, in a register that is reserved on an Intel but
 * for WBNOINVD. */
static void hide_amd_names(const struct x86_cpuid_table *t)
{
	enum { EBX_WBNOINVD = 9 };
	struct x86_cpuid_entry *e = x86_cpuid_find(t, 0x80000008, 0);

	if (e)
		e->ebx &= 1u << EBX_WBNOINVD;
}

uint32_t x86_own_waits(uint32_t wanted, uint32_t offered, const struct x86_cpuid_entry *host_mwait,
		       bool is_intel)
{
	enum { ECX_EXTENSIONS = 0x1, EDX_C1_SUBSTATES = 0xf0 };
	uint32_t waits = wanted & offered;

	/* Linux idles by MWAIT where there is a line to watch, and a C1 in it. */
	if (!host_mwait || !host_mwait->ebx ||
	    (host_mwait->ecx & ECX_EXTENSIONS && !(host_mwait->edx & EDX_C1_SUBSTATES)))
		waits &= ~(uint32_t)AXARCH_WAIT_MWAIT;
	/* That of AMD's processors halts by HLT all the same (cpuidle-haltpoll). */
	if (waits & AXARCH_WAIT_MWAIT && is_intel)
		waits &= ~(uint32_t)AXARCH_WAIT_HALT;
	return waits;
}

size_t x86_cpuid_edit(struct x86_cpuid_entry *entries, size_t count, size_t max,
		      const struct x86_cpuid_request *r)
{
	struct x86_cpuid_table t = {.entries = entries, .count = count, .max = max};
	const struct x86_cpuid_entry *leaf0 = x86_cpuid_find(&t, 0, 0);
	const bool is_intel = is_vendor(leaf0, "GenuineIntel");
	const bool is_amd = is_vendor(leaf0, "AuthenticAMD") || is_vendor(leaf0, "HygonGenuine");
	uint32_t max_apic_id = r->max_apic_id ? r->max_apic_id : r->vcpu_count - 1;
	struct x86_topology topo;

	if (max_apic_id < r->apic_id)
		max_apic_id = r->apic_id;
	x86_topology_of(r->policy, r->vcpu_count, max_apic_id, &topo);

	edit_features(&t, r, &topo);
	edit_mwait(&t, r);
	leave_out_emulated(&t, r);
	hide_hybrid(&t);
	x86_cpuid_edit_topology(&t, r, &topo, is_amd);
	if (is_intel)
		hide_amd_names(&t);
	edit_frequency(&t, r, is_intel);
	x86_cpuid_edit_hypervisor(&t, r);
	return t.count;
}
