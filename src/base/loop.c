/*
 * The event loop: its life and its run, over an engine (loop_private.h).
 *
 * Owns: the wake-up eventfd and the epoll instance. Leaves to callers: which thread runs the loop.
 * Only the posts, `stop` and the counts are shared between threads; everything else belongs to the
 * loop's thread.
 */
#include "loop_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How many rounds idle calls may have to wait in a loop that is never idle. */
#define BUSY_ROUNDS 4

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
	loop->dry_fd = -1;
	loop->post_tail = &loop->posts;
	loop->ops_tail = &loop->ops;
	loop->deferred.tail = &loop->deferred.first;
	loop->idle.tail = &loop->idle.first;
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

void ax_loop_destroy(struct ax_loop *loop)
{
	if (!loop)
		return;
	assert(!loop->dispatching && !loop->ring);
	while (loop->live)
		ax_loop_remove(loop->live);
	ax_loop_free_dead(loop);
	ax_loop_drop_posts(loop);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	pthread_mutex_destroy(&loop->post_lock);
	free(loop);
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Calls for when there is nothing to do. A loop that is never idle makes them now and then. */
static void run_idle(struct ax_loop *loop, bool idle)
{
	if (!loop->idle.first)
		return;
	if (!idle && ++loop->busy_rounds < BUSY_ROUNDS)
		return;
	loop->busy_rounds = 0;
	ax_loop_run_deferred(loop, &loop->idle);
}

/* One wait and all it brought. Posts run last, so that a flood of them cannot starve the fds. A
 * wait that has work left over does not block. */
static int run_round(struct ax_loop *loop, bool block, bool *ret_any)
{
	const bool busy = loop->engine->busy && loop->engine->busy(loop);
	const bool wait = block && !loop->deferred.first && (busy || !loop->idle.first);
	int rc;

	loop->dispatching = true;
	loop->woken = false;
	loop->dry_fd = -1;
	rc = loop->engine->round(loop, wait ? ax_loop_timeout_ns(loop) : 0, ret_any);
	if (rc == 0) {
		*ret_any |= ax_loop_run_deferred(loop, &loop->deferred);
		if (loop->woken)
			ax_loop_run_posts(loop, false);
		run_idle(loop, !*ret_any);
	}
	loop->dispatching = false;
	ax_loop_free_dead(loop);
	return rc;
}

bool ax_loop_step(struct ax_loop *loop)
{
	bool any = false;

	if (run_round(loop, false, &any) < 0)
		return false;
	/* A step ends with nothing left to do, so idle calls belong to it. */
	ax_loop_run_deferred(loop, &loop->idle);
	return any || loop->ops || loop->deferred.first;
}

static int start(struct ax_loop *loop, struct ax_error *err)
{
#ifdef AX_HAVE_IO_URING
	struct ax_error why = {0};

	if (loop->choice == AX_LOOP_EPOLL)
		return 0;
	if (ax_loop_uring.start(loop, &why) == 0) {
		loop->engine = &ax_loop_uring;
		ax_log(AX_LOG_INFO, "base", "the event loop uses io_uring");
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

	while (rc == 0 && !atomic_load(&loop->stop)) {
		any = false;
		rc = run_round(loop, true, &any);
	}

	/* From here on posts are refused, and every accepted one runs before we return. */
	loop->dispatching = true;
	loop->draining = true;
	ax_loop_run_posts(loop, true);
	do {
		any = loop->engine->drain(loop);
		any |= ax_loop_run_deferred(loop, &loop->deferred);
		any |= ax_loop_run_deferred(loop, &loop->idle);
	} while (any || loop->ops);
	if (loop->engine->finish)
		loop->engine->finish(loop);
	loop->engine = &ax_loop_epoll;
	loop->draining = false;
	loop->dispatching = false;
	ax_loop_free_dead(loop);
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

void ax_loop_confine(struct ax_loop *loop)
{
	if (loop->engine->confine)
		loop->engine->confine(loop);
}

const char *ax_loop_engine_name(const struct ax_loop *loop)
{
#ifdef AX_HAVE_IO_URING
	if (loop->choice != AX_LOOP_EPOLL)
		return ax_loop_uring.name;
#endif
	(void)loop;
	return ax_loop_epoll.name;
}

void ax_loop_get_stats(const struct ax_loop *loop, struct ax_loop_stats *ret_stats)
{
	*ret_stats = (struct ax_loop_stats){
		.wakeups = ax_counter_read(&loop->wakeups),
		.syscalls = ax_counter_read(&loop->syscalls),
		.ops = ax_counter_read(&loop->ops_done),
	};
}
