/*
 * What this host's KVM can do: the gate that says whether any VM can run here, and the list of
 * facts behind it. Reads only; decides nothing but the required capabilities.
 */
#include "kvm_aarch64.h"

#include <errno.h>

#define CAPABILITY(cap, text)                        \
	{                                            \
		KVM_CAP_##cap, "KVM_CAP_" #cap, text \
	}
static const struct axkvm_requirement required[] = {
	CAPABILITY(USER_MEMORY, "give the guest memory"),
	CAPABILITY(ONE_REG, "set registers"),
	CAPABILITY(DEVICE_CTRL, "make an interrupt controller"),
	CAPABILITY(IRQCHIP, "have a GIC in the kernel"),
	CAPABILITY(ARM_PSCI_0_2, "start CPUs and end the machine"),
	CAPABILITY(IRQFD, "raise interrupts from I/O threads"),
	CAPABILITY(IOEVENTFD, "hear doorbells without stopping the vCPU"),
	CAPABILITY(IMMEDIATE_EXIT, "stop a vCPU without losing the request"),
	CAPABILITY(READONLY_MEM, "protect memory from the guest"),
	CAPABILITY(MP_STATE, "know which CPUs are powered"),
	CAPABILITY(DESTROY_MEMORY_REGION_WORKS, "take memory away at run time"),
};

static const struct axkvm_requirement optional[] = {
	CAPABILITY(ARM_VM_IPA_SIZE, "address bits a guest can have; none: 40"),
	CAPABILITY(ARM_PMU_V3, "performance counters"),
	CAPABILITY(ARM_SVE, "scalable vectors"),
	CAPABILITY(ARM_PTRAUTH_ADDRESS, "pointer authentication"),
	CAPABILITY(ARM_PTRAUTH_GENERIC, "pointer authentication"),
	CAPABILITY(ARM_NISV_TO_USER, "telling where an access failed that KVM cannot decode"),
	CAPABILITY(ARM_IRQ_LINE_LAYOUT_2, "private interrupts of CPUs beyond 255"),
	CAPABILITY(IRQFD_RESAMPLE, "level interrupts without polling"),
	CAPABILITY(IOEVENTFD_ANY_LENGTH, "doorbells of any width, which are faster"),
	CAPABILITY(BINARY_STATS_FD, "KVM's own counters, and seeing which vCPU is halted"),
	CAPABILITY(NR_MEMSLOTS, "memory slots a VM can have"),
	CAPABILITY(NR_VCPUS, "vCPUs a VM should have at most"),
	CAPABILITY(MAX_VCPUS, "vCPUs a VM can have"),
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
	struct axkvm *kvm = NULL;
	int ret = axkvm_open(kvm_device, &kvm, err);
	if (ret < 0)
		return ret;
	ret = a64_require(kvm, err);
	axkvm_close(kvm);
	return ret;
}

struct fact_list {
	struct axarch_fact *facts;
	size_t max, count;
};

static void add(struct fact_list *list, const char *name, bool is_required, int value,
		const char *what)
{
	if (list->count < list->max)
		list->facts[list->count] = (struct axarch_fact){name, is_required, value, what};
	list->count++;
}

size_t a64_facts(const char *kvm_device, struct axarch_fact *facts, size_t max)
{
	struct fact_list list = {.facts = facts, .max = max};
	struct abilities can = {.gic2 = false};
	struct axkvm *kvm = NULL;

	if (axkvm_open(kvm_device, &kvm, NULL) < 0)
		kvm = NULL;
	if (kvm)
		ask_vm(kvm, &can);
	add(&list, "KVM API", true, kvm ? axkvm_api_version(kvm) : 0, "everything");
	add(&list, "GICv3", false, can.gic3, "interrupts for up to 512 CPUs");
	add(&list, "GICv2", false, can.gic2, "interrupts for up to 8 CPUs");
	add(&list, "KVM_ARM_VM_SMCCC_FILTER", false, can.calls,
	    "hypercalls by HVC; the doorbell needs none");
	for (size_t i = 0; i < AX_ARRAY_LEN(required); i++)
		add(&list, required[i].name, true,
		    kvm ? axkvm_check(kvm, required[i].capability) : 0, required[i].why);
	for (size_t i = 0; i < AX_ARRAY_LEN(optional); i++)
		add(&list, optional[i].name, false,
		    kvm ? axkvm_check(kvm, optional[i].capability) : 0, optional[i].why);
	axkvm_close(kvm);
	return list.count;
}
