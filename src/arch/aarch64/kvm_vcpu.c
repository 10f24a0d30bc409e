/*
 * One aarch64 vCPU as axvcpu drives it: what it can do, creation, the order in which its start
 * state is loaded, and entering. Registers are kvm_regs.c's, interrupts kvm_gic.c's.
 */
#include "kvm_aarch64.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define BIT(n) (1u << (n))

/* ---- what it can do -------------------------------------------------------------------------- */

int a64_choose_features(struct axarch_vm *vm, struct ax_error *err)
{
	struct kvm_vcpu_init preferred;

	if (ioctl(axkvm_vm_fd(vm->vm), KVM_ARM_PREFERRED_TARGET, &preferred) < 0)
		return ax_error_set(err, AX_ERROR_VM_CREATION, errno,
				    "KVM_ARM_PREFERRED_TARGET: %s", strerror(errno));
	vm->target = preferred.target;
	vm->base_features = preferred.features[0] | BIT(KVM_ARM_VCPU_PSCI_0_2);
	/* Its interrupt needs the GIC. */
	vm->has_pmu = vm->config.irq_mode != AXARCH_IRQ_NONE &&
		      axkvm_check(vm->kvm, KVM_CAP_ARM_PMU_V3) > 0;
	vm->has_sve = axkvm_check(vm->kvm, KVM_CAP_ARM_SVE) > 0;
	/* KVM gives both kinds or none. */
	vm->has_ptrauth = axkvm_check(vm->kvm, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 &&
			  axkvm_check(vm->kvm, KVM_CAP_ARM_PTRAUTH_GENERIC) > 0;
	if (vm->has_pmu)
		vm->base_features |= BIT(KVM_ARM_VCPU_PMU_V3);
	if (vm->has_sve)
		vm->base_features |= BIT(KVM_ARM_VCPU_SVE);
	if (vm->has_ptrauth)
		vm->base_features |=
			BIT(KVM_ARM_VCPU_PTRAUTH_ADDRESS) | BIT(KVM_ARM_VCPU_PTRAUTH_GENERIC);
	return 0;
}

/* All but the first wait, powered off, for the guest's CPU_ON. */
static int init_vcpu(const struct a64_vcpu *vcpu, struct ax_error *err)
{
	const struct axarch_vm *vm = vcpu->vm;
	const int fd = axkvm_vcpu_fd(vcpu->kvm);
	struct kvm_vcpu_init init = {.target = vm->target, .features = {vm->base_features}};
	int sve = KVM_ARM_VCPU_SVE;

	if (vcpu->index)
		init.features[0] |= BIT(KVM_ARM_VCPU_POWER_OFF);
	if (ioctl(fd, KVM_ARM_VCPU_INIT, &init) < 0)
		return ax_error_set(
			err, AX_ERROR_VCPU_CREATION, errno,
			"KVM_ARM_VCPU_INIT of vCPU %u with target %u and features 0x%x: %s",
			vcpu->index, init.target, init.features[0], strerror(errno));
	/* Vectors as long as the host's. */
	if (vm->has_sve && ioctl(fd, KVM_ARM_VCPU_FINALIZE, &sve) < 0)
		return ax_error_set(err, AX_ERROR_VCPU_CREATION, errno,
				    "KVM_ARM_VCPU_FINALIZE of vCPU %u's SVE: %s", vcpu->index,
				    strerror(errno));
	return 0;
}

/* The GIC is there by now, which KVM insists on. */
static int init_pmu(const struct a64_vcpu *vcpu, struct ax_error *err)
{
	const int fd = axkvm_vcpu_fd(vcpu->kvm);
	const int intid = A64_PPI_FIRST_INTID + A64_PPI_PMU;
	int ret = a64_set_attr(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &intid,
			       "the PMU's interrupt", err);

	if (ret == 0)
		ret = a64_set_attr(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL,
				   "KVM_ARM_VCPU_PMU_V3_INIT", err);
	return ret;
}

/* ---- driving it ------------------------------------------------------------------------------ */

/* KVM's reset state is the one a kernel wants: EL1, MMU off, interrupts masked. */
static int vcpu_setup(void *impl, struct ax_error *err)
{
	struct a64_vcpu *vcpu = impl;
	const struct a64_start *start = &vcpu->vm->start;
	int ret = vcpu->vm->has_pmu ? init_pmu(vcpu, err) : 0;

	if (ret < 0 || vcpu->index)
		return ret;
	ret = a64_set_reg(vcpu, A64_X(0), start->x0, err);
	if (ret == 0)
		ret = a64_set_reg(vcpu, A64_CORE(regs.pc), start->pc, err);
	return ret;
}

static int vcpu_run(void *impl, struct axvcpu_exit *exit, struct ax_error *err)
{
	struct a64_vcpu *vcpu = impl;
	int ret = vcpu->answer ? a64_answer_call(vcpu, err) : 0;

	return ret < 0 ? ret : axkvm_vcpu_run(vcpu->kvm, exit, a64_decode, vcpu, err);
}

static int vcpu_complete(void *impl, struct ax_error *err)
{
	struct a64_vcpu *vcpu = impl;
	int ret = vcpu->answer ? a64_answer_call(vcpu, err) : 0;

	return ret < 0 ? ret : axkvm_vcpu_complete(vcpu->kvm, err);
}

/* Has it executed anything? Not known where KVM has no statistics. */
static bool has_run(const struct a64_vcpu *vcpu)
{
	uint64_t exits = 0;

	return axkvm_vcpu_stat(vcpu->kvm, "exits", &exits) < 0 || exits > 0;
}

/* KVM tells of WFI. One that waits for its first CPU_ON has not run; one that was switched off
 * later cannot be told from one that runs. */
static bool vcpu_halted(void *impl)
{
	struct a64_vcpu *vcpu = impl;

	return axkvm_vcpu_halted(vcpu->kvm) || (vcpu->index && !has_run(vcpu));
}

/* After the end of the machine the power states are gone; then it is enough to have been up. */
static int vcpu_online(void *impl, bool *ret_online, struct ax_error *err)
{
	struct a64_vcpu *vcpu = impl;

	if (atomic_load(&vcpu->vm->ended)) {
		*ret_online = has_run(vcpu);
		return 0;
	}
	return axkvm_vcpu_online(vcpu->kvm, ret_online, err);
}

static void vcpu_destroy(void *impl)
{
	struct a64_vcpu *vcpu = impl;
	if (!vcpu)
		return;
	vcpu->vm->vcpus[vcpu->index] = NULL;
	axkvm_vcpu_destroy(vcpu->kvm);
	free(vcpu);
}

_Static_assert(offsetof(struct a64_vcpu, kvm) == 0, "axarch_kvm_* find it there");
static const struct axvcpu_ops vcpu_ops = {
	.setup = vcpu_setup,
	.run = vcpu_run,
	.kick = axarch_kvm_kick,
	.clear_kick = axarch_kvm_clear_kick,
	.complete = vcpu_complete,
	.halted = vcpu_halted,
	.online = vcpu_online,
	.inject = a64_vcpu_inject,
	.set_entry = a64_vcpu_set_entry,
	.set_gpr = a64_vcpu_set_gpr,
	.get_gpr = a64_vcpu_get_gpr,
	.set_return_value = a64_vcpu_set_return_value,
	.dump = a64_vcpu_dump,
	.destroy = vcpu_destroy,
};

int a64_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
		    void **ret_impl, struct ax_error *err)
{
	int ret = axarch_check_new_vcpu(&vm->config, vm->vcpus, index, err);
	if (ret < 0)
		return ret;
	struct a64_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for vCPU %u",
				    index);
	vcpu->vm = vm;
	vcpu->index = index;
	ret = axkvm_vcpu_create(vm->vm, index, &vcpu->kvm, err);
	if (ret == 0) {
		ret = init_vcpu(vcpu, err);
		if (ret < 0)
			axkvm_vcpu_destroy(vcpu->kvm);
	}
	if (ret < 0) {
		free(vcpu);
		return ret;
	}
	vm->vcpus[index] = vcpu->kvm;
	*ret_ops = &vcpu_ops;
	*ret_impl = vcpu;
	return 0;
}
