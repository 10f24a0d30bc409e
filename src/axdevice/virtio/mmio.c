/*
 * The virtio-mmio transport, version 2 (Spec 4.2): a 4 KiB window, one doorbell per queue and one
 * edge-triggered line. Here: its life and its interrupts; mmio_regs.c has the registers.
 *
 * A kick (QueueNotify) is an ioeventfd where the VM has them, so it never comes here; the access
 * hook signals the same eventfd otherwise. Each interrupt sets InterruptStatus and then pulses the
 * line. The pulse is not skipped while an older bit is unacknowledged: an edge that was lost while
 * the pin was masked would otherwise silence the device for good. Needless interrupts are avoided
 * where it is safe, by batches and by the driver's own used_event (serve.c).
 */
#include "mmio.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- interrupts ------------------------------------------------------------------------------ */

static void raise_line(struct mmio *mmio, uint32_t bit)
{
	atomic_fetch_or(&mmio->interrupt_status, bit);
	axirq_pulse(mmio->line);
}

static void transport_interrupt(void *ctx, unsigned index)
{
	(void)index;
	raise_line(ctx, VIRTIO_MMIO_INT_VRING);
}

static void transport_config_changed(void *ctx)
{
	raise_line(ctx, VIRTIO_MMIO_INT_CONFIG);
}

static const struct core_transport mmio_transport = {
	.interrupt = transport_interrupt,
	.config_changed = transport_config_changed,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void reset_mmio(struct axdev *dev)
{
	struct mmio *mmio = ax_container_of(dev, struct mmio, dev);
	struct axvirtio_core *core = mmio->device->core;

	pthread_mutex_lock(&core->lock);
	axvirtio_core_reset(core);
	axvirtio_mmio_reset_registers(mmio);
	pthread_mutex_unlock(&core->lock);
}

static int suspend_mmio(struct axdev *dev, struct ax_error *err)
{
	struct mmio *mmio = ax_container_of(dev, struct mmio, dev);
	struct axvirtio_core *core = mmio->device->core;

	(void)err;
	pthread_mutex_lock(&core->lock);
	axvirtio_core_suspend(core);
	pthread_mutex_unlock(&core->lock);
	return 0;
}

static int resume_mmio(struct axdev *dev, struct ax_error *err)
{
	struct mmio *mmio = ax_container_of(dev, struct mmio, dev);
	struct axvirtio_core *core = mmio->device->core;

	(void)err;
	pthread_mutex_lock(&core->lock);
	axvirtio_core_resume(core);
	pthread_mutex_unlock(&core->lock);
	return 0;
}

/* All queues share the register, so the value has to be looked at, and the instruction decoded for
 * it. With one queue any write there means it, and KVM need not even decode (its fast MMIO bus). */
static struct axdev_doorbell doorbell_of(const struct mmio *mmio, unsigned index)
{
	const bool shared = mmio->device->queue_count > 1;

	return (struct axdev_doorbell){
		.space = AXDEV_MMIO,
		.addr = mmio->dev.resource[0].base + VIRTIO_MMIO_QUEUE_NOTIFY,
		.width = shared ? 4 : 0,
		.has_match = shared,
		.match = shared ? index : 0,
		.event_fd = mmio->device->core->queue[index].kick_fd,
	};
}

/* Everything but the device itself, which stays with the caller. */
static void dismantle(struct mmio *mmio)
{
	while (mmio->doorbells && mmio->services.release_doorbell) {
		const struct axdev_doorbell bell = doorbell_of(mmio, --mmio->doorbells);

		mmio->services.release_doorbell(mmio->services.ctx, &bell);
	}
	axvirtio_core_unbind(mmio->device);
	axirq_release(mmio->line);
	free(mmio);
}

static void destroy_mmio(struct axdev *dev)
{
	struct mmio *mmio = ax_container_of(dev, struct mmio, dev);
	struct axvirtio *device = mmio->device;

	dismantle(mmio);
	axvirtio_destroy(device);
}

static const struct axdev_ops mmio_ops = {
	.access = axvirtio_mmio_access,
	.reset = reset_mmio,
	.suspend = suspend_mmio,
	.resume = resume_mmio,
	.destroy = destroy_mmio,
};

static int check_place(const char *name, uint64_t gpa, const struct axdev_services *services,
		       struct ax_error *err)
{
	uint64_t end, limit;
	void *host;

	if (gpa % AXVIRTIO_MMIO_SIZE || ax_add_overflows(gpa, AXVIRTIO_MMIO_SIZE, &end))
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: virtio-mmio window at 0x%" PRIx64
				    " is not a multiple of %u, or wraps",
				    name, gpa, AXVIRTIO_MMIO_SIZE);
	if (services && services->memory && !axas_translate(services->memory, gpa, &host, &limit))
		return ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
				    "%s: virtio-mmio window at 0x%" PRIx64 " lies in guest memory",
				    name, gpa);
	return 0;
}

static int assign_doorbells(struct mmio *mmio, struct ax_error *err)
{
	if (!mmio->services.assign_doorbell)
		return 0;
	while (mmio->doorbells < mmio->device->queue_count) {
		const struct axdev_doorbell bell = doorbell_of(mmio, mmio->doorbells);
		int r = mmio->services.assign_doorbell(mmio->services.ctx, &bell, err);

		if (r < 0)
			return r;
		mmio->doorbells++;
	}
	return 0;
}

int axvirtio_mmio_create(const char *name, uint64_t gpa, uint32_t gsi, struct axvirtio *device,
			 const struct axdev_services *services, struct axdev **ret_dev,
			 struct ax_error *err)
{
	struct mmio *mmio;
	int r = check_place(name, gpa, services, err);

	if (r < 0)
		return r;
	mmio = calloc(1, sizeof(*mmio));
	if (!mmio)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	snprintf(mmio->dev.name, sizeof(mmio->dev.name), "%s", name);
	mmio->dev.ops = &mmio_ops;
	mmio->dev.class_name = device->class_name;
	mmio->dev.resource[0] = (struct axdev_resource){
		.space = AXDEV_MMIO,
		.base = gpa,
		.size = AXVIRTIO_MMIO_SIZE,
	};
	mmio->dev.resource_count = 1;
	r = axvirtio_core_bind(device, mmio->dev.name, services, &mmio_transport, mmio, err);
	if (r < 0) {
		free(mmio);
		return r;
	}
	mmio->device = device;
	mmio->services = *services;
	r = axirq_claim(services->irqs, gsi, AXIRQ_EDGE, name, &mmio->line, err);
	if (!r)
		r = assign_doorbells(mmio, err);
	if (r < 0) {
		dismantle(mmio);
		return r;
	}
	*ret_dev = &mmio->dev;
	return 0;
}

static const struct mmio *mmio_of(const struct axdev *dev)
{
	if (!dev || dev->ops != &mmio_ops)
		return NULL;
	return (const struct mmio *)(const void *)dev; /* dev is the first member */
}

int axvirtio_mmio_get_info(const struct axdev *dev, struct axvirtio_mmio_info *ret_info)
{
	const struct mmio *mmio = mmio_of(dev);

	if (!mmio)
		return -ENODEV;
	*ret_info = (struct axvirtio_mmio_info){
		.gpa = dev->resource[0].base,
		.size_bytes = dev->resource[0].size,
		.gsi = axirq_gsi(mmio->line),
		.device_id = mmio->device->device_id,
	};
	return 0;
}

struct axvirtio *axvirtio_mmio_device(const struct axdev *dev)
{
	const struct mmio *mmio = mmio_of(dev);

	return mmio ? mmio->device : NULL;
}
