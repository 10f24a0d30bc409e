/*
 * Round trips and streams over connections. A connection begins with a struct wish, by which the
 * server knows its part: to echo, to take and acknowledge, or to send.
 */
#include "axload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK (64 * 1024)

struct wish {
	uint8_t what; /* 'r' round trips, 's' the client sends, 'g' it gets */
	uint8_t verify;
	uint8_t reserved[6];
	uint64_t bytes; /* of each round trip, or in all */
};

static bool read_all(int fd, void *to, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n = read(fd, (char *)to + done, size - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool write_all(int fd, const void *from, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n = write(fd, (const char *)from + done, size - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool give(int fd, const struct wish *wish)
{
	static __thread uint8_t chunk[CHUNK];
	uint64_t at = 0;

	while (at < wish->bytes) {
		const size_t n = wish->bytes - at < CHUNK ? (size_t)(wish->bytes - at) : CHUNK;

		for (size_t i = 0; wish->verify && i < n; i++)
			chunk[i] = pattern(at + i);
		if (!write_all(fd, chunk, n))
			return false;
		at += n;
	}
	return true;
}

/* The number of bytes that came as they should, from the first on. */
static uint64_t take(int fd, const struct wish *wish)
{
	static __thread uint8_t chunk[CHUNK];
	uint64_t at = 0;

	while (at < wish->bytes) {
		const size_t most = wish->bytes - at < CHUNK ? (size_t)(wish->bytes - at) : CHUNK;
		const ssize_t n = read(fd, chunk, most);

		if (n <= 0)
			break;
		for (ssize_t i = 0; wish->verify && i < n; i++)
			if (chunk[i] != pattern(at + (uint64_t)i))
				return at + (uint64_t)i;
		at += (uint64_t)n;
	}
	return at;
}

static void *serve_one(void *arg)
{
	const int fd = (int)(intptr_t)arg;
	struct wish wish;

	if (read_all(fd, &wish, sizeof(wish))) {
		uint8_t *buffer = NULL;
		uint64_t got;

		switch (wish.what) {
		case 'r':
			buffer = malloc(wish.bytes);
			while (buffer && read_all(fd, buffer, wish.bytes) &&
			       write_all(fd, buffer, wish.bytes))
				;
			free(buffer);
			break;
		case 's':
			got = take(fd, &wish);
			write_all(fd, &got, sizeof(got));
			break;
		default:
			give(fd, &wish);
			read(fd, &got, sizeof(got)); /* the client closes when it has all */
		}
	}
	close(fd);
	return NULL;
}

int axload_serve(int argc, char **argv)
{
	const int listener = listen_at(argv[1]);

	signal(SIGPIPE, SIG_IGN);
	printf("axload serves %s\n", argv[1]);
	fflush(stdout);
	for (;;) {
		const int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		if (flag(argc, argv, "once"))
			return serve_one((void *)(intptr_t)fd) != NULL;
		if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
	}
}

struct job {
	pthread_t thread;
	struct wish wish;
	int fd;
};

static void *run_job(void *arg)
{
	struct job *job = arg;
	uint64_t got = 0;

	if (job->wish.what == 'g')
		got = take(job->fd, &job->wish);
	else if (!give(job->fd, &job->wish) || !read_all(job->fd, &got, sizeof(got)))
		fail("the connection broke: %s", strerror(errno));
	if (got != job->wish.bytes)
		fail("only %llu bytes of %llu came, or came right", (unsigned long long)got,
		     (unsigned long long)job->wish.bytes);
	return NULL;
}

static void connect_job(struct job *job, const char *address)
{
	job->fd = connect_to(address);
	if (!write_all(job->fd, &job->wish, sizeof(job->wish)))
		fail("%s: %s", address, strerror(errno));
}

static int round_trips(int argc, char **argv)
{
	const uint64_t ops = number(argc, argv, "ops", 1000);
	struct job job = {.wish = {.what = 'r', .bytes = number(argc, argv, "bytes", 64)}};
	uint8_t *out = calloc(2, job.wish.bytes);
	uint8_t *in = out + job.wish.bytes;
	struct span span;

	if (!out)
		fail("no memory");
	connect_job(&job, argv[1]);
	span_begin(&span, "rtt", argc, argv);
	for (uint64_t i = 0; i < ops; i++) {
		memset(out, (int)i, job.wish.bytes);
		if (!write_all(job.fd, out, job.wish.bytes) ||
		    !read_all(job.fd, in, job.wish.bytes))
			fail("round trip %llu: %s", (unsigned long long)i, strerror(errno));
		if (memcmp(out, in, job.wish.bytes) != 0)
			fail("round trip %llu: something else came back", (unsigned long long)i);
	}
	span_end(&span, ops);
	close(job.fd);
	free(out);
	return 0;
}

int axload_stream(int argc, char **argv)
{
	const bool get = !strcmp(argv[0], "recv");
	const uint64_t count = number(argc, argv, "jobs", 1);
	static struct job jobs[MAX_JOBS];
	struct span span;

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(argv[0], "rtt"))
		return round_trips(argc, argv);
	if (!count || count > MAX_JOBS)
		fail("jobs is 1 to %d", MAX_JOBS);
	for (unsigned i = 0; i < count; i++) {
		jobs[i].wish = (struct wish){.what = get ? 'g' : 's',
					     .verify = flag(argc, argv, "verify"),
					     .bytes = number(argc, argv, "bytes", 1 << 20)};
		/* A server that sends must not begin before the span does. */
		if (!get)
			connect_job(&jobs[i], argv[1]);
	}
	span_begin(&span, argv[0], argc, argv);
	for (unsigned i = 0; i < count; i++) {
		if (get)
			connect_job(&jobs[i], argv[1]);
		if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]))
			fail("no thread");
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(jobs[i].thread, NULL);
		close(jobs[i].fd);
	}
	/* An operation is a KiB here. */
	span_end(&span, count * jobs[0].wish.bytes / 1024);
	return 0;
}
