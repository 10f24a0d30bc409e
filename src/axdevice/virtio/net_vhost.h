/*
 * What net_vhost.c computes without a vhost to ask: shown to its tests.
 */
#ifndef AXVM_VIRTIO_NET_VHOST_H
#define AXVM_VIRTIO_NET_VHOST_H

#include <axvm/axaddrspace.h>
#include <linux/vhost.h>

/* `features` of a device without those that its vhost lacks. 0: it is too old for any driver. */
uint64_t axvirtio_net_vhost_offer(uint64_t features, uint64_t vhost);
/* Guest memory as vhost wants it: what it may write, neighbours as one. table has room for `count`
 * regions; returns how many it has. */
uint32_t axvirtio_net_vhost_table(const struct axas_region_info *regions, size_t count,
				  struct vhost_memory *table);
/* Why /dev/vhost-net cannot be opened; returns -code. */
int axvirtio_net_vhost_explain(const char *name, int code, struct ax_error *err);

#endif
