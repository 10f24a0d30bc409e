/*
 * How far a long start has come: one line of a terminal, that is gone when the start is over;
 * nothing where there is no terminal, or where it does not take long. And whether the user has had
 * enough.
 */
#include "cmd.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUIET_NS  1000000000ULL /* what takes no longer needs no telling */
#define REDRAW_NS 200000000ULL

/* Blocked everywhere, so whoever looks sees those that are waiting for the main thread. */
static bool is_asked_to_stop(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t pending;

	if (sigpending(&pending) != 0)
		return false;
	for (size_t i = 0; i < AX_ARRAY_LEN(ends); i++)
		if (sigismember(&pending, ends[i]) == 1)
			return true;
	return false;
}

/* Lost when nobody reads the terminal: the guest is not to wait for that. */
static void put(const char *text)
{
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&room, 1, 0) <= 0 || write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

void progress_begin(struct progress *progress)
{
	*progress = (struct progress){.begin_ns = ax_clock_ns(),
				      .is_visible = isatty(STDERR_FILENO) && !report_is_quiet()};
}

int progress_memory(void *ctx, uint64_t bytes, uint64_t total_bytes)
{
	struct progress *progress = ctx;
	const uint64_t now = ax_clock_ns();
	uint64_t shown = atomic_load(&progress->shown_ns);
	char line[96], some[24], all[24];

	if (is_asked_to_stop())
		return 1;
	if (!progress->is_visible || now - progress->begin_ns < QUIET_NS ||
	    now - shown < REDRAW_NS ||
	    !atomic_compare_exchange_strong(&progress->shown_ns, &shown, now))
		return 0; /* too soon, or another thread tells */
	snprintf(line, sizeof(line), "\r\033[Kbringing memory: %s of %s (%u %%)",
		 ax_format_size(ax_align_down(bytes, 64 * AX_MIB), some, sizeof(some)),
		 ax_format_size(total_bytes, all, sizeof(all)),
		 (unsigned)(total_bytes ? bytes * 100 / total_bytes : 100));
	put(line);
	return 0;
}

bool progress_end(struct progress *progress)
{
	if (atomic_load(&progress->shown_ns))
		put("\r\033[K");
	return is_asked_to_stop();
}
