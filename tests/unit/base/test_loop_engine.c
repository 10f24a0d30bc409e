/*
 * The engine of an event loop: which one it is, what happens where io_uring is forbidden, and what
 * a loop costs and leaves behind.
 */
#include "loop.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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

/* In a child of its own: from here on io_uring_setup answers EPERM, as by kernel.io_uring_disabled.
 */
static bool forbid_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {AX_ARRAY_LEN(code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void count_line(void *ctx, enum ax_log_level level, const char *layer, const char *line)
{
	(void)level;
	(void)layer;
	if (strstr(line, "epoll") && strstr(line, "not permitted"))
		++*(unsigned *)ctx;
}

enum { FINE, SKIPPED, WRONG_ERROR, WRONG_FALLBACK, WRONG_LOG };

static int without_io_uring(void)
{
	struct ax_loop *loop = NULL;
	struct ax_error err = {0};
	unsigned lines = 0;

	if (!forbid_io_uring())
		return SKIPPED;
	if (ax_loop_create(AX_LOOP_IO_URING, &loop, &err) != -EPERM || loop ||
	    err.kind != AX_ERROR_UNSUPPORTED || !strstr(err.hint, "seccomp"))
		return WRONG_ERROR;
	ax_log_set_level(AX_LOG_INFO);
	ax_log_set_sink(count_line, &lines);
	if (ax_loop_create(AX_LOOP_AUTO, &loop, &err) < 0)
		return WRONG_FALLBACK;
	for (int i = 0; i < 3; i++) {
		ax_loop_stop(loop);
		if (ax_loop_run(loop, &err) < 0 || strcmp(ax_loop_engine_name(loop), "epoll") != 0)
			return WRONG_FALLBACK;
	}
	ax_loop_destroy(loop);
	return lines == 1 ? FINE : WRONG_LOG;
}

static void io_uring_may_be_forbidden(void **state)
{
	int status = -1;

	(void)state;
	if (engine == AX_LOOP_EPOLL)
		skip();
	pid_t child = fork();
	if (child == 0)
		_exit(without_io_uring());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_loops),
		cmocka_unit_test(engines_have_names),
		cmocka_unit_test(io_uring_may_be_forbidden),
	};
	return RUN_WITH_BOTH("base-loop-engine", tests);
}
