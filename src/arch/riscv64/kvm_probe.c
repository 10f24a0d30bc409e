/*
 * What this host's KVM can do: the gate that says whether any VM can run here, and the list of
 * facts behind it. Reads only; decides nothing but the required capabilities.
 */
#include "kvm_riscv64.h"

#define CAP(cap, text)                               \
	{                                            \
		KVM_CAP_##cap, "KVM_CAP_" #cap, text \
	}
static const struct axkvm_requirement required[] = {
	CAP(USER_MEMORY, "give the guest memory"),
	CAP(ONE_REG, "set and read the registers of a vCPU"),
	CAP(IOEVENTFD, "hear doorbells without stopping the vCPU"),
	CAP(IMMEDIATE_EXIT, "stop a vCPU without losing the request"),
	CAP(READONLY_MEM, "protect memory from the guest"),
	CAP(MP_STATE, "start further harts"),
	CAP(DESTROY_MEMORY_REGION_WORKS, "take memory away at run time"),
};
static const struct axkvm_requirement optional[] = {
	CAP(IRQCHIP, "AIA: APLIC and IMSICs in the kernel; else a PLIC outside"),
	CAP(SIGNAL_MSI, "with the AIA, inject interrupts"),
	CAP(IOEVENTFD_ANY_LENGTH, "doorbells of any width, which are faster"),
	CAP(VM_GPA_BITS, "address bits a guest has"),
	CAP(BINARY_STATS_FD, "KVM's own counters, and seeing which vCPU is halted"),
	CAP(NR_MEMSLOTS, "memory slots a VM can have"),
	CAP(NR_VCPUS, "vCPUs a VM should have at most"),
	CAP(MAX_VCPUS, "vCPUs a VM can have"),
	CAP(MAX_VCPU_ID, "hart ids are below this"),
};

int rv64_require(const struct axkvm *kvm, struct ax_error *err)
{
	return axkvm_require(kvm, required, AX_ARRAY_LEN(required), err);
}

int rv64_probe(const char *kvm_device, struct ax_error *err)
{
	struct axkvm *kvm = NULL;
	int ret = axkvm_open(kvm_device, &kvm, err);

	if (ret < 0)
		return ret;
	ret = rv64_require(kvm, err);
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

size_t rv64_facts(const char *kvm_device, struct axarch_fact *facts, size_t max)
{
	struct fact_list list = {.facts = facts, .max = max};
	struct axkvm *kvm = NULL;

	if (axkvm_open(kvm_device, &kvm, NULL) < 0)
		kvm = NULL;
	add(&list, "KVM API", true, kvm ? axkvm_api_version(kvm) : 0, "everything");
	for (size_t i = 0; i < AX_ARRAY_LEN(required); i++)
		add(&list, required[i].name, true,
		    kvm ? axkvm_check(kvm, required[i].capability) : 0, required[i].why);
	for (size_t i = 0; i < AX_ARRAY_LEN(optional); i++)
		add(&list, optional[i].name, false,
		    kvm ? axkvm_check(kvm, optional[i].capability) : 0, optional[i].why);
	axkvm_close(kvm);
	return list.count;
}
