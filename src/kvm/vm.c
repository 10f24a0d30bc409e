/*
 * One VM's file descriptor and what hangs on it: memory slots, interrupt lines, irqfds, ioeventfds
 * and MSIs. Interrupt controllers are made by the architecture, on this descriptor; where lines
 * lead is routes.c's.
 */
#include "kvm_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int axkvm_vm_create(struct axkvm *kvm, unsigned long type, struct axkvm_vm **ret_vm,
		    struct ax_error *err)
{
	struct axkvm_vm *vm = calloc(1, sizeof(*vm));
	if (!vm)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a KVM VM");
	vm->kvm = kvm;
	/* A signal that comes while KVM allocates makes it give up with EINTR; nothing is lost. */
	do
		vm->fd = axkvm_call(kvm, kvm->fd, KVM_CREATE_VM, type);
	while (vm->fd == -EINTR);
	if (vm->fd < 0) {
		int error = -vm->fd;
		free(vm);
		ax_error_set(err, AX_ERROR_VM_CREATION, error, "KVM_CREATE_VM of type %lu: %s",
			     type, strerror(error));
		if (error == EBUSY)
			ax_error_hint(err, "another hypervisor (VirtualBox, VMware) holds the "
					   "processor's virtualization; stop it");
		else if (error == ENOMEM)
			ax_error_hint(err, "the kernel has no memory left for another VM");
		return -error;
	}
	axkvm_routes_init(&vm->routes);
	*ret_vm = vm;
	return 0;
}

void axkvm_vm_destroy(struct axkvm_vm *vm)
{
	if (!vm)
		return;
	close(vm->fd);
	axkvm_routes_finish(&vm->routes);
	free(vm);
}

int axkvm_vm_fd(const struct axkvm_vm *vm)
{
	return vm->fd;
}

/* ---- memory slots ---------------------------------------------------------------------------- */

static int set_slot(struct axkvm_vm *vm, struct kvm_userspace_memory_region *slot,
		    struct ax_error *err)
{
	int ret = axkvm_call_ptr(vm->kvm, vm->fd, KVM_SET_USER_MEMORY_REGION, slot);
	if (ret >= 0)
		return 0;
	ax_error_set(err, ret == -EEXIST ? AX_ERROR_ALREADY_EXISTS : AX_ERROR_MEMORY_SETUP, -ret,
		     "memory slot %u (gpa 0x%" PRIx64 ", 0x%" PRIx64
		     " bytes, host address 0x%" PRIx64 "%s): %s",
		     slot->slot, (uint64_t)slot->guest_phys_addr, (uint64_t)slot->memory_size,
		     (uint64_t)slot->userspace_addr,
		     slot->flags & KVM_MEM_READONLY ? ", read-only" : "", strerror(-ret));
	int slots = axkvm_check(vm->kvm, KVM_CAP_NR_MEMSLOTS);
	if (ret == -EINVAL && slots && slot->slot >= (uint32_t)slots)
		ax_error_hint(err, "this KVM has %d slots; use fewer, larger regions", slots);
	return ret;
}

static int map_slot(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes, void *hva,
		    bool read_only, struct ax_error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = read_only ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = size_bytes,
		.userspace_addr = (uintptr_t)hva,
	};
	return set_slot(ctx, &region, err);
}

static int unmap_slot(void *ctx, uint32_t slot, uint64_t gpa, uint64_t size_bytes,
		      struct ax_error *err)
{
	/* Size 0 deletes; KVM returns when no vCPU can reach the pages any more. */
	struct kvm_userspace_memory_region region = {.slot = slot, .guest_phys_addr = gpa};

	(void)size_bytes;
	return set_slot(ctx, &region, err);
}

void axkvm_vm_mapper(struct axkvm_vm *vm, struct axas_mapper *ret_mapper)
{
	*ret_mapper = (struct axas_mapper){.map = map_slot, .unmap = unmap_slot, .ctx = vm};
}

/* ---- interrupts ------------------------------------------------------------------------------ */

int axkvm_vm_irq_line(struct axkvm_vm *vm, uint32_t gsi, bool level)
{
	struct kvm_irq_level line = {.irq = gsi, .level = level};
	int ret = axkvm_call_ptr(vm->kvm, vm->fd, KVM_IRQ_LINE, &line);
	return ret < 0 ? ret : 0;
}

int axkvm_vm_irqfd(struct axkvm_vm *vm, uint32_t gsi, int event_fd, int resample_fd, bool assign,
		   struct ax_error *err)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)event_fd, .gsi = gsi};

	if (!assign)
		irqfd.flags |= KVM_IRQFD_FLAG_DEASSIGN;
	if (resample_fd >= 0) {
		irqfd.flags |= KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = (uint32_t)resample_fd;
	}
	int ret = axkvm_call_ptr(vm->kvm, vm->fd, KVM_IRQFD, &irqfd);
	if (ret >= 0)
		return 0;
	ax_error_set(err, ret == -EBUSY ? AX_ERROR_ALREADY_EXISTS : AX_ERROR_DEVICE, -ret,
		     "irqfd %d %s GSI %u: %s", event_fd, assign ? "for" : "away from", gsi,
		     strerror(-ret));
	return ret;
}

int axkvm_vm_ioeventfd(struct axkvm_vm *vm, bool is_port, uint64_t addr, uint8_t width,
		       bool has_match, uint64_t match, int event_fd, bool assign,
		       struct ax_error *err)
{
	struct kvm_ioeventfd ioeventfd = {
		.addr = addr, .len = width, .fd = event_fd, .datamatch = has_match ? match : 0};

	if (is_port)
		ioeventfd.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (has_match)
		ioeventfd.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (!assign)
		ioeventfd.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	int ret = axkvm_call_ptr(vm->kvm, vm->fd, KVM_IOEVENTFD, &ioeventfd);
	if (ret >= 0)
		return 0;
	ax_error_set(err, ret == -EEXIST ? AX_ERROR_ALREADY_EXISTS : AX_ERROR_DEVICE, -ret,
		     "ioeventfd %d %s %s 0x%" PRIx64 ", width %u: %s", event_fd,
		     assign ? "for" : "away from", is_port ? "port" : "gpa", addr, width,
		     strerror(-ret));
	return ret;
}

int axkvm_vm_signal_msi(struct axkvm_vm *vm, uint64_t address, uint32_t data, struct ax_error *err)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};
	int ret = axkvm_call_ptr(vm->kvm, vm->fd, KVM_SIGNAL_MSI, &msi);
	if (ret > 0)
		return 0;
	int error = ret < 0 ? -ret : EAGAIN;
	ax_error_set(err, AX_ERROR_IRQ_INJECTION, error, "MSI 0x%" PRIx64 " data 0x%x: %s", address,
		     data, ret < 0 ? strerror(error) : "no interrupt controller takes it");
	return -error;
}
