/* What only x86_64 has; the other tests are in main.c. One row a subject. */
#ifndef AXVM_TESTS_GUEST_ARCH_TESTS_H
#define AXVM_TESTS_GUEST_ARCH_TESTS_H

/* clang-format off */
#define ARCH_TESTS(X) \
	X(io_out) X(io_in) X(io_rep_out) X(io_rep_in) X(io_unclaimed) X(doorbell_port) \
	X(msr_device) X(msr_unknown) \
	X(mode_16) X(mode_32) X(end_fail_entry) X(halt_exit) \
	X(power_cf9) X(power_button) X(timer_pit) X(smp_ids) \
	X(smp_far) X(smp_255) X(smp_4095) X(level_far) \
	X(inject_running) X(inject_halted) X(inject_stopped) X(inject_level) X(inject_trigger) \
	X(inject_without_irqchip) X(wait_exits) X(wait_halt) X(wait_mwait)
/* clang-format on */

#endif
