/*
 * The io_uring engine of the event loop: how a run gets its ring and gives it back, and the round,
 * whose one io_uring_enter hands over all that was asked for and waits. What the requests are is in
 * loop_request.c. A ring belongs to one run: it is made, used and ended by the thread that runs.
 */
#include "cpu_mask.h"
#include "loop_ring.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SQ_ENTRIES    128
#define CQ_ENTRIES    1024
#define NS_PER_SECOND 1000000000ULL

#define BUSY_OPS         8  /* under way, before completions are waited for in batches */
#define MOST_WAITED      16 /* for how many at most */
#define LONGEST_BATCH_NS 1000000ULL

/* Nothing is dropped when the completion queue is full, vectors may change after submission, a wait
 * takes a timeout. All of Linux 5.13 and older, as are the operations used: RSRC_TAGS stands for
 * polls that stay, which have no feature of their own. */
#define NEEDED                                                                      \
	(IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS |  \
	 IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_NATIVE_WORKERS | \
	 IORING_FEAT_RSRC_TAGS)

/* Best first; a kernel that does not know a flag answers EINVAL. */
static const unsigned setup_flags[] = {
	/* 6.1: completions are worked on in our wait only, and nobody else is to be locked out */
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, /* 5.19: no interrupts for them */
	0,
};

static int fail(struct ax_error *err, int rc)
{
	ax_error_set(err, AX_ERROR_UNSUPPORTED, -rc, "io_uring cannot be had: %s", strerror(-rc));
	switch (rc) {
	case -ENOSYS:
		return ax_error_hint(err, "this kernel is built without io_uring; choose epoll");
	case -EPERM:
	case -EACCES:
		return ax_error_hint(err,
				     "kernel.io_uring_disabled or a seccomp filter forbids it; "
				     "choose epoll");
	case -ENOMEM:
		return ax_error_hint(err,
				     "raise the limit of locked memory (ulimit -l); choose epoll");
	default:
		return ax_error_hint(err, "io_uring needs Linux 5.13 or newer; choose epoll");
	}
}

/* A ring's memory comes and goes by system calls of the library's own: ThreadSanitizer does not see
 * that one thread has given back what another gets at the same address. This tells it. */
#ifdef LOOP_TSAN
static _Atomic unsigned rings_ended;
#define TELL_END()   ((void)atomic_fetch_add(&rings_ended, 1))
#define TELL_BEGIN() ((void)atomic_load(&rings_ended))
#else
#define TELL_END()   ((void)0)
#define TELL_BEGIN() ((void)0)
#endif

static void end(struct io_uring *ring)
{
	TELL_END();
	io_uring_queue_exit(ring);
}

static int make(struct io_uring *ring, unsigned entries, unsigned cq_entries, struct ax_error *err)
{
	int rc = -EINVAL;

	for (size_t i = 0; rc == -EINVAL && i < AX_ARRAY_LEN(setup_flags); i++) {
		struct io_uring_params params = {
			.flags = setup_flags[i] | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
			.cq_entries = cq_entries,
		};
		rc = io_uring_queue_init_params(entries, ring, &params);
		if (rc == 0 && (params.features & NEEDED) != NEEDED) {
			end(ring);
			return fail(err, -EOPNOTSUPP);
		}
	}
	TELL_BEGIN();
	return rc < 0 ? fail(err, rc) : 0;
}

int ax_loop_uring_probe(struct ax_error *err)
{
	struct io_uring ring;
	int rc = make(&ring, 1, 2, err);

	if (rc == 0)
		end(&ring);
	return rc;
}

/* Workers of the kernel (for what would block) may run on all of the cpuset's CPUs by default; they
 * shall stay where this thread may run. New ones are put there by the kernel, those that are there
 * by us, which it allows since Linux 6.3; before, they stay until they have been idle for seconds.
 */
static void uring_confine(struct ax_loop *loop)
{
	struct cpu_mask mine = {0};
	char workers[32];

	if (sched_getaffinity(0, sizeof(mine), mine.sets) != 0)
		return;
	io_uring_register_iowq_aff(&loop->ring->uring, sizeof(mine), mine.sets);
	snprintf(workers, sizeof(workers), "iou-wrk-%d", (int)gettid());
	ax_cpu_mask_move_named(&mine, workers);
}

static int uring_start(struct ax_loop *loop, struct ax_error *err)
{
	struct ax_ring *ring = calloc(1, sizeof(*ring));
	int rc;

	if (!ring)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a ring");
	rc = make(&ring->uring, SQ_ENTRIES, CQ_ENTRIES, err);
	if (rc < 0) {
		free(ring);
		return rc;
	}
	io_uring_register_ring_fd(&ring->uring); /* 5.18: enter need not look the fd up */
	loop->ring = ring;
	uring_confine(loop);
	for (struct ax_event *event = loop->live; event; event = event->next) {
		if (event->kind == AX_EVENT_TIMER)
			continue;
		ax_loop_epoll.unwatch(event);
		ax_ring_watch(event);
	}
	ax_loop_epoll.unwatch(&loop->wake);
	ax_ring_watch(&loop->wake);
	return 0;
}

/* With many operations under way their completions are waited for in batches: a quarter of what is
 * in flight, but no longer than they take at their pace of late. Whoever has asked for much is
 * told, and interrupted, once for several. */
static bool uring_busy(const struct ax_loop *loop)
{
	return loop->ring->ops >= BUSY_OPS && loop->ring->pace_ns;
}

static unsigned batch_of(const struct ax_loop *loop, uint64_t *timeout_ns)
{
	const unsigned quarter = loop->ring->ops / 4;
	const unsigned batch = quarter < MOST_WAITED ? quarter : MOST_WAITED;
	uint64_t limit_ns = 2 * batch * loop->ring->pace_ns;

	if (!*timeout_ns || !uring_busy(loop))
		return 1;
	if (limit_ns > LONGEST_BATCH_NS)
		limit_ns = LONGEST_BATCH_NS;
	if (limit_ns < *timeout_ns)
		*timeout_ns = limit_ns;
	return batch;
}

static void measure_pace(struct ax_ring *ring, unsigned ended)
{
	const uint64_t now_ns = ended ? ax_clock_ns() : 0;

	if (ended && ring->last_end_ns) {
		const uint64_t pace_ns = (now_ns - ring->last_end_ns) / ended;

		ring->pace_ns = ring->pace_ns ? (7 * ring->pace_ns + pace_ns) / 8 : pace_ns;
	}
	if (ended)
		ring->last_end_ns = now_ns;
	if (!ring->ops) /* a pause says nothing about pace */
		ring->last_end_ns = 0;
}

/* One system call: hand over, and wait for a completion. Errors that pass are not errors: what
 * could not be handed over is tried again after the completions have been seen. */
static int enter(struct ax_loop *loop, uint64_t timeout_ns)
{
	struct io_uring *uring = &loop->ring->uring;
	const unsigned batch = batch_of(loop, &timeout_ns);
	struct __kernel_timespec timeout = {.tv_sec = (long long)(timeout_ns / NS_PER_SECOND),
					    .tv_nsec = (long long)(timeout_ns % NS_PER_SECOND)};
	struct io_uring_cqe *cqe;
	int rc;

	ax_counter_add(&loop->syscalls, 1);
	if (timeout_ns == AX_LOOP_FOREVER)
		rc = io_uring_submit_and_wait(uring, 1);
	else if (timeout_ns == 0 || io_uring_cq_ready(uring))
		/* A timeout of nothing would sleep until its timer fires; and with completions
		 * there already, the library would not have the kernel do what it has put off. */
		rc = io_uring_submit_and_get_events(uring);
	else
		rc = io_uring_submit_and_wait_timeout(uring, &cqe, batch, &timeout, NULL);
	ax_counter_add(&loop->wakeups, 1);
	if (rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY)
		return 0;
	loop->ring->broken = true;
	return rc;
}

/* Those completed by now; what comes meanwhile waits for the next round. */
static bool reap(struct ax_loop *loop)
{
	struct io_uring *uring = &loop->ring->uring;
	unsigned n = io_uring_cq_ready(uring);
	const bool any = n > 0;
	const uint64_t ended = ax_counter_read(&loop->ops_done);
	struct io_uring_cqe *cqe;

	for (; n > 0 && io_uring_peek_cqe(uring, &cqe) == 0; n--) {
		const struct io_uring_cqe copy = {
			.user_data = cqe->user_data, .res = cqe->res, .flags = cqe->flags};

		io_uring_cqe_seen(uring, cqe); /* now: callbacks may need the room */
		ax_ring_complete(loop, &copy);
	}
	measure_pace(loop->ring, (unsigned)(ax_counter_read(&loop->ops_done) - ended));
	return any;
}

static int uring_round(struct ax_loop *loop, uint64_t timeout_ns, bool *ret_any)
{
	bool more;

	/* Their callbacks may have set timers, or asked for what comes before the next wait. */
	if (ax_ring_run_quick(loop, &more) && timeout_ns)
		timeout_ns = more || loop->deferred.first || loop->idle.first
				     ? 0
				     : ax_loop_timeout_ns(loop);
	if (!more)
		ax_ring_submit_ops(loop);
	ax_ring_submit_events(loop);
	int rc = enter(loop, timeout_ns);
	if (rc < 0)
		return rc;
	*ret_any |= reap(loop);
	*ret_any |= ax_loop_run_timers(loop);
	return 0;
}

/* What never reached the kernel ends with an error when the ring cannot be entered any more, say
 * for a seccomp filter that came late; for what did there is nobody to ask. */
static bool fail_ops(struct ax_loop *loop)
{
	struct ax_op *op = loop->ops;

	if (!op)
		return false;
	loop->ops = op->next;
	if (!loop->ops)
		loop->ops_tail = &loop->ops;
	ax_counter_add(&loop->ops_done, 1);
	op->fn(op, -ECANCELED);
	return true;
}

static bool uring_drain(struct ax_loop *loop)
{
	if (loop->ring->broken)
		return fail_ops(loop);
	ax_ring_submit_ops(loop);
	if (!loop->ring->ops)
		return false;
	if (enter(loop, AX_LOOP_FOREVER) == 0)
		reap(loop);
	return true;
}

static void uring_finish(struct ax_loop *loop)
{
	struct ax_ring *ring = loop->ring;

	for (struct ax_event *event = loop->live; event; event = event->next)
		ax_ring_cancel(event);
	ax_ring_cancel(&loop->wake);
	while (ring->unanswered && !ring->broken && enter(loop, AX_LOOP_FOREVER) == 0)
		reap(loop);
	/* The rest of a ring goes away some time later; its files must not, they may be locked. */
	if (ring->has_files)
		io_uring_unregister_files(&ring->uring);
	end(&ring->uring);
	loop->ring = NULL;
	free(ring);
	ax_loop_epoll.watch(&loop->wake);
	for (struct ax_event *event = loop->live; event; event = event->next) {
		event->dirty = false;
		if (event->kind != AX_EVENT_TIMER)
			ax_loop_epoll.watch(event);
	}
	loop->wake.dirty = false;
}

const struct ax_loop_methods ax_loop_uring = {
	.name = "io_uring",
	.start = uring_start,
	.finish = uring_finish,
	.watch = ax_ring_watch,
	.unwatch = ax_ring_unwatch,
	.round = uring_round,
	.drain = uring_drain,
	.busy = uring_busy,
	.forget = ax_ring_forget,
	.confine = uring_confine,
};
