/*
 * CPUID between KVM and the model: asks KVM once a VM what it supports, has the model edit a copy
 * for each vCPU, and loads it. What a guest reads is decided in cpuid.c.
 */
#include "kvm_x86.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MAX_ENTRIES 256u /* KVM's own limit (KVM_MAX_CPUID_ENTRIES) */

static struct kvm_cpuid2 *alloc_cpuid(void)
{
	return calloc(1, sizeof(struct kvm_cpuid2) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));
}

int x86_read_supported_cpuid(struct axarch_vm *vm, struct ax_error *err)
{
	vm->cpuid = alloc_cpuid();
	if (!vm->cpuid)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for CPUID");
	vm->cpuid->nent = MAX_ENTRIES;
	if (ioctl(axkvm_fd(vm->kvm), KVM_GET_SUPPORTED_CPUID, vm->cpuid) < 0)
		return ax_error_set(err, AX_ERROR_CPUID_SETUP, errno, "KVM_GET_SUPPORTED_CPUID: %s",
				    strerror(errno));
	return 0;
}

static void to_model(const struct kvm_cpuid_entry2 *from, struct x86_cpuid_entry *to)
{
	*to = (struct x86_cpuid_entry){
		.leaf = from->function,
		.subleaf = from->index,
		.has_subleaf = from->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = from->eax,
		.ebx = from->ebx,
		.ecx = from->ecx,
		.edx = from->edx,
	};
}

static void from_model(const struct x86_cpuid_entry *from, struct kvm_cpuid_entry2 *to)
{
	*to = (struct kvm_cpuid_entry2){
		.function = from->leaf,
		.index = from->subleaf,
		.flags = from->has_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
		.eax = from->eax,
		.ebx = from->ebx,
		.ecx = from->ecx,
		.edx = from->edx,
	};
}

int x86_vcpu_load_cpuid(struct x86_vcpu *vcpu, struct ax_error *err)
{
	struct axarch_vm *vm = vcpu->vm;
	AX_AUTO_FREE struct x86_cpuid_entry *entries = calloc(MAX_ENTRIES, sizeof(*entries));
	AX_AUTO_FREE struct kvm_cpuid2 *cpuid = alloc_cpuid();
	if (!entries || !cpuid)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for CPUID");

	/* The same host TSC for all; 0 when KVM will not say. */
	if (!vm->tsc_khz) {
		int khz = ioctl(axkvm_vcpu_fd(vcpu->kvm), KVM_GET_TSC_KHZ, 0);
		vm->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
	}
	const struct x86_cpuid_request request = {
		.apic_id = vcpu->apic_id,
		.max_apic_id = vm->max_apic_id,
		.vcpu_count = vm->config.vcpu_count,
		.policy = &vm->config.cpu,
		.tsc_deadline =
			vm->has_irqchip && axkvm_check(vm->kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
		.x2apic = vm->has_irqchip,
		.tsc_khz = vm->tsc_khz,
	};
	for (uint32_t i = 0; i < vm->cpuid->nent; i++)
		to_model(&vm->cpuid->entries[i], &entries[i]);
	size_t count = x86_cpuid_edit(entries, vm->cpuid->nent, MAX_ENTRIES, &request);
	cpuid->nent = (uint32_t)count;
	for (size_t i = 0; i < count; i++)
		from_model(&entries[i], &cpuid->entries[i]);
	return x86_vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2", AX_ERROR_CPUID_SETUP,
			      err);
}
