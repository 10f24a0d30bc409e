/*
 * The interrupt controller that KVM emulates for one VM, a GICv3 or GICv2, and the ways into it:
 * lines, eventfds, interrupts for one vCPU. KVM takes eventfds only when the GIC is initialized,
 * which it can be when all vCPUs are there; devices are made before, so theirs wait here.
 */
#include "kvm_aarch64.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- making it ------------------------------------------------------------------------------- */

static uint32_t device_type(uint32_t version)
{
	return version == 2 ? KVM_DEV_TYPE_ARM_VGIC_V2 : KVM_DEV_TYPE_ARM_VGIC_V3;
}

bool a64_gic_exists(struct axkvm_vm *vm, uint32_t version)
{
	struct kvm_create_device device = {
		.type = device_type(version),
		.flags = KVM_CREATE_DEVICE_TEST,
	};
	return ioctl(axkvm_vm_fd(vm), KVM_CREATE_DEVICE, &device) == 0;
}

static int choose_version(struct axarch_vm *vm, struct ax_error *err)
{
	const uint32_t asked = vm->config.gic_version;

	for (uint32_t version = 3; version >= 2; version--) {
		if ((asked && asked != version) || !a64_gic_exists(vm->vm, version))
			continue;
		if (version == 2 && vm->config.vcpu_count > A64_GICV2_VCPUS) {
			ax_error_set(
				err, AX_ERROR_CONFIGURATION, ERANGE,
				"%u CPUs are asked for, this host's KVM has a GICv2 only, which "
				"serves up to %u",
				vm->config.vcpu_count, A64_GICV2_VCPUS);
			return ax_error_hint(err, "choose up to %u CPUs", A64_GICV2_VCPUS);
		}
		vm->gic_version = version;
		return 0;
	}
	if (!asked)
		return ax_error_set(err, AX_ERROR_MISSING_CAPABILITY, ENOTSUP,
				    "this host's KVM emulates neither a GICv3 nor a GICv2");
	ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
		     "GIC version %u is asked for, this host's KVM does not emulate it", asked);
	if (a64_gic_exists(vm->vm, 5 - asked))
		return ax_error_hint(err, "choose --gic %u, or leave it out", 5 - asked);
	return -ENOTSUP;
}

static int place(struct axarch_vm *vm, uint64_t type, uint64_t gpa, const char *what,
		 struct ax_error *err)
{
	return a64_set_attr(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &gpa, what, err);
}

int a64_gic_create(struct axarch_vm *vm, struct ax_error *err)
{
	const uint32_t intids = A64_INTIDS;
	int ret = choose_version(vm, err);

	if (ret < 0)
		return ret;
	struct kvm_create_device device = {.type = device_type(vm->gic_version)};
	if (ioctl(axkvm_vm_fd(vm->vm), KVM_CREATE_DEVICE, &device) < 0)
		return ax_error_set(err, AX_ERROR_VM_CREATION, errno,
				    "KVM_CREATE_DEVICE of a GICv%u: %s", vm->gic_version,
				    strerror(errno));
	vm->gic_fd = (int)device.fd;
	if (vm->gic_version == 2) {
		ret = place(vm, KVM_VGIC_V2_ADDR_TYPE_DIST, A64_GICD_GPA, "the GICv2's distributor",
			    err);
		if (ret == 0)
			ret = place(vm, KVM_VGIC_V2_ADDR_TYPE_CPU, A64_GICC_GPA,
				    "the GICv2's CPU interface", err);
	} else {
		ret = place(vm, KVM_VGIC_V3_ADDR_TYPE_DIST, A64_GICD_GPA, "the GICv3's distributor",
			    err);
		if (ret == 0)
			ret = place(vm, KVM_VGIC_V3_ADDR_TYPE_REDIST, A64_GICR_GPA,
				    "the GICv3's redistributors", err);
	}
	if (ret == 0)
		ret = a64_set_attr(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &intids,
				   "the GIC's number of interrupts", err);
	return ret;
}

int a64_gic_finish(struct axarch_vm *vm, struct ax_error *err)
{
	int ret;

	if (vm->gic_fd < 0 || vm->gic_ready)
		return 0;
	ret = a64_set_attr(vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL,
			   "KVM_DEV_ARM_VGIC_CTRL_INIT", err);
	pthread_mutex_lock(&vm->lock);
	vm->gic_ready = ret == 0;
	for (size_t i = 0; ret == 0 && i < AX_ARRAY_LEN(vm->waiting); i++) {
		struct a64_irqfd *irqfd = &vm->waiting[i];

		if (irqfd->event_fd >= 0)
			ret = axkvm_vm_irqfd(vm->vm, irqfd->gsi, irqfd->event_fd, -1, true, err);
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* KVM_IRQ_LINE's number: what kind of line, whose, and which INTID. */
static uint32_t line_of(uint32_t type, uint32_t vcpu, uint32_t intid)
{
	return type << KVM_ARM_IRQ_TYPE_SHIFT |
	       (vcpu & KVM_ARM_IRQ_VCPU_MASK) << KVM_ARM_IRQ_VCPU_SHIFT |
	       (vcpu >> 8 & KVM_ARM_IRQ_VCPU2_MASK) << KVM_ARM_IRQ_VCPU2_SHIFT |
	       intid << KVM_ARM_IRQ_NUM_SHIFT;
}

static int set_level(void *ctx, uint32_t gsi, bool level)
{
	struct axarch_vm *vm = ctx;

	return axkvm_vm_irq_line(
		vm->vm, line_of(KVM_ARM_IRQ_TYPE_SPI, 0, A64_SPI_FIRST_INTID + gsi), level);
}

static int assign_fd(void *ctx, uint32_t gsi, int event_fd, struct ax_error *err)
{
	struct axarch_vm *vm = ctx;
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	/* A line has one owner, so the place of its number is free. */
	if (vm->gic_ready)
		ret = axkvm_vm_irqfd(vm->vm, gsi, event_fd, -1, true, err);
	else
		vm->waiting[gsi] = (struct a64_irqfd){.gsi = gsi, .event_fd = event_fd};
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static int release_fd(void *ctx, uint32_t gsi, int event_fd)
{
	struct axarch_vm *vm = ctx;
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	vm->waiting[gsi].event_fd = -1;
	if (vm->gic_ready)
		ret = axkvm_vm_irqfd(vm->vm, gsi, event_fd, -1, false, NULL);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/* KVM's default routing: GSI n is SPI n. */
void a64_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip)
{
	*ret_chip = (struct axirq_chip){
		.set_level = set_level,
		.assign_fd = assign_fd,
		.release_fd = release_fd,
		.gsi_first = 0,
		.gsi_count = vm->gic_fd >= 0 ? A64_SPIS : 0,
		.ctx = vm,
	};
}

/* ---- one vCPU -------------------------------------------------------------------------------- */

static int refuse_irq(const struct axvcpu_irq *irq, const char *why, struct ax_error *err)
{
	return ax_error_set(err, AX_ERROR_IRQ_INJECTION, ENOTSUP,
			    "interrupt %u cannot be injected: %s", irq->vector, why);
}

/*
 * The vector is an INTID. The line is pulsed, which a GIC keeps in mind for interrupts that the
 * guest has configured as edges; SPIs go where the guest routes them.
 */
int a64_vcpu_inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err)
{
	const struct a64_vcpu *vcpu = impl;
	const struct axarch_vm *vm = vcpu->vm;
	const bool is_private = irq->vector < A64_SPI_FIRST_INTID;
	uint32_t line;

	if (vm->gic_fd < 0)
		return refuse_irq(irq, "the machine has no interrupt controller", err);
	if (irq->vector >= A64_INTIDS)
		return ax_error_set(err, AX_ERROR_IRQ_INJECTION, ERANGE,
				    "interrupt %u is beyond the last INTID, %u", irq->vector,
				    A64_INTIDS - 1);
	if (irq->vector < A64_PPI_FIRST_INTID)
		return refuse_irq(irq, "only a guest sends SGIs (INTIDs below 16)", err);
	if (irq->trigger == AXVCPU_IRQ_LEVEL)
		return refuse_irq(irq, "nobody would lower the level; drive the line instead", err);
	if (irq->notify_eoi)
		return refuse_irq(irq, "a GIC in KVM does not tell of the end of interrupts", err);
	line = is_private ? line_of(KVM_ARM_IRQ_TYPE_PPI, vcpu->index, irq->vector)
			  : line_of(KVM_ARM_IRQ_TYPE_SPI, 0, irq->vector);
	int ret = axkvm_vm_irq_line(vm->vm, line, true);
	if (ret == 0)
		ret = axkvm_vm_irq_line(vm->vm, line, false);
	if (ret < 0)
		return ax_error_set(err, AX_ERROR_IRQ_INJECTION, -ret, "interrupt %u, vCPU %u: %s",
				    irq->vector, vcpu->index, strerror(-ret));
	return 0;
}
