/* The profiles there are, one file each; profile.c lists them. */
#ifndef AXVM_PROFILE_PRIVATE_H
#define AXVM_PROFILE_PRIVATE_H

#include <axvm/profile.h>

/*
 * The CPUs that suit every host so far (docs/profiles.md says why). Undisturbed ones wait by
 * themselves, and do without what is for CPUs that lose their core: Linux ignores two of these
 * under the hint, and steal time, which the two are made of, would only report zeroes. It needs
 * UNHALT to find the hint.
 */
#define AXPROF_DEDICATED                                                                \
	{                                                                               \
		.own_waits = AXARCH_WAIT_HALT | AXARCH_WAIT_PAUSE | AXARCH_WAIT_MWAIT | \
			     AXARCH_WAIT_CSTATE,                                        \
		.no_paravirt = AXARCH_PARAVIRT_STEAL_TIME | AXARCH_PARAVIRT_TLB_FLUSH | \
			       AXARCH_PARAVIRT_SCHED_YIELD,                             \
		.realtime = true, .no_emulated = true                                   \
	}
#define AXPROF_SHARED               \
	{                           \
		.no_emulated = true \
	}

/* common.c */
bool axprof_has_invariant_tsc(const struct axhost_facts *facts);
enum { AXPROF_COMMON_OPTIONS = 3 };
extern const struct axprof_requirement axprof_common_options[AXPROF_COMMON_OPTIONS];

extern const struct axprof axprof_generic;
extern const struct axprof axprof_xv2;
extern const struct axprof axprof_zen2;

#endif
