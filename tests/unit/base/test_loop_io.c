/*
 * I/O operations of the event loop: every kind, thousands at once, their order, those that are slow
 * or not ready, fds kept and forgotten, and what happens to all of it when the run ends.
 */
#include "loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

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
	for (unsigned i = 0; i < N; i++) {
		out[i] = (uint16_t)i;
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

/* A read that blocks has a thread of the kernel's, and a timer goes on meanwhile. */
static void a_slow_operation_keeps_nobody(void **state)
{
	struct ax_loop *loop;
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

/* The thread of the kernel's that does this thread's slow operation; 0: none yet. */
static pid_t find_worker(void)
{
	DIR *tasks = opendir("/proc/self/task");
	char path[300], name[32], wanted[32];
	const struct dirent *item;
	pid_t found = 0;

	snprintf(wanted, sizeof(wanted), "iou-wrk-%d\n", (int)gettid());
	while (tasks && (item = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", item->d_name);
		FILE *file = fopen(path, "re");

		if (file && fgets(name, sizeof(name), file) && !strcmp(name, wanted))
			found = (pid_t)strtol(item->d_name, NULL, 10);
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return found;
}

struct move {
	struct ax_op op;
	struct ax_loop *loop;
	pid_t worker;
	bool can_be_moved; /* since Linux 6.3 */
	cpu_set_t to, seen;
};

/* The worker has just ended this, and waits for more. */
static void move_after_a_sync(struct ax_op *op, int32_t result)
{
	struct move *move = ax_container_of(op, struct move, op);

	(void)result;
	move->worker = find_worker();
	sched_setaffinity(0, sizeof(move->to), &move->to);
	ax_loop_confine(move->loop);
	if (move->worker) {
		sched_getaffinity(move->worker, sizeof(move->seen), &move->seen);
		move->can_be_moved =
			sched_setaffinity(move->worker, sizeof(move->to), &move->to) == 0;
	}
	ax_loop_stop(move->loop);
}

/* Where the loop's thread goes, those go that work for it already. */
static void workers_move_with_the_thread(void **state)
{
	cpu_set_t before;

	(void)state;
	sched_getaffinity(0, sizeof(before), &before);
	if (engine == AX_LOOP_EPOLL || CPU_COUNT(&before) < 2)
		skip();
	struct move move = {.op.fn = move_after_a_sync, .loop = new_loop(), .to = before};
	for (int cpu = 0; CPU_COUNT(&move.to) > 1; cpu++)
		CPU_CLR(cpu, &move.to);
	int fd = new_file();
	ax_op_fdatasync(move.loop, &move.op, fd);
	run(move.loop);
	sched_setaffinity(0, sizeof(before), &before);
	ax_loop_destroy(move.loop);
	close(fd);
	assert_true(move.worker > 0);
	if (!move.can_be_moved) {
		print_message("SKIP: this kernel lets nobody move its workers\n");
		skip();
	}
	assert_true(CPU_EQUAL(&move.seen, &move.to));
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
		cmocka_unit_test(workers_move_with_the_thread),
		cmocka_unit_test(kept_fds_are_forgotten),
	};
	return RUN_WITH_BOTH("base-loop-io", tests);
}
