/*
 * The program: finds the subcommand and hands over. Everything a subcommand does is in its file.
 */
#include "cmd.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

uint64_t program_start_ns;

static const struct command *const commands[] = {
	&cmd_run, &cmd_selftest, &cmd_doctor, &cmd_config, &cmd_completion, &cmd_version,
};

const struct command *command_at(size_t index)
{
	return index < AX_ARRAY_LEN(commands) ? commands[index] : NULL;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int help(int argc, char **argv)
{
	const struct command *command = argc > 2 ? find(argv[2]) : NULL;

	if (argc > 2 && !command) {
		fprintf(stderr, "axvm: there is no command '%s'\n", argv[2]);
		return 2;
	}
	if (command)
		help_command(command);
	else
		help_program();
	return 0;
}

int main(int argc, char **argv)
{
	const struct command *command;
	const char *word = argc > 1 ? argv[1] : NULL;

	program_start_ns = ax_clock_ns();
	/* A closed reader or a full file system is an error of one write, never our end. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	report_setup();
	if (!word) {
		help_program();
		return 2;
	}
	if (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h"))
		return help(argc, argv);
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return cmd_version.run(1, argv);
	command = find(word);
	if (!command) {
		fprintf(stderr, "axvm: there is no command '%s'\n", word);
		fprintf(stderr,
			"  hint: `axvm help` lists the commands; a VM is started by `axvm run`\n");
		return 2;
	}
	if (help_asked(argc - 1, argv + 1)) {
		help_command(command);
		return 0;
	}
	return command->run(argc - 1, argv + 1);
}
