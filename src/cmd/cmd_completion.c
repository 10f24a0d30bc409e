/*
 * axvm completion: a shell's completion script, written from the schema so that it knows every
 * option there is.
 */
#include "cmd.h"

#include <stdio.h>
#include <string.h>

static void print_flags(const char *separator)
{
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++)
		if (row->flag)
			printf("--%s%s", row->flag, separator);
	printf("--config%s--help", separator);
}

/* Of `axvm plan`, besides. */
#define PLAN_FLAGS "--host --table --picture --json --svg"

static void print_commands(void)
{
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)); i++)
		printf("%s ", command->name);
	printf("help");
}

static void bash(void)
{
	const struct axcfg_option *row;

	printf("# bash completion for axvm; made by `axvm completion bash`\n"
	       "_axvm()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"");
	print_commands();
	printf("\" -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $prev in\n");
	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		if (!row->choices)
			continue;
		printf("\t--%s) COMPREPLY=($(compgen -W \"", row->flag);
		for (size_t c = 0; row->choices[c]; c++)
			printf("%s%s", c ? " " : "", row->choices[c]);
		printf("\" -- \"$cur\")); return ;;\n");
	}
	printf("\tconfig) COMPREPLY=($(compgen -W \"dump check\" -- \"$cur\")); return ;;\n"
	       "\thost) COMPREPLY=($(compgen -W \"--json --save --host\" -- \"$cur\")); return ;;\n"
	       "\t--save | --host) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\tcompletion) COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$cur\")); return ;;\n"
	       "\tesac\n\tcase $cur in\n\t-*) COMPREPLY=($(compgen -W \"");
	print_flags(" ");
	printf("\" -- \"$cur\"))\n"
	       "\t\t[ \"${COMP_WORDS[1]}\" != plan ] ||\n"
	       "\t\t\tCOMPREPLY+=($(compgen -W \"" PLAN_FLAGS "\" -- \"$cur\")) ;;\n"
	       "\t*) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n\tesac\n}\n"
	       "complete -o filenames -F _axvm axvm\n");
}

static void zsh(void)
{
	printf("#compdef axvm\n# zsh completion for axvm; made by `axvm completion zsh`\n"
	       "if (( CURRENT == 2 )); then\n\tcompadd ");
	print_commands();
	printf("\nelif [[ $words[CURRENT] == -* ]]; then\n\tcompadd -- ");
	print_flags(" ");
	printf("\n\t[[ $words[2] != plan ]] || compadd -- " PLAN_FLAGS "\n"
	       "else\n\t_files\nfi\n");
}

/* In single quotes for the shell. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++)
		*text == '\'' ? (void)printf("\\'") : (void)putchar(*text);
	putchar('\'');
}

static void fish(void)
{
	static const char *const plan_flags[][2] = {
		{"host -r", "plan on a recorded host"},
		{"table", "print the table only"},
		{"picture", "print the drawing only"},
		{"json", "print the plan for programs"},
		{"svg", "print the plan as a picture file"},
	};
	const struct axcfg_option *row;
	const struct command *command;

	printf("# fish completion for axvm; made by `axvm completion fish`\n");
	for (size_t i = 0; (command = command_at(i)); i++) {
		printf("complete -c axvm -n __fish_use_subcommand -f -a %s -d ", command->name);
		print_quoted(command->summary);
		printf("\n");
	}
	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		if (!row->flag)
			continue;
		printf("complete -c axvm -n '__fish_seen_subcommand_from run config plan' -l %s%s "
		       "-d ",
		       row->flag, row->type == AXCFG_BOOL ? "" : " -r");
		print_quoted(row->help);
		printf("\n");
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(plan_flags); i++)
		printf("complete -c axvm -n '__fish_seen_subcommand_from plan' -l %s -d '%s'\n",
		       plan_flags[i][0], plan_flags[i][1]);
}

static int run(int argc, char **argv)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t i = 0; argc == 2 && i < AX_ARRAY_LEN(shells); i++) {
		if (!strcmp(argv[1], shells[i].shell)) {
			shells[i].print();
			return 0;
		}
	}
	fprintf(stderr, "axvm completion: name one shell: bash, zsh or fish\n");
	return 2;
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
};
