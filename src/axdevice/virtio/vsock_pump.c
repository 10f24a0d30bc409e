/*
 * What is sent to the guest, once per round of the loop and as far as the RX queue has buffers:
 * first answers to what belongs to no connection, then packets without payload, then data
 * (vsock_read.c).
 */
#include "vsock.h"
#include <endian.h>
#include <errno.h>

/* ---- lists ----------------------------------------------------------------------------------- */

void axvirtio_vsock_post(struct vsock_conn *conn, uint8_t pending)
{
	struct vsock *vsock = conn->vsock;

	conn->pending |= pending;
	if (!conn->in_control) {
		conn->in_control = true;
		conn->next_control = NULL;
		if (vsock->control.first)
			vsock->control.last->next_control = conn;
		else
			vsock->control.first = conn;
		vsock->control.last = conn;
	}
	ax_loop_defer(vsock->loop, &vsock->pump);
}

void axvirtio_vsock_post_data(struct vsock_conn *conn)
{
	struct vsock *vsock = conn->vsock;

	if (!conn->in_data) {
		conn->in_data = true;
		conn->next_data = NULL;
		if (vsock->data.first)
			vsock->data.last->next_data = conn;
		else
			vsock->data.first = conn;
		vsock->data.last = conn;
	}
	ax_loop_defer(vsock->loop, &vsock->pump);
}

/* ---- packets without payload: 1 sent, 0 no buffer, negative: the queue is broken ------------- */

static int send_header(struct vsock *vsock, const struct virtio_vsock_hdr *hdr)
{
	struct virtio_vsock_hdr copy = *hdr;
	struct iov_cursor writable;
	struct axvq_chain chain;
	int r = axvirtio_pop(&vsock->device, VSOCK_RX, vsock->rx_iov, VSOCK_CHAIN_IOV, &chain);

	if (r <= 0)
		return r;
	writable = (struct iov_cursor){chain.iov + chain.readable, chain.writable};
	if (iov_advance(&writable, IOV_SCATTER, &copy, sizeof(copy)) < sizeof(copy)) {
		axvirtio_fail(&vsock->device, VSOCK_RX, AXVQ_PROTOCOL);
		return -EPROTO;
	}
	axvirtio_push(&vsock->device, VSOCK_RX, chain.head, sizeof(copy), 0);
	return 1;
}

static int send_replies(struct vsock *vsock)
{
	int r = 1;

	while (vsock->reply_count && r > 0) {
		const struct vsock_reply *reply = &vsock->replies[vsock->reply_first];
		const struct virtio_vsock_hdr hdr = {
			.src_cid = htole64(reply->from_cid),
			.dst_cid = htole64(vsock->cid),
			.src_port = htole32(reply->from_port),
			.dst_port = htole32(reply->to_port),
			.type = htole16(reply->type),
			.op = htole16(VIRTIO_VSOCK_OP_RST),
		};

		r = send_header(vsock, &hdr);
		if (r > 0) {
			vsock->reply_first = (vsock->reply_first + 1) % VSOCK_REPLIES;
			vsock->reply_count--;
		}
	}
	return r;
}

static int send_control(struct vsock *vsock)
{
	static const struct {
		uint8_t pending;
		uint8_t op;
	} order[] = {
		{VSOCK_SEND_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
		{VSOCK_SEND_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
		{VSOCK_ASK_CREDIT, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
		{VSOCK_SEND_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
		{VSOCK_SEND_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
	};

	while (vsock->control.first) {
		struct vsock_conn *conn = vsock->control.first;

		for (size_t i = 0; i < AX_ARRAY_LEN(order); i++) {
			struct virtio_vsock_hdr hdr;
			int r;

			if (!(conn->pending & order[i].pending))
				continue;
			hdr = axvirtio_vsock_header(conn, order[i].op, 0);
			r = send_header(vsock, &hdr);
			if (r <= 0)
				return r;
			conn->pending &= (uint8_t)~order[i].pending;
			axvirtio_vsock_credit_was_told(conn);
		}
		vsock->control.first = conn->next_control;
		conn->in_control = false;
	}
	return 1;
}

/* ---- the pump -------------------------------------------------------------------------------- */

void axvirtio_vsock_pump(void *ctx)
{
	struct vsock *vsock = ctx;
	struct axvirtio *device = &vsock->device;
	int r;

	axvirtio_vsock_sync(vsock);
	/* When the driver is there again the queue is handled, and we are back. */
	if (!axvirtio_vsock_enter(vsock, VSOCK_RX))
		return;
	axvirtio_want_kicks(device, VSOCK_RX, false);
	r = send_replies(vsock);
	if (r > 0)
		r = send_control(vsock);
	if (r > 0)
		r = axvirtio_vsock_send_all_data(vsock);
	/* Kicks only while something waits for buffers. That some are there may also mean that the
	 * gate is about to close, so it is not tried again before the loop has been round. */
	if (!r && axvirtio_want_kicks(device, VSOCK_RX, true))
		axvirtio_wake(device, VSOCK_RX);
	axvirtio_leave(device, VSOCK_RX);
	if (vsock->tx_waits && vsock_has_reply_room(vsock)) {
		vsock->tx_waits = false;
		axvirtio_wake(device, VSOCK_TX);
	}
}
