/*
 * One x86 vCPU as axvcpu drives it: creation under its APIC id, the order in which its start state
 * is loaded, and entering. Registers, interrupts, CPUID and MSRs are in files of their own.
 */
#include "kvm_x86.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

int x86_vcpu_ioctl(const struct x86_vcpu *vcpu, unsigned long request, void *arg, const char *what,
		   enum ax_error_kind kind, struct ax_error *err)
{
	if (ioctl(axkvm_vcpu_fd(vcpu->kvm), request, arg) >= 0)
		return 0;
	return ax_error_set(err, kind, errno, "%s of vCPU %u: %s", what, vcpu->index,
			    strerror(errno));
}

/*
 * CPUID first: KVM judges MSRs and control registers by it. Application processors stay as KVM made
 * them, waiting for INIT and SIPI; where there is no LAPIC nobody could send those, so all start
 * like the first.
 */
static int vcpu_setup(void *impl, struct ax_error *err)
{
	struct x86_vcpu *vcpu = impl;
	int ret = x86_vm_filter_msrs(vcpu->vm, err);

	if (ret == 0)
		ret = x86_vcpu_load_cpuid(vcpu, err);
	if (ret == 0)
		ret = x86_vcpu_load_msrs(vcpu, err);
	if (ret == 0 && vcpu->vm->has_irqchip)
		ret = x86_vcpu_load_lapic(vcpu, err);
	if (ret == 0 && (vcpu->index == 0 || !vcpu->vm->has_irqchip))
		ret = x86_vcpu_load_start(vcpu, err);
	return ret;
}

static int vcpu_run(void *impl, struct axvcpu_exit *exit, struct ax_error *err)
{
	struct x86_vcpu *vcpu = impl;
	uint32_t vector = 0;
	int ret;

	if (atomic_load_explicit(&vcpu->irq_waiting, memory_order_relaxed)) {
		ret = x86_vcpu_deliver(vcpu, err);
		if (ret < 0)
			return ret;
	}
	if (atomic_load_explicit(&vcpu->eoi_watched, memory_order_relaxed) &&
	    atomic_load_explicit(&vcpu->entered, memory_order_relaxed)) {
		/* *exit may hold the answer to the last exit; it is about to be overwritten. */
		ret = axkvm_vcpu_complete(vcpu->kvm, err);
		if (ret < 0)
			return ret;
		if (x86_vcpu_ended(vcpu, &vector)) {
			exit->kind = AXVCPU_EXIT_INTERRUPT_END;
			exit->interrupt.vector = vector;
			return 0;
		}
	}
	atomic_store_explicit(&vcpu->entered, true, memory_order_relaxed);
	ret = axkvm_vcpu_run(vcpu->kvm, exit, NULL, NULL, err);
	if (ret == 0 && exit->kind == AXVCPU_EXIT_INTERRUPT_END && vcpu->vm->ioapic)
		x86_ioapic_end(vcpu->vm->ioapic, (uint8_t)exit->interrupt.vector);
	return ret;
}

static void vcpu_destroy(void *impl)
{
	struct x86_vcpu *vcpu = impl;
	if (!vcpu)
		return;
	vcpu->vm->vcpus[vcpu->index] = NULL;
	axkvm_vcpu_destroy(vcpu->kvm);
	free(vcpu);
}

_Static_assert(offsetof(struct x86_vcpu, kvm) == 0, "axarch_kvm_* find it there");
static const struct axvcpu_ops vcpu_ops = {
	.setup = vcpu_setup,
	.run = vcpu_run,
	.kick = axarch_kvm_kick,
	.clear_kick = axarch_kvm_clear_kick,
	.complete = axarch_kvm_complete,
	.halted = axarch_kvm_halted,
	/* Application processors wait for INIT and SIPI. Linux takes a CPU down without telling
	 * anybody: it stays up here. */
	.online = axarch_kvm_online,
	.inject = x86_vcpu_inject,
	.set_entry = x86_vcpu_set_entry,
	.set_gpr = x86_vcpu_set_gpr,
	.get_gpr = x86_vcpu_get_gpr,
	.set_return_value = x86_vcpu_set_return_value,
	.dump = x86_vcpu_dump,
	.destroy = vcpu_destroy,
};

int x86_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
		    void **ret_impl, struct ax_error *err)
{
	int ret = axarch_check_new_vcpu(&vm->config, vm->vcpus, index, err);
	if (ret < 0)
		return ret;
	struct x86_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for vCPU %u",
				    index);
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->apic_id = vm->apic_ids[index];
	/* In KVM the vCPU's id is its APIC id. */
	ret = axkvm_vcpu_create(vm->vm, vcpu->apic_id, &vcpu->kvm, err);
	if (ret < 0) {
		free(vcpu);
		return ret;
	}
	vm->vcpus[index] = vcpu->kvm;
	*ret_ops = &vcpu_ops;
	*ret_impl = vcpu;
	return 0;
}
