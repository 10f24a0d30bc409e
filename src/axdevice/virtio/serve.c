/*
 * The I/O thread's side of a virtio device: doorbell eventfds on the loop, draining queues in
 * batches, interrupting once per batch, and what happens when a guest breaks the rules.
 * Whether the I/O thread may be here at all is the gate's matter; what is in a chain, the device's.
 */
#include "core.h"
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define S_STOPPED (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)
#define TURN_NS   50000000ULL /* how long one queue may keep the loop from its other events */

static struct axvq *queue_of(struct axvirtio *device, unsigned index)
{
	return &device->core->queue[index].vq;
}

/* ---- kicks ----------------------------------------------------------------------------------- */

void axvirtio_core_kick(struct axvirtio_core *core, uint32_t index)
{
	const uint64_t one = 1;

	if (index >= core->queue_count) {
		axvirtio_core_bad_write(core);
		return;
	}
	/* EAGAIN: the counter is full, so the eventfd is readable, which is all that matters. */
	if (write(core->queue[index].kick_fd, &one, sizeof(one)) < 0)
		return;
}

static bool take_kick(struct core_queue *queue)
{
	uint64_t count;

	return read(queue->kick_fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

static void service(struct core_queue *queue)
{
	struct axvirtio_core *core = queue->core;

	if (!gate_enter(&core->gate))
		return;
	ax_counter_add(&core->counters.kicks, 1);
	if (queue->vq.size && !(core_status(core) & S_STOPPED))
		core->device->ops->handle_queue(core->device, queue->index);
	gate_leave(&core->gate);
}

static void on_kick(void *ctx, int fd, uint32_t events)
{
	struct core_queue *queue = ctx;

	(void)fd;
	(void)events;
	if (take_kick(queue))
		service(queue);
}

bool axvirtio_poll(struct axvirtio *device)
{
	struct axvirtio_core *core = device->core;
	bool any = false;

	for (unsigned i = 0; i < core->queue_count; i++) {
		if (!take_kick(&core->queue[i]))
			continue;
		any = true;
		service(&core->queue[i]);
	}
	return any;
}

int axvirtio_core_open_queues(struct axvirtio_core *core, struct ax_error *err)
{
	int r;

	for (unsigned i = 0; i < core->queue_count; i++)
		core->queue[i].kick_fd = -1;
	for (unsigned i = 0; i < core->queue_count; i++) {
		struct core_queue *queue = &core->queue[i];

		queue->core = core;
		queue->index = i;
		queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (queue->kick_fd < 0)
			return ax_error_set(err, AX_ERROR_DEVICE, errno,
					    "%s: no eventfd for queue %u", core->name, i);
		if (!core->io_loop)
			continue;
		r = ax_loop_add_fd(core->io_loop, queue->kick_fd, EPOLLIN, on_kick, queue,
				   &queue->event, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void axvirtio_core_close_queues(struct axvirtio_core *core)
{
	for (unsigned i = 0; i < core->queue_count; i++) {
		ax_loop_remove(core->queue[i].event);
		if (core->queue[i].kick_fd >= 0)
			close(core->queue[i].kick_fd);
	}
}

/* ---- violations ------------------------------------------------------------------------------ */

void axvirtio_core_needs_reset(struct axvirtio_core *core)
{
	if (atomic_fetch_or(&core->status, VIRTIO_CONFIG_S_NEEDS_RESET) &
	    VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	core_count(&core->counters.config_interrupts);
	core->transport->config_changed(core->transport_ctx);
}

void axvirtio_core_violation(struct axvirtio_core *core, unsigned index, enum axvq_error why)
{
	core_count(&core->counters.malformed_by[why]);
	atomic_store_explicit(&core->counters.last_error, why, memory_order_relaxed);
	ax_log_limited(&core->log_limit, AX_LOG_WARN, LAYER,
		       "%s: the guest broke queue %u (%s); the device waits for a reset",
		       core->name, index, axvq_error_name(why));
	axvirtio_core_needs_reset(core);
}

void axvirtio_fail(struct axvirtio *device, unsigned index, enum axvq_error why)
{
	struct axvq *vq = queue_of(device, index);

	if (!vq->broken)
		vq->broken = why;
	axvirtio_core_violation(device->core, index, why);
}

/* ---- chains ---------------------------------------------------------------------------------- */

int axvirtio_pop(struct axvirtio *device, unsigned index, struct iovec *iov, unsigned iov_max,
		 struct axvq_chain *ret_chain)
{
	struct axvirtio_core *core = device->core;
	struct axvq *vq = queue_of(device, index);
	int r;

	if (core_status(core) & S_STOPPED)
		return -EPROTO;
	if (!gate_is_open(&core->gate))
		return 0;
	r = axvq_pop(vq, iov, iov_max, ret_chain);
	if (r < 0)
		axvirtio_core_violation(core, index, vq->broken);
	return r;
}

void axvirtio_push(struct axvirtio *device, unsigned index, uint16_t head, uint32_t written_bytes,
		   uint64_t bytes)
{
	struct core_queue *queue = &device->core->queue[index];

	axvq_push(&queue->vq, head, written_bytes);
	queue->batch++;
	ax_counter_add(&device->core->counters.requests, 1);
	ax_counter_add(&device->core->counters.bytes, bytes);
}

void axvirtio_count_error(struct axvirtio *device)
{
	ax_counter_add(&device->core->counters.errors, 1);
}

void axvirtio_publish(struct axvirtio *device, unsigned index)
{
	struct axvirtio_core *core = device->core;
	struct core_queue *queue = &core->queue[index];
	const uint32_t batch = queue->batch;
	unsigned bucket = 0;

	if (!batch || queue->vq.broken)
		return;
	queue->batch = 0;
	while (bucket < AXVIRTIO_BATCH_BUCKETS - 1 && batch >> (bucket + 1))
		bucket++;
	ax_counter_add(&core->counters.batches, 1);
	ax_counter_add(&core->counters.batch_size[bucket], 1);
	if (axvq_publish(&queue->vq)) {
		ax_counter_add(&core->counters.interrupts, 1);
		core->transport->interrupt(core->transport_ctx, index);
	} else {
		ax_counter_add(&core->counters.interrupts_suppressed, 1);
	}
}

void axvirtio_serve(struct axvirtio *device, unsigned index,
		    int (*one)(struct axvirtio *device, unsigned index))
{
	struct axvirtio_core *core = device->core;
	struct axvq *vq = queue_of(device, index);
	const uint64_t turn_ends_ns = ax_clock_ns() + TURN_NS;
	uint32_t budget = vq->size;

	axvq_disable_kicks(vq);
	for (;;) {
		int r = 1;

		while (budget && r > 0) {
			r = one(device, index);
			if (r > 0)
				budget = ax_clock_ns() < turn_ends_ns ? budget - 1 : 0;
		}
		axvirtio_publish(device, index);
		/* A closed gate: kicks stay off, and opening it again looks at every queue. */
		if (r < 0 || !gate_is_open(&core->gate))
			return;
		if (!budget) {
			axvirtio_core_kick(core, index);
			return;
		}
		if (!axvq_enable_kicks(vq))
			return;
		axvq_disable_kicks(vq);
	}
}

void axvirtio_hold(struct axvirtio *device)
{
	gate_hold(&device->core->gate);
}

void axvirtio_release(struct axvirtio *device)
{
	gate_leave(&device->core->gate);
}

/* ---- counters -------------------------------------------------------------------------------- */

void axvirtio_core_get_stats(const struct axvirtio_core *core, struct axvirtio_stats *ret_stats)
{
	const struct core_counters *c = &core->counters;
	struct axvirtio_stats stats = {
		.kicks = ax_counter_read(&c->kicks),
		.requests = ax_counter_read(&c->requests),
		.errors = ax_counter_read(&c->errors),
		.bytes = ax_counter_read(&c->bytes),
		.interrupts = ax_counter_read(&c->interrupts),
		.interrupts_suppressed = ax_counter_read(&c->interrupts_suppressed),
		.config_interrupts = ax_counter_read(&c->config_interrupts),
		.batches = ax_counter_read(&c->batches),
		.resets = ax_counter_read(&c->resets),
		.bad_register_writes = ax_counter_read(&c->bad_register_writes),
		.last_error =
			(enum axvq_error)atomic_load_explicit(&c->last_error, memory_order_relaxed),
	};

	for (size_t i = 0; i < AXVIRTIO_BATCH_BUCKETS; i++)
		stats.batch_size[i] = ax_counter_read(&c->batch_size[i]);
	for (size_t i = 0; i < AXVQ_ERROR_COUNT; i++) {
		stats.malformed_by[i] = ax_counter_read(&c->malformed_by[i]);
		stats.malformed += stats.malformed_by[i];
	}
	*ret_stats = stats;
}
