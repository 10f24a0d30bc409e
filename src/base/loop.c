/*
 * The event loop: fds, eventfds, timers, I/O operations, deferred and posted functions on one
 * thread, over epoll.
 *
 * Owns: the epoll instance, the wake-up eventfd and the timers' fds. Leaves to callers: the fds
 * they register (it never closes those), and which thread runs the loop. Only the posts, `stop` and
 * the counts are shared between threads; everything else belongs to the loop's thread.
 */
#include <axvm/base.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_PER_WAIT 64
#define NS_PER_SECOND   1000000000ULL

struct ax_event {
	struct ax_loop *loop;
	struct ax_event *next, *prev; /* in loop->live, or (next only) in loop->dead */
	ax_event_fn *fn;
	void *ctx;
	int fd;
	enum { EVENT_FD, EVENT_COUNTER, EVENT_TIMER } kind;
	bool asleep; /* an EVENT_FD that epoll does not know at the moment */
	bool removed;
};

enum { OP_READV, OP_WRITEV, OP_FDATASYNC, OP_FALLOCATE };

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

struct ax_loop {
	int epoll_fd;
	int wake_fd;
	bool dispatching;      /* removed events stay allocated until the batch is over */
	struct ax_event *live; /* registered */
	struct ax_event *dead; /* removed while dispatching */
	_Atomic bool stop;
	struct ax_counter wakeups, syscalls, ops_done;
	struct ax_op *ops, **ops_tail; /* begun, in order */
	struct ax_deferred *deferred, **deferred_tail;

	pthread_mutex_t post_lock;
	struct post *posts;      /* under post_lock */
	struct post **post_tail; /* under post_lock */
	bool closed;             /* under post_lock: run is about to return or has returned */
};

int ax_loop_create(enum ax_loop_engine engine, struct ax_loop **ret_loop, struct ax_error *err)
{
	struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};
	struct ax_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an event loop");
	pthread_mutex_init(&loop->post_lock, NULL);
	(void)engine;
	loop->post_tail = &loop->posts;
	loop->ops_tail = &loop->ops;
	loop->deferred_tail = &loop->deferred;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->wake_fd < 0 || loop->epoll_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &wake) != 0) {
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
	assert(!loop->dispatching);
	while (loop->live)
		ax_loop_remove(loop->live);
	free_dead(loop);
	while (loop->posts) { /* accepted before a run that never came */
		struct post *post = loop->posts;
		loop->posts = post->next;
		free(post);
	}
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	pthread_mutex_destroy(&loop->post_lock);
	free(loop);
}

static void link_event(struct ax_event *event)
{
	struct ax_loop *loop = event->loop;

	event->next = loop->live;
	if (loop->live)
		loop->live->prev = event;
	loop->live = event;
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

/* Registers the fd with a new event; NULL with err filled when that fails. */
static struct ax_event *add_event(struct ax_loop *loop, int fd, uint32_t events, ax_event_fn *fn,
				  void *ctx, struct ax_error *err)
{
	struct ax_event *event = calloc(1, sizeof(*event));

	if (!event) {
		ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an event");
		errno = ENOMEM;
		return NULL;
	}
	*event = (struct ax_event){.loop = loop, .fd = fd, .fn = fn, .ctx = ctx};
	struct epoll_event interest = {.events = events, .data.ptr = event};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &interest) != 0) {
		int saved = errno;
		ax_error_set(err, AX_ERROR_IO, saved, "cannot wait for events of fd %d: %s", fd,
			     strerror(saved));
		free(event);
		errno = saved;
		return NULL;
	}
	link_event(event);
	return event;
}

int ax_loop_add_fd(struct ax_loop *loop, int fd, uint32_t events, ax_event_fn *fn, void *ctx,
		   struct ax_event **ret_event, struct ax_error *err)
{
	struct ax_event *event = add_event(loop, fd, events, fn, ctx, err);

	if (!event)
		return -errno;
	*ret_event = event;
	return 0;
}

int ax_loop_modify_fd(struct ax_event *event, uint32_t events)
{
	struct epoll_event interest = {.events = events, .data.ptr = event};

	int how = event->asleep ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (event->removed || event->kind != EVENT_FD)
		return -EINVAL;
	/* epoll reports errors and hang-ups whatever it was asked for, so sleep means out. */
	if (!events) {
		if (event->asleep)
			return 0;
		how = EPOLL_CTL_DEL;
	}
	if (epoll_ctl(event->loop->epoll_fd, how, event->fd, &interest) != 0)
		return -errno;
	event->asleep = !events;
	return 0;
}

void ax_loop_remove(struct ax_event *event)
{
	if (!event || event->removed)
		return;
	struct ax_loop *loop = event->loop;
	event->removed = true;
	if (!event->asleep)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, event->fd, NULL);
	if (event->kind == EVENT_TIMER)
		close(event->fd);
	unlink_event(event);
	if (!loop->dispatching) {
		free(event);
		return;
	}
	/* The batch at hand may still hold a pointer to it. */
	event->next = loop->dead;
	loop->dead = event;
}

int ax_loop_add_eventfd(struct ax_loop *loop, int fd, ax_event_fn *fn, void *ctx,
			struct ax_event **ret_event, struct ax_error *err)
{
	struct ax_event *event = add_event(loop, fd, EPOLLIN, fn, ctx, err);

	if (!event)
		return -errno;
	event->kind = EVENT_COUNTER;
	*ret_event = event;
	return 0;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SECOND),
				 .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

static struct itimerspec timer_spec(uint64_t delay_ns, uint64_t interval_ns)
{
	if (delay_ns == AX_TIMER_OFF)
		return (struct itimerspec){0};
	return (struct itimerspec){
		.it_value = to_timespec(delay_ns ? delay_ns : 1), /* 0 would disarm it */
		.it_interval = to_timespec(interval_ns),
	};
}

int ax_loop_add_timer(struct ax_loop *loop, uint64_t delay_ns, uint64_t interval_ns,
		      ax_event_fn *fn, void *ctx, struct ax_event **ret_event, struct ax_error *err)
{
	const struct itimerspec spec = timer_spec(delay_ns, interval_ns);
	AX_AUTO_CLOSE int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0 || timerfd_settime(fd, 0, &spec, NULL) != 0)
		return ax_error_set(err, AX_ERROR_IO, errno, "cannot create a timer: %s",
				    strerror(errno));
	struct ax_event *event = add_event(loop, fd, EPOLLIN, fn, ctx, err);
	if (!event)
		return -errno;
	event->kind = EVENT_TIMER;
	fd = -1; /* the event's now */
	*ret_event = event;
	return 0;
}

void ax_loop_set_timer(struct ax_event *timer, uint64_t delay_ns, uint64_t interval_ns)
{
	const struct itimerspec spec = timer_spec(delay_ns, interval_ns);

	assert(timer->kind == EVENT_TIMER);
	timerfd_settime(timer->fd, 0, &spec, NULL);
}

/* ---- operations ---------------------------------------------------------------------- */

static void begin(struct ax_loop *loop, struct ax_op *op)
{
	op->next = NULL;
	*loop->ops_tail = op;
	loop->ops_tail = &op->next;
}

static void begin_vectored(struct ax_loop *loop, struct ax_op *op, uint8_t kind, int fd,
			   const struct iovec *iov, unsigned count, uint64_t offset, uint32_t flags)
{
	op->kind = kind;
	op->fd = fd;
	op->iov = iov;
	op->count = count;
	op->offset = offset;
	op->flags = flags;
	begin(loop, op);
}

void ax_op_readv(struct ax_loop *loop, struct ax_op *op, int fd, const struct iovec *iov,
		 unsigned count, uint64_t offset, uint32_t flags)
{
	begin_vectored(loop, op, OP_READV, fd, iov, count, offset, flags);
}

void ax_op_writev(struct ax_loop *loop, struct ax_op *op, int fd, const struct iovec *iov,
		  unsigned count, uint64_t offset, uint32_t flags)
{
	begin_vectored(loop, op, OP_WRITEV, fd, iov, count, offset, flags);
}

void ax_op_fdatasync(struct ax_loop *loop, struct ax_op *op, int fd)
{
	op->kind = OP_FDATASYNC;
	op->fd = fd;
	begin(loop, op);
}

void ax_op_fallocate(struct ax_loop *loop, struct ax_op *op, int fd, int mode, uint64_t offset,
		     uint64_t length)
{
	op->kind = OP_FALLOCATE;
	op->fd = fd;
	op->flags = (uint32_t)mode;
	op->offset = offset;
	op->length = length;
	begin(loop, op);
}

void ax_loop_keep_fd(struct ax_loop *loop, int fd)
{
	(void)loop;
	(void)fd;
}

void ax_loop_forget_fd(struct ax_loop *loop, int fd)
{
	(void)loop;
	(void)fd;
}

static ssize_t perform(const struct ax_op *op)
{
	const int count = (int)op->count;
	const off_t offset = op->offset == AX_OP_NO_OFFSET ? -1 : (off_t)op->offset;

	switch (op->kind) {
	case OP_READV:
		return preadv2(op->fd, op->iov, count, offset, (int)op->flags);
	case OP_WRITEV:
		return pwritev2(op->fd, op->iov, count, offset, (int)op->flags);
	case OP_FDATASYNC:
		return fdatasync(op->fd);
	case OP_FALLOCATE:
		return fallocate(op->fd, (int)op->flags, (off_t)op->offset, (off_t)op->length);
	default:
		errno = EINVAL;
		return -1;
	}
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
		ssize_t n;

		do {
			n = perform(op);
			ax_counter_add(&loop->syscalls, 1);
		} while (n < 0 && errno == EINTR);
		ax_counter_add(&loop->ops_done, 1);
		op->fn(op, n < 0 ? -errno : (int32_t)n);
		op = next;
	}
	return any;
}

/* ---- deferred ------------------------------------------------------------------------ */

void ax_loop_defer(struct ax_loop *loop, struct ax_deferred *deferred)
{
	if (deferred->queued)
		return;
	deferred->queued = true;
	deferred->next = NULL;
	*loop->deferred_tail = deferred;
	loop->deferred_tail = &deferred->next;
}

void ax_loop_cancel_defer(struct ax_loop *loop, struct ax_deferred *deferred)
{
	struct ax_deferred **link = &loop->deferred;

	if (!deferred->queued)
		return;
	while (*link != deferred)
		link = &(*link)->next;
	*link = deferred->next;
	if (!*link)
		loop->deferred_tail = link;
	deferred->queued = false;
}

static bool run_deferred(struct ax_loop *loop)
{
	bool any = false;

	while (loop->deferred) {
		struct ax_deferred *deferred = loop->deferred;

		ax_loop_cancel_defer(loop, deferred);
		deferred->fn(deferred->ctx);
		any = true;
	}
	return any;
}

/* ---- posts --------------------------------------------------------------------------- */

static void wake(struct ax_loop *loop)
{
	static const uint64_t one = 1;
	ssize_t n = write(loop->wake_fd, &one, sizeof(one));

	(void)n; /* EAGAIN: the counter is full, so it is readable anyway */
}

int ax_loop_post(struct ax_loop *loop, void (*fn)(void *arg), void *arg)
{
	struct post *post = malloc(sizeof(*post));

	if (!post)
		return -ENOMEM;
	*post = (struct post){.fn = fn, .arg = arg};
	pthread_mutex_lock(&loop->post_lock);
	bool refused = loop->closed;
	bool was_empty = !loop->posts;
	if (!refused) {
		*loop->post_tail = post;
		loop->post_tail = &post->next;
		/* Under the lock: after it the loop may run the post and be destroyed by it. */
		if (was_empty)
			wake(loop);
	}
	pthread_mutex_unlock(&loop->post_lock);
	if (refused) {
		free(post);
		return -ESHUTDOWN;
	}
	return 0;
}

/* Runs what has been posted so far; what those functions post waits for the next round. */
static void run_posts(struct ax_loop *loop, bool close_after)
{
	pthread_mutex_lock(&loop->post_lock);
	struct post *post = loop->posts;
	loop->posts = NULL;
	loop->post_tail = &loop->posts;
	loop->closed = close_after;
	pthread_mutex_unlock(&loop->post_lock);

	while (post) {
		struct post *next = post->next;
		post->fn(post->arg);
		free(post);
		post = next;
	}
}

static void dispatch(struct ax_event *event, uint32_t events)
{
	uint64_t count;

	if (event->removed)
		return;
	if (event->kind == EVENT_FD)
		event->fn(event->ctx, event->fd, events);
	else if (read(event->fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		event->fn(event->ctx, event->kind == EVENT_TIMER ? -1 : event->fd, 0);
}

/* One wait and all it brought. Posts run last, so that a flood of them cannot starve the fds. A
 * wait that has work left over does not block. */
static int run_once(struct ax_loop *loop, bool block, bool *ret_any)
{
	struct epoll_event batch[EVENTS_PER_WAIT];
	bool woken = false;
	uint64_t count;

	block = block && !loop->ops && !loop->deferred;
	int n = epoll_wait(loop->epoll_fd, batch, EVENTS_PER_WAIT, block ? -1 : 0);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	*ret_any = n > 0;
	ax_counter_add(&loop->wakeups, 1);
	ax_counter_add(&loop->syscalls, 1);
	loop->dispatching = true;
	for (int i = 0; i < n && !atomic_load(&loop->stop); i++) {
		if (batch[i].data.ptr)
			dispatch(batch[i].data.ptr, batch[i].events);
		else if (read(loop->wake_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
			woken = true;
	}
	*ret_any |= run_ops(loop);
	*ret_any |= run_deferred(loop);
	if (woken)
		run_posts(loop, false);
	loop->dispatching = false;
	free_dead(loop);
	return 0;
}

bool ax_loop_step(struct ax_loop *loop)
{
	bool any = false;

	return run_once(loop, false, &any) == 0 && any;
}

int ax_loop_run(struct ax_loop *loop, struct ax_error *err)
{
	int rc = 0;
	bool any;

	pthread_mutex_lock(&loop->post_lock);
	loop->closed = false;
	pthread_mutex_unlock(&loop->post_lock);

	while (rc == 0 && !atomic_load(&loop->stop))
		rc = run_once(loop, true, &any);

	/* From here on posts are refused, and every accepted one runs before we return. */
	loop->dispatching = true;
	run_posts(loop, true);
	while (run_ops(loop) || run_deferred(loop))
		;
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
	wake(loop);
	pthread_mutex_unlock(&loop->post_lock);
}

const char *ax_loop_engine_name(const struct ax_loop *loop)
{
	(void)loop;
	return "epoll";
}

void ax_loop_get_stats(const struct ax_loop *loop, struct ax_loop_stats *ret_stats)
{
	*ret_stats = (struct ax_loop_stats){
		.wakeups = ax_counter_read(&loop->wakeups),
		.syscalls = ax_counter_read(&loop->syscalls),
		.ops = ax_counter_read(&loop->ops_done),
	};
}
