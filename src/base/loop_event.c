/*
 * The events of a loop: fds, eventfds and timers, from add to remove. What waits for them is the
 * engine's, when a timer is due loop_timer.c's. It never closes an fd.
 */
#include "loop_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* A copy of `like` on the heap, in the list; NULL with err filled when there is no memory. */
static struct ax_event *new_event(const struct ax_event *like, struct ax_error *err)
{
	struct ax_loop *loop = like->loop;
	struct ax_event *event = malloc(sizeof(*event));

	if (!event) {
		ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an event");
		return NULL;
	}
	*event = *like;
	event->next = loop->live;
	if (loop->live)
		loop->live->prev = event;
	loop->live = event;
	return event;
}

static void unlink_event(struct ax_event *event)
{
	if (event->prev)
		event->prev->next = event->next;
	else
		event->loop->live = event->next;
	if (event->next)
		event->next->prev = event->prev;
}

/* What epoll refuses no engine can wait for. An fd has one event, asleep or not. */
static int check_fd(struct ax_loop *loop, int fd)
{
	struct ax_event trial = {.loop = loop, .fd = fd, .events = EPOLLIN};

	for (const struct ax_event *event = loop->live; event; event = event->next)
		if (event->fd == fd && event->kind != AX_EVENT_TIMER)
			return -EEXIST;
	int rc = ax_loop_epoll.watch(&trial);
	ax_loop_epoll.unwatch(&trial);
	return rc;
}

static int add_event(const struct ax_event *like, struct ax_event **ret_event, struct ax_error *err)
{
	struct ax_event *event;
	int rc = check_fd(like->loop, like->fd);

	if (rc < 0)
		return ax_error_set(err, AX_ERROR_IO, -rc, "cannot wait for events of fd %d: %s",
				    like->fd, strerror(-rc));
	event = new_event(like, err);
	if (!event)
		return -ENOMEM;
	rc = like->loop->engine->watch(event);
	if (rc < 0) {
		unlink_event(event);
		free(event);
		return ax_error_set(err, AX_ERROR_IO, -rc, "cannot wait for events of fd %d: %s",
				    like->fd, strerror(-rc));
	}
	*ret_event = event;
	return 0;
}

int ax_loop_add_fd(struct ax_loop *loop, int fd, uint32_t events, ax_event_fn *fn, void *ctx,
		   struct ax_event **ret_event, struct ax_error *err)
{
	const struct ax_event like = {.loop = loop,
				      .kind = AX_EVENT_FD,
				      .fd = fd,
				      .events = events,
				      .fn = fn,
				      .ctx = ctx};

	return add_event(&like, ret_event, err);
}

int ax_loop_add_eventfd(struct ax_loop *loop, int fd, ax_event_fn *fn, void *ctx,
			struct ax_event **ret_event, struct ax_error *err)
{
	const struct ax_event like = {.loop = loop,
				      .kind = AX_EVENT_COUNTER,
				      .fd = fd,
				      .events = EPOLLIN,
				      .fn = fn,
				      .ctx = ctx};
	int flags = fcntl(fd, F_GETFL);

	/* The ring reads it ahead of time, and such a read would fail at once. */
	if (flags >= 0 && (flags & O_NONBLOCK))
		return ax_error_set(err, AX_ERROR_IO, EINVAL, "eventfd %d is in non-blocking mode",
				    fd);
	return add_event(&like, ret_event, err);
}

int ax_loop_add_timer(struct ax_loop *loop, uint64_t delay_ns, uint64_t interval_ns,
		      ax_event_fn *fn, void *ctx, struct ax_event **ret_event, struct ax_error *err)
{
	const struct ax_event like = {
		.loop = loop, .kind = AX_EVENT_TIMER, .fd = -1, .fn = fn, .ctx = ctx};
	struct ax_event *event = new_event(&like, err);

	if (!event)
		return -ENOMEM;
	ax_loop_set_timer(event, delay_ns, interval_ns);
	*ret_event = event;
	return 0;
}

int ax_loop_modify_fd(struct ax_event *event, uint32_t events)
{
	const uint32_t before = event->events;

	if (event->removed || event->kind != AX_EVENT_FD)
		return -EINVAL;
	event->events = events;
	int rc = events == before ? 0 : event->loop->engine->watch(event);
	if (rc < 0)
		event->events = before;
	return rc;
}

void ax_loop_remove(struct ax_event *event)
{
	if (!event || event->removed)
		return;
	struct ax_loop *loop = event->loop;
	event->removed = true;
	if (event->kind == AX_EVENT_TIMER)
		ax_loop_unlink_timer(event);
	else
		loop->engine->unwatch(event);
	unlink_event(event);
	if (event->in_flight) /* its completion frees it */
		return;
	if (!loop->dispatching) {
		free(event);
		return;
	}
	/* The round at hand may still hold a pointer to it. */
	event->next = loop->dead;
	loop->dead = event;
}

bool ax_loop_may_call(const struct ax_loop *loop)
{
	return !loop->draining && !atomic_load(&loop->stop);
}

void ax_loop_dispatch(struct ax_event *event, uint32_t events)
{
	if (event->kind == AX_EVENT_WAKE)
		event->loop->woken = true;
	else
		event->fn(event->ctx, event->fd, event->kind == AX_EVENT_FD ? events : 0);
}

void ax_loop_free_dead(struct ax_loop *loop)
{
	while (loop->dead) {
		struct ax_event *event = loop->dead;
		loop->dead = event->next;
		free(event);
	}
}
