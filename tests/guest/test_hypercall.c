/* The hypercall doorbell: number, six arguments, a result; an unknown number gives -ENOSYS. */
#include "guest.h"

GUEST_CODE(hypercall);

GUEST_TEST(hypercall, "hypercall")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, hypercall);
	CHECK_EQ(guest_data(&guest, 0), 0x060504030201);
	CHECK_EQ(guest_data(&guest, 8), (uint64_t)-38);
	CHECK_EQ(guest.hypercalls, 2);
	guest_destroy(&guest);
}
