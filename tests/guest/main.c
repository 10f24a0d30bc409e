/*
 * Runs the payload tests: each in a process of its own with a time limit, one line for each.
 * `payloads [NAME]...` runs only the tests whose name begins with a NAME; `--list` prints them.
 */
#include "guest.h"
#include "tests.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Those of every architecture; tests.h has its own. One row a subject. */
/* clang-format off */
#define TESTS(X) \
	X(mmio_widths) X(mmio_signed) X(mmio_hole) X(mmio_hole_fault) X(hypercall) X(doorbell_mmio) \
	X(memory_read_only) X(memory_unmap) X(memory_protect) \
	X(registers) X(halt_blocked) X(end_fault) X(end_efault) \
	X(power_off) X(power_reset) X(power_panic) X(marks) \
	X(kick_spinning) X(kick_timeout) X(kick_max_exits) X(kick_pause) \
	X(line_irqfd) X(line_level) X(timer) X(uart_echo) \
	X(smp_start) X(smp_off) X(virtio_mmio_id) X(stats_match) X(stats_names) \
	ARCH_TESTS(X)
/* clang-format on */

#define DECLARE(name) extern const struct guest_test test_##name;
#define LIST(name)    &test_##name,
TESTS(DECLARE)
static const struct guest_test *const tests[] = {TESTS(LIST)};

#define EXIT_SKIP    77
#define TIME_LIMIT_S 60
static int result_fd = -1; /* in a test's process: where its reason goes */

static void AX_PRINTF(1, 0) tell(const char *fmt, va_list args)
{
	char text[4096];
	int n = vsnprintf(text, sizeof(text), fmt, args);

	if (n > 0 &&
	    write(result_fd, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1) < 0)
		_exit(1);
}

void guest_fail(const char *file, int line, const char *cond, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	va_list args;

	dprintf(result_fd, "%s:%d: (%s) ", base ? base + 1 : file, line, cond);
	va_start(args, fmt);
	tell(fmt, args);
	va_end(args);
	_exit(1);
}

void guest_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	tell(fmt, args);
	va_end(args);
	_exit(EXIT_SKIP);
}

/* The reason's first line belongs to the result; the rest (registers) follows indented. */
static void print_result(const char *verdict, const char *name, char *why)
{
	char *rest = strchr(why, '\n');

	if (rest)
		*rest++ = '\0';
	printf("%s %s%s%s\n", verdict, name, *why ? ": " : "", why);
	for (char *line = rest ? strtok(rest, "\n") : NULL; line; line = strtok(NULL, "\n"))
		printf("    %s\n", line);
	fflush(stdout);
}

/* True unless it failed. */
static bool run_test(const struct guest_test *test)
{
	char why[4096];
	size_t used = 0;
	int fds[2], status;

	fflush(stdout);
	if (pipe(fds) < 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		result_fd = fds[1];
		alarm(TIME_LIMIT_S);
		test->run();
		exit(0); /* not _exit: sanitizers look for leaks here */
	}
	close(fds[1]);
	for (ssize_t n;
	     used < sizeof(why) - 1 && (n = read(fds[0], why + used, sizeof(why) - 1 - used)) > 0;)
		used += (size_t)n;
	why[used] = '\0';
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		print_result("PASS", test->name, why);
		return true;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
		print_result("SKIP", test->name, why);
		return true;
	}
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "ended by signal %d (%s)", WTERMSIG(status),
			 WTERMSIG(status) == SIGALRM ? "it took too long"
						     : strsignal(WTERMSIG(status)));
	else if (!used)
		snprintf(why, sizeof(why), "exit status %d", WEXITSTATUS(status));
	print_result("FAIL", test->name, why);
	return false;
}

static bool chosen(const struct guest_test *test, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strncmp(test->name, *names, strlen(*names)))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct ax_error err = {0};
	bool list = argc > 1 && !strcmp(argv[1], "--list");
	bool usable = list || axarch_native()->probe(NULL, &err) == 0;
	unsigned failed = 0;

	for (size_t i = 0; i < AX_ARRAY_LEN(tests); i++) {
		if (list)
			puts(tests[i]->name);
		else if (!chosen(tests[i], argv + 1))
			continue;
		else if (!usable)
			print_result("SKIP", tests[i]->name, err.message);
		else if (!run_test(tests[i]))
			failed++;
	}
	return failed ? 1 : 0;
}
