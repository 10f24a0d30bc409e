/* MSRs: one that a device claims is answered by it, others fault in the guest without an exit. */
#include "guest.h"

#include <axvm/kvm.h>

/* The handler of #GP: its error code and the instruction go away, rdmsr and wrmsr are 2 bytes. */
#define ON_FAULT "1: incq 0x200100; add $8, %rsp; addq $2, (%rsp); iretq\n"
#define START    "jmp 2f; .balign 16\n" ON_FAULT "2: lidt 0x310000\n"

GUEST_CODE(device_code, 64,
	   START "mov $0x41785600, %ecx; rdmsr; mov %eax, 0x200000; mov %edx, 0x200004\n"
		 "mov $0x55667788, %eax; mov $0x11223344, %edx; wrmsr\n"
		 "inc %ecx; rdmsr; wrmsr\n" GUEST_DONE);

static void need_filter(const struct guest *guest)
{
	struct axkvm *kvm = NULL;
	int has = 0;

	(void)guest;
	if (axkvm_open(NULL, &kvm, NULL) == 0)
		has = axkvm_check(kvm, 188) > 0 && axkvm_check(kvm, 189) > 0;
	axkvm_close(kvm);
	if (!has)
		guest_skip("this KVM lacks KVM_CAP_X86_USER_SPACE_MSR or KVM_CAP_X86_MSR_FILTER");
}

GUEST_TEST(msr_device, "msr-device")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){.msr_device = true});
	need_filter(&guest);
	guest_load(&guest, device_code, device_code_end);
	guest_gate(&guest, 13, GUEST_CODE_GPA + 16);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	CHECK_EQ(guest_data(&guest, 0), 0x8877665544332211);
	guest_expect(&guest, 0, &(struct guest_access){AXDEV_SYSREG, 0, 0, 8, false});
	guest_expect(&guest, 1,
		     &(struct guest_access){AXDEV_SYSREG, 0, 0x1122334455667788, 8, true});
	CHECK_EQ(guest_data(&guest, 0x100), 2); /* the second register refuses both */
	guest_destroy(&guest);
}

GUEST_CODE(unknown_code, 64,
	   START "mov $0x41785600, %ecx; rdmsr; wrmsr; mov $0xc0000080, %ecx; rdmsr\n"
		 "mov %eax, 0x200000" GUEST_DONE);

GUEST_TEST(msr_unknown, "msr-unknown")
{
	struct guest guest;
	struct axvcpu_stats stats;

	guest_create(&guest, &(struct guest_config){0});
	guest_load(&guest, unknown_code, unknown_code_end);
	guest_gate(&guest, 13, GUEST_CODE_GPA + 16);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	CHECK_EQ(guest_data(&guest, 0x100), 2);
	CHECK_EQ(guest_data(&guest, 0) & 0x500, 0x500); /* EFER: LME and LMA */
	axvcpu_get_stats(guest.vcpu[0], &stats);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_SYSREG_READ] + stats.by_kind[AXVCPU_EXIT_SYSREG_WRITE],
		 0);
	guest_destroy(&guest);
}
