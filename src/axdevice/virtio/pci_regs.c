/*
 * The registers in BAR 0 of a virtio-pci function (Spec 4.1.4.3 to 4.1.4.6): the common
 * configuration as a table of fields, ISR status, the notify area. What a write means for the
 * device, and whether it comes in the right order, is for device.c to say.
 */
#include "pci.h"

void axvirtio_pci_reset_registers(struct vpci *vpci)
{
	vpci->device_features_sel = 0;
	vpci->driver_features_sel = 0;
	vpci->queue_sel = 0;
	atomic_store(&vpci->config_vector, VIRTIO_MSI_NO_VECTOR);
	atomic_store(&vpci->isr, 0);
	for (unsigned i = 0; i < AXVIRTIO_MAX_QUEUES; i++) {
		atomic_store(&vpci->queue[i].vector, VIRTIO_MSI_NO_VECTOR);
		vpci->queue[i].has_size = false;
	}
}

/* ---- common configuration -------------------------------------------------------------------- */

/* Accesses are as wide as their field (4.1.3.1); those of 64 bits also go by halves. */
static unsigned field_width(uint32_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_GFSELECT:
	case VIRTIO_PCI_COMMON_GF:
	case VIRTIO_PCI_COMMON_Q_DESCLO:
	case VIRTIO_PCI_COMMON_Q_DESCHI:
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
	case VIRTIO_PCI_COMMON_Q_USEDLO:
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		return 4;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return 2;
	case VIRTIO_PCI_COMMON_STATUS:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return 1;
	default:
		return 0;
	}
}

/* The address registers of the selected queue's set-up. */
static uint64_t *address_of(struct axvq_setup *setup, uint32_t offset)
{
	if (offset < VIRTIO_PCI_COMMON_Q_AVAILLO)
		return &setup->desc_gpa;
	return offset < VIRTIO_PCI_COMMON_Q_USEDLO ? &setup->avail_gpa : &setup->used_gpa;
}

static uint32_t read_queue_field(struct vpci *vpci, uint32_t offset)
{
	struct axvirtio_core *core = vpci->device->core;
	const uint16_t index = vpci->queue_sel;
	struct core_queue *queue;

	/* 4.1.4.3.1: a size of 0 is what says that a queue is not there. */
	if (index >= core->queue_count)
		return offset == VIRTIO_PCI_COMMON_Q_MSIX ? VIRTIO_MSI_NO_VECTOR : 0;
	queue = &core->queue[index];
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		return vpci->queue[index].has_size ? queue->setup.size
						   : axvirtio_core_queue_max(core, index);
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return atomic_load(&vpci->queue[index].vector);
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return axvirtio_core_queue_ready(core, index);
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return index;
	default:
		return (uint32_t)(*address_of(&queue->setup, offset) >> (offset % 8 ? 32 : 0));
	}
}

static uint32_t read_field(struct vpci *vpci, uint32_t offset)
{
	struct axvirtio_core *core = vpci->device->core;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return vpci->device_features_sel;
	case VIRTIO_PCI_COMMON_DF:
		return axvirtio_core_offered_features(core, vpci->device_features_sel);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return vpci->driver_features_sel;
	case VIRTIO_PCI_COMMON_GF:
		return vpci->driver_features_sel < 2
			       ? (uint32_t)(core->accepted >> (32 * vpci->driver_features_sel))
			       : 0;
	case VIRTIO_PCI_COMMON_MSIX:
		return atomic_load(&vpci->config_vector);
	case VIRTIO_PCI_COMMON_NUMQ:
		return core->queue_count;
	case VIRTIO_PCI_COMMON_STATUS:
		return core_status(core);
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		return axvirtio_core_config_generation(core) & 0xff;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return vpci->queue_sel;
	default:
		return read_queue_field(vpci, offset);
	}
}

/* A vector that is not there is answered when it is read back (4.1.5.1.2.1). */
static uint16_t checked_vector(struct vpci *vpci, uint32_t value)
{
	if (value < axpci_msix_vectors(&vpci->function))
		return (uint16_t)value;
	if (value != VIRTIO_MSI_NO_VECTOR)
		axvirtio_core_bad_write(vpci->device->core);
	return VIRTIO_MSI_NO_VECTOR;
}

static void enable_queue(struct vpci *vpci, uint16_t index, uint32_t value)
{
	struct axvirtio_core *core = vpci->device->core;
	struct axvq_setup *setup;

	/* 4.1.4.3.2: a driver MUST NOT write 0; only a reset disables a queue. */
	if (value != 1) {
		axvirtio_core_bad_write(core);
		return;
	}
	setup = axvirtio_core_queue_setup(core, index);
	if (!setup)
		return;
	if (!vpci->queue[index].has_size)
		setup->size = axvirtio_core_queue_max(core, index);
	axvirtio_core_set_queue_ready(core, index, true);
}

static void write_queue_field(struct vpci *vpci, uint32_t offset, uint32_t value)
{
	struct axvirtio_core *core = vpci->device->core;
	const uint16_t index = vpci->queue_sel;
	struct axvq_setup *setup;
	uint64_t *address;

	if (index >= core->queue_count || offset == VIRTIO_PCI_COMMON_Q_NOFF) {
		axvirtio_core_bad_write(core);
		return;
	}
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		atomic_store(&vpci->queue[index].vector, checked_vector(vpci, value));
		axvirtio_core_interrupt_moved(core, index);
		return;
	}
	if (offset == VIRTIO_PCI_COMMON_Q_ENABLE) {
		enable_queue(vpci, index, value);
		return;
	}
	setup = axvirtio_core_queue_setup(core, index);
	if (!setup)
		return;
	if (offset == VIRTIO_PCI_COMMON_Q_SIZE) {
		setup->size = value;
		vpci->queue[index].has_size = true;
		return;
	}
	address = address_of(setup, offset);
	if (offset % 8)
		*address = (*address & UINT32_MAX) | (uint64_t)value << 32;
	else
		*address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void write_field(struct vpci *vpci, uint32_t offset, uint32_t value)
{
	struct axvirtio_core *core = vpci->device->core;

	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vpci->device_features_sel = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vpci->driver_features_sel = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		axvirtio_core_accept_features(core, vpci->driver_features_sel, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		atomic_store(&vpci->config_vector, checked_vector(vpci, value));
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		axvirtio_core_write_status(core, value);
		if (value == 0)
			axvirtio_pci_reset_registers(vpci);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vpci->queue_sel = (uint16_t)value;
		break;
	case VIRTIO_PCI_COMMON_DF:
	case VIRTIO_PCI_COMMON_NUMQ:
	case VIRTIO_PCI_COMMON_CFGGENERATION:
		axvirtio_core_bad_write(core);
		break;
	default:
		write_queue_field(vpci, offset, value);
	}
}

static void access_common(struct vpci *vpci, struct axdev_access *access)
{
	struct axvirtio_core *core = vpci->device->core;
	const uint32_t offset = (uint32_t)access->offset;
	const bool is_double =
		access->width == 8 && offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset % 8 == 0;

	if (!is_double && access->width != field_width(offset)) {
		access->value = UINT64_MAX >> (64 - 8 * access->width);
		if (access->is_write)
			axvirtio_core_bad_write(core);
		return;
	}
	pthread_mutex_lock(&core->lock);
	if (access->is_write) {
		write_field(vpci, offset, (uint32_t)access->value);
		if (is_double)
			write_field(vpci, offset + 4, (uint32_t)(access->value >> 32));
	} else {
		access->value = read_field(vpci, offset);
		if (is_double)
			access->value |= (uint64_t)read_field(vpci, offset + 4) << 32;
	}
	pthread_mutex_unlock(&core->lock);
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* The address alone says which queue: KVM's doorbells look at nothing else. */
static void access_notify(struct vpci *vpci, struct axdev_access *access)
{
	const uint64_t offset = access->offset - VPCI_NOTIFY;
	struct axvirtio_core *core = vpci->device->core;

	if (!access->is_write)
		access->value = 0;
	else if (offset % VPCI_NOTIFY_STRIDE)
		axvirtio_core_bad_write(core);
	else
		axvirtio_core_ring(core, (uint32_t)(offset / VPCI_NOTIFY_STRIDE));
}

void axvirtio_pci_access_bar(struct vpci *vpci, struct axdev_access *access)
{
	const uint64_t offset = access->offset;
	struct axvirtio_core *core = vpci->device->core;

	if (offset >= VPCI_NOTIFY) {
		access_notify(vpci, access);
	} else if (axpci_msix_access(&vpci->function, access)) {
		return;
	} else if (offset < VPCI_COMMON + VPCI_COMMON_BYTES) {
		access_common(vpci, access);
	} else if (offset == VPCI_ISR) {
		/* Read to clear (4.1.4.5.1). No lock: a reset holds it, and may wait. */
		if (!access->is_write)
			access->value = atomic_exchange(&vpci->isr, 0);
	} else if (offset >= VPCI_DEVICE && offset < VPCI_DEVICE + VPCI_DEVICE_BYTES) {
		if (access->is_write)
			axvirtio_core_write_config(core, offset - VPCI_DEVICE, access->width,
						   access->value);
		else
			access->value = axvirtio_core_read_config(core, offset - VPCI_DEVICE,
								  access->width);
	} else {
		access->value = UINT64_MAX >> (64 - 8 * access->width);
	}
}
