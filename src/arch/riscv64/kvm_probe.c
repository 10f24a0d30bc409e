/*
 * What this host's KVM can do: the gate that says whether any VM can run here, and the list of
 * facts behind it. Reads only; decides nothing but the required capabilities.
 */
#include "kvm_riscv64.h"

static const struct axkvm_requirement required[] = {
	AXARCH_CAP(USER_MEMORY, "give the guest memory"),
	AXARCH_CAP(ONE_REG, "set and read the registers of a vCPU"),
	AXARCH_CAP(IOEVENTFD, "hear doorbells without stopping the vCPU"),
	AXARCH_CAP(IMMEDIATE_EXIT, "stop a vCPU without losing the request"),
	AXARCH_CAP(READONLY_MEM, "protect memory from the guest"),
	AXARCH_CAP(MP_STATE, "start further harts"),
	AXARCH_CAP(DESTROY_MEMORY_REGION_WORKS, "take memory away at run time"),
};
static const struct axkvm_requirement optional[] = {
	AXARCH_CAP(IRQCHIP, "AIA: APLIC and IMSICs in the kernel; else a PLIC outside"),
	AXARCH_CAP(SIGNAL_MSI, "with the AIA, inject interrupts"),
	AXARCH_CAP(IOEVENTFD_ANY_LENGTH, "doorbells of any width, which are faster"),
	AXARCH_CAP(VM_GPA_BITS, "address bits a guest has"),
	AXARCH_CAP(BINARY_STATS_FD, "KVM's own counters, and seeing which vCPU is halted"),
	AXARCH_CAP(NR_MEMSLOTS, "memory slots a VM can have"),
	AXARCH_CAP(NR_VCPUS, "vCPUs a VM should have at most"),
	AXARCH_CAP(MAX_VCPUS, "vCPUs a VM can have"),
	AXARCH_CAP(MAX_VCPU_ID, "hart ids are below this"),
};

int rv64_require(const struct axkvm *kvm, struct ax_error *err)
{
	return axkvm_require(kvm, required, AX_ARRAY_LEN(required), err);
}

int rv64_probe(const char *kvm_device, struct ax_error *err)
{
	return axarch_probe_kvm(kvm_device, required, AX_ARRAY_LEN(required), err);
}

size_t rv64_facts(const char *kvm_device, struct axarch_fact *facts, size_t max)
{
	struct axarch_fact_list list = {.facts = facts, .max = max};
	struct axkvm *kvm = NULL;

	if (axkvm_open(kvm_device, &kvm, NULL) < 0)
		kvm = NULL;
	axarch_add_fact(&list, "KVM API", true, kvm ? axkvm_api_version(kvm) : 0, "everything");
	axarch_add_capabilities(&list, kvm, required, AX_ARRAY_LEN(required), true);
	axarch_add_capabilities(&list, kvm, optional, AX_ARRAY_LEN(optional), false);
	axkvm_close(kvm);
	return list.count;
}
