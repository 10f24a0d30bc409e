/*
 * Finding VMs by their sockets: those that listen, no stale ones, and nothing that only looks like
 * one. What a killed VM has left is removed, what may be another's is not.
 */
#include "../test.h"

#include <axvm/api.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/axvm-api-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	(void)state;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(directory);
}

/* A socket of that name; listening when `backlog` is not 0. */
static int plant(const char *name, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_in_range(
		snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name), 1,
		sizeof(address.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (backlog)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static bool exists(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

static struct axapi_vms find(void)
{
	struct axapi_vms vms = {0};
	struct ax_error err = {0};

	if (axapi_find(directory, &vms, &err))
		fail_msg("%s", err.message);
	return vms;
}

/* The number of a process that was, and is no more. */
static pid_t dead_pid(void)
{
	const pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void test_by_pid(void **state)
{
	const int fds[] = {plant("300-a-b.sock", 1), plant("20-c.sock", 1), plant("4-.sock", 1)};
	struct axapi_vms vms = find();

	(void)state;
	assert_int_equal(vms.count, 3);
	assert_int_equal(vms.vms[0].pid, 4);
	assert_string_equal(vms.vms[0].name, "");
	assert_int_equal(vms.vms[1].pid, 20);
	assert_string_equal(vms.vms[1].name, "c");
	assert_int_equal(vms.vms[2].pid, 300);
	assert_string_equal(vms.vms[2].name, "a-b");
	assert_int_equal(vms.vms[2].uid, geteuid());
	assert_false(vms.vms[2].is_closed);
	assert_true(axapi_is_called(&vms.vms[2], "300"));
	assert_true(axapi_is_called(&vms.vms[2], "a-b"));
	assert_false(axapi_is_called(&vms.vms[2], "a"));
	assert_false(axapi_is_called(&vms.vms[2], "30"));
	axapi_vms_free(&vms);
	axapi_vms_free(&vms);
	for (size_t i = 0; i < AX_ARRAY_LEN(fds); i++)
		close(fds[i]);
}

static void test_stale(void **state)
{
	char name[64], living[64];
	struct axapi_vms vms;

	(void)state;
	snprintf(name, sizeof(name), "%d-killed.sock", (int)dead_pid());
	snprintf(living, sizeof(living), "%d-begins.sock", (int)getpid());
	close(plant(name, 1));
	close(plant(living, 0)); /* made and not yet listening: its process lives */
	vms = find();
	assert_int_equal(vms.count, 0);
	assert_false(exists(name));
	assert_true(exists(living));
	axapi_vms_free(&vms);
}

static void test_others(void **state)
{
	static const char *const names[] = {
		"vm.sock",    "12-x.vm", "-1-x.sock",          "0-x.sock",
		"12x-y.sock", "12.sock", "99999999999-x.sock", "12-x.sockx",
		" 12-x.sock"};
	int fds[AX_ARRAY_LEN(names)], file;
	char path[128];
	struct axapi_vms vms;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(names); i++)
		fds[i] = plant(names[i], 1);
	/* No socket, or a way to one elsewhere. */
	snprintf(path, sizeof(path), "%s/13-file.sock", directory);
	file = open(path, O_CREAT | O_WRONLY, 0600);
	snprintf(path, sizeof(path), "%s/14-link.sock", directory);
	assert_int_equal(symlink("vm.sock", path), 0);
	vms = find();
	assert_int_equal(vms.count, 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(names); i++) {
		assert_true(exists(names[i]));
		close(fds[i]);
	}
	assert_true(exists("13-file.sock") && exists("14-link.sock"));
	close(file);
	axapi_vms_free(&vms);
}

/* A name that a terminal would obey, and one with a path that is too long for a socket. */
static void test_names(void **state)
{
	const int fd = plant("15-\033[2J.sock", 1);
	struct axapi_vms vms = find();

	(void)state;
	assert_int_equal(vms.count, 1);
	assert_string_equal(vms.vms[0].name, "?[2J");
	axapi_vms_free(&vms);
	close(fd);
}

/* Another user's is seen and not asked, be it as open as may be. */
static void test_closed(void **state)
{
	int status;
	pid_t child;

	(void)state;
	if (geteuid() != 0)
		skip();
	const int fd = plant("16-roots.sock", 1);
	char path[128];

	const int open_to_all = plant("17-liar.sock", 1);

	snprintf(path, sizeof(path), "%s/17-liar.sock", directory);
	assert_int_equal(chmod(path, 0666), 0);
	snprintf(path, sizeof(path), "%s/16-roots.sock", directory);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chmod(directory, 0755), 0);
	child = fork();
	if (!child) {
		struct axapi_vms vms = {0};
		struct axapi_client *client;
		struct ax_error err = {0};

		if (setresuid(65534, 65534, 65534) != 0 || axapi_find(directory, &vms, &err))
			_exit(1);
		if (vms.count != 2 || !vms.vms[0].is_closed || vms.vms[0].uid != 0)
			_exit(2);
		if (!vms.vms[1].is_closed)
			_exit(4);
		_exit(axapi_connect(vms.vms[0].path, 100, &client, &err) == -EACCES && err.hint[0]
			      ? 0
			      : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
	close(open_to_all);
}

/* A name tells whose it is, and may lie. */
static void test_peer(void **state)
{
	char own[64], parents[64];
	const pid_t pids[] = {getpid(), getppid()};
	struct axapi_vms vms;
	int fds[2];

	(void)state;
	snprintf(own, sizeof(own), "%d-vm.sock", (int)pids[0]);
	snprintf(parents, sizeof(parents), "%d-vm.sock", (int)pids[1]);
	fds[0] = plant(own, 1);
	fds[1] = plant(parents, 1);
	vms = find();
	assert_int_equal(vms.count, 2);
	for (size_t i = 0; i < vms.count; i++) {
		struct axapi_client *client = NULL;
		struct ax_error err = {0};

		assert_int_equal(axapi_connect(vms.vms[i].path, 1000, &client, &err), 0);
		assert_int_equal(axapi_check_peer(client, &vms.vms[i], &err),
				 vms.vms[i].pid == pids[0] ? 0 : -EPERM);
		vms.vms[i].uid++;
		assert_int_equal(axapi_check_peer(client, &vms.vms[i], &err), -EPERM);
		axapi_disconnect(client);
	}
	close(fds[0]);
	close(fds[1]);
	axapi_vms_free(&vms);
}

static void test_no_directory(void **state)
{
	struct axapi_vms vms = {0};
	struct ax_error err = {0};

	(void)state;
	assert_int_equal(axapi_find("/tmp/axvm-is-not-there", &vms, &err), -ENOENT);
	assert_non_null(strstr(err.message, "/tmp/axvm-is-not-there"));
	/* The default: whatever there is, no error. */
	assert_int_equal(axapi_find(NULL, &vms, &err), 0);
	axapi_vms_free(&vms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_by_pid), TEST(test_stale),        TEST(test_others), TEST(test_names),
		TEST(test_closed), TEST(test_no_directory), TEST(test_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
