/*
 * Pages brought by several threads: all of them and once, whatever the number of threads and
 * slices; the first error ends it; no thread is left. And the same on a kernel without
 * MADV_POPULATE_*.
 */
#include "common.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define BASE 0x40000000ULL

/* The first CPUs this process may use, the same again when there are too few. */
static void own_cpus(uint32_t *cpus, size_t count)
{
	cpu_set_t set;
	size_t n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		CPU_ZERO(&set);
	for (uint32_t cpu = 0; n < count && cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = cpu;
	}
	for (size_t have = n ? n : 1; n < count; n++)
		cpus[n] = n < have ? 0 : cpus[n - have];
}

/* The thread sanitizer begins one of its own beside our first. */
static unsigned int threads_of_process(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count - 2;
}

static long faults(int who)
{
	struct rusage usage = {0};

	getrusage(who, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static void two_threads_bring_all_and_the_caller_nothing(void **state)
{
	static const enum axas_backing backings[] = {AXAS_BACKING_ANON, AXAS_BACKING_THP};
	const uint64_t size = 64 * AX_MIB;
	unsigned int threads = threads_of_process();
	uint32_t cpus[2];

	(void)state;
	own_cpus(cpus, 2);
	for (size_t b = 0; b < AX_ARRAY_LEN(backings); b++) {
		struct axas *as = new_space(NULL);
		struct axas_region_config config = region(BASE, size);
		long all, own;

		config.backing = backings[b];
		config.populate = true;
		config.populate_cpus = cpus;
		config.populate_cpu_count = 2;
		all = faults(RUSAGE_SELF);
		own = faults(RUSAGE_THREAD);
		map_ok(as, &config);
		all = faults(RUSAGE_SELF) - all;
		own = faults(RUSAGE_THREAD) - own;
		assert_int_equal(resident_bytes(host_of(as, BASE), size), size);
		assert_int_equal(smaps_bytes(host_of(as, BASE), "Rss"), size);
		/* A fault for each page, or for each huge one, by somebody else. */
		assert_true(all - own >= (long)(size / (2 * AX_MIB)));
		if (backings[b] == AXAS_BACKING_ANON &&
		    !smaps_bytes(host_of(as, BASE), "ShmemPmdMapped"))
			assert_true(all - own >= (long)(size / (64 * AX_KIB)));
		/* That sanitizer marks memory of its own for each page that is mapped. */
		assert_true(own < 1000 || THREAD_SANITIZER);
		wait_until(threads_of_process() <= threads + THREAD_SANITIZER);
		axas_destroy(as);
	}
}

/* Slices are 16 MiB of addresses: regions of a part of one, one, and several, off their grid too.
 */
static int count_bytes(void *ctx, uint64_t bytes)
{
	atomic_fetch_add((_Atomic uint64_t *)ctx, bytes);
	return 0;
}

static int has_had_enough(void *ctx, uint64_t bytes)
{
	(void)bytes;
	return atomic_fetch_add((_Atomic uint64_t *)ctx, 1) == 2;
}

static void whoever_asks_is_told_and_may_end_it(void **state)
{
	static const size_t counts[] = {0, 2};
	uint32_t cpus[2];

	(void)state;
	own_cpus(cpus, AX_ARRAY_LEN(cpus));
	for (size_t i = 0; i < AX_ARRAY_LEN(counts); i++) {
		struct axas_region_config config = region(BASE, 100 * AX_MIB + PAGE);
		struct axas *as = new_space(NULL);
		_Atomic uint64_t told = 0;
		struct ax_error err = {0};

		config.populate = true;
		config.populate_cpus = cpus;
		config.populate_cpu_count = counts[i];
		config.on_populated = has_had_enough;
		config.ctx = &told;
		/* A slice each that was begun; unless the thread that is answered so is held up. */
		for (int tries = 0; !tries || (counts[i] && told > 5 && tries < 20); tries++) {
			told = 0;
			assert_int_equal(axas_map(as, &config, &err), -ECANCELED);
			assert_int_equal(axas_total_bytes(as), 0);
		}
		assert_true(told >= 3 && told <= 5);
		told = 0;
		config.on_populated = count_bytes;
		map_ok(as, &config);
		assert_int_equal(told, config.size_bytes);
		axas_destroy(as);
	}
}

static void any_number_of_threads_will_do(void **state)
{
	static const size_t counts[] = {0, 1, 2, 3, 40};
	static const struct {
		uint64_t gpa, size_bytes;
	} ranges[] = {
		{BASE, PAGE},
		{BASE, 2 * AX_MIB},
		{BASE, 16 * AX_MIB},
		{BASE + 5 * PAGE, 16 * AX_MIB},
		{BASE + 16 * AX_MIB - PAGE, 16 * AX_MIB + 2 * PAGE},
		{BASE + 9 * PAGE, 40 * AX_MIB},
	};
	uint32_t cpus[40];

	(void)state;
	own_cpus(cpus, AX_ARRAY_LEN(cpus));
	for (size_t i = 0; i < AX_ARRAY_LEN(counts) * AX_ARRAY_LEN(ranges); i++) {
		const size_t r = i / AX_ARRAY_LEN(counts);
		struct axas *as = new_space(NULL);
		struct axas_region_config config = region(ranges[r].gpa, ranges[r].size_bytes);

		config.populate = true;
		config.populate_cpus = cpus;
		config.populate_cpu_count = counts[i % AX_ARRAY_LEN(counts)];
		map_ok(as, &config);
		assert_int_equal(resident_bytes(host_of(as, config.gpa), config.size_bytes),
				 config.size_bytes);
		axas_destroy(as);
	}
}

static void without_populate_the_cpus_mean_nothing(void **state)
{
	const uint32_t nowhere = 8191;
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, 32 * AX_MIB);

	(void)state;
	config.populate_cpus = &nowhere;
	config.populate_cpu_count = 1;
	map_ok(as, &config);
	assert_int_equal(resident_bytes(host_of(as, BASE), 32 * AX_MIB), 0);
	axas_destroy(as);
}

static void a_cpu_that_is_not_ours_is_an_error(void **state)
{
	static const uint32_t wrong[] = {8191, 8192, UINT32_MAX};
	uint32_t cpus[2];

	(void)state;
	own_cpus(cpus, 2);
	for (size_t i = 0; i < AX_ARRAY_LEN(wrong); i++) {
		struct recorder recorder = {0};
		struct axas *as = new_space(&recorder);
		struct axas_region_config config = region(BASE, 64 * AX_MIB);
		struct ax_error err = {0};
		unsigned int threads = threads_of_process();

		cpus[1] = wrong[i];
		config.populate = true;
		config.populate_cpus = cpus;
		config.populate_cpu_count = 2;
		assert_int_equal(axas_map(as, &config, &err), -EINVAL);
		assert_int_equal(err.kind, AX_ERROR_THREAD);
		assert_non_null(strstr(err.message, "\"test\""));
		assert_non_null(strstr(err.message, "CPU"));
		assert_int_equal(axas_total_bytes(as), 0);
		assert_int_equal(recorder.calls, 0);
		wait_until(threads_of_process() <= threads + THREAD_SANITIZER);
		axas_destroy(as);
	}
}

/* One page is one slice, and one thread's work: the others are not begun. */
static void a_thread_without_work_is_not_started(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, PAGE);
	uint32_t cpus[2];

	(void)state;
	own_cpus(cpus, 2);
	cpus[1] = 8191;
	config.populate = true;
	config.populate_cpus = cpus;
	config.populate_cpu_count = 2;
	map_ok(as, &config);
	axas_destroy(as);
}

/* Slowly, so that the one that cannot start is met before the others are through. */
static int count_slowly(void *ctx, uint64_t bytes)
{
	*(_Atomic uint64_t *)ctx += bytes;
	usleep(100000);
	return 0;
}

static void one_that_cannot_start_ends_the_others(void **state)
{
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, 512 * AX_MIB);
	_Atomic uint64_t brought = 0;
	uint32_t cpus[2];

	(void)state;
	own_cpus(cpus, 2);
	cpus[1] = 8191;
	config.populate = true;
	config.populate_cpus = cpus;
	config.populate_cpu_count = 2;
	config.on_populated = count_slowly;
	config.ctx = &brought;
	assert_int_equal(axas_map(as, &config, NULL), -EINVAL);
	assert_true(brought < 512 * AX_MIB);
	axas_destroy(as);
}

/*
 * One slice fails: the system call is refused for the length that only this slice has. The region
 * begins 5 pages past, and ends 3 pages past, an address that slices may end at.
 */
#define SPLIT_GPA   (BASE + 5 * PAGE)
#define SPLIT_BYTES (32 * AX_MIB - 2 * PAGE)

struct failing {
	struct refusal refusal;
	int rc;
	const char *message;
	size_t threads;
	bool at_once; /* the first slice of one thread: no other is brought */
};

static int populate_and_fail(const void *arg)
{
	const struct failing *failing = arg;
	struct axas_region_config config = region(SPLIT_GPA, SPLIT_BYTES);
	struct recorder recorder = {0};
	struct axas_mapper mapper = recorder_mapper(&recorder);
	struct ax_error err = {0};
	struct axas *as = NULL;
	uint32_t cpus[3];
	long before;

	own_cpus(cpus, 3);
	CHECK(axas_create(0, &mapper, &as, NULL) == 0);
	if (!refuse(&failing->refusal))
		return SKIPPED;
	config.populate = true;
	config.populate_cpus = cpus;
	config.populate_cpu_count = failing->threads;
	before = faults(RUSAGE_SELF);
	CHECK(axas_map(as, &config, &err) == failing->rc);
	CHECK(!failing->at_once || faults(RUSAGE_SELF) - before < 1000 || THREAD_SANITIZER);
	CHECK(err.kind == AX_ERROR_MEMORY_ALLOCATION && strstr(err.message, failing->message));
	CHECK(axas_total_bytes(as) == 0 && recorder.calls == 0);
	for (int i = 0; threads_of_process() > 1 + THREAD_SANITIZER && i < 1000; i++)
		usleep(1000);
	CHECK(threads_of_process() <= 1 + THREAD_SANITIZER);
	/* Another region, whose slices are not refused. */
	config = region(BASE, 16 * AX_MIB);
	config.populate = true;
	config.populate_cpus = cpus;
	config.populate_cpu_count = failing->threads;
	CHECK(axas_map(as, &config, NULL) == 0 && recorder.calls == 1);
	axas_destroy(as);
	return 0;
}

static void an_error_in_one_slice_is_the_error_of_all(void **state)
{
	static const uint32_t grid = 2 * AX_MIB - 1, first = 2 * AX_MIB - 5 * PAGE, last = 3 * PAGE;
	static const struct {
		uint32_t value;
		int errnum, rc;
	} rows[] = {
		{first, ENOMEM, -ENOMEM},
		{last, EFAULT, -ENOMEM}, /* a page that cannot come, as the kernel says it */
		{last, EIO, -EIO},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		for (size_t threads = 0; threads <= 3; threads++) {
			const struct failing failing = {
				.refusal = {SYS_madvise, grid, rows[i].value, 22, rows[i].errnum},
				.rc = rows[i].rc,
				.message = "cannot populate",
				.threads = threads,
				.at_once = rows[i].value == first && threads <= 1,
			};
			in_child(populate_and_fail, &failing);
		}
	}
}

static int populate_the_old_way(const void *arg)
{
	const struct refusal old_kernel = {.nr = SYS_madvise, .least = 22, .errnum = EINVAL};
	struct axas_region_config config = region(SPLIT_GPA, SPLIT_BYTES);
	struct axas *as = NULL;
	unsigned char map[SPLIT_BYTES / PAGE];
	void *hva;
	uint32_t cpus[2];

	config.backing = *(const enum axas_backing *)arg;
	own_cpus(cpus, 2);
	CHECK(axas_create(0, NULL, &as, NULL) == 0);
	if (!refuse(&old_kernel))
		return SKIPPED;
	config.populate = true;
	config.populate_cpus = cpus;
	config.populate_cpu_count = 2;
	CHECK(axas_map(as, &config, NULL) == 0);
	CHECK(axas_translate(as, SPLIT_GPA, &hva, NULL) == 0);
	CHECK(syscall(SYS_mincore, hva, (size_t)SPLIT_BYTES, map) == 0);
	for (size_t i = 0; i < sizeof(map); i++)
		CHECK(map[i] & 1);
	axas_destroy(as);
	return 0;
}

static void kernels_that_cannot_populate_are_helped(void **state)
{
	static const enum axas_backing backings[] = {AXAS_BACKING_ANON, AXAS_BACKING_THP};

	(void)state;
	for (size_t b = 0; b < AX_ARRAY_LEN(backings); b++)
		in_child(populate_the_old_way, &backings[b]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_threads_bring_all_and_the_caller_nothing),
		cmocka_unit_test(any_number_of_threads_will_do),
		cmocka_unit_test(whoever_asks_is_told_and_may_end_it),
		cmocka_unit_test(without_populate_the_cpus_mean_nothing),
		cmocka_unit_test(a_cpu_that_is_not_ours_is_an_error),
		cmocka_unit_test(a_thread_without_work_is_not_started),
		cmocka_unit_test(one_that_cannot_start_ends_the_others),
		cmocka_unit_test(an_error_in_one_slice_is_the_error_of_all),
		cmocka_unit_test(kernels_that_cannot_populate_are_helped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
