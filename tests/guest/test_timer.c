/* The timer of the processor, in the kernel: ten interrupts, each waited for halted. */
#include "guest.h"

GUEST_CODE(timer);

GUEST_TEST(timer, "timer")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, timer);
	guest_start(&guest);
	guest_finish_done(&guest);
	if (!guest.done_value)
		guest_skip("this KVM has no such timer");
	CHECK_EQ(guest_data(&guest, 0), 10);
	guest_destroy(&guest);
}
