/*
 * What the subcommands of the program share. One file per subcommand (cmd_NAME.c), one line in the
 * table of axvm.c; everything they do stands in the libraries below.
 */
#ifndef AXVM_CMD_H
#define AXVM_CMD_H

#include <axvm/axvm.h>

/* An option of one subcommand alone. */
struct command_option {
	const char *flag;    /* "save" */
	const char *metavar; /* "FILE"; NULL: it has no value */
	const char *help;    /* one line */
};

struct command {
	const char *name;
	const char *operands; /* as in "axvm NAME OPERANDS" */
	const char *summary;
	/* argv[0] is the subcommand. Returns the exit status of the program. */
	int (*run)(int argc, char **argv);
	/* Prints what --help adds to the first lines; may be NULL. */
	void (*help)(void);
	const struct command_option *options; /* flag NULL ends; NULL: none of its own */
	bool takes_config;                    /* those of the schema and --config, too */
	const char *verbs; /* what its first operand is one of, with spaces between; or NULL */
	bool takes_files;  /* further operands are files */
};

extern const struct command cmd_run, cmd_selftest, cmd_doctor, cmd_host, cmd_plan, cmd_config,
	cmd_completion, cmd_disk, cmd_help, cmd_switch, cmd_top, cmd_version;
const struct command *command_at(size_t index);                             /* NULL past the end */
const struct command *command_find(const char *name, struct ax_error *err); /* NULL: none */
extern uint64_t program_start_ns;
/* Where VMs have what they keep for each other, ledger and sockets: AXVM_RUN_DIR of the
 * environment. NULL: the host's place. */
const char *run_directory(void);

/* report.c: to standard error. */
void report_setup(void); /* log sink and AXVM_DEBUG */
int report_verbosity(void *ctx,
		     const char *flag); /* -v, --verbose, -q, --quiet; -ENOENT: not ours */
bool report_is_quiet(void);
int report_error(const struct ax_error *err); /* message and hint; returns the exit status */

/* words.c */
/*
 * The option's value if it is what word *i is, which is then the last word of it: behind '=' or in
 * the next word, unless that begins with two dashes; of one without a value the word itself.
 * -ENOENT: it is another word.
 */
int words_take(const struct command_option *option, int argc, char **argv, int *i,
	       const char **ret_value, struct ax_error *err);
/*
 * All words of a subcommand that has its own options only, -v and -q among them. ret_values has a
 * place for each row of its table: what it was given last. Operands beyond the most are refused.
 * What is not given is left as it is.
 */
int words_read(const struct command *command, int argc, char **argv, const char **ret_values,
	       const char **ret_operands, size_t operand_max, struct ax_error *err);

/* help.c */
void help_program(void);
void help_command(const struct command *command);
void help_options(void); /* the schema's rows, by group */
void help_own_options(const struct command *command);
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

/* files.c: lets this process open what a VM of so many vCPUs needs, as far as it may. */
void allow_files(uint32_t vcpus);

/* progress.c: of a start, told by any thread. */
struct progress {
	uint64_t begin_ns;
	bool is_visible;
	_Atomic uint64_t shown_ns;
};
void progress_begin(struct progress *progress);
int progress_memory(void *ctx, uint64_t bytes, uint64_t total_bytes); /* for axvm_options */
bool progress_end(struct progress *progress); /* has the user asked for the end? */

/* host_print.c, host_tables.c: to standard output */
struct axhost_facts;
void host_print_summary(const struct axhost_facts *facts);
void host_print_profiles(const struct axhost_facts *facts);
void host_print_tables(const struct axhost_facts *facts);

/* summary.c */
void summary_print(const struct axvm *vm);
void timeline_print(const struct axvm *vm);

#endif
