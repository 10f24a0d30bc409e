/*
 * Events of the event loop beyond the readiness of an fd: eventfds, timers set again, deferred
 * calls, and removal and change of what is being waited for.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static void add_end(struct actor *end, struct ax_loop *loop, uint64_t delay_ns)
{
	*end = (struct actor){.loop = loop, .stop_after = 1};
	assert_int_equal(ax_loop_add_timer(loop, delay_ns, 0, count_call, end, &end->event, NULL),
			 0);
}

static void eventfds_are_read_by_the_loop(void **state)
{
	struct actor actor = {.loop = new_loop(), .stop_after = 1};
	int fd = eventfd(0, EFD_CLOEXEC), wrong = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct ax_event *none = NULL;
	uint64_t count;

	(void)state;
	assert_int_equal(ax_loop_add_eventfd(actor.loop, wrong, count_call, &actor, &none, NULL),
			 -EINVAL);
	assert_int_equal(
		ax_loop_add_eventfd(actor.loop, fd, count_call, &actor, &actor.event, NULL), 0);
	assert_int_equal(ax_loop_modify_fd(actor.event, EPOLLIN), -EINVAL);
	for (int i = 0; i < 3; i++) {
		actor.calls = 0;
		assert_int_equal(eventfd_write(fd, 2), 0);
		assert_int_equal(eventfd_write(fd, 3), 0);
		run(actor.loop);
		assert_int_equal(actor.calls, 1);
		assert_int_equal(actor.fd, fd);
		assert_int_equal(actor.events, 0);
	}
	/* A step is enough, too; and what nobody was told of is still there. */
	actor.calls = 0;
	actor.stop_after = 0;
	assert_int_equal(eventfd_write(fd, 1), 0);
	assert_true(ax_loop_step(actor.loop));
	while (ax_loop_step(actor.loop))
		;
	assert_int_equal(actor.calls, 1);
	ax_loop_stop(actor.loop);
	assert_int_equal(eventfd_write(fd, 7), 0);
	run(actor.loop);
	ax_loop_remove(actor.event);
	assert_int_equal(eventfd_read(fd, &count), 0);
	assert_true(count >= 7);
	ax_loop_destroy(actor.loop);
	close(fd);
	close(wrong);
}

struct pong {
	int there, back;
	struct ax_loop *loop;
	unsigned rounds;
	unsigned seen; /* plain: the eventfds order it */
};

static void *ping(void *arg)
{
	struct pong *pong = arg;
	uint64_t count;

	for (unsigned i = 1; i <= pong->rounds; i++) {
		pong->seen = i;
		eventfd_write(pong->there, 1);
		eventfd_read(pong->back, &count);
	}
	ax_loop_stop(pong->loop);
	return NULL;
}

static void answer(void *ctx, int fd, uint32_t events)
{
	struct pong *pong = ctx;

	(void)fd;
	(void)events;
	pong->seen++;
	eventfd_write(pong->back, 1);
}

/* No kick is lost between runs of the loop on one thread and kicks from another. */
static void kicks_from_another_thread(void **state)
{
	struct pong pong = {.loop = new_loop(), .rounds = 2000};
	struct ax_event *event = NULL;
	pthread_t thread;

	(void)state;
	pong.there = eventfd(0, EFD_CLOEXEC);
	pong.back = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(ax_loop_add_eventfd(pong.loop, pong.there, answer, &pong, &event, NULL),
			 0);
	assert_int_equal(pthread_create(&thread, NULL, ping, &pong), 0);
	run(pong.loop);
	pthread_join(thread, NULL);
	assert_int_equal(pong.seen, pong.rounds + 1);
	ax_loop_destroy(pong.loop);
	close(pong.there);
	close(pong.back);
}

static void timers_can_be_set_again(void **state)
{
	struct ax_loop *loop = new_loop();
	struct actor a = {.loop = loop}, b = {.loop = loop}, c = {.loop = loop}, end;
	uint64_t begin = ax_clock_ns();

	(void)state;
	assert_int_equal(ax_loop_add_timer(loop, AX_TIMER_OFF, 0, count_call, &a, &a.event, NULL),
			 0);
	assert_int_equal(ax_loop_add_timer(loop, 5000 * MS, 0, count_call, &b, &b.event, NULL), 0);
	assert_int_equal(ax_loop_add_timer(loop, MS, MS, count_call, &c, &c.event, NULL), 0);
	add_end(&end, loop, 20 * MS);
	ax_loop_set_timer(b.event, 3 * MS, 0);
	ax_loop_set_timer(c.event, AX_TIMER_OFF, 0);
	run(loop);
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.calls, 1);
	assert_true(b.at_ns - begin >= 3 * MS);
	assert_int_equal(c.calls, 0);
	ax_loop_set_timer(a.event, 0, 0);
	ax_loop_set_timer(end.event, 5 * MS, 0);
	end.calls = 0;
	run(loop);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	ax_loop_destroy(loop);
}

static void timers_fire_in_order(void **state)
{
	struct ax_loop *loop = new_loop();
	struct actor timers[50] = {0}, end;
	struct {
		uint64_t earliest, latest; /* when it is due */
	} due[50];

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		const uint64_t delay = (i * 17 % 50 + 1) * MS / 10;

		timers[i].loop = loop;
		due[i].earliest = ax_clock_ns() + delay;
		assert_int_equal(ax_loop_add_timer(loop, delay, 0, count_call, &timers[i],
						   &timers[i].event, NULL),
				 0);
		due[i].latest = ax_clock_ns() + delay;
	}
	ax_loop_remove(timers[0].event);
	add_end(&end, loop, 10 * MS);
	run(loop);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(timers[i].calls, i ? 1 : 0);
	for (unsigned i = 1; i < 50; i++)
		for (unsigned j = 1; j < 50; j++)
			if (due[i].latest < due[j].earliest)
				assert_true(timers[i].at_ns <= timers[j].at_ns);
	ax_loop_destroy(loop);
}

/* ---- deferred -------------------------------------------------------------------------------- */

struct later {
	struct ax_deferred deferred;
	struct ax_loop *loop;
	struct later *other;
	unsigned calls;
};

static void run_later(void *ctx)
{
	struct later *later = ctx;

	later->calls++;
	if (later->other)
		ax_loop_defer(later->loop, &later->other->deferred);
	else
		ax_loop_stop(later->loop);
}

static void deferred_calls_run_once(void **state)
{
	struct ax_loop *loop = new_loop();
	struct later end = {.loop = loop}, first = {.loop = loop, .other = &end};
	struct later never = {.loop = loop};

	(void)state;
	end.deferred = (struct ax_deferred){.fn = run_later, .ctx = &end};
	first.deferred = (struct ax_deferred){.fn = run_later, .ctx = &first};
	never.deferred = (struct ax_deferred){.fn = run_later, .ctx = &never};
	ax_loop_defer(loop, &first.deferred);
	ax_loop_defer(loop, &never.deferred);
	ax_loop_defer(loop, &first.deferred);
	ax_loop_cancel_defer(loop, &never.deferred);
	ax_loop_cancel_defer(loop, &never.deferred);
	run(loop);
	assert_int_equal(first.calls, 1);
	assert_int_equal(end.calls, 1);
	assert_int_equal(never.calls, 0);
	ax_loop_destroy(loop);
}

struct order {
	struct ax_deferred idle, deferred;
	struct ax_loop *loop;
	unsigned deferred_calls, calls_before_idle;
};

static void run_deferred_thrice(void *ctx)
{
	struct order *order = ctx;

	if (++order->deferred_calls < 3)
		ax_loop_defer(order->loop, &order->deferred);
}

static void run_idle(void *ctx)
{
	struct order *order = ctx;

	order->calls_before_idle = order->deferred_calls;
	ax_loop_stop(order->loop);
}

static void idle_calls_come_last(void **state)
{
	struct order order = {.loop = new_loop()};

	(void)state;
	order.idle = (struct ax_deferred){.fn = run_idle, .ctx = &order};
	order.deferred = (struct ax_deferred){.fn = run_deferred_thrice, .ctx = &order};
	ax_loop_defer_idle(order.loop, &order.idle);
	ax_loop_defer_idle(order.loop, &order.idle);
	ax_loop_defer(order.loop, &order.deferred);
	run(order.loop);
	assert_int_equal(order.calls_before_idle, 3);
	/* Cancelled ones do not come, whichever list they are in. */
	order.deferred_calls = 0;
	ax_loop_defer_idle(order.loop, &order.deferred);
	ax_loop_cancel_defer(order.loop, &order.deferred);
	ax_loop_defer_idle(order.loop, &order.idle);
	run(order.loop);
	assert_int_equal(order.deferred_calls, 0);
	ax_loop_destroy(order.loop);
}

/* A descriptor that is always ready keeps the loop from ever being idle. */
static void idle_calls_come_to_a_busy_loop(void **state)
{
	struct order order = {.loop = new_loop()};
	struct actor actor = {.loop = order.loop};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(
		ax_loop_add_fd(order.loop, fds[0], EPOLLIN, count_call, &actor, &actor.event, NULL),
		0);
	order.idle = (struct ax_deferred){.fn = run_idle, .ctx = &order};
	ax_loop_defer_idle(order.loop, &order.idle);
	run(order.loop);
	assert_true(actor.calls >= 2);
	assert_true(actor.calls <= 16);
	ax_loop_destroy(order.loop);
	close(fds[0]);
	close(fds[1]);
}

/* ---- removal and the end --------------------------------------------------------------------- */

/* The loop holds nothing of an fd that was removed and closed: the other end sees it at once. */
static void remove_and_close(void *ctx, int fd, uint32_t events)
{
	struct actor *actor = ctx;
	char c;

	(void)fd;
	(void)events;
	ax_loop_remove(actor->event);
	close(actor->fd);
	actor->calls = 1;
	actor->events = read((int)actor->at_ns, &c, 1) == 0;
	ax_loop_stop(actor->loop);
}

static void a_removed_fd_can_be_closed(void **state)
{
	struct ax_loop *loop = new_loop();
	struct actor actor = {.loop = loop};
	struct ax_event *trigger = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	actor.fd = fds[1];
	actor.at_ns = (uint64_t)fds[0];
	/* The writing end of a full pipe is waited for while it is removed. */
	char page[4096] = "";
	while (write(fds[1], page, sizeof(page)) > 0)
		;
	assert_int_equal(
		ax_loop_add_fd(loop, fds[1], EPOLLOUT, count_call, &actor, &actor.event, NULL), 0);
	assert_int_equal(
		ax_loop_add_timer(loop, 5 * MS, 0, remove_and_close, &actor, &trigger, NULL), 0);
	while (read(fds[0], page, sizeof(page)) == 1)
		;
	run(loop);
	assert_int_equal(actor.calls, 1);
	ax_loop_destroy(loop);
	close(fds[0]);
}

static void change_fd(void *ctx, int fd, uint32_t events)
{
	struct actor *actor = ctx;

	(void)fd;
	(void)events;
	actor->stop_after = 1;
	ax_loop_modify_fd(actor->event, EPOLLOUT);
}

/* Interest is changed while the loop waits for something else, put to sleep, and back again. */
static void interest_changes_in_flight(void **state)
{
	struct ax_loop *loop = new_loop();
	struct actor actor = {.loop = loop};
	struct ax_event *timer = NULL;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(
		ax_loop_add_fd(loop, pair[0], EPOLLIN, count_call, &actor, &actor.event, NULL), 0);
	assert_int_equal(ax_loop_add_timer(loop, 2 * MS, 0, change_fd, &actor, &timer, NULL), 0);
	run(loop);
	assert_int_equal(actor.calls, 1);
	assert_int_equal(actor.events, EPOLLOUT);
	/* Asleep, not even a hang-up is told. */
	assert_int_equal(ax_loop_modify_fd(actor.event, 0), 0);
	close(pair[1]);
	struct actor end;
	add_end(&end, loop, 3 * MS);
	run(loop);
	assert_int_equal(actor.calls, 1);
	ax_loop_destroy(loop);
	close(pair[0]);
}

struct churn {
	struct ax_loop *loop;
	struct ax_event *events[32];
	int fds[32];
	unsigned calls;
};

static void churn_call(void *ctx, int fd, uint32_t events)
{
	struct churn *churn = ctx;

	(void)fd;
	(void)events;
	/* Any of them goes away, fd and all, ready or not, and a new one takes its place. */
	unsigned i = (churn->calls * 7 + 3) % 32;
	ax_loop_remove(churn->events[i]);
	close(churn->fds[i]);
	churn->fds[i] = eventfd(1, EFD_CLOEXEC);
	if ((churn->calls % 2 ? ax_loop_add_fd(churn->loop, churn->fds[i], EPOLLIN, churn_call,
					       churn, &churn->events[i], NULL)
			      : ax_loop_add_eventfd(churn->loop, churn->fds[i], churn_call, churn,
						    &churn->events[i], NULL)) < 0 ||
	    ++churn->calls == 5000)
		ax_loop_stop(churn->loop);
}

static void events_come_and_go(void **state)
{
	struct churn churn = {.loop = new_loop()};

	(void)state;
	for (int i = 0; i < 32; i++) {
		churn.fds[i] = eventfd(1, EFD_CLOEXEC);
		assert_int_equal(ax_loop_add_fd(churn.loop, churn.fds[i], EPOLLIN, churn_call,
						&churn, &churn.events[i], NULL),
				 0);
	}
	run(churn.loop);
	assert_int_equal(churn.calls, 5000);
	ax_loop_destroy(churn.loop);
	for (int i = 0; i < 32; i++)
		close(churn.fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eventfds_are_read_by_the_loop),
		cmocka_unit_test(kicks_from_another_thread),
		cmocka_unit_test(timers_can_be_set_again),
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(deferred_calls_run_once),
		cmocka_unit_test(idle_calls_come_last),
		cmocka_unit_test(idle_calls_come_to_a_busy_loop),
		cmocka_unit_test(a_removed_fd_can_be_closed),
		cmocka_unit_test(interest_changes_in_flight),
		cmocka_unit_test(events_come_and_go),
	};
	return RUN_WITH_BOTH("base-loop-events", tests);
}
