/*
 * loop FILE [direct]   what an I/O operation and a kick cost the event loop, with either engine
 *
 * Operations: `depth` of them are always under way, each begun by the end of another, on FILE (1
 * MiB of it, which it writes first). Kicks: `depth` eventfds, each written again by its own
 * callback, and an operation begun by each, as by a disk's queue with one request in it. One line a
 * combination.
 */
#include <axvm/base.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BLOCK     4096
#define BLOCKS    256
#define MAX_DEPTH 128

enum what { READS, WRITES, SYNCS, KICKS };
static const char *const what_names[] = {"read", "write", "fdatasync", "kick+read"};

struct bench;
struct lane {
	struct ax_op op;
	struct bench *bench;
	struct ax_event *event;
	struct iovec iov;
	int kick;
};

struct bench {
	struct ax_loop *loop;
	struct lane lane[MAX_DEPTH];
	enum what what;
	int fd;
	unsigned next, left, under_way;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void begin(struct lane *lane)
{
	struct bench *bench = lane->bench;
	const uint64_t offset = (uint64_t)(bench->next++ * 7 % BLOCKS) * BLOCK;

	if (bench->what == SYNCS)
		ax_op_fdatasync(bench->loop, &lane->op, bench->fd);
	else if (bench->what == WRITES)
		ax_op_writev(bench->loop, &lane->op, bench->fd, &lane->iov, 1, offset, 0);
	else
		ax_op_readv(bench->loop, &lane->op, bench->fd, &lane->iov, 1, offset, 0);
}

static void on_kick(void *ctx, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	begin(ctx);
}

static void on_done(struct ax_op *op, int32_t result)
{
	struct lane *lane = ax_container_of(op, struct lane, op);
	struct bench *bench = lane->bench;

	if (result < 0) {
		fprintf(stderr, "loop: %s: %s\n", what_names[bench->what], strerror(-result));
		exit(1);
	}
	if (bench->left > 0) {
		bench->left--;
		if (bench->what != KICKS)
			begin(lane);
		else if (eventfd_write(lane->kick, 1) != 0) /* the guest's, not the loop's */
			fail("eventfd");
	} else if (--bench->under_way == 0) {
		ax_loop_stop(bench->loop);
	}
}

static void measure(enum ax_loop_engine engine, enum what what, int fd, unsigned depth,
		    unsigned total)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct ax_loop_stats stats;
	struct ax_error err = {0};

	if (!bench)
		fail("memory");
	*bench = (struct bench){.what = what, .fd = fd, .left = total - depth, .under_way = depth};
	if (ax_loop_create(engine, &bench->loop, &err) < 0) {
		fprintf(stderr, "loop: %s\n", err.message);
		exit(1);
	}
	ax_loop_keep_fd(bench->loop, fd);
	for (unsigned i = 0; i < depth; i++) {
		struct lane *lane = &bench->lane[i];

		lane->bench = bench;
		lane->op.fn = on_done;
		lane->iov = (struct iovec){aligned_alloc(BLOCK, BLOCK), BLOCK};
		if (!lane->iov.iov_base)
			fail("memory");
		memset(lane->iov.iov_base, (int)i, BLOCK);
		if (what == KICKS) {
			lane->kick = eventfd(1, EFD_CLOEXEC);
			if (ax_loop_add_eventfd(bench->loop, lane->kick, on_kick, lane,
						&lane->event, &err) < 0)
				fail("eventfd");
		} else {
			begin(lane);
		}
	}
	const uint64_t start_ns = ax_clock_ns();
	if (ax_loop_run(bench->loop, &err) < 0) {
		fprintf(stderr, "loop: %s\n", err.message);
		exit(1);
	}
	const uint64_t ns = ax_clock_ns() - start_ns;
	ax_loop_get_stats(bench->loop, &stats);
	printf("%s %s %u %.3f %.0f\n", what_names[what], ax_loop_engine_name(bench->loop), depth,
	       (double)stats.syscalls / (double)stats.ops, (double)ns / (double)stats.ops);
	ax_loop_destroy(bench->loop);
	for (unsigned i = 0; i < depth; i++) {
		free(bench->lane[i].iov.iov_base);
		if (what == KICKS)
			close(bench->lane[i].kick);
	}
	free(bench);
}

int main(int argc, char **argv)
{
	static const unsigned depths[] = {1, 32, MAX_DEPTH};
	static char block[BLOCK];
	const bool direct = argc > 2 && strcmp(argv[2], "direct") == 0;

	if (argc < 2) {
		fprintf(stderr, "usage: loop FILE [direct]\n");
		return 64;
	}
	int flags = O_RDWR | O_CREAT | O_CLOEXEC | (direct ? O_DIRECT : 0);
	int fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(argv[1]);
	for (int i = 0; i < BLOCKS; i++)
		if (pwrite(fd, block, BLOCK, (off_t)i * BLOCK) != BLOCK)
			fail(argv[1]);
	fsync(fd);
	close(fd);
	fd = open(argv[1], flags);
	if (fd < 0)
		fail(argv[1]);
	for (enum what what = READS; what <= KICKS; what++)
		for (size_t i = 0; i < AX_ARRAY_LEN(depths); i++)
			for (int e = AX_LOOP_IO_URING; e <= AX_LOOP_EPOLL; e++)
				measure((enum ax_loop_engine)e, what, fd, depths[i],
					what == SYNCS ? 1000
					: direct      ? 20000
						      : 100000);
	close(fd);
	return 0;
}
