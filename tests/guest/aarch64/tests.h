/* What only aarch64 has; the other tests are in main.c. One row a subject. */
#ifndef AXVM_TESTS_GUEST_ARCH_TESTS_H
#define AXVM_TESTS_GUEST_ARCH_TESTS_H

/* clang-format off */
#define ARCH_TESTS(X) \
	X(gic_v2) X(gic_v3) X(inject) X(inject_refused) \
	X(psci) X(hvc) X(uart_16550)
/* clang-format on */

#endif
