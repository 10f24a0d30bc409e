/*
 * virtio-net's sockets: taking a descriptor that somebody opened, and the packet socket, on which a
 * message is a frame behind its struct virtio_net_hdr_v1. Its far end is another guest's device, by
 * way of a switch or directly, so it may hand over what a guest may.
 */
#include "net.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* In flight to a port that is slow, as far as the host's limit (net.core.wmem_max) lets us. */
#define SEND_BYTES (4 * 1024 * 1024)

const struct net_backend axvirtio_net_packet = {
	.framed = true,
	.features = NET_OFFLOADS_TX | NET_OFFLOADS_RX,
	.receive = axvirtio_net_rx_receive,
	.transmit = axvirtio_net_tx_transmit,
};

int axvirtio_net_socket_open(struct net *net, const struct axvirtio_net_config *config,
			     struct ax_error *err)
{
	const bool packet = config->backend == AXVIRTIO_NET_PACKET;
	const int wanted = packet ? SOCK_SEQPACKET : SOCK_STREAM, send_bytes = SEND_BYTES;
	struct net_pair *pair = &net->pair[0];
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(config->fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno,
				    "%s: descriptor %d is no socket: %s", net->name, config->fd,
				    strerror(errno));
	if (type != wanted)
		return ax_error_set(err, AX_ERROR_DEVICE, EPROTOTYPE,
				    "%s: socket %d is not a %s socket", net->name, config->fd,
				    packet ? "seqpacket" : "stream");
	pair->fd = fcntl(config->fd, F_DUPFD_CLOEXEC, 0);
	/* Also of the caller's descriptor: both are one open socket. */
	if (pair->fd < 0 || fcntl(pair->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "%s: cannot use socket %d: %s",
				    net->name, config->fd, strerror(errno));
	if (packet)
		(void)setsockopt(pair->fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
	return packet ? 0 : axvirtio_net_stream_open(net, err);
}
