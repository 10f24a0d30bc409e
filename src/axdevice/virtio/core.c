/*
 * What a virtio device needs besides its state machine: being bound to a transport, the
 * configuration space with its generation (Spec 2.5), and the way out.
 * device.c has the driver's side of rings and status, serve.c the I/O thread's.
 */
#include "core.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define RING_FEATURES                                                       \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX)

/* ---- configuration space --------------------------------------------------------------------- */

uint64_t axvirtio_core_read_config(struct axvirtio_core *core, uint64_t offset, unsigned width)
{
	const uint8_t *config = core->device->config;
	const uint64_t size = core->device->config_size;
	uint64_t value = 0;

	if (offset >= size)
		return 0;
	if (width > sizeof(value))
		width = sizeof(value);
	/* The part past the end reads as zero, as a field that this device does not have. */
	if (width > size - offset)
		width = (unsigned)(size - offset);
	pthread_mutex_lock(&core->config_lock);
	memcpy(&value, config + offset, width);
	pthread_mutex_unlock(&core->config_lock);
	return le64toh(value);
}

void axvirtio_core_write_config(struct axvirtio_core *core, uint64_t offset, unsigned width,
				uint64_t value)
{
	const uint64_t size = core->device->config_size;
	const uint64_t bytes = htole64(value);

	if (!core->device->ops->write_config || width > sizeof(bytes) || offset > size ||
	    width > size - offset) {
		axvirtio_core_bad_write(core);
		return;
	}
	pthread_mutex_lock(&core->config_lock);
	core->device->ops->write_config(core->device, (uint32_t)offset, (const uint8_t *)&bytes,
					width);
	pthread_mutex_unlock(&core->config_lock);
}

uint32_t axvirtio_core_config_generation(struct axvirtio_core *core)
{
	uint32_t generation;

	pthread_mutex_lock(&core->config_lock);
	generation = core->config_generation;
	pthread_mutex_unlock(&core->config_lock);
	return generation;
}

void axvirtio_update_config(struct axvirtio *device, uint32_t offset, const void *bytes,
			    uint32_t len)
{
	struct axvirtio_core *core = device->core;

	if (offset > device->config_size || len > device->config_size - offset)
		return;
	/* One critical section: a driver that reads the generation before and after (2.5.3) sees
	 * either all of the change or a new number. */
	pthread_mutex_lock(&core->config_lock);
	memcpy((uint8_t *)device->config + offset, bytes, len);
	core->config_generation++;
	pthread_mutex_unlock(&core->config_lock);
	if (core_status(core) & VIRTIO_CONFIG_S_DRIVER_OK) {
		core_count(&core->counters.config_interrupts);
		core->transport->config_changed(core->transport_ctx);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static int check_device(const struct axvirtio *device, const struct axdev_services *services,
			struct ax_error *err)
{
	if (!services || !services->memory || !services->irqs)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "a virtio device needs guest memory and interrupt lines");
	if (!device || device->core || !device->queue_count ||
	    device->queue_count > AXVIRTIO_MAX_QUEUES)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "virtio device is already bound or has no valid queue count");
	for (unsigned i = 0; i < device->queue_count; i++) {
		if (!ax_is_power_of_two(device->queue_max[i]) ||
		    device->queue_max[i] > AXVIRTIO_MAX_QUEUE_SIZE)
			return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
					    "virtio queue %u of %u entries: not a power of two up "
					    "to %u",
					    i, device->queue_max[i], AXVIRTIO_MAX_QUEUE_SIZE);
	}
	return 0;
}

int axvirtio_core_bind(struct axvirtio *device, const char *name,
		       const struct axdev_services *services,
		       const struct core_transport *transport, void *transport_ctx,
		       struct ax_error *err)
{
	struct axvirtio_core *core;
	size_t size;
	int r = check_device(device, services, err);

	if (r < 0)
		return r;
	size = sizeof(*core) + device->queue_count * sizeof(core->queue[0]);
	core = aligned_alloc(AX_CACHE_LINE, size);
	if (!core)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	memset(core, 0, size);
	core->device = device;
	core->name = name;
	core->memory = services->memory;
	core->transport = transport;
	core->transport_ctx = transport_ctx;
	core->offered = device->features | RING_FEATURES;
	core->queue_count = device->queue_count;
	core->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	pthread_mutex_init(&core->lock, NULL);
	pthread_mutex_init(&core->config_lock, NULL);
	for (unsigned i = 0; i < core->queue_count; i++)
		gate_init(&core->queue[i].gate);
	device->core = core;
	r = axvirtio_core_open_queues(core, services, err);
	core->has_loops = !r;
	if (!r && device->ops->bound)
		r = device->ops->bound(device, err);
	if (r < 0)
		axvirtio_core_unbind(device);
	return r;
}

void axvirtio_core_unbind(struct axvirtio *device)
{
	struct axvirtio_core *core = device->core;

	if (!core)
		return;
	axvirtio_core_close_gates(core);
	if (core->has_loops && device->ops->unbound)
		device->ops->unbound(device);
	axvirtio_core_close_queues(core);
	for (unsigned i = 0; i < core->queue_count; i++)
		gate_finish(&core->queue[i].gate);
	pthread_mutex_destroy(&core->config_lock);
	pthread_mutex_destroy(&core->lock);
	device->core = NULL;
	free(core);
}

void axvirtio_destroy(struct axvirtio *device)
{
	struct ax_loop *own_loop;

	if (!device)
		return;
	own_loop = device->own_loop;
	axvirtio_core_unbind(device);
	device->ops->destroy(device);
	ax_loop_destroy(own_loop);
}
