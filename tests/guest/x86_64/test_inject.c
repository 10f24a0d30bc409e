/* Interrupts put in front of a vCPU by vector: while it runs, is halted, or has not started. */
#include "guest.h"

#include <errno.h>

GUEST_CODE(inject_spin);
GUEST_CODE(inject_halt);

static void prepare(struct guest *guest, const char *code, const char *code_end, uint64_t count)
{
	guest_create(guest, &(struct guest_config){0});
	guest_load(guest, code, code_end);
	guest_set_data(guest, 0x18, count);
}

static void inject_one_by_one(const char *code, const char *code_end)
{
	struct guest guest;

	prepare(&guest, code, code_end, 20);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	for (unsigned i = 0; i < 20; i++) {
		guest_inject(&guest, 0x40, AXVCPU_IRQ_EDGE, false);
		WAIT_FOR(guest_data(&guest, 0) == i + 1, "interrupt %u did not come", i);
	}
	guest_finish_done(&guest);
	guest_destroy(&guest);
}

GUEST_TEST(inject_running, "inject-running")
{
	inject_one_by_one(code_inject_spin, code_inject_spin_end);
}

GUEST_TEST(inject_halted, "inject-halted")
{
	inject_one_by_one(code_inject_halt, code_inject_halt_end);
}

/* Before the first entry the vectors wait; the guest finds both when it is ready for them. */
GUEST_TEST(inject_stopped, "inject-stopped")
{
	struct guest guest;
	const struct axvcpu_irq bad = {.vector = 8};

	prepare(&guest, code_inject_halt, code_inject_halt_end, 2);
	guest_inject(&guest, 0x40, AXVCPU_IRQ_EDGE, false);
	guest_inject(&guest, 0x61, AXVCPU_IRQ_EDGE, false);
	CHECK_EQ(axvcpu_inject(guest.vcpu[0], &bad, &guest.err), -EINVAL);
	CHECK_EQ(guest.err.kind, AX_ERROR_IRQ_INJECTION);
	guest_start(&guest);
	guest_finish_done(&guest);
	guest_destroy(&guest);
}

/* Level: the same vector comes again as long as its source asserts it after each end. */
GUEST_TEST(inject_level, "inject-level")
{
	struct guest guest;

	prepare(&guest, code_inject_spin, code_inject_spin_end, 3);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	for (unsigned i = 0; i < 3; i++) {
		guest_inject(&guest, 0x61, AXVCPU_IRQ_LEVEL, true);
		WAIT_FOR(guest_data(&guest, 0) == i + 1 || guest.done, "interrupt %u did not come",
			 i);
		if (i == 2)
			break;
		axvcpu_kick(guest.vcpu[0]); /* ends are found at exits */
		WAIT_FOR(guest.ends_of_interrupt == i + 1, "its end was not told");
		CHECK_EQ(guest.last_end_of_interrupt, 0x61);
	}
	guest_finish_done(&guest);
	guest_destroy(&guest);
}

/* The guest's LAPIC says which kind of interrupt it took: +32 is the word of the trigger mode
 * register that has vectors 0x60 to 0x7f. */
GUEST_CODE(inject_trigger);

GUEST_TEST(inject_trigger, "inject-trigger")
{
	struct guest guest;

	prepare(&guest, code_inject_trigger, code_inject_trigger_end, 2);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	guest_inject(&guest, 0x61, AXVCPU_IRQ_EDGE, false);
	WAIT_FOR(guest_data(&guest, 0) == 1, "the edge did not come");
	CHECK_EQ(guest_data(&guest, 32), 0);
	guest_inject(&guest, 0x61, AXVCPU_IRQ_LEVEL, false);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 32), 2);
	guest_destroy(&guest);
}

/* Without a controller the vector goes straight to the processor, when it can take it. */
GUEST_CODE(inject_bare);

GUEST_TEST(inject_without_irqchip, "inject-without-irqchip")
{
	struct guest guest;
	const struct axvcpu_irq notify = {.vector = 0x40, .notify_eoi = true};

	guest_create(&guest, &(struct guest_config){.irq_mode = AXARCH_IRQ_NONE});
	GUEST_LOAD(&guest, inject_bare);
	CHECK_EQ(axvcpu_inject(guest.vcpu[0], &notify, &guest.err), -ENOTSUP);
	guest_inject(&guest, 0x40, AXVCPU_IRQ_EDGE, false);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	guest_inject(&guest, 0x61, AXVCPU_IRQ_EDGE, false);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0), 2);
	guest_destroy(&guest);
}
