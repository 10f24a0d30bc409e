/*
 * The words of a subcommand whose options stand in a table of its own. Those of a VM are the
 * schema's, and read by the configuration.
 */
#include "cmd.h"

#include <errno.h>
#include <string.h>

int words_take(const struct command_option *option, int argc, char **argv, int *i,
	       const char **ret_value, struct ax_error *err)
{
	const char *word = argv[*i];
	const size_t length = strlen(option->flag);

	if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, option->flag, length) != 0)
		return -ENOENT;
	if (!word[2 + length] && !option->metavar) {
		*ret_value = word;
		return 0;
	}
	/* A value that looks like the next option is one that was forgotten, unless = joins it. */
	if (!word[2 + length] && *i + 1 < argc && strncmp(argv[*i + 1], "--", 2) != 0) {
		*ret_value = argv[++*i];
		return 0;
	}
	if (!word[2 + length]) {
		ax_error_set(err, AX_ERROR_USAGE, EINVAL, "--%s wants a value", option->flag);
		return ax_error_hint(err, "write --%s %s", option->flag, option->metavar);
	}
	if (word[2 + length] != '=')
		return -ENOENT;
	if (!option->metavar)
		return ax_error_set(err, AX_ERROR_USAGE, EINVAL, "--%s takes no value",
				    option->flag);
	*ret_value = word + 2 + length + 1;
	return 0;
}

static int unexpected(const struct command *command, const char *word, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_USAGE, EINVAL, "%s: '%.64s' is not expected", command->name,
		     word);
	return ax_error_hint(err, "`axvm %s --help`", command->name);
}

int words_read(const struct command *command, int argc, char **argv, const char **ret_values,
	       const char **ret_operands, size_t operand_max, struct ax_error *err)
{
	bool only_operands = false;
	size_t operands = 0;

	for (int i = 1; i < argc; i++) {
		int rc = -ENOENT;

		if (only_operands || argv[i][0] != '-') {
			if (operands == operand_max)
				return unexpected(command, argv[i], err);
			ret_operands[operands++] = argv[i];
			continue;
		}
		if (!strcmp(argv[i], "--")) {
			only_operands = true;
			continue;
		}
		for (size_t o = 0; rc == -ENOENT && command->options && command->options[o].flag;
		     o++)
			rc = words_take(&command->options[o], argc, argv, &i, &ret_values[o], err);
		if (rc == -ENOENT && report_verbosity(NULL, argv[i]))
			rc = unexpected(command, argv[i], err);
		else if (rc == -ENOENT)
			rc = 0;
		if (rc)
			return rc;
	}
	return 0;
}
