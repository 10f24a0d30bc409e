#include "ledger_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	strcpy(rig->path, "/tmp/axvm-ledger-test-XXXXXX");
	assert_non_null(mkdtemp(rig->path));
	assert_int_equal(chmod(rig->path, 01777), 0);
	*state = rig;
	return 0;
}

static void remove_below(int parent, const char *name)
{
	const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *item;

	while (directory && (item = readdir(directory)))
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
			remove_below(fd, item->d_name);
	if (directory)
		closedir(directory);
	unlinkat(parent, name, directory ? AT_REMOVEDIR : 0);
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	remove_below(AT_FDCWD, rig->path);
	free(rig);
	return 0;
}

struct axledger *rig_open(const struct rig *rig)
{
	struct axledger *ledger = NULL;
	struct ax_error err = {0};

	if (axledger_open(rig->path, RIG_WAIT_MS, &ledger, &err))
		fail_msg("%s", err.message);
	return ledger;
}

struct axledger_claim *rig_claim_in(struct axledger *ledger, const char *name, uint32_t first_cpu,
				    uint32_t cpu_count, uint64_t bytes)
{
	const struct axledger_memory memory = {1, 2 * AX_MIB, bytes};
	struct axledger_claim *claim = NULL;
	struct ax_error err = {0};
	uint32_t cpus[64];

	assert_true(cpu_count <= AX_ARRAY_LEN(cpus));
	for (uint32_t i = 0; i < cpu_count; i++)
		cpus[i] = first_cpu + i;
	if (axledger_claim(ledger,
			   &(struct axledger_request){.name = name,
						      .cpus = cpus,
						      .cpu_count = cpu_count,
						      .memory = &memory,
						      .memory_count = bytes ? 1 : 0},
			   &claim, &err))
		fail_msg("%s", err.message);
	return claim;
}

struct axledger_claim *rig_claim(const struct rig *rig, const char *name, uint32_t first_cpu,
				 uint32_t cpu_count, uint64_t bytes)
{
	struct axledger *ledger = rig_open(rig);
	struct axledger_claim *claim = rig_claim_in(ledger, name, first_cpu, cpu_count, bytes);

	axledger_close(ledger);
	return claim;
}

struct axledger_held rig_held(const struct rig *rig)
{
	struct axledger *ledger = rig_open(rig);
	struct axledger_held held = {0};
	struct ax_error err = {0};

	if (axledger_held(ledger, &held, &err))
		fail_msg("%s", err.message);
	axledger_close(ledger);
	return held;
}

int rig_plant(const struct rig *rig, const char *name, const char *text, size_t length,
	      bool is_locked)
{
	struct flock range = {.l_type = F_WRLCK, .l_len = 2};
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", rig->path, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd >= 0 && (ax_pwrite_full(fd, text, length, 0) ||
			(is_locked && fcntl(fd, F_OFD_SETLK, &range) != 0))) {
		close(fd);
		return -1;
	}
	return fd;
}

size_t rig_files(const struct rig *rig)
{
	DIR *directory = opendir(rig->path);
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

bool rig_exists(const struct rig *rig, const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", rig->path, name);
	return lstat(path, &st) == 0;
}

/* ---- children -------------------------------------------------------------------------------- */

static pid_t start(int (*fn)(const struct rig *rig), const struct rig *rig, uid_t user, int tell)
{
	const pid_t pid = fork();
	char verdict;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	if (user && (setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0))
		_exit(RIG_SKIP);
	verdict = (char)fn(rig);
	if (tell >= 0) {
		if (write(tell, &verdict, 1) != 1)
			_exit(1);
		close(tell);
		for (;;)
			pause();
	}
	_exit((unsigned char)verdict);
}

int rig_run(int (*fn)(const struct rig *rig), const struct rig *rig, uid_t user)
{
	int status = 0;
	const pid_t pid = start(fn, rig, user, -1);

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

pid_t rig_stay(int (*fn)(const struct rig *rig), const struct rig *rig, uid_t user)
{
	unsigned char verdict = 255;
	int tell[2];
	pid_t pid;

	assert_int_equal(pipe(tell), 0);
	pid = start(fn, rig, user, tell[1]);
	close(tell[1]);
	assert_int_equal(read(tell[0], &verdict, 1), 1);
	close(tell[0]);
	assert_int_equal(verdict, 0);
	return pid;
}

void rig_kill(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}
