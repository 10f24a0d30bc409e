/*
 * The command line as a source: long flags, their aliases, --no-FLAG for booleans and short
 * letters, all taken from the schema. getopt is not used because its tables are built before it
 * knows the message it should give: ours names the nearest flag and the value it wanted.
 */
#include "config_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct words {
	int argc, next;
	char *const *argv;
	bool only_operands;        /* after -- */
	bool seen[AXCFG_MAX_ROWS]; /* lists that this command line has started, by schema row */
};

static const struct axcfg_option *by_letter(char letter)
{
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++)
		if (row->short_flag == letter)
			return row;
	return NULL;
}

static int unknown(const char *word, struct ax_error *err)
{
	const char *nearest = axcfg_schema_nearest(word[1] == '-' ? word + 2 : word + 1, true);

	ax_error_set(err, AX_ERROR_USAGE, EINVAL, "%s is not an option", word);
	if (nearest)
		return ax_error_hint(err, "did you mean --%s? `axvm run --help` lists all",
				     nearest);
	return ax_error_hint(err, "`axvm run --help` lists all options");
}

/*
 * The value of a flag: what stands behind '=' or glued to the letter, else the next word. One that
 * looks like the next option is a value that was forgotten, unless '=' joins it.
 */
static int take_value(struct words *words, const char *attached, const char *flag,
		      const char *metavar, const char **ret_value, struct ax_error *err)
{
	if (attached) {
		*ret_value = attached;
		return 0;
	}
	if (words->next < words->argc && strncmp(words->argv[words->next], "--", 2) != 0) {
		*ret_value = words->argv[words->next++];
		return 0;
	}
	ax_error_set(err, AX_ERROR_USAGE, EINVAL, "%s wants a value", flag);
	if (words->next < words->argc)
		return ax_error_hint(err, "write %s %s, or %s=%.64s if that is meant", flag,
				     metavar ? metavar : "VALUE", flag, words->argv[words->next]);
	return ax_error_hint(err, "write %s %s", flag, metavar ? metavar : "VALUE");
}

static size_t row_index(const struct axcfg_option *row)
{
	return (size_t)(row - axcfg_option_at(0));
}

static int apply(struct axcfg_builder *builder, struct words *words, const struct axcfg_option *row,
		 const char *flag, const char *attached, bool negated, struct ax_error *err)
{
	struct value_source source;
	const char *value = negated ? "false" : "true";
	int rc = 0;

	snprintf(source.text, sizeof(source.text), "%s", flag);
	if (row->type != AXCFG_BOOL)
		rc = take_value(words, attached, flag, row->metavar, &value, err);
	else if (attached && negated)
		rc = ax_error_set(err, AX_ERROR_USAGE, EINVAL, "%s takes no value", flag);
	else if (attached)
		value = attached;
	if (rc)
		return rc;
	/* The first --disk of a command line replaces the file's disks, further ones add. */
	if (row->type == AXCFG_OBJECTS && !words->seen[row_index(row)]) {
		words->seen[row_index(row)] = true;
		axcfg_value_clear(row, builder->config);
	}
	return axcfg_value_set(row, builder->config, value, &source, err);
}

/* A flag of the program's own is offered in the first pass, which ends at one nobody knows. */
static int program_flag(const char *word, const char *flag,
			int (*extra)(void *ctx, const char *flag), void *ctx, bool config_pass,
			struct ax_error *err)
{
	if (!config_pass || (extra && !extra(ctx, word)))
		return 0;
	return unknown(flag, err);
}

static int take_long(struct axcfg_builder *builder, struct words *words, const char *word,
		     int (*extra)(void *ctx, const char *flag), void *ctx, bool config_pass,
		     struct ax_error *err)
{
	const struct axcfg_option *row;
	const char *equals = strchr(word, '='), *value = NULL;
	char flag[64];
	bool negated = false;
	int length = equals ? (int)(equals - word) : (int)strlen(word);

	snprintf(flag, sizeof(flag), "%.*s", length, word);
	if (!strcmp(flag, "--config")) {
		int rc = take_value(words, equals ? equals + 1 : NULL, flag, "FILE", &value, err);

		return rc ? rc : config_pass ? axcfg_builder_file(builder, value, err) : 0;
	}
	row = axcfg_schema_by_flag(flag + 2, &negated);
	if (!row)
		return program_flag(word, flag, extra, ctx, config_pass, err);
	if (config_pass) {
		if (row->type != AXCFG_BOOL)
			return take_value(words, equals ? equals + 1 : NULL, flag, row->metavar,
					  &value, err);
		return 0;
	}
	return apply(builder, words, row, flag, equals ? equals + 1 : NULL, negated, err);
}

static int take_short(struct axcfg_builder *builder, struct words *words, const char *word,
		      int (*extra)(void *ctx, const char *flag), void *ctx, bool config_pass,
		      struct ax_error *err)
{
	const struct axcfg_option *row = by_letter(word[1]);
	const char *attached = word[2] ? word + 2 + (word[2] == '=') : NULL, *value;
	char flag[3] = {'-', word[1]};

	if (!row)
		return program_flag(word, word, extra, ctx, config_pass, err);
	if (config_pass)
		return take_value(words, attached, flag, row->metavar, &value, err);
	return apply(builder, words, row, flag, attached, false, err);
}

static int take_operand(struct axcfg_builder *builder, const char *word, bool *operand_seen,
			struct ax_error *err)
{
	if (*operand_seen) {
		ax_error_set(err, AX_ERROR_USAGE, EINVAL, "'%s' is one word too many", word);
		return ax_error_hint(
			err, "only the kernel may stand without a flag; quote a --cmdline of "
			     "several words");
	}
	*operand_seen = true;
	return axcfg_builder_set(builder, "kernel.path", word, err);
}

static int pass(struct axcfg_builder *builder, int argc, char *const *argv,
		int (*extra)(void *ctx, const char *flag), void *ctx, bool config_pass,
		struct ax_error *err)
{
	struct words words = {.argc = argc, .next = 1, .argv = argv};
	bool operand_seen = false;
	int rc = 0;

	while (!rc && words.next < words.argc) {
		const char *word = words.argv[words.next++];

		if (!words.only_operands && !strcmp(word, "--"))
			words.only_operands = true;
		else if (!words.only_operands && !strncmp(word, "--", 2))
			rc = take_long(builder, &words, word, extra, ctx, config_pass, err);
		else if (!words.only_operands && word[0] == '-' && word[1])
			rc = take_short(builder, &words, word, extra, ctx, config_pass, err);
		else if (!config_pass)
			rc = take_operand(builder, word, &operand_seen, err);
	}
	return rc;
}

int axcfg_builder_args(struct axcfg_builder *builder, int argc, char *const *argv,
		       int (*extra)(void *ctx, const char *flag), void *ctx, struct ax_error *err)
{
	/* Files first, wherever --config stands: the command line always wins. */
	int rc = pass(builder, argc, argv, extra, ctx, true, err);
	return rc ? rc : pass(builder, argc, argv, extra, ctx, false, err);
}
