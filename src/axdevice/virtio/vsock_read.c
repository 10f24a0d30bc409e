/*
 * Data for the guest, read from the sockets straight into buffers of the RX queue, several packets
 * by one call when there is much, connection by connection in turn. Spec 5.10.6.1, 5.10.6.3.
 */
#include "vsock.h"
#include <endian.h>
#include <errno.h>
#include <unistd.h>

#define TURNS 64 /* reads before other events of the loop get theirs */

/* Every packet of a connection tells the guest its credit. */
struct virtio_vsock_hdr axvirtio_vsock_header(struct vsock_conn *conn, uint16_t op, uint32_t bytes)
{
	return (struct virtio_vsock_hdr){
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(conn->vsock->cid),
		.src_port = htole32(conn->host_port),
		.dst_port = htole32(conn->guest_port),
		.len = htole32(bytes),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.flags = htole32(op == VIRTIO_VSOCK_OP_SHUTDOWN ? conn->shut_sent : 0),
		.buf_alloc = htole32(VSOCK_RING_BYTES),
		.fwd_cnt = htole32(conn->fwd_cnt),
	};
}

void axvirtio_vsock_credit_was_told(struct vsock_conn *conn)
{
	conn->told_fwd_cnt = conn->fwd_cnt;
	conn->pending &= (uint8_t)~VSOCK_SEND_CREDIT;
}

static void take_first_data(struct vsock *vsock)
{
	struct vsock_conn *conn = vsock->data.first;

	vsock->data.first = conn->next_data;
	conn->in_data = false;
}

/* Set the first bytes of the vectors, the header's, aside. false: nothing would remain. */
static bool split_header(struct iov_cursor *cursor, struct vsock_rx_packet *packet)
{
	uint32_t left = VSOCK_HDR_BYTES;

	packet->segments = 0;
	while (left && cursor->count) {
		const struct iovec *iov = cursor->iov;
		const uint32_t step = iov->iov_len < left ? (uint32_t)iov->iov_len : left;

		if (step)
			packet->header[packet->segments++] = (struct iovec){iov->iov_base, step};
		iov_advance(cursor, IOV_SKIP, NULL, step);
		if (!step) {
			cursor->iov++;
			cursor->count--;
		}
		left -= step;
	}
	return !left;
}

/* Take buffers for as much as the guest has credit for, at most conn->batch. Returns how many;
 * their data parts are rx_iov[0 .. *ret_iov - 1]. */
static int take_buffers(struct vsock_conn *conn, unsigned *ret_iov, uint32_t *ret_bytes)
{
	struct vsock *vsock = conn->vsock;
	/* A limit lets packets through, not batches of them. */
	const unsigned max = limit_active(&vsock->limit) ? 1 : conn->batch;
	uint32_t credit = vsock_credit(conn);
	unsigned used = 0, count = 0;

	*ret_bytes = 0;
	while (count < max && credit && used + VSOCK_CHAIN_IOV <= AX_OP_MAX_IOV) {
		struct vsock_rx_packet *packet = &vsock->rx_packets[count];
		struct iov_cursor data;
		struct axvq_chain chain;
		int r = axvirtio_pop(&vsock->device, VSOCK_RX, vsock->rx_iov + used,
				     VSOCK_CHAIN_IOV, &chain);

		if (r < 0)
			return r;
		if (!r)
			break;
		data = (struct iov_cursor){chain.iov + chain.readable, chain.writable};
		if (chain.writable_bytes <= VSOCK_HDR_BYTES || !split_header(&data, packet)) {
			axvirtio_fail(&vsock->device, VSOCK_RX, AXVQ_PROTOCOL);
			return -EPROTO;
		}
		packet->head = chain.head;
		packet->bytes = chain.writable_bytes - VSOCK_HDR_BYTES < credit
					? (uint32_t)(chain.writable_bytes - VSOCK_HDR_BYTES)
					: credit;
		vsock_cut(&data, packet->bytes);
		memmove(vsock->rx_iov + used, data.iov, data.count * sizeof(*data.iov));
		used += data.count;
		credit -= packet->bytes;
		*ret_bytes += packet->bytes;
		count++;
	}
	*ret_iov = used;
	return (int)count;
}

static void send_filled(struct vsock_conn *conn, struct vsock_rx_packet *packet, uint32_t bytes)
{
	struct vsock *vsock = conn->vsock;
	struct virtio_vsock_hdr hdr = axvirtio_vsock_header(conn, VIRTIO_VSOCK_OP_RW, bytes);
	struct iov_cursor header = {packet->header, packet->segments};

	iov_advance(&header, IOV_SCATTER, &hdr, sizeof(hdr));
	axvirtio_push(&vsock->device, VSOCK_RX, packet->head, VSOCK_HDR_BYTES + bytes, bytes);
	conn->tx_cnt += bytes;
	axvirtio_vsock_credit_was_told(conn);
	if (limit_active(&vsock->limit))
		limit_charge(&vsock->limit, bytes);
}

/* One read for the connection. 1: done, 0: no buffers, negative: the queue is broken. */
static int send_data(struct vsock_conn *conn)
{
	struct vsock *vsock = conn->vsock;
	unsigned iov_count = 0;
	uint32_t room;
	ssize_t n, left;
	int filled = 0, code;
	int count = take_buffers(conn, &iov_count, &room);

	if (count <= 0)
		return count;
	do
		n = readv(conn->fd, vsock->rx_iov, (int)iov_count);
	while (n < 0 && errno == EINTR);
	code = errno;
	for (left = n; left > 0; filled++) {
		struct vsock_rx_packet *packet = &vsock->rx_packets[filled];
		const uint32_t bytes = left < packet->bytes ? (uint32_t)left : packet->bytes;

		send_filled(conn, packet, bytes);
		left -= bytes;
	}
	for (; filled < count; count--)
		axvirtio_unpop(&vsock->device, VSOCK_RX);
	if (n == 0) {
		axvirtio_vsock_host_eof(conn);
	} else if (n < 0 && code != EAGAIN) {
		axvirtio_vsock_abort(conn);
	} else if (n < (ssize_t)room) {
		/* All there was; the loop tells when there is more. */
		conn->readable = false;
		conn->batch = 1;
	} else if (conn->batch < VSOCK_READ_BATCH) {
		conn->batch *= 2;
	}
	return 1;
}

/* Has it data that the guest has room for? */
static bool may_send(struct vsock_conn *conn)
{
	if (!conn->readable || conn->state != VSOCK_OPEN)
		return false;
	/* Asked once: it is looked at again when the guest has given some. */
	if (!vsock_credit(conn)) {
		axvirtio_vsock_post(conn, VSOCK_ASK_CREDIT);
		return false;
	}
	return true;
}

int axvirtio_vsock_send_all_data(struct vsock *vsock)
{
	for (unsigned turn = 0; vsock->data.first; turn++) {
		struct vsock_conn *conn = vsock->data.first;
		int r;

		if (!may_send(conn)) {
			take_first_data(vsock);
			axvirtio_vsock_update(conn);
			continue;
		}
		if (limit_active(&vsock->limit) &&
		    !limit_may_take(&vsock->limit, &vsock->rx_waiter))
			return -EAGAIN; /* it will wake the queue */
		if (turn >= TURNS) {
			axvirtio_wake(&vsock->device, VSOCK_RX);
			return -EAGAIN;
		}
		r = send_data(conn);
		if (r <= 0)
			return r;
		/* To the end of the list, if it is still there: an end may have taken it out. */
		if (vsock->data.first == conn) {
			take_first_data(vsock);
			axvirtio_vsock_update(conn);
			if (conn->readable)
				axvirtio_vsock_post_data(conn);
		}
	}
	return 1;
}
