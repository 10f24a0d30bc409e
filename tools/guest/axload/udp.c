/* Small datagrams, as fast as they go, and a counter of those that arrive. */
#include "axload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 32

static int count(const char *port)
{
	const struct sockaddr_in any = {.sin_family = AF_INET,
					.sin_port = htons((uint16_t)atoi(port))};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint64_t packets = 0, first = 0, last = 0;
	char packet[2048];

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0)
		fail("port %s: %s", port, strerror(errno));
	printf("axload counts\n");
	fflush(stdout);
	while (poll(&wait, 1, packets ? 1000 : -1) > 0) {
		while (recv(fd, packet, sizeof(packet), MSG_DONTWAIT) >= 0)
			packets++;
		last = now_ns();
		if (!first)
			first = last;
	}
	printf("axload udp-count packets %llu us %llu\n", (unsigned long long)packets,
	       (unsigned long long)((last - first) / 1000));
	return 0;
}

int axload_udp(int argc, char **argv)
{
	static char packet[1472];
	const uint64_t ops = number(argc, argv, "ops", 10000);
	struct iovec iov = {packet, number(argc, argv, "bytes", 64)};
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct mmsghdr batch[BATCH];
	struct span span;
	unsigned port;
	char host[64];

	if (!strcmp(argv[0], "udp-count"))
		return count(argv[1]);
	if (sscanf(argv[1], "tcp:%63[0-9.]:%u", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &to.sin_addr) != 1)
		fail("%s: want tcp:HOST:PORT", argv[1]);
	if (iov.iov_len > sizeof(packet))
		fail("bytes is at most %zu", sizeof(packet));
	to.sin_port = htons((uint16_t)port);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		fail("%s: %s", argv[1], strerror(errno));
	for (size_t i = 0; i < BATCH; i++)
		batch[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	span_begin(&span, "udp-send", argc, argv);
	for (uint64_t done = 0; done < ops;) {
		const uint64_t want = ops - done < BATCH ? ops - done : BATCH;
		const int n = sendmmsg(fd, batch, (unsigned)want, 0);

		if (n > 0)
			done += (uint64_t)n;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
			fail("send: %s", strerror(errno));
	}
	span_end(&span, ops);
	return 0;
}
