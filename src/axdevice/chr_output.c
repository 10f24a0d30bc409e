/*
 * The way out: a bounded ring that any thread fills under a short lock, and the loop's thread
 * empties into the descriptor. The loop is woken when there is something new that it has not been
 * told of, not per byte; while it waits for a full pipe it is not woken at all (except for a tap,
 * which wants every byte in time even when the terminal is stuck).
 */
#include "chr_priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

/* How much one round of draining may move before other events of the loop get their turn. */
#define DRAIN_ROUND_BYTES (2 * CHR_RING_BYTES)

/* Bytes from position `from` to `to` that lie in one piece. */
static size_t contiguous(uint32_t from, uint32_t to)
{
	uint32_t to_end = CHR_RING_BYTES - from % CHR_RING_BYTES;

	return to - from < to_end ? to - from : to_end;
}

size_t axchr_send(struct axchr *chr, const uint8_t *bytes, size_t count)
{
	bool tell;

	if (!count)
		return 0;
	pthread_mutex_lock(&chr->lock);
	uint32_t room = CHR_RING_BYTES - (chr->filled - chr->sent);
	uint32_t taken = count < room ? (uint32_t)count : room;

	if (taken < count)
		chr->fell_short = true;
	for (uint32_t left = taken; left;) {
		uint32_t piece = (uint32_t)contiguous(chr->filled, chr->filled + left);

		memcpy(&chr->ring[chr->filled % CHR_RING_BYTES], bytes, piece);
		chr->filled += piece;
		bytes += piece;
		left -= piece;
	}
	tell = taken && !chr->wake_due;
	if (tell)
		chr->wake_due = true;
	pthread_mutex_unlock(&chr->lock);
	if (tell)
		axchr_wake(chr);
	return taken;
}

static void log_loss(struct axchr *chr, int rc, const char *what)
{
	if (chr->out_loss_logged)
		return;
	chr->out_loss_logged = true;
	ax_log(AX_LOG_WARN, CHR_LAYER, "console output: %s; %s", strerror(-rc), what);
}

/*
 * Hand the descriptor what it takes of the bytes sent..tapped. Returns how many are done with
 * (written or discarded), 0 when the descriptor is full.
 */
static size_t write_out(struct axchr *chr, uint32_t sent, uint32_t end)
{
	size_t count = contiguous(sent, end);
	ssize_t n;

	if (chr->out.kind == CHR_FD_NONE)
		return end - sent;
	n = axchr_fd_write(&chr->out, &chr->ring[sent % CHR_RING_BYTES], count);
	if (n >= 0)
		return (size_t)n;
	switch (n) {
	case -EAGAIN:
		return 0;
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG: /* room may come back: lose these bytes, try the next ones */
		log_loss(chr, (int)n, "bytes are lost until there is room");
		return count;
	default: /* EPIPE, EIO, ...: nobody reads any more; the guest must not notice */
		if (axchr_is_socket(chr))
			axchr_wake(chr); /* perhaps it has left: see when this round is over */
		else
			log_loss(chr, (int)n, "further output is discarded");
		axchr_fd_close(&chr->out);
		return count;
	}
}

/* Show the tap what it has not seen. Returns the new `tapped`. */
static uint32_t feed_tap(struct axchr *chr, uint32_t tapped, uint32_t filled)
{
	while (tapped != filled) {
		size_t piece = contiguous(tapped, filled);

		if (chr->config.output_tap)
			chr->config.output_tap(chr->config.ctx, &chr->ring[tapped % CHR_RING_BYTES],
					       piece);
		tapped += (uint32_t)piece;
	}
	return tapped;
}

enum drain_end { DRAIN_EMPTY, DRAIN_BLOCKED, DRAIN_MORE };

static enum drain_end drain_some(struct axchr *chr)
{
	const bool has_tap = chr->config.output_tap != NULL;

	for (size_t moved = 0; moved < DRAIN_ROUND_BYTES;) {
		uint32_t filled, tapped, sent;
		bool room_owed, blocked;
		size_t done;

		pthread_mutex_lock(&chr->lock);
		filled = chr->filled;
		tapped = chr->tapped;
		sent = chr->sent;
		if (filled == sent)
			chr->wake_due = false; /* the next send tells us again */
		pthread_mutex_unlock(&chr->lock);
		if (filled == sent)
			return DRAIN_EMPTY;

		tapped = feed_tap(chr, tapped, filled);
		done = write_out(chr, sent, tapped);

		pthread_mutex_lock(&chr->lock);
		chr->tapped = tapped;
		chr->sent += (uint32_t)done;
		room_owed = done && chr->fell_short;
		if (room_owed)
			chr->fell_short = false;
		/* While the reader is stuck only a tap makes new bytes worth a wake-up. */
		blocked = !done && !(has_tap && chr->filled != tapped);
		if (blocked && has_tap)
			chr->wake_due = false;
		pthread_mutex_unlock(&chr->lock);

		if (room_owed && chr->device.can_send)
			chr->device.can_send(chr->device.dev);
		if (blocked)
			return DRAIN_BLOCKED;
		moved += done;
	}
	return DRAIN_MORE;
}

static void on_writable(void *ctx, int fd, uint32_t events)
{
	(void)fd;
	(void)events; /* an error shows in the write */
	axchr_drain(ctx);
}

void axchr_drain(struct axchr *chr)
{
	int rc;

	switch (drain_some(chr)) {
	case DRAIN_EMPTY:
		axchr_fd_unwatch(&chr->out);
		break;
	case DRAIN_MORE:
		axchr_wake(chr);
		break;
	case DRAIN_BLOCKED:
		rc = axchr_fd_watch(&chr->out, chr->loop, EPOLLOUT, on_writable, chr);
		if (!rc && chr->out.event)
			break;
		/* No way to learn when it takes bytes again: never block the guest on it. */
		log_loss(chr, rc ? rc : -EIO, "further output is discarded");
		axchr_fd_close(&chr->out);
		axchr_wake(chr);
		break;
	}
}

void axchr_flush(struct axchr *chr, unsigned timeout_ms)
{
	uint64_t deadline_ns = ax_clock_ns() + timeout_ms * 1000000ULL;

	for (;;) {
		enum drain_end end = drain_some(chr);
		uint64_t now_ns = ax_clock_ns();
		struct pollfd pfd = {.fd = chr->out.fd, .events = POLLOUT};

		if (end == DRAIN_EMPTY || now_ns >= deadline_ns)
			return;
		if (end == DRAIN_BLOCKED)
			poll(&pfd, 1, (int)((deadline_ns - now_ns + 999999) / 1000000));
	}
}
