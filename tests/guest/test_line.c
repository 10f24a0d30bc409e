/* Lines into the guest: edges by irqfd, and levels. */
#include "guest.h"

GUEST_CODE(line_irqfd);

GUEST_TEST(line_irqfd, "line-irqfd")
{
	struct guest guest;
	struct axirq_line *line = NULL, *again = NULL;

	guest_create(&guest, &(struct guest_config){0});
	CHECK_OK(axirq_claim(guest.irqs, GUEST_EDGE_GSI, AXIRQ_EDGE, "test", &line, &guest.err),
		 &guest.err);
	CHECK(axirq_claim(guest.irqs, GUEST_EDGE_GSI, AXIRQ_EDGE, "other", &again, &guest.err) < 0,
	      "a line was given twice");
	GUEST_LOAD(&guest, line_irqfd);
	guest_set_data(&guest, 0x18, 10);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	for (unsigned i = 0; i < 10; i++) {
		axirq_pulse(line);
		WAIT_FOR(guest_data(&guest, 0) == i + 1, "interrupt %u did not come", i);
	}
	guest_finish_done(&guest);
	axirq_release(line);
	guest_destroy(&guest);
}

/* Level: comes again after each end until the line is lowered, which the third handler waits for.
 */
GUEST_CODE(line_level);

GUEST_TEST(line_level, "line-level")
{
	struct guest guest;
	struct axirq_line *line = NULL;

	guest_create(&guest, &(struct guest_config){0});
	CHECK_OK(axirq_claim(guest.irqs, GUEST_LEVEL_GSI, AXIRQ_LEVEL, "test", &line, &guest.err),
		 &guest.err);
	GUEST_LOAD(&guest, line_level);
	guest_set_data(&guest, 0x18, 3);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	axirq_set_level(line, true);
	WAIT_FOR(guest.log_count == 1, "it was raised %llu times",
		 (unsigned long long)guest_data(&guest, 0));
	axirq_set_level(line, false);
	guest_set_data(&guest, 0x20, 1); /* the third handler may return now */
	guest_finish_done(&guest);
	/* A paravirtual KVM ends a level interrupt when it delivers it: the third has already asked
	 * for a fourth when the line goes down. */
	uint64_t most = guest_arch.kvm_is_partial() ? 4 : 3;
	CHECK(guest_data(&guest, 0) >= 3 && guest_data(&guest, 0) <= most, "it came %llu times",
	      (unsigned long long)guest_data(&guest, 0));
	axirq_release(line);
	guest_destroy(&guest);
}
