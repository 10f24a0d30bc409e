/* riscv64's answers to the harness: a payload's devices, and how a fault looks. */
#include "guest.h"

#include <string.h>

static bool kvm_is_partial(void)
{
	return false;
}

static bool is_fault(const struct axvcpu_exit *end)
{
	return end->kind == AXVCPU_EXIT_INTERNAL_ERROR && end->failure.detail[0] == GUEST_HOLE_GPA;
}

static bool shows_fault(const char *dump)
{
	return strstr(dump, "s3  0000000001234567") && strstr(dump, "pc  0000000021000010") &&
	       strstr(dump, "stvec ");
}

const struct guest_arch guest_arch = {
	.done = {AXDEV_MMIO, GUEST_DONE_GPA, 4},
	.test = {{AXDEV_MMIO, GUEST_MMIO_GPA, 4096}},
	.test_count = 1,
	.loses_sign = "this KVM shifts the answer as an unsigned number (Linux 6.12 does)",
	.kvm_is_partial = kvm_is_partial,
	.is_fault = is_fault,
	.shows_fault = shows_fault,
};
