/*
 * What this host's KVM can do: the gate that says whether any VM can run here, and the list of
 * facts behind it. Reads only; decides nothing but the required capabilities.
 */
#include "kvm_aarch64.h"

static const struct axkvm_requirement required[] = {
	AXARCH_CAP(USER_MEMORY, "give the guest memory"),
	AXARCH_CAP(ONE_REG, "set registers"),
	AXARCH_CAP(DEVICE_CTRL, "make an interrupt controller"),
	AXARCH_CAP(IRQCHIP, "have a GIC in the kernel"),
	AXARCH_CAP(ARM_PSCI_0_2, "start CPUs and end the machine"),
	AXARCH_CAP(IRQFD, "raise interrupts from I/O threads"),
	AXARCH_CAP(IOEVENTFD, "hear doorbells without stopping the vCPU"),
	AXARCH_CAP(IMMEDIATE_EXIT, "stop a vCPU without losing the request"),
	AXARCH_CAP(READONLY_MEM, "protect memory from the guest"),
	AXARCH_CAP(MP_STATE, "know which CPUs are powered"),
	AXARCH_CAP(DESTROY_MEMORY_REGION_WORKS, "take memory away at run time"),
};

static const struct axkvm_requirement optional[] = {
	AXARCH_CAP(ARM_VM_IPA_SIZE, "address bits a guest can have; none: 40"),
	AXARCH_CAP(ARM_PMU_V3, "performance counters"),
	AXARCH_CAP(ARM_SVE, "scalable vectors"),
	AXARCH_CAP(ARM_PTRAUTH_ADDRESS, "pointer authentication"),
	AXARCH_CAP(ARM_PTRAUTH_GENERIC, "pointer authentication"),
	AXARCH_CAP(ARM_NISV_TO_USER, "telling where an access failed that KVM cannot decode"),
	AXARCH_CAP(ARM_IRQ_LINE_LAYOUT_2, "private interrupts of CPUs beyond 255"),
	AXARCH_CAP(IRQFD_RESAMPLE, "level interrupts without polling"),
	AXARCH_CAP(IOEVENTFD_ANY_LENGTH, "doorbells of any width, which are faster"),
	AXARCH_CAP(BINARY_STATS_FD, "KVM's own counters, and seeing which vCPU is halted"),
	AXARCH_CAP(NR_MEMSLOTS, "memory slots a VM can have"),
	AXARCH_CAP(NR_VCPUS, "vCPUs a VM should have at most"),
	AXARCH_CAP(MAX_VCPUS, "vCPUs a VM can have"),
};

int a64_require(const struct axkvm *kvm, struct ax_error *err)
{
	return axkvm_require(kvm, required, AX_ARRAY_LEN(required), err);
}

struct abilities {
	bool gic2, gic3, calls;
};

/* Only a VM can be asked; it is gone at once. */
static void ask_vm(struct axkvm *kvm, struct abilities *ret)
{
	struct axarch_vm vm = {.kvm = kvm};

	*ret = (struct abilities){.gic2 = false};
	const int bits = axkvm_check(kvm, KVM_CAP_ARM_VM_IPA_SIZE);
	if (axkvm_vm_create(kvm, bits > 0 ? (unsigned long)bits : 0, &vm.vm, NULL) < 0)
		return;
	ret->gic2 = a64_gic_exists(vm.vm, 2);
	ret->gic3 = a64_gic_exists(vm.vm, 3);
	a64_forward_calls(&vm);
	ret->calls = vm.forwards_calls;
	axkvm_vm_destroy(vm.vm);
}

int a64_probe(const char *kvm_device, struct ax_error *err)
{
	return axarch_probe_kvm(kvm_device, required, AX_ARRAY_LEN(required), err);
}

size_t a64_facts(const char *kvm_device, struct axarch_fact *facts, size_t max)
{
	struct axarch_fact_list list = {.facts = facts, .max = max};
	struct abilities can = {.gic2 = false};
	struct axkvm *kvm = NULL;

	if (axkvm_open(kvm_device, &kvm, NULL) < 0)
		kvm = NULL;
	if (kvm)
		ask_vm(kvm, &can);
	axarch_add_fact(&list, "KVM API", true, kvm ? axkvm_api_version(kvm) : 0, "everything");
	axarch_add_fact(&list, "GICv3", false, can.gic3, "interrupts for up to 512 CPUs");
	axarch_add_fact(&list, "GICv2", false, can.gic2, "interrupts for up to 8 CPUs");
	axarch_add_fact(&list, "KVM_ARM_VM_SMCCC_FILTER", false, can.calls,
			"hypercalls by HVC; the doorbell needs none");
	axarch_add_capabilities(&list, kvm, required, AX_ARRAY_LEN(required), true);
	axarch_add_capabilities(&list, kvm, optional, AX_ARRAY_LEN(optional), false);
	axkvm_close(kvm);
	return list.count;
}
