/*
 * What the files of the event loop share. loop.c has the run, loop_event.c what is registered,
 * loop_timer.c when timers are due, loop_queue.c what waits for its turn (operations, deferred
 * calls, posts). An engine waits for fds and performs operations: loop_epoll.c, loop_uring.c.
 */
#ifndef AX_LOOP_PRIVATE_H
#define AX_LOOP_PRIVATE_H

#include <axvm/base.h>

#include <pthread.h>

#define AX_LOOP_FOREVER UINT64_MAX
#define AX_LOOP_KEPT    64 /* fds that can be kept at a time */

struct ax_event {
	struct ax_loop *loop;
	struct ax_event *next, *prev; /* in loop->live, or (next only) in loop->dead */
	ax_event_fn *fn;
	void *ctx;
	int fd;          /* -1: a timer */
	uint32_t events; /* asked for; 0 is asleep */
	enum { AX_EVENT_FD, AX_EVENT_COUNTER, AX_EVENT_TIMER, AX_EVENT_WAKE } kind;
	bool removed;

	/* a timer's */
	uint64_t at_ns, interval_ns;
	struct ax_event *next_timer;
	bool pending; /* in loop->timers */

	/* epoll's */
	bool in_epoll;

	/* the ring's */
	struct ax_event *next_dirty;
	bool dirty;     /* in the ring's list of those to look at before the next wait */
	bool in_flight; /* there is a request, whose completion has not been seen */
	bool cancelled; /* and one to cancel it */
	uint32_t armed; /* the events in flight */
};

enum { AX_OP_READV, AX_OP_WRITEV, AX_OP_FDATASYNC, AX_OP_FALLOCATE };

struct ax_deferred_list {
	struct ax_deferred *first, **tail;
};

struct ax_ring; /* loop_uring.c */

/*
 * Engines. Between runs, and for ax_loop_step, a loop is epoll's; a run that has a ring moves the
 * events there and back. All but start are called on the running loop only.
 */
struct ax_loop_methods {
	const char *name;
	/* Take all events over from epoll; NULL where there is nothing to take. */
	int (*start)(struct ax_loop *loop, struct ax_error *err);
	void (*finish)(struct ax_loop *loop);
	/* event->events is what to wait for from now on, 0 for nothing. */
	int (*watch)(struct ax_event *event);
	/* The event goes away, and its fd may be closed when this returns. */
	void (*unwatch)(struct ax_event *event);
	/* Begin what is queued, wait, and call back. Less than 0 is fatal. */
	int (*round)(struct ax_loop *loop, uint64_t timeout_ns, bool *ret_any);
	/* End operations without calling events; false when there are no more. */
	bool (*drain)(struct ax_loop *loop);
	/* So many operations are under way that a wait is short, whatever else is to be done. */
	bool (*busy)(const struct ax_loop *loop);
	void (*forget)(struct ax_loop *loop, unsigned slot);
	/* Workers of the kernel go where this thread is. NULL: there are none. */
	void (*confine)(struct ax_loop *loop);
};

struct ax_loop {
	const struct ax_loop_methods *engine; /* at work now */
	_Atomic int choice;   /* enum ax_loop_engine; any thread may ask for the engine's name */
	struct ax_ring *ring; /* while a run has one */
	int epoll_fd;
	struct ax_event wake;    /* an eventfd in blocking mode, not in `live` */
	bool woken;              /* by it, in this round */
	bool dispatching;        /* removed events stay allocated until the round is over */
	bool draining;           /* the run is ending: operations only */
	struct ax_event *live;   /* registered */
	struct ax_event *dead;   /* removed while dispatching */
	struct ax_event *timers; /* pending, the next one first */
	_Atomic bool stop;
	struct ax_counter wakeups, syscalls, ops_done;
	struct ax_op *ops, **ops_tail; /* begun and not yet handed to the kernel, in order */
	struct ax_deferred_list deferred, idle;
	unsigned busy_rounds;     /* since idle calls waited */
	int dry_fd;               /* a stream that had no more to read in this round; -1: none */
	int kept[AX_LOOP_KEPT];   /* fds; -1 is free */
	bool quick[AX_LOOP_KEPT]; /* a regular file, buffered: loop_quick.c */

	pthread_mutex_t post_lock;
	struct ax_post *posts;      /* under post_lock, as is whether one is queued */
	struct ax_post **post_tail; /* under post_lock */
	bool closed;                /* under post_lock: run is about to return or has */
};

extern const struct ax_loop_methods ax_loop_epoll;
extern const struct ax_loop_methods ax_loop_uring; /* where AX_HAVE_IO_URING */

/* The operation as a system call of its own. */
int32_t ax_loop_perform(struct ax_loop *loop, const struct ax_op *op);
int ax_loop_uring_probe(struct ax_error *err);

/* ---- loop_event.c ---------------------------------------------------------------------------- */
/* Whether callbacks of events may be called: not after stop. */
bool ax_loop_may_call(const struct ax_loop *loop);
void ax_loop_dispatch(struct ax_event *event, uint32_t events);

void ax_loop_free_dead(struct ax_loop *loop);

/* ---- loop_timer.c ---------------------------------------------------------------------------- */
/* How long a wait may last; AX_LOOP_FOREVER without timers. */
uint64_t ax_loop_timeout_ns(const struct ax_loop *loop);
bool ax_loop_run_timers(struct ax_loop *loop);
void ax_loop_unlink_timer(struct ax_event *timer);

/* ---- loop_queue.c ---------------------------------------------------------------------------- */
void ax_loop_begin(struct ax_loop *loop, struct ax_op *op);
bool ax_loop_writes_quickly(int fd); /* loop_quick.c, where AX_HAVE_IO_URING */
void ax_loop_wake(struct ax_loop *loop);
/* What is in the list. false: there was nothing. */
bool ax_loop_run_deferred(struct ax_loop *loop, struct ax_deferred_list *list);
void ax_loop_run_posts(struct ax_loop *loop, bool close_after);
void ax_loop_drop_posts(struct ax_loop *loop);

#endif
