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
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG     128
#define PORT_SUFFIX "_4294967295"
#define PATH_MAX_BYTES \
	(sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(PORT_SUFFIX)) /* NUL included */

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int connect_to(int fd, const struct sockaddr_un *address)
{
	int r;

	do
		r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* ---- the listening socket -------------------------------------------------------------------- */

/* Remove what an earlier program has left behind; nothing else. */
static int clear_path(const struct vsock *vsock, struct ax_error *err)
{
	const char *path = vsock->address.sun_path;
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return 0; /* bind will say what is wrong, if anything is */
	if (!S_ISSOCK(st.st_mode))
		return ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
				    "%s: %s exists and is not a socket", vsock->name, path);
	fd = new_socket();
	r = fd < 0 ? -errno : connect_to(fd, &vsock->address);
	if (fd >= 0)
		close(fd);
	if (r == 0 || r == -EAGAIN) {
		ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EADDRINUSE,
			     "%s: somebody listens on %s already", vsock->name, path);
		return ax_error_hint(err, "give every VM a vsock path of its own");
	}
	if (r != -ECONNREFUSED || unlink(path) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, r != -ECONNREFUSED ? -r : errno,
				    "%s: cannot replace the socket %s: %s", vsock->name, path,
				    strerror(r != -ECONNREFUSED ? -r : errno));
	return 0;
}

static int bind_error(const struct vsock *vsock, struct ax_error *err)
{
	const char *path = vsock->address.sun_path;
	const int code = errno;

	ax_error_set(err, AX_ERROR_DEVICE, code, "%s: cannot listen on %s: %s", vsock->name, path,
		     strerror(code));
	if (code == ENOENT || code == ENOTDIR)
		return ax_error_hint(err, "the directory it shall be in has to exist");
	if (code == EADDRINUSE)
		return ax_error_hint(err, "another program has just made it");
	return -code;
}

int axvirtio_vsock_listen(struct vsock *vsock, const char *path, struct ax_error *err)
{
	const size_t length = path ? strlen(path) : 0;
	struct stat st;
	int r;

	if (!length)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: a vsock device needs the path of a socket", vsock->name);
	if (length >= PATH_MAX_BYTES) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENAMETOOLONG,
			     "%s: the socket path of %zu bytes is longer than %zu", vsock->name,
			     length, PATH_MAX_BYTES - 1);
		return ax_error_hint(err, "a socket's path has 107 bytes at most, and room must "
					  "be for " PORT_SUFFIX);
	}
	vsock->address.sun_family = AF_UNIX;
	memcpy(vsock->address.sun_path, path, length);
	r = clear_path(vsock, err);
	if (r < 0)
		return r;
	vsock->listen_fd = new_socket();
	if (vsock->listen_fd < 0)
		return bind_error(vsock, err);
	/* On Linux the file gets the mode of the socket: it is never open to others. */
	if (fchmod(vsock->listen_fd, 0600) < 0 ||
	    bind(vsock->listen_fd, (const struct sockaddr *)&vsock->address,
		 sizeof(vsock->address)) < 0)
		return bind_error(vsock, err);
	vsock->is_bound = true;
	if (lstat(path, &st) < 0 || listen(vsock->listen_fd, BACKLOG) < 0)
		return bind_error(vsock, err);
	vsock->file_device = st.st_dev;
	vsock->file_inode = st.st_ino;
	return 0;
}

void axvirtio_vsock_unlisten(struct vsock *vsock)
{
	struct stat st;

	if (vsock->listen_fd < 0)
		return;
	close(vsock->listen_fd);
	/* Somebody may have put another there. */
	if (vsock->is_bound && lstat(vsock->address.sun_path, &st) == 0 &&
	    st.st_dev == vsock->file_device && st.st_ino == vsock->file_inode)
		unlink(vsock->address.sun_path);
}

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
	r = connect_to(conn->fd, &address);
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
	const int fd = vsock->conn_count < vsock->conn_max ? new_socket() : -1;
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
