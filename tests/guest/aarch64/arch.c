/* aarch64's answers to the harness: a payload's devices, and how a fault looks. */
#include "guest.h"

#include <string.h>

static bool kvm_is_partial(void)
{
	return false;
}

static bool is_fault(const struct axvcpu_exit *end)
{
	return end->kind == AXVCPU_EXIT_NESTED_PAGE_FAULT && end->fault.gpa == GUEST_HOLE_GPA &&
	       end->fault.access == AXAS_READ;
}

static bool shows_fault(const char *dump)
{
	return strstr(dump, "x19 0000000001234567") && strstr(dump, "pc ") && strstr(dump, "esr ");
}

const struct guest_arch guest_arch = {
	.done = {AXDEV_MMIO, GUEST_DONE_GPA, 4},
	.test = {{AXDEV_MMIO, GUEST_MMIO_GPA, 4096}},
	.test_count = 1,
	.loses_sign = "this processor's syndromes do not tell of the sign (as in QEMU 7.2)",
	.kvm_is_partial = kvm_is_partial,
	.is_fault = is_fault,
	.shows_fault = shows_fault,
};
