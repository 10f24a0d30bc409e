/*
 * What is told of a thread: the CPU it is on lies among those it may be on, time on a CPU grows
 * while it works and not while it sleeps, and one that has ended is no more.
 */
#include "../test.h"

#include <axvm/base.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <stdio.h>

struct worker {
	_Atomic bool work, end;
};

static void live(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&worker->end))
		if (!atomic_load(&worker->work))
			usleep(1000);
}

static struct ax_thread *start(struct worker *worker, const int *cpu)
{
	/* A name that could end the name's field too early. */
	const struct ax_thread_config config = {
		.name = "a) R 1 (b", .cpus = cpu, .cpu_count = cpu ? 1 : 0};
	struct ax_thread *thread = NULL;
	struct ax_error err = {0};

	if (ax_thread_start(&config, live, worker, &thread, &err))
		fail_msg("%s", err.message);
	return thread;
}

static void test_pinned(void **state)
{
	struct worker worker = {.work = true};
	int cpu = sched_getcpu();
	struct ax_thread *thread = start(&worker, &cpu);
	struct ax_task task;
	char text[16];

	(void)state;
	assert_int_equal(ax_task_look(ax_thread_tid(thread), &task), 0);
	assert_int_equal(task.cpu, cpu);
	assert_int_equal(task.allowed_count, 1);
	snprintf(text, sizeof(text), "%d", cpu);
	assert_string_equal(task.allowed, text);
	atomic_store(&worker.end, true);
	ax_thread_join(thread);
}

static void test_times(void **state)
{
	struct worker worker = {0};
	struct ax_thread *thread = start(&worker, NULL);
	const pid_t tid = ax_thread_tid(thread);
	struct ax_task before, task;

	(void)state;
	assert_int_equal(ax_task_look(tid, &before), 0);
	if (!before.has_times)
		skip();
	atomic_store(&worker.work, true);
	for (int tries = 0; tries < 10000; tries++) {
		assert_int_equal(ax_task_look(tid, &task), 0);
		if (task.run_ns - before.run_ns > 20000000)
			break;
		usleep(1000);
	}
	assert_in_range(task.run_ns - before.run_ns, 20000001, 10000000000);
	assert_true(task.wait_ns >= before.wait_ns);
	atomic_store(&worker.end, true);
	ax_thread_join(thread);
}

static void test_gone(void **state)
{
	struct worker worker = {.end = true};
	struct ax_thread *thread = start(&worker, NULL);
	const pid_t tid = ax_thread_tid(thread);
	struct ax_task task = {.cpu = 77};
	int rc = 0;

	(void)state;
	ax_thread_join(thread);
	for (int tries = 0; !rc && tries < 2000; tries++) {
		rc = ax_task_look(tid, &task);
		usleep(1000);
	}
	assert_true(rc == -ENOENT || rc == -ESRCH);
	assert_int_equal(ax_task_look(0, &task), -ENOENT);
	/* Only this process's threads. */
	assert_int_equal(ax_task_look(1, &task), -ENOENT);
}

static void test_lists(void **state)
{
	static const struct {
		int cpus[8];
		size_t count;
		const char *text;
	} rows[] = {
		{{0}, 0, ""},
		{{7}, 1, "7"},
		{{3, 1, 2, 0, 8}, 5, "0-3,8"},
		{{1, 1, -1, 8191, 8192}, 5, "1,8191"},
		{{10, 30, 50, 70, 90, 110, 130, 150}, 8, "10,30,50..."},
	};
	char buf[13];

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		assert_string_equal(ax_format_cpus(rows[i].cpus, rows[i].count, buf, sizeof(buf)),
				    rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
