/*
 * The ledger between honest processes: what is claimed is seen by all and by nobody longer than its
 * VM lives, and nobody plans while another does.
 */
#include "ledger_rig.h"

#include <errno.h>
#include <glob.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void test_claims_add_up(void **state)
{
	struct rig *rig = *state;
	const uint32_t cpus[] = {2, 5, 8191};
	const struct axledger_memory memory[] = {{3, 4096, 7}, {0, 1 * AX_GIB, 4 * AX_GIB}};
	struct axledger *ledger = rig_open(rig);
	struct axledger_claim *a = rig_claim_in(ledger, "a", 4, 3, 10 * AX_MIB), *b = NULL, *c;
	struct axledger_held held;
	struct ax_error err = {0};

	assert_int_equal(axledger_claim(ledger, &(struct axledger_request){"b", cpus, 3, memory, 2},
					&b, &err),
			 0);
	c = rig_claim_in(ledger, "c", 0, 0, 6 * AX_MIB);
	axledger_close(ledger);

	held = rig_held(rig);
	assert_int_equal(held.cpu_count, 5); /* 5 is in both */
	assert_memory_equal(held.cpus, ((uint32_t[]){2, 4, 5, 6, 8191}), 5 * sizeof(uint32_t));
	assert_memory_equal(held.holders, ((uint32_t[]){1, 1, 2, 1, 1}), 5 * sizeof(uint32_t));
	assert_int_equal(held.memory_count, 3);
	assert_int_equal(held.memory[0].node, 0);
	assert_int_equal(held.memory[0].page_size_bytes, 1 * AX_GIB);
	assert_int_equal(held.memory[0].bytes, 4 * AX_GIB);
	assert_int_equal(held.memory[1].node, 1);
	assert_int_equal(held.memory[1].bytes, 16 * AX_MIB); /* a and c */
	assert_int_equal(held.memory[2].node, 3);
	assert_int_equal(held.memory[2].bytes, 7);
	assert_int_equal(held.vm_count, 3);
	assert_int_equal(held.ignored_count, 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(held.vms[i].pid, getpid());
		assert_int_equal(held.vms[i].uid, geteuid());
		if (held.vms[i].name[0] == 'b')
			assert_int_equal(held.vms[i].promised_bytes, 4 * AX_GIB + 7);
	}
	axledger_held_free(&held);
	axledger_release(b);
	axledger_release(a);
	held = rig_held(rig);
	assert_int_equal(held.vm_count, 1);
	assert_int_equal(held.cpu_count, 0);
	axledger_held_free(&held);
	axledger_release(c);
	assert_int_equal(rig_files(rig), 0);
}

static void test_populated_memory_is_not_promised(void **state)
{
	struct rig *rig = *state;
	struct axledger_claim *a = rig_claim(rig, "a", 0, 2, 8 * AX_MIB);
	struct axledger_claim *b = rig_claim(rig, "b", 2, 2, 4 * AX_MIB);
	struct axledger_held held;

	axledger_populated(a);
	axledger_populated(a);
	held = rig_held(rig);
	assert_int_equal(held.cpu_count, 4);
	assert_int_equal(held.memory_count, 1);
	assert_int_equal(held.memory[0].bytes, 4 * AX_MIB);
	axledger_held_free(&held);
	/* Until it is given back to be taken again. */
	axledger_promise(a);
	axledger_promise(b);
	held = rig_held(rig);
	assert_int_equal(held.memory_count, 1);
	assert_int_equal(held.memory[0].bytes, 12 * AX_MIB);
	axledger_held_free(&held);
	axledger_release(a);
	axledger_release(b);
}

static void test_release_in_any_order(void **state)
{
	struct rig *rig = *state;
	struct axledger *ledger = rig_open(rig);
	struct axledger_claim *a = rig_claim_in(ledger, "same", 0, 1, 0);
	struct axledger_claim *b = rig_claim_in(ledger, "same", 1, 1, 0);
	struct axledger_held held;

	axledger_release(a); /* before close */
	axledger_close(ledger);
	held = rig_held(rig);
	assert_int_equal(held.cpu_count, 1);
	assert_int_equal(held.cpus[0], 1);
	axledger_held_free(&held);
	ledger = rig_open(rig);
	axledger_release(b); /* while somebody plans */
	axledger_close(ledger);
	assert_int_equal(rig_files(rig), 0);
	axledger_release(NULL);
	axledger_close(NULL);
}

static void test_entries_are_readable_whatever_the_umask(void **state)
{
	struct rig *rig = *state;
	const mode_t old = umask(0777);
	struct axledger_claim *claim = rig_claim(rig, "evil\n\x1b[31m\xc3\xa4", 0, 1, 0);
	struct axledger_held held;
	char pattern[256];
	struct stat st;
	glob_t found;

	umask(old);
	snprintf(pattern, sizeof(pattern), "%s/*.vm", rig->path);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	assert_int_equal(stat(found.gl_pathv[0], &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	globfree(&found);
	held = rig_held(rig);
	assert_string_equal(held.vms[0].name, "evil??[31m??");
	axledger_held_free(&held);
	axledger_release(claim);
}

static void test_refuses_what_no_vm_holds(void **state)
{
	struct rig *rig = *state;
	struct axledger *ledger = rig_open(rig);
	struct axledger_claim *claim = NULL;
	const struct axledger_request wrong[] = {
		{"x", (uint32_t[]){1, 1}, 2, NULL, 0},
		{"x", (uint32_t[]){2, 1}, 2, NULL, 0},
		{"x", (uint32_t[]){65536}, 1, NULL, 0},
		{"x", NULL, 0, &(struct axledger_memory){1024, 4096, 1}, 1},
		{"x", NULL, 0, &(struct axledger_memory){0, 4097, 1}, 1},
		{"x", NULL, 0, &(struct axledger_memory){0, 0, 1}, 1},
		{"x", NULL, 0, &(struct axledger_memory){0, 4096, UINT64_MAX}, 1},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(wrong); i++) {
		struct ax_error err = {0};

		assert_int_equal(axledger_claim(ledger, &wrong[i], &claim, &err), -EINVAL);
		assert_int_not_equal(err.message[0], 0);
		assert_null(claim);
	}
	axledger_close(ledger);
	assert_int_equal(rig_files(rig), 0);
}

static void test_the_largest_claim_can_be_read(void **state)
{
	struct rig *rig = *state;
	static uint32_t cpus[AXLEDGER_MAX_CPUS];
	static struct axledger_memory memory[AXLEDGER_MAX_MEMORY];
	struct axledger *ledger = rig_open(rig);
	struct axledger_claim *claim = NULL;
	struct ax_error err = {0};
	struct axledger_held held;

	for (uint32_t i = 0; i < AXLEDGER_MAX_CPUS; i++)
		cpus[i] = 65535 - AXLEDGER_MAX_CPUS + i;
	for (uint32_t i = 0; i < AXLEDGER_MAX_MEMORY; i++)
		memory[i] = (struct axledger_memory){i % 1024, 1ULL << 62, INT64_MAX};
	assert_int_equal(axledger_claim(ledger,
					&(struct axledger_request){"large", cpus, AXLEDGER_MAX_CPUS,
								   memory, AXLEDGER_MAX_MEMORY},
					&claim, &err),
			 0);
	axledger_close(ledger);
	held = rig_held(rig);
	assert_int_equal(held.cpu_count, AXLEDGER_MAX_CPUS);
	assert_memory_equal(held.cpus, cpus, sizeof(cpus));
	assert_int_equal(held.memory_count, AXLEDGER_MAX_MEMORY);
	assert_int_equal(held.vms[0].promised_bytes, UINT64_MAX); /* more than there is */
	axledger_held_free(&held);
	axledger_release(claim);
}

/* ---- the planning lock ----------------------------------------------------------------------- */

static int open_and_stay(const struct rig *rig)
{
	struct axledger *ledger;

	return axledger_open(rig->path, 0, &ledger, NULL) ? 1 : 0;
}

static void test_the_wait_is_bounded_and_names_the_holder(void **state)
{
	struct rig *rig = *state;
	const pid_t pid = rig_stay(open_and_stay, rig, 0);
	struct axledger *ledger = NULL;
	struct ax_error err = {0};
	const uint64_t begin_ns = ax_clock_ns();
	char wanted[32];

	assert_int_equal(axledger_open(rig->path, 60, &ledger, &err), -ETIMEDOUT);
	assert_true(ax_clock_ns() - begin_ns >= 60000000);
	assert_null(ledger);
	assert_int_equal(err.kind, AX_ERROR_TIMEOUT);
	snprintf(wanted, sizeof(wanted), "process %d ", (int)pid);
	assert_non_null(strstr(err.message, wanted));
	assert_int_equal(axledger_open(rig->path, 0, &ledger, NULL), -ETIMEDOUT);
	rig_kill(pid);
	assert_int_equal(axledger_open(rig->path, 0, &ledger, &err), 0);
	axledger_close(ledger);
}

static void test_a_process_excludes_itself(void **state)
{
	struct rig *rig = *state;
	struct axledger *ledger = rig_open(rig), *other = NULL;
	struct ax_error err = {0};

	assert_int_equal(axledger_open(rig->path, 0, &other, &err), -ETIMEDOUT);
	axledger_close(ledger);
	assert_int_equal(axledger_open(rig->path, 0, &other, &err), 0);
	axledger_close(other);
}

static void test_close_frees_what_a_forked_child_has_too(void **state)
{
	struct rig *rig = *state;
	struct axledger *ledger = rig_open(rig);
	struct axledger_claim *claim = rig_claim_in(ledger, "a", 0, 1, 0);
	const pid_t child = fork();
	struct axledger_held held;

	assert_true(child >= 0);
	if (!child)
		for (;;)
			pause();
	axledger_close(ledger);
	held = rig_held(rig); /* does not wait for the child */
	assert_int_equal(held.vm_count, 1);
	axledger_held_free(&held);
	axledger_release(claim);
	assert_int_equal(rig_files(rig), 0);
	rig_kill(child);
}

/* ---- processes that end ---------------------------------------------------------------------- */

static int claim_and_stay(const struct rig *rig)
{
	return rig_claim(rig, "child", 0, 4, 1 * AX_GIB) ? 0 : 1;
}

static void test_a_killed_vm_holds_nothing(void **state)
{
	struct rig *rig = *state;
	const pid_t pid = rig_stay(claim_and_stay, rig, 0);
	struct axledger_held held = rig_held(rig);

	assert_int_equal(held.cpu_count, 4);
	assert_int_equal(held.vms[0].pid, pid);
	axledger_held_free(&held);
	rig_kill(pid);
	assert_int_equal(rig_files(rig), 1); /* nobody has looked yet */
	held = rig_held(rig);
	assert_int_equal(held.vm_count + held.cpu_count + held.memory_count, 0);
	assert_int_equal(held.ignored_count, 0);
	axledger_held_free(&held);
	assert_int_equal(rig_files(rig), 0);
}

static int claim_for_ever(const struct rig *rig)
{
	for (;;)
		axledger_release(rig_claim(rig, "child", 0, 4, 1 * AX_GIB));
	return 0;
}

static void test_killed_at_any_moment(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 60; i++) {
		const pid_t pid = fork();
		struct axledger_held held;

		assert_true(pid >= 0);
		if (!pid)
			_exit(claim_for_ever(rig));
		usleep(500 + i * 37 % 1500);
		rig_kill(pid);
		held = rig_held(rig);
		assert_int_equal(held.vm_count + held.ignored_count, 0);
		axledger_held_free(&held);
		assert_int_equal(rig_files(rig), 0);
	}
}

/* fork() alone shares the claim: a VM may go into the background. */
static int claim_and_fork(const struct rig *rig)
{
	return rig_claim(rig, "child", 0, 4, 0) && fork() >= 0 ? 0 : 1;
}

static int claim_and_execute(const struct rig *rig)
{
	int told[2];
	char byte;
	pid_t pid;

	if (!rig_claim(rig, "child", 0, 4, 0) || pipe2(told, O_CLOEXEC) != 0)
		return 1;
	pid = fork();
	if (!pid) {
		/* Nobody is to wait for what stays behind: no output of ours, and not for long. */
		dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 2);
		dup2(told[1], 1);
		execlp("sh", "sh", "-c", "echo && exec sleep 5 >&2", (char *)NULL);
		_exit(1);
	}
	/* Until it executes it has the descriptors of fork(), and is through with that when what it
	 * executes speaks. */
	close(told[1]);
	return read(told[0], &byte, 1) == 1 ? 0 : 1;
}

static void test_a_claim_outlives_its_forking_parent(void **state)
{
	struct rig *rig = *state;
	struct axledger_held held;
	int tell[2], forked[2], status;
	pid_t pid;
	char byte;

	assert_int_equal(pipe(tell), 0); /* the grandchild's end */
	assert_int_equal(pipe(forked), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(tell[1]);
		if (claim_and_fork(rig))
			_exit(1);
		if (write(forked[1], "", 1) != 1 || read(tell[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(tell[0]);
	close(forked[1]);
	/* Whichever says so, there are two. Both wait for the pipe; the first is ended now. */
	assert_int_equal(read(forked[0], &byte, 1), 1);
	held = rig_held(rig);
	assert_int_equal(held.vm_count, 1);
	axledger_held_free(&held);
	rig_kill(pid);
	held = rig_held(rig);
	assert_int_equal(held.cpu_count, 4);
	axledger_held_free(&held);
	close(tell[1]);
	wait_until((held = rig_held(rig), status = (int)held.vm_count, axledger_held_free(&held),
		    status == 0));
	close(forked[0]);
}

static void test_executed_programs_hold_nothing(void **state)
{
	struct rig *rig = *state;
	const pid_t pid = rig_stay(claim_and_execute, rig, 0);
	struct axledger_held held = rig_held(rig);

	assert_int_equal(held.vm_count, 1);
	axledger_held_free(&held);
	rig_kill(pid); /* its child sleeps on */
	held = rig_held(rig);
	assert_int_equal(held.vm_count, 0);
	axledger_held_free(&held);
}

/* ---- at once --------------------------------------------------------------------------------- */

enum { RACERS = 4, ROUNDS = 150, CPUS = 8, WANTED = 3 };
struct race {
	_Atomic int users[CPUS];
	_Atomic int overlaps, failures, claims, refusals;
};

/* Plans as a VM would: the first CPUs that nobody holds. */
static bool race_once(const struct rig *rig, struct race *race)
{
	uint32_t cpus[WANTED], count = 0;
	struct axledger_claim *claim = NULL;
	struct axledger *ledger = NULL;
	struct axledger_held held = {0};
	struct axledger_request request = {.name = "racer", .cpus = cpus, .cpu_count = WANTED};

	if (axledger_open(rig->path, RIG_WAIT_MS, &ledger, NULL) ||
	    axledger_held(ledger, &held, NULL))
		return false;
	for (uint32_t cpu = 0, i = 0; cpu < CPUS && count < WANTED; cpu++) {
		while (i < held.cpu_count && held.cpus[i] < cpu)
			i++;
		if (i == held.cpu_count || held.cpus[i] != cpu)
			cpus[count++] = cpu;
	}
	axledger_held_free(&held);
	if (count == WANTED && axledger_claim(ledger, &request, &claim, NULL))
		return false;
	axledger_close(ledger);
	if (!claim) {
		race->refusals++;
		return true;
	}
	race->claims++;
	for (unsigned i = 0; i < WANTED; i++)
		race->overlaps += atomic_fetch_add(&race->users[cpus[i]], 1) != 0;
	usleep(200);
	for (unsigned i = 0; i < WANTED; i++)
		atomic_fetch_sub(&race->users[cpus[i]], 1);
	axledger_release(claim);
	return true;
}

static void check_race(const struct race *race)
{
	assert_int_equal(race->failures, 0);
	assert_int_equal(race->overlaps, 0);
	assert_int_equal(race->claims + race->refusals, RACERS * ROUNDS);
	assert_true(race->claims > 0); /* how many were refused is the scheduler's */
}

static void test_processes_never_overlap(void **state)
{
	struct rig *rig = *state;
	struct race *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[RACERS];

	assert_true(race != MAP_FAILED);
	for (unsigned i = 0; i < RACERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i]) {
			for (unsigned round = 0; round < ROUNDS; round++)
				race->failures += !race_once(rig, race);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < RACERS; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	check_race(race);
	munmap(race, sizeof(*race));
	assert_int_equal(rig_files(rig), 0);
}

struct racer {
	const struct rig *rig;
	struct race *race;
};

static void *race_in_thread(void *arg)
{
	const struct racer *racer = arg;

	for (unsigned round = 0; round < ROUNDS; round++)
		racer->race->failures += !race_once(racer->rig, racer->race);
	return NULL;
}

static void test_threads_never_overlap(void **state)
{
	struct race race = {0};
	struct racer racer = {*state, &race};
	pthread_t threads[RACERS];

	for (unsigned i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race_in_thread, &racer), 0);
	for (unsigned i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	check_race(&race);
}

/* The directory for others' use: looked at as the ledger's, and without its lock. */
static void test_the_directory(void **state)
{
	struct rig *rig = *state;
	struct axledger *ledger = rig_open(rig);
	char path[AXLEDGER_PATH_LENGTH] = "kept", paths[2][AXLEDGER_PATH_LENGTH];
	struct ax_error err = {0};
	size_t count;

	assert_int_equal(axledger_make_directory(rig->path, path, strlen(rig->path), &err),
			 -ENAMETOOLONG);
	assert_string_equal(path, "kept");
	assert_int_equal(axledger_make_directory(rig->path, path, sizeof(path), &err), 0);
	assert_string_equal(path, rig->path);
	assert_int_equal(chmod(rig->path, 0777), 0); /* anybody could replace what is in it */
	assert_int_equal(axledger_make_directory(rig->path, path, sizeof(path), &err), -EPERM);
	assert_int_equal(axledger_make_directory("/nowhere", path, sizeof(path), &err), -ENOENT);
	assert_true(err.hint[0]);
	axledger_close(ledger);
	count = axledger_directories(paths);
	assert_in_range(count, 0, 2);
	for (size_t i = 0; i < count; i++) {
		struct stat st;

		assert_int_equal(lstat(paths[i], &st), 0);
		assert_true(S_ISDIR(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()));
		assert_true(!(st.st_mode & 0022) || st.st_mode & S_ISVTX);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_claims_add_up),
		TEST(test_populated_memory_is_not_promised),
		TEST(test_release_in_any_order),
		TEST(test_entries_are_readable_whatever_the_umask),
		TEST(test_refuses_what_no_vm_holds),
		TEST(test_the_largest_claim_can_be_read),
		TEST(test_the_wait_is_bounded_and_names_the_holder),
		TEST(test_a_process_excludes_itself),
		TEST(test_close_frees_what_a_forked_child_has_too),
		TEST(test_a_killed_vm_holds_nothing),
		TEST(test_killed_at_any_moment),
		TEST(test_a_claim_outlives_its_forking_parent),
		TEST(test_executed_programs_hold_nothing),
		TEST(test_processes_never_overlap),
		TEST(test_threads_never_overlap),
		TEST(test_the_directory),
	};

	return cmocka_run_group_tests_name("host-ledger", tests, NULL, NULL);
}
