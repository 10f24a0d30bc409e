/*
 * The listening socket's file: made private to its owner, replaced when it is a dead program's, and
 * removed if it is still ours. Nothing that is not a dead socket is ever removed.
 */
#include "vsock.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG     128
#define PORT_SUFFIX "_4294967295"
/* Both counts include an end, of which there is one. */
#define PATH_MAX_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(PORT_SUFFIX))

int axvirtio_vsock_new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int axvirtio_vsock_connect_to(int fd, const struct sockaddr_un *address)
{
	int r;

	do
		r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

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
	fd = axvirtio_vsock_new_socket();
	r = fd < 0 ? -errno : axvirtio_vsock_connect_to(fd, &vsock->address);
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
	if (length > PATH_MAX_BYTES) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENAMETOOLONG,
			     "%s: the socket path of %zu bytes is longer than %zu", vsock->name,
			     length, PATH_MAX_BYTES);
		return ax_error_hint(err, "a socket's path has 107 bytes at most, and room must "
					  "be for " PORT_SUFFIX);
	}
	vsock->address.sun_family = AF_UNIX;
	memcpy(vsock->address.sun_path, path, length);
	r = clear_path(vsock, err);
	if (r < 0)
		return r;
	vsock->listen_fd = axvirtio_vsock_new_socket();
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
