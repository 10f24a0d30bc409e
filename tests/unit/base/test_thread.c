/*
 * Threads: name, tid, affinity before the function runs, the signal mask, stacks, and the kick
 * that interrupts a blocking system call - also one that comes too late.
 */
#include "../test.h"

#include <axvm/base.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct seen {
	char name[16];
	pid_t tid;
	cpu_set_t cpus;
	int on_cpu;
	sigset_t mask;
	size_t stack_bytes;
	bool ran;
};

static void look_around(void *arg)
{
	struct seen *seen = arg;
	pthread_attr_t attr;

	pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
	seen->tid = gettid();
	seen->on_cpu = sched_getcpu();
	sched_getaffinity(0, sizeof(seen->cpus), &seen->cpus);
	pthread_sigmask(SIG_BLOCK, NULL, &seen->mask);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &seen->stack_bytes);
	pthread_attr_destroy(&attr);
	seen->ran = true;
}

static struct seen start_and_look(const struct ax_thread_config *config)
{
	struct seen seen = {0};
	struct ax_thread *thread = NULL;
	struct ax_error err = {0};

	assert_int_equal(ax_thread_start(config, look_around, &seen, &thread, &err), 0);
	pid_t tid = ax_thread_tid(thread);
	ax_thread_join(thread);
	assert_true(seen.ran);
	assert_int_equal(tid, seen.tid);
	assert_int_not_equal(tid, gettid());
	return seen;
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(start_and_look(&(struct ax_thread_config){.name = "vcpu 0"}).name,
			    "vcpu 0");
	assert_string_equal(
		start_and_look(&(struct ax_thread_config){.name = "a name beyond fifteen"}).name,
		"a name beyond f");
	assert_string_equal(start_and_look(&(struct ax_thread_config){0}).name, "ax");
}

static void affinity_is_set_before_the_function_runs(void **state)
{
	cpu_set_t own;

	(void)state;
	sched_getaffinity(0, sizeof(own), &own);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &own))
			continue;
		struct ax_thread_config config = {.name = "pinned", .cpus = &cpu, .cpu_count = 1};
		struct seen seen = start_and_look(&config);
		assert_int_equal(seen.on_cpu, cpu);
		assert_int_equal(CPU_COUNT(&seen.cpus), 1);
		assert_true(CPU_ISSET(cpu, &seen.cpus));
	}
	struct seen seen = start_and_look(&(struct ax_thread_config){.name = "free"});
	assert_true(CPU_EQUAL(&seen.cpus, &own));

	int all[CPU_SETSIZE];
	size_t count = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &own))
			all[count++] = cpu;
	}
	struct ax_thread_config config = {.name = "all", .cpus = all, .cpu_count = count};
	seen = start_and_look(&config);
	assert_true(CPU_EQUAL(&seen.cpus, &own));
}

static void must_not_run(void *arg)
{
	*(bool *)arg = true;
}

static void read_policy(void *arg)
{
	*(int *)arg = sched_getscheduler(0);
}

static void the_class_is_set_before_the_function_runs(void **state)
{
	static const int policies[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE};
	struct ax_thread *thread = NULL;
	struct ax_error err = {0};
	bool ran = false;
	int seen;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(policies); i++) {
		struct ax_thread_config config = {.policy = policies[i]};

		seen = -1;
		assert_int_equal(ax_thread_start(&config, read_policy, &seen, &thread, &err), 0);
		ax_thread_join(thread);
		assert_int_equal(seen, policies[i]);
	}
	/* sched(7): real-time classes have priorities from 1 to 99. */
	struct ax_thread_config config = {.name = "vcpu 3", .policy = SCHED_FIFO, .priority = 100};
	thread = NULL;
	assert_int_equal(ax_thread_start(&config, must_not_run, &ran, &thread, &err), -EINVAL);
	assert_null(thread);
	assert_false(ran);
	assert_int_equal(err.kind, AX_ERROR_THREAD);
	assert_non_null(strstr(err.message, "\"vcpu 3\""));
	assert_non_null(strstr(err.message, "priority 100"));
	assert_true(err.hint[0]);
}

/* One missing CPU is enough, also beside others that exist; our own affinity stays as it was. */
static void a_missing_cpu_is_named(void **state)
{
	static const int bad[] = {-1, 1000, 8191, 8192, 100000, INT32_MAX, INT32_MIN};
	cpu_set_t before, after;

	(void)state;
	sched_getaffinity(0, sizeof(before), &before);
	int good = 0;
	while (!CPU_ISSET(good, &before))
		good++;
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		for (int together = 0; together < 2; together++) {
			int cpus[2] = {together ? good : bad[i], bad[i]};
			struct ax_thread_config config = {
				.name = "vcpu 3", .cpus = cpus, .cpu_count = 2};
			struct ax_thread *thread = NULL;
			struct ax_error err = {0};
			bool ran = false;
			char number[32];

			assert_int_equal(
				ax_thread_start(&config, must_not_run, &ran, &thread, &err),
				-EINVAL);
			assert_null(thread);
			assert_false(ran);
			assert_int_equal(err.kind, AX_ERROR_THREAD);
			snprintf(number, sizeof(number), "host CPU %d:", bad[i]);
			assert_non_null(strstr(err.message, number));
			assert_non_null(strstr(err.message, "\"vcpu 3\""));
			assert_non_null(strstr(err.message, "allowed CPUs "));
			snprintf(number, sizeof(number), "%d", good);
			assert_non_null(strstr(err.hint, number));
		}
	}
	sched_getaffinity(0, sizeof(after), &after);
	assert_true(CPU_EQUAL(&before, &after));
	int one_bad = 8191;
	struct ax_thread_config config = {.cpus = &one_bad, .cpu_count = 1};
	struct ax_thread *thread = NULL;
	assert_int_equal(ax_thread_start(&config, must_not_run, NULL, &thread, NULL), -EINVAL);
}

static void only_the_kick_and_faults_are_unblocked(void **state)
{
	const int blocked[] = {SIGINT,  SIGTERM, SIGHUP,   SIGQUIT,      SIGPIPE,
			       SIGALRM, SIGCHLD, SIGUSR1,  SIGUSR2,      SIGWINCH,
			       SIGTSTP, SIGXFSZ, SIGRTMIN, SIGRTMIN + 2, SIGRTMAX};
	const int open[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	sigset_t before, after;

	(void)state;
	/* A mask of our own: earlier tests have started threads too. */
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	struct seen seen = start_and_look(&(struct ax_thread_config){.name = "deaf"});
	for (size_t i = 0; i < AX_ARRAY_LEN(blocked); i++)
		assert_int_equal(sigismember(&seen.mask, blocked[i]), 1);
	for (size_t i = 0; i < AX_ARRAY_LEN(open); i++)
		assert_int_equal(sigismember(&seen.mask, open[i]), 0);
	assert_int_equal(sigismember(&seen.mask, SIGRTMIN + 1), 0);

	pthread_sigmask(SIG_BLOCK, NULL, &after);
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
}

static void stacks(void **state)
{
	static const size_t asked[] = {0, 1, 4096, 300001, 1 << 20, 8 << 20};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(asked); i++) {
		struct ax_thread_config config = {.name = "stack", .stack_bytes = asked[i]};
		struct seen seen = start_and_look(&config);
		size_t least = asked[i] ? asked[i] : 256 * AX_KIB;
		assert_true(seen.stack_bytes >= least);
	}
	struct ax_thread_config huge = {.name = "huge", .stack_bytes = (size_t)1 << 60};
	struct ax_thread *thread = NULL;
	struct ax_error err = {0};
	bool ran = false;
	assert_true(ax_thread_start(&huge, must_not_run, &ran, &thread, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_THREAD);
	assert_null(thread);
	assert_false(ran);
}

struct blocked_reader {
	int fd;
	_Atomic bool returned;
	_Atomic unsigned int kicks_wanted;
	ssize_t result;
	int error;
};

static void read_once(void *arg)
{
	struct blocked_reader *reader = arg;
	char byte;

	reader->result = read(reader->fd, &byte, 1);
	reader->error = errno;
	atomic_store(&reader->returned, true);
}

static void a_kick_interrupts_a_blocking_read(void **state)
{
	struct ax_thread_config config = {.name = "reader"};
	struct blocked_reader reader = {0};
	struct ax_thread *thread = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	reader.fd = fds[0];
	assert_int_equal(ax_thread_start(&config, read_once, &reader, &thread, NULL), 0);
	/* A kick before the read is a kick lost: repeat, as the run loop's users do not have to
	 * (immediate_exit covers that gap there). */
	uint64_t limit = ax_clock_ns() + 10000000000ULL;
	while (!atomic_load(&reader.returned) && ax_clock_ns() < limit) {
		ax_thread_kick(thread);
		usleep(1000);
	}
	bool returned = atomic_load(&reader.returned);
	close(fds[1]); /* ends the read in any case */
	ax_thread_join(thread);
	close(fds[0]);
	assert_true(returned);
	assert_int_equal(reader.result, -1);
	assert_int_equal(reader.error, EINTR);
}

static void set_flag(void *arg)
{
	atomic_store((_Atomic bool *)arg, true);
}

static void a_kick_after_the_end_is_harmless(void **state)
{
	struct ax_thread_config config = {.name = "brief"};

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct ax_thread *thread = NULL;
		_Atomic bool done = false;
		assert_int_equal(ax_thread_start(&config, set_flag, &done, &thread, NULL), 0);
		while (!atomic_load(&done)) {
			ax_thread_kick(thread);
			usleep(20); /* without a breath it would do nothing but handle signals */
		}
		if (round % 10 == 0)
			usleep(5000); /* surely gone from the kernel */
		for (int i = 0; i < 10; i++)
			ax_thread_kick(thread);
		ax_thread_join(thread);
	}
}

struct kicker {
	struct ax_thread *target;
	_Atomic bool stop;
};

static void *kick_main(void *arg)
{
	struct kicker *kicker = arg;

	while (!atomic_load(&kicker->stop)) {
		ax_thread_kick(kicker->target);
		usleep(20); /* the target must do more than handle signals */
	}
	return NULL;
}

static void many_may_kick_one(void **state)
{
	struct ax_thread_config config = {.name = "target"};
	struct blocked_reader reader = {0};
	struct kicker kicker = {0};
	pthread_t threads[3];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	reader.fd = fds[0];
	assert_int_equal(ax_thread_start(&config, read_once, &reader, &kicker.target, NULL), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, kick_main, &kicker), 0);
	uint64_t limit = ax_clock_ns() + 10000000000ULL;
	while (!atomic_load(&reader.returned) && ax_clock_ns() < limit)
		usleep(500);
	usleep(20000); /* kicks go on while the thread is gone */
	atomic_store(&kicker.stop, true);
	for (size_t i = 0; i < AX_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	close(fds[1]);
	ax_thread_join(kicker.target);
	close(fds[0]);
	assert_int_equal(reader.error, EINTR);
}

static void joining_null_is_fine(void **state)
{
	(void)state;
	ax_thread_join(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(affinity_is_set_before_the_function_runs),
		cmocka_unit_test(the_class_is_set_before_the_function_runs),
		cmocka_unit_test(a_missing_cpu_is_named),
		cmocka_unit_test(only_the_kick_and_faults_are_unblocked),
		cmocka_unit_test(stacks),
		cmocka_unit_test(a_kick_interrupts_a_blocking_read),
		cmocka_unit_test(a_kick_after_the_end_is_harmless),
		cmocka_unit_test(many_may_kick_one),
		cmocka_unit_test(joining_null_is_fine),
	};
	return cmocka_run_group_tests_name("base-thread", tests, NULL, NULL);
}
