/*
 * The place of a listening Unix socket in the file system: made for its owner alone, put where an
 * earlier process left one behind, never where somebody listens or where there is anything else,
 * and removed at the end if it is still ours. Who connects is the owner's matter. Also the look at
 * such a place without changing anything there.
 */
#include <axvm/base.h>

#include <errno.h>
#include <fcntl.h>
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
		ax_error_set(err, AX_ERROR_DEVICE, code, "cannot make socket %s: %s", path,
			     strerror(code));
		return ax_error_hint(err, "check that its directory is one and that this user may "
					  "write there");
	}
}

static int set_address(struct sockaddr_un *address, const char *path, struct ax_error *err)
{
	const size_t length = strlen(path);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!length)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "a socket's path is empty");
	if (length >= sizeof(address->sun_path)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENAMETOOLONG,
			     "socket %s: a path of %zu bytes is too long, at most %zu", path,
			     length, sizeof(address->sun_path) - 1);
		return ax_error_hint(err, "choose a shorter one, or give it from the directory it "
					  "is in");
	}
	memcpy(address->sun_path, path, length);
	return 0;
}

int ax_listener_open(struct ax_listener *self, const char *path, int type, int backlog,
		     struct ax_error *err)
{
	struct sockaddr_un address;
	struct stat st;
	int rc;

	*self = (struct ax_listener){.fd = -1};
	rc = set_address(&address, path, err);
	if (rc)
		return rc;
	memcpy(self->path, address.sun_path, sizeof(self->path));
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

/* ---- looking --------------------------------------------------------------------------------- */

int ax_socket_probe(const char *path)
{
	struct sockaddr_un address;
	struct stat st;
	int fd, rc = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (set_address(&address, path, NULL))
		return -ENOENT;
	if (stat(path, &st) != 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	/* A datagram socket finds what it is to talk to before it is refused for its type, and
	 * where it is not refused the other side learns nothing. */
	fd = open_socket(SOCK_DGRAM);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 &&
	    errno != EPROTOTYPE && errno != EPERM /* it talks to another only */)
		rc = -errno;
	close(fd);
	return rc;
}

/* May a name be made in, or removed from, the directory that this path is in? */
static int check_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = ".";

	if (slash) {
		memcpy(directory, path, (size_t)(slash - path) + 1);
		directory[slash - path + 1] = '\0';
	}
	return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

int ax_listener_check(const char *path, struct ax_error *err)
{
	struct sockaddr_un address;
	struct stat st;
	int rc = set_address(&address, path, err);

	if (rc)
		return rc;
	if (lstat(path, &st) != 0) {
		rc = errno == ENOENT ? 0 : -errno;
	} else if (!S_ISSOCK(st.st_mode)) {
		rc = -EEXIST;
	} else {
		rc = ax_socket_probe(path);
		rc = !rc ? -EADDRINUSE : rc == -ECONNREFUSED || rc == -ENOENT ? 0 : rc;
	}
	if (!rc)
		rc = check_directory(path);
	return rc ? explain(err, path, -rc) : 0;
}
