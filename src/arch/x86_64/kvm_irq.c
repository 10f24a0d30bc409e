/*
 * Interrupts that software puts in front of one vCPU by vector, and the LAPIC's start state. Device
 * interrupts do not come here: they are lines and irqfds of the VM.
 *
 * With KVM's LAPIC a vector is an MSI to the vCPU's APIC id. Before the guest has run its LAPIC is
 * switched off and takes none, so such vectors wait here and go into the request register at the
 * first entry, where the guest finds them when it switches the LAPIC on.
 * Without a LAPIC they wait until the guest can take an external interrupt (KVM_INTERRUPT).
 *
 * KVM tells userspace of an EOI only for IOAPIC pins of a split irqchip. Ends of other vectors are
 * found by looking at the LAPIC after each exit, hence at the first exit after the EOI.
 */
#include "kvm_x86.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSI_ADDRESS       0xfee00000ULL
#define MSI_LEVEL_ASSERT  (1u << 14)
#define MSI_TRIGGER_LEVEL (1u << 15)

/* Offsets in struct kvm_lapic_state: registers of 32 bits, 16 bytes apart. */
#define LAPIC_ISR  0x100u
#define LAPIC_TMR  0x180u
#define LAPIC_IRR  0x200u
#define LAPIC_LVT0 0x350u
#define LAPIC_LVT1 0x360u
#define LVT_NMI    0x400u
#define LVT_EXTINT 0x700u

static uint32_t lapic_read(const struct kvm_lapic_state *lapic, unsigned offset)
{
	uint32_t value;
	memcpy(&value, &lapic->regs[offset], sizeof(value));
	return value;
}

static void lapic_write(struct kvm_lapic_state *lapic, unsigned offset, uint32_t value)
{
	memcpy(&lapic->regs[offset], &value, sizeof(value));
}

static bool lapic_has(const struct kvm_lapic_state *lapic, unsigned base, unsigned vector)
{
	return lapic_read(lapic, base + vector / 32 * 16) & (1u << vector % 32);
}

static void lapic_add(struct kvm_lapic_state *lapic, unsigned base, unsigned vector)
{
	unsigned offset = base + vector / 32 * 16;
	lapic_write(lapic, offset, lapic_read(lapic, offset) | 1u << vector % 32);
}

static int get_lapic(const struct x86_vcpu *vcpu, struct kvm_lapic_state *lapic,
		     struct ax_error *err)
{
	return x86_vcpu_ioctl(vcpu, KVM_GET_LAPIC, lapic, "KVM_GET_LAPIC", AX_ERROR_REGISTER_ACCESS,
			      err);
}

static int set_lapic(const struct x86_vcpu *vcpu, struct kvm_lapic_state *lapic,
		     struct ax_error *err)
{
	return x86_vcpu_ioctl(vcpu, KVM_SET_LAPIC, lapic, "KVM_SET_LAPIC", AX_ERROR_REGISTER_ACCESS,
			      err);
}

/* Firmware has the processors in x2APIC mode when there are ids that xAPIC mode cannot have (SDM
 * volume 3, 11.12.5), and Linux passes over such ids in ACPI otherwise. INIT leaves it on. */
static int enter_x2apic(const struct x86_vcpu *vcpu, struct ax_error *err)
{
	enum { MSR_APIC_BASE = 0x1b, BOOTSTRAP = 1 << 8, EXTENDED = 1 << 10, ENABLED = 1 << 11 };
	const struct kvm_msr_entry base = {
		.index = MSR_APIC_BASE,
		.data = X86_LAPIC_GPA | ENABLED | EXTENDED | (vcpu->index ? 0 : BOOTSTRAP),
	};
	const int done = x86_vcpu_set_msrs(vcpu, &base, 1, err);

	if (done)
		return done < 0 ? done : 0;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, EINVAL,
			    "KVM does not take vCPU %u with APIC id %u into x2APIC mode",
			    vcpu->index, vcpu->apic_id);
}

/* As firmware leaves them; the bootstrap processor has the PIC through LINT0, NMI on LINT1. The
 * others get theirs from the INIT that starts them. */
int x86_vcpu_load_lapic(struct x86_vcpu *vcpu, struct ax_error *err)
{
	const bool needs_x2apic =
		vcpu->vm->max_apic_id > X86_MAX_XAPIC_ID && !vcpu->vm->config.cpu.mask_paravirt;
	struct kvm_lapic_state lapic;
	int ret = needs_x2apic ? enter_x2apic(vcpu, err) : 0;

	if (ret < 0 || vcpu->index)
		return ret;
	ret = get_lapic(vcpu, &lapic, err);
	if (ret < 0)
		return ret;
	lapic_write(&lapic, LAPIC_LVT0, LVT_EXTINT);
	lapic_write(&lapic, LAPIC_LVT1, LVT_NMI);
	return set_lapic(vcpu, &lapic, err);
}

/* ---- sets of vectors ------------------------------------------------------------------------- */

static void set_add(_Atomic uint64_t set[4], uint32_t vector)
{
	atomic_fetch_or(&set[vector / 64], 1ULL << vector % 64);
}

static void set_remove(_Atomic uint64_t set[4], uint32_t vector)
{
	atomic_fetch_and(&set[vector / 64], ~(1ULL << vector % 64));
}

static bool set_has(_Atomic uint64_t set[4], uint32_t vector)
{
	return atomic_load(&set[vector / 64]) & 1ULL << vector % 64;
}

static bool set_empty(_Atomic uint64_t set[4])
{
	return !(atomic_load(&set[0]) | atomic_load(&set[1]) | atomic_load(&set[2]) |
		 atomic_load(&set[3]));
}

static bool waits(struct x86_vcpu *vcpu, uint32_t vector)
{
	return set_has(vcpu->irq_edge, vector) || set_has(vcpu->irq_level, vector);
}

/* ---- injecting ------------------------------------------------------------------------------- */

static int signal_msi(struct x86_vcpu *vcpu, uint32_t vector, bool level, struct ax_error *err)
{
	/* The high half carries the id's upper bits (KVM_X2APIC_API_USE_32BIT_IDS). */
	uint64_t address = MSI_ADDRESS | (vcpu->apic_id & 0xffULL) << 12 |
			   (uint64_t)(vcpu->apic_id & ~0xffu) << 32;
	uint32_t data = vector | (level ? MSI_LEVEL_ASSERT | MSI_TRIGGER_LEVEL : 0);

	return axkvm_vm_signal_msi(vcpu->vm->vm, address, data, err);
}

static void wait_for_entry(struct x86_vcpu *vcpu, const struct axvcpu_irq *irq)
{
	bool level = irq->trigger == AXVCPU_IRQ_LEVEL;

	set_add(level ? vcpu->irq_level : vcpu->irq_edge, irq->vector);
	atomic_store(&vcpu->irq_waiting, true);
}

int x86_vcpu_inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err)
{
	struct x86_vcpu *vcpu = impl;

	if (irq->vector < 16 || irq->vector > 255)
		return ax_error_set(err, AX_ERROR_IRQ_INJECTION, EINVAL,
				    "vector %u for vCPU %u: interrupts have 16 to 255", irq->vector,
				    vcpu->index);
	if (!vcpu->vm->has_irqchip) {
		if (irq->notify_eoi)
			return ax_error_set(
				err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				"vector %u for vCPU %u: without an interrupt controller "
				"there is no end of interrupt to report",
				irq->vector, vcpu->index);
		wait_for_entry(vcpu, irq);
		return 0;
	}
	int ret = signal_msi(vcpu, irq->vector, irq->trigger == AXVCPU_IRQ_LEVEL, err);
	if (ret == -EAGAIN && !atomic_load(&vcpu->entered))
		wait_for_entry(vcpu, irq);
	else if (ret < 0)
		return ret;
	if (irq->notify_eoi) {
		set_add(vcpu->eoi_watch, irq->vector);
		atomic_store(&vcpu->eoi_watched, true);
	}
	return 0;
}

/* ---- delivering ------------------------------------------------------------------------------ */

/* Into the request register of a LAPIC that no guest has touched yet. */
static int fill_lapic(struct x86_vcpu *vcpu, struct ax_error *err)
{
	struct kvm_lapic_state lapic;
	int ret = get_lapic(vcpu, &lapic, err);
	if (ret < 0)
		return ret;
	for (uint32_t vector = 16; vector < 256; vector++) {
		if (!waits(vcpu, vector))
			continue;
		lapic_add(&lapic, LAPIC_IRR, vector);
		if (set_has(vcpu->irq_level, vector))
			lapic_add(&lapic, LAPIC_TMR, vector);
		set_remove(vcpu->irq_edge, vector);
		set_remove(vcpu->irq_level, vector);
	}
	return set_lapic(vcpu, &lapic, err);
}

/* Asked for during the first entry: the LAPIC is the guest's now and may be switched on. */
static void signal_late(struct x86_vcpu *vcpu)
{
	for (uint32_t vector = 16; vector < 256; vector++) {
		if (!waits(vcpu, vector))
			continue;
		if (signal_msi(vcpu, vector, set_has(vcpu->irq_level, vector), NULL) < 0)
			ax_log(AX_LOG_WARN, LAYER,
			       "vector %u for vCPU %u is lost: its LAPIC is switched off", vector,
			       vcpu->index);
		set_remove(vcpu->irq_edge, vector);
		set_remove(vcpu->irq_level, vector);
	}
}

/* Highest vector first, as a LAPIC would; one fits into an entry. */
static int queue_external(struct x86_vcpu *vcpu, struct ax_error *err)
{
	struct kvm_run *run = axkvm_vcpu_run_page(vcpu->kvm);

	for (uint32_t vector = 255; run->ready_for_interrupt_injection && vector >= 16; vector--) {
		if (!waits(vcpu, vector))
			continue;
		struct kvm_interrupt interrupt = {.irq = vector};
		int ret = x86_vcpu_ioctl(vcpu, KVM_INTERRUPT, &interrupt, "KVM_INTERRUPT",
					 AX_ERROR_IRQ_INJECTION, err);
		if (ret < 0)
			return ret;
		set_remove(vcpu->irq_edge, vector);
		set_remove(vcpu->irq_level, vector);
		run->ready_for_interrupt_injection = 0;
	}
	/* KVM exits as soon as the guest can take the next one. */
	run->request_interrupt_window = !set_empty(vcpu->irq_edge) || !set_empty(vcpu->irq_level);
	if (run->request_interrupt_window)
		atomic_store(&vcpu->irq_waiting, true);
	return 0;
}

int x86_vcpu_deliver(struct x86_vcpu *vcpu, struct ax_error *err)
{
	atomic_store(&vcpu->irq_waiting, false);
	if (!vcpu->vm->has_irqchip)
		return queue_external(vcpu, err);
	if (!atomic_load(&vcpu->entered))
		return fill_lapic(vcpu, err);
	signal_late(vcpu);
	return 0;
}

bool x86_vcpu_ended(struct x86_vcpu *vcpu, uint32_t *ret_vector)
{
	struct kvm_lapic_state lapic;
	bool found = false;

	if (get_lapic(vcpu, &lapic, NULL) < 0)
		return false;
	for (uint32_t vector = 16; vector < 256; vector++) {
		if (!set_has(vcpu->eoi_watch, vector) || waits(vcpu, vector) ||
		    lapic_has(&lapic, LAPIC_IRR, vector) || lapic_has(&lapic, LAPIC_ISR, vector))
			continue;
		set_remove(vcpu->eoi_watch, vector);
		*ret_vector = vector;
		found = true;
		break;
	}
	if (set_empty(vcpu->eoi_watch)) {
		atomic_store(&vcpu->eoi_watched, false);
		/* An inject between the two lines above must not be forgotten. */
		if (!set_empty(vcpu->eoi_watch))
			atomic_store(&vcpu->eoi_watched, true);
	}
	return found;
}
