/*
 * clock RESULT COMMAND...        runs COMMAND, writes the nanoseconds from its exec to its end
 * clock -s RESULT COMMAND...     waits for SIGUSR1, sends COMMAND SIGINT then, writes the
 *                                nanoseconds from that to its end
 *
 * The second number in RESULT is the exit status. Static, so that it runs wherever the monitors do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* In the child: the start is stamped as late as can be, through a pipe that closes on exec. */
static void become(int start_fd, char **argv)
{
	long long start;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL); /* a shell's background jobs ignore it */
	start = now_ns();
	if (write(start_fd, &start, sizeof(start)) == sizeof(start))
		execvp(argv[0], argv);
	fprintf(stderr, "clock: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int main(int argc, char **argv)
{
	bool stop = argc > 3 && !strcmp(argv[1], "-s");
	long long start, end;
	int pipe_fds[2], status;
	const char *result;
	FILE *out;
	sigset_t asked;
	pid_t pid;

	if (stop)
		argv++, argc--;
	if (argc < 3) {
		fprintf(stderr, "usage: clock [-s] RESULT COMMAND...\n");
		return 64;
	}
	result = argv[1];
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		perror("clock: pipe");
		return 1;
	}
	sigemptyset(&asked);
	sigaddset(&asked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &asked, NULL);
	pid = fork();
	if (pid < 0) {
		perror("clock: fork");
		return 1;
	}
	if (!pid)
		become(pipe_fds[1], argv + 2);
	close(pipe_fds[1]);
	if (read(pipe_fds[0], &start, sizeof(start)) != sizeof(start)) {
		fprintf(stderr, "clock: the child did not start\n");
		return 1;
	}
	if (stop) {
		int number;

		sigwait(&asked, &number);
		start = now_ns();
		kill(pid, SIGINT);
	}
	if (waitpid(pid, &status, 0) != pid) {
		perror("clock: wait");
		return 1;
	}
	end = now_ns();
	out = fopen(result, "w");
	if (!out) {
		fprintf(stderr, "clock: %s: %s\n", result, strerror(errno));
		return 1;
	}
	fprintf(out, "%lld %d\n", end - start,
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return fclose(out) ? 1 : 0;
}
