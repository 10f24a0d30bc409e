/* Ends that only x86_64 has: HLT without a LAPIC, and an entry that the processor refuses. */
#include "guest.h"
#include "kvm_x86.h" /* to break a vCPU as no interface lets one */

#include <sys/ioctl.h>

GUEST_CODE(halt);

GUEST_TEST(halt_exit, "halt-exit")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){.irq_mode = AXARCH_IRQ_NONE});
	GUEST_LOAD(&guest, halt);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.ended && !guest.done, "it did not halt");
	CHECK_EQ(guest.end.kind, AXVCPU_EXIT_HALT);
	CHECK_EQ(guest_data(&guest, 0), 1);
	guest_destroy(&guest);
}

GUEST_CODE(spin);

/* A code segment that is 64-bit and 32-bit at once: no processor enters that. */
GUEST_TEST(end_fail_entry, "end-fail-entry")
{
	struct guest guest;
	struct kvm_sregs sregs;
	int fd;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, spin);
	fd = axkvm_vcpu_fd(guest.vm->vcpus[0]);
	CHECK_EQ(ioctl(fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.l = sregs.cs.db = 1;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		guest_skip("this KVM refuses such registers at once");
	guest_start(&guest);
	for (int i = 0; i < 300 && !guest.ended; i++)
		guest_sleep_ms(1);
	if (!guest.ended && !x86_host_has_virtualization())
		guest_skip("a paravirtual KVM enters with any code segment");
	guest_finish(&guest);
	CHECK(guest.end.kind == AXVCPU_EXIT_FAIL_ENTRY ||
		      guest.end.kind == AXVCPU_EXIT_INTERNAL_ERROR,
	      "it ended with %s", axvcpu_exit_name(guest.end.kind));
	guest_destroy(&guest);
}
