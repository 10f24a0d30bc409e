/*
 * File descriptors of a character backend. O_NONBLOCK belongs to the open file description, which
 * standard input and output usually share with the user's shell, so it is never set here: a pipe
 * or terminal is opened once more through /proc/self/fd for a description of our own, a socket is
 * asked per call, and what allows neither is polled before each small transfer.
 */
#include "chr_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Opening the master side by name makes another pair (pts(4)), so it cannot be reopened. */
static bool is_pty_master(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(5, 2);
}

static int reopen(int fd, bool for_write)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (for_write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void axchr_fd_open(struct chr_fd *self, int fd, bool for_write)
{
	struct stat st;
	int flags;

	*self = (struct chr_fd){.kind = CHR_FD_NONE, .fd = -1};
	if (fd < 0)
		return;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) != 0) {
		ax_log(AX_LOG_WARN, CHR_LAYER, "console %s: fd %d is not open",
		       for_write ? "output" : "input", fd);
		return;
	}
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		self->kind = CHR_FD_FILE;
	} else if (S_ISSOCK(st.st_mode)) {
		self->kind = CHR_FD_SOCKET;
	} else if (flags & O_NONBLOCK) {
		self->kind = CHR_FD_NONBLOCK;
	} else {
		self->kind = CHR_FD_SHARED;
		/* A pipe polls writable when a page is free (pipe(7)), a terminal when a byte is.
		 */
		self->write_max = S_ISFIFO(st.st_mode) ? PIPE_BUF : 1;
		if (S_ISFIFO(st.st_mode) || (isatty(fd) && !is_pty_master(&st)))
			self->fd = reopen(fd, for_write);
		if (self->fd >= 0) {
			self->kind = CHR_FD_NONBLOCK;
			return;
		}
	}
	/* A number of our own: input and output may be one descriptor, and epoll takes each once.
	 */
	self->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (self->fd < 0) {
		ax_log(AX_LOG_WARN, CHR_LAYER, "console %s: fd %d cannot be duplicated",
		       for_write ? "output" : "input", fd);
		self->kind = CHR_FD_NONE;
	}
}

void axchr_fd_close(struct chr_fd *self)
{
	axchr_fd_unwatch(self);
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
	self->kind = CHR_FD_NONE;
}

static bool ready(const struct chr_fd *self, short events)
{
	struct pollfd pfd = {.fd = self->fd, .events = events};

	return poll(&pfd, 1, 0) > 0;
}

ssize_t axchr_fd_write(const struct chr_fd *self, const uint8_t *bytes, size_t count)
{
	ssize_t n;

	if (self->kind == CHR_FD_SHARED) {
		if (!ready(self, POLLOUT))
			return -EAGAIN;
		if (count > self->write_max)
			count = self->write_max;
	}
	do {
		n = self->kind == CHR_FD_SOCKET
			    ? send(self->fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL)
			    : write(self->fd, bytes, count);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t axchr_fd_read(const struct chr_fd *self, uint8_t *bytes, size_t count)
{
	ssize_t n;

	if (self->kind == CHR_FD_SHARED && !ready(self, POLLIN))
		return -EAGAIN;
	do {
		n = self->kind == CHR_FD_SOCKET ? recv(self->fd, bytes, count, MSG_DONTWAIT)
						: read(self->fd, bytes, count);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int axchr_fd_watch(struct chr_fd *self, struct ax_loop *loop, uint32_t events, ax_event_fn *fn,
		   void *ctx)
{
	int rc;

	if (self->event || self->kind == CHR_FD_FILE)
		return 0;
	rc = ax_loop_add_fd(loop, self->fd, events, fn, ctx, &self->event, NULL);
	if (rc == -EPERM) { /* epoll_ctl(2): this file has no readiness, it never blocks */
		self->kind = CHR_FD_FILE;
		return 0;
	}
	return rc;
}

void axchr_fd_unwatch(struct chr_fd *self)
{
	ax_loop_remove(self->event);
	self->event = NULL;
}
