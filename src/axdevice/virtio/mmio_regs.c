/*
 * The registers of virtio-mmio version 2 (Spec 4.2.2): layout, widths and selectors. What a write
 * means for the device, and whether it comes in the right order, is for device.c to say.
 */
#include "mmio.h"

#define MMIO_MAGIC   0x74726976U /* "virt" */
#define MMIO_VERSION 2U
#define NO_SHM       UINT32_MAX /* length and base of a shared memory region that is not there */

void axvirtio_mmio_reset_registers(struct mmio *mmio)
{
	mmio->device_features_sel = 0;
	mmio->driver_features_sel = 0;
	mmio->queue_sel = 0;
	atomic_store(&mmio->interrupt_status, 0);
}

/* Registers that are write-only or that we do not have read as zero. */
static uint32_t read_register(struct mmio *mmio, uint32_t offset)
{
	struct axvirtio_core *core = mmio->device->core;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return mmio->device->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return AXVIRTIO_VENDOR_ID;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return axvirtio_core_offered_features(core, mmio->device_features_sel);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return axvirtio_core_queue_max(core, mmio->queue_sel);
	case VIRTIO_MMIO_QUEUE_READY:
		return axvirtio_core_queue_ready(core, mmio->queue_sel);
	case VIRTIO_MMIO_STATUS:
		return core_status(core);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return NO_SHM;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return axvirtio_core_config_generation(core);
	default:
		return 0;
	}
}

static void set_low(uint64_t *value, uint32_t half)
{
	*value = (*value & ~0xffffffffULL) | half;
}

static void set_high(uint64_t *value, uint32_t half)
{
	*value = (*value & 0xffffffffULL) | (uint64_t)half << 32;
}

static void write_queue_register(struct mmio *mmio, uint32_t offset, uint32_t value)
{
	struct axvq_setup *setup = axvirtio_core_queue_setup(mmio->device->core, mmio->queue_sel);

	if (!setup)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		setup->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&setup->desc_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&setup->desc_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&setup->avail_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&setup->avail_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&setup->used_gpa, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&setup->used_gpa, value);
		break;
	}
}

static void write_register(struct mmio *mmio, uint32_t offset, uint32_t value)
{
	struct axvirtio_core *core = mmio->device->core;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		axvirtio_core_accept_features(core, mmio->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (value > 1)
			axvirtio_core_bad_write(core);
		else
			axvirtio_core_set_queue_ready(core, mmio->queue_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_queue_register(mmio, offset, value);
		break;
	case VIRTIO_MMIO_STATUS:
		axvirtio_core_write_status(core, value);
		if (value == 0)
			axvirtio_mmio_reset_registers(mmio);
		break;
	case VIRTIO_MMIO_SHM_SEL:
		break; /* there is none, whichever is selected */
	default:
		axvirtio_core_bad_write(core);
	}
}

static enum axdev_result access_config(struct mmio *mmio, struct axdev_access *access)
{
	struct axvirtio_core *core = mmio->device->core;
	const uint64_t offset = access->offset - VIRTIO_MMIO_CONFIG;

	if (access->is_write)
		axvirtio_core_write_config(core, offset, access->width, access->value);
	else
		access->value = axvirtio_core_read_config(core, offset, access->width);
	return AXDEV_HANDLED;
}

enum axdev_result axvirtio_mmio_access(struct axdev *dev, struct axdev_access *access)
{
	struct mmio *mmio = ax_container_of(dev, struct mmio, dev);
	struct axvirtio_core *core = mmio->device->core;
	const uint32_t value = (uint32_t)access->value;

	if (access->offset >= VIRTIO_MMIO_CONFIG)
		return access_config(mmio, access);
	/* Control registers: aligned 32-bit accesses only (4.2.2.2). */
	if (access->width != 4 || access->offset % 4)
		return AXDEV_UNHANDLED;

	/* What an interrupt handler or a kick touches takes no lock, since a reset holds it. */
	if (access->offset == VIRTIO_MMIO_QUEUE_NOTIFY && access->is_write) {
		axvirtio_core_kick(core, value);
	} else if (access->offset == VIRTIO_MMIO_INTERRUPT_ACK && access->is_write) {
		atomic_fetch_and(&mmio->interrupt_status, ~value);
	} else if (access->offset == VIRTIO_MMIO_INTERRUPT_STATUS && !access->is_write) {
		access->value = atomic_load(&mmio->interrupt_status);
	} else {
		pthread_mutex_lock(&core->lock);
		if (access->is_write)
			write_register(mmio, (uint32_t)access->offset, value);
		else
			access->value = read_register(mmio, (uint32_t)access->offset);
		pthread_mutex_unlock(&core->lock);
	}
	return AXDEV_HANDLED;
}
