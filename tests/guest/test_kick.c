/* Getting a vCPU out of a guest that never leaves by itself, and the limits of a run. */
#include "guest.h"

GUEST_CODE(spin);

static void start_spinning(struct guest *guest, const struct guest_config *config)
{
	guest_create(guest, config);
	GUEST_LOAD(guest, spin);
	guest_start(guest);
	WAIT_FOR(guest_data(guest, 0) > 1000, "the payload does not run");
}

GUEST_TEST(kick_spinning, "kick-spinning")
{
	struct guest guest;
	struct axvcpu_stats stats;
	uint64_t begin;

	start_spinning(&guest, &(struct guest_config){0});
	for (unsigned i = 0; i < 100; i++) {
		uint64_t seen = guest_data(&guest, 0);
		axvcpu_kick(guest.vcpu[0]);
		WAIT_FOR(guest_data(&guest, 0) != seen, "it does not go on after kick %u", i);
	}
	WAIT_FOR((axvcpu_get_stats(guest.vcpu[0], &stats),
		  stats.by_kind[AXVCPU_EXIT_EXTERNAL_INTERRUPT] >= 1),
		 "no kick ended a run");
	begin = ax_clock_ns();
	axvcpu_request_stop(guest.vcpu[0]);
	axvcpu_join(guest.vcpu[0]);
	CHECK(ax_clock_ns() - begin < 10000000000, "stopping took %llu ms",
	      (unsigned long long)(ax_clock_ns() - begin) / 1000000);
	guest_destroy(&guest);
}

GUEST_TEST(kick_timeout, "kick-timeout")
{
	struct guest guest;

	start_spinning(&guest, &(struct guest_config){.limits.timeout_ns = 1000000});
	axvcpu_expire(guest.vcpu[0]); /* the owner's timer */
	guest_finish(&guest);
	CHECK_EQ(guest.end.kind, AXVCPU_EXIT_PREEMPTION_TIMER);
	CHECK_EQ(guest.end_err.kind, AX_ERROR_TIMEOUT);
	guest_destroy(&guest);
}

GUEST_CODE(exits);

GUEST_TEST(kick_max_exits, "kick-max-exits")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){.limits.max_exits = 1000});
	GUEST_LOAD(&guest, exits);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK_EQ(guest.end.kind, AXVCPU_EXIT_PREEMPTION_TIMER);
	CHECK_EQ(guest.end_err.kind, AX_ERROR_MAX_ITERATIONS);
	CHECK_EQ(guest_data(&guest, 0), 1000);
	guest_destroy(&guest);
}

/* A pause completes the instruction that caused the last exit: the guest's register shows it. */
GUEST_CODE(reads);

GUEST_TEST(kick_pause, "kick-pause")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, reads);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0), "the payload does not run");
	for (unsigned i = 0; i < 50; i++) {
		uint64_t seen, value = 0;
		CHECK_OK(axvcpu_pause(guest.vcpu[0], &guest.err), &guest.err);
		CHECK_EQ(axvcpu_state(guest.vcpu[0]), AXVCPU_BLOCKED);
		CHECK_OK(axvcpu_get_gpr(guest.vcpu[0], GUEST_GPR_RETURN, &value, &guest.err),
			 &guest.err);
		CHECK(value == 0 || value == 0x44332211, "the register is 0x%llx",
		      (unsigned long long)value);
		seen = guest_data(&guest, 0);
		guest_sleep_ms(1);
		CHECK_EQ(guest_data(&guest, 0), seen);
		CHECK_OK(axvcpu_resume(guest.vcpu[0], &guest.err), &guest.err);
		WAIT_FOR(guest_data(&guest, 0) != seen, "it does not go on after pause %u", i);
	}
	atomic_store(&guest.read_value, 0x5a5a5a5a);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 8), 0x5a5a5a5a);
	guest_destroy(&guest);
}
