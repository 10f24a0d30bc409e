/*
 * What the CPUs of a guest get of its profile: the policy for cores of its own or for shared ones,
 * and who idles on them. What such a policy means is the architecture's.
 */
#include <axvm/profile.h>

/* A CPU that never leaves the guest is busy all the time, and the ticks that it gets for that each
 * bring it out (ADR 0103); but on these. */
static bool is_tickless(const struct axhost_facts *facts)
{
	bool any = false;

	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];

		if (!cpu->online || !cpu->allowed || !cpu->isolated)
			continue;
		if (!cpu->tickless)
			return false;
		any = true;
	}
	return any;
}

bool axprof_is_throttled(const struct axhost_facts *facts, uint32_t vcpus)
{
	return facts->cpu_limit_thousandths &&
	       facts->cpu_limit_thousandths < UINT64_C(1000) * vcpus;
}

/*
 * The guest is told that nobody takes its CPUs away only where that is true: not under a limit that
 * stops all of them when their time is used up, where who waits without exits uses up that of the
 * others, and not in a virtual machine, whose CPUs another host runs as it likes. There what helps
 * preempted CPUs is of use, too.
 */
void axprof_cpu_policy(const struct axprof *profile, const struct axhost_facts *facts,
		       uint32_t vcpus, bool pinned_alone, enum axprof_idle idle,
		       struct axarch_cpu_policy *ret_policy)
{
	const bool dedicated = pinned_alone && !axprof_is_throttled(facts, vcpus);
	const bool guest_idles = idle == AXPROF_IDLE_AUTO ? dedicated && is_tickless(facts)
							  : idle == AXPROF_IDLE_GUEST;
	/* Whoever spins on a core of its own keeps nobody else from running. */
	const uint32_t waits = (dedicated ? AXARCH_WAIT_PAUSE : 0) |
			       (guest_idles ? ~(uint32_t)AXARCH_WAIT_PAUSE : 0);

	*ret_policy = dedicated && !facts->hypervisor ? profile->dedicated : profile->shared;
	ret_policy->own_waits = profile->dedicated.own_waits & waits;
}
