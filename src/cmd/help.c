/*
 * axvm help and --help: the program, a subcommand, and the options of the schema in their groups.
 */
#include "cmd.h"

#include <stdio.h>
#include <string.h>

void help_program(void)
{
	const struct command *command;

	printf("axvm - runs Linux guests on KVM, placed for the machine it runs on\n\n"
	       "Usage: axvm COMMAND [OPTIONS]\n\nCommands:\n");
	for (size_t i = 0; (command = command_at(i)); i++)
		printf("  %-12s %s\n", command->name, command->summary);
	printf("\nStart here:\n"
	       "  axvm doctor                                  what this host can do\n"
	       "  axvm run -k vmlinuz -i initrd.img -m 512M    boot a kernel\n"
	       "\nThe manual is axvm(1).\n");
}

void help_command(const struct command *command)
{
	printf("Usage: axvm %s %s\n\n%s.\n", command->name, command->operands, command->summary);
	if (command->help)
		command->help();
}

static void print_default(const struct axcfg_option *row)
{
	if (row->type == AXCFG_BOOL)
		printf(" [%s]",
		       !strcmp(row->default_text, "true") ? "on; --no- switches it off" : "off");
	else if (row->default_text)
		printf(" [%s]", row->default_text);
}

static void print_choices(const struct axcfg_option *row)
{
	printf("\n%33s", "");
	for (size_t i = 0; row->choices[i]; i++)
		printf("%s%s", i ? " | " : "", row->choices[i]);
}

/* What may stand in an item besides its first word, in lines of the help's width. */
static void print_fields(const struct axcfg_option *row)
{
	const int left = 33, width = 100;
	int column = width;

	for (const struct axcfg_option *field = row->fields + 1; field->key; field++) {
		char text[64];
		int length = snprintf(text, sizeof(text), "%s%s%s%s", field->key,
				      field->type == AXCFG_BOOL ? "" : "=",
				      field->type == AXCFG_BOOL ? "" : field->metavar,
				      field[1].key ? "," : "");

		if (column + length > width) {
			printf("\n%*s", left - 1, "");
			column = left - 1;
		}
		printf(" %s", text);
		column += length + 1;
	}
}

void help_options(void)
{
	const struct axcfg_option *row;
	const char *group = "";

	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		char left[64], letter[8] = "    ";

		if (!row->flag)
			continue;
		if (strcmp(group, row->group) != 0) {
			group = row->group;
			printf("\n%s:\n", group);
		}
		if (row->short_flag)
			snprintf(letter, sizeof(letter), "-%c, ", row->short_flag);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, row->flag,
			 row->metavar ? " " : "", row->metavar ? row->metavar : "");
		printf("  %-30s%s%s", left,
		       strlen(left) > 29 ? "\n                                 " : " ", row->help);
		print_default(row);
		if (row->choices)
			print_choices(row);
		if (row->fields)
			print_fields(row);
		printf("\n");
	}
	printf("\nOther:\n"
	       "      --config FILE              read options from a JSON file first (`axvm config "
	       "dump`)\n"
	       "  -v, -vv, -vvv                  say more: info, debug, trace (AXVM_DEBUG=1 is "
	       "-vv)\n"
	       "  -q, --quiet                    errors only, and no summary\n"
	       "  -h, --help                     this text\n");
}

void help_own_options(const struct command *command)
{
	for (const struct command_option *row = command->options; row->flag; row++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", row->flag, row->metavar ? " " : "",
			 row->metavar ? row->metavar : "");
		printf("      %-26s %s\n", left, row->help);
	}
}

bool help_asked(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static int run(int argc, char **argv)
{
	const struct command *command = NULL;
	const char *name = NULL;
	struct ax_error err = {0};
	int rc = words_read(&cmd_help, argc, argv, NULL, &name, 1, &err);

	if (!rc && name)
		command = command_find(name, &err);
	if (rc || (name && !command))
		return report_error(&err);
	if (command)
		help_command(command);
	else
		help_program();
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.summary = "list the commands, or tell of one",
	.run = run,
	.verbs = "COMMAND",
};
