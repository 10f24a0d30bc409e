/*
 * base: what every layer above may assume - errors, log, counters, threads,
 * the event loop and byte sizes. No policy and no knowledge of virtual machines.
 *
 * Nothing in this layer (or in any other library layer) prints to a terminal or
 * ends the process: errors travel up as a negative errno beside a caller-owned
 * struct ax_error, and log lines go to the sink the program has installed.
 */
#ifndef AXVM_BASE_H
#define AXVM_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

/* ---- compiler helpers ------------------------------------------------------------------------ */

#define AX_PRINTF(fmt, args)               __attribute__((format(printf, fmt, args)))
#define AX_MUST_CHECK                      __attribute__((warn_unused_result))
#define AX_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define AX_CACHE_LINE                      64
#define ax_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define AX_KIB (1ULL << 10)
#define AX_MIB (1ULL << 20)
#define AX_GIB (1ULL << 30)

/* Scope-bound cleanup: `AX_AUTO_CLOSE int fd = -1;`, `AX_AUTO_FREE char *s = NULL;` */
void ax_cleanup_close(int *fd);
void ax_cleanup_free(void *ptr_to_ptr);
#define AX_AUTO_CLOSE __attribute__((cleanup(ax_cleanup_close)))
#define AX_AUTO_FREE  __attribute__((cleanup(ax_cleanup_free)))

/* true when a + b, as unsigned 64-bit numbers, wraps; *ret_sum is set only when it does not. */
static inline bool ax_add_overflows(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	uint64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return true;
	*ret_sum = sum;
	return false;
}

static inline bool ax_is_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* `align` is a power of two; ax_align_up wraps to 0 when v is within align of 2^64. */
static inline uint64_t ax_align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline uint64_t ax_align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* ---- errors ---------------------------------------------------------------------------------- */

/*
 * How bad it is. Severity drives behaviour: anything below CRITICAL leaves the VM usable
 * (ax_error_is_recoverable), CRITICAL and above stops it (ax_error_requires_shutdown).
 */
enum ax_severity {
	AX_SEVERITY_INFO,
	AX_SEVERITY_WARNING,
	AX_SEVERITY_ERROR,
	AX_SEVERITY_CRITICAL,
	AX_SEVERITY_FATAL,
};

/*
 * What went wrong. One const row per kind in src/base/error.c gives its name, severity and the
 * exit status a program should end with; nothing else in the tree decides those.
 */
enum ax_error_kind {
	AX_ERROR_NONE = 0,
	/* Fatal: this host cannot run any VM. */
	AX_ERROR_KVM_ABSENT,         /* no /dev/kvm */
	AX_ERROR_KVM_PERMISSION,     /* /dev/kvm is there but may not be opened */
	AX_ERROR_KVM_INIT,           /* opening or asking /dev/kvm failed otherwise */
	AX_ERROR_KVM_VERSION,        /* KVM_GET_API_VERSION is not 12 */
	AX_ERROR_MISSING_CAPABILITY, /* a required KVM_CAP_* is missing */
	AX_ERROR_HARDWARE_FAILURE,   /* KVM_EXIT_FAIL_ENTRY and its like */
	AX_ERROR_PROFILE_REFUSED,    /* the chosen profile refuses this host */
	/* Critical: this VM cannot go on. */
	AX_ERROR_VM_CREATION,
	AX_ERROR_VCPU_CREATION,
	AX_ERROR_MEMORY_ALLOCATION,
	AX_ERROR_MEMORY_SETUP,
	AX_ERROR_BOOT_STATE,    /* entering the CPU's boot mode failed (long mode, ...) */
	AX_ERROR_THREAD,        /* a thread could not be started, pinned or joined */
	AX_ERROR_INTERNAL_EXIT, /* KVM_EXIT_INTERNAL_ERROR */
	/* Error: this operation failed, the VM is as it was. */
	AX_ERROR_INVALID_STATE,
	AX_ERROR_TIMEOUT,
	AX_ERROR_MAX_ITERATIONS,
	AX_ERROR_VCPU_RUNTIME,
	AX_ERROR_MEMORY_ACCESS,
	AX_ERROR_MEMORY_ALIGNMENT,
	AX_ERROR_ALREADY_EXISTS, /* overlap of ranges, lines, names */
	AX_ERROR_NOT_FOUND,
	AX_ERROR_CPUID_SETUP,
	AX_ERROR_REGISTER_ACCESS,
	AX_ERROR_BOOT_IMAGE, /* kernel, initrd, command line: missing, malformed, too large */
	AX_ERROR_DISK,
	AX_ERROR_DEVICE,
	AX_ERROR_IO,
	AX_ERROR_NO_MEMORY, /* our own heap */
	AX_ERROR_INTERNAL,
	/* Warning: the request was wrong or can be done without. */
	AX_ERROR_CONFIGURATION,
	AX_ERROR_USAGE,
	AX_ERROR_UNSUPPORTED,
	AX_ERROR_IRQ_INJECTION,
	/* Info. */
	AX_ERROR_DEVICE_NOT_FOUND,
	AX_ERROR_KIND_COUNT
};

/*
 * Owned by the caller, usually on the stack, zero-initialised (`struct ax_error err = {0};`).
 * Filled only when a function returns a negative errno. All functions accept err == NULL.
 */
struct ax_error {
	enum ax_error_kind kind;
	enum ax_severity severity;
	int sys_errno;     /* positive errno, 0 when none applies */
	char message[512]; /* one sentence with the offending values, no trailing newline */
	char hint[384];    /* what the user can do about it; may be empty */
};

/* Fill err (severity from the kind's row) and return -sys_errno, or -EINVAL when that is 0. */
int ax_error_set(struct ax_error *err, enum ax_error_kind kind, int sys_errno, const char *fmt, ...)
	AX_PRINTF(4, 5);
/* Set the hint of an already filled error. Returns the error's negative errno (-EINVAL if none). */
int ax_error_hint(struct ax_error *err, const char *fmt, ...) AX_PRINTF(2, 3);
/* Put "context: " in front of the message while unwinding. Returns as ax_error_hint. */
int ax_error_context(struct ax_error *err, const char *fmt, ...) AX_PRINTF(2, 3);

const char *ax_error_kind_name(enum ax_error_kind kind); /* "KvmVersion"; never NULL */
enum ax_severity ax_error_kind_severity(enum ax_error_kind kind);
int ax_error_kind_exit_status(enum ax_error_kind kind); /* 1..125, see axvm(1) EXIT STATUS */
const char *ax_severity_name(enum ax_severity severity);

static inline bool ax_error_is_recoverable(const struct ax_error *err)
{
	return err->severity < AX_SEVERITY_CRITICAL;
}

static inline bool ax_error_requires_shutdown(const struct ax_error *err)
{
	return err->severity >= AX_SEVERITY_CRITICAL;
}

/* ---- log ------------------------------------------------------------------------------------- */

enum ax_log_level { AX_LOG_ERROR, AX_LOG_WARN, AX_LOG_INFO, AX_LOG_DEBUG, AX_LOG_TRACE };

/* Called from any thread, one call per line, without a trailing newline in `line`. */
typedef void ax_log_sink_fn(void *ctx, enum ax_log_level level, const char *layer,
			    const char *line);

/* The sink is the process's one mutable global. NULL (the default) drops every line. */
void ax_log_set_sink(ax_log_sink_fn *sink, void *ctx);
void ax_log_set_level(enum ax_log_level level); /* default AX_LOG_WARN */
bool ax_log_enabled(enum ax_log_level level);
void ax_log(enum ax_log_level level, const char *layer, const char *fmt, ...) AX_PRINTF(3, 4);

/*
 * For lines a guest can cause: at most `burst` lines per second, the number dropped is told with
 * the next line that passes. Zero-initialise with AX_RATELIMIT_INIT; any thread.
 */
struct ax_ratelimit {
	uint32_t burst;
	_Atomic uint64_t window_start_ns;
	_Atomic uint32_t in_window;
	_Atomic uint64_t dropped;
};
#define AX_RATELIMIT_INIT  \
	{                  \
		.burst = 5 \
	}
void ax_log_limited(struct ax_ratelimit *limit, enum ax_log_level level, const char *layer,
		    const char *fmt, ...) AX_PRINTF(4, 5);

/* ---- counters -------------------------------------------------------------------------------- */

/* One writer thread, any number of readers: an add is a plain load and store, never a lock. */
struct ax_counter {
	_Atomic uint64_t value;
};

static inline void ax_counter_add(struct ax_counter *c, uint64_t n)
{
	uint64_t v = atomic_load_explicit(&c->value, memory_order_relaxed);
	atomic_store_explicit(&c->value, v + n, memory_order_relaxed);
}

static inline uint64_t ax_counter_read(const struct ax_counter *c)
{
	return atomic_load_explicit(&c->value, memory_order_relaxed);
}

uint64_t ax_clock_ns(void); /* CLOCK_MONOTONIC */
/*
 * For trying again to get what another process holds: false when since_ns is two seconds ago or
 * more, otherwise sleeps for some milliseconds first. A monitor that was killed holds its files for
 * a moment longer, until the kernel has taken its io_uring apart, and may be started again at once.
 */
bool ax_wait_for_release(uint64_t since_ns);

/* ---- sizes ----------------------------------------------------------------------------------- */

/*
 * "512M", "1G", "4096", "2MiB" -> bytes; binary units K, M, G, T with optional "iB" or "B", any
 * case; a bare number counts `default_unit` bytes. -EINVAL for anything else, -ERANGE past 2^64.
 */
int ax_parse_size(const char *text, uint64_t default_unit, uint64_t *ret_bytes);
/* Shortest exact form: "512M", "1536K", "17". buf holds at least 24 bytes. Returns buf. */
char *ax_format_size(uint64_t bytes, char *buf, size_t buf_size);

/* ---- files ----------------------------------------------------------------------------------- */

/* A regular file of at most `most` bytes, whole; *ret_text is malloc'ed, the caller's. `what` is
 * for messages: "the configuration". Errors are AX_ERROR_CONFIGURATION: those of open(2), -EINVAL
 * for another kind of file, -EFBIG. */
int ax_read_text(const char *path, const char *what, size_t most, char **ret_text, size_t *ret_size,
		 struct ax_error *err) AX_MUST_CHECK;
/* Read or write all of len at offset, restarting on EINTR and short transfers.
 * -ENODATA when the file ends early, otherwise a negative errno. */
int ax_pread_full(int fd, void *buf, size_t len, uint64_t offset);
int ax_pwrite_full(int fd, const void *buf, size_t len, uint64_t offset);

/* ---- listening Unix sockets ------------------------------------------------------------------ */

/* A Unix socket with a name in the file system, mode 0600, owned by the caller. */
struct ax_listener {
	int fd;         /* non-blocking; -1: none */
	char path[108]; /* absolute, or as given; sockaddr_un has no more room */
	dev_t dev;      /* what was made there: nothing else is removed */
	ino_t ino;
};
/* type: SOCK_STREAM or SOCK_SEQPACKET. One that nobody listens on any more is replaced; -EADDRINUSE
 * when somebody does, -EEXIST for what is no socket, -ENAMETOOLONG, or what bind(2) gave. On
 * failure fd is -1 and nothing was made. */
int ax_listener_open(struct ax_listener *self, const char *path, int type, int backlog,
		     struct ax_error *err) AX_MUST_CHECK;
/* Removes the name if it is still ours. */
void ax_listener_close(struct ax_listener *self);
/* Could one be opened there now? The errors are those of ax_listener_open; nothing is made, removed
 * or connected to. */
int ax_listener_check(const char *path, struct ax_error *err);

/* Has a process a socket there, of whatever type? It is not connected to and does not notice. 0;
 * -ECONNREFUSED: nobody has it any more; -ENOTSOCK; or what connect(2) gives, as -ENOENT and
 * -EACCES, or -ENAMETOOLONG. */
int ax_socket_probe(const char *path);

/* ---- threads --------------------------------------------------------------------------------- */

struct ax_thread; /* opaque; created by start, freed by join */

struct ax_thread_config {
	const char *name; /* as `ps -L` shows it; cut to 15 bytes */
	const int *cpus;  /* host CPUs the thread may run on; NULL: wherever its creator may */
	size_t cpu_count;
	size_t stack_bytes; /* 0: 256 KiB */
	int policy;         /* sched(7): SCHED_OTHER (0), SCHED_BATCH, SCHED_FIFO, SCHED_RR */
	int priority;       /* of the last two */
};

/* Affinity and policy are set before fn runs. All signals are blocked in the thread but the kick
 * and the fault signals (SIGBUS ...), which must reach the program's handler. On success the caller
 * owns *ret_thread and ends it with ax_thread_join. */
int ax_thread_start(const struct ax_thread_config *config, void (*fn)(void *arg), void *arg,
		    struct ax_thread **ret_thread, struct ax_error *err) AX_MUST_CHECK;
void ax_thread_join(struct ax_thread *thread); /* NULL is fine */
pid_t ax_thread_tid(const struct ax_thread *thread);

/*
 * Interrupt a thread's blocking system call (the KVM_RUN kick). The signal is SIGRTMIN+1 with an
 * empty handler, installed once by the first ax_thread_start. Safe from any thread while the
 * target has not been joined.
 */
void ax_thread_kick(struct ax_thread *thread);

/* What the kernel tells of a thread of this process. */
struct ax_task {
	int cpu; /* where it runs, or ran last; -1: not told */
	/* Where it may run, as the kernel writes lists ("0-3,8"); ends in "..." when that is
	 * longer. */
	char allowed[128];
	uint32_t allowed_count;
	bool has_times;   /* the kernel counts these (schedstat) */
	uint64_t run_ns;  /* on a CPU */
	uint64_t wait_ns; /* would run, and had none: others' time */
};
/* A list of CPUs as the kernel writes them, like `allowed` above, of numbers in any order. Returns
 * buf. */
char *ax_format_cpus(const int *cpus, size_t count, char *buf, size_t buf_size);
/* Any thread; the other is not stopped. -ENOENT or -ESRCH when it has ended. */
int ax_task_look(pid_t tid, struct ax_task *ret_task);

/* From now on it may run on these CPUs only; tid 0: the caller. Negative errno of
 * sched_setaffinity(2). */
int ax_task_move(pid_t tid, const int *cpus, size_t count);
/* All threads of this process whose name matches the pattern of fnmatch(3), as far as the kernel
 * lets us: for its own, like "vhost-*". */
void ax_task_move_named(const char *pattern, const int *cpus, size_t count);

/* ---- event loop ------------------------------------------------------------------------------ */

/*
 * One loop belongs to one thread (control, io N), which calls ax_loop_run: readiness of fds,
 * eventfds, timers, and file and packet I/O all end there. Where the kernel has io_uring and allows
 * it, one ring is both the wait and the data path: all that a round of callbacks asked for is
 * handed over, and waited for, by one system call. Otherwise it is epoll, and I/O is done by plain
 * system calls at the end of the round. Callers cannot tell the difference.
 *
 * Everything is called from the loop's thread or while the loop is not running, but post and stop,
 * which any thread may call. Callbacks run one at a time and may call anything here but run, step
 * and destroy.
 */
struct ax_loop;
struct ax_event; /* a registered fd or timer, owned by the loop until removed */

/* `events` are EPOLLIN | EPOLLOUT | EPOLLHUP ... as reported. */
typedef void ax_event_fn(void *ctx, int fd, uint32_t events);

enum ax_loop_engine {
	AX_LOOP_AUTO,     /* io_uring where it can be had, else epoll; the log says which */
	AX_LOOP_IO_URING, /* or an error (AX_ERROR_UNSUPPORTED) that says what is missing */
	AX_LOOP_EPOLL,
};

int ax_loop_create(enum ax_loop_engine engine, struct ax_loop **ret_loop,
		   struct ax_error *err) AX_MUST_CHECK;
void ax_loop_destroy(struct ax_loop *loop); /* NULL is fine; removes what is registered */
/* "io_uring" or "epoll". Before its first run a loop of AX_LOOP_AUTO tells what it is going to try.
 * Any thread. */
const char *ax_loop_engine_name(const struct ax_loop *loop);

/* Level-triggered, and no EPOLLET or the like. An fd has one event at a time (-EEXIST). Events of 0
 * put the event to sleep (hang-ups and errors included) until it is given others. */
int ax_loop_add_fd(struct ax_loop *loop, int fd, uint32_t events, ax_event_fn *fn, void *ctx,
		   struct ax_event **ret_event, struct ax_error *err) AX_MUST_CHECK;
int ax_loop_modify_fd(struct ax_event *event, uint32_t events);
/* NULL is fine; safe inside a callback. The fd may be closed at once, and is then closed. */
void ax_loop_remove(struct ax_event *event);

/* An eventfd, which must be in blocking mode (-EINVAL) and has no other reader: fn is called with
 * events = 0 at least once after each write, or once for several. Nobody reads it but the loop,
 * which may leave the count in it; so what it counts means nothing, and a call may find nothing to
 * do. */
int ax_loop_add_eventfd(struct ax_loop *loop, int fd, ax_event_fn *fn, void *ctx,
			struct ax_event **ret_event, struct ax_error *err) AX_MUST_CHECK;

/* A timer counts down on CLOCK_MONOTONIC; interval 0 is one shot. fn gets fd = -1, events = 0.
 * A delay of AX_TIMER_OFF makes a timer that waits to be set. */
#define AX_TIMER_OFF UINT64_MAX
int ax_loop_add_timer(struct ax_loop *loop, uint64_t delay_ns, uint64_t interval_ns,
		      ax_event_fn *fn, void *ctx, struct ax_event **ret_event,
		      struct ax_error *err) AX_MUST_CHECK;
/* Start it again with other times; what was pending is forgotten. */
void ax_loop_set_timer(struct ax_event *timer, uint64_t delay_ns, uint64_t interval_ns);

/*
 * I/O operations: a struct ax_op of the caller's, embedded in its request, so that no I/O
 * allocates. The caller sets fn, keeps op and vectors until fn is called, and never touches the
 * rest. fn runs once for every operation begun, on the loop's thread and not before the call that
 * began it has returned; `result` is a count of bytes, which may be short, or a negative errno.
 * Operations of one loop begin in the order of the calls and end in any order.
 *
 * A descriptor that can be waited for (tap, socket) must be non-blocking, and is used with
 * AX_OP_NO_OFFSET: such operations never wait, but answer -EAGAIN. A disk's file must be blocking.
 * ax_loop_run ends only when all operations have.
 */
struct ax_op {
	void (*fn)(struct ax_op *op, int32_t result);
	/* the loop's */
	struct ax_op *next;
	const struct iovec *iov;
	uint64_t offset, length;
	int fd;
	uint32_t count, flags;
	int32_t result;
	uint8_t kind;
};

#define AX_OP_NO_OFFSET UINT64_MAX /* for what has no position: tap, socket, pipe */
#define AX_OP_MAX_IOV   1024U      /* vectors an operation may have (IOV_MAX) */
/* flags: RWF_DSYNC, RWF_NOWAIT ... */
void ax_op_readv(struct ax_loop *loop, struct ax_op *op, int fd, const struct iovec *iov,
		 unsigned count, uint64_t offset, uint32_t flags);
void ax_op_writev(struct ax_loop *loop, struct ax_op *op, int fd, const struct iovec *iov,
		  unsigned count, uint64_t offset, uint32_t flags);
void ax_op_fdatasync(struct ax_loop *loop, struct ax_op *op, int fd);
/* mode: FALLOC_FL_* */
void ax_op_fallocate(struct ax_loop *loop, struct ax_op *op, int fd, int mode, uint64_t offset,
		     uint64_t length);
/* Say that many operations on fd are to come (the ring then keeps it as a fixed file), and, before
 * fd is closed, that there will be none. Never needed for correctness. */
void ax_loop_keep_fd(struct ax_loop *loop, int fd);
void ax_loop_forget_fd(struct ax_loop *loop, int fd);

/* Run fn(ctx) once, at the end of the round of callbacks at hand or the next (before the loop
 * waits), however often it is asked for meanwhile. Owned by the caller, zero-initialised but for fn
 * and ctx; cancel before it goes away. */
struct ax_deferred {
	void (*fn)(void *ctx);
	void *ctx;
	struct ax_deferred *next; /* the loop's */
	bool queued, idle;
};
void ax_loop_defer(struct ax_loop *loop, struct ax_deferred *deferred);
/* The same, but not before the loop has nothing left to do and is about to wait, or has gone
 * through some rounds that never came to that. */
void ax_loop_defer_idle(struct ax_loop *loop, struct ax_deferred *deferred);
void ax_loop_cancel_defer(struct ax_loop *loop, struct ax_deferred *deferred);

/* Run fn(arg) on the loop's thread soon; every accepted post runs before ax_loop_run returns. */
int ax_loop_post(struct ax_loop *loop, void (*fn)(void *arg), void *arg);
/* A post that nothing but the loop's end refuses (-ESHUTDOWN): once for all times it is asked for
 * before fn is called. Owned by the caller, zero-initialised but for fn and arg; cancel, while the
 * loop does not run, before it goes away. */
struct ax_post {
	void (*fn)(void *arg);
	void *arg;
	struct ax_post *next; /* the loop's */
	bool queued, allocated;
};
int ax_loop_post_own(struct ax_loop *loop, struct ax_post *post);
void ax_loop_cancel_post(struct ax_loop *loop, struct ax_post *post);
int ax_loop_run(struct ax_loop *loop, struct ax_error *err); /* until ax_loop_stop */
void ax_loop_stop(struct ax_loop *loop);
/* The loop's thread may run on other CPUs now: so may the kernel's workers for what it began. On
 * that thread; at the start of a run it happens by itself. */
void ax_loop_confine(struct ax_loop *loop);
/* For tests and single-threaded programs: do all there is to do now, without waiting, by epoll.
 * true when there was something. */
bool ax_loop_step(struct ax_loop *loop);

struct ax_loop_stats {
	uint64_t wakeups;  /* times the wait returned */
	uint64_t syscalls; /* waits, submissions, and each plain read, write or sync of the fallback
			    */
	uint64_t ops;      /* operations ended */
};
/* Any thread. */
void ax_loop_get_stats(const struct ax_loop *loop, struct ax_loop_stats *ret_stats);

#endif
