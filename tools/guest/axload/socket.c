/* Sockets of every family by one form of address (see axload.c). */
#include "axload.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <arpa/inet.h>

#include <linux/vm_sockets.h> /* some versions want sys/socket.h before */

union any {
	struct sockaddr base;
	struct sockaddr_in in;
	struct sockaddr_un un;
	struct sockaddr_vm vm;
};

/* parse: fills *ret; *ret_port is the port to ask a hybrid socket for, or NULL. */
static socklen_t parse(const char *address, union any *ret, const char **ret_port)
{
	char text[256];
	char *host, *port;

	snprintf(text, sizeof(text), "%s", address);
	memset(ret, 0, sizeof(*ret));
	*ret_port = NULL;
	host = strchr(text, ':');
	if (!host)
		fail("%s: want FAMILY:ADDRESS", address);
	*host++ = 0;
	port = strrchr(host, ':');
	if (!strcmp(text, "unix") || !strcmp(text, "hybrid")) {
		if (text[0] == 'h') {
			if (!port)
				fail("%s: want hybrid:PATH:PORT", address);
			*port = 0;
			*ret_port = strrchr(address, ':') + 1;
		}
		ret->un.sun_family = AF_UNIX;
		snprintf(ret->un.sun_path, sizeof(ret->un.sun_path), "%s", host);
		return sizeof(ret->un);
	}
	if (!port)
		fail("%s: no port", address);
	*port++ = 0;
	if (!strcmp(text, "vsock")) {
		ret->vm.svm_family = AF_VSOCK;
		ret->vm.svm_cid =
			strcmp(host, "any") ? (unsigned)strtoul(host, NULL, 10) : VMADDR_CID_ANY;
		ret->vm.svm_port = (unsigned)strtoul(port, NULL, 10);
		return sizeof(ret->vm);
	}
	ret->in.sin_family = AF_INET;
	ret->in.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (strcmp(text, "tcp") != 0 ||
	    inet_pton(AF_INET, strcmp(host, "any") ? host : "0.0.0.0", &ret->in.sin_addr) != 1)
		fail("%s: not an address", address);
	return sizeof(ret->in);
}

static void no_delay(int fd, const union any *any)
{
	const int one = 1;

	if (any->base.sa_family == AF_INET)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int connect_to(const char *address)
{
	const char *port;
	union any any;
	const socklen_t length = parse(address, &any, &port);
	const int fd = socket(any.base.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int tries = 50;

	if (fd < 0)
		fail("socket: %s", strerror(errno));
	/* The other side may still be starting. */
	while (connect(fd, &any.base, length) != 0) {
		if (--tries == 0)
			fail("connect %s: %s", address, strerror(errno));
		usleep(100000);
	}
	no_delay(fd, &any);
	if (port) {
		char line[64];
		size_t n = 0;

		dprintf(fd, "CONNECT %s\n", port);
		do {
			if (n + 1 >= sizeof(line) || read(fd, line + n, 1) != 1)
				fail("%s: the connection was refused", address);
		} while (line[n++] != '\n');
		if (strncmp(line, "OK ", 3) != 0)
			fail("%s: %.*s", address, (int)n - 1, line);
	}
	return fd;
}

int listen_at(const char *address)
{
	const char *port;
	const int one = 1;
	union any any;
	const socklen_t length = parse(address, &any, &port);
	const int fd = socket(any.base.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &any.base, length) != 0 || listen(fd, 64) != 0)
		fail("listen %s: %s", address, strerror(errno));
	return fd;
}
