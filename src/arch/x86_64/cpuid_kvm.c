/*
 * The hypervisor's own leaves: KVM's paravirtual features and hints as the policy wants them, and
 * the timing leaf. What the processor has is cpuid.c's.
 */
#include "cpuid.h"

/* Documentation/virt/kvm/x86/cpuid.rst: bits of EAX of 0x40000001. */
enum {
	ASYNC_PF = 4,
	STEAL_TIME = 5,
	PV_EOI = 6,
	PV_UNHALT = 7,
	PV_TLB_FLUSH = 9,
	ASYNC_PF_VMEXIT = 10,
	PV_SEND_IPI = 11,
	PV_SCHED_YIELD = 13,
	ASYNC_PF_INT = 14,
	MSI_EXT_DEST_ID = 15,
	HC_MAP_GPA_RANGE = 16,
	MIGRATION_CONTROL = 17
};
enum { HINT_REALTIME = 0 }; /* of EDX */

static const struct {
	uint8_t bit;
	bool needs_lapic; /* in KVM */
	uint32_t feature; /* enum axarch_paravirt; 0: would need answers from us, never told */
} features[] = {
	{ASYNC_PF, true, AXARCH_PARAVIRT_ASYNC_PF},
	{STEAL_TIME, false, AXARCH_PARAVIRT_STEAL_TIME},
	{PV_EOI, true, AXARCH_PARAVIRT_EOI},
	{PV_UNHALT, true, AXARCH_PARAVIRT_UNHALT},
	{PV_TLB_FLUSH, false, AXARCH_PARAVIRT_TLB_FLUSH},
	{ASYNC_PF_VMEXIT, true, AXARCH_PARAVIRT_ASYNC_PF},
	{PV_SEND_IPI, true, AXARCH_PARAVIRT_SEND_IPI},
	{PV_SCHED_YIELD, true, AXARCH_PARAVIRT_SCHED_YIELD},
	{ASYNC_PF_INT, true, AXARCH_PARAVIRT_ASYNC_PF},
	{HC_MAP_GPA_RANGE, false, 0},
	{MIGRATION_CONTROL, false, 0},
};

static void edit_features(struct x86_cpuid_entry *e, const struct x86_cpuid_request *r)
{
	uint32_t left_out = r->policy ? r->policy->no_paravirt : 0;

	/* It wakes CPUs from an HLT that KVM must see (KVM_CAP_X86_DISABLE_EXITS). */
	if (r->own_waits & AXARCH_WAIT_HALT)
		left_out |= AXARCH_PARAVIRT_UNHALT;
	for (size_t i = 0; i < AX_ARRAY_LEN(features); i++)
		if (!features[i].feature || features[i].feature & left_out ||
		    (features[i].needs_lapic && !r->x2apic))
			x86_cpuid_set_bit(&e->eax, features[i].bit, false);
	/* Ours to offer: what it promises is the IOAPIC's and the devices' to keep. */
	x86_cpuid_set_bit(&e->eax, MSI_EXT_DEST_ID, r->msi_ext_dest);
	x86_cpuid_set_bit(&e->edx, HINT_REALTIME, r->policy && r->policy->realtime);
}

void x86_cpuid_edit_hypervisor(struct x86_cpuid_table *t, const struct x86_cpuid_request *r)
{
	enum { FIRST = 0x40000000, FEATURES = 0x40000001, TIMING = 0x40000010, LAST = 0x400000ff };
	struct x86_cpuid_entry *e;

	if (r->policy && r->policy->mask_paravirt) {
		x86_cpuid_remove(t, FIRST, LAST);
		return;
	}
	e = x86_cpuid_find(t, FEATURES, 0);
	if (e)
		edit_features(e, r);
	x86_cpuid_remove(t, TIMING, TIMING);
	e = x86_cpuid_find(t, FIRST, 0);
	if (!e || !r->tsc_khz)
		return;
	/* The timing leaf other hypervisors established: TSC and APIC bus in kHz. */
	if (e->eax < TIMING)
		e->eax = TIMING;
	x86_cpuid_add(t,
		      &(struct x86_cpuid_entry){.leaf = TIMING, .eax = r->tsc_khz, .ebx = 1000000});
}
