/*
 * Requests to a disk or a file, as fio's libaio engine makes them: each begun by a call of its own,
 * as soon as another has ended. Leaves what is measured to axload.c.
 */
#include "axload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_DEPTH 256
#define BLOCK     4096

struct plan {
	const char *path, *rw;
	uint64_t bs, depth, jobs, ops, size;
	bool seq, cached;
};

struct job {
	const struct plan *plan;
	pthread_t thread;
	unsigned index;
	uint64_t ops, next, random;
};

static uint64_t next_offset(struct job *job)
{
	const struct plan *plan = job->plan;
	const uint64_t share = plan->size / plan->jobs / plan->bs;

	if (plan->seq)
		return (job->index * share + job->next++ % share) * plan->bs;
	job->random = job->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (job->random >> 33) % (plan->size / plan->bs) * plan->bs;
}

static bool is_write(struct job *job)
{
	switch (job->plan->rw[0]) {
	case 'w':
		return true;
	default:
		return job->plan->rw[1] == 'w' && (job->random >> 40 & 1);
	}
}

static void submit(struct job *job, aio_context_t ctx, struct iocb *one, int fd, char *buffer)
{
	const uint64_t offset = next_offset(job);

	*one = (struct iocb){.aio_data = one->aio_data,
			     .aio_fildes = (uint32_t)fd,
			     .aio_lio_opcode = is_write(job) ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			     .aio_buf = (uintptr_t)(buffer + one->aio_data * job->plan->bs),
			     .aio_nbytes = job->plan->bs,
			     .aio_offset = (int64_t)offset};
	while (syscall(SYS_io_submit, ctx, 1L, &one) != 1)
		if (errno != EAGAIN && errno != EINTR)
			fail("io_submit: %s", strerror(errno));
}

static void *run_job(void *arg)
{
	struct job *job = arg;
	const struct plan *plan = job->plan;
	static __thread struct iocb requests[MAX_DEPTH];
	static __thread struct io_event events[MAX_DEPTH];
	const int flags = (plan->cached ? 0 : O_DIRECT) |
			  (plan->rw[0] == 'r' && !plan->rw[1] ? O_RDONLY : O_RDWR);
	const int fd = open(plan->path, flags);
	aio_context_t ctx = 0;
	uint64_t begun = 0, done = 0;
	cpu_set_t cpus;
	char *buffer;

	CPU_ZERO(&cpus);
	CPU_SET(job->index % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	if (plan->jobs > 1)
		sched_setaffinity(0, sizeof(cpus), &cpus);
	if (fd < 0)
		fail("%s: %s", plan->path, strerror(errno));
	if (posix_memalign((void **)&buffer, BLOCK, plan->bs * plan->depth))
		fail("no memory");
	memset(buffer, 0x5a, plan->bs * plan->depth);
	if (syscall(SYS_io_setup, (long)plan->depth, &ctx))
		fail("io_setup: %s", strerror(errno));
	for (; begun < plan->depth && begun < job->ops; begun++) {
		requests[begun].aio_data = begun;
		submit(job, ctx, &requests[begun], fd, buffer);
	}
	while (done < job->ops) {
		const long n = syscall(SYS_io_getevents, ctx, 1L, (long)plan->depth, events, NULL);

		if (n < 0 && errno != EINTR)
			fail("io_getevents: %s", strerror(errno));
		for (long i = 0; i < n; i++, done++) {
			if (events[i].res != (int64_t)plan->bs)
				fail("request %llu: %lld", (unsigned long long)done,
				     (long long)events[i].res);
			if (begun < job->ops) {
				begun++;
				submit(job, ctx, &requests[events[i].data], fd, buffer);
			}
		}
	}
	syscall(SYS_io_destroy, ctx);
	close(fd);
	free(buffer);
	return NULL;
}

int axload_disk(int argc, char **argv)
{
	const struct plan plan = {.path = argv[1],
				  .rw = word(argc, argv, "rw", "r"),
				  .bs = number(argc, argv, "bs", BLOCK),
				  .depth = number(argc, argv, "depth", 1),
				  .jobs = number(argc, argv, "jobs", 1),
				  .ops = number(argc, argv, "ops", 1000),
				  .size = number(argc, argv, "size", 64 << 20),
				  .seq = flag(argc, argv, "seq"),
				  .cached = flag(argc, argv, "cached")};
	static struct job jobs[MAX_JOBS];
	struct span span;

	if (!plan.depth || plan.depth > MAX_DEPTH || !plan.jobs || plan.jobs > MAX_JOBS ||
	    plan.bs < 512)
		fail("depth is 1 to %d, jobs 1 to %d, bs 512 or more", MAX_DEPTH, MAX_JOBS);
	span_begin(&span, "disk", argc, argv);
	for (unsigned i = 0; i < plan.jobs; i++) {
		jobs[i] = (struct job){
			.plan = &plan, .index = i, .ops = plan.ops / plan.jobs, .random = i + 1};
		if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]))
			fail("no thread");
	}
	for (unsigned i = 0; i < plan.jobs; i++)
		pthread_join(jobs[i].thread, NULL);
	span_end(&span, plan.ops / plan.jobs * plan.jobs);
	return 0;
}

/* What block n holds from its first byte to its last: its number, in every word. */
static void fill(uint64_t *block, uint64_t n)
{
	for (size_t i = 0; i < BLOCK / sizeof(*block); i++)
		block[i] = n * 0x100000001b3 + 1;
}

int axload_journal(int argc, char **argv)
{
	static uint64_t block[BLOCK / 8] __attribute__((aligned(BLOCK))), want[BLOCK / 8];
	const uint64_t check = number(argc, argv, "check", UINT64_MAX);
	const uint64_t blocks = number(argc, argv, "blocks", 1000);
	const int fd = open(argv[1], check == UINT64_MAX ? O_WRONLY : O_RDONLY);

	if (fd < 0)
		fail("%s: %s", argv[1], strerror(errno));
	if (check != UINT64_MAX) {
		for (uint64_t n = 0; n <= check; n++) {
			fill(want, n);
			if (pread(fd, block, BLOCK, (off_t)(n * BLOCK)) != BLOCK ||
			    memcmp(block, want, BLOCK) != 0)
				fail("block %llu is not there", (unsigned long long)n);
		}
		return 0;
	}
	for (uint64_t n = 0; n < blocks; n++) {
		fill(block, n);
		if (pwrite(fd, block, BLOCK, (off_t)(n * BLOCK)) != BLOCK || fsync(fd) != 0)
			fail("block %llu: %s", (unsigned long long)n, strerror(errno));
		printf("journal %llu\n", (unsigned long long)n);
		fflush(stdout);
	}
	return 0;
}
