/*
 * populate HOW PAGES MIB CPU...    what it takes to bring MIB of guest memory, by a thread on each
 * CPU
 *
 * HOW is axvm (axas_map with populate), touch (the threads write to each page of their share, as
 * monitors did), madvise (MADV_POPULATE_WRITE for their share, as QEMU's prealloc does) or mmap
 * (MAP_POPULATE, which is one thread's). PAGES is 4k (memfd), thp (memory that asks for huge pages,
 * as axvm's) or 2m (the pool). Prints milliseconds, CPU milliseconds of all threads, and the page
 * faults that the kernel counted for the process.
 */
#include <axvm/axaddrspace.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MAX_CPUS 64

struct share {
	pthread_t thread;
	char *at;
	uint64_t size_bytes, step;
	uint32_t cpu;
	bool by_madvise;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "populate: %s: %s\n", what, why);
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *bring(void *arg)
{
	const struct share *share = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(share->cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		die("CPU", strerror(errno));
	if (!share->by_madvise) {
		for (uint64_t i = 0; i < share->size_bytes; i += share->step)
			*(volatile char *)(share->at + i) = 1;
	} else if (madvise(share->at, share->size_bytes, MADV_POPULATE_WRITE) != 0) {
		die("MADV_POPULATE_WRITE", strerror(errno));
	}
	return NULL;
}

static void by_axvm(enum axas_backing backing, uint64_t size_bytes, const uint32_t *cpus,
		    size_t count)
{
	const struct axas_region_config region = {.name = "ram",
						  .gpa = 0,
						  .size_bytes = size_bytes,
						  .backing = backing,
						  .flags = AXAS_RW,
						  .populate = true,
						  .populate_cpus = cpus,
						  .populate_cpu_count = count,
						  .fd = -1};
	struct ax_error err = {0};
	struct axas *as;

	if (axas_create(0, NULL, &as, &err) || axas_map(as, &region, &err))
		die("axas_map", err.message);
}

static void by_hand(const char *how, const char *pages, uint64_t size_bytes, const uint32_t *cpus,
		    size_t count)
{
	const int huge = !strcmp(pages, "2m") ? MAP_HUGETLB : 0;
	const int now = !strcmp(how, "mmap") ? MAP_POPULATE : 0;
	/* Room to align it: a huge page needs its grid. */
	const uint64_t grid = 2 * AX_MIB;
	struct share shares[MAX_CPUS];
	char *at;
	int fd;

	if (!strcmp(pages, "thp")) {
		at = mmap(NULL, size_bytes + grid, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			die("mmap", strerror(errno));
		at = (char *)(((uintptr_t)at + grid - 1) & ~(grid - 1));
		madvise(at, size_bytes, MADV_HUGEPAGE);
	} else {
		fd = memfd_create("ram", huge ? MFD_HUGETLB : 0);
		if (fd < 0 || ftruncate(fd, (off_t)size_bytes) != 0)
			die("memfd", strerror(errno));
		at = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | now, fd, 0);
		if (at == MAP_FAILED)
			die("mmap", strerror(errno));
	}
	for (size_t i = 0; !now && i < count; i++) {
		const uint64_t each = size_bytes / count & ~(grid - 1);

		shares[i] =
			(struct share){.at = at + i * each,
				       .size_bytes = i + 1 < count ? each : size_bytes - i * each,
				       .step = huge ? grid : AXAS_PAGE_SIZE,
				       .cpu = cpus[i],
				       .by_madvise = !strcmp(how, "madvise")};
		if (pthread_create(&shares[i].thread, NULL, bring, &shares[i]))
			die("thread", "cannot start it");
	}
	for (size_t i = 0; !now && i < count; i++)
		pthread_join(shares[i].thread, NULL);
}

int main(int argc, char **argv)
{
	uint32_t cpus[MAX_CPUS];
	size_t count = 0;
	struct rusage before, after;
	uint64_t start, busy;

	if (argc < 5)
		return 64;
	const char *how = argv[1], *pages = argv[2];
	const uint64_t size_bytes = strtoull(argv[3], NULL, 10) * AX_MIB;
	for (int i = 4; i < argc && count < MAX_CPUS; i++)
		cpus[count++] = (uint32_t)strtoul(argv[i], NULL, 10);
	getrusage(RUSAGE_SELF, &before);
	busy = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	start = now_ns(CLOCK_MONOTONIC);
	if (!strcmp(how, "axvm"))
		by_axvm(!strcmp(pages, "4k")    ? AXAS_BACKING_ANON
			: !strcmp(pages, "thp") ? AXAS_BACKING_THP
						: AXAS_BACKING_HUGETLB_2M,
			size_bytes, cpus, count);
	else
		by_hand(how, pages, size_bytes, cpus, count);
	start = now_ns(CLOCK_MONOTONIC) - start;
	busy = now_ns(CLOCK_PROCESS_CPUTIME_ID) - busy;
	getrusage(RUSAGE_SELF, &after);
	printf("%.1f %.1f %ld\n", (double)start / 1e6, (double)busy / 1e6,
	       after.ru_minflt - before.ru_minflt);
	return 0;
}
