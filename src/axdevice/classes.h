/*
 * The device classes there are: each is defined in the file of its device and listed once, in
 * registry.c.
 */
#ifndef AXDEVICE_CLASSES_H
#define AXDEVICE_CLASSES_H

#include <axvm/virtio_devices.h>

extern const struct axdev_class axdev_uart16550_class;
extern const struct axdev_class axdev_pl011_class;
extern const struct axdev_class axdev_pl031_class;
extern const struct axdev_class axdev_power_class;
extern const struct axdev_class axdev_hypercall_class;

#endif
