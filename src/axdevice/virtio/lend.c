/*
 * Queues that somebody outside serves (vhost): where the driver's kicks go, and what the outside is
 * told of rings and interrupts. Who it is and what it does with them is the device's matter.
 *
 * A queue changes hands only while its gate is closed, and the loop looks inside the gate whether
 * it is its own, so the two never work on one ring at a time. The doorbell stays where it is until
 * another driver wants it elsewhere: changing it while KVM runs is slow, and seldom needed.
 */
#include "core.h"
#include <unistd.h>

void axvirtio_core_ring(struct axvirtio_core *core, uint32_t index)
{
	const uint64_t one = 1;

	if (index >= core->queue_count)
		axvirtio_core_bad_write(core);
	else if (write(atomic_load(&core->queue[index].bell_fd), &one, sizeof(one)) < 0)
		return; /* as for axvirtio_core_kick */
}

static void move_bell(struct axvirtio_core *core, unsigned index, int fd)
{
	const int old = atomic_exchange(&core->queue[index].bell_fd, fd);

	if (old != fd)
		core->transport->bell_moved(core->transport_ctx, index, old);
}

bool axvirtio_can_lend(const struct axvirtio *device)
{
	return device->core->transport->bell_moved != NULL;
}

bool axvirtio_lend(struct axvirtio *device, unsigned index, int kick_fd,
		   struct axvirtio_rings *ret_rings)
{
	const struct axvq *vq = &device->core->queue[index].vq;

	if (!vq->size)
		return false;
	move_bell(device->core, index, kick_fd);
	*ret_rings = (struct axvirtio_rings){vq->desc, vq->avail, vq->used, vq->size};
	return true;
}

void axvirtio_take_back(struct axvirtio *device, unsigned index)
{
	move_bell(device->core, index, device->core->queue[index].kick_fd);
}

const struct axas *axvirtio_memory(const struct axvirtio *device)
{
	return device->core->memory;
}

int axvirtio_interrupt_fd(const struct axvirtio *device, unsigned index)
{
	const struct axvirtio_core *core = device->core;

	return core->transport->interrupt_fd
		       ? core->transport->interrupt_fd(core->transport_ctx, index)
		       : -1;
}

void axvirtio_core_interrupt_moved(struct axvirtio_core *core, unsigned index)
{
	const struct core_queue *queue = &core->queue[index];

	/* Before DRIVER_OK start is still to come, and asks. */
	if (core_status(core) & VIRTIO_CONFIG_S_DRIVER_OK && queue->vq.size &&
	    core_is_lent(queue) && core->device->ops->interrupt_moved)
		core->device->ops->interrupt_moved(core->device, index);
}
