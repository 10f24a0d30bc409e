/*
 * What this host's KVM can do: the gate that says whether any VM can run here, and the list of
 * facts behind it. Reads only; decides nothing but the required capabilities.
 */
#include "kvm_x86.h"

#include <cpuid.h>
#include <fcntl.h>
#include <unistd.h>

static const struct axkvm_requirement required[] = {
	AXARCH_CAP(USER_MEMORY, "give the guest memory"),
	AXARCH_CAP(SET_TSS_ADDR, "keep KVM's helper pages out of guest memory"),
	AXARCH_CAP(SET_IDENTITY_MAP_ADDR, "keep KVM's helper pages out of guest memory"),
	AXARCH_CAP(EXT_CPUID, "tell each vCPU its own CPUID"),
	AXARCH_CAP(IRQCHIP, "have LAPIC and IOAPIC in the kernel"),
	AXARCH_CAP(IRQFD, "raise interrupts from I/O threads"),
	AXARCH_CAP(IOEVENTFD, "hear doorbells without stopping the vCPU"),
	AXARCH_CAP(SIGNAL_MSI, "inject interrupts by vector"),
	AXARCH_CAP(IMMEDIATE_EXIT, "stop a vCPU without losing the request"),
	AXARCH_CAP(READONLY_MEM, "protect memory from the guest"),
	AXARCH_CAP(MP_STATE, "start application processors"),
	AXARCH_CAP(DESTROY_MEMORY_REGION_WORKS, "take memory away at run time"),
};

static const struct axkvm_requirement optional[] = {
	AXARCH_CAP(TSC_DEADLINE_TIMER, "guest timers with one exit instead of two"),
	AXARCH_CAP(TSC_CONTROL, "give the guest another TSC frequency"),
	AXARCH_CAP(GET_TSC_KHZ, "tell the guest its TSC frequency"),
	AXARCH_CAP(X86_DISABLE_EXITS, "guests that idle without exits on cores of their own"),
	AXARCH_CAP(X2APIC_API, "APIC ids beyond 254"),
	AXARCH_CAP(SPLIT_IRQCHIP, "interrupts for APIC ids beyond 255"),
	AXARCH_CAP(PIT2, "a PIT for kernels without another timer"),
	AXARCH_CAP(IRQ_ROUTING, "interrupts of PCI devices, one for each queue"),
	AXARCH_CAP(IRQFD_RESAMPLE, "level interrupts without polling"),
	AXARCH_CAP(IOEVENTFD_ANY_LENGTH, "doorbells of any width, which are faster"),
	AXARCH_CAP(X86_USER_SPACE_MSR, "devices that are MSRs"),
	AXARCH_CAP(X86_MSR_FILTER, "devices that are MSRs"),
	AXARCH_CAP(BINARY_STATS_FD, "KVM's own counters, and seeing which vCPU is halted"),
	AXARCH_CAP(DIRTY_LOG_RING, "tracking written pages by ring"),
	AXARCH_CAP(NR_MEMSLOTS, "memory slots a VM can have"),
	AXARCH_CAP(NR_VCPUS, "vCPUs a VM should have at most"),
	AXARCH_CAP(MAX_VCPUS, "vCPUs a VM can have"),
	AXARCH_CAP(MAX_VCPU_ID, "APIC ids are below this"),
};

/* Module parameters, where the modules are: read, never written. */
static const struct {
	const char *name, *path, *what;
} parameters[] = {
	{"kvm_intel.ept", "/sys/module/kvm_intel/parameters/ept", "nested paging in hardware"},
	{"kvm_intel.unrestricted_guest", "/sys/module/kvm_intel/parameters/unrestricted_guest",
	 "real mode in hardware"},
	{"kvm_intel.enable_apicv", "/sys/module/kvm_intel/parameters/enable_apicv",
	 "interrupts without exits"},
	{"kvm_intel.nested", "/sys/module/kvm_intel/parameters/nested", "KVM inside the guest"},
	{"kvm_amd.npt", "/sys/module/kvm_amd/parameters/npt", "nested paging in hardware"},
	{"kvm_amd.avic", "/sys/module/kvm_amd/parameters/avic", "interrupts without exits"},
	{"kvm_amd.nested", "/sys/module/kvm_amd/parameters/nested", "KVM inside the guest"},
	{"kvm.halt_poll_ns", "/sys/module/kvm/parameters/halt_poll_ns",
	 "how long a halting vCPU is polled before it sleeps"},
};

bool x86_host_has_virtualization(void)
{
	unsigned eax, ebx, ecx = 0, edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 5)))
		return true;                                                         /* VMX */
	return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 2)); /* SVM */
}

int x86_require(const struct axkvm *kvm, struct ax_error *err)
{
	return axkvm_require(kvm, required, AX_ARRAY_LEN(required), err);
}

int x86_probe(const char *kvm_device, struct ax_error *err)
{
	return axarch_probe_kvm(kvm_device, required, AX_ARRAY_LEN(required), err);
}

/* "Y", "N" or a number; -1 when the module or the parameter is not there. */
static int read_parameter(const char *path)
{
	char text[16];
	AX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	uint64_t number;

	if (n <= 0)
		return -1;
	text[n] = '\0';
	if (text[n - 1] == '\n')
		text[n - 1] = '\0';
	if (text[0] == 'Y')
		return 1;
	return ax_parse_size(text, 1, &number) == 0 && number <= INT32_MAX ? (int)number : 0;
}

size_t x86_facts(const char *kvm_device, struct axarch_fact *facts, size_t max)
{
	struct axarch_fact_list list = {.facts = facts, .max = max};
	struct axkvm *kvm = NULL;
	bool hardware = x86_host_has_virtualization();

	if (axkvm_open(kvm_device, &kvm, NULL) < 0)
		kvm = NULL;
	axarch_add_fact(&list, "KVM API", true, kvm ? axkvm_api_version(kvm) : 0, "everything");
	axarch_add_fact(&list, "vmx/svm", false, hardware,
			hardware || !kvm
				? "virtualization in hardware"
				: "virtualization in hardware; without it this is a paravirtual or "
				  "partial KVM, which may run payloads but not stock kernels");
	axarch_add_capabilities(&list, kvm, required, AX_ARRAY_LEN(required), true);
	axarch_add_capabilities(&list, kvm, optional, AX_ARRAY_LEN(optional), false);
	for (size_t i = 0; i < AX_ARRAY_LEN(parameters); i++) {
		int value = read_parameter(parameters[i].path);
		if (value >= 0)
			axarch_add_fact(&list, parameters[i].name, false, value,
					parameters[i].what);
	}
	axkvm_close(kvm);
	return list.count;
}
