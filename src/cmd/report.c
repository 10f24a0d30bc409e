/*
 * What the program says on standard error: log lines, errors with their hints. The libraries never
 * print; this file installs the sink they log into.
 */
#include "cmd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum ax_log_level level = AX_LOG_WARN;
static int steps; /* how often -v was given */
static bool quiet;

/* One write per line, so that lines of several threads do not mix. The console may have put the
 * terminal into raw mode: a line ends with CR LF then. Threads of the guest come here, too, so a
 * line that a stopped reader has no room for is lost. */
static void sink(void *ctx, enum ax_log_level line_level, const char *layer, const char *line)
{
	static const char *const names[] = {"error", "warning", "info", "debug", "trace"};
	const char *end = isatty(STDERR_FILENO) ? "\r\n" : "\n";
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	char text[1024];
	int n = snprintf(text, sizeof(text) - 3, "axvm: %s: %s: %s", names[line_level], layer,
			 line);

	(void)ctx;
	if (n < 0 || poll(&room, 1, 0) <= 0)
		return;
	if ((size_t)n > sizeof(text) - 4)
		n = (int)sizeof(text) - 4;
	n += snprintf(text + n, sizeof(text) - (size_t)n, "%s", end);
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		return; /* nobody reads it: there is nowhere to say so */
}

void report_setup(void)
{
	const char *debug = getenv("AXVM_DEBUG");

	if (debug && *debug && strcmp(debug, "0") != 0)
		level = AX_LOG_DEBUG;
	ax_log_set_level(level);
	ax_log_set_sink(sink, NULL);
}

int report_verbosity(void *ctx, const char *flag)
{
	static const struct {
		const char *flag;
		int louder;
	} known[] = {{"-v", 1}, {"--verbose", 1}, {"-vv", 2}, {"-vvv", 3}};

	(void)ctx;
	if (!strcmp(flag, "-q") || !strcmp(flag, "--quiet")) {
		quiet = true;
		ax_log_set_level(AX_LOG_ERROR);
		return 0;
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(known); i++) {
		if (strcmp(flag, known[i].flag) != 0)
			continue;
		/* Each -v is one step, however they are written; AXVM_DEBUG is a floor. */
		steps += known[i].louder;
		if (AX_LOG_WARN + steps > (int)level)
			level = steps > 2 ? AX_LOG_TRACE : (enum ax_log_level)(AX_LOG_WARN + steps);
		ax_log_set_level(level);
		return 0;
	}
	return -ENOENT;
}

bool report_is_quiet(void)
{
	return quiet;
}

int report_error(const struct ax_error *err)
{
	fprintf(stderr, "axvm: %s\n", err->message);
	if (err->hint[0])
		fprintf(stderr, "  hint: %s\n", err->hint);
	return ax_error_kind_exit_status(err->kind);
}
