/*
 * Exits that only aarch64 has: calls by HVC that KVM hands on (Linux 6.4 and later, where a filter
 * names their ids) and accesses that it cannot decode. What the numbers mean is psci.c's and
 * syndrome.c's.
 */
#include "kvm_aarch64.h"

#include <sys/ioctl.h>

/* Younger than the oldest kernel headers AxVM builds with: include/uapi of Linux 6.4. */
#define SMCCC_CTRL_GROUP  0 /* KVM_ARM_VM_SMCCC_CTRL */
#define SMCCC_FILTER_ATTR 0 /* KVM_ARM_VM_SMCCC_FILTER */
#define SMCCC_FORWARD     2 /* KVM_SMCCC_FILTER_FWD_TO_USER */
struct smccc_filter {
	uint32_t base, nr_functions;
	uint8_t action;
	uint8_t pad[15];
};

void a64_forward_calls(struct axarch_vm *vm)
{
	const struct smccc_filter filter = {
		.base = A64_HVC_BASE,
		.nr_functions = A64_HVC_COUNT,
		.action = SMCCC_FORWARD,
	};
	struct kvm_device_attr attr = {.group = SMCCC_CTRL_GROUP, .attr = SMCCC_FILTER_ATTR};

	if (ioctl(axkvm_vm_fd(vm->vm), KVM_HAS_DEVICE_ATTR, &attr) < 0)
		return; /* the doorbell is there for every KVM */
	attr.addr = (uintptr_t)&filter;
	vm->forwards_calls = ioctl(axkvm_vm_fd(vm->vm), KVM_SET_DEVICE_ATTR, &attr) == 0;
}

/* KVM gives the id; the arguments are in the registers. PC is behind the HVC. */
static bool decode_call(struct a64_vcpu *vcpu, const struct kvm_run *run, struct axvcpu_exit *exit)
{
	uint64_t regs[7];

	for (unsigned i = 0; i < AX_ARRAY_LEN(regs); i++)
		if (a64_get_reg(vcpu, A64_X(i), &regs[i], NULL) < 0)
			return false;
	regs[0] = run->hypercall.nr;
	a64_decode_call(regs, exit);
	if (exit->kind == AXVCPU_EXIT_HYPERCALL)
		vcpu->answer = exit;
	return true;
}

bool a64_decode(void *ctx, void *kvm_run, struct axvcpu_exit *exit)
{
	struct a64_vcpu *vcpu = ctx;
	const struct kvm_run *run = kvm_run;

	switch (run->exit_reason) {
	case KVM_EXIT_HYPERCALL:
		return decode_call(vcpu, run, exit);
	case KVM_EXIT_ARM_NISV:
		vcpu->has_undecoded = true;
		vcpu->undecoded_gpa = run->arm_nisv.fault_ipa;
		vcpu->undecoded_iss = run->arm_nisv.esr_iss;
		a64_decode_nisv(vcpu->undecoded_iss, vcpu->undecoded_gpa, exit);
		return true;
	case KVM_EXIT_SYSTEM_EVENT:
		atomic_store(&vcpu->vm->ended, true);
		return false;
	default:
		return false;
	}
}

int a64_answer_call(struct a64_vcpu *vcpu, struct ax_error *err)
{
	const uint64_t value = vcpu->answer->hypercall.ret;

	vcpu->answer = NULL;
	return a64_set_reg(vcpu, A64_X(0), value, err);
}
