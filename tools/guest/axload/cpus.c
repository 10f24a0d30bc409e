/*
 * Loads of several CPUs that wake and interrupt each other, or do nothing: what they cost is not
 * the work but how one CPU reaches another. Leaves what is measured to axload.c.
 */
#include "axload.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAPPED (64 * 1024UL)

static unsigned cpu_count(void)
{
	return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

static void stay_on(unsigned cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu % cpu_count(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		fail("CPU %u: %s", cpu, strerror(errno));
}

static unsigned jobs_of(int argc, char **argv)
{
	const uint64_t jobs = number(argc, argv, "jobs", 1);

	if (!jobs || jobs > MAX_JOBS)
		fail("jobs is 1 to %d", MAX_JOBS);
	return (unsigned)jobs;
}

int axload_idle(int argc, char **argv)
{
	const uint64_t ms = number(argc, argv, "ms", 1000);
	struct span span;

	span_begin(&span, "idle", argc, argv);
	usleep((useconds_t)ms * 1000);
	span_end(&span, ms * cpu_count() / 1000);
	return 0;
}

/* ---- futex: pairs ---------------------------------------------------------------------------- */

/* Whose turn it is: a round is odd for the first of the pair, even for the second. */
struct pair {
	_Alignas(128) _Atomic uint32_t turn;
	uint64_t rounds;
};

struct side {
	pthread_t thread;
	struct pair *pair;
	unsigned cpu;
	uint32_t parity;
};

static void *play(void *arg)
{
	struct side *side = arg;
	struct pair *pair = side->pair;

	stay_on(side->cpu);
	for (uint64_t i = 0; i < pair->rounds; i++) {
		uint32_t turn;

		while ((turn = pair->turn) % 2 != side->parity)
			syscall(SYS_futex, &pair->turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
		pair->turn = turn + 1;
		syscall(SYS_futex, &pair->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

int axload_futex(int argc, char **argv)
{
	const unsigned pairs = jobs_of(argc, argv);
	const uint64_t rounds = number(argc, argv, "ops", 1000) / pairs;
	static struct pair pair[MAX_JOBS];
	static struct side sides[2 * MAX_JOBS];
	struct span span;

	span_begin(&span, "futex", argc, argv);
	for (unsigned i = 0; i < 2 * pairs; i++) {
		pair[i / 2].rounds = rounds;
		sides[i] = (struct side){.pair = &pair[i / 2], .cpu = i, .parity = i % 2};
		if (pthread_create(&sides[i].thread, NULL, play, &sides[i]))
			fail("no thread");
	}
	for (unsigned i = 0; i < 2 * pairs; i++)
		pthread_join(sides[i].thread, NULL);
	span_end(&span, rounds * pairs);
	return 0;
}

/* ---- tlb: one maps, the others run ----------------------------------------------------------- */

static atomic_bool is_over;
static atomic_uint running;

static void *compute(void *arg)
{
	volatile uint64_t sum = 0;

	stay_on((unsigned)(uintptr_t)arg);
	running++;
	while (!is_over)
		sum = sum * 31 + 1;
	return NULL;
}

static void map_once(void)
{
	char *at = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	for (unsigned long i = 0; i < MAPPED; i += 4096)
		at[i] = 1;
	if (mprotect(at, MAPPED, PROT_READ) != 0 || munmap(at, MAPPED) != 0)
		fail("mprotect, munmap: %s", strerror(errno));
}

int axload_tlb(int argc, char **argv)
{
	const unsigned jobs = jobs_of(argc, argv);
	const uint64_t ops = number(argc, argv, "ops", 1000);
	pthread_t threads[MAX_JOBS];
	struct span span;

	for (unsigned i = 1; i < jobs; i++)
		if (pthread_create(&threads[i], NULL, compute, (void *)(uintptr_t)i))
			fail("no thread");
	stay_on(0);
	while (running < jobs - 1)
		usleep(1000);
	span_begin(&span, "tlb", argc, argv);
	for (uint64_t i = 0; i < ops; i++)
		map_once();
	span_end(&span, ops);
	is_over = true;
	for (unsigned i = 1; i < jobs; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
