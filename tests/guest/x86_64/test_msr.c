/* MSRs: one that a device claims is answered by it, others fault in the guest without an exit. */
#include "guest.h"

#include <axvm/kvm.h>

GUEST_CODE(msr_device);

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

	guest_create(&guest, &(struct guest_config){.sysreg = GUEST_MSR});
	need_filter(&guest);
	GUEST_LOAD(&guest, msr_device);
	guest_start(&guest);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0), 0x8877665544332211);
	guest_expect(&guest, 0, &(struct guest_access){AXDEV_SYSREG, 0, 0, 8, false});
	guest_expect(&guest, 1,
		     &(struct guest_access){AXDEV_SYSREG, 0, 0x1122334455667788, 8, true});
	CHECK_EQ(guest_data(&guest, 0x100), 2); /* the second register refuses both */
	guest_destroy(&guest);
}

GUEST_CODE(msr_unknown);

GUEST_TEST(msr_unknown, "msr-unknown")
{
	struct guest guest;
	struct axvcpu_stats stats;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, msr_unknown);
	guest_start(&guest);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0x100), 2);
	CHECK_EQ(guest_data(&guest, 0) & 0x500, 0x500); /* EFER: LME and LMA */
	axvcpu_get_stats(guest.vcpu[0], &stats);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_SYSREG_READ] + stats.by_kind[AXVCPU_EXIT_SYSREG_WRITE],
		 0);
	guest_destroy(&guest);
}
