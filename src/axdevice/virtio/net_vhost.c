/*
 * virtio-net whose packets the host's kernel moves (/dev/vhost-net): one vhost for each pair, to
 * which it lends the pair's queues whenever a driver is there. The control queue stays the loop's,
 * and the tap with its offloads and queues is net_tap.c's.
 *
 * vhost believes the rings: what a guest breaks there is between the guest and the host's kernel,
 * is neither counted nor reported here, and no rate is limited. That is why it has to be asked for.
 */
#include "net_vhost.h"
#include "net.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What each device has (core.c): not to be had without. */
#define NEEDED                                                              \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX)
/* What vhost is told of. All else is between driver and tap, or driver and control queue. */
#define KNOWN (NEEDED | NET_BIT(MRG_RXBUF))

/* As vhost counts a pair's queues: 0 receives, 1 transmits. */
struct net_vhost {
	int fd;
	int kick[2];
	bool running[2];
	uint16_t next_avail[2]; /* where it goes on after a suspend */
};

/* ---- without a vhost ------------------------------------------------------------------------- */

uint64_t axvirtio_net_vhost_offer(uint64_t features, uint64_t vhost)
{
	return ~vhost & NEEDED ? 0 : features & (vhost | ~KNOWN);
}

uint32_t axvirtio_net_vhost_table(const struct axas_region_info *regions, size_t count,
				  struct vhost_memory *table)
{
	struct vhost_memory_region *last = NULL;

	*table = (struct vhost_memory){0};
	for (size_t i = 0; i < count; i++) {
		const struct axas_region_info *region = &regions[i];
		const uint64_t hva = (uintptr_t)region->hva;

		/* vhost knows no memory that the guest only reads. */
		if ((region->flags & AXAS_RW) != AXAS_RW)
			continue;
		if (last && last->guest_phys_addr + last->memory_size == region->gpa &&
		    last->userspace_addr + last->memory_size == hva) {
			last->memory_size += region->size_bytes;
			continue;
		}
		last = &table->regions[table->nregions++];
		*last = (struct vhost_memory_region){
			.guest_phys_addr = region->gpa,
			.memory_size = region->size_bytes,
			.userspace_addr = hva,
		};
	}
	return table->nregions;
}

int axvirtio_net_vhost_explain(const char *name, int code, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_DEVICE, code, "%s: cannot open /dev/vhost-net: %s", name,
		     strerror(code));
	if (code == EACCES || code == EPERM)
		return ax_error_hint(err, "/dev/vhost-net must be readable and writable for you; "
					  "or leave vhost out");
	return ax_error_hint(err, "load the kernel's vhost_net module: modprobe vhost_net; or "
				  "leave vhost out");
}

/* ---- at work: vCPU or control thread, gates closed ------------------------------------------- */

static int tell(struct net *net, const struct net_vhost *vhost, unsigned long request, void *arg,
		const char *what)
{
	const int r = ioctl(vhost->fd, request, arg) < 0 ? -errno : 0;

	if (r < 0)
		ax_log_limited(&net->log_limit, AX_LOG_WARN, LAYER, "%s: %s of vhost-net: %s",
			       net->name, what, strerror(-r));
	return r;
}

static int set_call(struct net *net, const struct net_vhost *vhost, unsigned queue)
{
	struct vhost_vring_file call = {
		.index = queue % 2,
		.fd = axvirtio_interrupt_fd(&net->device, queue),
	};

	return tell(net, vhost, VHOST_SET_VRING_CALL, &call, "VHOST_SET_VRING_CALL");
}

static int set_ring(struct net *net, const struct net_vhost *vhost, unsigned queue,
		    const struct axvirtio_rings *rings)
{
	const unsigned index = queue % 2;
	struct vhost_vring_state size = {index, rings->size};
	struct vhost_vring_state base = {index, vhost->next_avail[index]};
	struct vhost_vring_file kick = {index, vhost->kick[index]};
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)rings->desc,
		.avail_user_addr = (uintptr_t)rings->avail,
		.used_user_addr = (uintptr_t)rings->used,
	};
	int r = tell(net, vhost, VHOST_SET_VRING_NUM, &size, "VHOST_SET_VRING_NUM");

	if (!r)
		r = tell(net, vhost, VHOST_SET_VRING_BASE, &base, "VHOST_SET_VRING_BASE");
	if (!r)
		r = tell(net, vhost, VHOST_SET_VRING_ADDR, &addr, "VHOST_SET_VRING_ADDR");
	if (!r)
		r = tell(net, vhost, VHOST_SET_VRING_KICK, &kick, "VHOST_SET_VRING_KICK");
	return r ? r : set_call(net, vhost, queue);
}

static int start_queue(struct net *net, unsigned queue)
{
	struct net_vhost *vhost = &net->vhost[queue / 2];
	struct vhost_vring_file tap = {.index = queue % 2, .fd = net->pair[queue / 2].fd};
	struct axvirtio_rings rings;
	int r;

	if (!axvirtio_lend(&net->device, queue, vhost->kick[queue % 2], &rings))
		return 0;
	r = set_ring(net, vhost, queue, &rings);
	if (!r)
		r = tell(net, vhost, VHOST_NET_SET_BACKEND, &tap, "VHOST_NET_SET_BACKEND");
	vhost->running[queue % 2] = !r;
	return r;
}

static int start_pair(struct net *net, uint32_t pair, struct vhost_memory *table)
{
	const struct net_vhost *vhost = &net->vhost[pair];
	uint64_t features = net->features & KNOWN;
	int r = tell(net, vhost, VHOST_SET_FEATURES, &features, "VHOST_SET_FEATURES");

	if (!r)
		r = tell(net, vhost, VHOST_SET_MEM_TABLE, table, "VHOST_SET_MEM_TABLE");
	if (!r)
		r = start_queue(net, 2 * pair);
	return r ? r : start_queue(net, 2 * pair + 1);
}

static struct vhost_memory *make_table(const struct axas *memory)
{
	const size_t count = axas_regions(memory, NULL, 0);
	struct axas_region_info *regions = calloc(count, sizeof(*regions));
	struct vhost_memory *table = calloc(1, sizeof(*table) + count * sizeof(table->regions[0]));

	if (regions && table) {
		const size_t now = axas_regions(memory, regions, count);

		axvirtio_net_vhost_table(regions, now < count ? now : count, table);
	} else {
		free(table);
		table = NULL;
	}
	free(regions);
	return table;
}

int axvirtio_net_vhost_start(struct net *net)
{
	const uint32_t pairs = net_has(net, VIRTIO_NET_F_MQ) ? net->pair_count : 1;
	struct vhost_memory *table;
	int r = 0;

	if (!net->vhost)
		return 0;
	/* Which queue is for control depends on the driver (5.1.2). */
	axvirtio_take_back(&net->device, 2 * pairs);
	table = make_table(axvirtio_memory(&net->device));
	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; !r && i < pairs; i++)
		r = start_pair(net, i, table);
	free(table);
	if (r < 0)
		axvirtio_net_vhost_stop(net);
	return r;
}

void axvirtio_net_vhost_stop(struct net *net)
{
	for (uint32_t i = 0; net->vhost && i < 2 * net->pair_count; i++) {
		struct net_vhost *vhost = &net->vhost[i / 2];
		struct vhost_vring_file none = {.index = i % 2, .fd = VHOST_FILE_UNBIND};
		struct vhost_vring_state base = {.index = i % 2};

		if (!vhost->running[i % 2])
			continue;
		vhost->running[i % 2] = false;
		/* Returns when its worker is out of the ring. */
		if (!tell(net, vhost, VHOST_NET_SET_BACKEND, &none, "VHOST_NET_SET_BACKEND") &&
		    !tell(net, vhost, VHOST_GET_VRING_BASE, &base, "VHOST_GET_VRING_BASE"))
			vhost->next_avail[i % 2] = (uint16_t)base.num;
	}
}

void axvirtio_net_vhost_reset(struct net *net)
{
	for (uint32_t i = 0; net->vhost && i < net->pair_count; i++)
		memset(net->vhost[i].next_avail, 0, sizeof(net->vhost[i].next_avail));
}

void axvirtio_net_vhost_interrupt_moved(struct net *net, unsigned queue)
{
	/* When it fails the driver is told by nobody, and it has been logged. */
	(void)set_call(net, &net->vhost[queue / 2], queue);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_one(struct net *net, struct net_vhost *vhost, struct ax_error *err)
{
	uint64_t has;

	vhost->fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (vhost->fd < 0)
		return axvirtio_net_vhost_explain(net->name, errno, err);
	for (unsigned i = 0; i < 2; i++) {
		vhost->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vhost->kick[i] < 0)
			return ax_error_set(err, AX_ERROR_DEVICE, errno,
					    "%s: no eventfd for vhost-net: %s", net->name,
					    strerror(errno));
	}
	if (ioctl(vhost->fd, VHOST_SET_OWNER) < 0 || ioctl(vhost->fd, VHOST_GET_FEATURES, &has) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "%s: cannot use vhost-net: %s",
				    net->name, strerror(errno));
	net->device.features = axvirtio_net_vhost_offer(net->device.features, has);
	if (net->device.features)
		return 0;
	ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
		     "%s: this kernel's vhost-net is too old (features 0x%llx)", net->name,
		     (unsigned long long)has);
	return ax_error_hint(err, "leave vhost out: the device then moves the packets");
}

int axvirtio_net_vhost_open(struct net *net, struct ax_error *err)
{
	int r = 0;

	net->vhost = calloc(net->pair_count, sizeof(*net->vhost));
	if (!net->vhost)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for vhost of %s",
				    net->name);
	for (uint32_t i = 0; i < net->pair_count; i++)
		net->vhost[i].fd = net->vhost[i].kick[0] = net->vhost[i].kick[1] = -1;
	for (uint32_t i = 0; !r && i < net->pair_count; i++)
		r = open_one(net, &net->vhost[i], err);
	return r;
}

void axvirtio_net_vhost_close(struct net *net)
{
	for (uint32_t i = 0; net->vhost && i < net->pair_count; i++) {
		const int fds[] = {net->vhost[i].fd, net->vhost[i].kick[0], net->vhost[i].kick[1]};

		for (size_t j = 0; j < AX_ARRAY_LEN(fds); j++) {
			if (fds[j] >= 0)
				close(fds[j]);
		}
	}
	free(net->vhost);
	net->vhost = NULL;
}
