/*
 * The sockets of the host's side: the listening one, whose path must leave room for the ports of
 * those the guest connects to, and connecting.
 */
#include "vsock.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

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

int axvirtio_vsock_listen(struct vsock *vsock, const char *path, struct ax_error *err)
{
	const size_t length = path ? strlen(path) : 0;
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
	r = ax_listener_open(&vsock->listener, path, SOCK_STREAM, BACKLOG, err);
	if (r < 0)
		ax_error_context(err, "%s", vsock->name);
	return r;
}
