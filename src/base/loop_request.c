/*
 * The requests in a ring: operations, and one for each event that is awake - a poll, or for an
 * eventfd the read itself. They are one shot and go with the next submission again, which makes
 * them level-triggered and costs no system call. user_data is the event or the operation (OP), or
 * 0.
 */
#include "loop_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define OP 1ULL /* in user_data: pointers leave the lowest bit free */

/* ThreadSanitizer sees who writes an eventfd and who reads it, but not a read by the ring. This one
 * reads nothing and tells it all the same. */
#ifdef LOOP_TSAN
#define TELL_TSAN(fd) ((void)!readv(fd, NULL, 0))
#else
#define TELL_TSAN(fd) ((void)(fd))
#endif

static uint64_t tag(const void *ptr, uint64_t bits)
{
	return (uint64_t)(uintptr_t)ptr | bits;
}

/* NULL when the queue is full and the kernel takes nothing at the moment. */
static struct io_uring_sqe *next_sqe(struct ax_loop *loop)
{
	struct io_uring *uring = &loop->ring->uring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(uring);

	if (!sqe) {
		ax_counter_add(&loop->syscalls, 1);
		if (io_uring_submit(uring) <= 0)
			return NULL;
		sqe = io_uring_get_sqe(uring);
	}
	if (sqe)
		loop->ring->unanswered++;
	return sqe;
}

/* ---- operations ------------------------------------------------------------------------------ */

void ax_ring_forget(struct ax_loop *loop, unsigned slot)
{
	static const int none = -1;
	struct ax_ring *ring = loop->ring;

	ring->plain[slot] = false;
	if (!ring->fixed[slot])
		return;
	ring->fixed[slot] = false;
	ax_counter_add(&loop->syscalls, 1);
	io_uring_register_files_update(&ring->uring, slot, &none, 1);
}

/* On first use. The slot, or -1. */
static int fixed_slot(struct ax_loop *loop, int fd)
{
	struct ax_ring *ring = loop->ring;
	int slot = 0;

	while (slot < AX_LOOP_KEPT && loop->kept[slot] != fd)
		slot++;
	if (slot == AX_LOOP_KEPT || ring->no_files)
		return -1;
	if (ring->fixed[slot])
		return slot;
	ax_counter_add(&loop->syscalls, 1);
	if (!ring->has_files) {
		ring->has_files =
			io_uring_register_files(&ring->uring, loop->kept, AX_LOOP_KEPT) == 0;
		ring->no_files = !ring->has_files;
		for (int i = 0; i < AX_LOOP_KEPT; i++)
			ring->fixed[i] = ring->has_files && loop->kept[i] >= 0;
	} else {
		ring->fixed[slot] =
			io_uring_register_files_update(&ring->uring, (unsigned)slot, &fd, 1) == 1;
	}
	return ring->fixed[slot] ? slot : -1;
}

/* What has no offset must answer -EAGAIN rather than wait. O_NONBLOCK does not say that to a ring:
 * it would wait all the same, or (before 6.4, for a tap) answer so even when there is something. */
static int rw_flags(const struct ax_op *op)
{
	return (int)op->flags | (op->offset == AX_OP_NO_OFFSET ? RWF_NOWAIT : 0);
}

static void prepare(struct io_uring_sqe *sqe, const struct ax_op *op, int fd)
{
	switch (op->kind) {
	case AX_OP_READV:
		io_uring_prep_readv2(sqe, fd, op->iov, op->count, op->offset, rw_flags(op));
		break;
	case AX_OP_WRITEV:
		io_uring_prep_writev2(sqe, fd, op->iov, op->count, op->offset, rw_flags(op));
		break;
	case AX_OP_FDATASYNC:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, NULL, op->flags, op->offset);
		sqe->addr = op->length;
		break;
	}
}

/* No more than the completion queue has room for, so that it does not overflow: the kernel would
 * lose nothing, but go a slow way. */
void ax_ring_submit_ops(struct ax_loop *loop)
{
	struct ax_ring *ring = loop->ring;

	while (loop->ops && ring->ops < ring->uring.cq.ring_entries) {
		struct ax_op *op = loop->ops;
		const int slot = fixed_slot(loop, op->fd);
		struct io_uring_sqe *sqe = next_sqe(loop);

		if (!sqe)
			return;
		loop->ops = op->next;
		if (!loop->ops)
			loop->ops_tail = &loop->ops;
		ring->ops++;
		prepare(sqe, op, slot < 0 ? op->fd : slot);
		if (slot >= 0)
			sqe->flags |= IOSQE_FIXED_FILE;
		sqe->user_data = tag(op, OP);
	}
}

static void complete_op(struct ax_loop *loop, struct ax_op *op, int32_t result)
{
	loop->ring->ops--;
	if (result == -EINTR) {
		ax_loop_begin(loop, op);
		return;
	}
	/* Files without RWF_NOWAIT are those that a non-blocking system call is the best for. */
	if (result == -EOPNOTSUPP && op->kind <= AX_OP_WRITEV && op->offset == AX_OP_NO_OFFSET) {
		for (unsigned i = 0; i < AX_LOOP_KEPT; i++)
			loop->ring->plain[i] |= loop->kept[i] == op->fd;
		result = ax_loop_perform(loop, op);
	}
	ax_counter_add(&loop->ops_done, 1);
	op->fn(op, result);
}

/* ---- events ---------------------------------------------------------------------------------- */

int ax_ring_watch(struct ax_event *event)
{
	struct ax_ring *ring = event->loop->ring;

	if (!event->dirty) {
		event->dirty = true;
		event->next_dirty = ring->dirty;
		ring->dirty = event;
	}
	return 0;
}

static void arm(struct ax_event *event, struct io_uring_sqe *sqe)
{
	if (event->kind == AX_EVENT_FD)
		io_uring_prep_poll_add(sqe, event->fd, event->events);
	else
		io_uring_prep_poll_multishot(sqe, event->fd, EPOLLIN);
	sqe->user_data = tag(event, 0);
	event->armed = event->events;
	event->in_flight = true;
}

void ax_ring_cancel(struct ax_event *event)
{
	struct io_uring_sqe *sqe;

	if (!event->in_flight || event->cancelled)
		return;
	sqe = next_sqe(event->loop);
	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, tag(event, 0), 0);
	sqe->user_data = 0;
	event->cancelled = true;
}

void ax_ring_submit_events(struct ax_loop *loop)
{
	struct ax_ring *ring = loop->ring;

	while (ring->dirty) {
		struct ax_event *event = ring->dirty;

		if (event->in_flight) { /* it has asked for other events */
			if (event->events != event->armed)
				ax_ring_cancel(event);
		} else if (event->events) {
			struct io_uring_sqe *sqe = next_sqe(loop);

			if (!sqe)
				return;
			arm(event, sqe);
		}
		ring->dirty = event->next_dirty;
		event->dirty = false;
	}
}

void ax_ring_unwatch(struct ax_event *event)
{
	struct ax_loop *loop = event->loop;
	struct ax_event **link = &loop->ring->dirty;

	if (event->dirty) {
		while (*link != event)
			link = &(*link)->next_dirty;
		*link = event->next_dirty;
		event->dirty = false;
	}
	if (!event->in_flight)
		return;
	/* At once, so that nothing but its owner has the fd open after this. */
	ax_ring_cancel(event);
	ax_counter_add(&loop->syscalls, 1);
	io_uring_submit_and_get_events(&loop->ring->uring);
}

static void complete_event(struct ax_loop *loop, struct ax_event *event, int32_t result, bool more)
{
	event->in_flight = more;
	event->cancelled = event->cancelled && more;
	if (event->removed) {
		if (!more)
			free(event);
		return;
	}
	if (result < 0 && result != -ECANCELED && result != -ENOMEM && result != -EAGAIN) {
		/* Closed before it was removed, say. To try again would be to do nothing else. */
		ax_log(AX_LOG_WARN, "base", "fd %d is not waited for any more: %s", event->fd,
		       strerror(-result));
		event->events = 0;
		return;
	}
	if (!more)
		ax_ring_watch(event);
	if (result < 0 || !ax_loop_may_call(loop))
		return;
	if (event->kind == AX_EVENT_FD) {
		const uint32_t events = (uint32_t)result & (event->events | EPOLLERR | EPOLLHUP);

		if (event->events && events)
			ax_loop_dispatch(event, events);
	} else {
		TELL_TSAN(event->fd);
		ax_loop_dispatch(event, 0);
	}
}

void ax_ring_complete(struct ax_loop *loop, const struct io_uring_cqe *cqe)
{
	void *ptr = (void *)(uintptr_t)(cqe->user_data & ~OP);
	const bool more = cqe->flags & IORING_CQE_F_MORE;

	loop->ring->unanswered -= !more;
	if (cqe->user_data & OP)
		complete_op(loop, ptr, cqe->res);
	else if (ptr)
		complete_event(loop, ptr, cqe->res, more);
}
