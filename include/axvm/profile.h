/*
 * profile: what AxVM does differently on a host it knows. A profile is const data: what it needs
 * of the host, and what it prefers. `generic` asks for nothing and runs anywhere.
 *
 * Adding one: a file in src/profile and a line in the array of profile.c.
 */
#ifndef AXVM_PROFILE_H
#define AXVM_PROFILE_H

#include <axvm/arch.h>
#include <axvm/axaddrspace.h>
#include <axvm/base.h>
#include <axvm/host.h>

struct axprof_requirement {
	const char *name; /* "EPT" */
	bool (*met)(const struct axhost_facts *facts);
	const char *remedy; /* what the user can do, or why it matters */
};

struct axprof {
	const char *name;
	const char *summary;
	const struct axprof_requirement *requirements;
	size_t requirement_count;
	/* What is used where it is there; the remedy says by whom. `axvm doctor` tells each. */
	const struct axprof_requirement *options;
	size_t option_count;
	enum axas_backing memory_backing; /* preferred; a hint, never a reason to fail */
	/* Placement. */
	uint32_t io_threads_per_node; /* of each guest node with vCPUs */
	uint32_t housekeeping_cores;  /* likewise, kept for I/O threads and the control thread */
	bool siblings;                /* vCPUs may share a core when cores run out */
	/* CPUs of guests that have their cores to themselves, and of those that share them. */
	struct axarch_cpu_policy dedicated, shared;
};

const struct axprof *axprof_at(size_t index); /* NULL past the end; the most specific first */

/*
 * name "auto": the first profile whose requirements the host meets. A named profile refuses a host
 * that misses something: -ENOTSUP, AX_ERROR_PROFILE_REFUSED naming every missing thing; an unknown
 * name lists the known ones.
 */
int axprof_select(const char *name, const struct axhost_facts *facts,
		  const struct axprof **ret_profile, struct ax_error *err) AX_MUST_CHECK;
/* Writes the missing requirements' names, comma-separated; returns how many there are. */
size_t axprof_missing(const struct axprof *profile, const struct axhost_facts *facts, char *buf,
		      size_t buf_size);

/* Who keeps a CPU that has nothing to do: the host, which may give it to others, or the guest, by
 * waiting without exits. */
enum axprof_idle {
	/* The guest on dedicated cores of a host that is made for it: that isolates CPUs, all of
	 * them tickless. Elsewhere the host. */
	AXPROF_IDLE_AUTO,
	AXPROF_IDLE_HOST,
	AXPROF_IDLE_GUEST,
};
/* Does the cgroup let these vCPUs have less time than they could use? */
bool axprof_is_throttled(const struct axhost_facts *facts, uint32_t vcpus);
/* The CPUs of a guest whose vCPUs have cores of the host to themselves (`pinned_alone`: nobody else
 * runs there) or share them; those that are throttled are as if they did. Sockets, cores and
 * threads are left at zero. */
void axprof_cpu_policy(const struct axprof *profile, const struct axhost_facts *facts,
		       uint32_t vcpus, bool pinned_alone, enum axprof_idle idle,
		       struct axarch_cpu_policy *ret_policy);

#endif
