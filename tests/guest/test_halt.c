/* HLT, WFI: a state one can see while KVM keeps the vCPU. */
#include "guest.h"

GUEST_CODE(halt);

GUEST_TEST(halt_blocked, "halt-blocked")
{
	struct guest guest;
	struct axvcpu_stats before, after;
	uint64_t value;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, halt);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0), "the payload does not run");
	if (guest.arch->vcpu_stat(guest.vm, 0, "blocking", &value) < 0)
		guest_skip("this KVM has no statistic `blocking`");
	WAIT_FOR(axvcpu_state(guest.vcpu[0]) == AXVCPU_BLOCKED, "the state is %s",
		 axvcpu_state_name(axvcpu_state(guest.vcpu[0])));
	/* It sleeps in the kernel: nothing comes out. */
	axvcpu_get_stats(guest.vcpu[0], &before);
	guest_sleep_ms(100);
	axvcpu_get_stats(guest.vcpu[0], &after);
	CHECK_EQ(after.exits, before.exits);
	/* A kick leaves and comes back; it is halted again, the payload does not notice. */
	axvcpu_kick(guest.vcpu[0]);
	WAIT_FOR(axvcpu_state(guest.vcpu[0]) == AXVCPU_BLOCKED, "not halted again but %s",
		 axvcpu_state_name(axvcpu_state(guest.vcpu[0])));
	CHECK_EQ(guest_data(&guest, 0), 1);
	axvcpu_request_stop(guest.vcpu[0]);
	axvcpu_join(guest.vcpu[0]);
	guest_destroy(&guest);
}
