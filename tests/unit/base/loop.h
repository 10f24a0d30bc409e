/*
 * For the tests of the event loop: they are run with each engine, those of io_uring where it can be
 * had.
 */
#ifndef AX_TEST_LOOP_H
#define AX_TEST_LOOP_H

#include "../test.h"

#include <axvm/base.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS 1000000ULL

static enum ax_loop_engine engine = AX_LOOP_EPOLL;

static inline struct ax_loop *new_loop(void)
{
	struct ax_loop *loop = NULL;
	struct ax_error err = {0};

	if (ax_loop_create(engine, &loop, &err) < 0)
		fail_msg("%s", err.message);
	return loop;
}

static inline void run(struct ax_loop *loop)
{
	struct ax_error err = {0};

	if (ax_loop_run(loop, &err) < 0)
		fail_msg("%s", err.message);
}

static inline int new_file(void)
{
	char path[] = "/tmp/axvm-loop-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* What a callback needs to know; each test uses the fields it wants. */
struct actor {
	struct ax_loop *loop;
	struct ax_event *event;
	struct ax_event *victim;
	unsigned int calls;
	unsigned int stop_after;
	int fd;
	uint32_t events;
	uint64_t at_ns;
};

static inline void count_call(void *ctx, int fd, uint32_t events)
{
	struct actor *actor = ctx;

	actor->calls++;
	actor->fd = fd;
	actor->events = events;
	actor->at_ns = ax_clock_ns();
	if (actor->stop_after && actor->calls >= actor->stop_after)
		ax_loop_stop(actor->loop);
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

static inline void io_done(struct ax_op *op, int32_t result)
{
	struct io *io = ax_container_of(op, struct io, op);

	io->calls++;
	io->result = result;
	if (io->left && --*io->left == 0)
		ax_loop_stop(io->loop);
}

static inline struct io new_io(struct ax_loop *loop, unsigned *left, void *buf, size_t len)
{
	return (struct io){.op.fn = io_done, .loop = loop, .left = left, .iov = {buf, len}};
}

static inline bool can_have_io_uring(const char *name)
{
	struct ax_loop *loop = NULL;
	struct ax_error err = {0};

	engine = AX_LOOP_IO_URING;
	if (ax_loop_create(engine, &loop, &err) < 0) {
		print_message("%s io_uring: skipped, %s\n", name, err.message);
		return false;
	}
	ax_loop_destroy(loop);
	return true;
}

/* The result of main. */
#define RUN_WITH_BOTH(name, tests)                                                   \
	(cmocka_run_group_tests_name(name " epoll", tests, NULL, NULL) +             \
	 (can_have_io_uring(name)                                                    \
		  ? cmocka_run_group_tests_name(name " io_uring", tests, NULL, NULL) \
		  : 0))

#endif
