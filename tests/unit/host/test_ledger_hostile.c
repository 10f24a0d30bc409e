/*
 * The ledger among strangers and on a bad day: directories that are not safe, entries that lie or
 * are none, other users, full disks, and many entries. What needs a second user needs root.
 */
#include "host/ledger_private.h"
#include "ledger_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GOOD "{\"axvm_ledger\":1,\"name\":\"good\",\"pid\":1,\"cpus\":[7],\"memory\":[]}"

static int held_code(const struct rig *rig, struct axledger_held *ret_held, struct ax_error *err)
{
	struct axledger *ledger = NULL;
	int rc = axledger_open(rig->path, RIG_WAIT_MS, &ledger, err);

	if (!rc)
		rc = axledger_held(ledger, ret_held, err);
	axledger_close(ledger);
	return rc;
}

/* ---- entries --------------------------------------------------------------------------------- */

static void test_our_own_nonsense_is_an_error_that_names_it(void **state)
{
	static const char *const texts[] = {
		"",
		"nonsense",
		"[]",
		"{}",
		"\0\0\0",
		"{\"axvm_ledger\":2,\"name\":\"x\",\"pid\":1,\"cpus\":[],\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":7,\"pid\":1,\"cpus\":[],\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":-1,\"cpus\":[],\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[2,1],\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[1.5],\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[65536],\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":{},\"memory\":[]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[],\"memory\":[{}]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[],\"memory\":[{\"node\":0,"
		"\"page_size_bytes\":4097,\"bytes\":1}]}",
		"{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[],\"memory\":[{\"node\":0,"
		"\"page_size_bytes\":4096,\"bytes\":-1}]}",
		"{\"axvm_ledger\":1,\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[],"
		"\"memory\":[]}",
		GOOD " and more",
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < AX_ARRAY_LEN(texts); i++) {
		const int fd = rig_plant(rig, "bad.vm", texts[i], strlen(texts[i]), true);
		struct axledger_held held = {0};
		struct ax_error err = {0};

		assert_true(fd >= 0);
		assert_int_equal(held_code(rig, &held, &err), -EBADMSG);
		assert_non_null(strstr(err.message, "bad.vm"));
		assert_null(held.cpus);
		close(fd); /* dead: whatever it says, it holds nothing */
		assert_int_equal(held_code(rig, &held, &err), 0);
		assert_int_equal(held.vm_count + held.ignored_count, 0);
		axledger_held_free(&held);
		assert_false(rig_exists(rig, "bad.vm"));
	}
}

static void test_unknown_keys_are_for_later_versions(void **state)
{
	static const char text[] = "{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[3],"
				   "\"memory\":[],\"new\":{}}";
	struct rig *rig = *state;
	const int fd = rig_plant(rig, "x.vm", text, sizeof(text) - 1, true);
	struct axledger_held held = rig_held(rig);

	assert_int_equal(held.cpu_count, 1);
	axledger_held_free(&held);
	close(fd);
}

static void test_a_huge_entry_is_not_read(void **state)
{
	struct rig *rig = *state;
	const size_t length = LEDGER_ENTRY_MAX + 1;
	char *text = malloc(length);
	struct axledger_held held = {0};
	struct ax_error err = {0};
	int fd;

	assert_non_null(text);
	memset(text, ' ', length);
	memcpy(text, GOOD, strlen(GOOD));
	fd = rig_plant(rig, "huge.vm", text, length, true);
	assert_int_equal(held_code(rig, &held, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "too long"));
	assert_int_equal(ftruncate(fd, 1LL << 40), 0); /* sparse */
	assert_int_equal(held_code(rig, &held, &err), -EBADMSG);
	assert_int_equal(ftruncate(fd, (off_t)length - 1), 0);
	assert_int_equal(held_code(rig, &held, &err), 0);
	assert_int_equal(held.cpu_count, 1);
	axledger_held_free(&held);
	close(fd);
	free(text);
}

static void test_what_is_no_file_is_told_and_left_alone(void **state)
{
	struct rig *rig = *state;
	const int fd = rig_plant(rig, "target", GOOD, strlen(GOOD), true);
	struct axledger_held held;
	char path[128];

	snprintf(path, sizeof(path), "%s/link.vm", rig->path);
	assert_int_equal(symlink("target", path), 0);
	snprintf(path, sizeof(path), "%s/.link.vm.tmp", rig->path);
	assert_int_equal(symlink("target", path), 0);
	snprintf(path, sizeof(path), "%s/fifo\n.vm", rig->path);
	assert_int_equal(mkfifo(path, 0644), 0);
	snprintf(path, sizeof(path), "%s/directory.vm", rig->path);
	assert_int_equal(mkdir(path, 0755), 0);
	held = rig_held(rig); /* does not wait for the FIFO's writer */
	assert_int_equal(held.cpu_count + held.vm_count, 0);
	assert_int_equal(held.ignored_count, 3);
	assert_non_null(strstr(held.ignored, ".vm: no regular file"));
	assert_null(strchr(held.ignored, '\n'));
	axledger_held_free(&held);
	assert_int_equal(rig_files(rig), 5);
	close(fd);
}

static void test_a_second_name_counts_once(void **state)
{
	struct rig *rig = *state;
	const char *text = "{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[3],\"memory\":"
			   "[{\"node\":0,\"page_size_bytes\":4096,\"bytes\":4096}]}";
	const int fd = rig_plant(rig, "a.vm", text, strlen(text), true);
	struct axledger_held held;
	char from[128], to[128];

	snprintf(from, sizeof(from), "%s/a.vm", rig->path);
	snprintf(to, sizeof(to), "%s/b.vm", rig->path);
	assert_int_equal(link(from, to), 0);
	held = rig_held(rig);
	assert_int_equal(held.vm_count, 1);
	assert_int_equal(held.memory[0].bytes, 4096);
	axledger_held_free(&held);
	close(fd);
	held = rig_held(rig);
	axledger_held_free(&held);
	assert_int_equal(rig_files(rig), 0);
}

static void test_stale_temporaries_go_and_strange_files_stay(void **state)
{
	struct rig *rig = *state;
	struct axledger_held held;

	close(rig_plant(rig, ".7-1.vm.tmp", "{\"axv", 5, false));
	close(rig_plant(rig, "notes.txt", "x", 1, false));
	close(rig_plant(rig, ".vm", "x", 1, false));
	close(rig_plant(rig, "7-2.vm", "", 0, false));
	held = rig_held(rig);
	assert_int_equal(held.vm_count + held.ignored_count, 0);
	axledger_held_free(&held);
	assert_false(rig_exists(rig, ".7-1.vm.tmp"));
	assert_false(rig_exists(rig, "7-2.vm"));
	assert_int_equal(rig_files(rig), 2);
}

/* A reader's lock is anybody's who may open the file: it neither keeps a dead VM's entry nor does
 * it harm a living one. */
static void test_readers_cannot_feign_life(void **state)
{
	struct flock range = {.l_type = F_RDLCK, .l_len = 2};
	struct rig *rig = *state;
	const int fd = rig_plant(rig, "dead.vm", GOOD, strlen(GOOD), false);
	struct axledger_held held;

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
	held = rig_held(rig);
	assert_int_equal(held.vm_count, 0);
	axledger_held_free(&held);
	assert_false(rig_exists(rig, "dead.vm"));
	close(fd);
}

/* ---- other users ----------------------------------------------------------------------------- */

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root, for a second user\n");
		skip();
	}
}

static int plant_nonsense(const struct rig *rig)
{
	return rig_plant(rig, "evil.vm", "nonsense", 8, true) < 0;
}

static void test_another_users_nonsense_keeps_nobody(void **state)
{
	struct rig *rig = *state;
	struct axledger_held held;
	pid_t pid;

	need_root();
	pid = rig_stay(plant_nonsense, rig, RIG_NOBODY);
	held = rig_held(rig);
	assert_int_equal(held.vm_count, 0);
	assert_int_equal(held.ignored_count, 1);
	assert_string_equal(held.ignored, "evil.vm: not JSON");
	axledger_held_free(&held);
	rig_kill(pid);
	held = rig_held(rig); /* root sweeps for everybody */
	assert_int_equal(held.ignored_count, 0);
	axledger_held_free(&held);
	assert_int_equal(rig_files(rig), 0);
}

static int look_as_other(const struct rig *rig)
{
	struct axledger_held held = {0};
	struct axledger *ledger = NULL;
	struct axledger_claim *claim = NULL;
	const struct axledger_request request = {.name = "other"};

	RIG_CHECK(!axledger_open(rig->path, RIG_WAIT_MS, &ledger, NULL));
	RIG_CHECK(!axledger_held(ledger, &held, NULL));
	RIG_CHECK(held.vm_count == 1 && held.cpu_count == 1 && held.cpus[0] == 5);
	RIG_CHECK(held.vms[0].uid == 0 && held.ignored_count == 0);
	RIG_CHECK(!axledger_claim(ledger, &request, &claim, NULL));
	axledger_held_free(&held);
	axledger_close(ledger);
	axledger_release(claim);
	return 0;
}

static void test_users_see_each_other_and_remove_only_their_own(void **state)
{
	struct rig *rig = *state;
	struct axledger_claim *claim;

	need_root();
	claim = rig_claim(rig, "roots", 5, 1, 0);
	close(rig_plant(rig, "dead.vm", GOOD, strlen(GOOD), false));
	close(rig_plant(rig, ".dead.vm.tmp", "", 0, false));
	assert_int_equal(chmod(rig->path, 01777), 0);
	assert_int_equal(rig_run(look_as_other, rig, RIG_NOBODY), 0);
	assert_true(rig_exists(rig, "dead.vm")); /* sticky */
	axledger_release(claim);
}

static int plant_unreadable(const struct rig *rig)
{
	const int fd = rig_plant(rig, "closed.vm", GOOD, strlen(GOOD), true);

	return fd < 0 || fchmod(fd, 0) != 0;
}

static int look_at_unreadable(const struct rig *rig)
{
	struct axledger_held held = {0};

	RIG_CHECK(!held_code(rig, &held, NULL));
	RIG_CHECK(held.vm_count == 0 && held.ignored_count == 1);
	RIG_CHECK(strstr(held.ignored, "closed.vm: Permission denied"));
	return 0;
}

static int look_at_roots_unreadable(const struct rig *rig)
{
	struct axledger_held held = {0};

	return held_code(rig, &held, NULL) == -EBADMSG ? 0 : 1;
}

static void test_an_unreadable_entry(void **state)
{
	struct rig *rig = *state;
	struct axledger_held held;
	pid_t pid;
	int fd;

	need_root();
	pid = rig_stay(plant_unreadable, rig, RIG_NOBODY);
	assert_int_equal(rig_run(look_at_unreadable, rig, RIG_NOBODY - 1), 0);
	rig_kill(pid);
	held = rig_held(rig); /* root may read it, and removes it */
	axledger_held_free(&held);
	assert_int_equal(rig_files(rig), 0);
	fd = rig_plant(rig, "roots.vm", GOOD, strlen(GOOD), true);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(rig_run(look_at_roots_unreadable, rig, RIG_NOBODY), 0);
	close(fd);
}

static int claim_without_permission(const struct rig *rig)
{
	struct axledger *ledger = NULL;
	struct axledger_claim *claim = NULL;
	const struct axledger_request request = {.name = "x"};
	struct ax_error err = {0};

	RIG_CHECK(!axledger_open(rig->path, RIG_WAIT_MS, &ledger, NULL));
	RIG_CHECK(axledger_claim(ledger, &request, &claim, &err) == -EACCES);
	RIG_CHECK(!claim && err.hint[0]);
	axledger_close(ledger);
	return 0;
}

static void test_no_permission_to_write(void **state)
{
	struct rig *rig = *state;

	need_root();
	assert_int_equal(chmod(rig->path, 0755), 0);
	assert_int_equal(rig_run(claim_without_permission, rig, RIG_NOBODY), 0);
}

/* ---- directories ----------------------------------------------------------------------------- */

static void test_directories_that_will_not_do(void **state)
{
	struct rig *rig = *state;
	struct axledger *ledger = NULL;
	struct ax_error err = {0};
	char path[128], link[128];

	snprintf(path, sizeof(path), "%s/sub", rig->path);
	snprintf(link, sizeof(link), "%s/link", rig->path);
	assert_int_equal(axledger_open(path, 0, &ledger, &err), -ENOENT);
	assert_non_null(strstr(err.hint, path));
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(symlink("sub", link), 0);
	assert_int_equal(axledger_open(link, 0, &ledger, &err), -ENOTDIR);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(axledger_open(path, 0, &ledger, &err), -EPERM);
	assert_int_equal(chmod(path, 0770), 0);
	assert_int_equal(axledger_open(path, 0, &ledger, &err), -EPERM);
	assert_int_equal(chmod(path, 01770), 0);
	assert_int_equal(axledger_open(path, 0, &ledger, &err), 0);
	assert_string_equal(axledger_directory(ledger), path);
	assert_null(axledger_warning(ledger));
	axledger_close(ledger);
	ledger = NULL;
	if (geteuid() == 0) {
		assert_int_equal(chown(path, RIG_NOBODY, RIG_NOBODY), 0);
		assert_int_equal(axledger_open(path, 0, &ledger, &err), -EPERM);
		assert_non_null(strstr(err.message, "65534"));
	}
	assert_null(ledger);
}

struct defaults {
	char shared[128], temporary[128];
	struct ledger_places places;
};

static void set_defaults(const struct rig *rig, struct defaults *to)
{
	snprintf(to->shared, sizeof(to->shared), "%s/axvm", rig->path);
	snprintf(to->temporary, sizeof(to->temporary), "%s", rig->path);
	to->places = (struct ledger_places){.shared = to->shared, .temporary = to->temporary};
}

static void end_place(struct axledger *self)
{
	close(self->fd);
	free(self->path);
	*self = (struct axledger){0};
}

static int place_as_other(const struct rig *rig)
{
	struct axledger self = {0};
	struct ax_error err = {0};
	struct defaults defaults;
	char mine[256];
	struct stat st;

	set_defaults(rig, &defaults);
	snprintf(mine, sizeof(mine), "%s/axvm-%u", rig->path, (unsigned)geteuid());
	RIG_CHECK(!axledger_place_default(&self, &defaults.places, &err));
	if (!self.warning[0]) {
		RIG_CHECK(!strcmp(self.path, defaults.shared));
		return 77;
	}
	RIG_CHECK(!strcmp(self.path, mine) && strstr(self.warning, defaults.shared));
	RIG_CHECK(!fstat(self.fd, &st) && (st.st_mode & 07777) == 0700);
	end_place(&self);
	RIG_CHECK(!axledger_place_default(&self, &defaults.places, &err)); /* it is there now */
	RIG_CHECK(!strcmp(self.path, mine));
	return 0;
}

static int place_is_refused(const struct rig *rig)
{
	struct axledger self = {0};
	struct ax_error err = {0};
	struct defaults defaults;
	int rc;

	set_defaults(rig, &defaults);
	rc = axledger_place_default(&self, &defaults.places, &err);
	RIG_CHECK((rc == -EPERM || rc == -ENOTDIR) && !self.path && err.hint[0]);
	return 0;
}

static void test_the_default_is_everybodys_or_ones_own(void **state)
{
	struct rig *rig = *state;
	struct axledger self = {0};
	struct ax_error err = {0};
	struct defaults defaults;
	mode_t old;
	struct stat st;

	if (geteuid() != 0) {
		assert_int_equal(place_as_other(rig), 0);
		return;
	}
	set_defaults(rig, &defaults);
	assert_int_equal(rig_run(place_as_other, rig, RIG_NOBODY), 0);
	old = umask(077);
	for (unsigned i = 0; i < 2; i++) { /* made, and found */
		assert_int_equal(axledger_place_default(&self, &defaults.places, &err), 0);
		assert_string_equal(self.path, defaults.shared);
		assert_string_equal(self.warning, "");
		assert_int_equal(fstat(self.fd, &st), 0);
		assert_int_equal(st.st_mode & 07777, 01777);
		end_place(&self);
	}
	umask(old);
	assert_int_equal(rig_run(place_as_other, rig, RIG_NOBODY), 77);
	assert_int_equal(chmod(defaults.shared, 0755), 0); /* root's alone */
	assert_int_equal(rig_run(place_as_other, rig, RIG_NOBODY), 0);
	assert_int_equal(chmod(defaults.shared, 0777), 0);
	assert_int_equal(rig_run(place_is_refused, rig, RIG_NOBODY), 0);
}

static void test_ones_own_is_not_taken_from_others(void **state)
{
	struct rig *rig = *state;
	char path[128];

	need_root();
	snprintf(path, sizeof(path), "%s/axvm-%u", rig->path, (unsigned)RIG_NOBODY);
	assert_int_equal(mkdir(path, 0777), 0); /* somebody was there first */
	assert_int_equal(rig_run(place_is_refused, rig, RIG_NOBODY), 0);
	assert_int_equal(chown(path, RIG_NOBODY, RIG_NOBODY), 0);
	assert_int_equal(chmod(path, 01777), 0);
	assert_int_equal(rig_run(place_is_refused, rig, RIG_NOBODY), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(rig_run(place_is_refused, rig, RIG_NOBODY), 0);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

static int claim_on_full(const struct rig *rig, const char *options)
{
	struct axledger_held held = {0};
	struct axledger *ledger = NULL;
	struct axledger_claim *claim = NULL;
	struct axledger_request request = {.name = "x"};
	struct ax_error err = {0};
	static char page[4096];
	int fd;

	if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", rig->path, "tmpfs", 0, options) != 0)
		return RIG_SKIP;
	RIG_CHECK(!axledger_open(rig->path, 0, &ledger, &err));
	fd = rig_plant(rig, "filler", page, sizeof(page), false);
	RIG_CHECK(fd >= 0);
	RIG_CHECK(axledger_claim(ledger, &request, &claim, &err) == -ENOSPC);
	RIG_CHECK(!claim && err.hint[0]);
	RIG_CHECK(rig_files(rig) == 1); /* not even a part */
	RIG_CHECK(!axledger_held(ledger, &held, &err) && held.vm_count == 0);
	close(fd);
	RIG_CHECK(unlinkat(ledger->fd, "filler", 0) == 0);
	RIG_CHECK(axledger_claim(ledger, &request, &claim, &err) == 0);
	axledger_held_free(&held);
	axledger_close(ledger);
	axledger_release(claim);
	return 0;
}

static int claim_without_pages(const struct rig *rig)
{
	return claim_on_full(rig, "size=4096,mode=1777");
}

static int claim_without_inodes(const struct rig *rig)
{
	return claim_on_full(rig, "nr_inodes=2,mode=1777");
}

static void test_a_full_disk_leaves_no_part(void **state)
{
	struct rig *rig = *state;
	const int pages = rig_run(claim_without_pages, rig, 0);
	const int inodes = rig_run(claim_without_inodes, rig, 0);

	if (pages == RIG_SKIP) {
		print_message("needs the right to mount a tmpfs\n");
		skip();
	}
	assert_int_equal(pages, 0);
	assert_int_equal(inodes, 0);
}

static void test_too_many_open_files_is_an_error(void **state)
{
	struct rig *rig = *state;
	struct axledger_claim *claim = rig_claim(rig, "x", 0, 1, 0);
	struct axledger *ledger = rig_open(rig);
	struct axledger_held held = {0};
	struct ax_error err = {0};
	struct rlimit old, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)dup(0) + 1; /* one more: the list of entries, and no entry */
	close((int)few.rlim_cur - 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(axledger_held(ledger, &held, &err), -EMFILE);
	few.rlim_cur--;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(axledger_held(ledger, &held, &err), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	axledger_close(ledger);
	axledger_release(claim);
}

/* ---- many ------------------------------------------------------------------------------------ */

enum { MANY = 1000 };

static int look_at_many(const struct rig *rig)
{
	struct axledger_held held = {0};
	struct ax_error err = {0};

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		return RIG_SKIP;
	raise(SIGSTOP);
	if (held_code(rig, &held, &err))
		return 1;
	return held.vm_count == MANY && held.cpu_count == MANY ? 0 : 2;
}

static void test_a_thousand_entries_take_few_system_calls_each(void **state)
{
	struct rig *rig = *state;
	static int fds[MANY];
	unsigned stops = 0;
	struct rlimit limit;
	int status;
	pid_t pid;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < MANY + 64) {
		print_message("needs %d open files\n", MANY + 64);
		skip();
	}
	if (limit.rlim_cur < MANY + 64) {
		limit.rlim_cur = MANY + 64;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	}
	for (int i = 0; i < MANY; i++) {
		char name[32], text[128];

		snprintf(name, sizeof(name), "%d.vm", i);
		snprintf(text, sizeof(text),
			 "{\"axvm_ledger\":1,\"name\":\"x\",\"pid\":1,\"cpus\":[%d],\"memory\":[{"
			 "\"node\":%d,\"page_size_bytes\":4096,\"bytes\":1}]}",
			 i, i % 8);
		fds[i] = rig_plant(rig, name, text, strlen(text), true);
		assert_true(fds[i] >= 0);
	}
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(look_at_many(rig));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == RIG_SKIP) {
		print_message("needs ptrace\n");
		skip();
	}
	assert_true(WIFSTOPPED(status));
	while (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status))
		stops++;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	print_message("%u system calls for %d entries\n", stops / 2, MANY);
	/* open, fstat, a question for the lock, read, close; and some for the whole. */
	assert_in_range(stops / 2, MANY, 5 * MANY + 300);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_our_own_nonsense_is_an_error_that_names_it),
		TEST(test_unknown_keys_are_for_later_versions),
		TEST(test_a_huge_entry_is_not_read),
		TEST(test_what_is_no_file_is_told_and_left_alone),
		TEST(test_a_second_name_counts_once),
		TEST(test_stale_temporaries_go_and_strange_files_stay),
		TEST(test_readers_cannot_feign_life),
		TEST(test_another_users_nonsense_keeps_nobody),
		TEST(test_users_see_each_other_and_remove_only_their_own),
		TEST(test_an_unreadable_entry),
		TEST(test_no_permission_to_write),
		TEST(test_directories_that_will_not_do),
		TEST(test_the_default_is_everybodys_or_ones_own),
		TEST(test_ones_own_is_not_taken_from_others),
		TEST(test_a_full_disk_leaves_no_part),
		TEST(test_too_many_open_files_is_an_error),
		TEST(test_a_thousand_entries_take_few_system_calls_each),
	};

	return cmocka_run_group_tests_name("host-ledger-hostile", tests, NULL, NULL);
}
