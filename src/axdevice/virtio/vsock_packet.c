/*
 * What the guest sends (Spec 5.10.6): packets taken from the TX queue, checked, and handed to the
 * connection they belong to. Headers are copied before they are looked at. Who breaks a rule loses
 * the connection by RST; what cannot be answered is dropped.
 */
#include "vsock.h"
#include <endian.h>
#include <errno.h>

struct packet {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len, flags, buf_alloc, fwd_cnt;
	uint16_t type, op;
	struct iov_cursor payload;
	uint64_t payload_bytes; /* there are; len is what the header says */
};

/* false: there is no whole header. */
static bool parse(const struct axvq_chain *chain, struct packet *ret_packet)
{
	struct iov_cursor readable = {chain->iov, chain->readable};
	struct virtio_vsock_hdr hdr;

	if (iov_advance(&readable, IOV_GATHER, &hdr, sizeof(hdr)) < sizeof(hdr))
		return false;
	*ret_packet = (struct packet){
		.src_cid = le64toh(hdr.src_cid),
		.dst_cid = le64toh(hdr.dst_cid),
		.src_port = le32toh(hdr.src_port),
		.dst_port = le32toh(hdr.dst_port),
		.len = le32toh(hdr.len),
		.flags = le32toh(hdr.flags),
		.buf_alloc = le32toh(hdr.buf_alloc),
		.fwd_cnt = le32toh(hdr.fwd_cnt),
		.type = le16toh(hdr.type),
		.op = le16toh(hdr.op),
		.payload = readable,
		.payload_bytes = chain->readable_bytes - sizeof(hdr),
	};
	return true;
}

/* There is no such connection, port or type (5.10.6.4). An RST is not answered by another. */
static void refuse(struct vsock *vsock, const struct packet *packet)
{
	const struct vsock_reply rst = {
		.from_cid = packet->dst_cid,
		.from_port = packet->dst_port,
		.to_port = packet->src_port,
		.type = packet->type,
	};

	if (packet->op != VIRTIO_VSOCK_OP_RST)
		axvirtio_vsock_reply_rst(vsock, &rst);
}

/* false: it cannot have taken more than it was sent. */
static bool take_credit(struct vsock_conn *conn, const struct packet *packet)
{
	/* We never have more in flight than that, so what looks like more is less than nothing. */
	if (conn->tx_cnt - packet->fwd_cnt > INT32_MAX)
		return false;
	conn->peer_fwd_cnt = packet->fwd_cnt;
	conn->peer_buf_alloc = packet->buf_alloc < INT32_MAX ? packet->buf_alloc : INT32_MAX;
	if (conn->readable && vsock_credit(conn))
		axvirtio_vsock_post_data(conn);
	return true;
}

static void connect_out(struct vsock *vsock, const struct packet *packet)
{
	struct vsock_conn *conn =
		axvirtio_vsock_begin_connect(vsock, packet->dst_port, packet->src_port);

	if (!conn)
		refuse(vsock, packet);
	else if (!take_credit(conn, packet))
		axvirtio_vsock_abort(conn);
	else
		axvirtio_vsock_connect(conn);
}

static void receive(struct vsock_conn *conn, const struct packet *packet)
{
	if (packet->len > packet->payload_bytes)
		axvirtio_vsock_abort(conn);
	else
		axvirtio_vsock_receive(conn, packet->payload, packet->len);
}

/* false: out of place, a second REQUEST, or unknown. */
static bool obey(struct vsock_conn *conn, const struct packet *packet)
{
	const bool is_open = conn->state == VSOCK_OPEN || conn->state == VSOCK_CLOSING;

	if (packet->op == VIRTIO_VSOCK_OP_RESPONSE && conn->state == VSOCK_REQUESTED &&
	    !(conn->pending & VSOCK_SEND_REQUEST))
		axvirtio_vsock_accepted(conn);
	else if (packet->op == VIRTIO_VSOCK_OP_RW && is_open)
		receive(conn, packet);
	else if (packet->op == VIRTIO_VSOCK_OP_SHUTDOWN && is_open)
		axvirtio_vsock_guest_shut(conn, packet->flags);
	else if (packet->op == VIRTIO_VSOCK_OP_CREDIT_REQUEST && is_open)
		axvirtio_vsock_post(conn, VSOCK_SEND_CREDIT);
	else
		return packet->op == VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	return true;
}

/* For a connection there is. */
static void dispatch(struct vsock_conn *conn, const struct packet *packet)
{
	if (packet->op == VIRTIO_VSOCK_OP_RST)
		axvirtio_vsock_leave(conn);
	else if (!take_credit(conn, packet) || !obey(conn, packet))
		axvirtio_vsock_abort(conn);
}

static void handle(struct vsock *vsock, const struct packet *packet)
{
	struct vsock_conn *conn;

	if (packet->dst_cid != VSOCK_HOST_CID || packet->type != VIRTIO_VSOCK_TYPE_STREAM) {
		refuse(vsock, packet);
		return;
	}
	conn = axvirtio_vsock_find(vsock, packet->dst_port, packet->src_port);
	if (conn)
		dispatch(conn, packet);
	else if (packet->op == VIRTIO_VSOCK_OP_REQUEST)
		connect_out(vsock, packet);
	else
		refuse(vsock, packet);
}

int axvirtio_vsock_serve_one(struct axvirtio *device, unsigned index)
{
	struct vsock *vsock = ax_container_of(device, struct vsock, device);
	struct axvq_chain chain;
	struct packet packet;
	uint64_t bytes = 0;
	int r;

	/* A guest that takes no answers gets none of its packets looked at. */
	if (!vsock_has_reply_room(vsock)) {
		vsock->tx_waits = true;
		return -EAGAIN;
	}
	if (limit_active(&vsock->limit) && !limit_may_take(&vsock->limit, &vsock->tx_waiter))
		return -EAGAIN;
	r = axvirtio_pop(device, index, vsock->tx_iov, VSOCK_CHAIN_IOV, &chain);
	if (r <= 0)
		return r;
	if (parse(&chain, &packet) && packet.src_cid == vsock->cid) {
		if (packet.op == VIRTIO_VSOCK_OP_RW && packet.len <= packet.payload_bytes)
			bytes = packet.len;
		handle(vsock, &packet);
	} else {
		axvirtio_count_error(device, index);
	}
	if (limit_active(&vsock->limit))
		limit_charge(&vsock->limit, bytes);
	axvirtio_push(device, index, chain.head, 0, bytes);
	return 1;
}
