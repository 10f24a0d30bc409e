/*
 * What the program says on standard error: log lines, errors with their hints. The libraries never
 * print; this file installs the sink they log into.
 */
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum ax_log_level level = AX_LOG_WARN;
static bool quiet;

/* One write per line, so that lines of several threads do not mix. The console may have put the
 * terminal into raw mode: a line ends with CR LF then. */
static void sink(void *ctx, enum ax_log_level line_level, const char *layer, const char *line)
{
	static const char *const names[] = {"error", "warning", "info", "debug", "trace"};
	const char *end = isatty(STDERR_FILENO) ? "\r\n" : "\n";
	char text[1024];
	int n = snprintf(text, sizeof(text) - 3, "axvm: %s: %s: %s", names[line_level], layer,
			 line);

	(void)ctx;
	if (n < 0)
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
	static const char *const known[] = {"-v", "-vv", "-vvv", "--verbose", "-q", "--quiet"};
	size_t i = 0;

	(void)ctx;
	while (i < AX_ARRAY_LEN(known) && strcmp(flag, known[i]) != 0)
		i++;
	if (i == AX_ARRAY_LEN(known))
		return -ENOENT;
	switch (i) {
	case 0:
	case 3:
		if (level < AX_LOG_INFO)
			level = AX_LOG_INFO;
		break;
	case 1:
		if (level < AX_LOG_DEBUG)
			level = AX_LOG_DEBUG;
		break;
	case 2:
		level = AX_LOG_TRACE;
		break;
	default:
		quiet = true;
		level = AX_LOG_ERROR;
	}
	ax_log_set_level(level);
	return 0;
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

int report_unexpected(const char *command, const char *word)
{
	fprintf(stderr, "axvm %s: '%s' is not expected\n  hint: `axvm %s --help`\n", command, word,
		command);
	return 2;
}
