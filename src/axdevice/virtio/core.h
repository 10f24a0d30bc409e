/*
 * What a transport sees of a device: status, features, queue set-up, configuration space, kicks and
 * reset, without any register layout. device.c holds the driver's side of it (vCPU threads),
 * serve.c the I/O thread's, lend.c queues that neither serves. virtio-mmio is the first transport;
 * virtio-pci fits the same calls.
 *
 * Locking: `lock` serialises everything a driver does through registers and is held across a reset;
 * I/O threads never take it. What both sides touch is atomic (status), behind a queue's gate (its
 * ring, its requests), or under config_lock (configuration space), which is taken last and never
 * held long. What a queue needs while it works is its own, so that queues on different loops share
 * no cache line.
 */
#ifndef AXVM_VIRTIO_CORE_H
#define AXVM_VIRTIO_CORE_H

#include <axvm/virtio.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include "gate.h"

#define LAYER "virtio"

/* Supplied by the transport; any thread. */
struct core_transport {
	void (*interrupt)(void *ctx, unsigned index); /* buffers of queue `index` were used */
	void (*config_changed)(void *ctx);
	/* For lent queues; NULL both where there are none. core.lock held: kicks of queue `index`
	 * went to old_fd, and go to its bell_fd from now on; an eventfd behind its interrupt. */
	void (*bell_moved)(void *ctx, unsigned index, int old_fd);
	int (*interrupt_fd)(void *ctx, unsigned index);
};

/* One writer: the queue's I/O thread. */
struct core_queue_counters {
	struct ax_counter kicks, requests, errors, bytes, interrupts, interrupts_suppressed,
		batches;
	struct ax_counter batch_size[AXVIRTIO_BATCH_BUCKETS];
	struct ax_counter depth_max;
};

struct core_queue {
	struct gate gate;
	struct axvq vq;          /* behind the gate */
	struct axvq_setup setup; /* what the registers say, under core.lock */
	bool ready;
	uint32_t batch; /* pushed since the last publish */
	unsigned index;
	int kick_fd;         /* the loop's */
	_Atomic int bell_fd; /* what the driver rings: kick_fd, or another's (lend.c) */
	struct ax_loop *loop;
	struct ax_event *event;
	struct ax_deferred finish; /* publishes what a round has pushed */
	struct ax_deferred rest;   /* queued: kicks are off */
	struct axvirtio_core *core;
	struct core_queue_counters counters;
} __attribute__((aligned(AX_CACHE_LINE)));

/* Seldom, and from several threads. */
struct core_counters {
	struct ax_counter config_interrupts, resets, bad_register_writes;
	struct ax_counter malformed_by[AXVQ_ERROR_COUNT];
	_Atomic uint32_t last_error;
};

struct axvirtio_core {
	struct axvirtio *device;
	const char *name; /* the transport's, outlives the core */
	struct axas *memory;
	const struct core_transport *transport;
	void *transport_ctx;

	pthread_mutex_t lock;
	_Atomic uint32_t status;
	uint64_t offered;      /* feature bits */
	uint64_t accepted;     /* by the driver; fixed from FEATURES_OK on */
	bool accepted_unknown; /* it set a bit past 63 */
	bool suspended;
	bool has_loops; /* the device may have been told of them */

	pthread_mutex_t config_lock;
	uint32_t config_generation;

	struct core_counters counters;
	struct ax_ratelimit log_limit;
	unsigned queue_count;
	struct core_queue queue[];
};

/* Both on the thread that builds the VM. bind leaves device->core set on success. */
int axvirtio_core_bind(struct axvirtio *device, const char *name,
		       const struct axdev_services *services,
		       const struct core_transport *transport, void *transport_ctx,
		       struct ax_error *err);
void axvirtio_core_unbind(
	struct axvirtio *device); /* the I/O thread does not run; device remains */

static inline uint32_t core_status(const struct axvirtio_core *core)
{
	return atomic_load(&core->status);
}

/* All below: vCPU threads, core->lock held, except where said. */
void axvirtio_core_write_status(struct axvirtio_core *core, uint32_t value);
void axvirtio_core_reset(struct axvirtio_core *core); /* waits for the I/O thread */
uint32_t axvirtio_core_offered_features(const struct axvirtio_core *core, uint32_t word);
void axvirtio_core_accept_features(struct axvirtio_core *core, uint32_t word, uint32_t bits);
/* The set-up of a queue if the driver may write it now, else NULL (and counted). */
struct axvq_setup *axvirtio_core_queue_setup(struct axvirtio_core *core, uint32_t index);
void axvirtio_core_set_queue_ready(struct axvirtio_core *core, uint32_t index, bool ready);
bool axvirtio_core_queue_ready(const struct axvirtio_core *core, uint32_t index);
uint32_t axvirtio_core_queue_max(const struct axvirtio_core *core,
				 uint32_t index); /* 0: no such queue */
void axvirtio_core_suspend(struct axvirtio_core *core);
void axvirtio_core_resume(struct axvirtio_core *core);

/* Any thread, no core->lock: offset and width may be anything. */
uint64_t axvirtio_core_read_config(struct axvirtio_core *core, uint64_t offset, unsigned width);
void axvirtio_core_write_config(struct axvirtio_core *core, uint64_t offset, unsigned width,
				uint64_t value);
uint32_t axvirtio_core_config_generation(struct axvirtio_core *core);
void axvirtio_core_kick(struct axvirtio_core *core, uint32_t index); /* the loop */
void axvirtio_core_ring(struct axvirtio_core *core, uint32_t index); /* whoever serves the queue */
void axvirtio_core_bad_write(struct axvirtio_core *core);
void axvirtio_core_get_stats(const struct axvirtio_core *core, struct axvirtio_stats *ret_stats);

/* serve.c, for core.c and device.c */
int axvirtio_core_open_queues(struct axvirtio_core *core, const struct axdev_services *services,
			      struct ax_error *err);
void axvirtio_core_close_queues(struct axvirtio_core *core);
/* Shut a queue's, or all, I/O threads out and wait for them and for requests in flight. */
void axvirtio_core_close_gates(struct axvirtio_core *core);
/* Enter DEVICE_NEEDS_RESET and say so; either side, not before DRIVER_OK. */
void axvirtio_core_violation(struct axvirtio_core *core, unsigned index, enum axvq_error why);
void axvirtio_core_needs_reset(struct axvirtio_core *core);

/* lend.c; both core->lock held. The driver has changed where a queue's interrupts go. */
void axvirtio_core_interrupt_moved(struct axvirtio_core *core, unsigned index);
static inline bool core_is_lent(const struct core_queue *queue)
{
	return atomic_load_explicit(&queue->bell_fd, memory_order_relaxed) != queue->kick_fd;
}

/* Counters that several threads add to. */
static inline void core_count(struct ax_counter *counter)
{
	atomic_fetch_add_explicit(&counter->value, 1, memory_order_relaxed);
}

#endif
