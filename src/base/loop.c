/*
 * The event loop: its registered events and its run, over an engine (loop_private.h).
 *
 * Owns: the events, the wake-up eventfd and the epoll instance. Leaves to callers: the fds they
 * register (it never closes those), and which thread runs the loop. Only the posts, `stop` and
 * the counts are shared between threads; everything else belongs to the loop's thread.
 */
#include "loop_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#ifndef AX_HAVE_IO_URING
int ax_loop_uring_probe(struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_UNSUPPORTED, EOPNOTSUPP, "this build has no io_uring");
	return ax_error_hint(err, "build it with liburing, or choose epoll");
}
#endif

int ax_loop_create(enum ax_loop_engine engine, struct ax_loop **ret_loop, struct ax_error *err)
{
	if (engine == AX_LOOP_IO_URING) {
		int rc = ax_loop_uring_probe(err);
		if (rc < 0)
			return rc;
	}
	struct ax_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an event loop");
	pthread_mutex_init(&loop->post_lock, NULL);
	loop->engine = &ax_loop_epoll;
	loop->choice = engine;
	loop->post_tail = &loop->posts;
	loop->ops_tail = &loop->ops;
	loop->deferred_tail = &loop->deferred;
	memset(loop->kept, -1, sizeof(loop->kept));
	loop->wake = (struct ax_event){.loop = loop, .kind = AX_EVENT_WAKE, .events = EPOLLIN};
	loop->wake.fd = eventfd(0, EFD_CLOEXEC);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->wake.fd < 0 || loop->epoll_fd < 0 || ax_loop_epoll.watch(&loop->wake) < 0) {
		int rc = ax_error_set(err, AX_ERROR_IO, errno, "cannot create an event loop: %s",
				      strerror(errno));
		ax_error_hint(err, "check the limit of open files (ulimit -n)");
		ax_loop_destroy(loop);
		return rc;
	}
	*ret_loop = loop;
	return 0;
}

static void free_dead(struct ax_loop *loop)
{
	while (loop->dead) {
		struct ax_event *event = loop->dead;
		loop->dead = event->next;
		free(event);
	}
}

void ax_loop_destroy(struct ax_loop *loop)
{
	if (!loop)
		return;
	assert(!loop->dispatching && !loop->ring);
	while (loop->live)
		ax_loop_remove(loop->live);
	free_dead(loop);
	ax_loop_drop_posts(loop);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	pthread_mutex_destroy(&loop->post_lock);
	free(loop);
}

/* ---- events -------------------------------------------------------------------------- */

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

/* ---- the run ------------------------------------------------------------------------- */

/* One wait and all it brought. Posts run last, so that a flood of them cannot starve the fds. A
 * wait that has work left over does not block. */
static int run_round(struct ax_loop *loop, bool block, bool *ret_any)
{
	const bool wait = block && !loop->deferred;
	int rc;

	loop->dispatching = true;
	loop->woken = false;
	rc = loop->engine->round(loop, wait ? ax_loop_timeout_ns(loop) : 0, ret_any);
	if (rc == 0) {
		*ret_any |= ax_loop_run_deferred(loop);
		if (loop->woken)
			ax_loop_run_posts(loop, false);
	}
	loop->dispatching = false;
	free_dead(loop);
	return rc;
}

bool ax_loop_step(struct ax_loop *loop)
{
	bool any = false;

	return run_round(loop, false, &any) == 0 && any;
}

static int start(struct ax_loop *loop, struct ax_error *err)
{
#ifdef AX_HAVE_IO_URING
	struct ax_error why = {0};

	if (loop->choice == AX_LOOP_EPOLL)
		return 0;
	if (ax_loop_uring.start(loop, &why) == 0) {
		loop->engine = &ax_loop_uring;
		return 0;
	}
	if (loop->choice == AX_LOOP_IO_URING) {
		if (err)
			*err = why;
		return -why.sys_errno;
	}
	ax_log(AX_LOG_INFO, "base", "the event loop uses epoll: %s", why.message);
	loop->choice = AX_LOOP_EPOLL; /* said once */
#else
	(void)loop;
	(void)err;
#endif
	return 0;
}

int ax_loop_run(struct ax_loop *loop, struct ax_error *err)
{
	bool any = false;
	int rc = start(loop, err);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&loop->post_lock);
	loop->closed = false;
	pthread_mutex_unlock(&loop->post_lock);

	while (rc == 0 && !atomic_load(&loop->stop))
		rc = run_round(loop, true, &any);

	/* From here on posts are refused, and every accepted one runs before we return. */
	loop->dispatching = true;
	loop->draining = true;
	ax_loop_run_posts(loop, true);
	do {
		any = loop->engine->drain(loop);
		any |= ax_loop_run_deferred(loop);
	} while (any || loop->ops);
	if (loop->engine->finish)
		loop->engine->finish(loop);
	loop->engine = &ax_loop_epoll;
	loop->draining = false;
	loop->dispatching = false;
	free_dead(loop);
	atomic_store(&loop->stop, false);
	if (rc < 0)
		return ax_error_set(err, AX_ERROR_IO, -rc, "waiting for events failed: %s",
				    strerror(-rc));
	return 0;
}

void ax_loop_stop(struct ax_loop *loop)
{
	/* Under the lock for the same reason as a post: run takes it once more before it returns.
	 */
	pthread_mutex_lock(&loop->post_lock);
	atomic_store(&loop->stop, true);
	ax_loop_wake(loop);
	pthread_mutex_unlock(&loop->post_lock);
}

const char *ax_loop_engine_name(const struct ax_loop *loop)
{
#ifdef AX_HAVE_IO_URING
	if (loop->choice != AX_LOOP_EPOLL)
		return ax_loop_uring.name;
#endif
	return loop->engine->name;
}

void ax_loop_get_stats(const struct ax_loop *loop, struct ax_loop_stats *ret_stats)
{
	*ret_stats = (struct ax_loop_stats){
		.wakeups = ax_counter_read(&loop->wakeups),
		.syscalls = ax_counter_read(&loop->syscalls),
		.ops = ax_counter_read(&loop->ops_done),
	};
}
