/*
 * One riscv64 vCPU as axvcpu drives it: creation under its hart id, its start state, entering.
 * Registers, exits of its own and interrupts are in files of their own.
 */
#include "kvm_riscv64.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* KVM leaves the console's calls unanswered unless told that somebody listens. */
static int listen_to_console(struct rv64_vcpu *vcpu)
{
	int ret = 0;

	/* Before Linux 6.8 there is neither the extension nor the register. */
	if (vcpu->vm->console)
		ret = rv64_set_reg(vcpu, RV64_REG_SBI(RV64_SBI_DBCN), 1, NULL);
	return ret == -ENOENT || ret == -EINVAL ? 0 : ret;
}

/* The others stay as KVM made them, waiting for the SBI's hart_start. */
static int vcpu_setup(void *impl, struct ax_error *err)
{
	struct rv64_vcpu *vcpu = impl;
	const struct rv64_start *start = &vcpu->vm->start;
	int ret = listen_to_console(vcpu);

	if (ret < 0)
		return ax_error_set(err, AX_ERROR_BOOT_STATE, -ret,
				    "the SBI's debug console of vCPU %u: %s", vcpu->index,
				    strerror(-ret));
	if (vcpu->index != 0)
		return 0;
	ret = rv64_set_reg(vcpu, RV64_REG_CORE(RV64_CORE_PC), start->pc, err);
	if (ret == 0)
		ret = rv64_set_reg(vcpu, RV64_REG_CORE(RV64_CORE_A0), start->a0, err);
	if (ret == 0)
		ret = rv64_set_reg(vcpu, RV64_REG_CORE(RV64_CORE_A1), start->a1, err);
	return ret;
}

/* The guest made an access no KVM knows how to complete: fetching code where no memory is, or an
 * instruction that KVM does not emulate. KVM says so by failing. */
static bool is_guest_fault(const struct rv64_vcpu *vcpu, int ret)
{
	const struct kvm_run *run = axkvm_vcpu_run_page(vcpu->kvm);

	return ret == -EOPNOTSUPP && run->exit_reason == KVM_EXIT_UNKNOWN;
}

static void report_guest_fault(const struct rv64_vcpu *vcpu, struct axvcpu_exit *exit)
{
	uint64_t pc = 0;

	rv64_get_reg(vcpu, RV64_REG_CORE(RV64_CORE_PC), &pc, NULL);
	exit->kind = AXVCPU_EXIT_INTERNAL_ERROR;
	exit->failure.reason = KVM_EXIT_UNKNOWN;
	memset(exit->failure.detail, 0, sizeof(exit->failure.detail));
	exit->failure.detail[0] = pc;
}

static int vcpu_run(void *impl, struct axvcpu_exit *exit, struct ax_error *err)
{
	struct rv64_vcpu *vcpu = impl;
	int ret = rv64_settle(vcpu, err);

	if (ret < 0)
		return ret;
	if (rv64_second_half(vcpu, exit))
		return 0;
	ret = axkvm_vcpu_run(vcpu->kvm, exit, rv64_decode, vcpu, err);
	if (is_guest_fault(vcpu, ret)) {
		report_guest_fault(vcpu, exit);
		if (err)
			memset(err, 0, sizeof(*err));
		return 0;
	}
	if (ret == 0 && exit->kind != AXVCPU_EXIT_EXTERNAL_INTERRUPT &&
	    atomic_load_explicit(&vcpu->injected, memory_order_relaxed))
		rv64_vcpu_injected_done(vcpu);
	return ret;
}

/* A second half that is due stays so until the next run. */
static int vcpu_complete(void *impl, struct ax_error *err)
{
	struct rv64_vcpu *vcpu = impl;
	int ret = rv64_settle(vcpu, err);

	if (ret < 0 || vcpu->csr_step == RV64_CSR_WRITE_DUE)
		return ret;
	return axkvm_vcpu_complete(vcpu->kvm, err);
}

/* In WFI, or not started yet. KVM counts a hart that waits for its start neither as blocked nor as
 * having left the guest. */
static bool vcpu_halted(void *impl)
{
	struct rv64_vcpu *vcpu = impl;
	uint64_t exits = 0;

	if (axkvm_vcpu_halted(vcpu->kvm))
		return true;
	return vcpu->index != 0 && axkvm_vcpu_stat(vcpu->kvm, "exits", &exits) == 0 && exits == 0;
}

static void vcpu_destroy(void *impl)
{
	struct rv64_vcpu *vcpu = impl;
	if (!vcpu)
		return;
	vcpu->vm->vcpus[vcpu->index] = NULL;
	axkvm_vcpu_destroy(vcpu->kvm);
	free(vcpu);
}

_Static_assert(offsetof(struct rv64_vcpu, kvm) == 0, "axarch_kvm_* find it there");
static const struct axvcpu_ops vcpu_ops = {
	.setup = vcpu_setup,
	.run = vcpu_run,
	.kick = axarch_kvm_kick,
	.clear_kick = axarch_kvm_clear_kick,
	.complete = vcpu_complete,
	.halted = vcpu_halted,
	.online = axarch_kvm_online,
	.inject = rv64_vcpu_inject,
	.set_entry = rv64_vcpu_set_entry,
	.set_gpr = rv64_vcpu_set_gpr,
	.get_gpr = rv64_vcpu_get_gpr,
	.set_return_value = rv64_vcpu_set_return_value,
	.dump = rv64_vcpu_dump,
	.destroy = vcpu_destroy,
};

int rv64_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
		     void **ret_impl, struct ax_error *err)
{
	int ret = axarch_check_new_vcpu(&vm->config, vm->vcpus, index, err);
	if (ret < 0)
		return ret;
	struct rv64_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for vCPU %u",
				    index);
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->hart_id = vm->hart_ids[index];
	/* In KVM the vCPU's id is its hart id, and the first one made is the one that starts. */
	ret = axkvm_vcpu_create(vm->vm, vcpu->hart_id, &vcpu->kvm, err);
	if (ret == 0 && index == 0)
		ret = rv64_read_hart(vcpu, &vm->hart, err);
	if (ret < 0) {
		axkvm_vcpu_destroy(vcpu->kvm);
		free(vcpu);
		return ret;
	}
	vm->vcpus[index] = vcpu->kvm;
	*ret_ops = &vcpu_ops;
	*ret_impl = vcpu;
	return 0;
}
