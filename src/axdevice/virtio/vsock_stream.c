/*
 * The way of the guest's bytes into the Unix socket: straight from guest memory as far as the
 * socket takes them, the rest by way of the connection's ring, whose size is the credit the guest
 * has. Spec 5.10.6.3.
 */
#include "vsock.h"
#include <errno.h>
#include <sys/socket.h>

void axvirtio_vsock_drop_kept(struct vsock_conn *conn)
{
	conn->deaf = true;
	conn->fwd_cnt = conn->rx_cnt;
}

/* How much the socket took; -1: it takes nothing any more. */
static ssize_t send_some(const struct vsock_conn *conn, struct iovec *iov, unsigned count)
{
	const struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n;

	do
		n = sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) ? 0 : n;
}

static void host_deaf(struct vsock_conn *conn)
{
	axvirtio_vsock_drop_kept(conn);
	axvirtio_vsock_tell_shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* The guest learns how much was passed on from whatever is sent to it; it is told of its own only
 * when that is a good part of its credit, which it has to be before the credit is used up. */
static void give_credit(struct vsock_conn *conn)
{
	if (conn->in_table && conn->fwd_cnt - conn->told_fwd_cnt >= VSOCK_RING_BYTES / 4)
		axvirtio_vsock_post(conn, VSOCK_SEND_CREDIT);
}

bool axvirtio_vsock_flush(struct vsock_conn *conn)
{
	const uint32_t kept = vsock_kept(conn);
	const uint32_t to_end = VSOCK_RING_BYTES - conn->ring_at;
	struct iovec iov[2] = {
		{conn->ring + conn->ring_at, kept < to_end ? kept : to_end},
		{conn->ring, kept < to_end ? 0 : kept - to_end},
	};
	const ssize_t n = send_some(conn, iov, 2);

	if (n < 0 && conn->state == VSOCK_LINGER) {
		axvirtio_vsock_free(conn);
		return false;
	}
	if (n < 0) {
		host_deaf(conn);
	} else {
		conn->ring_at = (conn->ring_at + (uint32_t)n) % VSOCK_RING_BYTES;
		conn->fwd_cnt += (uint32_t)n;
	}
	if (conn->state == VSOCK_LINGER) {
		if (!vsock_kept(conn)) {
			axvirtio_vsock_free(conn);
			return false;
		}
		if (n)
			axvirtio_vsock_set_deadline(conn, VSOCK_LINGER_NS);
		return true;
	}
	if (!vsock_kept(conn) && conn->shut_seen & VIRTIO_VSOCK_SHUTDOWN_SEND)
		shutdown(conn->fd, SHUT_WR);
	give_credit(conn);
	return true;
}

static void keep(struct vsock_conn *conn, struct iov_cursor *payload, uint32_t bytes)
{
	uint32_t at = (conn->ring_at + vsock_kept(conn)) % VSOCK_RING_BYTES;

	conn->rx_cnt += bytes;
	while (bytes) {
		const uint32_t to_end = VSOCK_RING_BYTES - at;
		const uint32_t step = bytes < to_end ? bytes : to_end;

		iov_advance(payload, IOV_GATHER, conn->ring + at, step);
		at = (at + step) % VSOCK_RING_BYTES;
		bytes -= step;
	}
}

void axvirtio_vsock_receive(struct vsock_conn *conn, struct iov_cursor payload, uint32_t bytes)
{
	ssize_t n = 0;

	if (bytes > VSOCK_RING_BYTES - vsock_kept(conn) ||
	    conn->shut_seen & VIRTIO_VSOCK_SHUTDOWN_SEND) {
		axvirtio_vsock_abort(conn);
		return;
	}
	vsock_cut(&payload, bytes);
	if (!bytes)
		return;
	if (!conn->deaf && !vsock_kept(conn)) {
		n = send_some(conn, payload.iov, payload.count);
		if (n < 0)
			host_deaf(conn);
	}
	if (conn->deaf)
		n = bytes;
	conn->rx_cnt += (uint32_t)n;
	conn->fwd_cnt += (uint32_t)n;
	if (!conn->deaf) {
		iov_advance(&payload, IOV_SKIP, NULL, (size_t)n);
		keep(conn, &payload, bytes - (uint32_t)n);
	}
	give_credit(conn);
	axvirtio_vsock_update(conn);
}
