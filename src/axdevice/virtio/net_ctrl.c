/*
 * virtio-net's control queue (Spec 5.1.6.5): receive modes, addresses and the number of queue
 * pairs. Filters are accepted and not applied: the driver sees more than it asked for, as it may
 * (5.1.6.5.1.1). A command that is unknown, was not negotiated or has the wrong length is answered
 * with VIRTIO_NET_ERR; only a chain without room for an answer breaks the device.
 */
#include "net.h"
#include <endian.h>
#include <errno.h>

#define ADDRESS 6U

/* Data of one command: read once, as much as was asked for. */
struct command {
	struct iov_cursor data;
	uint64_t bytes; /* that are left */
};

static bool take(struct command *command, void *buf, uint32_t bytes)
{
	command->bytes -= bytes <= command->bytes ? bytes : command->bytes;
	return iov_advance(&command->data, IOV_GATHER, buf, bytes) == bytes;
}

/* Two tables of addresses, each with its count before it. */
static bool set_mac_table(struct command *command)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t bytes;
		uint32_t entries;

		if (!take(command, &entries, sizeof(entries)))
			return false;
		bytes = (uint64_t)le32toh(entries) * ADDRESS;
		if (bytes > command->bytes)
			return false;
		iov_advance(&command->data, IOV_SKIP, NULL, bytes);
		command->bytes -= bytes;
	}
	return command->bytes == 0;
}

static bool set_mac(struct net *net, struct command *command)
{
	uint8_t mac[ADDRESS];

	if (command->bytes != sizeof(mac) || !take(command, mac, sizeof(mac)) || mac[0] & 1)
		return false;
	axvirtio_update_config(&net->device, offsetof(struct virtio_net_config, mac), mac,
			       sizeof(mac));
	net->mac_changed = true;
	return true;
}

static bool set_mode(struct command *command)
{
	uint8_t on;

	return command->bytes == sizeof(on) && take(command, &on, sizeof(on)) && on <= 1;
}

static bool set_pairs(struct net *net, struct command *command)
{
	uint16_t pairs;

	if (command->bytes != sizeof(pairs) || !take(command, &pairs, sizeof(pairs)))
		return false;
	pairs = le16toh(pairs);
	return pairs && pairs <= net->pair_count && axvirtio_net_set_pairs(net, pairs) == 0;
}

static bool execute(struct net *net, uint8_t class, uint8_t code, struct command *command)
{
	switch (class << 8 | code) {
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_PROMISC:
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_ALLMULTI:
		return net_has(net, VIRTIO_NET_F_CTRL_RX) && set_mode(command);
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_ALLUNI:
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_NOMULTI:
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_NOUNI:
	case VIRTIO_NET_CTRL_RX << 8 | VIRTIO_NET_CTRL_RX_NOBCAST:
		return net_has(net, VIRTIO_NET_F_CTRL_RX_EXTRA) && set_mode(command);
	case VIRTIO_NET_CTRL_MAC << 8 | VIRTIO_NET_CTRL_MAC_TABLE_SET:
		return net_has(net, VIRTIO_NET_F_CTRL_RX) && set_mac_table(command);
	case VIRTIO_NET_CTRL_MAC << 8 | VIRTIO_NET_CTRL_MAC_ADDR_SET:
		return net_has(net, VIRTIO_NET_F_CTRL_MAC_ADDR) && set_mac(net, command);
	case VIRTIO_NET_CTRL_MQ << 8 | VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
		return net_has(net, VIRTIO_NET_F_MQ) && set_pairs(net, command);
	default:
		return false;
	}
}

int axvirtio_net_ctrl_one(struct axvirtio *device, unsigned index)
{
	struct net *net = ax_container_of(device, struct net, device);
	struct axvq_chain chain;
	struct iov_cursor answer;
	struct command command;
	struct virtio_net_ctrl_hdr header;
	virtio_net_ctrl_ack ack = VIRTIO_NET_ERR;
	int r = axvirtio_pop(device, index, net->ctrl_iov, NET_IOV, &chain);

	if (r <= 0)
		return r;
	if (!chain.writable_bytes) {
		axvirtio_fail(device, index, AXVQ_PROTOCOL);
		return -EPROTO;
	}
	command = (struct command){{chain.iov, chain.readable}, chain.readable_bytes};
	if (take(&command, &header, sizeof(header)) &&
	    execute(net, header.class, header.cmd, &command))
		ack = VIRTIO_NET_OK;
	else
		axvirtio_count_error(device, index);
	answer = (struct iov_cursor){chain.iov + chain.readable, chain.writable};
	iov_advance(&answer, IOV_SCATTER, &ack, sizeof(ack));
	axvirtio_push(device, index, chain.head, sizeof(ack), chain.readable_bytes);
	return 1;
}
