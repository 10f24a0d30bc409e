/*
 * The log: levels, the one sink of the process, and the rate limit for lines a guest can cause.
 *
 * Owns: formatting a line, and handing it to the sink that is installed at that moment. Leaves to
 * the program: where lines go. Nothing here may be called from a signal handler (it takes a lock
 * and formats); the project's handlers are empty or write one byte to a pipe.
 */
#include <axvm/base.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES    1024
#define NS_PER_SECOND 1000000000ULL

/*
 * Sinks run under the read lock: when ax_log_set_sink has returned, no thread is in the old sink
 * any more and its context can be freed. A sink may log (glibc's lock prefers readers), it may
 * not replace itself.
 */
static struct {
	pthread_rwlock_t lock;
	ax_log_sink_fn *sink;
	void *ctx;
	_Atomic bool has_sink; /* lets disabled lines skip the lock */
	_Atomic int level;
} log_state = {.lock = PTHREAD_RWLOCK_INITIALIZER, .level = AX_LOG_WARN};

void ax_log_set_sink(ax_log_sink_fn *sink, void *ctx)
{
	pthread_rwlock_wrlock(&log_state.lock);
	log_state.sink = sink;
	log_state.ctx = ctx;
	atomic_store_explicit(&log_state.has_sink, sink != NULL, memory_order_relaxed);
	pthread_rwlock_unlock(&log_state.lock);
}

void ax_log_set_level(enum ax_log_level level)
{
	atomic_store_explicit(&log_state.level, (int)level, memory_order_relaxed);
}

bool ax_log_enabled(enum ax_log_level level)
{
	return (int)level <= atomic_load_explicit(&log_state.level, memory_order_relaxed) &&
	       atomic_load_explicit(&log_state.has_sink, memory_order_relaxed);
}

/* A line may quote what a guest wrote: no control character reaches a terminal or splits it. */
static void make_one_line(char *line)
{
	size_t len = strlen(line);

	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		line[--len] = '\0';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			line[i] = '?';
	}
}

static void emit(enum ax_log_level level, const char *layer, char *line)
{
	make_one_line(line);
	pthread_rwlock_rdlock(&log_state.lock);
	if (log_state.sink)
		log_state.sink(log_state.ctx, level, layer, line);
	pthread_rwlock_unlock(&log_state.lock);
}

void ax_log(enum ax_log_level level, const char *layer, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;

	if (!ax_log_enabled(level))
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	emit(level, layer, line);
}

/* Takes one of the second's `burst` places; false when there is none left. */
static bool take_place(struct ax_ratelimit *limit)
{
	uint64_t now = ax_clock_ns();
	uint64_t start = atomic_load_explicit(&limit->window_start_ns, memory_order_acquire);

	/* Another thread may already have opened a window later than our `now`. */
	if (now > start && now - start >= NS_PER_SECOND &&
	    atomic_compare_exchange_strong(&limit->window_start_ns, &start, now))
		atomic_store(&limit->in_window, 0);

	/* Never counts past burst, so that it cannot wrap. */
	uint32_t taken = atomic_load(&limit->in_window);
	do {
		if (taken >= limit->burst)
			return false;
	} while (!atomic_compare_exchange_weak(&limit->in_window, &taken, taken + 1));
	return true;
}

void ax_log_limited(struct ax_ratelimit *limit, enum ax_log_level level, const char *layer,
		    const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;

	if (!ax_log_enabled(level))
		return;
	if (!take_place(limit)) {
		atomic_fetch_add_explicit(&limit->dropped, 1, memory_order_relaxed);
		return;
	}
	va_start(args, fmt);
	int len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);

	uint64_t dropped = atomic_exchange_explicit(&limit->dropped, 0, memory_order_relaxed);
	if (dropped) {
		char note[64];
		int n = snprintf(note, sizeof(note), " (%llu similar lines dropped)",
				 (unsigned long long)dropped);
		size_t at = len > 0 ? (size_t)len : 0;
		if (at > sizeof(line) - 1 - (size_t)n) /* a long line yields to the count */
			at = sizeof(line) - 1 - (size_t)n;
		memcpy(line + at, note, (size_t)n + 1);
	}
	emit(level, layer, line);
}
