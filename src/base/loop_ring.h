/*
 * Between loop_uring.c, which has the ring, and loop_request.c, which says what is in it.
 */
#ifndef AX_LOOP_RING_H
#define AX_LOOP_RING_H

#include "loop_private.h"

#include <liburing.h>

/* Built for ThreadSanitizer, which sees nothing of what the kernel and liburing do. */
#ifdef __SANITIZE_THREAD__
#define LOOP_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LOOP_TSAN
#endif
#endif

struct ax_ring {
	struct io_uring uring;
	struct ax_event *dirty;   /* to look at before the next wait */
	unsigned unanswered;      /* requests without a completion so far */
	unsigned ops;             /* of these, operations */
	uint64_t rest_until_ns;   /* loop_quick.c: no writes at once before this */
	bool was_slow;            /* the last one */
	uint64_t pace_ns;         /* from one operation's end to the next, of late; 0: not known */
	uint64_t last_end_ns;     /* 0: none was under way meanwhile */
	bool plain[AX_LOOP_KEPT]; /* a stream whose operations the ring cannot do */
	bool broken;              /* it could not be entered */
	bool has_files;           /* the table of fixed files is there */
	bool no_files;            /* and cannot be */
	bool fixed[AX_LOOP_KEPT]; /* loop->kept[i] is in it */
};

int ax_ring_watch(struct ax_event *event);
void ax_ring_unwatch(struct ax_event *event);
void ax_ring_cancel(struct ax_event *event);
void ax_ring_submit_ops(struct ax_loop *loop);
void ax_ring_submit_events(struct ax_loop *loop);
/* Those at the queue's head that are better done here; true when there were. There may be more of
 * them for the next round. */
bool ax_ring_run_quick(struct ax_loop *loop, bool *ret_more);
void ax_ring_complete(struct ax_loop *loop, const struct io_uring_cqe *cqe);
void ax_ring_forget(struct ax_loop *loop, unsigned slot);

#endif
