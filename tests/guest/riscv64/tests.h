/* What only riscv64 has; the other tests are in main.c. One row a subject. */
#ifndef AXVM_TESTS_GUEST_ARCH_TESTS_H
#define AXVM_TESTS_GUEST_ARCH_TESTS_H

/* clang-format off */
#define ARCH_TESTS(X) \
	X(sbi) X(hsm) X(csr) X(inject_msi) X(inject_external) X(smp_ids)
/* clang-format on */

#endif
