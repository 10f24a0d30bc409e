/*
 * axvm top: what the VMs of this host are doing, again and again. Reads the words, waits from
 * sample to sample for time, keys and signals; what is seen and how it looks is top_*.c's concern.
 */
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define FIRST_NS 500000000ULL /* on a terminal nobody wants to wait for the first numbers */
/* Looks that follow each other sooner may be the same one, with no rates between them. */
#define NEXT_NS (2 * AXAPI_LOOK_NS)

struct wish {
	bool json, has_count;
	uint64_t interval_ns, count;
};

/* ---- words ----------------------------------------------------------------------------------- */

enum { INTERVAL, COUNT, JSON, OPTIONS };
static const struct command_option options[OPTIONS + 1] = {
	[INTERVAL] = {"interval", "TIME", "from sample to sample [2s]"},
	[COUNT] = {"count", "N", "end after N samples"},
	[JSON] = {"json", NULL, "print one object a sample, in one line, for programs"},
};

/* "2s", "500ms", "2", "0.5": seconds without a unit. */
static int read_interval(const char *text, uint64_t *ret_ns, struct ax_error *err)
{
	char *end;
	double value = strtod(text, &end);

	if (!strcmp(end, "ms"))
		value /= 1000;
	else if (*end && strcmp(end, "s") != 0)
		value = -1;
	if (end == text || !(value >= NEXT_NS / 1e9 && value <= 86400)) {
		ax_error_set(err, AX_ERROR_USAGE, EINVAL, "--interval: '%.64s' is no time", text);
		return ax_error_hint(err, "%llums to 86400s, as in --interval 2s",
				     NEXT_NS / 1000000);
	}
	*ret_ns = (uint64_t)(value * 1e9);
	return 0;
}

static int read_count(const char *text, struct wish *wish, struct ax_error *err)
{
	char *end;

	errno = 0;
	wish->count = strtoull(text, &end, 10);
	wish->has_count = true;
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && wish->count)
		return 0;
	ax_error_set(err, AX_ERROR_USAGE, EINVAL, "--count: '%.64s' is no number of samples", text);
	return ax_error_hint(err, "1 or more, as in --count 5");
}

static int read_words(int argc, char **argv, struct wish *wish, struct top *top,
		      struct ax_error *err)
{
	const char *values[OPTIONS] = {NULL};
	int rc = words_read(&cmd_top, argc, argv, values, &top->wanted, 1, err);

	wish->json = values[JSON];
	if (!rc && values[INTERVAL])
		rc = read_interval(values[INTERVAL], &wish->interval_ns, err);
	if (!rc && values[COUNT])
		rc = read_count(values[COUNT], wish, err);
	return rc;
}

/* ---- samples --------------------------------------------------------------------------------- */

static int finish_output(struct ax_error *err)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return ax_error_set(err, AX_ERROR_IO, errno ? errno : EIO,
			    "cannot write to standard output: %s", strerror(errno ? errno : EIO));
}

static int show(const struct top *top, const struct wish *wish, const struct top_screen *screen,
		struct ax_error *err)
{
	AX_AUTO_FREE char *text = NULL;
	size_t size;
	FILE *out;
	int rc;

	if (wish->json) {
		rc = top_print_json(stdout, top, err);
		return rc ? rc : finish_output(err);
	}
	out = open_memstream(&text, &size);
	if (!out)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a table");
	top_print_tables(out, top, screen->columns);
	if (fclose(out) != 0)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a table");
	if (screen->is_terminal)
		top_screen_draw(screen, text);
	else
		printf("%s\n", text);
	return finish_output(err);
}

enum waited { WAITED_OVER, WAITED_REDRAW, WAITED_LEAVE };

static enum waited on_signal(int signal_fd, struct top_screen *screen)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return WAITED_REDRAW;
	if (info.ssi_signo == SIGTSTP) {
		const bool was_open = screen->is_terminal;

		top_screen_close(screen);
		raise(SIGSTOP);
		if (was_open)
			top_screen_open(screen);
		return WAITED_REDRAW;
	}
	if (info.ssi_signo != SIGWINCH)
		return WAITED_LEAVE;
	top_screen_measure(screen);
	return WAITED_REDRAW;
}

/* Until that moment, or something is to be done before. Signals and keys count when it has passed,
 * too: a look may take longer than the interval. */
static enum waited wait_until(uint64_t end_ns, int signal_fd, struct top_screen *screen)
{
	struct pollfd fds[2] = {{.fd = signal_fd, .events = POLLIN},
				{.fd = screen->has_keys ? STDIN_FILENO : -1, .events = POLLIN}};
	const uint64_t now = ax_clock_ns();
	char key;

	if (poll(fds, 2, now < end_ns ? (int)((end_ns - now + 999999) / 1000000) : 0) <= 0)
		return ax_clock_ns() >= end_ns ? WAITED_OVER : WAITED_REDRAW;
	if (fds[0].revents)
		return on_signal(signal_fd, screen);
	if (read(STDIN_FILENO, &key, 1) != 1) {
		screen->has_keys = false; /* it has ended */
		return WAITED_REDRAW;
	}
	return key == 'q' || key == 'Q' ? WAITED_LEAVE : WAITED_REDRAW;
}

static int watch(struct top *top, const struct wish *wish, struct top_screen *screen, int signal_fd,
		 struct ax_error *err)
{
	const bool hurries = screen->is_terminal && wish->interval_ns > FIRST_NS;
	uint64_t left = wish->has_count ? wish->count : UINT64_MAX;
	bool has_sample = screen->is_terminal; /* places are worth a look before there are rates */
	int rc = top_look(top, err);
	uint64_t next_ns = ax_clock_ns() + (hurries ? FIRST_NS : wish->interval_ns);

	if (!rc && screen->is_terminal)
		top_screen_open(screen);
	if (!rc && has_sample)
		rc = show(top, wish, screen, err);
	while (!rc && left) {
		switch (wait_until(next_ns, signal_fd, screen)) {
		case WAITED_LEAVE:
			return 0;
		case WAITED_REDRAW:
			if (screen->is_terminal)
				rc = show(top, wish, screen, err);
			break;
		case WAITED_OVER:
			rc = top_look(top, err);
			if (!rc)
				rc = show(top, wish, screen, err);
			left--;
			next_ns += wish->interval_ns;
			/* We were stopped, or have waited for a CPU, or for a VM. */
			if (next_ns < ax_clock_ns() + NEXT_NS)
				next_ns = ax_clock_ns() + wish->interval_ns;
			break;
		}
	}
	return rc;
}

static int open_signals(struct ax_error *err)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < AX_ARRAY_LEN(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd >= 0 ? fd
		       : ax_error_set(err, AX_ERROR_INTERNAL, errno, "cannot watch signals: %s",
				      strerror(errno));
}

static int run(int argc, char **argv)
{
	struct wish wish = {.interval_ns = 2000000000};
	struct top_screen screen = {0};
	struct top top = {.wants_ipis = true};
	struct ax_error err = {0};
	AX_AUTO_CLOSE int signal_fd = -1;
	int rc = read_words(argc, argv, &wish, &top, &err);

	if (!rc) {
		rc = signal_fd = open_signals(&err);
		if (signal_fd >= 0) {
			if (!wish.json)
				top_screen_measure(&screen);
			allow_files(UINT32_MAX); /* connections, and counters of IPIs */
			rc = watch(&top, &wish, &screen, signal_fd, &err);
		}
	}
	top_screen_close(&screen);
	top_finish(&top);
	/* Who has read enough closes the pipe: that ends us, and is no failure for main to tell. */
	if (rc && err.sys_errno == EPIPE && ferror(stdout)) {
		clearerr(stdout);
		return 0;
	}
	if (rc && top.seen && err.kind == AX_ERROR_NOT_FOUND && !wish.has_count) {
		if (!wish.json && !report_is_quiet())
			fprintf(stderr, "axvm top: %s has ended\n",
				top.wanted ? top.wanted : "the last VM");
		return 0;
	}
	return rc ? report_error(&err) : 0;
}

static void help(void)
{
	printf("\nShows of each VM that runs what it takes, and of one VM each vCPU: the host CPU "
	       "it "
	       "is on,\nits share of that and what others took from it, memory on other nodes, and "
	       "exits by cause\na second; I/O threads, and devices with their batches. A VM is "
	       "named "
	       "by its name or pid.\n"
	       "\n");
	help_own_options(&cmd_top);
	printf("\nOn a terminal q and Ctrl-C leave. Rates are by second; - is what this host or "
	       "KVM does "
	       "not\ncount. IPIs take root.\n"
	       "\nExamples:\n"
	       "  axvm top\n"
	       "  axvm top debian --interval 500ms\n"
	       "  axvm top --json --count 1 | jq '.vms[].vcpus[] | {index, cpu, run, steal}'\n"
	       "\nColumns and keys are told in docs/top.md.\n");
}

const struct command cmd_top = {
	.name = "top",
	.operands = "[VM] [--json] [--interval TIME] [--count N]",
	.summary = "show what running VMs do, vCPU by vCPU",
	.run = run,
	.help = help,
	.options = options,
};
