/*
 * The JSON file as a source. jansson reads the text; every scalar is turned back into text and set
 * through the common setter, so a file and a command line refuse the same values in the same words.
 */
#include "config_private.h"

#include <errno.h>
#include <stdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES (1u << 20)

static int scalar_text(const json_t *value, char *buf, size_t size, const char **ret_text)
{
	if (json_is_string(value)) {
		/* A NUL inside would silently cut the value. */
		if (strlen(json_string_value(value)) != json_string_length(value))
			return -EINVAL;
		*ret_text = json_string_value(value);
		return 0;
	}
	if (json_is_integer(value))
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		snprintf(buf, size, "%s", json_is_true(value) ? "true" : "false");
	else
		return -EINVAL;
	*ret_text = buf;
	return 0;
}

static int wrong_kind(const struct value_source *source, const char *expected, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: expected %s", source->text,
		     expected);
	return ax_error_hint(err, "`axvm config dump` shows each value as it is written");
}

static int set_scalar(const struct axcfg_option *row, void *base, const json_t *value,
		      const struct value_source *source, struct ax_error *err)
{
	char buf[32];
	const char *text;

	if (row->type == AXCFG_BOOL && !json_is_boolean(value))
		return wrong_kind(source, "true or false, without quotes", err);
	if ((row->type == AXCFG_STRING || row->type == AXCFG_PATH) && !json_is_string(value))
		return wrong_kind(source, "text in quotes", err);
	if (scalar_text(value, buf, sizeof(buf), &text))
		return wrong_kind(source, "a string, a whole number, true or false", err);
	return axcfg_value_set(row, base, text, source, err);
}

/* [0, 2, 3] or "0,2-3" */
static int set_list(const struct axcfg_option *row, void *base, const json_t *value,
		    const struct value_source *source, struct ax_error *err)
{
	AX_AUTO_FREE char *text = NULL;
	size_t used = 0, i;
	json_t *item;

	if (!json_is_array(value))
		return set_scalar(row, base, value, source, err);
	text = calloc(json_array_size(value) + 1, 24);
	if (!text)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "%s: out of memory",
				    source->text);
	json_array_foreach(value, i, item)
	{
		if (!json_is_integer(item))
			return wrong_kind(source, "a list of whole numbers", err);
		used += (size_t)sprintf(text + used, "%s%" JSON_INTEGER_FORMAT, i ? "," : "",
					json_integer_value(item));
	}
	return axcfg_value_set(row, base, text, source, err);
}

static int set_objects(const struct axcfg_option *row, void *base, const json_t *value,
		       const struct value_source *source, struct ax_error *err)
{
	const char *key;
	size_t i;
	json_t *element, *member;

	if (!json_is_array(value))
		return wrong_kind(source, "a list: [ { ... } ]", err);
	axcfg_value_clear(row, base);
	json_array_foreach(value, i, element)
	{
		void *item;
		int rc = 0;

		if (json_is_string(element)) { /* the command line's short form */
			rc = axcfg_item_append(row, base, json_string_value(element), source, err);
			if (rc)
				return rc;
			continue;
		}
		if (!json_is_object(element))
			return wrong_kind(source, "a list of objects: [ { ... } ]", err);
		item = axcfg_item_new(row, base, source, err);
		if (!item)
			return -EINVAL;
		json_object_foreach(element, key, member)
		{
			const struct axcfg_option *field = axcfg_schema_field(row, key);
			struct value_source inner;

			snprintf(inner.text, sizeof(inner.text), "%.150s[%zu].%.60s", source->text,
				 i, key);
			if (!field) {
				ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					     "%s: no such option", inner.text);
				return ax_error_hint(err, "`axvm run --help` lists what %s takes",
						     row->flag ? row->flag : row->key);
			}
			rc = set_scalar(field, item, member, &inner, err);
			if (rc)
				return rc;
		}
	}
	return 0;
}

static int set_members(struct axcfg_builder *builder, const char *name, const char *prefix,
		       json_t *object, struct ax_error *err)
{
	const char *member;
	json_t *value;

	json_object_foreach(object, member, value)
	{
		const struct axcfg_option *row;
		struct value_source source;
		char key[128];
		int rc;

		snprintf(key, sizeof(key), "%.60s%s%.60s", prefix, *prefix ? "." : "", member);
		snprintf(source.text, sizeof(source.text), "%.120s: %s", name, key);
		row = axcfg_schema_by_key(key);
		if (row && row->type == AXCFG_UINTS)
			rc = set_list(row, builder->config, value, &source, err);
		else if (row && row->type == AXCFG_OBJECTS)
			rc = set_objects(row, builder->config, value, &source, err);
		else if (row)
			rc = set_scalar(row, builder->config, value, &source, err);
		else if (json_is_object(value) && !*prefix && axcfg_schema_has_section(key))
			rc = set_members(builder, name, key, value, err);
		else {
			const char *nearest = axcfg_schema_nearest(key, false);

			rc = ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: no such option",
					  source.text);
			if (nearest)
				ax_error_hint(err, "did you mean %s?", nearest);
			else
				ax_error_hint(err,
					      "`axvm config dump` shows every option there is");
		}
		if (rc)
			return rc;
	}
	return 0;
}

int axcfg_builder_json(struct axcfg_builder *builder, const char *name, const char *text,
		       size_t length, struct ax_error *err)
{
	json_error_t where;
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	int rc;

	if (!root) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s:%d:%d: not valid JSON: %s",
			     name, where.line, where.column, where.text);
		rc = ax_error_hint(err, "`axvm config dump` prints one to start from");
	} else if (!json_is_object(root)) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: expected an object: { ... }",
			     name);
		rc = ax_error_hint(err, "`axvm config dump` prints one to start from");
	} else {
		rc = set_members(builder, name, "", root, err);
	}
	json_decref(root);
	return rc;
}

int axcfg_builder_file(struct axcfg_builder *builder, const char *path, struct ax_error *err)
{
	AX_AUTO_FREE char *text = NULL;
	size_t size;
	int rc = ax_read_text(path, "the configuration", MAX_FILE_BYTES, &text, &size, err);

	if (rc == -ENOENT)
		return ax_error_hint(err, "`axvm config dump > %s` writes one to start from", path);
	return rc ? rc : axcfg_builder_json(builder, path, text, size, err);
}
