/*
 * What the files of the balloon share. balloon.c: the device, and pages that come and go;
 * balloon_stats.c: the guest's figures.
 */
#ifndef AXVM_VIRTIO_BALLOON_H
#define AXVM_VIRTIO_BALLOON_H

#include <linux/virtio_balloon.h>
#include <pthread.h>
#include "core.h"
#include <axvm/virtio_devices.h>

#define BALLOON_QUEUE_SIZE 128U
#define BALLOON_IOV        (BALLOON_QUEUE_SIZE + 8)
#define BALLOON_QUEUES     5U /* as 5.5.2 numbers them */
#define BALLOON_STATS      2U /* the queue, when there are statistics */

/* The driver's answer to a request for figures, kept until the next is due (5.5.6.3). */
struct balloon_stats {
	uint64_t interval_ns; /* 0: never asked for */
	struct ax_event *timer;
	bool holds; /* a chain, whose head is: */
	uint16_t head;
	pthread_mutex_t lock; /* the rest */
	uint64_t value[VIRTIO_BALLOON_S_NR];
	uint64_t updated_ns;
};

struct balloon {
	struct axvirtio device;
	uint8_t config[8]; /* num_pages, actual: both le32 */
	uint64_t features; /* negotiated; behind the queues' gates */
	_Atomic uint32_t wanted_pages, actual_pages;
	struct ax_counter reported_bytes, refused; /* by the one I/O thread of all queues */
	struct balloon_stats stats;
	struct iovec iov[BALLOON_IOV];
};

static inline struct balloon *balloon_of(struct axvirtio *device)
{
	return ax_container_of(device, struct balloon, device);
}

void axvirtio_balloon_stats_init(struct balloon_stats *stats, uint64_t interval_ns);
void axvirtio_balloon_stats_finish(struct balloon_stats *stats);
int axvirtio_balloon_stats_bound(struct balloon *balloon, struct ax_error *err);
void axvirtio_balloon_stats_unbound(struct balloon *balloon);
void axvirtio_balloon_stats_forget(struct balloon_stats *stats); /* at a reset */
int axvirtio_balloon_stats_one(struct axvirtio *device, unsigned index);
void axvirtio_balloon_stats_read(struct balloon_stats *stats,
				 struct axvirtio_balloon_stats *ret_stats);

#endif
