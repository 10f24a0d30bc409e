/* generic: every KVM host. Asks for nothing, prefers what never hurts. */
#include "profile_private.h"

const struct axprof axprof_generic = {
	.name = "generic",
	.summary = "any KVM host",
	.options = axprof_common_options,
	.option_count = AXPROF_COMMON_OPTIONS,
	.memory_backing = AXAS_BACKING_THP, /* ADR 0104 */
	.io_threads_per_node = 1,
	.housekeeping_cores = 1,
	.siblings = true,
	.dedicated = AXPROF_DEDICATED,
	.shared = AXPROF_SHARED,
};
