/*
 * The program: finds the subcommand and hands over. Everything a subcommand does is in its file.
 */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t program_start_ns;

static const struct command *const commands[] = {
	&cmd_run,    &cmd_top,  &cmd_plan,   &cmd_host,       &cmd_doctor,  &cmd_selftest,
	&cmd_config, &cmd_disk, &cmd_switch, &cmd_completion, &cmd_version, &cmd_help,
};

const struct command *command_at(size_t index)
{
	return index < AX_ARRAY_LEN(commands) ? commands[index] : NULL;
}

const char *run_directory(void)
{
	const char *directory = getenv("AXVM_RUN_DIR");

	return directory && *directory ? directory : NULL;
}

const struct command *command_find(const char *name, struct ax_error *err)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	ax_error_set(err, AX_ERROR_USAGE, EINVAL, "there is no command '%s'", name);
	ax_error_hint(err, "`axvm help` lists the commands; a VM is started by `axvm run`");
	return NULL;
}

/* Two of them have names as options have. */
static const struct command *of_word(const char *word, struct ax_error *err)
{
	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return &cmd_help;
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return &cmd_version;
	return command_find(word, err);
}

/*
 * A standard descriptor that came closed would be given to the next file opened, and a guest's
 * output would go there. It is held by one on which reading (0) or writing (1, 2) fails as before.
 */
static void hold_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(1); /* there is nowhere to say why */
}

/* What was printed must have arrived: a full file system under a dump is a failure. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "axvm: cannot write to standard output: %s\n", strerror(errno));
	return status ? status : 1;
}

static int dispatch(int argc, char **argv)
{
	const struct command *command;
	struct ax_error err = {0};

	if (argc < 2) {
		help_program();
		return 2;
	}
	command = of_word(argv[1], &err);
	if (!command)
		return report_error(&err);
	if (help_asked(argc - 1, argv + 1)) {
		help_command(command);
		return 0;
	}
	return command->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	program_start_ns = ax_clock_ns();
	hold_standard_fds();
	/* A closed reader or a full file system is an error of one write, never our end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	report_setup();
	return finish(dispatch(argc, argv));
}
