/*
 * The way in: bytes are read, filtered for escape keys, and held in a small buffer until the
 * device has room. When the buffer is full nothing more is read and the descriptor is not even
 * watched, so that neither a hung guest nor a closed terminal makes the loop spin. The buffer is
 * what lets escape keys work while the guest does not listen.
 */
#include "chr_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

/* Reads from a file before other events of the loop get their turn. */
#define FILE_ROUNDS 16

/* How much of the buffer the device has taken. */
static size_t offer(struct axchr *chr)
{
	const struct axchr_device *device = &chr->device;
	const uint8_t *bytes = &chr->in_buffer[chr->in_start];
	size_t room;

	if (device->take)
		return device->take(device->dev, bytes, chr->in_count);
	room = device->can_receive ? device->can_receive(device->dev) : 0;
	if (room > chr->in_count)
		room = chr->in_count;
	if (room)
		device->receive(device->dev, bytes, room);
	return room;
}

static void give(struct axchr *chr)
{
	while (chr->in_count) {
		size_t count = offer(chr);

		if (!count) {
			/* Look once more after raising the flag: the guest may have made room in
			 * between, and who makes room later sees the flag. */
			if (!atomic_exchange(&chr->in_blocked, true))
				continue;
			return;
		}
		chr->in_start += count;
		chr->in_count -= count;
	}
	chr->in_start = 0;
	atomic_store(&chr->in_blocked, false);
}

static void end_input(struct axchr *chr, ssize_t result)
{
	if (axchr_is_socket(chr)) {
		axchr_socket_end_input(chr);
		return;
	}
	if (result < 0)
		ax_log(AX_LOG_WARN, CHR_LAYER, "console input ends: %s", strerror((int)-result));
	else
		ax_log(AX_LOG_DEBUG, CHR_LAYER, "console input ends");
	axchr_fd_close(&chr->in);
}

/* One read into the buffer. false: nothing more to be had now. */
static bool take(struct axchr *chr)
{
	uint8_t *free_space;
	size_t size;
	ssize_t n;

	if (chr->in_start) {
		memmove(chr->in_buffer, &chr->in_buffer[chr->in_start], chr->in_count);
		chr->in_start = 0;
	}
	free_space = &chr->in_buffer[chr->in_count];
	size = sizeof(chr->in_buffer) - chr->in_count;
	n = axchr_fd_read(&chr->in, free_space, size);
	if (n == -EAGAIN)
		return false;
	if (n <= 0) { /* end of file, or a terminal that hung up (EIO) */
		end_input(chr, n == -EIO ? 0 : n);
		return false;
	}
	size = (size_t)n;
	if (chr->config.input_filter) {
		size_t kept = chr->config.input_filter(chr->config.ctx, free_space, size);

		size = kept < size ? kept : size;
	}
	chr->in_count += size;
	return true;
}

static void on_readable(void *ctx, int fd, uint32_t events)
{
	struct axchr *chr = ctx;

	(void)fd;
	(void)events; /* a hang-up shows in the read */
	take(chr);
	axchr_pump(chr);
}

void axchr_pump(struct axchr *chr)
{
	give(chr);
	axchr_socket_settle(chr);
	if (chr->in.kind == CHR_FD_NONE || chr->socket.input_ended)
		return;
	if (chr->in.kind != CHR_FD_FILE) {
		int rc = 0;

		/* epoll reports a hang-up even without interest, so a full buffer unregisters. */
		if (chr->in_count == sizeof(chr->in_buffer))
			axchr_fd_unwatch(&chr->in);
		else
			rc = axchr_fd_watch(&chr->in, chr->loop, EPOLLIN, on_readable, chr);
		if (rc)
			end_input(chr, rc);
	}
	/* A file is always readable: go on while the device takes all of it, but not for ever. */
	for (int round = 0; chr->in.kind == CHR_FD_FILE && !chr->in_count; round++) {
		if (round == FILE_ROUNDS) {
			axchr_wake(chr);
			break;
		}
		if (!take(chr))
			break;
		give(chr);
	}
}

void axchr_resume_input(struct axchr *chr)
{
	if (atomic_load(&chr->in_blocked) && atomic_exchange(&chr->in_blocked, false))
		axchr_wake(chr);
}
