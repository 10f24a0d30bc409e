/*
 * Lists of objects (disks, memory regions): a new item with its defaults, an item from one
 * command-line word, and the last one taken away. Fields of an item are values like any other.
 */
#include "config_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *item_at(const struct axcfg_option *option, void *base, size_t index)
{
	return (char *)axcfg_field(option, base) + index * option->item_size;
}

void *axcfg_item_new(const struct axcfg_option *option, void *base,
		     const struct value_source *source, struct ax_error *err)
{
	size_t *count = axcfg_item_count(option, base);
	void *item = item_at(option, base, *count);

	if (*count >= option->item_max) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, E2BIG, "%s: more than %zu of them",
			     source->text, option->item_max);
		return NULL;
	}
	memset(item, 0, option->item_size);
	(*count)++;
	if (axcfg_value_set_defaults(option->fields, item, err)) {
		axcfg_item_remove_last(option, base);
		return NULL;
	}
	return item;
}

void axcfg_item_remove_last(const struct axcfg_option *option, void *base)
{
	void *item = item_at(option, base, --*axcfg_item_count(option, base));

	for (const struct axcfg_option *row = option->fields; row->key; row++)
		axcfg_value_clear(row, item);
}

/* The text up to the next single comma, which is passed over, with ",," as ",". */
static const char *next_word(const char *text, char *ret_word)
{
	while (*text && (*text != ',' || text[1] == ',')) {
		text += *text == ',';
		*ret_word++ = *text++;
	}
	*ret_word = '\0';
	return text + (*text == ',');
}

/* Which field a word is for, and its value. NULL: none is known by that name. */
static const struct axcfg_option *field_of(const struct axcfg_option *option, char *word,
					   bool first, const char **ret_value)
{
	char *equals = strchr(word, '=');
	const struct axcfg_option *row;

	if (equals)
		*equals = '\0';
	row = axcfg_schema_field(option, word);
	*ret_value = equals ? equals + 1 : "true";
	if (row && (equals || row->type == AXCFG_BOOL))
		return row;
	if (!first)
		return NULL;
	if (equals) /* a path with '=' in it */
		*equals = '=';
	*ret_value = word;
	return option->fields;
}

/* "PATH,ro,serial=x": a first word that is no field's is the first field's value; a boolean field
 * may stand alone. */
int axcfg_item_append(const struct axcfg_option *option, void *base, const char *text,
		      const struct value_source *source, struct ax_error *err)
{
	AX_AUTO_FREE char *word = malloc(strlen(text) + 1);
	void *item = word ? axcfg_item_new(option, base, source, err) : NULL;
	bool first = true;
	int rc = 0;

	assert(option->fields); /* AXCFG_OBJECTS */
	if (!word)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "%s: out of memory",
				    source->text);
	if (!item)
		return err ? -err->sys_errno : -EINVAL;
	while (!rc && (first || *text)) {
		const struct axcfg_option *row;
		const char *value;

		text = next_word(text, word);
		row = field_of(option, word, first, &value);
		first = false;
		if (row) {
			rc = axcfg_value_set(row, item, value, source, err);
			continue;
		}
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: '%s' is not known",
			     source->text, word);
		rc = ax_error_hint(err, "the form is %s; a comma in a path is written twice",
				   option->metavar);
	}
	if (rc)
		axcfg_item_remove_last(option, base);
	return rc;
}
