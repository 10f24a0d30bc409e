/*
 * The epoll engine of the event loop: it waits with epoll, and performs operations one after the
 * other with plain system calls at the end of the round that began them. It is also what every loop
 * is registered with while it does not run, and what refuses fds that cannot be waited for.
 */
#include "loop_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 64
#define NS_PER_SECOND   1000000000ULL
#define NS_PER_MS       1000000ULL

/* epoll reports errors and hang-ups whatever it was asked for, so sleep means out of it. */
static int epoll_watch(struct ax_event *event)
{
	struct epoll_event interest = {.events = event->events, .data.ptr = event};
	int how = event->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (!event->events) {
		if (!event->in_epoll)
			return 0;
		how = EPOLL_CTL_DEL;
	}
	if (epoll_ctl(event->loop->epoll_fd, how, event->fd, &interest) != 0)
		return -errno;
	event->in_epoll = event->events != 0;
	return 0;
}

static void epoll_unwatch(struct ax_event *event)
{
	if (event->in_epoll)
		epoll_ctl(event->loop->epoll_fd, EPOLL_CTL_DEL, event->fd, NULL);
	event->in_epoll = false;
}

static ssize_t perform(const struct ax_op *op)
{
	const int count = (int)op->count;
	const off_t offset = op->offset == AX_OP_NO_OFFSET ? -1 : (off_t)op->offset;

	switch (op->kind) {
	case AX_OP_READV:
		return preadv2(op->fd, op->iov, count, offset, (int)op->flags);
	case AX_OP_WRITEV:
		return pwritev2(op->fd, op->iov, count, offset, (int)op->flags);
	case AX_OP_FDATASYNC:
		return fdatasync(op->fd);
	case AX_OP_FALLOCATE:
		return fallocate(op->fd, (int)op->flags, (off_t)op->offset, (off_t)op->length);
	default:
		errno = EINVAL;
		return -1;
	}
}

int32_t ax_loop_perform(struct ax_loop *loop, const struct ax_op *op)
{
	const bool reads_stream = op->kind == AX_OP_READV && op->offset == AX_OP_NO_OFFSET;
	ssize_t n;

	/* Reads come in batches, and what is behind the first without an answer has none either. */
	if (reads_stream && op->fd == loop->dry_fd)
		return -EAGAIN;
	do {
		n = perform(op);
		ax_counter_add(&loop->syscalls, 1);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (int32_t)n;
	if (reads_stream && errno == EAGAIN)
		loop->dry_fd = op->fd;
	return -errno;
}

/* Those begun so far; what their callbacks begin waits for the next turn. */
static bool run_ops(struct ax_loop *loop)
{
	struct ax_op *op = loop->ops;
	bool any = op != NULL;

	loop->ops = NULL;
	loop->ops_tail = &loop->ops;
	while (op) {
		struct ax_op *next = op->next;
		const int32_t result = ax_loop_perform(loop, op);

		ax_counter_add(&loop->ops_done, 1);
		op->fn(op, result);
		op = next;
	}
	return any;
}

static int wait_for(struct ax_loop *loop, struct epoll_event *batch, uint64_t timeout_ns)
{
	const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_SECOND),
					 .tv_nsec = (long)(timeout_ns % NS_PER_SECOND)};
	int n;

	ax_counter_add(&loop->syscalls, 1);
	if (timeout_ns == 0 || timeout_ns == AX_LOOP_FOREVER)
		return epoll_wait(loop->epoll_fd, batch, EVENTS_PER_WAIT, timeout_ns ? -1 : 0);
	n = epoll_pwait2(loop->epoll_fd, batch, EVENTS_PER_WAIT, &timeout, NULL);
	if (n >= 0 || (errno != ENOSYS && errno != EPERM))
		return n;
	/* Before Linux 5.11. Up, since a timer must not be early. */
	uint64_t ms = (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
	ax_counter_add(&loop->syscalls, 1);
	return epoll_wait(loop->epoll_fd, batch, EVENTS_PER_WAIT,
			  ms > INT32_MAX ? INT32_MAX : (int)ms);
}

/* The count is taken here; an eventfd that turned out empty was a false alarm. */
static void deliver(struct ax_loop *loop, const struct epoll_event *ready)
{
	struct ax_event *event = ready->data.ptr;
	uint64_t count;

	if (event->removed)
		return;
	if (event->kind != AX_EVENT_FD) {
		ax_counter_add(&loop->syscalls, 1);
		if (read(event->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
			return;
	}
	ax_loop_dispatch(event, ready->events);
}

static int epoll_round(struct ax_loop *loop, uint64_t timeout_ns, bool *ret_any)
{
	struct epoll_event batch[EVENTS_PER_WAIT];
	int n = wait_for(loop, batch, loop->ops ? 0 : timeout_ns);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	ax_counter_add(&loop->wakeups, 1);
	for (int i = 0; i < n && ax_loop_may_call(loop); i++) {
		deliver(loop, &batch[i]);
		*ret_any = true;
	}
	*ret_any |= ax_loop_run_timers(loop);
	*ret_any |= run_ops(loop);
	return 0;
}

const struct ax_loop_methods ax_loop_epoll = {
	.name = "epoll",
	.watch = epoll_watch,
	.unwatch = epoll_unwatch,
	.round = epoll_round,
	.drain = run_ops,
};
