/*
 * Rate limits of one queue: a token bucket each for bytes and operations. The queue asks before it
 * takes a chain and charges what the chain turned out to cost; an overdrawn bucket makes it wait,
 *and a timer on the queue's loop wakes the queue when there is room again. Queues of one device
 *share its budget: the buckets are two words that all of them change without a lock.
 *
 * In what is given to axvirtio_serve:
 *
 *	if (!limit_may_take(&disk->limit, &queue->waiter))
 *		return -EAGAIN;		no more kicks until the timer; 0 would have it ask again
 *	r = axvirtio_pop(...);
 *	...
 *	limit_charge(&disk->limit, bytes);
 */
#ifndef AXVM_VIRTIO_LIMIT_H
#define AXVM_VIRTIO_LIMIT_H

#include <axvm/virtio_devices.h>

/* Short here; the library's symbols carry its prefix. */
#define limit_init          axvirtio_limit_init
#define limit_init_at       axvirtio_limit_init_at
#define limit_may_take      axvirtio_limit_may_take
#define limit_may_take_at   axvirtio_limit_may_take_at
#define limit_charge        axvirtio_limit_charge
#define limit_waiter_init   axvirtio_limit_waiter_init
#define limit_waiter_finish axvirtio_limit_waiter_finish

/*
 * Generic cell rate. Both times are told in tokens, of which per_s come every second since the
 * start: `paid` is when all that was let through will have been paid for, and what it is ahead of
 * now is missing in the bucket. Tokens rather than nanoseconds, so that nothing is rounded away
 * however small a request is; a token is 2^shift bytes or operations.
 */
struct limit_bucket {
	_Atomic uint64_t paid;
	uint64_t per_s; /* 0: no limit */
	uint64_t burst; /* in tokens */
	unsigned shift; /* 0 up to 2^34 per second: no clock of ours runs over */
};

struct limit {
	struct limit_bucket bytes, ops;
	uint64_t start_ns;
	struct ax_counter throttled; /* times a queue was made to wait; from all its threads */
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
/* In the device's `bound` and `unbound` hooks. Nothing is made for a limit that is not active;
 * finish may be called twice, or for a zeroed waiter. */
int limit_waiter_init(struct limit_waiter *waiter, const struct limit *limit,
		      struct axvirtio *device, unsigned index, struct ax_error *err);
void limit_waiter_finish(struct limit_waiter *waiter);

/* May a request be taken now? false: the waiter's timer is set and will axvirtio_wake its queue. On
 * the queue's I/O thread. */
bool limit_may_take(struct limit *limit, struct limit_waiter *waiter);
/* One operation of `bytes` was taken. Any thread. */
void limit_charge(struct limit *limit, uint64_t bytes);

/* For tests, with a clock of their own. How long until a request may be taken; 0: now. */
void limit_init_at(struct limit *limit, const struct axvirtio_limit *config, uint64_t now_ns);
uint64_t limit_may_take_at(struct limit *limit, uint64_t now_ns);

#endif
