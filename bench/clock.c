/*
 * clock RESULT COMMAND...        runs COMMAND, writes the nanoseconds from its exec to its end
 * clock -d MS RESULT COMMAND...  sends it SIGINT after MS milliseconds, writes the nanoseconds from
 *                                the signal to its end
 *
 * The second number in RESULT is the exit status. Static, so that it runs wherever the monitors do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

	signal(SIGINT, SIG_DFL); /* a shell's background jobs ignore it */
	start = now_ns();
	if (write(start_fd, &start, sizeof(start)) == sizeof(start))
		execvp(argv[0], argv);
	fprintf(stderr, "clock: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int main(int argc, char **argv)
{
	long delay_ms = 0;
	long long start, end;
	int pipe_fds[2], status;
	const char *result;
	FILE *out;
	pid_t pid;

	if (argc > 3 && !strcmp(argv[1], "-d")) {
		delay_ms = strtol(argv[2], NULL, 10);
		argv += 2;
		argc -= 2;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: clock [-d MS] RESULT COMMAND...\n");
		return 64;
	}
	result = argv[1];
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		perror("clock: pipe");
		return 1;
	}
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
	if (delay_ms) {
		struct timespec nap = {.tv_sec = delay_ms / 1000,
				       .tv_nsec = delay_ms % 1000 * 1000000};

		nanosleep(&nap, NULL);
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
