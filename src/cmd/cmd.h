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

extern const struct command cmd_run, cmd_selftest, cmd_doctor, cmd_host, cmd_plan, cmd_config,
	cmd_completion, cmd_disk, cmd_switch, cmd_version;
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

/* console.c: where the serial port and the ports of the virtio console go, and the terminal's
 * state.
 */
struct stream {
	int in_fd, out_fd; /* -1: none */
	int own_fds[2];    /* closed at the end; -1: none */
	char pty_name[64];
};
struct console {
	struct stream serial, ports[AXCFG_MAX_CONSOLES];
	struct axchr_config chr[AXCFG_MAX_CONSOLES]; /* of the ports, for axvm_options */
	bool raw;
	_Atomic bool stop_asked;
	int wake_fd; /* eventfd written when the escape key asks for the end; -1: none */
	int escape_state, interrupts;
	uint64_t first_interrupt_ns;
};
int console_open(struct console *console, const struct axcfg *config, struct ax_error *err);
void console_close(struct console *console); /* restores the terminal */
size_t console_filter(void *ctx, uint8_t *bytes, size_t count);
/* Columns and rows of this terminal; false: it is none. */
bool console_size(uint16_t *ret_columns, uint16_t *ret_rows);

/* passt.c: the network backends that are processes of ours. */
struct passt {
	int fds[AXCFG_MAX_NETS]; /* our ends, for axvm_options; -1: none */
	pid_t pids[AXCFG_MAX_NETS];
	size_t count;
};
/* Starts one for every card that wants it. */
int passt_start(struct passt *passt, const struct axcfg *config, struct ax_error *err);
void passt_stop(struct passt *passt); /* and waits for their end */

/* host_print.c, host_tables.c: to standard output */
struct axhost_facts;
void host_print_summary(const struct axhost_facts *facts);
void host_print_profiles(const struct axhost_facts *facts);
void host_print_tables(const struct axhost_facts *facts);

/* plan_request.c: the plan of a VM with this configuration, while no other VM holds anything. */
struct axplace_plan;
int plan_make(const struct axcfg *config, const struct axhost_facts *facts,
	      struct axplace_plan **ret_plan, struct ax_error *err);

/* summary.c */
void summary_print(const struct axvm *vm);
void timeline_print(const struct axvm *vm);

#endif
