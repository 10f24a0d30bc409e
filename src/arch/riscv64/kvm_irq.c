/*
 * Interrupts of a riscv64 VM: which controller it has, how lines lead there, and interrupts put in
 * front of one vCPU. The AIA is kvm_aia.c's; the PLIC is the model's, and moves the external
 * interrupt of a vCPU by KVM_INTERRUPT, which KVM takes from any thread while the vCPU runs.
 */
#include "kvm_riscv64.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define S_EXTERNAL 9u /* cause of the supervisor's external interrupt */

static int drive_external(const struct axkvm_vcpu *vcpu, bool level)
{
	struct kvm_interrupt interrupt = {
		.irq = level ? (uint32_t)KVM_INTERRUPT_SET : (uint32_t)KVM_INTERRUPT_UNSET,
	};

	return ioctl(axkvm_vcpu_fd(vcpu), KVM_INTERRUPT, &interrupt) < 0 ? -errno : 0;
}

static void plic_output(void *ctx, uint32_t context, bool level)
{
	struct axarch_vm *vm = ctx;
	const struct axkvm_vcpu *vcpu = vm->vcpus[context];

	/* Lines may move before the first vCPU is made and after the last is gone. */
	if (!vcpu)
		return;
	int ret = drive_external(vcpu, level);
	if (ret < 0)
		ax_log(AX_LOG_ERROR, "riscv64", "KVM_INTERRUPT of vCPU %u: %s", context,
		       strerror(-ret));
}

int rv64_irqchip_create(struct axarch_vm *vm, struct ax_error *err)
{
	int ret;

	if (axkvm_check(vm->kvm, KVM_CAP_IRQCHIP) > 0) {
		ret = rv64_aia_create(vm, err);
		if (ret == 0)
			vm->irqchip = RV64_IRQCHIP_AIA;
		return ret;
	}
	ret = rv64_plic_create(vm->config.vcpu_count, plic_output, vm, &vm->plic, err);
	if (ret == 0)
		vm->irqchip = RV64_IRQCHIP_PLIC;
	return ret;
}

int rv64_irqchip_finish(struct axarch_vm *vm, struct ax_error *err)
{
	return vm->irqchip == RV64_IRQCHIP_AIA ? rv64_aia_finish(vm, err) : 0;
}

void rv64_irqchip_destroy(struct axarch_vm *vm)
{
	rv64_plic_destroy(vm->plic);
	if (vm->aia_fd >= 0)
		close(vm->aia_fd);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static int set_level_plic(void *ctx, uint32_t gsi, bool level)
{
	struct axarch_vm *vm = ctx;
	return rv64_plic_set_level(vm->plic, gsi, level);
}

static int set_level_aia(void *ctx, uint32_t gsi, bool level)
{
	struct axarch_vm *vm = ctx;
	return axkvm_vm_irq_line(vm->vm, gsi, level);
}

/*
 * GSI n is source n. No irqfds, not even with the AIA: there KVM raises the APLIC's line straight
 * from the write to the eventfd and never lowers it again (kvm_arch_set_irq_inatomic, Linux 6.12),
 * so that a second edge is none. Pulses go by two calls that do what they say.
 */
void rv64_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip)
{
	*ret_chip = (struct axirq_chip){
		.set_level = vm->irqchip == RV64_IRQCHIP_AIA ? set_level_aia : set_level_plic,
		.gsi_first = 1,
		.gsi_count = vm->irqchip == RV64_IRQCHIP_NONE ? 0 : RV64_SOURCES - 1,
		.ctx = vm,
	};
}

/* ---- for one vCPU ---------------------------------------------------------------------------- */

/* An identity of its IMSIC, as a device's MSI would raise it. */
static int inject_msi(struct rv64_vcpu *vcpu, const struct axvcpu_irq *irq, struct ax_error *err)
{
	struct axarch_vm *vm = vcpu->vm;

	if (irq->vector < 1 || irq->vector > vm->aia_ids)
		return ax_error_set(err, AX_ERROR_IRQ_INJECTION, EINVAL,
				    "interrupt %u for vCPU %u: its IMSIC has 1 to %u", irq->vector,
				    vcpu->index, vm->aia_ids);
	struct kvm_msi msi = {
		.address_lo = (uint32_t)(RV64_IMSIC_GPA + vcpu->index * RV64_IMSIC_SIZE),
		.data = irq->vector,
	};
	/* Not axkvm_vm_signal_msi: on riscv64 KVM says 0 when it has delivered one. */
	if (ioctl(axkvm_vm_fd(vm->vm), KVM_SIGNAL_MSI, &msi) >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_IRQ_INJECTION, errno,
			    "interrupt %u for vCPU %u as a message: %s", irq->vector, vcpu->index,
			    strerror(errno));
}

/*
 * Without a controller the external interrupt itself can be raised. The guest has no register to
 * end it by: it stands until the guest next leaves by an act of its own, an access or a call.
 */
static int inject_external(struct rv64_vcpu *vcpu, const struct axvcpu_irq *irq,
			   struct ax_error *err)
{
	if (irq->vector != S_EXTERNAL)
		return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				    "interrupt %u for vCPU %u: without an interrupt controller "
				    "only %u, the external one, can be raised",
				    irq->vector, vcpu->index, S_EXTERNAL);
	atomic_store(&vcpu->injected, true);
	int ret = drive_external(vcpu->kvm, true);
	if (ret == 0)
		return 0;
	return ax_error_set(err, AX_ERROR_IRQ_INJECTION, -ret, "KVM_INTERRUPT of vCPU %u: %s",
			    vcpu->index, strerror(-ret));
}

void rv64_vcpu_injected_done(struct rv64_vcpu *vcpu)
{
	atomic_store(&vcpu->injected, false);
	drive_external(vcpu->kvm, false);
}

int rv64_vcpu_inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err)
{
	struct rv64_vcpu *vcpu = impl;

	if (irq->notify_eoi)
		return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
				    "interrupt %u for vCPU %u: KVM does not tell of its end",
				    irq->vector, vcpu->index);
	switch (vcpu->vm->irqchip) {
	case RV64_IRQCHIP_AIA:
		return inject_msi(vcpu, irq, err);
	case RV64_IRQCHIP_NONE:
		return inject_external(vcpu, irq, err);
	case RV64_IRQCHIP_PLIC:
		break;
	}
	return ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
			    "interrupt %u for vCPU %u: a PLIC takes interrupts by lines only",
			    irq->vector, vcpu->index);
}
