/*
 * Rate limits of one queue: a token bucket each for bytes and operations. The queue asks before it
 * takes a chain and charges what the chain turned out to cost; an overdrawn bucket makes it wait, and
 * a timer on the queue's loop wakes the queue when there is room again. Queues of one device share
 * its budget: the buckets are two words that all of them change without a lock.
 */
#ifndef AXVM_VIRTIO_LIMIT_H
#define AXVM_VIRTIO_LIMIT_H

#include <axvm/virtio_devices.h>

/* The time by which all that was let through will have been paid for (generic cell rate). */
struct limit_bucket {
	_Atomic uint64_t paid_ns;
	uint64_t per_s;    /* 0: no limit */
	uint64_t burst_ns; /* how far ahead of now paid_ns may be when a request is let through */
};

struct limit {
	struct limit_bucket bytes, ops;
	struct ax_counter throttled; /* times a queue was made to wait; by whoever was told so */
};

/* One queue that waits on a limit. */
struct limit_waiter {
	struct ax_event *timer;
	struct axvirtio *device;
	unsigned index;
};

/* Checks nothing: the configuration's values are legal. No limit at all when all are 0. */
void limit_init(struct limit *limit, const struct axvirtio_limit *config);
static inline bool limit_active(const struct limit *limit)
{
	return limit->bytes.per_s || limit->ops.per_s;
}
/* In the device's `bound` hook, and before it is destroyed (loops not running). Nothing is made for
 * a limit that is not active. */
int limit_waiter_init(struct limit_waiter *waiter, const struct limit *limit,
		      struct axvirtio *device, unsigned index, struct ax_error *err);
void limit_waiter_finish(struct limit_waiter *waiter);

/* May a request be taken now? false: the waiter's timer is set and will axvirtio_wake its queue. On
 * the queue's I/O thread. */
bool limit_may_take(struct limit *limit, struct limit_waiter *waiter);
/* One operation of `bytes` was taken. */
void limit_charge(struct limit *limit, uint64_t bytes);

#endif
