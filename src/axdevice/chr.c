/*
 * The character backend as an object: creation, binding to a device, and the one eventfd by which
 * other threads reach the loop's thread. Bytes out are chr_output.c, bytes in chr_input.c.
 */
#include "chr_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void axchr_wake(struct axchr *chr)
{
	uint64_t one = 1;
	ssize_t n = write(chr->wake_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: the counter is full, the loop has been told 2^64 times */
	atomic_fetch_add_explicit(&chr->wakeups, 1, memory_order_relaxed);
}

uint64_t axchr_wakeups(const struct axchr *chr)
{
	return atomic_load_explicit(&chr->wakeups, memory_order_relaxed);
}

static void on_wake(void *ctx, int fd, uint32_t events)
{
	struct axchr *chr = ctx;
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	(void)n;
	(void)events;
	axchr_drain(chr);
	axchr_pump(chr);
}

int axchr_create(const struct axchr_config *config, struct ax_loop *loop, struct axchr **ret_chr,
		 struct ax_error *err)
{
	struct axchr *chr = calloc(1, sizeof(*chr));
	int rc;

	if (!chr)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a console");
	chr->config = *config;
	chr->config.socket_path = NULL; /* the caller's */
	chr->socket.listen.fd = -1;
	chr->loop = loop;
	pthread_mutex_init(&chr->lock, NULL);
	axchr_fd_open(&chr->in, config->in_fd, false);
	axchr_fd_open(&chr->out, config->out_fd, true);

	chr->ring = malloc(CHR_RING_BYTES);
	if (!chr->ring) {
		chr->wake_fd = -1;
		rc = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for console output");
		goto fail;
	}
	chr->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (chr->wake_fd < 0) {
		rc = ax_error_set(err, AX_ERROR_IO, errno, "cannot make an eventfd: %s",
				  strerror(errno));
		goto fail;
	}
	rc = ax_loop_add_fd(loop, chr->wake_fd, EPOLLIN, on_wake, chr, &chr->wake_event, err);
	if (!rc && config->socket_path)
		rc = axchr_socket_open(chr, config->socket_path, err);
	if (rc)
		goto fail;
	*ret_chr = chr;
	return 0;

fail:
	axchr_destroy(chr);
	return rc;
}

void axchr_destroy(struct axchr *chr)
{
	if (!chr)
		return;
	axchr_socket_close(chr);
	axchr_fd_close(&chr->in);
	axchr_fd_close(&chr->out);
	ax_loop_remove(chr->wake_event);
	if (chr->wake_fd >= 0)
		close(chr->wake_fd);
	free(chr->ring);
	pthread_mutex_destroy(&chr->lock);
	free(chr);
}

/* On the loop's thread or while it does not run, as everything that changes what the loop sees. */
void axchr_bind(struct axchr *chr, const struct axchr_device *device)
{
	static const struct axchr_device nobody;

	assert(!device || (!chr->device.receive && !chr->device.take)); /* one device a console */
	chr->device = device ? *device : nobody;
	/* Input starts with the first turn of the loop. */
	axchr_wake(chr);
}

struct ax_loop *axchr_loop(const struct axchr *chr)
{
	return chr->loop;
}

bool axchr_is_open(const struct axchr *chr)
{
	return !axchr_is_socket(chr) || chr->socket.connected;
}
