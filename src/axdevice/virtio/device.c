/*
 * The driver's side of a virtio device, in terms no transport has to know: the status machine,
 * feature negotiation, queue set-up, latching at DRIVER_OK, and reset. Spec 2.1, 2.2, 2.4, 3.1.
 * Runs on vCPU threads under core->lock; serve.c is the I/O thread's side.
 *
 * Reset with requests in flight: the status write of 0 closes the gates and sleeps until the I/O
 * threads have left and every held request has ended; pop finds nothing meanwhile, so that is at
 * most one request away. Only then are the queues forgotten. It has to wait: over MMIO, drivers
 * (Linux among them) free their buffers right after this write and never poll for its end.
 */
#include "core.h"

#define S_ACK         VIRTIO_CONFIG_S_ACKNOWLEDGE
#define S_DRIVER      VIRTIO_CONFIG_S_DRIVER
#define S_DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define S_FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define S_NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define S_FAILED      VIRTIO_CONFIG_S_FAILED
#define S_BY_DRIVER   (S_ACK | S_DRIVER | S_FEATURES_OK | S_DRIVER_OK | S_FAILED)

void axvirtio_core_bad_write(struct axvirtio_core *core)
{
	core_count(&core->counters.bad_register_writes);
}

/* ---- features -------------------------------------------------------------------------------- */

uint32_t axvirtio_core_offered_features(const struct axvirtio_core *core, uint32_t word)
{
	return word < 2 ? (uint32_t)(core->offered >> (32 * word)) : 0;
}

void axvirtio_core_accept_features(struct axvirtio_core *core, uint32_t word, uint32_t bits)
{
	/* Negotiation lies between DRIVER and FEATURES_OK (3.1.1). */
	if ((core_status(core) & (S_DRIVER | S_FEATURES_OK)) != S_DRIVER) {
		axvirtio_core_bad_write(core);
	} else if (word < 2) {
		core->accepted &= ~(0xffffffffULL << (32 * word));
		core->accepted |= (uint64_t)bits << (32 * word);
	} else {
		core->accepted_unknown = bits != 0;
	}
}

static bool features_acceptable(const struct axvirtio_core *core)
{
	return !core->accepted_unknown && !(core->accepted & ~core->offered) &&
	       core->accepted & 1ULL << VIRTIO_F_VERSION_1;
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* Let the I/O threads in and make them look at every queue: kicks while shut out were lost. */
static void open_gates(struct axvirtio_core *core)
{
	const struct axvirtio_ops *ops = core->device->ops;

	if (core->suspended || (core_status(core) & (S_DRIVER_OK | S_FAILED)) != S_DRIVER_OK)
		return;
	if (ops->start && !(core_status(core) & S_NEEDS_RESET) && ops->start(core->device) < 0)
		axvirtio_core_needs_reset(core);
	for (unsigned i = 0; i < core->queue_count; i++) {
		if (!core->queue[i].ready)
			continue;
		gate_open(&core->queue[i].gate);
		axvirtio_core_kick(core, i);
	}
}

/* A loop of the device's own is run by whoever polls the device, and that is who waits here. */
static void close_gate(const struct axvirtio_core *core, struct core_queue *queue)
{
	struct ax_loop *own_loop = core->device->own_loop;

	gate_shut(&queue->gate);
	while (queue->loop && queue->loop == own_loop && gate_is_used(&queue->gate))
		ax_loop_step(own_loop);
	gate_close(&queue->gate);
}

/* All are closed before any is waited for: the threads finish side by side. */
void axvirtio_core_close_gates(struct axvirtio_core *core)
{
	for (unsigned i = 0; i < core->queue_count; i++)
		gate_shut(&core->queue[i].gate);
	for (unsigned i = 0; i < core->queue_count; i++)
		close_gate(core, &core->queue[i]);
	if (core->device->ops->stop)
		core->device->ops->stop(core->device);
}

static void stop_queue(struct core_queue *queue)
{
	axvq_stop(&queue->vq);
	queue->ready = false;
	queue->batch = 0;
}

uint32_t axvirtio_core_queue_max(const struct axvirtio_core *core, uint32_t index)
{
	return index < core->queue_count ? core->device->queue_max[index] : 0;
}

bool axvirtio_core_queue_ready(const struct axvirtio_core *core, uint32_t index)
{
	return index < core->queue_count && core->queue[index].ready;
}

static bool may_set_up(const struct axvirtio_core *core)
{
	return (core_status(core) & (S_FEATURES_OK | S_DRIVER_OK | S_FAILED)) == S_FEATURES_OK;
}

struct axvq_setup *axvirtio_core_queue_setup(struct axvirtio_core *core, uint32_t index)
{
	if (!may_set_up(core) || index >= core->queue_count || core->queue[index].ready) {
		axvirtio_core_bad_write(core);
		return NULL;
	}
	return &core->queue[index].setup;
}

void axvirtio_core_set_queue_ready(struct axvirtio_core *core, uint32_t index, bool ready)
{
	struct core_queue *queue;

	if (index >= core->queue_count) {
		axvirtio_core_bad_write(core);
		return;
	}
	queue = &core->queue[index];
	if (may_set_up(core)) {
		queue->ready = ready;
	} else if (!ready && queue->ready) {
		/* The only way to stop using a queue short of a reset; the driver reads the
		 * register back and may then free the rings (4.2.2.2). */
		close_gate(core, queue);
		stop_queue(queue);
	} else if (ready != queue->ready) {
		axvirtio_core_bad_write(core);
	}
}

/* ---- status ---------------------------------------------------------------------------------- */

static void activate(struct axvirtio_core *core)
{
	const struct axvirtio_ops *ops = core->device->ops;

	atomic_fetch_or(&core->status, S_DRIVER_OK);
	for (unsigned i = 0; i < core->queue_count; i++) {
		struct core_queue *queue = &core->queue[i];
		enum axvq_error why;

		if (queue->ready &&
		    axvq_start(&queue->vq, core->memory, &queue->setup,
			       axvirtio_core_queue_max(core, i), core->accepted, &why) < 0) {
			axvirtio_core_violation(core, i, why);
			return;
		}
	}
	if (ops->activate && ops->activate(core->device, core->accepted) < 0) {
		axvirtio_core_needs_reset(core);
		return;
	}
	open_gates(core);
}

void axvirtio_core_reset(struct axvirtio_core *core)
{
	axvirtio_core_close_gates(core);
	if (core->device->ops->reset)
		core->device->ops->reset(core->device);
	for (unsigned i = 0; i < core->queue_count; i++) {
		stop_queue(&core->queue[i]);
		core->queue[i].setup = (struct axvq_setup){0};
	}
	core->accepted = 0;
	core->accepted_unknown = false;
	/* Last: a driver takes a status of 0 for the end of the reset (2.4.2). */
	atomic_store(&core->status, 0);
}

/* The order of 3.1.1; a bit needs all that stand in `needs`. */
static const struct {
	uint32_t bit, needs;
} ladder[] = {
	{S_ACK, 0},
	{S_DRIVER, S_ACK},
	{S_FEATURES_OK, S_ACK | S_DRIVER},
	{S_DRIVER_OK, S_ACK | S_DRIVER | S_FEATURES_OK},
};

void axvirtio_core_write_status(struct axvirtio_core *core, uint32_t value)
{
	const uint32_t old = core_status(core) & S_BY_DRIVER;

	if (value == 0) {
		core_count(&core->counters.resets);
		axvirtio_core_reset(core);
		return;
	}
	value &= S_BY_DRIVER;
	/* Bits are only ever added (2.1.1), and after FAILED only a reset helps. */
	if (old & ~value || old & S_FAILED) {
		axvirtio_core_bad_write(core);
		return;
	}
	if (value & S_FAILED) {
		axvirtio_core_close_gates(core);
		atomic_fetch_or(&core->status, S_FAILED);
		return;
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(ladder); i++) {
		if (!(value & ~old & ladder[i].bit))
			continue;
		if ((core_status(core) & ladder[i].needs) != ladder[i].needs ||
		    (ladder[i].bit == S_FEATURES_OK && !features_acceptable(core))) {
			axvirtio_core_bad_write(core);
			return;
		}
		if (ladder[i].bit == S_DRIVER_OK)
			activate(core);
		else
			atomic_fetch_or(&core->status, ladder[i].bit);
	}
}

void axvirtio_core_suspend(struct axvirtio_core *core)
{
	core->suspended = true;
	axvirtio_core_close_gates(core);
}

void axvirtio_core_resume(struct axvirtio_core *core)
{
	core->suspended = false;
	open_gates(core);
}
