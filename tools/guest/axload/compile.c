/*
 * What a build with many small files asks of a machine: for each operation two programs are started
 * and ended, one reads a file and computes, a pipe takes what it has to the other, which writes a
 * file. Leaves what is measured to axload.c.
 */
#include "axload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOURCE_BYTES (32 * 1024)
#define PASSES       8

static int open_or_fail(const char *path, int flags)
{
	const int fd = open(path, flags, 0600);

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	return fd;
}

static void copy(int from, int to, unsigned passes)
{
	static unsigned char text[SOURCE_BYTES];
	ssize_t n;

	while ((n = read(from, text, sizeof(text))) > 0) {
		for (unsigned pass = 0; pass < passes; pass++)
			for (ssize_t i = 1; i < n; i++)
				text[i] = (unsigned char)(text[i] * 31 + text[i - 1]);
		if (write(to, text, (size_t)n) != n)
			fail("write: %s", strerror(errno));
	}
	if (n < 0)
		fail("read: %s", strerror(errno));
}

/* Starts this program as one of the two stages. */
static pid_t start(const char *stage, const char *path, int in, int out, int unused)
{
	const pid_t pid = fork();

	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid)
		return pid;
	dup2(in, 0);
	dup2(out, 1);
	close(unused);
	execl("/proc/self/exe", "axload", "compile", stage, path, (char *)NULL);
	_exit(127);
}

static void one(const char *source, const char *object)
{
	int ends[2], status = 0;

	if (pipe2(ends, O_CLOEXEC) != 0)
		fail("pipe: %s", strerror(errno));
	start("first", source, 0, ends[1], ends[0]);
	start("second", object, ends[0], 1, ends[1]);
	close(ends[0]);
	close(ends[1]);
	for (int i = 0; i < 2; i++)
		if (wait(&status) < 0 || status != 0)
			fail("a stage ended with status %d", status);
	unlink(object);
}

static void work(unsigned job, uint64_t ops)
{
	static const char text[SOURCE_BYTES];
	char source[64], object[64];

	snprintf(source, sizeof(source), "/tmp/%u.c", job);
	snprintf(object, sizeof(object), "/tmp/%u.o", job);
	const int fd = open_or_fail(source, O_WRONLY | O_CREAT | O_TRUNC);
	if (write(fd, text, sizeof(text)) != sizeof(text))
		fail("%s: %s", source, strerror(errno));
	close(fd);
	for (uint64_t i = 0; i < ops; i++)
		one(source, object);
	unlink(source);
}

int axload_compile(int argc, char **argv)
{
	const unsigned jobs = (unsigned)number(argc, argv, "jobs", 1);
	const uint64_t ops = number(argc, argv, "ops", 100);
	struct span span;
	int status;

	if (!strcmp(argv[1], "first")) {
		copy(open_or_fail(argv[2], O_RDONLY), 1, PASSES);
		return 0;
	}
	if (!strcmp(argv[1], "second")) {
		copy(0, open_or_fail(argv[2], O_WRONLY | O_CREAT | O_TRUNC), 1);
		return 0;
	}
	if (!jobs || jobs > MAX_JOBS)
		fail("jobs is 1 to %d", MAX_JOBS);
	span_begin(&span, "compile", argc, argv);
	for (unsigned i = 0; i < jobs; i++) {
		const pid_t pid = fork();

		if (pid < 0)
			fail("fork: %s", strerror(errno));
		if (!pid) {
			work(i, ops / jobs);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < jobs; i++)
		if (wait(&status) < 0 || status != 0)
			fail("a job ended with status %d", status);
	span_end(&span, ops / jobs * jobs);
	return 0;
}
