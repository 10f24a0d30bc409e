/*
 * The host's side by Firecracker's convention: a listening Unix socket whose clients say by
 * "CONNECT port\n" which port of the guest's they want, and the sockets PATH_port the guest
 * connects to. A client has VSOCK_WAIT_NS to say it, and only so many at a time.
 */
#include "vsock.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- clients --------------------------------------------------------------------------------- */

void axvirtio_vsock_update_listener(struct vsock *vsock)
{
	const bool listening = vsock->greeted < VSOCK_MAX_GREETED &&
			       vsock->conn_count < vsock->conn_max && !vsock->no_accept;

	if (vsock->listening == listening || !vsock->listen_event)
		return;
	if (ax_loop_modify_fd(vsock->listen_event, listening ? EPOLLIN : 0) == 0)
		vsock->listening = listening;
}

static void greet_new(struct vsock *vsock, int fd)
{
	struct vsock_conn *conn = axvirtio_vsock_alloc(vsock, fd);

	if (!conn) {
		close(fd);
		return;
	}
	axvirtio_vsock_enter_state(conn, VSOCK_GREETING);
	if (axvirtio_vsock_watch(conn) < 0)
		axvirtio_vsock_free(conn);
}

void axvirtio_vsock_accept(void *ctx, int fd, uint32_t events)
{
	struct vsock *vsock = ctx;

	(void)events;
	axvirtio_vsock_sync(vsock);
	while (vsock->listening) {
		const int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client >= 0) {
			greet_new(vsock, client);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) { /* most likely no descriptors: not again at once */
			ax_log_limited(&vsock->log_limit, AX_LOG_WARN, "virtio",
				       "%s: cannot accept a connection: %s", vsock->name,
				       strerror(errno));
			vsock->no_accept = true;
			axvirtio_vsock_start_ticks(vsock);
			axvirtio_vsock_update_listener(vsock);
		}
		return;
	}
}

/* "CONNECT 52" exactly, as the line is without its end. */
static bool parse_line(const char *line, uint32_t *ret_port)
{
	static const char word[] = "CONNECT ";
	const char *at = line + sizeof(word) - 1;
	uint64_t port = 0;

	if (strncmp(line, word, sizeof(word) - 1) != 0 || !*at)
		return false;
	for (; *at; at++) {
		if (*at < '0' || *at > '9')
			return false;
		port = port * 10 + (uint64_t)(*at - '0');
		if (port >= VSOCK_PORT_ANY)
			return false;
	}
	*ret_port = (uint32_t)port;
	return true;
}

static uint32_t free_port(struct vsock *vsock, uint32_t guest_port)
{
	uint32_t port;

	/* There are far more ports than connections. */
	do {
		port = vsock->next_port++;
		if (vsock->next_port == 2 * VSOCK_FIRST_PORT)
			vsock->next_port = VSOCK_FIRST_PORT;
	} while (axvirtio_vsock_find(vsock, port, guest_port));
	return port;
}

static void request(struct vsock_conn *conn, uint32_t guest_port)
{
	struct vsock *vsock = conn->vsock;

	if (!vsock_has_reply_room(vsock)) {
		axvirtio_vsock_free(conn);
		return;
	}
	axvirtio_vsock_enter_table(conn, free_port(vsock, guest_port), guest_port);
	axvirtio_vsock_enter_state(conn, VSOCK_REQUESTED);
	axvirtio_vsock_post(conn, VSOCK_SEND_REQUEST);
	axvirtio_vsock_update(conn);
}

/* Read as far as the line goes and not a byte of what follows, which is the guest's. */
void axvirtio_vsock_greet(struct vsock_conn *conn)
{
	char *const at = conn->line + conn->line_bytes;
	const size_t room = sizeof(conn->line) - conn->line_bytes;
	ssize_t n = recv(conn->fd, at, room, MSG_PEEK | MSG_DONTWAIT);
	uint32_t port;
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	end = n > 0 ? memchr(at, '\n', (size_t)n) : NULL;
	if (end)
		n = end + 1 - at;
	if (n <= 0 || recv(conn->fd, at, (size_t)n, MSG_DONTWAIT) != n) {
		axvirtio_vsock_free(conn);
		return;
	}
	conn->line_bytes += (uint8_t)n;
	if (end) {
		*end = '\0';
		/* A NUL in it ends what is compared, so it must be the one put there. */
		if (strlen(conn->line) + 1 == conn->line_bytes && parse_line(conn->line, &port))
			request(conn, port);
		else
			axvirtio_vsock_free(conn);
	} else if (conn->line_bytes == sizeof(conn->line)) {
		axvirtio_vsock_free(conn);
	}
}

void axvirtio_vsock_accepted(struct vsock_conn *conn)
{
	char line[24];
	const int length = snprintf(line, sizeof(line), "OK %u\n", conn->host_port);

	/* The first there is sent on this socket: if it does not fit, the client is gone. */
	if (send(conn->fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) != length) {
		axvirtio_vsock_abort(conn);
		return;
	}
	axvirtio_vsock_enter_state(conn, VSOCK_OPEN);
	axvirtio_vsock_update(conn);
}

/* ---- the host's listeners -------------------------------------------------------------------- */

void axvirtio_vsock_connect(struct vsock_conn *conn)
{
	struct sockaddr_un address = conn->vsock->address;
	const size_t length = strlen(address.sun_path);
	int r;

	snprintf(address.sun_path + length, sizeof(address.sun_path) - length, "_%u",
		 conn->host_port);
	r = axvirtio_vsock_connect_to(conn->fd, &address);
	if (r == -EAGAIN) /* its backlog is full, and nothing tells when it is not */
		return;
	if (r < 0) {
		axvirtio_vsock_abort(conn);
		return;
	}
	axvirtio_vsock_enter_state(conn, VSOCK_OPEN);
	if (axvirtio_vsock_watch(conn) < 0)
		axvirtio_vsock_abort(conn);
	else
		axvirtio_vsock_post(conn, VSOCK_SEND_RESPONSE);
}

struct vsock_conn *axvirtio_vsock_begin_connect(struct vsock *vsock, uint32_t host_port,
						uint32_t guest_port)
{
	const int fd = vsock->conn_count < vsock->conn_max ? axvirtio_vsock_new_socket() : -1;
	struct vsock_conn *conn = fd >= 0 ? axvirtio_vsock_alloc(vsock, fd) : NULL;

	if (!conn) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	axvirtio_vsock_enter_table(conn, host_port, guest_port);
	axvirtio_vsock_enter_state(conn, VSOCK_CONNECTING);
	return conn;
}
