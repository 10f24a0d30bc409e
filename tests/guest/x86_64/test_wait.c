/*
 * Guests that wait without exits: a halted CPU looks as if it ran, and is woken, kicked, paused and
 * stopped like any other.
 */
#include "guest.h"
#include "kvm_x86.h"

GUEST_CODE(inject_halt);
GUEST_CODE(wait_mwait);

static void start(struct guest *guest, uint32_t own_waits, const char *code, const char *code_end)
{
	guest_create(guest, &(struct guest_config){.own_waits = own_waits});
	if (own_waits & AXARCH_WAIT_HALT && !(guest->vm->own_waits & AXARCH_WAIT_HALT))
		guest_skip("this KVM keeps its exits on HLT (KVM_CAP_X86_DISABLE_EXITS)");
	if (own_waits & AXARCH_WAIT_HALT && guest_arch.kvm_is_partial())
		guest_skip("a partial KVM may say that HLT does not exit, and have it exit");
	guest_load(guest, code, code_end);
	guest_set_data(guest, 0x18, 3);
	guest_start(guest);
}
#define START(guest, own_waits, name) start(guest, own_waits, code_##name, code_##name##_end)

/* Three interrupts, and the vCPU has come to the end. */
static void wake(struct guest *guest)
{
	for (unsigned i = 0; i < 3; i++) {
		guest_inject(guest, 0x40, AXVCPU_IRQ_EDGE, false);
		WAIT_FOR(guest_data(guest, 0) == i + 1, "interrupt %u did not come", i);
	}
	guest_finish_done(guest);
}

/* What KVM counts, since the payload waits until it is at its end; the last HLT is behind that. */
static uint64_t count_halts(uint32_t own_waits)
{
	struct guest guest;
	uint64_t halts = 0;

	START(&guest, own_waits, inject_halt);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	guest_sleep_ms(50);
	if (guest.arch->vcpu_stat(guest.vm, 0, "halt_exits", &halts) < 0)
		guest_skip("this KVM has no statistic `halt_exits`");
	wake(&guest);
	guest_destroy(&guest);
	return halts;
}

GUEST_TEST(wait_exits, "wait-exits")
{
	/* First the one that skips. */
	const uint64_t without = count_halts(AXARCH_WAIT_HALT | AXARCH_WAIT_PAUSE);

	CHECK(count_halts(0) > 0, "a halted guest exits for HLT as long as nobody says otherwise");
	CHECK_EQ(without, 0);
}

GUEST_TEST(wait_halt, "wait-halt")
{
	struct guest guest;
	struct axvcpu_stats before, after;
	uint64_t begin;

	START(&guest, AXARCH_WAIT_HALT | AXARCH_WAIT_PAUSE, inject_halt);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	guest_sleep_ms(20);
	CHECK_EQ(axvcpu_state(guest.vcpu[0]), AXVCPU_RUNNING);
	axvcpu_get_stats(guest.vcpu[0], &before);
	guest_sleep_ms(50);
	axvcpu_get_stats(guest.vcpu[0], &after);
	CHECK_EQ(after.exits, before.exits);
	for (unsigned i = 0; i < 20; i++) {
		axvcpu_kick(guest.vcpu[0]);
		guest_sleep_ms(1);
	}
	WAIT_FOR((axvcpu_get_stats(guest.vcpu[0], &after),
		  after.by_kind[AXVCPU_EXIT_EXTERNAL_INTERRUPT] >
			  before.by_kind[AXVCPU_EXIT_EXTERNAL_INTERRUPT]),
		 "no kick ended a run");
	CHECK_EQ(guest_data(&guest, 0), 0);
	for (unsigned i = 0; i < 10; i++) {
		begin = ax_clock_ns();
		CHECK_OK(axvcpu_pause(guest.vcpu[0], &guest.err), &guest.err);
		CHECK_EQ(axvcpu_state(guest.vcpu[0]), AXVCPU_BLOCKED);
		CHECK(ax_clock_ns() - begin < 10000000000, "a pause took ten seconds");
		CHECK_OK(axvcpu_resume(guest.vcpu[0], &guest.err), &guest.err);
		WAIT_FOR(axvcpu_state(guest.vcpu[0]) == AXVCPU_RUNNING, "it does not go on");
	}
	wake(&guest); /* and stops it, halted again */
	guest_destroy(&guest);
}

/* Told only when it does not exit. */
GUEST_TEST(wait_mwait, "wait-mwait")
{
	enum { ECX_MONITOR = 1u << 3 };
	struct guest guest;

	START(&guest, AXARCH_WAIT_MWAIT, wait_mwait);
	if (!(guest.vm->own_waits & AXARCH_WAIT_MWAIT)) {
		guest_finish_done(&guest);
		CHECK_EQ(guest_data(&guest, 0x100) & ECX_MONITOR, 0);
		CHECK_EQ(guest_data(&guest, 0x100) >> 32, 0);
		guest_skip("this KVM or processor does not let guests use MWAIT");
	}
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	CHECK(guest_data(&guest, 0x100) >> 32, "leaf 5 tells of no line to watch");
	guest_sleep_ms(20);
	CHECK_EQ(axvcpu_state(guest.vcpu[0]), AXVCPU_RUNNING);
	guest_set_data(&guest, 0x200, 1);
	wake(&guest);
	guest_destroy(&guest);
}
