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

static json_t *row_value(const struct axcfg_option *row, const void *base);

static json_t *size_value(uint64_t bytes)
{
	char text[32];

	/* A bare number counts MiB in a file, so bytes that are no whole KiB need their unit. */
	if (bytes % AX_KIB) {
		snprintf(text, sizeof(text), "%lluB", (unsigned long long)bytes);
		return json_string(text);
	}
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

static json_t *objects_value(const struct axcfg_option *row, const void *base)
{
	const char *bytes = base;
	size_t count = *(const size_t *)(const void *)(bytes + row->count_offset);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();

		for (const struct axcfg_option *f = row->fields; f->key; f++) {
			json_t *value = row_value(f, bytes + row->offset + i * row->item_size);

			if (value)
				json_object_set_new(object, f->key, value);
		}
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *row_value(const struct axcfg_option *row, const void *base)
{
	const void *at = (const char *)base + row->offset;
	const char *string;
	char text[32];

	switch (row->type) {
	case AXCFG_BOOL:
		return json_boolean(*(const bool *)at);
	case AXCFG_UINT:
		return json_integer((json_int_t) * (const uint64_t *)at);
	case AXCFG_ADDRESS:
		snprintf(text, sizeof(text), "0x%llx", *(const unsigned long long *)at);
		return json_string(text);
	case AXCFG_SIZE:
		return size_value(*(const uint64_t *)at);
	case AXCFG_DURATION:
		return duration_value(*(const uint64_t *)at);
	case AXCFG_STRING:
	case AXCFG_PATH:
		string = *(char *const *)at;
		return string ? json_string(string) : NULL;
	case AXCFG_CHOICE:
		return json_string(row->choices[*(const uint32_t *)at]);
	case AXCFG_UINTS:
		return list_value(at);
	case AXCFG_OBJECTS:
		return objects_value(row, base);
	}
	return NULL;
}

int axcfg_dump(const struct axcfg *config, char **ret_text, struct ax_error *err)
{
	const struct axcfg_option *row;
	json_t *root = json_object();
	char *text;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		json_t *value = row_value(row, config), *section = root;
		const char *dot = strchr(row->key, '.'), *member = row->key;
		char name[32];

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
	text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(root);
	if (!text)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "the configuration has text that is not UTF-8");
	*ret_text = text;
	return 0;
}
