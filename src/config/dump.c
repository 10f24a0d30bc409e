/*
 * The configuration as JSON: every option that has a value, in the schema's order and in the form
 * a file accepts, so that a dump fed back gives the same configuration.
 */
#include "config_private.h"

#include <errno.h>
#include <stdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* -EILSEQ: text that JSON cannot hold. *ret_value is NULL for an option that is not set. */
static int row_value(const struct axcfg_option *row, const void *base, json_t **ret_value);

static json_t *uint_value(uint64_t v)
{
	char text[32];

	if (v <= INT64_MAX)
		return json_integer((json_int_t)v);
	/* JSON's integers end here; a file may also give numbers as text. */
	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return json_string(text);
}

static json_t *size_value(uint64_t bytes)
{
	char text[32];

	/* Never a bare number, which would count MiB: the least unit one can write is K. */
	return json_string(ax_format_size(bytes, text, sizeof(text)));
}

static json_t *duration_value(uint64_t ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}};
	char text[32];

	for (size_t i = 0; i < AX_ARRAY_LEN(units); i++)
		if (ns % units[i].ns == 0) {
			snprintf(text, sizeof(text), "%llu%s",
				 (unsigned long long)(ns / units[i].ns), units[i].suffix);
			return json_string(text);
		}
	return json_integer((json_int_t)ns);
}

static json_t *list_value(const struct axcfg_uint_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, json_integer((json_int_t)list->values[i]));
	return array;
}

static int objects_value(const struct axcfg_option *row, const void *base, json_t **ret_value)
{
	const char *bytes = base;
	size_t count = *(const size_t *)(const void *)(bytes + row->count_offset);
	json_t *array = json_array();
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();

		for (const struct axcfg_option *f = row->fields; !rc && f->key; f++) {
			json_t *value = NULL;

			rc = row_value(f, bytes + row->offset + i * row->item_size, &value);
			if (value)
				json_object_set_new(object, f->key, value);
		}
		json_array_append_new(array, object);
	}
	*ret_value = array;
	return rc;
}

static int row_value(const struct axcfg_option *row, const void *base, json_t **ret_value)
{
	const void *at = (const char *)base + row->offset;
	const char *string;
	char text[32];

	switch (row->type) {
	case AXCFG_BOOL:
		*ret_value = json_boolean(*(const bool *)at);
		break;
	case AXCFG_UINT:
		*ret_value = uint_value(*(const uint64_t *)at);
		break;
	case AXCFG_ADDRESS:
		snprintf(text, sizeof(text), "0x%llx", *(const unsigned long long *)at);
		*ret_value = json_string(text);
		break;
	case AXCFG_SIZE:
		*ret_value = size_value(*(const uint64_t *)at);
		break;
	case AXCFG_DURATION:
		*ret_value = duration_value(*(const uint64_t *)at);
		break;
	case AXCFG_STRING:
	case AXCFG_PATH:
		string = *(char *const *)at;
		*ret_value = string ? json_string(string) : NULL;
		return string && !*ret_value ? -EILSEQ : 0;
	case AXCFG_CHOICE:
		*ret_value = json_string(row->choices[*(const uint32_t *)at]);
		break;
	case AXCFG_UINTS:
		*ret_value = list_value(at);
		break;
	case AXCFG_OBJECTS:
		return objects_value(row, base, ret_value);
	}
	return 0;
}

int axcfg_dump(const struct axcfg *config, char **ret_text, struct ax_error *err)
{
	const struct axcfg_option *row;
	json_t *root = json_object();
	char *text = NULL;
	int rc = 0;

	for (size_t i = 0; !rc && (row = axcfg_option_at(i)); i++) {
		json_t *value = NULL, *section = root;
		const char *dot = strchr(row->key, '.'), *member = row->key;
		char name[32];

		rc = row_value(row, config, &value);
		if (rc)
			ax_error_set(err, AX_ERROR_CONFIGURATION, -rc,
				     "%s: text that is not UTF-8 cannot be written as JSON",
				     row->key);
		if (!value)
			continue;
		if (dot) {
			snprintf(name, sizeof(name), "%.*s", (int)(dot - row->key), row->key);
			member = dot + 1;
			section = json_object_get(root, name);
			if (!section) {
				section = json_object();
				json_object_set_new(root, name, section);
			}
		}
		json_object_set_new(section, member, value);
	}
	if (!rc)
		text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(root);
	if (rc)
		return rc;
	if (!text)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "out of memory for the configuration's text");
	*ret_text = text;
	return 0;
}
