/*
 * virtio-net over a packet socket: what is offered, frames both ways, merged buffers, the control
 * queue, and everything a driver or a far end can do wrong (must-test 6, 4). Tap and stream have
 * programs of their own.
 */
#include "net_driver.h"

#define BASE   (NET_F(MAC) | NET_F(STATUS))
#define MERGE  (BASE | NET_F(MRG_RXBUF))
#define TX_ALL (NET_F(CSUM) | NET_F(HOST_TSO4) | NET_F(HOST_TSO6))
#define RX_ALL (NET_F(GUEST_CSUM) | NET_F(GUEST_TSO4) | NET_F(GUEST_TSO6))

static uint8_t message[80000];

static void up(uint64_t features)
{
	struct axvirtio_net_config config = {.vm_name = "vm"};

	net_make_socket(AXVIRTIO_NET_PACKET, &config);
	net_start(features, 1, 64);
	poll_all();
}

/* ---- what is offered ------------------------------------------------------------------------- */

static uint8_t config_byte(unsigned offset)
{
	uint64_t value = 0;

	reg_access(dev, VIRTIO_MMIO_CONFIG + offset, 1, false, &value);
	return (uint8_t)value;
}

static void test_offers(void **state)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};
	struct axvirtio_net_config config = {.mtu = 9000, .mac = {0x52, 0x54, 0, 1, 2, 3}};
	uint64_t value = 0;

	(void)state;
	net_make_socket(AXVIRTIO_NET_PACKET, &config);
	assert_int_equal(rd(dev, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_NET);
	assert_int_equal(offered(dev) & 0xffffff, NET_F(MAC) | NET_F(STATUS) | NET_F(MTU) |
							  NET_F(MRG_RXBUF) | NET_F(CTRL_VQ) |
							  NET_F(CTRL_RX) | NET_F(CTRL_RX_EXTRA) |
							  NET_F(CTRL_MAC_ADDR) | TX_ALL | RX_ALL |
							  NET_F(HOST_ECN) | NET_F(GUEST_ECN));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(config_byte(i), mac[i]);
	assert_int_equal(link_status(), VIRTIO_NET_S_LINK_UP);
	reg_access(dev, VIRTIO_MMIO_CONFIG + 8, 2, false, &value);
	assert_int_equal(value, 1);
	reg_access(dev, VIRTIO_MMIO_CONFIG + 10, 2, false, &value);
	assert_int_equal(value, 9000);
	net_down();
	config = (struct axvirtio_net_config){.no_offload = true};
	net_make_socket(AXVIRTIO_NET_PACKET, &config);
	assert_int_equal(offered(dev) & (TX_ALL | RX_ALL | NET_F(MTU) | NET_F(MQ)), 0);
	net_down();
}

static void read_mac(const char *vm, uint8_t mac[6])
{
	struct axvirtio_net_config config = {.vm_name = vm};

	net_make_socket(AXVIRTIO_NET_PACKET, &config);
	for (unsigned i = 0; i < 6; i++)
		mac[i] = config_byte(i);
	net_down();
}

static void test_derived_mac(void **state)
{
	uint8_t one[6], again[6], other[6];

	(void)state;
	read_mac("one", one);
	read_mac("one", again);
	read_mac("other", other);
	assert_int_equal(one[0] & 3, 2); /* locally administered, of one station */
	assert_memory_equal(one, again, 6);
	assert_memory_not_equal(one, other, 6);
}

static void refused(struct axvirtio_net_config config, enum ax_error_kind kind)
{
	struct axvirtio *none = NULL;

	err = (struct ax_error){0};
	assert_true(axvirtio_net_create("net0", &config, &none, &err) < 0);
	assert_null(none);
	assert_int_equal(err.kind, kind);
	assert_true(err.message[0]);
}

static void test_refused(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
#define PACKET .backend = AXVIRTIO_NET_PACKET, .fd = fds[0]
	refused((struct axvirtio_net_config){PACKET, .pairs = 17}, AX_ERROR_CONFIGURATION);
	refused((struct axvirtio_net_config){PACKET, .pairs = 2}, AX_ERROR_CONFIGURATION);
	refused((struct axvirtio_net_config){PACKET, .mtu = 67}, AX_ERROR_CONFIGURATION);
	refused((struct axvirtio_net_config){PACKET, .mac = {1}}, AX_ERROR_CONFIGURATION);
	refused((struct axvirtio_net_config){PACKET, .vhost = true}, AX_ERROR_CONFIGURATION);
	refused((struct axvirtio_net_config){.backend = AXVIRTIO_NET_STREAM, .fd = fds[0]},
		AX_ERROR_DEVICE);
	refused((struct axvirtio_net_config){.backend = AXVIRTIO_NET_PACKET, .fd = -1},
		AX_ERROR_DEVICE);
	close(fds[0]);
	close(fds[1]);
}

/* ---- from the guest -------------------------------------------------------------------------- */

static void test_send(void **state)
{
	const struct buffer pieces[] = {
		{TX_GPA, 5, false}, {TX_GPA + 5, 9, false}, {TX_GPA + 14, 98, false}};

	(void)state;
	up(BASE);
	assert_int_equal(send_packet(&plain, 60, 1), 0);
	assert_int_equal(far_read(message, sizeof(message)), HDR + 60);
	assert_memory_equal(message, &plain, HDR);
	assert_true(is_frame(message + HDR, 60, 1));
	/* Framing is free (2.7.4.1): the header over two descriptors, the frame over two. */
	put_packet(TX_GPA, &plain, 100, 2);
	assert_int_equal(send_chain(pieces, 3), 0);
	assert_int_equal(far_read(message, sizeof(message)), HDR + 100);
	assert_true(is_frame(message + HDR, 100, 2));
	assert_int_equal(net_stats().tx_frames, 2);
	assert_int_equal(net_stats().tx_dropped, 0);
	net_down();
}

/* All of a full queue, in order, with one interrupt or two. */
static void test_send_many(void **state)
{
	uint32_t id, len;

	(void)state;
	up(BASE);
	for (unsigned i = 0; i < 64; i++) {
		const struct buffer b = {TX_GPA + 0x100 * i, HDR + 60 + i, false};

		put_packet(TX_GPA + 0x100 * i, &plain, 60 + i, i);
		offer_chain(&tx[0], &b, 1);
	}
	m.pulses = 0;
	kick(1);
	poll_all();
	for (unsigned i = 0; i < 64; i++) {
		assert_true(take_used(&tx[0], &id, &len));
		assert_int_equal(id, i);
		assert_int_equal(far_read(message, sizeof(message)), HDR + 60 + i);
		assert_true(is_frame(message + HDR, 60 + i, i));
	}
	assert_true(m.pulses >= 1 && m.pulses <= 2);
	net_down();
}

/* The chain comes back, the packet does not arrive, the device lives. */
static void sends_nothing(const struct virtio_net_hdr_v1 *header, uint32_t bytes)
{
	const uint64_t before = net_stats().tx_dropped;

	assert_int_equal(send_packet(header, bytes, 3), 0);
	assert_int_equal(far_read(message, sizeof(message)), 0);
	assert_int_equal(net_stats().tx_dropped, before + 1);
	assert_false(needs_reset());
}

static void test_send_malformed(void **state)
{
	const struct buffer tiny = {TX_GPA, 5, false};
	const struct buffer writable = {TX_GPA, 100, true};
	struct buffer huge[3];

	(void)state;
	up(BASE);
	sends_nothing(&plain, 0); /* a header and nothing else */
	sends_nothing(&plain, 13);
	assert_int_equal(send_chain(&tiny, 1), 0);
	assert_int_equal(send_chain(&writable, 1), 0);
	for (unsigned i = 0; i < 3; i++)
		huge[i] = (struct buffer){RX_GPA, 0x10000, false};
	assert_int_equal(send_chain(huge, 3), 0);
	assert_int_equal(far_read(message, sizeof(message)), 0);
	assert_int_equal(net_stats().tx_dropped, 5);
	assert_int_equal(send_packet(&plain, 14, 4), 0); /* and it still works */
	assert_int_equal(far_read(message, sizeof(message)), HDR + 14);
	net_down();
}

#define CSUM_AT(start, offset) \
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = (start), .csum_offset = (offset)
#define GSO(type, size) .gso_type = (type), .gso_size = (size), .hdr_len = 54

static void test_send_offloads(void **state)
{
	const struct virtio_net_hdr_v1 good = {CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV4, 1448),
					       .num_buffers = 7};
	const struct virtio_net_hdr_v1 bad[] = {
		{CSUM_AT(1984, 16)}, /* the field is past the end */
		{CSUM_AT(65535, 65535)},
		{CSUM_AT(2, 0)}, /* inside the Ethernet header */
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV4, 0)},
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV4, 2000)},
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_UDP, 1000)}, /* not offered */
		{CSUM_AT(34, 16), GSO(0x7f, 1000)},
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV6, 1000)}, /* not negotiated */
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 1000)},
		{.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1000}, /* without checksum */
		{CSUM_AT(34, 16), .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1000,
		 .hdr_len = 2001},
	};
	struct virtio_net_hdr_v1 got;

	(void)state;
	up(BASE | NET_F(CSUM) | NET_F(HOST_TSO4));
	assert_int_equal(send_packet(&good, 60000, 5), 0);
	assert_int_equal(far_read(message, sizeof(message)), HDR + 60000);
	memcpy(&got, message, HDR);
	assert_int_equal(got.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(got.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(got.gso_size, 1448);
	assert_int_equal(got.csum_start, 34);
	assert_int_equal(got.csum_offset, 16);
	assert_int_equal(got.num_buffers, 0); /* not the driver's to say */
	for (unsigned i = 0; i < AX_ARRAY_LEN(bad); i++)
		sends_nothing(&bad[i], 2000);
	net_down();
	/* Nothing was negotiated, so nothing may be asked for. */
	up(BASE);
	sends_nothing(&good, 60000);
	sends_nothing(&(struct virtio_net_hdr_v1){CSUM_AT(34, 16)}, 100);
	/* Flags a driver has no business with do not reach the other guest. */
	assert_int_equal(
		send_packet(&(struct virtio_net_hdr_v1){.flags = VIRTIO_NET_HDR_F_DATA_VALID}, 60,
			    6),
		0);
	assert_int_equal(far_read(message, sizeof(message)), HDR + 60);
	assert_int_equal(message[0], 0);
	net_down();
}

/* A far end that does not read loses frames; the guest gets its chains back and goes on. */
static void test_send_full(void **state)
{
	(void)state;
	up(BASE);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(send_packet(&plain, 60000, i), 0);
	assert_true(net_stats().tx_dropped > 0);
	assert_int_equal(net_stats().tx_frames + net_stats().tx_dropped, 1000);
	assert_int_equal(far_read(message, sizeof(message)), HDR + 60000);
	assert_true(is_frame(message + HDR, 60000, 0));
	net_down();
}

/* ---- to the guest ---------------------------------------------------------------------------- */

static void test_receive(void **state)
{
	struct virtio_net_hdr_v1 header;
	uint32_t id, len;

	(void)state;
	up(BASE);
	offer_rx(4, 2048);
	poll_all();
	for (unsigned i = 0; i < 3; i++)
		far_write(&plain, 60 + i, i);
	poll_all();
	for (unsigned i = 0; i < 3; i++) {
		assert_true(take_used(&rx[0], &id, &len));
		assert_int_equal(id, i);
		assert_int_equal(len, HDR + 60 + i);
		assert_true(is_frame(guest(&m, RX_GPA + 2048 * i + HDR, 100), 60 + i, i));
		header = header_at(RX_GPA + 2048 * i);
		assert_int_equal(header.num_buffers, 1);
		assert_int_equal(header.flags, 0);
	}
	assert_false(take_used(&rx[0], &id, &len));
	assert_int_equal(net_stats().rx_frames, 3);
	net_down();
}

/* A 64 KiB frame over as many buffers as it takes, all filled but the last (5.1.6.4). */
static void test_receive_merged(void **state)
{
	static const uint32_t sizes[] = {65000, 60, 3000, 1500, 65000, 65000};
	const struct virtio_net_hdr_v1 gso = {CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV4, 1448)};

	(void)state;
	up(MERGE | RX_ALL);
	offer_rx(64, 2048);
	poll_all();
	for (unsigned i = 0; i < AX_ARRAY_LEN(sizes); i++) {
		uint32_t id, len, at = 0;
		unsigned buffers = 0, want = 0;
		struct virtio_net_hdr_v1 header = {0};

		far_write(sizes[i] > 1514 ? &gso : &plain, sizes[i], i);
		poll_all();
		while (take_used(&rx[0], &id, &len)) {
			const uint64_t gpa = RX_GPA + 2048ULL * id;
			const uint32_t skip = buffers ? 0 : HDR;

			if (!buffers) {
				header = header_at(gpa);
				want = header.num_buffers;
			}
			assert_memory_equal(guest(&m, gpa + skip, len - skip),
					    make_frame(sizes[i], i) + at, len - skip);
			at += len - skip;
			buffers++;
			if (buffers < want)
				assert_int_equal(len, 2048);
		}
		assert_int_equal(at, sizes[i]);
		assert_int_equal(buffers, want);
		assert_int_equal(want, (sizes[i] + HDR + 2047) / 2048);
		if (sizes[i] > 1514)
			assert_int_equal(header.gso_size, 1448);
		offer_rx(buffers, 2048);
	}
	net_down();
}

/* Without merging a frame has one chain, of several descriptors perhaps, or none. */
static void test_receive_unmerged(void **state)
{
	const struct buffer chain[] = {{RX_GPA, 5, true},
				       {RX_GPA + 5, 7, true},
				       {RX_GPA + 12, 100, true},
				       {RX_GPA + 0x10000, 1000, true}};
	uint32_t id, len;

	(void)state;
	up(BASE);
	offer_chain(&rx[0], chain, 4);
	offer_chain(&rx[0], chain, 3);
	kick(0);
	poll_all();
	far_write(&plain, 1101, 1); /* a byte too long for either */
	poll_all();
	assert_false(take_used(&rx[0], &id, &len));
	assert_int_equal(net_stats().rx_dropped, 1);
	far_write(&plain, 1100, 2);
	poll_all();
	assert_true(take_used(&rx[0], &id, &len));
	assert_int_equal(len, HDR + 1100);
	assert_true(is_frame(guest(&m, RX_GPA + 12, 100), 100, 2));
	assert_memory_equal(guest(&m, RX_GPA + 0x10000, 1000), make_frame(1100, 2) + 100, 1000);
	assert_int_equal(header_at(RX_GPA).num_buffers, 1);
	net_down();
}

/* Buffers that hold a header and nothing, or next to nothing, else. */
static void test_receive_tiny(void **state)
{
	uint32_t id, len, sum = 0;
	unsigned count = 0;

	(void)state;
	up(MERGE);
	offer_rx(64, 12);
	poll_all();
	far_write(&plain, 60, 1);
	poll_all();
	while (take_used(&rx[0], &id, &len)) {
		assert_int_equal(len, 12);
		assert_int_equal(id, count++);
		sum += len;
	}
	assert_int_equal(sum, HDR + 60);
	assert_int_equal(header_at(RX_GPA).num_buffers, 6);
	far_write(&plain, 1500, 2); /* more than all that is left */
	poll_all();
	assert_int_equal(net_stats().rx_dropped, 1);
	far_write(&plain, 60, 3);
	poll_all();
	assert_true(take_used(&rx[0], &id, &len));
	assert_false(needs_reset());
	net_down();
	/* One without room for the header is against the rules (5.1.6.3.1). */
	up(MERGE);
	offer_rx(1, 11);
	poll_all();
	far_write(&plain, 60, 1);
	poll_all();
	assert_true(needs_reset());
	net_down();
	up(BASE);
	offer_chain(&rx[0], &(struct buffer){RX_GPA, 2048, false}, 1);
	kick(0);
	poll_all();
	far_write(&plain, 60, 1);
	poll_all();
	assert_true(needs_reset());
	net_down();
}

/* What there is no buffer for waits, in order, and comes when there is one again. */
static void test_receive_later(void **state)
{
	uint32_t id, len;
	unsigned seen = 0;

	(void)state;
	up(BASE);
	offer_rx(2, 2048);
	poll_all();
	for (unsigned i = 0; i < 10; i++)
		far_write(&plain, 60, i);
	poll_all();
	assert_int_equal(used_shown(&rx[0]), 2);
	assert_false(axvirtio_poll(device)); /* and nothing spins */
	while (seen < 10) {
		assert_true(take_used(&rx[0], &id, &len));
		assert_true(is_frame(guest(&m, RX_GPA + 2048 * id + HDR, 60), 60, seen++));
		offer_rx(1, 2048);
		poll_all();
	}
	assert_int_equal(net_stats().rx_dropped, 0);
	net_down();
}

/* must-test 6: a flood does not stop the device, nor keep it from sending. */
static void test_receive_flood(void **state)
{
	uint32_t id, len;
	unsigned got = 0, sent = 0;

	(void)state;
	up(MERGE);
	offer_rx(64, 2048);
	poll_all();
	while (got < 5000) {
		struct iovec iov[] = {{(void *)(uintptr_t)&plain, HDR}, {make_frame(60, sent), 60}};

		while (writev(far_fd, iov, 2) > 0) {
			sent++;
			iov[1].iov_base = make_frame(60, sent);
		}
		axvirtio_poll(device);
		for (unsigned batch = 0; take_used(&rx[0], &id, &len); batch++) {
			assert_true(batch < 64);
			assert_int_equal(len, HDR + 60);
			assert_true(
				is_frame(guest(&m, RX_GPA + 2048ULL * id + HDR, 60), 60, got++));
			offer_rx(1, 2048);
		}
	}
	assert_int_equal(send_packet(&plain, 60, 1), 0);
	assert_int_equal(net_stats().rx_dropped, 0);
	net_down();
}

/* The far end is a guest too: it may say what it likes. */
static void test_receive_malformed(void **state)
{
	const struct virtio_net_hdr_v1 bad[] = {
		{CSUM_AT(1984, 16)},
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV4, 0)},
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_UDP, 100)},
		{CSUM_AT(34, 16), GSO(VIRTIO_NET_HDR_GSO_TCPV6, 100)},
		{GSO(VIRTIO_NET_HDR_GSO_TCPV4, 100)},
	};
	uint32_t id, len;

	(void)state;
	up(MERGE | NET_F(GUEST_CSUM) | NET_F(GUEST_TSO4));
	offer_rx(64, 2048);
	poll_all();
	for (unsigned i = 0; i < AX_ARRAY_LEN(bad); i++)
		far_write(&bad[i], 2000, i);
	assert_int_equal(write(far_fd, message, 0), 0);
	assert_int_equal(write(far_fd, message, 5), 5);
	assert_int_equal(write(far_fd, message, HDR), HDR);
	memset(message, 0, sizeof(message));
	assert_int_equal(write(far_fd, message, HDR + 13), HDR + 13);
	assert_int_equal(write(far_fd, message, 70000), 70000);
	poll_all();
	assert_false(take_used(&rx[0], &id, &len));
	assert_int_equal(net_stats().rx_dropped, AX_ARRAY_LEN(bad) + 4);
	assert_true(net_stats().link_up);
	far_write(&plain, 100, 9);
	poll_all();
	assert_true(take_used(&rx[0], &id, &len));
	assert_int_equal(len, HDR + 100);
	net_down();
}

/* A driver without GUEST_CSUM gets the checksum complete (5.1.6.4.1), over odd buffers too. */
static void test_receive_checksum(void **state)
{
	static const uint8_t body[] = {0x12, 0x34, 0x00, 0x00, 0xff, 0xfe, 0x07};
	const struct virtio_net_hdr_v1 header = {CSUM_AT(20, 2)};
	struct iovec iov[2] = {{(void *)(uintptr_t)&header, HDR}, {message, 27}};
	uint32_t id, len;
	uint8_t got[27];
	uint32_t sum;

	(void)state;
	up(MERGE);
	offer_rx(8, 15);
	poll_all();
	memset(message, 0xab, 20);
	memcpy(message + 20, body, sizeof(body));
	message[22] = 0x01; /* the pseudo-header's sum stands in the field */
	assert_int_equal(writev(far_fd, iov, 2), HDR + 27);
	poll_all();
	assert_true(take_used(&rx[0], &id, &len));
	assert_int_equal(header_at(RX_GPA).flags, 0);
	assert_int_equal(header_at(RX_GPA).num_buffers, 3);
	memcpy(got, guest(&m, RX_GPA + HDR, 27), 27);
	assert_memory_equal(got, message, 22);
	/* 0x1234 + 0x0100 + 0xfffe + 0x0700 = 0x11a32 -> 0x1a33 */
	sum = 0xffff & ~0x1a33U;
	assert_int_equal(got[22], sum >> 8);
	assert_int_equal(got[23], sum & 0xff);
	assert_memory_equal(got + 24, message + 24, 3);
	net_down();
}

/* ---- control queue --------------------------------------------------------------------------- */

#define CTRL_ALL \
	(BASE | NET_F(CTRL_VQ) | NET_F(CTRL_RX) | NET_F(CTRL_RX_EXTRA) | NET_F(CTRL_MAC_ADDR))

static void test_control(void **state)
{
	static const uint8_t mac[6] = {2, 9, 8, 7, 6, 5}, group[6] = {3};
	static const uint8_t tables[] = {1, 0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0};
	static const uint8_t lies[] = {0xff, 0xff, 0xff, 0xff, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0};
	uint8_t before = 0, flag[2] = {1, 0};

	(void)state;
	up(CTRL_ALL);
	before = config_byte(1);
	for (uint8_t i = 0; i < 6; i++) {
		assert_int_equal(command(2, VIRTIO_NET_CTRL_RX, i, flag, 1), VIRTIO_NET_OK);
		assert_int_equal(command(2, VIRTIO_NET_CTRL_RX, i, flag, 0), VIRTIO_NET_ERR);
		assert_int_equal(command(2, VIRTIO_NET_CTRL_RX, i, flag, 2), VIRTIO_NET_ERR);
	}
	flag[0] = 2;
	assert_int_equal(command(2, VIRTIO_NET_CTRL_RX, 0, flag, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_RX, 6, flag, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 77, 0, flag, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_VLAN, 0, flag, 2), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 0, tables, 14), VIRTIO_NET_OK);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 0, tables, 13), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 0, tables, 10), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 0, tables, 3), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 0, lies, 14), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 1, mac, 5), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 1, group, 6), VIRTIO_NET_ERR);
	assert_int_equal(config_byte(1), before);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 1, mac, 6), VIRTIO_NET_OK);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(config_byte(i), mac[i]);
	/* No MQ here. */
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MQ, 0, flag, 2), VIRTIO_NET_ERR);
	assert_false(needs_reset());
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(config_byte(1), before); /* the next driver finds the device's own */
	net_down();
}

static void test_control_malformed(void **state)
{
	const struct buffer short_header[] = {{CTRL_GPA + 0x2000, 1, false},
					      {CTRL_GPA + 0x3000, 1, true}};
	const struct buffer no_answer = {CTRL_GPA + 0x2000, 3, false};
	uint32_t id, len;
	uint8_t flag = 1;

	(void)state;
	up(BASE | NET_F(CTRL_VQ)); /* commands that were not negotiated */
	assert_int_equal(command(2, VIRTIO_NET_CTRL_RX, 0, &flag, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(2, VIRTIO_NET_CTRL_MAC, 1, "\2\2\2\2\2\2", 6), VIRTIO_NET_ERR);
	offer_chain(&ctrl, short_header, 2);
	kick(2);
	poll_all();
	assert_true(take_used(&ctrl, &id, &len));
	assert_int_equal(*(uint8_t *)guest(&m, CTRL_GPA + 0x3000, 1), VIRTIO_NET_ERR);
	offer_chain(&ctrl, &no_answer, 1);
	kick(2);
	poll_all();
	assert_true(needs_reset());
	net_down();
}

/* ---- coming and going ------------------------------------------------------------------------ */

static void test_reset(void **state)
{
	uint32_t id, len;

	(void)state;
	up(MERGE);
	offer_rx(8, 2048);
	poll_all();
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	/* Armed when the driver went: frames wait, nothing is written, nothing spins. */
	memset(guest(&m, RX_GPA, 0x10000), 0x5a, 0x10000);
	far_write(&plain, 60, 1);
	poll_all();
	assert_false(axvirtio_poll(device));
	for (unsigned i = 0; i < 0x10000; i++)
		assert_int_equal(((uint8_t *)guest(&m, RX_GPA, 0x10000))[i], 0x5a);
	net_start(BASE, 1, 64);
	offer_rx(8, 1024);
	poll_all();
	assert_true(take_used(&rx[0], &id, &len));
	assert_int_equal(id, 0);
	assert_int_equal(len, HDR + 60);
	assert_true(is_frame(guest(&m, RX_GPA + HDR, 60), 60, 1));
	assert_int_equal(send_packet(&plain, 60, 2), 0);
	assert_int_equal(far_read(message, sizeof(message)), HDR + 60);
	net_down();
}

static void test_link_down(void **state)
{
	uint32_t id, len;

	(void)state;
	up(BASE);
	offer_rx(8, 2048);
	poll_all();
	far_write(&plain, 60, 1);
	close(far_fd);
	far_fd = -1;
	m.pulses = 0;
	poll_all();
	assert_true(take_used(&rx[0], &id, &len)); /* what was sent before arrives */
	assert_int_equal(link_status(), 0);
	assert_true(m.pulses >= 1);
	assert_false(net_stats().link_up);
	assert_false(axvirtio_poll(device));
	assert_int_equal(send_packet(&plain, 60, 2), 0);
	assert_int_equal(net_stats().tx_dropped, 1);
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	net_start(BASE, 1, 64);
	offer_rx(8, 2048);
	poll_all();
	assert_int_equal(link_status(), 0);
	assert_false(needs_reset());
	net_down();
}

/* Ten frames a second, a burst of two: the rest waits, in the socket or in the queue. */
static void test_limits(void **state)
{
	struct axvirtio_net_config config = {
		.rx_limit = {.ops_per_s = 10, .ops_burst = 2},
		.tx_limit = {.ops_per_s = 10, .ops_burst = 2},
	};
	uint64_t start_ns;

	(void)state;
	net_make_socket(AXVIRTIO_NET_PACKET, &config);
	net_start(BASE, 1, 64);
	offer_rx(16, 2048);
	poll_all();
	start_ns = ax_clock_ns();
	for (unsigned i = 0; i < 12; i++) {
		const struct buffer b = {TX_GPA, HDR + 60, false};

		far_write(&plain, 60, i);
		put_packet(TX_GPA, &plain, 60, i);
		offer_chain(&tx[0], &b, 1);
	}
	kick(1);
	while (used_shown(&rx[0]) < 12 || used_shown(&tx[0]) < 12) {
		poll_all();
		usleep(1000);
		if (ax_clock_ns() - start_ns > 20000000000ULL)
			fail_msg("%u received, %u sent", used_shown(&rx[0]), used_shown(&tx[0]));
	}
	assert_true(ax_clock_ns() - start_ns > 500000000ULL);
	net_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_derived_mac),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_send_many),
		cmocka_unit_test(test_send_malformed),
		cmocka_unit_test(test_send_offloads),
		cmocka_unit_test(test_send_full),
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_merged),
		cmocka_unit_test(test_receive_unmerged),
		cmocka_unit_test(test_receive_tiny),
		cmocka_unit_test(test_receive_later),
		cmocka_unit_test(test_receive_flood),
		cmocka_unit_test(test_receive_malformed),
		cmocka_unit_test(test_receive_checksum),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_control_malformed),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_link_down),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("virtio-net", tests, NULL, NULL);
}
