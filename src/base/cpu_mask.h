/*
 * Sets of host CPUs, as large as any Linux has them: for threads that are pinned (thread.c) and
 * threads that are looked at (task.c, which also has the function).
 */
#ifndef AXVM_BASE_CPU_MASK_H
#define AXVM_BASE_CPU_MASK_H

#include <axvm/base.h>

#include <sched.h>

#define MAX_CPUS 8192 /* the most that Linux can be built for */

struct cpu_mask {
	cpu_set_t sets[MAX_CPUS / CPU_SETSIZE]; /* for the CPU_*_S macros */
};

/* "0-3,8,10-11"; ends in "..." when there is no room for all. */
void ax_cpu_mask_format(const struct cpu_mask *mask, char *buf, size_t buf_size);
/* All threads of this process whose name matches the pattern (fnmatch(3)). */
void ax_cpu_mask_move_named(const struct cpu_mask *mask, const char *pattern);

#endif
