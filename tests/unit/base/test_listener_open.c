/*
 * Opening and closing a listening Unix socket: its name is made for its owner alone, taken over
 * from a process that is gone and from nobody else, and removed at the end when it is still ours.
 */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char directory[32], path[64];
static struct ax_error err;

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/axvm-listen-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	err = (struct ax_error){0};
	return 0;
}

/* Each test leaves its directory empty. */
static int teardown(void **state)
{
	(void)state;
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

static struct sockaddr_un address_of(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_true(strlen(name) < sizeof(address.sun_path));
	memcpy(address.sun_path, name, strlen(name));
	return address;
}

/* A socket of somebody else's with that name; backlog -1: it does not listen. */
static int foreign(const char *name, int type, int backlog)
{
	const struct sockaddr_un address = address_of(name);
	const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* A connected client, or the negative errno. */
static int client(const char *name, int type)
{
	const struct sockaddr_un address = address_of(name);
	const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (!connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -errno;
}

static void open_it(struct ax_listener *listener, int type)
{
	if (ax_listener_open(listener, path, type, 4, &err))
		fail_msg("%s", err.message);
}

/* Somebody can connect, and what he sends arrives. */
static void expect_works(const struct ax_listener *listener, int type)
{
	char got[8];
	const int far = client(listener->path, type);
	const int near = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

	assert_true(far >= 0);
	assert_true(near >= 0);
	assert_int_equal(send(far, "hello", 5, MSG_NOSIGNAL), 5);
	assert_int_equal(recv(near, got, sizeof(got), 0), 5);
	assert_memory_equal(got, "hello", 5);
	close(near);
	close(far);
}

/* Refused with that code and word, and nothing was made or removed. */
static void expect_refused(const char *name, int code, enum ax_error_kind kind, const char *word)
{
	struct ax_listener listener;
	struct stat before = {0}, after = {0};
	const int was = lstat(name, &before);

	err = (struct ax_error){0};
	assert_int_equal(ax_listener_open(&listener, name, SOCK_STREAM, 4, &err), -code);
	assert_int_equal(err.kind, kind);
	assert_non_null(strstr(err.message, word));
	assert_int_equal(listener.fd, -1);
	ax_listener_close(&listener);
	assert_int_equal(lstat(name, &after), was);
	assert_int_equal(after.st_ino, before.st_ino);
}

static void test_accept(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(types); i++) {
		struct ax_listener listener;
		struct stat st;
		mode_t mask = umask(0);

		open_it(&listener, types[i]);
		umask(mask);
		assert_string_equal(listener.path, path);
		assert_int_equal(lstat(path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 0777, 0600);
		assert_true(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
		/* Nobody is there: it does not wait. */
		assert_int_equal(accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC), -1);
		assert_int_equal(errno, EAGAIN);
		expect_works(&listener, types[i]);
		expect_works(&listener, types[i]);
		ax_listener_close(&listener);
		assert_int_equal(lstat(path, &st), -1);
		assert_int_equal(listener.fd, -1);
		ax_listener_close(&listener); /* there is nothing left to close */
	}
}

static void test_stale(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(types); i++) {
		struct ax_listener listener;

		close(foreign(path, types[i], 4));
		open_it(&listener, types[i]);
		expect_works(&listener, types[i]);
		ax_listener_close(&listener);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void test_live(void **state)
{
	struct ax_listener first;
	int clients[16], fd;
	size_t count = 0;

	(void)state;
	open_it(&first, SOCK_STREAM);
	expect_refused(path, EADDRINUSE, AX_ERROR_ALREADY_EXISTS, "listens");
	/* The one that asked has left a connection, which is over. */
	while ((fd = accept4(first.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
	expect_works(&first, SOCK_STREAM);
	/* One that has no room for a connection lives too. */
	while ((clients[count] = client(path, SOCK_STREAM)) >= 0)
		assert_true(++count < AX_ARRAY_LEN(clients));
	assert_int_equal(clients[count], -EAGAIN);
	expect_refused(path, EADDRINUSE, AX_ERROR_ALREADY_EXISTS, "listens");
	while (count)
		close(clients[--count]);
	ax_listener_close(&first);
}

/* A socket of another kind is somebody's, whether he listens or not. */
static void test_other_type(void **state)
{
	static const struct {
		int type, backlog;
	} cases[] = {{SOCK_SEQPACKET, 4}, {SOCK_DGRAM, -1}};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		const int fd = foreign(path, cases[i].type, cases[i].backlog);

		expect_refused(path, EPROTOTYPE, AX_ERROR_DEVICE, path);
		close(fd);
		unlink(path);
	}
}

static void test_no_socket(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	expect_refused(path, EEXIST, AX_ERROR_ALREADY_EXISTS, "something else");
	unlink(path);

	assert_int_equal(mkdir(path, 0700), 0);
	expect_refused(path, EEXIST, AX_ERROR_ALREADY_EXISTS, "something else");
	rmdir(path);

	/* A link is not followed, wherever it leads. */
	assert_int_equal(symlink("nowhere", path), 0);
	expect_refused(path, EEXIST, AX_ERROR_ALREADY_EXISTS, "something else");
	unlink(path);
}

static void test_paths(void **state)
{
	char longest[200];
	struct ax_listener listener;

	(void)state;
	/* sun_path has 108 bytes, one for the end (unix(7)). */
	snprintf(longest, sizeof(longest), "%s/", directory);
	memset(longest + strlen(longest), 'x', sizeof(longest) - strlen(longest));
	longest[108] = '\0';
	expect_refused(longest, ENAMETOOLONG, AX_ERROR_CONFIGURATION, "108 bytes");
	longest[107] = '\0';
	assert_int_equal(ax_listener_open(&listener, longest, SOCK_STREAM, 4, &err), 0);
	assert_string_equal(listener.path, longest);
	assert_int_equal(access(longest, F_OK), 0);
	ax_listener_close(&listener);
	assert_int_equal(access(longest, F_OK), -1);

	expect_refused("", EINVAL, AX_ERROR_CONFIGURATION, "empty");
	snprintf(longest, sizeof(longest), "%s/missing/socket", directory);
	expect_refused(longest, ENOENT, AX_ERROR_DEVICE, "directory");
}

/* What somebody else has put there in the meantime is his. */
static void test_only_its_own(void **state)
{
	struct ax_listener listener;
	int other;

	(void)state;
	open_it(&listener, SOCK_STREAM);
	unlink(path);
	other = foreign(path, SOCK_STREAM, 4);
	ax_listener_close(&listener);
	assert_int_equal(access(path, F_OK), 0);
	close(other);
	unlink(path);

	open_it(&listener, SOCK_STREAM);
	unlink(path);
	ax_listener_close(&listener); /* it has gone by itself */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_accept),       TEST(test_stale),     TEST(test_live),
		TEST(test_other_type),   TEST(test_no_socket), TEST(test_paths),
		TEST(test_only_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
