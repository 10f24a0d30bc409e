/*
 * virtio-net on a tap interface: opening its queues, telling the host what the driver can take
 * (TUNSETOFFLOAD) and which queues it uses. Addresses, bridges and routes are the user's. What is
 * wrong with an interface is said by net_tap_check.c.
 */
#include "net.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- while it runs --------------------------------------------------------------------------- */

static void negotiated(struct net *net, uint64_t features)
{
	static const struct {
		uint64_t feature;
		unsigned flag;
	} map[] = {
		{NET_BIT(GUEST_CSUM), TUN_F_CSUM},
		{NET_BIT(GUEST_TSO4), TUN_F_TSO4},
		{NET_BIT(GUEST_TSO6), TUN_F_TSO6},
		{NET_BIT(GUEST_ECN), TUN_F_TSO_ECN},
	};
	unsigned long flags = 0;

	for (size_t i = 0; i < AX_ARRAY_LEN(map); i++)
		flags |= features & map[i].feature ? map[i].flag : 0;
	if (ioctl(net->pair[0].fd, TUNSETOFFLOAD, flags) < 0)
		ax_log_limited(&net->log_limit, AX_LOG_WARN, LAYER,
			       "%s: cannot set offloads of %s: %s", net->name, net->tap,
			       strerror(errno));
}

static int switch_queue(int fd, bool on)
{
	struct ifreq ifr = {.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

	/* -EINVAL: it is so already. */
	return ioctl(fd, TUNSETQUEUE, &ifr) < 0 && errno != EINVAL ? -errno : 0;
}

/* The host spreads its frames over queues that are switched on. */
static int set_pairs(struct net *net, uint32_t count)
{
	int r = 0;

	for (uint32_t i = 1; !r && i < net->pair_count; i++)
		r = switch_queue(net->pair[i].fd, i < count);
	return r;
}

const struct net_backend axvirtio_net_tap = {
	.framed = true,
	.features = NET_OFFLOADS_TX | NET_OFFLOADS_RX,
	.negotiated = negotiated,
	.set_pairs = set_pairs,
	.receive = axvirtio_net_rx_receive,
	.transmit = axvirtio_net_tx_transmit,
};

/* ---- opening --------------------------------------------------------------------------------- */

static int open_tun(const struct net *net, int *ret_fd, struct ax_error *err)
{
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	const int code = errno;

	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	return axvirtio_net_tun_explain(net->name, code, err);
}

static int explain(const struct net *net, int code, struct ax_error *err)
{
	return axvirtio_net_tap_explain(net->name, net->tap, net->pair_count, code, err);
}

/* Frames behind headers of 12 bytes, little-endian as the driver writes them. */
static int set_header(const struct net *net, int fd, struct ax_error *err)
{
	int size = (int)NET_HEADER, little = 1;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno,
				    "%s: tap interface %s has no headers of virtio: %s", net->name,
				    net->tap, strerror(errno));
	return 0;
}

static int open_named(struct net *net, struct ax_error *err)
{
	const uint64_t since_ns = ax_clock_ns();

	for (uint32_t i = 0; i < net->pair_count; i++) {
		struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
		int r = open_tun(net, &net->pair[i].fd, err);

		if (r < 0)
			return r;
		if (net->pair_count > 1)
			ifr.ifr_flags |= IFF_MULTI_QUEUE;
		memcpy(ifr.ifr_name, net->tap, sizeof(ifr.ifr_name));
		while (ioctl(net->pair[i].fd, TUNSETIFF, &ifr) < 0)
			if (errno != EBUSY || !ax_wait_for_release(since_ns))
				return explain(net, errno, err);
	}
	return 0;
}

static int take_fd(struct net *net, int fd, struct ax_error *err)
{
	const int wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = {0};
	int *own = &net->pair[0].fd;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno,
				    "%s: descriptor %d is no tap interface: %s", net->name, fd,
				    strerror(errno));
	if ((ifr.ifr_flags & wanted) != wanted) {
		ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
			     "%s: %.15s was not opened as a tap with headers", net->name,
			     ifr.ifr_name);
		return ax_error_hint(err, "open it with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR");
	}
	memcpy(net->tap, ifr.ifr_name, sizeof(net->tap) - 1);
	*own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	/* Also of the caller's descriptor: both are one open file. */
	if (*own < 0 || fcntl(*own, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "%s: cannot use descriptor %d: %s",
				    net->name, fd, strerror(errno));
	return 0;
}

/* ---- the interface --------------------------------------------------------------------------- */

static int check_mtu(const struct net *net, int sock, uint16_t mtu, struct ax_error *err)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, net->tap, sizeof(ifr.ifr_name));
	if (!mtu || ioctl(sock, SIOCGIFMTU, &ifr) < 0 || ifr.ifr_mtu == mtu)
		return 0;
	const int has = ifr.ifr_mtu;

	ifr.ifr_mtu = mtu;
	if (ioctl(sock, SIOCSIFMTU, &ifr) == 0 || has > mtu)
		return 0;
	return axvirtio_net_tap_low_mtu(net->name, net->tap, has, mtu, err);
}

/* Up if we may; a user who may not has been given one that is up. */
static void bring_up(const struct net *net, int sock)
{
	struct ifreq ifr = {0};

	memcpy(ifr.ifr_name, net->tap, sizeof(ifr.ifr_name));
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0 || ifr.ifr_flags & IFF_UP)
		return;
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		ax_log(AX_LOG_WARN, LAYER,
		       "%s: tap interface %s is down (%s); as root: ip link set dev %s up",
		       net->name, net->tap, strerror(errno), net->tap);
}

int axvirtio_net_tap_open(struct net *net, const struct axvirtio_net_config *config,
			  struct ax_error *err)
{
	int sock, r;

	if (config->fd >= 0) {
		r = take_fd(net, config->fd, err);
	} else {
		r = axvirtio_net_tap_check_name(net->name, config->tap, err);
		if (r < 0)
			return r;
		memcpy(net->tap, config->tap, strlen(config->tap));
		r = open_named(net, err);
	}
	if (!r)
		r = set_header(net, net->pair[0].fd, err);
	if (r < 0)
		return r;
	negotiated(net, 0);
	/* Until a driver asks for more it has one pair (5.1.6.5.5). */
	r = set_pairs(net, 1);
	if (r < 0)
		return explain(net, -r, err);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return 0; /* a host without IPv4: the interface stays as it is */
	r = check_mtu(net, sock, config->mtu, err);
	if (!r)
		bring_up(net, sock);
	close(sock);
	return r;
}
