/*
 * The I/O threads' side of a virtio device: doorbell eventfds on the loops, draining queues in
 * batches, interrupting once per round, and what happens when a guest breaks the rules.
 * Whether an I/O thread may be here at all is the gate's matter; what is in a chain, the device's.
 */
#include "core.h"
#include <string.h>
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
	if (write(core->queue[index].kick_fd, &one, sizeof(one)) < 0)
		return; /* only a counter at its limit refuses, and that is kicked enough */
}

void axvirtio_wake(struct axvirtio *device, unsigned index)
{
	axvirtio_core_kick(device->core, index);
}

bool axvirtio_enter(struct axvirtio *device, unsigned index)
{
	struct core_queue *queue = &device->core->queue[index];

	if (!gate_enter(&queue->gate))
		return false;
	if (queue->vq.size && !core_is_lent(queue) && !(core_status(device->core) & S_STOPPED))
		return true;
	gate_leave(&queue->gate);
	return false;
}

void axvirtio_leave(struct axvirtio *device, unsigned index)
{
	gate_leave(&device->core->queue[index].gate);
}

void axvirtio_hold(struct axvirtio *device, unsigned index)
{
	gate_hold(&device->core->queue[index].gate);
}

void axvirtio_release(struct axvirtio *device, unsigned index)
{
	gate_leave(&device->core->queue[index].gate);
}

static void on_kick(void *ctx, int fd, uint32_t events)
{
	struct core_queue *queue = ctx;
	struct axvirtio *device = queue->core->device;

	(void)fd;
	(void)events;
	if (!axvirtio_enter(device, queue->index))
		return;
	ax_counter_add(&queue->counters.kicks, 1);
	device->ops->handle_queue(device, queue->index);
	/* What a suspend kept from being told. */
	if (queue->batch)
		ax_loop_defer(queue->loop, &queue->finish);
	axvirtio_leave(device, queue->index);
}

static void on_round_end(void *ctx)
{
	struct core_queue *queue = ctx;
	struct axvirtio *device = queue->core->device;

	if (!axvirtio_enter(device, queue->index))
		return;
	axvirtio_publish(device, queue->index);
	/* Kicks are still off: the driver that was answered just now may have more. */
	if (queue->rest.queued && axvq_has_chains(&queue->vq))
		device->ops->handle_queue(device, queue->index);
	axvirtio_leave(device, queue->index);
}

/* The loop is about to wait: from here on the driver must kick. Until then it need not, and what it
 * has made available meanwhile is taken at the end of each round or here. */
static void on_idle(void *ctx)
{
	struct core_queue *queue = ctx;
	struct axvirtio *device = queue->core->device;

	if (!axvirtio_enter(device, queue->index))
		return;
	if (axvq_enable_kicks(&queue->vq)) {
		axvq_disable_kicks(&queue->vq);
		device->ops->handle_queue(device, queue->index);
	}
	axvirtio_leave(device, queue->index);
}

bool axvirtio_poll(struct axvirtio *device)
{
	return device->own_loop && ax_loop_step(device->own_loop);
}

struct ax_loop *axvirtio_loop(const struct axvirtio *device, unsigned index)
{
	return device->core->queue[index].loop;
}

static unsigned group_of(const struct axvirtio *device, unsigned index)
{
	return device->ops->queue_group ? device->ops->queue_group(device, index) : index;
}

static struct ax_loop *choose_loop(const struct axvirtio_core *core, unsigned index,
				   const struct axdev_services *services)
{
	const struct axvirtio *device = core->device;
	const unsigned group = group_of(device, index);
	unsigned groups = 1;

	if (!services->io_loop && !services->io_loop_count)
		return device->own_loop;
	if (!services->io_loop_count)
		return services->io_loop;
	for (unsigned i = 0; i < core->queue_count; i++)
		if (group_of(device, i) >= groups)
			groups = group_of(device, i) + 1;
	if (groups > 1 && services->io_of_vcpu)
		return services->io_loops[services->io_of_vcpu[(uint64_t)group *
							       services->vcpu_count / groups]];
	return services->io_loops[(services->io_first + group) % services->io_loop_count];
}

static int open_queue(struct core_queue *queue, struct ax_error *err)
{
	/* In blocking mode, as ax_loop_add_eventfd wants it; a write never blocks in practice. */
	queue->kick_fd = eventfd(0, EFD_CLOEXEC);
	atomic_init(&queue->bell_fd, queue->kick_fd);
	if (queue->kick_fd < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "%s: no eventfd for queue %u: %s",
				    queue->core->name, queue->index, strerror(errno));
	return ax_loop_add_eventfd(queue->loop, queue->kick_fd, on_kick, queue, &queue->event, err);
}

int axvirtio_core_open_queues(struct axvirtio_core *core, const struct axdev_services *services,
			      struct ax_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < core->queue_count; i++)
		core->queue[i].kick_fd = -1;
	if (!services->io_loop && !services->io_loop_count && !core->device->own_loop)
		r = ax_loop_create(AX_LOOP_EPOLL, &core->device->own_loop, err);
	for (unsigned i = 0; !r && i < core->queue_count; i++) {
		struct core_queue *queue = &core->queue[i];

		queue->core = core;
		queue->index = i;
		queue->finish = (struct ax_deferred){.fn = on_round_end, .ctx = queue};
		queue->rest = (struct ax_deferred){.fn = on_idle, .ctx = queue};
		queue->loop = choose_loop(core, i, services);
		r = open_queue(queue, err);
	}
	return r;
}

void axvirtio_core_close_queues(struct axvirtio_core *core)
{
	for (unsigned i = 0; i < core->queue_count; i++) {
		struct core_queue *queue = &core->queue[i];

		ax_loop_remove(queue->event);
		if (queue->loop) {
			ax_loop_cancel_defer(queue->loop, &queue->finish);
			ax_loop_cancel_defer(queue->loop, &queue->rest);
		}
		if (queue->kick_fd >= 0)
			close(queue->kick_fd);
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
	struct core_queue *queue = &core->queue[index];
	uint16_t depth;
	int r;

	if (core_status(core) & S_STOPPED)
		return -EPROTO;
	if (!gate_is_open(&queue->gate))
		return 0;
	r = axvq_pop(&queue->vq, iov, iov_max, ret_chain);
	if (r < 0)
		axvirtio_core_violation(core, index, queue->vq.broken);
	depth = (uint16_t)(queue->vq.next_avail - queue->vq.next_used);
	if (r > 0 && depth > ax_counter_read(&queue->counters.depth_max))
		atomic_store_explicit(&queue->counters.depth_max.value, depth,
				      memory_order_relaxed);
	return r;
}

void axvirtio_unpop(struct axvirtio *device, unsigned index)
{
	axvq_unpop(queue_of(device, index));
}

bool axvirtio_want_kicks(struct axvirtio *device, unsigned index, bool want)
{
	if (want)
		return axvq_enable_kicks(queue_of(device, index));
	axvq_disable_kicks(queue_of(device, index));
	return false;
}

void axvirtio_push(struct axvirtio *device, unsigned index, uint16_t head, uint32_t written_bytes,
		   uint64_t bytes)
{
	struct core_queue *queue = &device->core->queue[index];

	axvq_push(&queue->vq, head, written_bytes);
	queue->batch++;
	ax_counter_add(&queue->counters.requests, 1);
	ax_counter_add(&queue->counters.bytes, bytes);
	ax_loop_defer(queue->loop, &queue->finish);
}

void axvirtio_count_error(struct axvirtio *device, unsigned index)
{
	ax_counter_add(&device->core->queue[index].counters.errors, 1);
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
	ax_counter_add(&queue->counters.batches, 1);
	ax_counter_add(&queue->counters.batch_size[bucket], 1);
	if (axvq_publish(&queue->vq)) {
		ax_counter_add(&queue->counters.interrupts, 1);
		core->transport->interrupt(core->transport_ctx, index);
	} else {
		ax_counter_add(&queue->counters.interrupts_suppressed, 1);
	}
}

void axvirtio_serve(struct axvirtio *device, unsigned index,
		    int (*one)(struct axvirtio *device, unsigned index))
{
	struct core_queue *queue = &device->core->queue[index];
	struct axvq *vq = &queue->vq;
	const uint64_t turn_ends_ns = ax_clock_ns() + TURN_NS;
	uint32_t budget = vq->size;
	int r = 1;

	axvq_disable_kicks(vq);
	while (budget && r > 0) {
		r = one(device, index);
		if (r > 0)
			budget = ax_clock_ns() < turn_ends_ns ? budget - 1 : 0;
	}
	/* A closed gate: kicks stay off, and opening it again looks at every queue. */
	if (r < 0 || !gate_is_open(&queue->gate))
		return;
	if (!budget)
		axvirtio_core_kick(queue->core, index);
	else
		ax_loop_defer_idle(queue->loop, &queue->rest);
}
