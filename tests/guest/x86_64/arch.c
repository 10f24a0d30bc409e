/* x86_64's answers to the harness: a payload's devices, and how a fault looks. */
#include "guest.h"
#include "kvm_x86.h"

#include <string.h>

static bool kvm_is_partial(void)
{
	return !x86_host_has_virtualization();
}

static bool is_fault(const struct axvcpu_exit *end)
{
	return end->kind == AXVCPU_EXIT_SYSTEM_DOWN &&
	       end->system.event == AXVCPU_SYSTEM_TRIPLE_FAULT;
}

/* AMD leaves a processor in shutdown undefined, so KVM resets it before anyone can look. */
static bool shows_fault(const char *dump)
{
	return (strstr(dump, "rbx 0000000001234567") || strstr(dump, "rip 000000000000fff0")) &&
	       strstr(dump, "cr3 ") && strstr(dump, "\ncs ") && strstr(dump, "code at ");
}

const struct guest_arch guest_arch = {
	.done = {AXDEV_PORT, GUEST_DONE_PORT, 1},
	.test = {{AXDEV_PORT, GUEST_PORT, 16}, {AXDEV_MMIO, GUEST_MMIO_GPA, 4096}},
	.test_count = 2,
	.kvm_is_partial = kvm_is_partial,
	.is_fault = is_fault,
	.shows_fault = shows_fault,
};
