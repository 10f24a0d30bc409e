/*
 * What this host's KVM can do: the gate that says whether any VM can run here, and the list of
 * facts behind it. Reads only; decides nothing but the required capabilities.
 */
#include "kvm_x86.h"

#include <cpuid.h>
#include <fcntl.h>
#include <unistd.h>

#define REQUIRED(cap, text)                          \
	{                                            \
		KVM_CAP_##cap, "KVM_CAP_" #cap, text \
	}
static const struct axkvm_requirement required[] = {
	REQUIRED(USER_MEMORY, "give the guest memory"),
	REQUIRED(SET_TSS_ADDR, "keep KVM's helper pages out of guest memory"),
	REQUIRED(SET_IDENTITY_MAP_ADDR, "keep KVM's helper pages out of guest memory"),
	REQUIRED(EXT_CPUID, "tell each vCPU its own CPUID"),
	REQUIRED(IRQCHIP, "have LAPIC and IOAPIC in the kernel"),
	REQUIRED(IRQFD, "raise interrupts from I/O threads"),
	REQUIRED(IOEVENTFD, "hear doorbells without stopping the vCPU"),
	REQUIRED(SIGNAL_MSI, "inject interrupts by vector"),
	REQUIRED(IMMEDIATE_EXIT, "stop a vCPU without losing the request"),
	REQUIRED(READONLY_MEM, "protect memory from the guest"),
	REQUIRED(MP_STATE, "start application processors"),
	REQUIRED(DESTROY_MEMORY_REGION_WORKS, "take memory away at run time"),
};

#define OPTIONAL(cap, text)                          \
	{                                            \
		KVM_CAP_##cap, "KVM_CAP_" #cap, text \
	}
static const struct axkvm_requirement optional[] = {
	OPTIONAL(TSC_DEADLINE_TIMER, "guest timers with one exit instead of two"),
	OPTIONAL(TSC_CONTROL, "give the guest another TSC frequency"),
	OPTIONAL(GET_TSC_KHZ, "tell the guest its TSC frequency"),
	OPTIONAL(X2APIC_API, "APIC ids beyond 254"),
	OPTIONAL(SPLIT_IRQCHIP, "an IOAPIC outside the kernel"),
	OPTIONAL(PIT2, "a PIT for kernels without another timer"),
	OPTIONAL(IRQFD_RESAMPLE, "level interrupts without polling"),
	OPTIONAL(IOEVENTFD_ANY_LENGTH, "doorbells of any width, which are faster"),
	OPTIONAL(X86_USER_SPACE_MSR, "devices that are MSRs"),
	OPTIONAL(X86_MSR_FILTER, "devices that are MSRs"),
	OPTIONAL(BINARY_STATS_FD, "KVM's own counters, and seeing which vCPU is halted"),
	OPTIONAL(DIRTY_LOG_RING, "tracking written pages by ring"),
	OPTIONAL(NR_MEMSLOTS, "memory slots a VM can have"),
	OPTIONAL(NR_VCPUS, "vCPUs a VM should have at most"),
	OPTIONAL(MAX_VCPUS, "vCPUs a VM can have"),
	OPTIONAL(MAX_VCPU_ID, "APIC ids are below this"),
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
	struct axkvm *kvm = NULL;
	int ret = axkvm_open(kvm_device, &kvm, err);
	if (ret < 0)
		return ret;
	ret = x86_require(kvm, err);
	axkvm_close(kvm);
	return ret;
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

size_t x86_facts(const char *kvm_device, struct axarch_fact *facts, size_t max)
{
	struct fact_list list = {.facts = facts, .max = max};
	struct axkvm *kvm = NULL;
	bool hardware = x86_host_has_virtualization();

	if (axkvm_open(kvm_device, &kvm, NULL) < 0)
		kvm = NULL;
	add(&list, "KVM API", true, kvm ? axkvm_api_version(kvm) : 0, "everything");
	add(&list, "vmx/svm", false, hardware,
	    hardware || !kvm ? "virtualization in hardware"
			     : "virtualization in hardware; without it this is a paravirtual or "
			       "partial KVM, which may run payloads but not stock kernels");
	for (size_t i = 0; i < AX_ARRAY_LEN(required); i++)
		add(&list, required[i].name, true,
		    kvm ? axkvm_check(kvm, required[i].capability) : 0, required[i].why);
	for (size_t i = 0; i < AX_ARRAY_LEN(optional); i++)
		add(&list, optional[i].name, false,
		    kvm ? axkvm_check(kvm, optional[i].capability) : 0, optional[i].why);
	for (size_t i = 0; i < AX_ARRAY_LEN(parameters); i++) {
		int value = read_parameter(parameters[i].path);
		if (value >= 0)
			add(&list, parameters[i].name, false, value, parameters[i].what);
	}
	axkvm_close(kvm);
	return list.count;
}
