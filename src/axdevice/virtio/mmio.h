/*
 * The state of one virtio-mmio window, shared by mmio.c (life, interrupts) and mmio_regs.c.
 */
#ifndef AXVM_VIRTIO_MMIO_H
#define AXVM_VIRTIO_MMIO_H

#include "core.h"
#include <linux/virtio_mmio.h>

struct mmio {
	struct axdev dev;
	struct axvirtio *device; /* owned */
	struct axdev_services services;
	struct axirq_line *line;
	unsigned doorbells; /* assigned so far */
	_Atomic uint32_t interrupt_status;
	/* under core->lock */
	uint32_t device_features_sel, driver_features_sel, queue_sel;
};

/* The access hook of axdev_ops. */
enum axdev_result axvirtio_mmio_access(struct axdev *dev, struct axdev_access *access);
/* NULL when dev is not one of this transport's. */
struct axvirtio *axvirtio_mmio_device(const struct axdev *dev);
/* Power-on values of what the transport itself keeps; core->lock held. */
void axvirtio_mmio_reset_registers(struct mmio *mmio);

#endif
