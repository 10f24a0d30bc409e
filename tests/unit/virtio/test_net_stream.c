/*
 * virtio-net on a stream: frames behind their length, however the stream cuts them, a far end that
 * does not read, one that lies about lengths, and resets in the middle of a frame.
 */
#include "net_driver.h"
#include <arpa/inet.h>
#include <signal.h>

#define BASE  (NET_F(MAC) | NET_F(STATUS))
#define MERGE (BASE | NET_F(MRG_RXBUF))

static uint8_t stream[1 << 20];

static void up(uint64_t features)
{
	struct axvirtio_net_config config = {.vm_name = "vm"};
	const int bytes = 16384; /* what the socket holds is soon full */

	net_make_socket(AXVIRTIO_NET_STREAM, &config);
	setsockopt(far_fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	net_start(features, 1, 64);
	poll_all();
}

/* Append a frame to the stream being built. */
static size_t put_frame(size_t at, uint32_t bytes, unsigned seed)
{
	const uint32_t prefix = htonl(bytes);

	memcpy(stream + at, &prefix, 4);
	memcpy(stream + at + 4, make_frame(bytes, seed), bytes);
	return at + 4 + bytes;
}

/* Buffers of 2 KiB, merged or not: one whole frame. */
static void expect_frame(uint32_t bytes, unsigned seed)
{
	uint32_t id, len, at = 0, buffers = 0, want = 1;

	while (buffers < want) {
		const uint32_t skip = buffers ? 0 : HDR;
		uint64_t gpa;

		if (!take_used(&rx[0], &id, &len))
			fail_msg("frame of %u bytes: %u buffers of %u", bytes, buffers, want);
		gpa = RX_GPA + 2048ULL * id;
		if (!buffers) {
			const struct virtio_net_hdr_v1 header = header_at(gpa);

			want = header.num_buffers;
			assert_int_equal(header.flags, 0);
			assert_int_equal(header.gso_type, 0);
		}
		assert_memory_equal(guest(&m, gpa + skip, len - skip), make_frame(bytes, seed) + at,
				    len - skip);
		at += len - skip;
		buffers++;
	}
	assert_int_equal(at, bytes);
}

static void test_offers(void **state)
{
	(void)state;
	up(BASE);
	/* No header goes along, so nothing can be left undone. */
	assert_int_equal(offered(dev) & 0x7fff & ~(NET_F(MAC) | NET_F(MTU)), 0);
	net_down();
}

static void test_receive(void **state)
{
	static const uint32_t sizes[] = {60, 1514, 14, 9000, 65000, 60};
	size_t bytes = 0;

	(void)state;
	up(MERGE);
	offer_rx(64, 2048);
	poll_all();
	/* All at once. */
	for (unsigned i = 0; i < 3; i++)
		bytes = put_frame(bytes, sizes[i], i);
	assert_int_equal(write(far_fd, stream, bytes), bytes);
	poll_all();
	for (unsigned i = 0; i < 3; i++)
		expect_frame(sizes[i], i);
	/* A byte at a time. */
	bytes = put_frame(put_frame(0, 60, 7), 61, 8);
	for (size_t i = 0; i < bytes; i++) {
		assert_int_equal(write(far_fd, stream + i, 1), 1);
		poll_all();
	}
	expect_frame(60, 7);
	expect_frame(61, 8);
	offer_rx(5, 2048);
	/* More than the socket holds. */
	for (unsigned i = 3; i < AX_ARRAY_LEN(sizes); i++) {
		bytes = put_frame(0, sizes[i], i);
		for (size_t at = 0; at < bytes;) {
			const ssize_t n = write(far_fd, stream + at, bytes - at);

			at += n > 0 ? (size_t)n : 0;
			poll_all();
		}
		expect_frame(sizes[i], i);
		offer_rx((sizes[i] + HDR + 2047) / 2048, 2048);
	}
	assert_int_equal(net_stats().rx_frames, 8);
	assert_int_equal(net_stats().rx_dropped, 0);
	net_down();
}

/* Frames wait for buffers, those that have been read and those that have not. */
static void test_receive_later(void **state)
{
	size_t bytes = 0;

	(void)state;
	up(BASE);
	for (unsigned i = 0; i < 10; i++)
		bytes = put_frame(bytes, 60, i);
	assert_int_equal(write(far_fd, stream, bytes), bytes);
	for (unsigned i = 0; i < 10; i++) {
		poll_all();
		assert_false(axvirtio_poll(device));
		assert_int_equal(used_shown(&rx[0]), i);
		offer_rx(1, 2048);
		poll_all();
		expect_frame(60, i);
	}
	net_down();
}

static void test_receive_malformed(void **state)
{
	size_t bytes = 0;
	uint32_t prefix = htonl(0x7fffffff);

	(void)state;
	up(BASE);
	offer_rx(8, 2048);
	bytes = put_frame(bytes, 0, 0);
	bytes = put_frame(bytes, 13, 1);
	bytes = put_frame(bytes, 2037, 2); /* a byte more than a buffer holds */
	bytes = put_frame(bytes, 2036, 3);
	assert_int_equal(write(far_fd, stream, bytes), bytes);
	poll_all();
	expect_frame(2036, 3);
	assert_int_equal(net_stats().rx_dropped, 3);
	assert_true(net_stats().link_up);
	/* Behind a length that cannot be, nothing means anything. */
	assert_int_equal(write(far_fd, &prefix, 4), 4);
	poll_all();
	assert_int_equal(link_status(), 0);
	assert_false(needs_reset());
	assert_false(axvirtio_poll(device));
	net_down();
}

static void test_send(void **state)
{
	const struct virtio_net_hdr_v1 asks = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					       .csum_start = 34};
	size_t bytes = 0;

	(void)state;
	up(BASE);
	assert_int_equal(send_packet(&plain, 60, 1), 0);
	assert_int_equal(send_packet(&asks, 60, 2), 0);
	assert_int_equal(send_packet(&plain, 0, 2), 0);
	assert_int_equal(send_packet(&plain, 1514, 3), 0);
	bytes = put_frame(put_frame(0, 60, 1), 1514, 3);
	assert_int_equal(far_read(stream + bytes, bytes + 1), bytes);
	assert_memory_equal(stream, stream + bytes, bytes);
	assert_int_equal(net_stats().tx_frames, 2);
	assert_int_equal(net_stats().tx_dropped, 2);
	net_down();
}

/* Offer frames to send until the device takes no more; how many are offered. */
static unsigned stuff(uint32_t bytes)
{
	uint32_t id, len;
	unsigned count = 0, waiting = 0;

	while (waiting < 32) {
		const uint64_t gpa = TX_GPA + 0x1000ULL * (count % 32);
		const struct buffer b = {gpa, HDR + bytes, false};

		put_packet(gpa, &plain, bytes, count++);
		offer_chain(&tx[0], &b, 1);
		waiting++;
		kick(1);
		poll_all();
		while (take_used(&tx[0], &id, &len))
			waiting--;
		assert_true(count < 10000);
	}
	assert_false(axvirtio_poll(device));
	return count;
}

/* Read the stream until `count` frames of `bytes` have come, in order. */
static void drain(unsigned count, uint32_t bytes)
{
	size_t have = 0;
	unsigned seen = 0;

	for (unsigned idle = 0; seen < count && idle < 1000; idle++) {
		const ssize_t n = far_read(stream + have, 1000);

		have += (size_t)n;
		if (n)
			idle = 0;
		while (have >= 4 + bytes) {
			uint32_t prefix;

			memcpy(&prefix, stream, 4);
			assert_int_equal(ntohl(prefix), bytes);
			assert_true(is_frame(stream + 4, bytes, seen++));
			have -= 4 + bytes;
			memmove(stream, stream + 4 + bytes, have);
		}
		poll_all();
	}
	assert_int_equal(seen, count);
	assert_int_equal(have, 0);
}

/* A far end that does not read holds the queue up; nothing is lost, cut or reordered. */
static void test_send_backpressure(void **state)
{
	unsigned count;

	(void)state;
	up(BASE);
	count = stuff(1514);
	drain(count, 1514);
	assert_int_equal(net_stats().tx_frames, count);
	assert_int_equal(net_stats().tx_dropped, 0);
	net_down();
}

/* A reset while a frame is half written: the next driver's frames begin where a frame begins. */
static void test_reset_between(void **state)
{
	size_t have = 0;
	bool found = false;

	(void)state;
	up(BASE);
	stuff(1513);
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	memset(guest(&m, TX_GPA, 0x20000), 0xee, 0x20000);
	net_start(BASE, 1, 64);
	{
		const struct buffer b = {TX_GPA, HDR + 99, false};

		put_packet(TX_GPA, &plain, 99, 77);
		offer_chain(&tx[0], &b, 1);
		kick(1);
	}
	for (unsigned idle = 0; !found && idle < 1000; idle++) {
		const ssize_t n = far_read(stream + have, 1000);
		uint32_t prefix = 0;

		have += (size_t)n;
		if (n)
			idle = 0;
		for (;;) {
			memcpy(&prefix, stream, 4);
			prefix = ntohl(prefix);
			if (have < 4 || have < 4 + prefix)
				break;
			assert_true(prefix == 1513 || prefix == 99);
			found = prefix == 99;
			if (found)
				assert_true(is_frame(stream + 4, 99, 77));
			have -= 4 + prefix;
			memmove(stream, stream + 4 + prefix, have);
		}
		poll_all();
	}
	assert_true(found);
	net_down();
}

static void test_link_down(void **state)
{
	(void)state;
	up(BASE);
	offer_rx(4, 2048);
	assert_int_equal(write(far_fd, stream, put_frame(0, 60, 1)), 64);
	close(far_fd);
	far_fd = -1;
	poll_all();
	expect_frame(60, 1);
	assert_int_equal(link_status(), 0);
	assert_int_equal(send_packet(&plain, 60, 1), 0);
	assert_int_equal(net_stats().tx_dropped, 1);
	assert_false(axvirtio_poll(device));
	net_down();
	/* Found out by sending, with frames of a batch waiting. */
	up(BASE);
	stuff(1514);
	close(far_fd);
	far_fd = -1;
	poll_all();
	assert_int_equal(link_status(), 0);
	assert_int_equal(used_shown(&tx[0]), tx[0].avail_idx);
	assert_false(axvirtio_poll(device));
	net_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offers),        cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_later), cmocka_unit_test(test_receive_malformed),
		cmocka_unit_test(test_send),          cmocka_unit_test(test_send_backpressure),
		cmocka_unit_test(test_reset_between), cmocka_unit_test(test_link_down),
	};

	signal(SIGPIPE, SIG_IGN); /* as a program that has sockets does */
	return cmocka_run_group_tests_name("virtio-net-stream", tests, NULL, NULL);
}
