/*
 * The place of a listening Unix socket in the file system: made for its owner alone, put where an
 * earlier process left one behind, never where somebody listens or where there is anything else,
 * and removed at the end if it is still ours. Who connects is the owner's matter.
 */
#include <axvm/base.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int open_socket(int type)
{
	return socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Free the address of a socket that nobody listens on. 0, or a negative errno. */
static int remove_stale(const struct sockaddr_un *address, int type)
{
	struct stat st;
	int fd, rc = 0;

	if (lstat(address->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = open_socket(type);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		rc = -EADDRINUSE; /* EAGAIN: its backlog is full */
	else if (errno != ECONNREFUSED && errno != ENOENT)
		rc = -errno;
	close(fd);
	if (!rc && unlink(address->sun_path) != 0 && errno != ENOENT)
		rc = -errno;
	return rc;
}

static int put(int fd, const struct sockaddr_un *address, int type)
{
	int rc;

	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	rc = remove_stale(address, type);
	if (!rc && bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		rc = -errno;
	return rc;
}

static int explain(struct ax_error *err, const char *path, int code)
{
	switch (code) {
	case EADDRINUSE:
		ax_error_set(err, AX_ERROR_ALREADY_EXISTS, code,
			     "socket %s: somebody listens there", path);
		return ax_error_hint(err, "another process has this path; choose another one");
	case EEXIST:
		ax_error_set(err, AX_ERROR_ALREADY_EXISTS, code,
			     "socket %s: there is something else of that name", path);
		return ax_error_hint(err, "only a socket that nobody listens on is replaced");
	case ENOENT:
		ax_error_set(err, AX_ERROR_DEVICE, code, "socket %s: its directory does not exist",
			     path);
		return ax_error_hint(err, "make the directory first");
	default:
		return ax_error_set(err, AX_ERROR_DEVICE, code, "cannot make socket %s: %s", path,
				    strerror(code));
	}
}

int ax_listener_open(struct ax_listener *self, const char *path, int type, int backlog,
		     struct ax_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t length = strlen(path);
	struct stat st;
	int rc = 0;

	*self = (struct ax_listener){.fd = -1};
	if (!length)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "a socket's path is empty");
	if (length >= sizeof(address.sun_path))
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ENAMETOOLONG,
				    "socket %s: a path of %zu bytes is too long, at most %zu", path,
				    length, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, length);
	memcpy(self->path, path, length);
	self->fd = open_socket(type);
	/* Linux gives the name the mode that the socket has when it is bound, so there is no moment
	 * at which others could connect. */
	if (self->fd < 0 || fchmod(self->fd, 0600) != 0)
		rc = -errno;
	if (!rc)
		rc = put(self->fd, &address, type);
	if (!rc) {
		if (lstat(path, &st) == 0) {
			self->dev = st.st_dev;
			self->ino = st.st_ino;
		}
		if (listen(self->fd, backlog) != 0)
			rc = -errno;
	}
	if (rc) {
		ax_listener_close(self);
		return explain(err, path, -rc);
	}
	return 0;
}

void ax_listener_close(struct ax_listener *self)
{
	struct stat st;

	if (self->fd >= 0)
		close(self->fd);
	if (self->ino && lstat(self->path, &st) == 0 && st.st_dev == self->dev &&
	    st.st_ino == self->ino)
		unlink(self->path);
	*self = (struct ax_listener){.fd = -1};
}
