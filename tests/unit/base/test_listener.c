/*
 * Looking at Unix sockets by name: the answer is that of who opens or connects, nothing is left
 * behind, and whoever listens there does not notice. Opening itself is tested through the devices
 * that listen (axdevice-chr-socket, virtio-vsock).
 */
#include "../test.h"

#include <axvm/base.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[64], path[100];

static int setup(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "/tmp/axvm-listener-XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", scratch);
	return 0;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int bound(int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Both refuse, in the same words; neither changes what is there. */
static void both_refuse(const char *at, int code)
{
	struct ax_error checked = {0}, opened = {0};
	struct ax_listener listener;

	assert_int_equal(ax_listener_check(at, &checked), -code);
	assert_int_equal(ax_listener_open(&listener, at, SOCK_STREAM, 1, &opened), -code);
	assert_int_equal(checked.kind, opened.kind);
	assert_string_equal(checked.message, opened.message);
	assert_string_equal(checked.hint, opened.hint);
}

static void test_fine(void **state)
{
	struct ax_error err = {0};
	struct ax_listener listener;
	struct stat before, after;

	(void)state;
	assert_int_equal(ax_listener_check(path, &err), 0);
	assert_int_equal(access(path, F_OK), -1); /* not made */
	assert_int_equal(ax_socket_probe(path), -ENOENT);
	/* What a process has left behind is replaced by open, and stays with check. */
	close(bound(SOCK_STREAM));
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(ax_listener_check(path, &err), 0);
	assert_int_equal(ax_socket_probe(path), -ECONNREFUSED);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(ax_listener_open(&listener, path, SOCK_STREAM, 1, &err), 0);
	ax_listener_close(&listener);
	/* A name without a directory is one in this directory. */
	assert_int_equal(chdir(scratch), 0);
	assert_int_equal(ax_listener_check("here", &err), 0);
	assert_int_equal(chdir("/"), 0);
}

static void test_wrong_places(void **state)
{
	char longest[256];

	(void)state;
	both_refuse("", EINVAL);
	snprintf(longest, sizeof(longest), "%s/%0150d", scratch, 0);
	both_refuse(longest, ENAMETOOLONG);
	assert_int_equal(ax_socket_probe(longest), -ENAMETOOLONG);
	snprintf(longest, sizeof(longest), "%s/gone/socket", scratch);
	both_refuse(longest, ENOENT);
	both_refuse("/dev/null/socket", ENOTDIR);
	both_refuse(scratch, EEXIST); /* a directory */
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	both_refuse(path, EEXIST);
	assert_int_equal(ax_socket_probe(path), -ENOTSOCK);
	assert_int_equal(access(path, F_OK), 0);
}

static void test_taken(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(types); i++) {
		struct ax_error err = {0};
		char byte;
		int fd = bound(types[i]);

		if (types[i] != SOCK_DGRAM)
			assert_int_equal(listen(fd, 1), 0);
		/* More often than a listen queue of one has room for. */
		for (unsigned tries = 0; tries < 5; tries++) {
			assert_int_equal(ax_socket_probe(path), 0);
			assert_int_equal(ax_listener_check(path, &err), -EADDRINUSE);
		}
		assert_non_null(strstr(err.message, "somebody listens there"));
		/* Nobody has come, nothing was sent. */
		if (types[i] == SOCK_DGRAM)
			assert_int_equal(recv(fd, &byte, 1, 0), -1);
		else
			assert_int_equal(accept(fd, NULL, NULL), -1);
		assert_int_equal(errno, EAGAIN);
		close(fd);
		unlink(path);
	}
	both_refuse("/dev/null", EEXIST);
}

/* As somebody else, in another process. 0: refused for want of permission. */
static int as_nobody(void)
{
	struct ax_error err = {0};

	if (setgid(65534) || setuid(65534))
		return 1;
	if (ax_socket_probe(path) != -EACCES)
		return 2;
	if (ax_listener_check(path, &err) != -EACCES || !err.hint[0])
		return 3;
	unlink(path);
	snprintf(path, sizeof(path), "%s/other", scratch);
	return ax_listener_check(path, &err) == -EACCES && err.hint[0] ? 0 : 4;
}

static void test_permission(void **state)
{
	int status, fd;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(scratch, 0755), 0);
	fd = bound(SOCK_STREAM);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(chmod(path, 0600), 0);
	pid = fork();
	if (pid == 0)
		_exit(as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fine),
		TEST(test_wrong_places),
		TEST(test_taken),
		TEST(test_permission),
	};

	return cmocka_run_group_tests_name("base-listener", tests, NULL, NULL);
}
