/*
 * What several profiles ask of a host in the same words, and what all of them can use where it is.
 */
#include "profile_private.h"

bool axprof_has_invariant_tsc(const struct axhost_facts *f)
{
	return f->invariant_tsc;
}

static bool has_tsc_scaling(const struct axhost_facts *f)
{
	return f->tsc_scaling;
}

static bool has_apicv(const struct axhost_facts *f)
{
	return f->apicv;
}

static bool has_gbpages(const struct axhost_facts *f)
{
	for (size_t i = 0; i < f->pool_count; i++)
		if (f->pools[i].page_size_bytes == AX_GIB && f->pools[i].total)
			return f->gbpages;
	return false;
}

const struct axprof_requirement axprof_common_options[AXPROF_COMMON_OPTIONS] = {
	{"TSC scaling", has_tsc_scaling, "KVM gives a guest another TSC frequency by it"},
	{"APICv or AVIC", has_apicv, "KVM delivers interrupts without exits by it"},
	{"pool of 1 GiB pages", has_gbpages,
	 "a pool of them is taken by --memory-backing hugetlb-1G"},
};
