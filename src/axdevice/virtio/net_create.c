/*
 * Making a virtio-net device: what may be asked for, what it offers and its configuration space
 * (Spec 5.1.3, 5.1.4), and its class.
 */
#include "net.h"
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>

#define MTU_MIN 68U

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

static bool is_limit(const struct axvirtio_limit *limit)
{
	return limit->bytes_per_s || limit->ops_per_s;
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
	if (config->vhost && config->backend != AXVIRTIO_NET_TAP)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: vhost goes with a tap only", name);
	if (config->vhost && (is_limit(&config->rx_limit) || is_limit(&config->tx_limit))) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "%s: vhost keeps to no limit of bytes or packets", name);
		return ax_error_hint(err, "leave out vhost, or the limits; tc-tbf(8) limits a tap");
	}
	return 0;
}

int axvirtio_net_check(const char *name, const struct axvirtio_net_config *config,
		       struct ax_error *err)
{
	int r = check(name, config, err);

	return r < 0 || config->backend != AXVIRTIO_NET_TAP || config->fd >= 0
		       ? r
		       : axvirtio_net_tap_check(name, config, err);
}

static void fill_device(struct net *net, const struct axvirtio_net_config *config)
{
	struct axvirtio *device = &net->device;

	device->ops = &axvirtio_net_ops;
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
		axvirtio_net_reset_pair(&net->pair[i]);
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
	r = config->backend == AXVIRTIO_NET_TAP ? axvirtio_net_tap_open(net, config, err)
						: axvirtio_net_socket_open(net, config, err);
	return r < 0 || !config->vhost ? r : axvirtio_net_vhost_open(net, err);
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
	atomic_init(&net->active_pairs, 1);
	net->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	limit_init(&net->rx_limit, &config->rx_limit);
	limit_init(&net->tx_limit, &config->tx_limit);
	net->pair_count = config->pairs ? config->pairs : 1;
	memcpy(net->mac, config->mac, sizeof(net->mac));
	if (!memcmp(net->mac, none, sizeof(none)))
		derive_mac(net->mac, config->vm_name, name);
	fill_device(net, config);
	r = open_backend(net, config, err);
	if (r < 0) {
		axvirtio_net_ops.destroy(&net->device);
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
