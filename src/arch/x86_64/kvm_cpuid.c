/*
 * CPUID between KVM and the model: asks KVM and the processor once a VM what they have, switches
 * off exits that the guest is to do without, has the model edit a copy for each vCPU, and loads it.
 * What a guest reads is decided in cpuid.c.
 */
#include "kvm_x86.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MAX_ENTRIES 256u /* KVM's own limit (KVM_MAX_CPUID_ENTRIES) */

static struct kvm_cpuid2 *alloc_cpuid(void)
{
	return calloc(1, sizeof(struct kvm_cpuid2) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));
}

/* KVM tells nothing of MONITOR's leaf, and of UMIP not whose it is. */
static void read_processor(struct axarch_vm *vm)
{
	enum { ECX_MONITOR = 1u << 3, ECX_UMIP = 1u << 2 };
	struct x86_cpuid_entry e = {.leaf = 5};
	unsigned eax, ebx, ecx = 0, edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & ECX_MONITOR &&
	    __get_cpuid(5, &e.eax, &e.ebx, &e.ecx, &e.edx))
		vm->host_mwait = e;
	vm->host_is_intel = __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_INTEL_ebx;
	ecx = 0;
	vm->host_has_umip = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ecx & ECX_UMIP;
}

int x86_read_supported_cpuid(struct axarch_vm *vm, struct ax_error *err)
{
	vm->cpuid = alloc_cpuid();
	if (!vm->cpuid)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for CPUID");
	vm->has_tsc_deadline = axkvm_check(vm->kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	vm->cpuid->nent = MAX_ENTRIES;
	if (ioctl(axkvm_fd(vm->kvm), KVM_GET_SUPPORTED_CPUID, vm->cpuid) < 0)
		return ax_error_set(err, AX_ERROR_CPUID_SETUP, errno, "KVM_GET_SUPPORTED_CPUID: %s",
				    strerror(errno));
	read_processor(vm);
	return 0;
}

/* Linux 6.1 knows four; those that a KVM does not offer exit as ever. */
void x86_vm_let_wait(struct axarch_vm *vm)
{
	static const struct {
		uint32_t wait;
		uint64_t kvm;
	} rows[] = {
		{AXARCH_WAIT_MWAIT, KVM_X86_DISABLE_EXITS_MWAIT},
		{AXARCH_WAIT_HALT, KVM_X86_DISABLE_EXITS_HLT},
		{AXARCH_WAIT_PAUSE, KVM_X86_DISABLE_EXITS_PAUSE},
		{AXARCH_WAIT_CSTATE, KVM_X86_DISABLE_EXITS_CSTATE},
	};
	const int can = axkvm_check(vm->kvm, KVM_CAP_X86_DISABLE_EXITS);
	struct kvm_enable_cap cap = {.cap = KVM_CAP_X86_DISABLE_EXITS};
	uint32_t offered = 0;

	for (size_t i = 0; can > 0 && i < AX_ARRAY_LEN(rows); i++)
		offered |= (uint64_t)can & rows[i].kvm ? rows[i].wait : 0;
	const uint32_t waits = x86_own_waits(vm->config.cpu.own_waits, offered, &vm->host_mwait,
					     vm->host_is_intel);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		cap.args[0] |= waits & rows[i].wait ? rows[i].kvm : 0;
	if (!cap.args[0])
		return;
	if (ioctl(axkvm_vm_fd(vm->vm), KVM_ENABLE_CAP, &cap) >= 0)
		vm->own_waits = waits;
	else
		ax_log(AX_LOG_WARN, LAYER, "%s: KVM keeps its exits on waiting (0x%llx): %s",
		       vm->name, (unsigned long long)cap.args[0], strerror(errno));
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
		.tsc_deadline = vm->has_irqchip && vm->has_tsc_deadline,
		.x2apic = vm->has_irqchip,
		.msi_ext_dest = vm->ioapic != NULL,
		.tsc_khz = vm->tsc_khz,
		.own_waits = vm->own_waits,
		.host_mwait = &vm->host_mwait,
		.host_has_umip = vm->host_has_umip,
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
