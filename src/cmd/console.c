/*
 * Where the consoles go: this terminal, a file, a pseudo terminal or nowhere. Owns the terminal's
 * state: raw while the guest has it, restored at every end of the program but SIGKILL.
 */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE_KEY         0x01 /* Ctrl-A, as QEMU and screen have it */
#define INTERRUPT_KEY      0x03
#define INTERRUPTS_TO_STOP 3
#define INTERRUPT_SPAN_NS  1000000000ULL

/* For the handlers of fatal signals, which have nowhere else to look. */
static struct termios saved_termios;
static volatile sig_atomic_t terminal_is_raw;

static void restore_terminal(void)
{
	if (!terminal_is_raw)
		return;
	terminal_is_raw = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &saved_termios);
}

/* A crash of ours must not leave the user with a dead terminal; then the signal does its work. */
static void on_fatal(int signal_number)
{
	static const char text[] =
		"\naxvm: memory behind the guest is gone (a truncated file, or no huge "
		"page left)\n";

	restore_terminal();
	if (signal_number == SIGBUS) {
		if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
			_exit(30);
		_exit(30);
	}
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void guard_terminal(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS,  SIGABRT, SIGFPE,  SIGILL,
				    SIGSYS,  SIGTRAP, SIGXCPU, SIGALRM, SIGUSR2};
	struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND};

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < AX_ARRAY_LEN(fatal); i++)
		sigaction(fatal[i], &action, NULL);
	atexit(restore_terminal);
}

/* Neither closed nor held by main in place of one that was. */
static bool is_usable(int fd, int unusable_mode)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != unusable_mode;
}

static int open_stdio(struct console *console, struct stream *stream, struct ax_error *err)
{
	struct termios raw;

	stream->in_fd = is_usable(STDIN_FILENO, O_WRONLY) ? STDIN_FILENO : -1;
	stream->out_fd = is_usable(STDOUT_FILENO, O_RDONLY) ? STDOUT_FILENO : -1;
	if (stream->in_fd < 0 || !isatty(STDIN_FILENO))
		return 0;
	if (tcgetattr(STDIN_FILENO, &saved_termios))
		return ax_error_set(err, AX_ERROR_IO, errno, "cannot read the terminal's state: %s",
				    strerror(errno));
	/* A job in the background would be stopped by the change: leave the terminal alone. */
	if (tcgetpgrp(STDIN_FILENO) != getpgrp()) {
		stream->in_fd = -1;
		return 0;
	}
	raw = saved_termios;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		return ax_error_set(err, AX_ERROR_IO, errno, "cannot make the terminal raw: %s",
				    strerror(errno));
	terminal_is_raw = 1;
	console->raw = true;
	if (!report_is_quiet())
		fprintf(stderr,
			"axvm: the guest has this terminal; Ctrl-A x stops it, Ctrl-A h helps\r\n");
	return 0;
}

static int open_file(struct stream *stream, const char *key, const char *path, struct ax_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);

	if (fd < 0) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, errno, "%s: cannot write %s: %s", key,
			     path, strerror(errno));
		return ax_error_hint(
			err, "check that the directory exists and this user may write there");
	}
	stream->out_fd = stream->own_fds[0] = fd;
	return 0;
}

static int open_pty(struct stream *stream, const char *what, struct ax_error *err)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), slave;
	struct termios raw;

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    ptsname_r(master, stream->pty_name, sizeof(stream->pty_name))) {
		int rc = errno;

		if (master >= 0)
			close(master);
		return ax_error_set(err, AX_ERROR_IO, rc, "cannot make a pseudo terminal: %s",
				    strerror(rc));
	}
	stream->in_fd = stream->out_fd = stream->own_fds[0] = master;
	/* Held open, so that a client's coming and going is no end of file; raw, so that nothing
	 * typed before a client sets it up is echoed back into the guest. */
	slave = open(stream->pty_name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	stream->own_fds[1] = slave;
	if (slave >= 0 && !tcgetattr(slave, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(slave, TCSANOW, &raw);
	}
	fprintf(stderr, "axvm: %s on %s\n", what, stream->pty_name);
	return 0;
}

static int open_serial(struct console *console, const struct axcfg *config, struct ax_error *err)
{
	switch ((enum axcfg_serial_mode)config->serial.mode) {
	case AXCFG_SERIAL_STDIO:
		return open_stdio(console, &console->serial, err);
	case AXCFG_SERIAL_FILE:
		return open_file(&console->serial, "serial.path", config->serial.path, err);
	case AXCFG_SERIAL_PTY:
		return open_pty(&console->serial, "serial console", err);
	case AXCFG_SERIAL_AUTO:
	case AXCFG_SERIAL_NONE:
		break;
	}
	return 0;
}

static int open_port(struct console *console, const struct axcfg *config, size_t i,
		     struct ax_error *err)
{
	const struct axcfg_console *port = &config->consoles[i];
	struct stream *stream = &console->ports[i];
	char what[64];
	int rc = 0;

	switch ((enum axcfg_console_mode)port->mode) {
	case AXCFG_CONSOLE_STDIO:
		rc = open_stdio(console, stream, err);
		break;
	case AXCFG_CONSOLE_FILE:
		rc = open_file(stream, "consoles", port->path, err);
		break;
	case AXCFG_CONSOLE_PTY:
		if (port->name)
			snprintf(what, sizeof(what), "console port %s", port->name);
		else
			snprintf(what, sizeof(what), "console hvc%zu", i);
		rc = open_pty(stream, what, err);
		break;
	case AXCFG_CONSOLE_SOCKET: /* the VM's own */
	case AXCFG_CONSOLE_NULL:
		break;
	}
	console->chr[i] = (struct axchr_config){.in_fd = stream->in_fd, .out_fd = stream->out_fd};
	if (port->mode == AXCFG_CONSOLE_STDIO) {
		console->chr[i].input_filter = console_filter;
		console->chr[i].ctx = console;
	}
	return rc;
}

static void clear(struct console *console)
{
	const struct stream none = {.in_fd = -1, .out_fd = -1, .own_fds = {-1, -1}};

	*console = (struct console){.serial = none, .wake_fd = -1};
	for (size_t i = 0; i < AX_ARRAY_LEN(console->ports); i++)
		console->ports[i] = none;
}

int console_open(struct console *console, const struct axcfg *config, struct ax_error *err)
{
	int rc;

	clear(console);
	console->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guard_terminal();
	rc = open_serial(console, config, err);
	for (size_t i = 0; !rc && i < config->console_count; i++)
		rc = open_port(console, config, i, err);
	return rc;
}

static void close_stream(struct stream *stream)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(stream->own_fds); i++)
		if (stream->own_fds[i] >= 0)
			close(stream->own_fds[i]);
}

void console_close(struct console *console)
{
	restore_terminal();
	close_stream(&console->serial);
	for (size_t i = 0; i < AX_ARRAY_LEN(console->ports); i++)
		close_stream(&console->ports[i]);
	if (console->wake_fd >= 0)
		close(console->wake_fd);
	clear(console);
}

bool console_size(uint16_t *ret_columns, uint16_t *ret_rows)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return false;
	*ret_columns = size.ws_col;
	*ret_rows = size.ws_row;
	return true;
}

static void ask_stop(struct console *console)
{
	uint64_t one = 1;

	atomic_store(&console->stop_asked, true);
	if (write(console->wake_fd, &one, sizeof(one)) < 0)
		ax_log(AX_LOG_ERROR, "console", "cannot wake the control thread: %s",
		       strerror(errno));
}

static void print_keys(void)
{
	static const char text[] =
		"\r\naxvm: Ctrl-A x  stop the VM (so does Ctrl-C three times in a second)\r\n"
		"      Ctrl-A h  this help\r\n      Ctrl-A Ctrl-A  send Ctrl-A\r\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		return; /* nobody reads it */
}

/* Ctrl-C belongs to the guest's shell; hammered, it means the guest does not listen. */
static void count_interrupt(struct console *console)
{
	uint64_t now = ax_clock_ns();

	if (!console->interrupts || now - console->first_interrupt_ns > INTERRUPT_SPAN_NS) {
		console->interrupts = 0;
		console->first_interrupt_ns = now;
	}
	if (++console->interrupts == INTERRUPTS_TO_STOP)
		ask_stop(console);
}

size_t console_filter(void *ctx, uint8_t *bytes, size_t count)
{
	struct console *console = ctx;
	size_t kept = 0;

	if (!console->raw) /* a pipe or a pseudo terminal carries bytes, not keys */
		return count;
	for (size_t i = 0; i < count; i++) {
		uint8_t key = bytes[i];

		if (!console->escape_state && key == ESCAPE_KEY) {
			console->escape_state = 1;
			continue;
		}
		if (console->escape_state) {
			console->escape_state = 0;
			if (key == 'x' || key == 'X') {
				ask_stop(console);
				continue;
			}
			if (key == 'h' || key == '?') {
				print_keys();
				continue;
			}
			if (key != ESCAPE_KEY)
				continue; /* no such command: as screen does, swallow it */
		} else if (key == INTERRUPT_KEY) {
			count_interrupt(console);
		}
		bytes[kept++] = key;
	}
	return kept;
}
