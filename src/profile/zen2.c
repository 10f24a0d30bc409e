/*
 * zen2: AMD EPYC 7002 (Rome), family 17h models 30h to 3Fh: many cores, four around each last level
 * cache. Refuses every other host, naming what is missing.
 */
#include "profile_private.h"

#include <string.h>

static bool is_rome(const struct axhost_facts *f)
{
	return !strcmp(f->vendor, "AuthenticAMD") && f->family == 0x17 && f->model >= 0x30 &&
	       f->model <= 0x3f;
}

static bool has_svm(const struct axhost_facts *f)
{
	return f->svm;
}

static bool has_npt(const struct axhost_facts *f)
{
	return f->npt;
}

static const struct axprof_requirement requirements[] = {
	{"AMD family 23 model 48 to 63 (Rome)", is_rome, "this profile is for no other processor"},
	{"SVM", has_svm, "switch SVM on in the firmware's setup"},
	{"NPT", has_npt, "load kvm_amd with npt=1"},
	{"invariant TSC", axprof_has_invariant_tsc,
	 "switch off deep package states that stop the TSC"},
};

const struct axprof axprof_zen2 = {
	.name = "zen2",
	.summary = "AMD EPYC 7002 (Rome)",
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
