/* generic: every KVM host. Asks for nothing, prefers what never hurts. */
#include "profile_private.h"

const struct axprof axprof_generic = {
	.name = "generic",
	.summary = "any KVM host",
	.memory_backing = AXAS_BACKING_THP,
	.io_threads_per_node = 1,
	.housekeeping_cores = 1,
	.siblings = true,
};
