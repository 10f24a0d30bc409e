/*
 * The state of one virtio-pci function, shared by pci.c (life, interrupts), pci_caps.c (where
 * things are, and the window through configuration space) and pci_regs.c (registers in BAR 0).
 */
#ifndef AXVM_VIRTIO_PCI_H
#define AXVM_VIRTIO_PCI_H

#include "core.h"
#include <axvm/pci.h>
#include <linux/virtio_pci.h>

/* BAR 0. Notify addresses have pages of their own: KVM answers for them alone. */
#define VPCI_BAR_BYTES     0x8000U
#define VPCI_COMMON        0x0000U
#define VPCI_COMMON_BYTES  56U /* up to queue_device: what comes after needs features */
#define VPCI_ISR           0x1000U
#define VPCI_DEVICE        0x2000U
#define VPCI_DEVICE_BYTES  0x1000U
#define VPCI_MSIX_TABLE    0x3000U
#define VPCI_MSIX_PBA      0x3800U
#define VPCI_NOTIFY        0x4000U
#define VPCI_NOTIFY_STRIDE 4U /* notify_off_multiplier */

struct vpci_queue {
	_Atomic uint16_t vector;
	bool has_size; /* the driver has written one; the largest until then (4.1.4.3) */
};

struct vpci {
	struct axdev dev;
	struct axpci_function function;
	struct axvirtio *device; /* owned */
	struct axdev_services services;
	unsigned doorbells;      /* assigned so far */
	uint32_t pci_cfg_offset; /* of VIRTIO_PCI_CAP_PCI_CFG */

	/* Under core.lock, but for vectors, which interrupts read. */
	uint32_t device_features_sel, driver_features_sel;
	uint16_t queue_sel;
	bool suspended; /* by the VM's owner */
	bool held;      /* suspended, or not bus master: the device leaves memory alone */
	_Atomic uint16_t config_vector;
	_Atomic uint8_t isr;
	struct vpci_queue queue[AXVIRTIO_MAX_QUEUES];
};

/* The device behind `dev` when it is of this transport, else NULL. */
struct axvirtio *axvirtio_pci_device(const struct axdev *dev);

/* Back to what a driver finds after a reset; core.lock held. */
void axvirtio_pci_reset_registers(struct vpci *vpci);
/* Any access to BAR 0; what makes no sense reads as all ones or is ignored. */
void axvirtio_pci_access_bar(struct vpci *vpci, struct axdev_access *access);

void axvirtio_pci_add_capabilities(struct vpci *vpci);
extern const struct axpci_function_ops axvirtio_pci_function_ops;
/* Bus mastering or `suspended` may have changed. */
void axvirtio_pci_update_hold(struct vpci *vpci);

#endif
