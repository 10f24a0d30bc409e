/*
 * xv2: Intel Ivy Bridge-EP (Xeon E5 v2), family 6 model 62: many slow cores on two NUMA nodes.
 * Refuses every other host, naming what is missing.
 */
#include "profile_private.h"

#include <string.h>

static bool is_ivy_bridge_ep(const struct axhost_facts *f)
{
	return !strcmp(f->vendor, "GenuineIntel") && f->family == 6 && f->model == 62;
}

static bool has_vmx(const struct axhost_facts *f)
{
	return f->vmx;
}

static bool has_ept(const struct axhost_facts *f)
{
	return f->ept;
}

static bool has_x2apic(const struct axhost_facts *f)
{
	return f->x2apic;
}

static const struct axprof_requirement requirements[] = {
	{"Intel family 6 model 62 (Ivy Bridge-EP)", is_ivy_bridge_ep,
	 "this profile is for no other processor"},
	{"VT-x", has_vmx, "switch VT-x on in the firmware's setup"},
	{"EPT", has_ept, "load kvm_intel with ept=1"},
	{"invariant TSC", axprof_has_invariant_tsc,
	 "switch off deep package states that stop the TSC"},
	{"x2APIC", has_x2apic, "switch x2APIC on in the firmware's setup"},
};

const struct axprof axprof_xv2 = {
	.name = "xv2",
	.summary = "Intel Ivy Bridge-EP (Xeon E5 v2)",
	.requirements = requirements,
	.requirement_count = AX_ARRAY_LEN(requirements),
	.options = axprof_common_options,
	.option_count = AXPROF_COMMON_OPTIONS,
	.memory_backing = AXAS_BACKING_THP, /* ADR 0104 */
	.io_threads_per_node = 1,
	.housekeeping_cores = 1,
	.siblings = true,
	.dedicated = AXPROF_DEDICATED,
	.shared = AXPROF_SHARED,
};
