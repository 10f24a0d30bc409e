/*
 * What the subcommands of the program share. One file per subcommand (cmd_NAME.c), one line in the
 * table of axvm.c; everything they do stands in the libraries below.
 */
#ifndef AXVM_CMD_H
#define AXVM_CMD_H

#include <axvm/axvm.h>

struct command {
	const char *name;
	const char *operands; /* as in "axvm NAME OPERANDS" */
	const char *summary;
	/* argv[0] is the subcommand. Returns the exit status of the program. */
	int (*run)(int argc, char **argv);
	/* Prints what --help adds to the first lines; may be NULL. */
	void (*help)(void);
};

extern const struct command cmd_run, cmd_selftest, cmd_doctor, cmd_config, cmd_completion,
	cmd_version;
const struct command *command_at(size_t index); /* NULL past the end */
extern uint64_t program_start_ns;

/* report.c: to standard error. */
void report_setup(void); /* log sink and AXVM_DEBUG */
int report_verbosity(void *ctx,
		     const char *flag); /* -v, --verbose, -q, --quiet; -ENOENT: not ours */
bool report_is_quiet(void);
int report_error(const struct ax_error *err); /* message and hint; returns the exit status */
/* Says what is wrong with a word of a subcommand that takes no options; returns the status. */
int report_unexpected(const char *command, const char *word);

/* help.c */
void help_program(void);
void help_command(const struct command *command);
void help_options(void); /* the schema's rows, by group */
bool help_asked(int argc, char **argv);

/* console.c: where the serial console goes, and the terminal's state. */
struct console {
	int in_fd, out_fd;
	int own_fds[3]; /* closed at the end; -1: none */
	char pty_name[64];
	bool raw;
	_Atomic bool stop_asked;
	int wake_fd; /* eventfd written when the escape key asks for the end */
	int escape_state, interrupts;
	uint64_t first_interrupt_ns;
};
int console_open(struct console *console, const struct axcfg *config, struct ax_error *err);
void console_close(struct console *console); /* restores the terminal */
size_t console_filter(void *ctx, uint8_t *bytes, size_t count);

/* summary.c */
void summary_print(const struct axvm *vm);
void timeline_print(const struct axvm *vm);

#endif
