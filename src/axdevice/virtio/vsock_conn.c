/*
 * One connection between a port of the guest's and a Unix socket: its events, and how both sides
 * close. Bytes for the socket are vsock_stream.c's. Spec 5.10.6.
 *
 * A direction ends by SHUTDOWN with its flag; when both have ended for the guest the connection is
 * answered with RST and forgotten, though what the guest has sent still goes to the socket
 * (VSOCK_LINGER). When the host has closed, the guest is told with both flags and answers RST.
 */
#include "vsock.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHUT_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

static bool reads_socket(const struct vsock_conn *conn)
{
	return !conn->eof && !(conn->shut_seen & VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Nothing that would be reported again and again without our being able to do something. */
static uint32_t wanted_events(const struct vsock_conn *conn)
{
	uint32_t events = 0;

	switch (conn->state) {
	case VSOCK_GREETING:
		return EPOLLIN;
	case VSOCK_REQUESTED: /* its data can wait, but not its going away */
		return EPOLLHUP;
	case VSOCK_LINGER:
		return EPOLLOUT;
	case VSOCK_OPEN:
		if (vsock_kept(conn))
			events |= EPOLLOUT;
		if (reads_socket(conn) && !conn->readable)
			events |= EPOLLIN;
		if (!reads_socket(conn) && !conn->hung_up)
			events |= EPOLLHUP;
		return events;
	default:
		return 0;
	}
}

void axvirtio_vsock_update(struct vsock_conn *conn)
{
	const uint32_t events = wanted_events(conn);

	if (conn->event && events != conn->events && ax_loop_modify_fd(conn->event, events) == 0)
		conn->events = events;
}

static void on_socket(void *ctx, int fd, uint32_t events);

int axvirtio_vsock_watch(struct vsock_conn *conn)
{
	conn->events = wanted_events(conn);
	return ax_loop_add_fd(conn->vsock->loop, conn->fd, conn->events, on_socket, conn,
			      &conn->event, NULL);
}

void axvirtio_vsock_hang_up(struct vsock_conn *conn)
{
	ax_loop_remove(conn->event);
	conn->event = NULL;
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	conn->readable = false;
}

/* ---- ends ------------------------------------------------------------------------------------ */

void axvirtio_vsock_set_deadline(struct vsock_conn *conn, uint64_t delay_ns)
{
	conn->deadline_ns = ax_clock_ns() + delay_ns;
	axvirtio_vsock_start_ticks(conn->vsock);
}

void axvirtio_vsock_enter_state(struct vsock_conn *conn, enum vsock_state state)
{
	conn->vsock->greeted -= conn->state == VSOCK_GREETING;
	conn->vsock->greeted += state == VSOCK_GREETING;
	conn->state = (uint8_t)state;
	conn->deadline_ns = 0;
	if (state == VSOCK_LINGER)
		axvirtio_vsock_set_deadline(conn, VSOCK_LINGER_NS);
	else if (state != VSOCK_OPEN)
		axvirtio_vsock_set_deadline(conn, VSOCK_WAIT_NS);
	axvirtio_vsock_update_listener(conn->vsock);
}

static void reply_rst(struct vsock_conn *conn)
{
	const struct vsock_reply rst = {
		.from_cid = VSOCK_HOST_CID,
		.from_port = conn->host_port,
		.to_port = conn->guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
	};

	/* Of what it has not been told the guest need not be told the end. */
	const bool is_known = !(conn->pending & VSOCK_SEND_REQUEST);

	axvirtio_vsock_leave_table(conn);
	if (is_known)
		axvirtio_vsock_reply_rst(conn->vsock, &rst);
}

void axvirtio_vsock_abort(struct vsock_conn *conn)
{
	if (conn->in_table)
		reply_rst(conn);
	axvirtio_vsock_free(conn);
}

void axvirtio_vsock_leave(struct vsock_conn *conn)
{
	if (conn->in_table)
		axvirtio_vsock_leave_table(conn);
	if (conn->state != VSOCK_OPEN || !vsock_kept(conn) || conn->deaf) {
		axvirtio_vsock_free(conn);
		return;
	}
	shutdown(conn->fd, SHUT_RD);
	axvirtio_vsock_enter_state(conn, VSOCK_LINGER);
	axvirtio_vsock_update(conn);
}

void axvirtio_vsock_expire(struct vsock_conn *conn)
{
	axvirtio_vsock_abort(conn);
}

void axvirtio_vsock_tell_shutdown(struct vsock_conn *conn, uint8_t flags)
{
	if ((conn->shut_sent & flags) == flags)
		return;
	conn->shut_sent |= flags;
	axvirtio_vsock_post(conn, VSOCK_SEND_SHUTDOWN);
}

/* Nobody is at the other end of the socket, and all that was sent there is in the guest. */
static void host_gone(struct vsock_conn *conn)
{
	axvirtio_vsock_drop_kept(conn);
	axvirtio_vsock_hang_up(conn);
	axvirtio_vsock_enter_state(conn, VSOCK_CLOSING);
	axvirtio_vsock_tell_shutdown(conn, SHUT_BOTH);
}

void axvirtio_vsock_host_eof(struct vsock_conn *conn)
{
	conn->eof = true;
	conn->readable = false;
	if (conn->hung_up) {
		host_gone(conn);
		return;
	}
	axvirtio_vsock_tell_shutdown(conn, VIRTIO_VSOCK_SHUTDOWN_SEND);
	axvirtio_vsock_update(conn);
}

void axvirtio_vsock_guest_shut(struct vsock_conn *conn, uint32_t flags)
{
	const uint8_t before = conn->shut_seen;

	conn->shut_seen |= flags & SHUT_BOTH;
	if (conn->shut_seen == SHUT_BOTH) {
		reply_rst(conn);
		axvirtio_vsock_leave(conn);
		return;
	}
	if (conn->fd < 0)
		return;
	if (conn->shut_seen & ~before & VIRTIO_VSOCK_SHUTDOWN_SEND && !vsock_kept(conn))
		shutdown(conn->fd, SHUT_WR);
	if (conn->shut_seen & ~before & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		shutdown(conn->fd, SHUT_RD);
		conn->readable = false;
		if (conn->hung_up) {
			host_gone(conn);
			return;
		}
	}
	axvirtio_vsock_update(conn);
}

/* ---- readiness ------------------------------------------------------------------------------- */

static void on_ready(struct vsock_conn *conn, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR))
		conn->hung_up = true;
	if (vsock_kept(conn) && (events & EPOLLOUT || conn->hung_up) &&
	    (!axvirtio_vsock_flush(conn) || conn->state == VSOCK_LINGER))
		return;
	if (reads_socket(conn) && conn->state == VSOCK_OPEN) {
		if (events & EPOLLIN || conn->hung_up) {
			conn->readable = true;
			axvirtio_vsock_post_data(conn);
		}
	} else if (conn->hung_up) {
		host_gone(conn);
	}
	axvirtio_vsock_update(conn);
}

static void on_socket(void *ctx, int fd, uint32_t events)
{
	struct vsock_conn *conn = ctx;

	axvirtio_vsock_sync(conn->vsock);
	if (conn->fd != fd) /* it has just ended */
		return;
	if (conn->state == VSOCK_GREETING) {
		axvirtio_vsock_greet(conn);
	} else if (conn->state == VSOCK_REQUESTED) {
		axvirtio_vsock_abort(conn);
	} else {
		on_ready(conn, events);
	}
}
