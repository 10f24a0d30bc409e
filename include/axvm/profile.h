/*
 * profile: what AxVM does differently on a host it knows. A profile is const data: what it needs
 * of the host, and what it prefers. `generic` asks for nothing and runs anywhere.
 *
 * Adding one: a file in src/profile and a line in the array of profile.c.
 */
#ifndef AXVM_PROFILE_H
#define AXVM_PROFILE_H

#include <axvm/base.h>
#include <axvm/host.h>
#include <axvm/axaddrspace.h>

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
	enum axas_backing memory_backing; /* preferred; a hint, never a reason to fail */
	/* Placement. */
	uint32_t io_threads_per_node; /* of each guest node with vCPUs */
	uint32_t housekeeping_cores;  /* likewise, kept for I/O threads and the control thread */
	bool siblings;                /* vCPUs may share a core when cores run out */
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

#endif
