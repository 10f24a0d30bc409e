/*
 * virtio-net (Spec 5.1): what the device offers, its pairs of queues on their loops, and its life.
 * Frames are net_rx.c's and net_tx.c's, or net_stream.c's, which know a backend by its table.
 */
#include "net.h"
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MTU_MIN 68U

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

static void reset_pair(struct net_pair *pair)
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
		reset_pair(&net->pair[i]);
	(void)axvirtio_net_set_pairs(net, 1);
	if (net->mac_changed)
		axvirtio_update_config(device, offsetof(struct virtio_net_config, mac), net->mac,
				       sizeof(net->mac));
	net->mac_changed = false;
	net->features = 0;
	if (net->backend->negotiated)
		net->backend->negotiated(net, 0);
}

static int bound(struct axvirtio *device, struct ax_error *err)
{
	struct net *net = ax_container_of(device, struct net, device);

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
	free(net->pair);
	free(net);
}

static const struct axvirtio_ops net_ops = {
	.bound = bound,
	.unbound = unbound,
	.activate = activate,
	.reset = reset,
	.handle_queue = handle_queue,
	.queue_group = queue_group,
	.destroy = destroy,
};

/* ---- making one ------------------------------------------------------------------------------ */

/* FNV-1a of what names the device: the same address every time, and another for another VM. */
static void derive_mac(uint8_t mac[6], const char *vm_name, const char *name)
{
	const char *const parts[] = {vm_name ? vm_name : "", "/", name};
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < AX_ARRAY_LEN(parts); i++) {
		for (const char *c = parts[i]; *c; c++)
			hash = (hash ^ (uint8_t)*c) * 0x100000001b3ULL;
	}
	hash ^= hash >> 32; /* the low bytes see all of it */
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & ~1U) | 2U); /* of one station, locally administered */
}

static int check(const char *name, const struct axvirtio_net_config *config, struct ax_error *err)
{
	static const uint8_t none[6];

	if (config->pairs > AXVIRTIO_NET_MAX_PAIRS)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: %u queue pairs are more than %u", name, config->pairs,
				    AXVIRTIO_NET_MAX_PAIRS);
	if (config->pairs > 1 && (config->backend != AXVIRTIO_NET_TAP || config->fd >= 0))
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: several queue pairs need a tap interface by name", name);
	if (config->mac[0] & 1 && memcmp(config->mac, none, sizeof(none)) != 0)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: the first byte of a MAC address is even, not %02x", name,
				    config->mac[0]);
	if (config->mtu && config->mtu < MTU_MIN)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: an MTU of %u is less than %u", name, config->mtu, MTU_MIN);
	if (config->vhost) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP, "%s: no vhost-net yet", name);
		return ax_error_hint(err, "leave vhost out: the device then moves the packets");
	}
	return 0;
}

static void fill_device(struct net *net, const struct axvirtio_net_config *config)
{
	struct axvirtio *device = &net->device;

	device->ops = &net_ops;
	device->class_name = "virtio-net";
	device->device_id = VIRTIO_ID_NET;
	device->queue_count = 2 * net->pair_count + 1;
	for (unsigned i = 0; i < 2 * net->pair_count; i++)
		net->queue_max[i] = NET_QUEUE_SIZE;
	net->queue_max[2 * net->pair_count] = NET_CTRL_SIZE;
	device->queue_max = net->queue_max;
	device->features = NET_BIT(MAC) | NET_BIT(STATUS) | NET_BIT(MRG_RXBUF) | NET_BIT(CTRL_VQ) |
			   NET_BIT(CTRL_RX) | NET_BIT(CTRL_RX_EXTRA) | NET_BIT(CTRL_MAC_ADDR);
	if (!config->no_offload)
		device->features |= net->backend->features;
	if (net->pair_count > 1)
		device->features |= NET_BIT(MQ);
	if (config->mtu)
		device->features |= NET_BIT(MTU);
	memcpy(net->config.mac, net->mac, sizeof(net->mac));
	net->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	net->config.max_virtqueue_pairs = htole16((uint16_t)net->pair_count);
	net->config.mtu = htole16(config->mtu);
	device->config = &net->config;
	/* The fields behind belong to features that are not offered. */
	device->config_size = offsetof(struct virtio_net_config, speed);
}

static int make_pairs(struct net *net, struct ax_error *err)
{
	/* Zeroed and large, so fresh from the kernel: what is not used costs nothing. */
	net->pair = calloc(net->pair_count, sizeof(*net->pair));
	for (uint32_t i = 0; net->pair && i < net->pair_count; i++) {
		net->pair[i].net = net;
		net->pair[i].index = i;
		net->pair[i].fd = -1;
		reset_pair(&net->pair[i]);
	}
	for (uint32_t i = 0; net->pair && i < net->pair_count; i++) {
		struct net_rx *rx = &net->pair[i].rx;

		if (net->backend->framed && !(rx->spill = calloc(NET_BATCH, NET_FRAME_MAX)))
			return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
					    "no memory for the frames of %s", net->name);
	}
	return net->pair ? 0
			 : ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
					"no memory for the queues of %s", net->name);
}

static int open_backend(struct net *net, const struct axvirtio_net_config *config,
			struct ax_error *err)
{
	int r = make_pairs(net, err);

	if (r < 0)
		return r;
	return config->backend == AXVIRTIO_NET_TAP ? axvirtio_net_tap_open(net, config, err)
						   : axvirtio_net_socket_open(net, config, err);
}

int axvirtio_net_create(const char *name, const struct axvirtio_net_config *config,
			struct axvirtio **ret_device, struct ax_error *err)
{
	static const struct net_backend *const backends[] = {
		[AXVIRTIO_NET_TAP] = &axvirtio_net_tap,
		[AXVIRTIO_NET_STREAM] = &axvirtio_net_stream,
		[AXVIRTIO_NET_PACKET] = &axvirtio_net_packet,
	};
	static const uint8_t none[6];
	struct net *net;
	int r = check(name, config, err);

	if (r < 0)
		return r;
	net = calloc(1, sizeof(*net));
	if (!net)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	snprintf(net->name, sizeof(net->name), "%s", name);
	net->backend = backends[config->backend];
	net->pair_count = config->pairs ? config->pairs : 1;
	atomic_init(&net->active_pairs, 1);
	net->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	limit_init(&net->rx_limit, &config->rx_limit);
	limit_init(&net->tx_limit, &config->tx_limit);
	memcpy(net->mac, config->mac, sizeof(net->mac));
	if (!memcmp(net->mac, none, sizeof(none)))
		derive_mac(net->mac, config->vm_name, name);
	fill_device(net, config);
	r = open_backend(net, config, err);
	if (r < 0) {
		destroy(&net->device);
		return r;
	}
	*ret_device = &net->device;
	return 0;
}

void axvirtio_net_get_stats(const struct axvirtio *device, struct axvirtio_net_stats *ret_stats)
{
	const struct net *net = (const struct net *)(const void *)device;

	*ret_stats = (struct axvirtio_net_stats){
		.active_pairs = atomic_load(&net->active_pairs),
		.link_up = !atomic_load(&net->link_down),
	};
	for (uint32_t i = 0; i < net->pair_count; i++) {
		const struct net_pair *pair = &net->pair[i];

		ret_stats->rx_frames += ax_counter_read(&pair->rx.frames);
		ret_stats->rx_dropped += ax_counter_read(&pair->rx.dropped);
		ret_stats->tx_frames += ax_counter_read(&pair->tx.frames);
		ret_stats->tx_dropped += ax_counter_read(&pair->tx.dropped);
	}
}

static int create_class(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axvirtio_net_config *net = config;
	struct axvirtio *device = NULL;
	int r = axvirtio_net_create(name, net, &device, err);

	return r < 0 ? r : axvirtio_attach(name, &net->place, device, services, ret_dev, err);
}

const struct axdev_class axvirtio_net_class = {
	.name = "virtio-net",
	.type = AXVIRTIO_NET_TYPE,
	.summary = "network interface on a tap, a packet socket or a stream",
	.config_size = sizeof(struct axvirtio_net_config),
	.create = create_class,
};
