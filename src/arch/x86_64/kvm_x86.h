/*
 * Private to the native half of x86_64: the VM and vCPU as KVM has them, and what the kvm_*.c and
 * platform files offer each other. The model half (x86.h) knows nothing of this.
 */
#ifndef AXVM_ARCH_X86_64_KVM_X86_H
#define AXVM_ARCH_X86_64_KVM_X86_H

#include "ioapic.h"
#include "x86.h"

#include "../native.h"

#include <axvm/kvm.h>

#include <linux/kvm.h>

#define LAYER "x86"

/* KVM_CAP_X2APIC_API argument bits: ids of 32 bits, and id 0xff is a CPU, not a broadcast. */
#ifndef KVM_X2APIC_API_USE_32BIT_IDS
#define KVM_X2APIC_API_USE_32BIT_IDS           (1ULL << 0)
#define KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK (1ULL << 1)
#endif

#define X86_PIN_ROUTES (X86_IOAPIC_PINS + 16) /* IOAPIC and PIC */
#define X86_MAX_MSIS   1024u

struct axarch_vm {
	char name[64];
	struct axarch_vm_config config;   /* name and hardware_ids point into this struct */
	struct axarch_topology *topology; /* what config.topology is, ours; or NULL */
	struct axarch_plan plan;
	uint32_t *apic_ids; /* vcpu_count of them */
	uint32_t max_apic_id;
	struct axkvm *kvm;
	struct axkvm_vm *vm;
	bool has_irqchip;
	uint32_t msi_count; /* GSIs from X86_IOAPIC_PINS on that messages can have */
	/* Where KVM's IOAPIC could not name all CPUs; NULL: it is KVM's, with PIC and PIT. */
	struct x86_ioapic *ioapic;
	struct ax_ratelimit irq_failures;

	/* What KVM supports, asked once, and what every vCPU's CPUID is made from. */
	struct kvm_cpuid2 *cpuid;
	bool has_tsc_deadline;
	uint32_t tsc_khz;
	struct x86_cpuid_entry host_mwait; /* leaf 5 of the processor; zero: none */
	bool host_has_umip, host_is_intel;
	uint32_t own_waits; /* enum axarch_wait: whose exits KVM has switched off */

	struct axkvm_vcpu **vcpus; /* by index; NULL until created. Not owned. */
	struct axbus *bus;         /* from platform_attach; NULL before */
	bool msrs_filtered;

	/* From load: where the bootstrap processor starts, and memory for reports. */
	struct x86_start start;
	const struct axas *memory;
};

struct x86_vcpu {
	struct axkvm_vcpu *kvm; /* first, for axarch_kvm_* */
	struct axarch_vm *vm;
	uint32_t index, apic_id;

	/* Interrupts waiting for the next entry, one bit a vector (kvm_irq.c). */
	_Atomic bool irq_waiting;
	_Atomic uint64_t irq_edge[4], irq_level[4];
	/* Vectors delivered whose end someone wants to hear of. */
	_Atomic bool eoi_watched;
	_Atomic uint64_t eoi_watch[4];
	_Atomic bool entered; /* has run: its LAPIC is the guest's */
};

/* ---- kvm_cpuid.c, kvm_msr.c: what a vCPU reads ----------------------------------------------- */

int x86_read_supported_cpuid(struct axarch_vm *vm, struct ax_error *err);
/* Switch off the exits that the policy wants off, as far as KVM can; before there are vCPUs. */
void x86_vm_let_wait(struct axarch_vm *vm);
int x86_vcpu_load_cpuid(struct x86_vcpu *vcpu, struct ax_error *err);
/* How many KVM has taken: it stops at the first that it does not. */
int x86_vcpu_set_msrs(const struct x86_vcpu *vcpu, const struct kvm_msr_entry *list, size_t count,
		      struct ax_error *err);
int x86_vcpu_load_msrs(struct x86_vcpu *vcpu, struct ax_error *err);
/* Let the MSRs that devices on the bus claim leave the kernel; costs nothing when there are none.
 */
int x86_vm_filter_msrs(struct axarch_vm *vm, struct ax_error *err);

/* ---- kvm_vm.c, kvm_irqchip.c: the VM --------------------------------------------------------- */

/* An ioctl on the VM that must work; `what` names it for the error. */
int x86_vm_ioctl(struct axarch_vm *vm, unsigned long request, void *arg, const char *what,
		 struct ax_error *err);
/* LAPICs, IOAPIC and PIC, and the PIT if the configuration has one; sets has_irqchip and, where
 * only LAPICs are to be KVM's, ioapic. */
int x86_vm_create_irqchip(struct axarch_vm *vm, struct ax_error *err);
void x86_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip);

/* ---- kvm_regs.c: registers ------------------------------------------------------------------- */

int x86_vcpu_load_start(struct x86_vcpu *vcpu, struct ax_error *err);
int x86_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err);
int x86_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err);
int x86_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err);
int x86_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err);
void x86_vcpu_dump(void *impl, char *buf, size_t buf_size); /* kvm_dump.c */

/* ---- kvm_irq.c: interrupts put in front of one vCPU ------------------------------------------ */

int x86_vcpu_load_lapic(struct x86_vcpu *vcpu, struct ax_error *err);
int x86_vcpu_inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err);
/* Before an entry, when irq_waiting: hand over what can be handed over. */
int x86_vcpu_deliver(struct x86_vcpu *vcpu, struct ax_error *err);
/* After an exit, when eoi_watched: true and *ret_vector when the guest has ended a vector. */
bool x86_vcpu_ended(struct x86_vcpu *vcpu, uint32_t *ret_vector);

/* ---- kvm_vcpu.c ------------------------------------------------------------------------------ */

int x86_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
		    void **ret_impl, struct ax_error *err);
/* An ioctl on the vCPU that must work; `what` names it for the error. */
int x86_vcpu_ioctl(const struct x86_vcpu *vcpu, unsigned long request, void *arg, const char *what,
		   enum ax_error_kind kind, struct ax_error *err);

/* ---- kvm_probe.c, kvm_selftest.c: the host --------------------------------------------------- */

int x86_require(const struct axkvm *kvm, struct ax_error *err);
bool x86_host_has_virtualization(void); /* vmx or svm in CPUID */
int x86_probe(const char *kvm_device, struct ax_error *err);
size_t x86_facts(const char *kvm_device, struct axarch_fact *facts, size_t max);
int x86_selftest(const char *kvm_device,
		 void (*report)(void *ctx, const char *check, int status, const char *detail),
		 void *ctx);

/* ---- platform.c, platform_power.c: the board's devices --------------------------------------- */

int x86_platform_attach(struct axarch_vm *vm, const struct axarch_platform *platform,
			struct ax_error *err);
/* PM1 event and control, i8042 reset line, reset register and pvpanic as one device. */
int x86_power_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		     struct ax_error *err);
/* Press the power button of the device "power": the guest gets an SCI if its ACPI driver listens.
 * Any thread. */
void x86_power_button(struct axdev *dev);

extern const struct axarch axarch_x86_64;

#endif
