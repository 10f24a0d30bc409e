/*
 * virtio-net against arbitrary rings, packets and commands, and against an arbitrary far end: a
 * packet socket and a stream, receive, transmit and control queue in guest memory that is the
 * input. Whatever a guest does, the other guest gets frames of legal length whose headers say no
 * more than was negotiated.
 */
#include "virtio_machine.h"
#include <linux/virtio_net.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_GPA(queue) (0x200U * (queue)) /* of 16 entries at most */
#define F(name)          (1U << VIRTIO_NET_F_##name)
#define OFFLOADS \
	(F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6))

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct axvirtio *device;
	struct axdev *dev;
	int far_fd;
} net[2]; /* packet, stream */

static void make(unsigned i)
{
	struct axvirtio_net_config config = {.backend =
						     i ? AXVIRTIO_NET_STREAM : AXVIRTIO_NET_PACKET};
	int fds[2];

	MUST(socketpair(AF_UNIX, (i ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK, 0, fds) == 0);
	config.fd = fds[0];
	MUST(axvirtio_net_create("net", &config, &net[i].device, NULL) == 0);
	MUST(axvirtio_mmio_create("net", WINDOW_GPA + 0x1000 * i, 5 + i, net[i].device, &services,
				  &net[i].dev, NULL) == 0);
	close(fds[0]);
	net[i].far_fd = fds[1];
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	machine_init();
	make(0);
	make(1);
	return 0;
}

static void start(struct axdev *dev, uint32_t features, uint32_t entries)
{
	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	reg_write(dev, VIRTIO_MMIO_STATUS, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 3);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, features);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	reg_write(dev, VIRTIO_MMIO_STATUS, 11);
	for (uint32_t i = 0; i < 3; i++) {
		reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, i);
		reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, entries);
		reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, QUEUE_GPA(i));
		reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, QUEUE_GPA(i) + 0x100);
		reg_write(dev, VIRTIO_MMIO_QUEUE_USED_LOW, QUEUE_GPA(i) + 0x140);
		reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
		MUST(axas_write_u32(memory, QUEUE_GPA(i) + 0x140, 0) == 0);
	}
	reg_write(dev, VIRTIO_MMIO_STATUS, 15);
}

static void check_frame(const uint8_t *message, size_t bytes, uint32_t features)
{
	struct virtio_net_hdr_v1 header;

	MUST(bytes >= sizeof(header) + 14);
	memcpy(&header, message, sizeof(header));
	bytes -= sizeof(header);
	MUST(!(header.flags & ~(features & F(CSUM) ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0)));
	if (header.flags)
		MUST((size_t)header.csum_start + header.csum_offset + 2 <= bytes);
	if (header.gso_type) {
		MUST(header.flags && header.gso_size);
		MUST(header.gso_type == VIRTIO_NET_HDR_GSO_TCPV4
			     ? features & F(HOST_TSO4)
			     : header.gso_type == VIRTIO_NET_HDR_GSO_TCPV6 &&
				       features & F(HOST_TSO6));
	} else {
		MUST(!header.gso_size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t message[0x20000];
	uint32_t features = F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_MAC_ADDR), i;
	size_t length;
	ssize_t n;

	if (size < 4)
		return 0;
	i = data[0] & 1;
	if (data[0] & 2)
		features |= F(MRG_RXBUF);
	if (data[0] & 4 && !i)
		features |= OFFLOADS;
	if (data[0] & 8)
		features |= 1U << VIRTIO_RING_F_INDIRECT_DESC;
	if (data[0] & 16)
		features |= 1U << VIRTIO_RING_F_EVENT_IDX;
	load_memory(data + 4, size - 4);
	start(net[i].dev, features, 1U << (data[1] % 5));
	/* What the far end sends: the input once more, from somewhere in it. */
	length = size - 4 < data[3] * 16U ? size - 4 : data[3] * 16U;
	for (unsigned k = 0; k < data[2] % 8 && net[i].far_fd >= 0; k++)
		if (write(net[i].far_fd, data + size - length, length) < 0)
			break;
	for (uint32_t queue = 0; queue < 3; queue++)
		reg_write(net[i].dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	for (unsigned turn = 0; turn < 12 && axvirtio_poll(net[i].device); turn++)
		;
	while ((n = read(net[i].far_fd, message, sizeof(message))) > 0) {
		if (!i)
			check_frame(message, (size_t)n, features);
	}
	reg_write(net[i].dev, VIRTIO_MMIO_STATUS, 0);
	/* A stream that has lost its place is down for good; so that the next run finds one. */
	if (i) {
		struct axvirtio_net_stats stats;

		axvirtio_net_get_stats(net[i].device, &stats);
		if (!stats.link_up || data[2] % 8) {
			net[i].dev->ops->destroy(net[i].dev);
			close(net[i].far_fd);
			make(i);
		}
	}
	return 0;
}
