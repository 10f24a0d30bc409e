/* Hart ids that are not the vCPUs' numbers. */
#include "guest.h"

GUEST_TEST(smp_ids, "smp-ids")
{
	static const uint32_t ids[] = {2, 5, 0, 9};

	guest_start_all(ids, ids);
}
