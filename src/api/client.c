/*
 * The asking end: a connection to one VM's socket, a line sent, a line read, each with a limit of
 * time and of size, because who listens there may be anybody.
 */
#include "private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536

struct axapi_client {
	int fd;
	char path[108];
	bool is_asked; /* and has not answered all of it yet */
	char *text;    /* what has come, of which `used` bytes are good */
	size_t used, room;
};

static int fail(const struct axapi_client *self, int code, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_IO, code, "cannot talk to the VM at %s: %s", self->path,
		     code == ETIMEDOUT ? "it does not answer" : strerror(code));
	if (code == EACCES || code == EPERM)
		ax_error_hint(err, "it is another user's; ask as that user or as root");
	else if (code == ECONNREFUSED || code == ENOENT)
		ax_error_hint(err, "it has ended; `axvm top` lists those that run");
	else if (code == EPIPE || code == ECONNRESET)
		ax_error_hint(err, "it has ended, or is asked by too many at once");
	else if (code == ETIMEDOUT)
		ax_error_hint(
			err,
			"it may be building its VM, or be stopped, or have too little CPU time");
	return -code;
}

/* 0, -ETIMEDOUT, or what poll(2) gives. */
static int wait_for_more(const struct axapi_client *self, uint64_t end_ns)
{
	struct pollfd pollfd = {.fd = self->fd, .events = POLLIN};

	for (;;) {
		const uint64_t now = ax_clock_ns();
		int rc;

		if (now >= end_ns)
			return -ETIMEDOUT;
		rc = poll(&pollfd, 1, (int)((end_ns - now) / 1000000) + 1);
		if (rc > 0)
			return 0;
		if (rc < 0 && errno != EINTR)
			return -errno;
	}
}

static uint64_t end_of(uint32_t timeout_ms)
{
	return ax_clock_ns() + (uint64_t)timeout_ms * 1000000;
}

static int open_connection(struct axapi_client *self, uint32_t timeout_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const uint64_t end_ns = end_of(timeout_ms);

	memcpy(address.sun_path, self->path, sizeof(self->path));
	self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (self->fd < 0)
		return -errno;
	/* EAGAIN: the queue of those who wait to be accepted is full, and cannot be polled for. */
	while (connect(self->fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (ax_clock_ns() >= end_ns)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	return 0;
}

int axapi_connect(const char *path, uint32_t timeout_ms, struct axapi_client **ret_client,
		  struct ax_error *err)
{
	struct axapi_client *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a connection");
	self->fd = -1;
	if (strlen(path) >= sizeof(self->path)) {
		rc = -ENAMETOOLONG;
	} else {
		memcpy(self->path, path, strlen(path) + 1);
		rc = open_connection(self, timeout_ms);
	}
	if (rc) {
		rc = fail(self, -rc, err);
		axapi_disconnect(self);
		return rc;
	}
	*ret_client = self;
	return 0;
}

pid_t axapi_peer(const struct axapi_client *client, uid_t *ret_uid)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		peer = (struct ucred){.uid = (uid_t)-1};
	*ret_uid = peer.uid;
	return peer.pid;
}

/* What a process that we know as `pid` calls itself, which is another number in another pid
 * namespace: the last of them. 0: that cannot be seen. */
static pid_t own_pid(pid_t pid)
{
	char path[32], status[2048], *line, *last; /* that line is one of the first */
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	AX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, status, sizeof(status) - 1);
	status[length < 0 ? 0 : length] = '\0';
	line = strstr(status, "\nNSpid:");
	if (!line)
		return 0;
	line[1 + strcspn(line + 1, "\n")] = '\0';
	last = strrchr(line, '\t');
	return last ? (pid_t)strtol(last, NULL, 10) : 0;
}

int axapi_check_peer(const struct axapi_client *client, const struct axapi_vm *vm,
		     struct ax_error *err)
{
	uid_t uid;
	const pid_t pid = axapi_peer(client, &uid), own = pid ? own_pid(pid) : 0;

	if (uid != vm->uid)
		ax_error_set(err, AX_ERROR_IO, EPERM, "%s is user %u's, and user %u listens there",
			     vm->path, (unsigned)vm->uid, (unsigned)uid);
	else if (own && own != vm->pid)
		ax_error_set(err, AX_ERROR_IO, EPERM,
			     "%s is not of process %d, which listens there", vm->path, (int)pid);
	else
		return 0;
	return ax_error_hint(err, "that is no VM; see who put it there");
}

void axapi_disconnect(struct axapi_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	free(client->text);
	free(client);
}

int axapi_fd(const struct axapi_client *client)
{
	return client->fd;
}

/* There is room for a line, but with somebody who answers and does not read. */
static int ask(struct axapi_client *self)
{
	static const char line[] = "{\"get\":\"stats\"}\n";
	const ssize_t sent = send(self->fd, line, sizeof(line) - 1, MSG_NOSIGNAL);

	if (sent != (ssize_t)sizeof(line) - 1)
		return sent < 0 && errno != EAGAIN ? -errno : -EPROTO;
	self->is_asked = true;
	self->used = 0;
	return 0;
}

static int make_room(struct axapi_client *self)
{
	char *more;

	if (self->room - self->used >= CHUNK)
		return 0;
	if (self->used > AXAPI_MAX_ANSWER)
		return -EMSGSIZE;
	more = realloc(self->text, self->room * 2 + CHUNK);
	if (!more)
		return -ENOMEM;
	self->text = more;
	self->room = self->room * 2 + CHUNK;
	return 0;
}

/* One line and nothing after it: we have asked once. */
static int read_line(struct axapi_client *self, uint64_t end_ns, size_t *ret_length)
{
	for (;;) {
		ssize_t got;
		int rc = make_room(self);

		if (rc)
			return rc;
		got = recv(self->fd, self->text + self->used, CHUNK, 0);
		if (got > 0) {
			const char *end = memchr(self->text + self->used, '\n', (size_t)got);

			self->used += (size_t)got;
			if (end) {
				*ret_length = (size_t)(end - self->text);
				return *ret_length + 1 == self->used ? 0 : -EPROTO;
			}
			continue;
		}
		if (got == 0)
			return -ECONNRESET;
		if (errno == EINTR)
			continue;
		rc = errno == EAGAIN ? wait_for_more(self, end_ns) : -errno;
		if (rc)
			return rc;
	}
}

int axapi_get_stats(struct axapi_client *client, uint32_t timeout_ms, struct axvm_live **ret_live,
		    struct ax_error *err)
{
	size_t length = 0;
	int rc = client->is_asked ? 0 : ask(client);

	if (!rc)
		rc = read_line(client, end_of(timeout_ms), &length);
	if (rc)
		return fail(client, -rc, err);
	client->is_asked = false;
	return axapi_stats_from_text(client->text, length, ret_live, err);
}
