/*
 * A character backend on a Unix socket: one client at a time, whose connection is the backend's
 * input and output as long as it lasts. The next one waits in the listen queue, so that nothing
 * the first has sent is lost when it leaves before the device has taken it. Without a client,
 * output has no descriptor and is discarded, as everywhere.
 */
#include "chr_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG  4
#define RETRY_NS 1000000000ULL

static void told(struct axchr *chr)
{
	if (chr->device.open_changed)
		chr->device.open_changed(chr->device.dev);
}

/* Level-triggered, so a listen queue that cannot be emptied must not be looked at for a while. */
static void later(struct axchr *chr, int code)
{
	ax_log(AX_LOG_WARN, CHR_LAYER, "socket %s: cannot accept a client: %s",
	       chr->socket.listen.path, strerror(code));
	ax_loop_modify_fd(chr->socket.event, 0);
	ax_loop_set_timer(chr->socket.retry, RETRY_NS, 0);
}

static void on_client(void *ctx, int listen_fd, uint32_t events)
{
	struct axchr *chr = ctx;
	int fd;

	(void)events;
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			later(chr, errno);
		return;
	}
	axchr_drain(chr); /* what was sent before belongs to nobody */
	axchr_fd_open(&chr->in, fd, false);
	axchr_fd_open(&chr->out, fd, true);
	close(fd);
	if (chr->in.kind == CHR_FD_NONE || chr->out.kind == CHR_FD_NONE) {
		axchr_fd_close(&chr->in);
		axchr_fd_close(&chr->out);
		later(chr, EMFILE);
		return;
	}
	ax_loop_modify_fd(chr->socket.event, 0);
	chr->socket.connected = true;
	chr->socket.input_ended = false;
	told(chr);
	axchr_pump(chr);
}

static void on_retry(void *ctx, int fd, uint32_t events)
{
	struct axchr *chr = ctx;

	(void)fd;
	(void)events;
	ax_loop_modify_fd(chr->socket.event, EPOLLIN);
}

static void on_hangup(void *ctx, int fd, uint32_t events)
{
	struct axchr *chr = ctx;

	(void)fd;
	if (!(events & (EPOLLHUP | EPOLLERR)))
		return;
	ax_loop_remove(chr->socket.hangup);
	chr->socket.hangup = NULL;
	axchr_fd_close(&chr->out);
	axchr_drain(chr);
	axchr_socket_settle(chr);
}

void axchr_socket_end_input(struct axchr *chr)
{
	axchr_fd_unwatch(&chr->in);
	chr->socket.input_ended = true;
	/* Hang-ups are reported with any interest; urgent data a Unix socket does not have. */
	if (ax_loop_add_fd(chr->loop, chr->in.fd, EPOLLPRI, on_hangup, chr, &chr->socket.hangup,
			   NULL) < 0)
		axchr_fd_close(&chr->out);
}

void axchr_socket_settle(struct axchr *chr)
{
	struct chr_socket *self = &chr->socket;

	if (!self->connected || !self->input_ended || chr->in_count || chr->out.kind != CHR_FD_NONE)
		return;
	ax_loop_remove(self->hangup);
	self->hangup = NULL;
	axchr_fd_close(&chr->in);
	self->connected = false;
	self->input_ended = false;
	told(chr);
	ax_loop_modify_fd(self->event, EPOLLIN);
}

int axchr_socket_open(struct axchr *chr, const char *path, struct ax_error *err)
{
	struct chr_socket *self = &chr->socket;
	int rc = ax_listener_open(&self->listen, path, SOCK_STREAM, BACKLOG, err);

	if (!rc)
		rc = ax_loop_add_fd(chr->loop, self->listen.fd, EPOLLIN, on_client, chr,
				    &self->event, err);
	if (!rc)
		rc = ax_loop_add_timer(chr->loop, AX_TIMER_OFF, 0, on_retry, chr, &self->retry,
				       err);
	return rc; /* axchr_destroy ends a half-made one */
}

void axchr_socket_close(struct axchr *chr)
{
	struct chr_socket *self = &chr->socket;

	ax_loop_remove(self->hangup);
	ax_loop_remove(self->retry);
	ax_loop_remove(self->event);
	ax_listener_close(&self->listen);
}
