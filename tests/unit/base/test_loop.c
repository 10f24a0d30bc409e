/*
 * The event loop: fds, timers, posts from many threads, removal inside callbacks, and the end.
 */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static void stop_loop(void *arg)
{
	ax_loop_stop(arg);
}

static void fds_report_what_happened(void **state)
{
	struct actor actor = {.loop = new_loop(), .stop_after = 1};
	struct ax_loop_stats stats;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(
		ax_loop_add_fd(actor.loop, fds[0], EPOLLIN, count_call, &actor, &actor.event, NULL),
		0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(ax_loop_run(actor.loop, NULL), 0);
	assert_int_equal(actor.calls, 1);
	assert_int_equal(actor.fd, fds[0]);
	assert_int_equal(actor.events, EPOLLIN);
	ax_loop_get_stats(actor.loop, &stats);
	assert_true(stats.wakeups >= 1);

	/* Level-triggered: unread data is reported by the next run too; the hang-up beside it. */
	close(fds[1]);
	actor.calls = 0;
	assert_int_equal(ax_loop_run(actor.loop, NULL), 0);
	assert_int_equal(actor.events, EPOLLIN | EPOLLHUP);
	ax_loop_remove(actor.event);
	ax_loop_destroy(actor.loop);
	assert_int_equal(close(fds[0]), 0); /* the loop has not closed it */
}

static void interest_can_change(void **state)
{
	struct actor actor = {.loop = new_loop(), .stop_after = 1};
	int fd = eventfd(1, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(
		ax_loop_add_fd(actor.loop, fd, EPOLLIN, count_call, &actor, &actor.event, NULL), 0);
	assert_int_equal(ax_loop_modify_fd(actor.event, EPOLLOUT), 0);
	assert_int_equal(ax_loop_run(actor.loop, NULL), 0);
	assert_int_equal(actor.events, EPOLLOUT);
	assert_int_equal(ax_loop_modify_fd(actor.event, 0), 0);
	actor.calls = 0;
	assert_int_equal(ax_loop_post(actor.loop, stop_loop, actor.loop), -ESHUTDOWN);
	ax_loop_stop(actor.loop);
	assert_int_equal(ax_loop_run(actor.loop, NULL), 0);
	assert_int_equal(actor.calls, 0);
	ax_loop_destroy(actor.loop); /* removes the event */
	close(fd);
}

static void bad_fds_are_refused(void **state)
{
	struct ax_loop *loop = new_loop();
	struct ax_event *event = NULL;
	struct ax_error err = {0};
	int fd = eventfd(0, EFD_CLOEXEC);
	struct actor actor = {0};

	(void)state;
	assert_int_equal(ax_loop_add_fd(loop, -1, EPOLLIN, count_call, &actor, &event, &err),
			 -EBADF);
	assert_null(event);
	assert_int_equal(err.kind, AX_ERROR_IO);
	FILE *file = tmpfile();
	assert_non_null(file);
	assert_int_equal(
		ax_loop_add_fd(loop, fileno(file), EPOLLIN, count_call, &actor, &event, &err),
		-EPERM);
	fclose(file);
	assert_int_equal(ax_loop_add_fd(loop, fd, EPOLLIN, count_call, &actor, &event, &err), 0);
	struct ax_event *second = NULL;
	assert_int_equal(ax_loop_add_fd(loop, fd, EPOLLIN, count_call, &actor, &second, &err),
			 -EEXIST);
	assert_null(second);
	ax_loop_destroy(loop);
	close(fd);
}

static void a_one_shot_timer_fires_once_and_not_early(void **state)
{
	struct actor once = {.loop = new_loop()};
	struct actor end = {.loop = once.loop, .stop_after = 1};
	uint64_t begin = ax_clock_ns();

	(void)state;
	assert_int_equal(
		ax_loop_add_timer(once.loop, 5 * MS, 0, count_call, &once, &once.event, NULL), 0);
	assert_int_equal(
		ax_loop_add_timer(once.loop, 40 * MS, 0, count_call, &end, &end.event, NULL), 0);
	assert_int_equal(ax_loop_modify_fd(once.event, EPOLLIN), -EINVAL);
	assert_int_equal(ax_loop_run(once.loop, NULL), 0);
	assert_int_equal(once.calls, 1);
	assert_int_equal(once.fd, -1);
	assert_int_equal(once.events, 0);
	assert_true(once.at_ns - begin >= 5 * MS);
	assert_true(end.at_ns - begin >= 40 * MS);
	ax_loop_destroy(once.loop);
}

static void an_interval_repeats(void **state)
{
	struct actor actor = {.loop = new_loop(), .stop_after = 4};
	struct actor now = {.loop = actor.loop};
	uint64_t begin = ax_clock_ns();

	(void)state;
	assert_int_equal(ax_loop_add_timer(actor.loop, 2 * MS, 3 * MS, count_call, &actor,
					   &actor.event, NULL),
			 0);
	/* A delay of nothing is due at once, not never. */
	assert_int_equal(ax_loop_add_timer(actor.loop, 0, 0, count_call, &now, &now.event, NULL),
			 0);
	assert_int_equal(ax_loop_run(actor.loop, NULL), 0);
	assert_int_equal(actor.calls, 4);
	assert_int_equal(now.calls, 1);
	/* Late expirations may fall together, so only the shape of the lower edge is certain. */
	assert_true(actor.at_ns - begin >= 2 * MS);
	ax_loop_destroy(actor.loop);
}

static void remove_victim_and_self(void *ctx, int fd, uint32_t events)
{
	struct actor *actor = ctx;

	count_call(ctx, fd, events);
	ax_loop_remove(actor->victim);
	ax_loop_remove(actor->event);
}

/* Two ready fds in one batch remove each other: only the first is called, nothing is freed early.
 */
static void removal_inside_a_callback(void **state)
{
	struct ax_loop *loop = new_loop();
	struct actor a = {.loop = loop, .stop_after = 0};
	struct actor b = {.loop = loop};
	struct actor end = {.loop = loop, .stop_after = 1};
	int fd_a = eventfd(1, EFD_CLOEXEC);
	int fd_b = eventfd(1, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(
		ax_loop_add_fd(loop, fd_a, EPOLLIN, remove_victim_and_self, &a, &a.event, NULL), 0);
	assert_int_equal(
		ax_loop_add_fd(loop, fd_b, EPOLLIN, remove_victim_and_self, &b, &b.event, NULL), 0);
	a.victim = b.event;
	b.victim = a.event;
	assert_int_equal(ax_loop_add_timer(loop, 10 * MS, 0, count_call, &end, &end.event, NULL),
			 0);
	assert_int_equal(ax_loop_run(loop, NULL), 0);
	assert_int_equal(a.calls + b.calls, 1);
	ax_loop_remove(NULL);
	ax_loop_destroy(loop);
	close(fd_a);
	close(fd_b);
}

static void replace_self(void *ctx, int fd, uint32_t events)
{
	struct actor *actor = ctx;

	count_call(ctx, fd, events);
	ax_loop_remove(actor->event);
	actor->event = NULL;
	if (actor->calls < 200 &&
	    ax_loop_add_timer(actor->loop, 0, 0, replace_self, actor, &actor->event, NULL) < 0)
		ax_loop_stop(actor->loop);
	if (actor->calls >= 200)
		ax_loop_stop(actor->loop);
}

static void a_timer_replaces_itself(void **state)
{
	struct actor actor = {.loop = new_loop()};

	(void)state;
	assert_int_equal(
		ax_loop_add_timer(actor.loop, 0, 0, replace_self, &actor, &actor.event, NULL), 0);
	assert_int_equal(ax_loop_run(actor.loop, NULL), 0);
	assert_int_equal(actor.calls, 200);
	ax_loop_destroy(actor.loop);
}

struct order {
	unsigned int next;
	bool wrong;
};

struct numbered {
	struct order *order;
	unsigned int number;
};

static void check_order(void *arg)
{
	struct numbered *n = arg;

	if (n->order->next++ != n->number)
		n->order->wrong = true;
}

static void posts_before_the_run_are_run_in_order(void **state)
{
	struct ax_loop *loop = new_loop();
	struct order order = {0};
	struct numbered numbers[100];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		numbers[i] = (struct numbered){&order, i};
		assert_int_equal(ax_loop_post(loop, check_order, &numbers[i]), 0);
	}
	ax_loop_stop(loop); /* even so: what was accepted runs */
	assert_int_equal(ax_loop_run(loop, NULL), 0);
	assert_int_equal(order.next, 100);
	assert_false(order.wrong);
	ax_loop_destroy(loop);
}

static void post_again(void *arg)
{
	struct actor *actor = arg;

	if (++actor->calls == actor->stop_after)
		ax_loop_stop(actor->loop);
	ax_loop_post(actor->loop, post_again, actor);
}

/* A post that posts itself neither keeps the loop from ending nor starves an fd. */
static void posts_may_post(void **state)
{
	struct actor poster = {.loop = new_loop(), .stop_after = 500};
	struct actor reader = {.loop = poster.loop};
	int fd = eventfd(1, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(
		ax_loop_add_fd(poster.loop, fd, EPOLLIN, count_call, &reader, &reader.event, NULL),
		0);
	assert_int_equal(ax_loop_post(poster.loop, post_again, &poster), 0);
	assert_int_equal(ax_loop_run(poster.loop, NULL), 0);
	assert_in_range(poster.calls, 500, 501);
	assert_true(reader.calls > 100);
	ax_loop_destroy(poster.loop);
	close(fd);
}

static void never(void *arg)
{
	(void)arg;
	abort();
}

struct own_post {
	struct ax_loop *loop;
	struct ax_post post;
	unsigned int calls;
};

static void count_post(void *arg)
{
	struct actor *actor = arg;

	actor->calls++;
}

static void posts_of_a_run_that_never_came_are_dropped(void **state)
{
	struct ax_loop *loop = new_loop();

	(void)state;
	assert_int_equal(ax_loop_post(loop, never, NULL), 0);
	ax_loop_destroy(loop);
	ax_loop_destroy(NULL);
}

static void count_and_post_again(void *arg)
{
	struct own_post *own = arg;

	own->calls++;
	if (own->calls == 1) /* its turn has begun, so this is another */
		assert_int_equal(ax_loop_post_own(own->loop, &own->post), 0);
	else
		ax_loop_stop(own->loop);
}

/* A post of the caller's own needs no memory, so it is refused by the end of a run only. */
static void own_posts_run_once_for_all_calls(void **state)
{
	struct own_post own = {.loop = new_loop()};
	struct own_post other = {.loop = own.loop, .post = {.fn = never}};
	struct actor actor = {.loop = own.loop};

	(void)state;
	own.post = (struct ax_post){.fn = count_and_post_again, .arg = &own};
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(ax_loop_post_own(own.loop, &own.post), 0);
		assert_int_equal(ax_loop_post_own(own.loop, &other.post), 0);
	}
	ax_loop_cancel_post(own.loop, &other.post); /* the last one in the list */
	ax_loop_cancel_post(own.loop, &other.post);
	assert_int_equal(ax_loop_post(own.loop, count_post, &actor), 0);
	assert_int_equal(ax_loop_run(own.loop, NULL), 0);
	assert_int_equal(own.calls, 2);
	assert_int_equal(actor.calls, 1);
	assert_int_equal(ax_loop_post_own(own.loop, &own.post), -ESHUTDOWN);
	ax_loop_destroy(own.loop);
	/* One that nobody ran is let go of, and is not the loop's to free. */
	own.loop = new_loop();
	assert_int_equal(ax_loop_post_own(own.loop, &other.post), 0);
	ax_loop_destroy(own.loop);
	assert_false(other.post.queued);
}

struct crowd {
	struct ax_loop *loop;
	unsigned int run; /* on the loop's thread only */
	_Atomic unsigned int accepted;
	_Atomic unsigned int refused;
};

static void count_run(void *arg)
{
	struct crowd *crowd = arg;

	crowd->run++;
}

static void *post_many(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < 2000; i++) {
		if (ax_loop_post(crowd->loop, count_run, crowd) == 0)
			atomic_fetch_add(&crowd->accepted, 1);
		else
			atomic_fetch_add(&crowd->refused, 1);
	}
	return NULL;
}

static void run_loop(void *arg)
{
	struct crowd *crowd = arg;

	(void)ax_loop_run(crowd->loop, NULL);
}

/* Stop comes in the middle of it from yet another thread: accepted means run, exactly once. */
static void many_threads_post_and_one_stops(void **state)
{
	struct ax_thread_config config = {.name = "io 0"};

	(void)state;
	for (int round = 0; round < 10; round++) {
		struct crowd crowd = {.loop = new_loop()};
		struct ax_thread *runner = NULL;
		pthread_t posters[4];

		assert_int_equal(ax_thread_start(&config, run_loop, &crowd, &runner, NULL), 0);
		for (size_t i = 0; i < AX_ARRAY_LEN(posters); i++)
			assert_int_equal(pthread_create(&posters[i], NULL, post_many, &crowd), 0);
		if (round % 2)
			usleep(300);
		else
			for (size_t i = 0; i < AX_ARRAY_LEN(posters); i++)
				pthread_join(posters[i], NULL);
		ax_loop_stop(crowd.loop);
		ax_thread_join(runner);
		if (round % 2)
			for (size_t i = 0; i < AX_ARRAY_LEN(posters); i++)
				pthread_join(posters[i], NULL);
		assert_int_equal(crowd.run, atomic_load(&crowd.accepted));
		assert_int_equal(crowd.run + atomic_load(&crowd.refused), 8000);
		if (round % 2 == 0)
			assert_int_equal(atomic_load(&crowd.refused), 0);
		ax_loop_destroy(crowd.loop);
	}
}

static void a_loop_runs_again(void **state)
{
	struct ax_loop *loop = new_loop();
	struct ax_event *event = NULL;
	struct actor actor = {.loop = loop, .stop_after = 1};

	(void)state;
	for (int i = 0; i < 3; i++) {
		actor.calls = 0;
		assert_int_equal(ax_loop_add_timer(loop, MS, 0, count_call, &actor, &event, NULL),
				 0);
		assert_int_equal(ax_loop_run(loop, NULL), 0);
		assert_int_equal(actor.calls, 1);
		ax_loop_remove(event);
	}
	ax_loop_destroy(loop);
}

struct many {
	struct ax_loop *loop;
	struct actor actors[150];
	uint64_t give_up_ns;
};

/* Timers have a turn between batches: a loop that was kept from its CPU goes on to the others. */
static void stop_after_all(void *ctx, int fd, uint32_t events)
{
	struct many *many = ctx;
	size_t called = 0;

	(void)fd;
	(void)events;
	for (size_t i = 0; i < AX_ARRAY_LEN(many->actors); i++)
		called += many->actors[i].calls > 0;
	if (called == AX_ARRAY_LEN(many->actors) || ax_clock_ns() > many->give_up_ns)
		ax_loop_stop(many->loop);
}

/* More ready fds than one wait returns: each gets its turn. */
static void many_fds(void **state)
{
	struct ax_loop *loop = new_loop();
	struct many many = {.loop = loop, .give_up_ns = ax_clock_ns() + 20000 * MS};
	struct actor *actors = many.actors;
	struct ax_event *end;
	int fds[AX_ARRAY_LEN(many.actors)];

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(fds); i++) {
		fds[i] = eventfd(1, EFD_CLOEXEC);
		actors[i].loop = loop;
		assert_int_equal(ax_loop_add_eventfd(loop, fds[i], count_call, &actors[i],
						     &actors[i].event, NULL),
				 0);
	}
	assert_int_equal(
		ax_loop_add_timer(loop, 20 * MS, 20 * MS, stop_after_all, &many, &end, NULL), 0);
	assert_int_equal(ax_loop_run(loop, NULL), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(fds); i++)
		assert_int_equal(actors[i].calls, 1);
	ax_loop_destroy(loop);
	for (size_t i = 0; i < AX_ARRAY_LEN(fds); i++)
		close(fds[i]);
}

/* A signal handler that runs on the loop's thread does not end the loop. */
static void a_kick_does_not_end_the_run(void **state)
{
	struct ax_thread_config config = {.name = "io 0"};
	struct crowd crowd = {.loop = new_loop()};
	struct ax_thread *runner = NULL;

	(void)state;
	assert_int_equal(ax_thread_start(&config, run_loop, &crowd, &runner, NULL), 0);
	for (int i = 0; i < 100; i++) {
		ax_thread_kick(runner);
		assert_int_equal(ax_loop_post(crowd.loop, count_run, &crowd), 0);
	}
	ax_loop_stop(crowd.loop);
	ax_thread_join(runner);
	assert_int_equal(crowd.run, 100);
	ax_loop_destroy(crowd.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fds_report_what_happened),
		cmocka_unit_test(interest_can_change),
		cmocka_unit_test(bad_fds_are_refused),
		cmocka_unit_test(a_one_shot_timer_fires_once_and_not_early),
		cmocka_unit_test(an_interval_repeats),
		cmocka_unit_test(removal_inside_a_callback),
		cmocka_unit_test(a_timer_replaces_itself),
		cmocka_unit_test(posts_before_the_run_are_run_in_order),
		cmocka_unit_test(posts_may_post),
		cmocka_unit_test(own_posts_run_once_for_all_calls),
		cmocka_unit_test(posts_of_a_run_that_never_came_are_dropped),
		cmocka_unit_test(many_threads_post_and_one_stops),
		cmocka_unit_test(a_loop_runs_again),
		cmocka_unit_test(many_fds),
		cmocka_unit_test(a_kick_does_not_end_the_run),
	};
	return RUN_WITH_BOTH("base-loop", tests);
}
