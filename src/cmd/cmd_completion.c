/*
 * axvm completion: a shell's completion script, written from the table of commands, their own
 * options and the schema, so that it offers what a command takes and nothing else.
 */
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What every command takes besides. */
#define COMMON "-v --verbose -q --quiet -h --help"

static void print_commands(void)
{
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)); i++)
		printf("%s%s", i ? " " : "", command->name);
}

static void print_verbs(const struct command *command)
{
	if (command == &cmd_help)
		print_commands();
	else
		printf("%s", command->verbs);
}

/* The commands with the schema's options. */
static void print_configured(const char *separator)
{
	const struct command *command;
	bool is_first = true;

	for (size_t i = 0; (command = command_at(i)); i++) {
		if (!command->takes_config)
			continue;
		printf("%s%s", is_first ? "" : separator, command->name);
		is_first = false;
	}
}

static bool is_on(const struct axcfg_option *row)
{
	return row->type == AXCFG_BOOL && !strcmp(row->default_text, "true");
}

/* The row that a value, or the first word of an item, is of. */
static const struct axcfg_option *value_of(const struct axcfg_option *row)
{
	return row->type == AXCFG_OBJECTS ? row->fields : row;
}

static bool is_file(const struct command_option *option)
{
	return option->metavar &&
	       (!strcmp(option->metavar, "FILE") || !strcmp(option->metavar, "PATH"));
}

static void print_choices(const char *const *choices)
{
	for (size_t i = 0; choices[i]; i++)
		printf("%s%s", i ? " " : "", choices[i]);
}

/* ---- bash and zsh ---------------------------------------------------------------------------- */

/* Both run the same lines, which set for the command at hand: `flags`, its options; `operands`,
 * what another word may be; and `what`, when the word before an option's value decides. */

static void print_schema_flags(void)
{
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		if (row->flag)
			printf("--%s ", row->flag);
		if (row->flag && is_on(row))
			printf("--no-%s ", row->flag);
		if (row->short_flag)
			printf("-%c ", row->short_flag);
	}
	printf("--config");
}

static void print_schema_values(void)
{
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		if (!row->flag || row->type == AXCFG_BOOL)
			continue;
		printf("\t--%s", row->flag);
		if (row->alias)
			printf(" | --%s", row->alias);
		if (row->short_flag)
			printf(" | -%c", row->short_flag);
		printf(") ");
		if (value_of(row)->choices) {
			printf("what=(-W \"");
			print_choices(value_of(row)->choices);
			printf("\")");
		} else {
			printf(value_of(row)->type == AXCFG_PATH ? "what=(-f)" : "what=(-W \"\")");
		}
		printf(" ;;\n");
	}
	printf("\t--config) what=(-f) ;;\n");
}

static void print_command_case(const struct command *command)
{
	const struct command_option *option = command->options;

	printf("%s)\n\tflags+=\"", command->name);
	for (; option && option->flag; option++)
		printf(" --%s", option->flag);
	printf("\"\n");
	for (option = command->options; option && option->flag; option++)
		if (option->metavar)
			printf("\t[ \"$prev\" != --%s ] || what=(%s)\n", option->flag,
			       is_file(option) ? "-f" : "-W \"\"");
	if (command->takes_files)
		printf("\toperands=(-f)\n");
	if (command->verbs) {
		printf("\t[ \"$position\" -gt 2 ] || what=(-W \"");
		print_verbs(command);
		printf(" --help\")\n");
	}
	printf("\t;;\n");
}

static void print_cases(void)
{
	const struct command *command;

	printf("flags=\"" COMMON "\"\noperands=(-W \"\")\nwhat=()\ncase $command in\n");
	print_configured(" | ");
	printf(")\n\tflags+=\" ");
	print_schema_flags();
	printf("\"\n\tcase $prev in\n");
	print_schema_values();
	printf("\tesac\n\t;;\nesac\ncase $command in\n");
	for (size_t i = 0; (command = command_at(i)); i++)
		print_command_case(command);
	printf("esac\n"
	       "[ \"$position\" -gt 1 ] || what=(-W \"");
	print_commands();
	printf(" --help --version\")\n"
	       "if [ \"${#what[@]}\" -eq 0 ]; then\n"
	       "\tcase $cur in\n\t-*) what=(-W \"$flags\") ;;\n"
	       "\t*) what=(\"${operands[@]}\") ;;\n\tesac\nfi\n");
}

/* --flag=value is three words for bash, and one for zsh. */
static void bash(void)
{
	printf("# bash completion for axvm; made by `axvm completion bash`\n"
	       "_axvm()\n{\n"
	       "local command=${COMP_WORDS[1]} position=$COMP_CWORD\n"
	       "local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "local flags operands what\n"
	       "case $cur in =) cur= ;; esac\n"
	       "case $prev in =) prev=${COMP_WORDS[COMP_CWORD-2]} ;; esac\n");
	print_cases();
	printf("COMPREPLY=($(compgen \"${what[@]}\" -- \"$cur\"))\n}\n"
	       "complete -o filenames -F _axvm axvm\n");
}

static void zsh(void)
{
	printf("#compdef axvm\n# zsh completion for axvm; made by `axvm completion zsh`\n"
	       "local command=$words[2] position=$((CURRENT - 1))\n"
	       "local cur=$words[CURRENT] prev=$words[CURRENT-1] flags\n"
	       "local -a operands what\n"
	       "case $cur in --*=*) prev=${cur%%%%=*} cur=${cur#*=}; compset -P '*=' ;; esac\n");
	print_cases();
	printf("if [[ $what[1] == -f ]]; then\n\t_files\nelse\n\tcompadd -- ${=what[2]}\nfi\n");
}

/* ---- fish ------------------------------------------------------------------------------------ */

/* In single quotes for the shell. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++)
		*text == '\'' ? (void)printf("\\'") : (void)putchar(*text);
	putchar('\'');
}

static void fish_schema(void)
{
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		if (!row->flag)
			continue;
		printf("complete -c axvm -n '__axvm_command ");
		print_configured(" ");
		printf("' -l %s", row->flag);
		if (row->short_flag)
			printf(" -s %c", row->short_flag);
		if (row->type != AXCFG_BOOL && value_of(row)->choices) {
			printf(" -x -a '");
			print_choices(value_of(row)->choices);
			printf("'");
		} else if (row->type != AXCFG_BOOL) {
			printf(value_of(row)->type == AXCFG_PATH ? " -r -F" : " -x");
		}
		printf(" -d ");
		print_quoted(row->help);
		printf("\n");
		if (is_on(row)) {
			printf("complete -c axvm -n '__axvm_command ");
			print_configured(" ");
			printf("' -l no-%s -d 'not --%s'\n", row->flag, row->flag);
		}
	}
	printf("complete -c axvm -n '__axvm_command ");
	print_configured(" ");
	printf("' -l config -r -F -d 'read options from a JSON file first'\n");
}

static void fish_command(const struct command *command)
{
	const struct command_option *option = command->options;

	printf("complete -c axvm -n '__axvm_words 1' -f -a %s -d ", command->name);
	print_quoted(command->summary);
	printf("\n");
	if (!command->takes_files)
		printf("complete -c axvm -n '__axvm_command %s' -f\n", command->name);
	if (command->verbs) {
		printf("complete -c axvm -n '__axvm_command %s; and __axvm_words 2' -f -a '",
		       command->name);
		print_verbs(command);
		printf("'\n");
	}
	for (; option && option->flag; option++) {
		printf("complete -c axvm -n '__axvm_command %s' -l %s%s -d ", command->name,
		       option->flag,
		       is_file(option)   ? " -r -F"
		       : option->metavar ? " -x"
					 : "");
		print_quoted(option->help);
		printf("\n");
	}
}

static void fish(void)
{
	const struct command *command;

	printf("# fish completion for axvm; made by `axvm completion fish`\n"
	       "function __axvm_command\n\tset -l words (commandline -opc)\n"
	       "\ttest (count $words) -gt 1; and contains -- $words[2] $argv\nend\n"
	       "function __axvm_words\n\ttest (count (commandline -opc)) -eq $argv[1]\nend\n"
	       "complete -c axvm -s h -l help -d 'print help'\n"
	       "complete -c axvm -n '__axvm_words 1' -f -s V -l version -d 'print the "
	       "version'\n"
	       "complete -c axvm -n 'not __axvm_words 1' -s v -l verbose -d 'say more'\n"
	       "complete -c axvm -n 'not __axvm_words 1' -s q -l quiet -d 'errors only'\n");
	for (size_t i = 0; (command = command_at(i)); i++)
		fish_command(command);
	fish_schema();
}

static int run(int argc, char **argv)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
	const char *shell = "";
	struct ax_error err = {0};

	if (words_read(&cmd_completion, argc, argv, NULL, &shell, 1, &err))
		return report_error(&err);
	for (size_t i = 0; i < AX_ARRAY_LEN(shells); i++) {
		if (!strcmp(shell, shells[i].shell)) {
			shells[i].print();
			return 0;
		}
	}
	ax_error_set(&err, AX_ERROR_USAGE, EINVAL, "completion: name one shell: bash, zsh or fish");
	ax_error_hint(&err, "as in `axvm completion bash`; `axvm completion --help` says where to");
	return report_error(&err);
}

static void help(void)
{
	printf("\n  bash:  axvm completion bash > /etc/bash_completion.d/axvm\n"
	       "  zsh:   axvm completion zsh > \"${fpath[1]}/_axvm\"\n"
	       "  fish:  axvm completion fish > ~/.config/fish/completions/axvm.fish\n");
}

const struct command cmd_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.summary = "print a completion script for a shell",
	.run = run,
	.help = help,
	.verbs = "bash zsh fish",
};
