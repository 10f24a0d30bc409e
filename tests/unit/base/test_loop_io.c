/*
 * What the event loop does beyond waiting: I/O operations, deferred calls, eventfds, timers set
 * again, fds kept and forgotten, and what happens to all of it when the run ends. With each engine.
 */
#include "../test.h"

#include <axvm/base.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS 1000000ULL

static enum ax_loop_engine engine = AX_LOOP_EPOLL;

static struct ax_loop *new_loop(void)
{
	struct ax_loop *loop = NULL;

	assert_int_equal(ax_loop_create(engine, &loop, NULL), 0);
	return loop;
}

static int new_file(void)
{
	char path[] = "/tmp/axvm-loop-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* An operation that notes its result, and stops the loop when it is the last of `left`. */
struct io {
	struct ax_op op;
	struct ax_loop *loop;
	unsigned *left;
	unsigned calls;
	int32_t result;
	struct iovec iov;
};

static void io_done(struct ax_op *op, int32_t result)
{
	struct io *io = ax_container_of(op, struct io, op);

	io->calls++;
	io->result = result;
	if (io->left && --*io->left == 0)
		ax_loop_stop(io->loop);
}

static struct io new_io(struct ax_loop *loop, unsigned *left, void *buf, size_t len)
{
	return (struct io){.op.fn = io_done, .loop = loop, .left = left, .iov = {buf, len}};
}

static void run(struct ax_loop *loop)
{
	struct ax_error err = {0};

	if (ax_loop_run(loop, &err) < 0)
		fail_msg("%s", err.message);
}

static void every_kind_of_operation(void **state)
{
	struct ax_loop *loop = new_loop();
	struct ax_loop_stats stats;
	char out[2][4] = {"abc", "def"}, in[16] = "";
	const struct iovec two[2] = {{out[0], 3}, {out[1], 3}};
	int fd = new_file();
	unsigned left = 1;
	struct io io = new_io(loop, &left, in, sizeof(in));

	(void)state;
	ax_op_writev(loop, &io.op, fd, two, 2, 5, RWF_DSYNC);
	assert_int_equal(io.calls, 0);
	run(loop);
	assert_int_equal(io.result, 6);

	left = 1;
	ax_op_readv(loop, &io.op, fd, &io.iov, 1, 5, 0);
	run(loop);
	assert_int_equal(io.result, 6);
	assert_memory_equal(in, "abcdef", 6);

	left = 1; /* at the end there is nothing */
	ax_op_readv(loop, &io.op, fd, &io.iov, 1, 11, 0);
	run(loop);
	assert_int_equal(io.result, 0);

	left = 1;
	ax_op_fdatasync(loop, &io.op, fd);
	run(loop);
	assert_int_equal(io.result, 0);

	left = 1;
	ax_op_fallocate(loop, &io.op, fd, 0, 4096, 4096);
	run(loop);
	assert_int_equal(io.result, 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 8192);

	left = 1;
	ax_op_fallocate(loop, &io.op, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
	run(loop);
	assert_int_equal(io.result, 0);
	left = 1;
	ax_op_readv(loop, &io.op, fd, &io.iov, 1, 5, 0);
	run(loop);
	assert_int_equal(io.result, sizeof(in));
	assert_int_equal(in[0], 0);

	ax_loop_get_stats(loop, &stats);
	assert_int_equal(stats.ops, 7);
	assert_true(stats.syscalls >= 7);
	ax_loop_destroy(loop);
	close(fd);
}

static void errors_of_operations(void **state)
{
	struct ax_loop *loop = new_loop();
	char buf[8];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	unsigned left = 4;
	struct io io[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		io[i] = new_io(loop, &left, buf, sizeof(buf));
	ax_op_readv(loop, &io[0].op, -1, &io[0].iov, 1, 0, 0);
	ax_op_writev(loop, &io[1].op, fd, &io[1].iov, 1, 0, 0); /* not open for writing */
	ax_op_fdatasync(loop, &io[2].op, fd);
	ax_op_fallocate(loop, &io[3].op, fd, 0, 0, 4096);
	run(loop);
	assert_int_equal(io[0].result, -EBADF);
	assert_int_equal(io[1].result, -EBADF);
	assert_int_equal(io[2].result, -EINVAL);
	assert_int_equal(io[3].result, -EBADF);
	ax_loop_destroy(loop);
	close(fd);
}

/* Many times what a ring holds, begun in one go, each byte in its place. */
static void thousands_at_once(void **state)
{
	enum { N = 5000 };
	struct ax_loop *loop = new_loop();
	struct io *io = calloc(N, sizeof(*io));
	uint32_t *values = calloc(N, sizeof(*values)), *back = calloc(N, sizeof(*back));
	int fd = new_file();
	unsigned left = N;

	(void)state;
	ax_loop_keep_fd(loop, fd);
	for (uint32_t i = 0; i < N; i++) {
		values[i] = i ^ 0xa5a5;
		io[i] = new_io(loop, &left, &values[i], sizeof(values[i]));
		ax_op_writev(loop, &io[i].op, fd, &io[i].iov, 1, i * sizeof(values[i]), 0);
	}
	run(loop);
	left = N;
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(io[i].calls, 1);
		assert_int_equal(io[i].result, sizeof(values[i]));
		io[i].iov.iov_base = &back[i];
		ax_op_readv(loop, &io[i].op, fd, &io[i].iov, 1, i * sizeof(values[i]), 0);
	}
	run(loop);
	assert_memory_equal(values, back, N * sizeof(*values));
	ax_loop_forget_fd(loop, fd);
	ax_loop_destroy(loop);
	close(fd);
	free(io);
	free(values);
	free(back);
}

/* They start in the order of the calls: a stream shows it. */
static void operations_start_in_order(void **state)
{
	enum { N = 400 };
	struct ax_loop *loop = new_loop();
	static struct io io[N];
	static uint16_t out[N], in[N];
	unsigned left = N;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	for (uint16_t i = 0; i < N; i++) {
		out[i] = i;
		io[i] = new_io(loop, &left, &out[i], sizeof(out[i]));
		ax_op_writev(loop, &io[i].op, fds[1], &io[i].iov, 1, AX_OP_NO_OFFSET, 0);
	}
	run(loop);
	assert_int_equal(read(fds[0], in, sizeof(in)), sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	ax_loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
}

static void what_is_not_ready_says_so(void **state)
{
	struct ax_loop *loop = new_loop();
	char buf[8];
	unsigned left = 2;
	struct io a = new_io(loop, &left, buf, sizeof(buf));
	struct io b = new_io(loop, &left, buf, sizeof(buf));
	int fds[2], pair[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	ax_op_readv(loop, &a.op, fds[0], &a.iov, 1, AX_OP_NO_OFFSET, 0);
	ax_op_readv(loop, &b.op, pair[0], &b.iov, 1, AX_OP_NO_OFFSET, 0);
	run(loop);
	assert_int_equal(a.result, -EAGAIN);
	assert_int_equal(b.result, -EAGAIN);
	assert_int_equal(write(pair[1], "packet", 6), 6);
	left = 1;
	ax_op_readv(loop, &b.op, pair[0], &b.iov, 1, AX_OP_NO_OFFSET, 0);
	run(loop);
	assert_int_equal(b.result, 6);
	ax_loop_destroy(loop);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(pair[i]);
	}
}

/* An operation begins another in its callback, more often than a stack could stand. */
struct chain {
	struct io io;
	int fd;
	unsigned more;
};

static void next_link(struct ax_op *op, int32_t result)
{
	struct chain *chain = ax_container_of(op, struct chain, io.op);

	io_done(op, result);
	if (chain->more-- > 0)
		ax_op_readv(chain->io.loop, op, chain->fd, &chain->io.iov, 1, 0, 0);
	else
		ax_loop_stop(chain->io.loop);
}

static void operations_begin_operations(void **state)
{
	char buf[8];
	struct chain chain = {.io = new_io(new_loop(), NULL, buf, sizeof(buf)), .more = 20000};

	(void)state;
	chain.fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	chain.io.op.fn = next_link;
	ax_op_readv(chain.io.loop, &chain.io.op, chain.fd, &chain.io.iov, 1, 0, 0);
	run(chain.io.loop);
	assert_int_equal(chain.io.calls, 20001);
	assert_int_equal(chain.io.result, sizeof(buf));
	ax_loop_destroy(chain.io.loop);
	close(chain.fd);
}

/* Stop comes first; what was begun, and what that begins, still ends within the run. */
static void operations_outlive_the_stop(void **state)
{
	char buf[8];
	struct chain chain = {.io = new_io(new_loop(), NULL, buf, sizeof(buf)), .more = 50};

	(void)state;
	chain.fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	chain.io.op.fn = next_link;
	ax_op_readv(chain.io.loop, &chain.io.op, chain.fd, &chain.io.iov, 1, 0, 0);
	ax_loop_stop(chain.io.loop);
	run(chain.io.loop);
	assert_int_equal(chain.io.calls, 51);
	ax_loop_destroy(chain.io.loop);
	close(chain.fd);
}

/* ---- events -------------------------------------------------------------------------- */

struct actor {
	struct ax_loop *loop;
	struct ax_event *event;
	unsigned calls, stop_after;
	int fd;
	uint32_t events;
	uint64_t at_ns;
};

static void count_call(void *ctx, int fd, uint32_t events)
{
	struct actor *actor = ctx;

	actor->calls++;
	actor->fd = fd;
	actor->events = events;
	actor->at_ns = ax_clock_ns();
	if (actor->calls == actor->stop_after)
		ax_loop_stop(actor->loop);
}

static void add_end(struct actor *end, struct ax_loop *loop, uint64_t delay_ns)
{
	*end = (struct actor){.loop = loop, .stop_after = 1};
	assert_int_equal(ax_loop_add_timer(loop, delay_ns, 0, count_call, end, &end->event, NULL),
			 0);
}

/* A read that blocks has a thread of the kernel's, and a timer goes on meanwhile. */
static void a_slow_operation_keeps_nobody(void **state)
{
	struct ax_loop *loop;
	struct actor end;
	char buf[4];
	int fds[2];

	(void)state;
	if (engine == AX_LOOP_EPOLL)
		skip(); /* it does one after the other */
	loop = new_loop();
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	struct io slow = new_io(loop, NULL, buf, sizeof(buf));
	ax_op_readv(loop, &slow.op, fds[0], &slow.iov, 1, 0, 0);
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	unsigned left = 1;
	struct io quick = new_io(loop, &left, buf, sizeof(buf));
	ax_op_readv(loop, &quick.op, zero, &quick.iov, 1, 0, 0);
	add_end(&end, loop, 1000000 * MS);
	struct ax_thread_config config = {.name = "io 0"};
	struct ax_thread *thread = NULL;
	assert_int_equal(ax_thread_start(&config, (void (*)(void *))(void (*)(void))run, loop,
					 &thread, NULL),
			 0);
	usleep(30000); /* it has stopped, and waits for the slow one */
	assert_int_equal(write(fds[1], "done", 4), 4);
	ax_thread_join(thread);
	assert_int_equal(quick.calls, 1);
	assert_int_equal(slow.result, 4);
	ax_loop_destroy(loop);
	close(fds[0]);
	close(fds[1]);
	close(zero);
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

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		timers[i].loop = loop;
		assert_int_equal(ax_loop_add_timer(loop, (i * 17 % 50 + 1) * MS / 10, 0, count_call,
						   &timers[i], &timers[i].event, NULL),
				 0);
	}
	ax_loop_remove(timers[0].event);
	add_end(&end, loop, 10 * MS);
	run(loop);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(timers[i].calls, i ? 1 : 0);
	for (unsigned i = 1; i < 50; i++)
		for (unsigned j = 1; j < 50; j++)
			if (i * 17 % 50 < j * 17 % 50)
				assert_true(timers[i].at_ns <= timers[j].at_ns);
	ax_loop_destroy(loop);
}

/* ---- deferred ------------------------------------------------------------------------ */

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

/* ---- removal and the end -------------------------------------------------------------- */

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

/* A number that is forgotten and reused means the new file, not the one the ring had. */
struct reuse {
	struct io io;
	char text[4];
	int fd;
	unsigned round;
	bool wrong;
};

static void next_file(struct ax_op *op, int32_t result)
{
	struct reuse *reuse = ax_container_of(op, struct reuse, io.op);
	const char expected = (char)('a' + reuse->round % 26);

	if (result != 1 || reuse->text[0] != expected)
		reuse->wrong = true;
	if (reuse->wrong || reuse->round++ == 100) {
		ax_loop_stop(reuse->io.loop);
		return;
	}
	ax_loop_forget_fd(reuse->io.loop, reuse->fd);
	const int before = reuse->fd;
	close(reuse->fd);
	reuse->fd = new_file();
	const char next = (char)('a' + reuse->round % 26);
	if (reuse->fd != before || pwrite(reuse->fd, &next, 1, 0) != 1)
		reuse->wrong = true;
	if (reuse->round % 3)
		ax_loop_keep_fd(reuse->io.loop, reuse->fd);
	ax_op_readv(reuse->io.loop, op, reuse->fd, &reuse->io.iov, 1, 0, 0);
}

static void kept_fds_are_forgotten(void **state)
{
	struct reuse reuse = {.io = new_io(new_loop(), NULL, NULL, 0), .fd = new_file()};

	(void)state;
	reuse.io.op.fn = next_file;
	reuse.io.iov = (struct iovec){reuse.text, 1};
	assert_int_equal(pwrite(reuse.fd, "a", 1, 0), 1);
	ax_loop_forget_fd(reuse.io.loop, reuse.fd); /* was never kept */
	ax_loop_keep_fd(reuse.io.loop, reuse.fd);
	ax_loop_keep_fd(reuse.io.loop, reuse.fd);
	ax_op_readv(reuse.io.loop, &reuse.io.op, reuse.fd, &reuse.io.iov, 1, 0, 0);
	run(reuse.io.loop);
	assert_false(reuse.wrong);
	assert_int_equal(reuse.round, 101);
	for (int fd = 1000; fd < 1200; fd++) /* more than there is room for */
		ax_loop_keep_fd(reuse.io.loop, fd);
	ax_loop_destroy(reuse.io.loop);
	close(reuse.fd);
}

static unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void a_thousand_loops(void **state)
{
	int fd = new_file(), kick = eventfd(0, EFD_CLOEXEC);
	const unsigned before = open_fds();
	const uint64_t begin = ax_clock_ns();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct ax_loop *loop = new_loop();
		struct actor actor = {.loop = loop};
		unsigned left = 1;
		char c = 'x';
		struct io io = new_io(loop, &left, &c, 1);

		assert_int_equal(
			ax_loop_add_eventfd(loop, kick, count_call, &actor, &actor.event, NULL), 0);
		ax_loop_keep_fd(loop, fd);
		ax_op_writev(loop, &io.op, fd, &io.iov, 1, 0, 0);
		run(loop);
		assert_int_equal(io.result, 1);
		ax_loop_destroy(loop);
	}
	print_message("a loop's life: %llu us\n",
		      (unsigned long long)(ax_clock_ns() - begin) / 1000000);
	assert_int_equal(open_fds(), before);
	close(fd);
	close(kick);
}

static void engines_have_names(void **state)
{
	struct ax_loop *loop = new_loop();

	(void)state;
	assert_string_equal(ax_loop_engine_name(loop),
			    engine == AX_LOOP_EPOLL ? "epoll" : "io_uring");
	ax_loop_destroy(loop);
	assert_int_equal(ax_loop_create(AX_LOOP_AUTO, &loop, NULL), 0);
	ax_loop_stop(loop);
	run(loop);
	if (engine != AX_LOOP_EPOLL)
		assert_string_equal(ax_loop_engine_name(loop), "io_uring");
	ax_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_operation),
		cmocka_unit_test(errors_of_operations),
		cmocka_unit_test(thousands_at_once),
		cmocka_unit_test(operations_start_in_order),
		cmocka_unit_test(what_is_not_ready_says_so),
		cmocka_unit_test(operations_begin_operations),
		cmocka_unit_test(operations_outlive_the_stop),
		cmocka_unit_test(a_slow_operation_keeps_nobody),
		cmocka_unit_test(eventfds_are_read_by_the_loop),
		cmocka_unit_test(kicks_from_another_thread),
		cmocka_unit_test(timers_can_be_set_again),
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(deferred_calls_run_once),
		cmocka_unit_test(a_removed_fd_can_be_closed),
		cmocka_unit_test(interest_changes_in_flight),
		cmocka_unit_test(events_come_and_go),
		cmocka_unit_test(kept_fds_are_forgotten),
		cmocka_unit_test(a_thousand_loops),
		cmocka_unit_test(engines_have_names),
	};
	int failed = cmocka_run_group_tests_name("base-loop-io epoll", tests, NULL, NULL);
	struct ax_loop *loop = NULL;
	struct ax_error err = {0};

	engine = AX_LOOP_IO_URING;
	if (ax_loop_create(engine, &loop, &err) < 0) {
		print_message("base-loop-io io_uring: skipped, %s\n", err.message);
		return failed;
	}
	ax_loop_destroy(loop);
	return failed + cmocka_run_group_tests_name("base-loop-io io_uring", tests, NULL, NULL);
}
