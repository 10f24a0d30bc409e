/*
 * The modern virtio-pci transport (Spec 4.1): one function with one BAR, a doorbell address and an
 * MSI-X vector for each queue. Here: its life, its interrupts, its doorbells.
 *
 * A kick is a write to an address of its own, whatever is written: KVM needs neither the value nor
 * the instruction to know the queue. An interrupt is one eventfd write that KVM delivers to the CPU
 * the vector names, so that the CPU that submitted completes, without an IPI.
 */
#include "pci.h"

#include <stdio.h>
#include <stdlib.h>

#define VIRTIO_VENDOR       0x1af4
#define VIRTIO_DEVICE_BASE  0x1040 /* 4.1.2 */
#define VIRTIO_SUBSYSTEM_ID 0x40   /* and up: not transitional */

/* ---- interrupts (4.1.5.3, 4.1.5.4) ----------------------------------------------------------- */

/* There is no INTx, so without MSI-X a driver has to look at the ISR status by itself. */
static void interrupt(struct vpci *vpci, uint16_t vector, uint8_t isr_bit)
{
	if (!axpci_msix_enabled(&vpci->function))
		atomic_fetch_or(&vpci->isr, isr_bit);
	else if (vector != VIRTIO_MSI_NO_VECTOR)
		axpci_msix_send(&vpci->function, vector);
}

static void transport_interrupt(void *ctx, unsigned index)
{
	struct vpci *vpci = ctx;

	interrupt(vpci, atomic_load(&vpci->queue[index].vector), 1);
}

static void transport_config_changed(void *ctx)
{
	struct vpci *vpci = ctx;

	interrupt(vpci, atomic_load(&vpci->config_vector), VIRTIO_PCI_ISR_CONFIG);
}

/* Whether MSI-X is on is the vector's own matter: it is masked when not. */
static int transport_interrupt_fd(void *ctx, unsigned index)
{
	struct vpci *vpci = ctx;

	return axpci_msix_fd(&vpci->function, atomic_load(&vpci->queue[index].vector));
}

/* ---- doorbells ------------------------------------------------------------------------------- */

static struct axdev_doorbell doorbell_of(const struct vpci *vpci, unsigned index)
{
	return (struct axdev_doorbell){
		.space = AXDEV_MMIO,
		.addr = vpci->function.bar[0].gpa + VPCI_NOTIFY + VPCI_NOTIFY_STRIDE * index,
		.event_fd = atomic_load(&vpci->device->core->queue[index].bell_fd),
	};
}

/* A kick in between, and all when the new one fails, come by the bus and find bell_fd there. */
static void transport_bell_moved(void *ctx, unsigned index, int old_fd)
{
	struct vpci *vpci = ctx;
	struct axdev_doorbell bell = doorbell_of(vpci, index), old = bell;
	struct ax_error err = {0};

	if (index >= vpci->doorbells)
		return;
	old.event_fd = old_fd;
	vpci->services.release_doorbell(vpci->services.ctx, &old);
	if (vpci->services.assign_doorbell(vpci->services.ctx, &bell, &err) < 0)
		ax_log_limited(&vpci->device->core->log_limit, AX_LOG_WARN, LAYER,
			       "%s: kicks of queue %u are slow: %s", vpci->dev.name, index,
			       err.message);
}

static const struct core_transport pci_transport = {
	.interrupt = transport_interrupt,
	.config_changed = transport_config_changed,
	.bell_moved = transport_bell_moved,
	.interrupt_fd = transport_interrupt_fd,
};

/* ---- life ------------------------------------------------------------------------------------ */

static enum axdev_result access_pci(struct axdev *dev, struct axdev_access *access)
{
	struct vpci *vpci = ax_container_of(dev, struct vpci, dev);

	/* Answered here rather than as nobody's access: a guest may switch its device off. */
	if (axpci_memory_enabled(&vpci->function))
		axvirtio_pci_access_bar(vpci, access);
	else
		access->value = UINT64_MAX >> (64 - 8 * access->width);
	return AXDEV_HANDLED;
}

/* A function that is no bus master makes no memory accesses (PCI 6.2.2). This is what keeps rings
 * of a kernel that is gone from being written after a kexec. */
void axvirtio_pci_update_hold(struct vpci *vpci)
{
	struct axvirtio_core *core = vpci->device->core;
	bool hold;

	pthread_mutex_lock(&core->lock);
	hold = vpci->suspended || !axpci_bus_master(&vpci->function);
	if (hold && !vpci->held)
		axvirtio_core_suspend(core);
	else if (!hold && vpci->held)
		axvirtio_core_resume(core);
	vpci->held = hold;
	pthread_mutex_unlock(&core->lock);
}

static void reset_pci(struct axdev *dev)
{
	struct vpci *vpci = ax_container_of(dev, struct vpci, dev);
	struct axvirtio_core *core = vpci->device->core;

	pthread_mutex_lock(&core->lock);
	axvirtio_core_reset(core);
	axvirtio_pci_reset_registers(vpci);
	pthread_mutex_unlock(&core->lock);
	axpci_function_reset(&vpci->function);
}

static int suspend_pci(struct axdev *dev, struct ax_error *err)
{
	struct vpci *vpci = ax_container_of(dev, struct vpci, dev);

	(void)err;
	vpci->suspended = true;
	axvirtio_pci_update_hold(vpci);
	return 0;
}

static int resume_pci(struct axdev *dev, struct ax_error *err)
{
	struct vpci *vpci = ax_container_of(dev, struct vpci, dev);

	(void)err;
	vpci->suspended = false;
	axvirtio_pci_update_hold(vpci);
	return 0;
}

/* Everything but the device itself, which stays with the caller. */
static void dismantle(struct vpci *vpci)
{
	while (vpci->doorbells && vpci->services.release_doorbell) {
		const struct axdev_doorbell bell = doorbell_of(vpci, --vpci->doorbells);

		vpci->services.release_doorbell(vpci->services.ctx, &bell);
	}
	/* The core first: until its threads are out, they may interrupt. */
	axvirtio_core_unbind(vpci->device);
	axpci_function_finish(&vpci->function);
	free(vpci);
}

static void destroy_pci(struct axdev *dev)
{
	struct vpci *vpci = ax_container_of(dev, struct vpci, dev);
	struct axvirtio *device = vpci->device;

	dismantle(vpci);
	axvirtio_destroy(device);
}

static const struct axdev_ops pci_ops = {
	.access = access_pci,
	.reset = reset_pci,
	.suspend = suspend_pci,
	.resume = resume_pci,
	.destroy = destroy_pci,
};

struct axvirtio *axvirtio_pci_device(const struct axdev *dev)
{
	if (dev->ops != &pci_ops)
		return NULL;
	return ((const struct vpci *)(const void *)dev)->device; /* dev is the first member */
}

/* ---- creation -------------------------------------------------------------------------------- */

/* By PCI's own classes (PCI Code and ID Assignment 1.1); what has none is "other". */
static uint32_t class_code(uint32_t device_id)
{
	switch (device_id) {
	case 1: /* network: Ethernet controller */
		return 0x020000;
	case 2:  /* block */
	case 26: /* file system: mass storage, other */
		return 0x018000;
	case 3:  /* console */
	case 19: /* socket: communication, other */
		return 0x078000;
	default:
		return 0xff0000;
	}
}

static void identify(struct vpci *vpci)
{
	struct axpci_function *function = &vpci->function;

	function->ops = &axvirtio_pci_function_ops;
	function->name = vpci->dev.name;
	function->vendor_id = function->subsystem_vendor_id = VIRTIO_VENDOR;
	function->device_id = (uint16_t)(VIRTIO_DEVICE_BASE + vpci->device->device_id);
	function->subsystem_id = (uint16_t)(VIRTIO_SUBSYSTEM_ID + vpci->device->device_id);
	function->revision = 1;
	function->class_code = class_code(vpci->device->device_id);
}

static int assign_doorbells(struct vpci *vpci, struct ax_error *err)
{
	if (!vpci->services.assign_doorbell)
		return 0;
	while (vpci->doorbells < vpci->device->queue_count) {
		const struct axdev_doorbell bell = doorbell_of(vpci, vpci->doorbells);
		const int r = vpci->services.assign_doorbell(vpci->services.ctx, &bell, err);

		if (r < 0)
			return r;
		vpci->doorbells++;
	}
	return 0;
}

static int build(struct vpci *vpci, struct axpci_host *host, struct ax_error *err)
{
	int r = axpci_function_init(host, &vpci->function, VPCI_BAR_BYTES, err);

	if (r < 0)
		return r;
	/* One for each queue and one for the configuration. */
	r = axpci_msix_add(&vpci->function, vpci->services.irqs, vpci->device->queue_count + 1,
			   VPCI_MSIX_TABLE, VPCI_MSIX_PBA, err);
	if (r < 0)
		return r;
	axvirtio_pci_add_capabilities(vpci);
	vpci->dev.resource[0] = (struct axdev_resource){
		.space = AXDEV_MMIO,
		.base = vpci->function.bar[0].gpa,
		.size = vpci->function.bar[0].size_bytes,
	};
	vpci->dev.resource_count = 1;
	axvirtio_pci_update_hold(vpci);
	return assign_doorbells(vpci, err);
}

int axvirtio_pci_create(const char *name, struct axpci_host *host, struct axvirtio *device,
			const struct axdev_services *services, struct axdev **ret_dev,
			struct ax_error *err)
{
	struct vpci *vpci;
	int r;

	if (device->config_size > VPCI_DEVICE_BYTES)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "%s: %u bytes of device configuration, at most %u", name,
				    device->config_size, VPCI_DEVICE_BYTES);
	vpci = calloc(1, sizeof(*vpci));
	if (!vpci)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	snprintf(vpci->dev.name, sizeof(vpci->dev.name), "%s", name);
	vpci->dev.ops = &pci_ops;
	vpci->dev.class_name = device->class_name;
	vpci->device = device;
	axvirtio_pci_reset_registers(vpci);
	r = axvirtio_core_bind(device, vpci->dev.name, services, &pci_transport, vpci, err);
	if (r < 0) {
		free(vpci);
		return r;
	}
	vpci->services = *services;
	identify(vpci);
	r = build(vpci, host, err);
	if (r < 0) {
		dismantle(vpci);
		return r;
	}
	*ret_dev = &vpci->dev;
	return 0;
}
