/*
 * virtio-net (Spec 5.1) at work: its pairs of queues on their loops, and a driver's coming and
 * going. Frames are net_rx.c's and net_tx.c's, or net_stream.c's; what the device is made from and
 * offers is net_create.c's.
 */
#include "net.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- events of a pair's descriptor ----------------------------------------------------------- */

void axvirtio_net_arm(struct net_pair *pair, uint32_t events)
{
	if (events == pair->armed)
		return;
	if (ax_loop_modify_fd(pair->event, events) < 0)
		ax_log_limited(&pair->net->log_limit, AX_LOG_WARN, LAYER,
			       "%s: cannot wait for frames", pair->net->name);
	pair->armed = events;
}

static bool may_receive(const struct net_pair *pair)
{
	return !pair->rx.broken && !atomic_load(&pair->net->link_down) &&
	       pair->index < atomic_load(&pair->net->active_pairs);
}

static void on_event(void *ctx, int fd, uint32_t events)
{
	struct net_pair *pair = ctx;
	struct net *net = pair->net;

	(void)fd;
	/* Errors and hang-ups come unasked, to whoever waits. */
	if (events & ~(uint32_t)EPOLLOUT && pair->armed & EPOLLIN) {
		if (!axvirtio_enter(&net->device, net_rx_queue(pair))) {
			axvirtio_net_arm(pair, pair->armed & ~(uint32_t)EPOLLIN);
		} else {
			if (may_receive(pair))
				net->backend->receive(pair, events);
			else
				axvirtio_net_arm(pair, pair->armed & ~(uint32_t)EPOLLIN);
			axvirtio_leave(&net->device, net_rx_queue(pair));
		}
	}
	if (pair->armed & EPOLLOUT && events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
		axvirtio_net_arm(pair, pair->armed & ~(uint32_t)EPOLLOUT);
		if (axvirtio_enter(&net->device, net_tx_queue(pair))) {
			net->backend->transmit(pair);
			axvirtio_leave(&net->device, net_tx_queue(pair));
		}
	}
}

void axvirtio_net_link_down(struct net *net)
{
	const uint16_t status = 0;

	if (atomic_exchange(&net->link_down, true))
		return;
	ax_log(AX_LOG_WARN, LAYER, "%s: the other end has hung up; the link is down", net->name);
	axvirtio_update_config(&net->device, offsetof(struct virtio_net_config, status), &status,
			       sizeof(status));
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* Without MQ there is one pair, and the control queue comes right after it (5.1.2). */
static unsigned ctrl_queue(const struct net *net)
{
	return net_has(net, VIRTIO_NET_F_MQ) ? 2 * net->pair_count : 2;
}

static void handle_queue(struct axvirtio *device, unsigned index)
{
	struct net *net = ax_container_of(device, struct net, device);
	struct net_pair *pair;

	if (index == ctrl_queue(net)) {
		axvirtio_serve(device, index, axvirtio_net_ctrl_one);
		return;
	}
	if (index / 2 >= net->pair_count)
		return;
	pair = &net->pair[index / 2];
	if (index % 2) {
		net->backend->transmit(pair);
		return;
	}
	pair->rx.broken = false;
	if (!may_receive(pair))
		return;
	/* What is armed is looked at in the next round; not so what has been read already. */
	axvirtio_net_arm(pair, pair->armed | EPOLLIN);
	if (!net->backend->framed)
		net->backend->receive(pair, 0);
}

static unsigned queue_group(const struct axvirtio *device, unsigned index)
{
	const struct net *net = (const struct net *)(const void *)device;

	return index / 2 < net->pair_count ? index / 2 : 0;
}

int axvirtio_net_set_pairs(struct net *net, uint32_t count)
{
	const uint32_t before = atomic_load(&net->active_pairs);
	int r = 0;

	/* A pair is not used while the host has it switched off. */
	if (count < before)
		atomic_store(&net->active_pairs, count);
	if (net->backend->set_pairs && count != before)
		r = net->backend->set_pairs(net, count);
	if (r < 0) {
		ax_log_limited(&net->log_limit, AX_LOG_WARN, LAYER,
			       "%s: cannot use %u queue pairs of %s: %s", net->name, count,
			       net->tap, strerror(-r));
		return r;
	}
	atomic_store(&net->active_pairs, count);
	for (uint32_t i = before; i < count; i++)
		axvirtio_wake(&net->device, net_rx_queue(&net->pair[i]));
	return 0;
}

/* ---- the driver comes and goes --------------------------------------------------------------- */

/* Bits that need others are nothing without them (5.1.3.1). */
static uint64_t effective(uint64_t features)
{
	if (!(features & NET_BIT(CSUM)))
		features &= ~NET_OFFLOADS_TX;
	if (!(features & NET_BIT(GUEST_CSUM)))
		features &= ~NET_OFFLOADS_RX;
	if (!(features & NET_BIT(CTRL_VQ)))
		features &= ~(NET_BIT(CTRL_RX) | NET_BIT(CTRL_RX_EXTRA) | NET_BIT(MQ) |
			      NET_BIT(CTRL_MAC_ADDR));
	return features;
}

static int activate(struct axvirtio *device, uint64_t features)
{
	struct net *net = ax_container_of(device, struct net, device);

	net->features = effective(features);
	if (net->backend->negotiated)
		net->backend->negotiated(net, net->features);
	return 0;
}

void axvirtio_net_reset_pair(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;

	rx->chains.count = 0;
	rx->chains.vectors = 0;
	rx->chains.bytes = 0;
	rx->chains.most_bytes = 0;
	rx->reserved = 0;
	rx->batch_size = NET_BATCH_MIN;
	rx->expect = NET_PLAIN_ROOM - NET_HEADER;
	pair->tx.batch = 0;
	pair->tx.finished = 0;
	pair->tx.vectors = 0;
	pair->tx.again = false;
}

static void reset(struct axvirtio *device)
{
	struct net *net = ax_container_of(device, struct net, device);

	for (uint32_t i = 0; i < net->pair_count; i++)
		axvirtio_net_reset_pair(&net->pair[i]);
	(void)axvirtio_net_set_pairs(net, 1);
	if (net->mac_changed)
		axvirtio_update_config(device, offsetof(struct virtio_net_config, mac), net->mac,
				       sizeof(net->mac));
	net->mac_changed = false;
	net->features = 0;
	axvirtio_net_vhost_reset(net);
	if (net->backend->negotiated)
		net->backend->negotiated(net, 0);
}

static int start(struct axvirtio *device)
{
	return axvirtio_net_vhost_start(ax_container_of(device, struct net, device));
}

static void stop(struct axvirtio *device)
{
	axvirtio_net_vhost_stop(ax_container_of(device, struct net, device));
}

static void interrupt_moved(struct axvirtio *device, unsigned index)
{
	axvirtio_net_vhost_interrupt_moved(ax_container_of(device, struct net, device), index);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int bound(struct axvirtio *device, struct ax_error *err)
{
	struct net *net = ax_container_of(device, struct net, device);

	if (net->vhost && !axvirtio_can_lend(device)) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP, "%s: vhost needs a device on PCI",
			     net->name);
		return ax_error_hint(err, "add --transport pci, or leave vhost out");
	}
	for (uint32_t i = 0; i < net->pair_count; i++) {
		struct net_pair *pair = &net->pair[i];
		struct ax_loop *loop = axvirtio_loop(device, net_rx_queue(pair));
		int r;

		pair->armed = 0;
		r = ax_loop_add_fd(loop, pair->fd, 0, on_event, pair, &pair->event, err);
		if (!r)
			r = limit_waiter_init(&pair->rx.waiter, &net->rx_limit, device,
					      net_rx_queue(pair), err);
		if (!r)
			r = limit_waiter_init(&pair->tx.waiter, &net->tx_limit, device,
					      net_tx_queue(pair), err);
		if (r < 0)
			return r;
		ax_loop_keep_fd(loop, pair->fd);
	}
	return 0;
}

static void unbound(struct axvirtio *device)
{
	struct net *net = ax_container_of(device, struct net, device);

	for (uint32_t i = 0; i < net->pair_count; i++) {
		struct net_pair *pair = &net->pair[i];

		if (pair->event)
			ax_loop_forget_fd(axvirtio_loop(device, net_rx_queue(pair)), pair->fd);
		ax_loop_remove(pair->event);
		pair->event = NULL;
		limit_waiter_finish(&pair->rx.waiter);
		limit_waiter_finish(&pair->tx.waiter);
	}
}

static void destroy(struct axvirtio *device)
{
	struct net *net = ax_container_of(device, struct net, device);

	for (uint32_t i = 0; net->pair && i < net->pair_count; i++) {
		struct net_pair *pair = &net->pair[i];

		if (pair->fd >= 0)
			close(pair->fd);
		free(pair->rx.spill);
		free(pair->stream);
	}
	axvirtio_net_vhost_close(net);
	free(net->pair);
	free(net);
}

const struct axvirtio_ops axvirtio_net_ops = {
	.bound = bound,
	.unbound = unbound,
	.activate = activate,
	.reset = reset,
	.start = start,
	.stop = stop,
	.interrupt_moved = interrupt_moved,
	.handle_queue = handle_queue,
	.queue_group = queue_group,
	.destroy = destroy,
};
