/*
 * Values of a recording: each of its kind and range, by the tables of record.c, and lists of
 * objects. Strict: a typing error in a recording made by hand must not become a machine that nobody
 * meant.
 */
#include "record_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int axhost_record_wrong(const struct record_place *place, const char *key, const json_t *value,
			const char *expected, struct ax_error *err)
{
	AX_AUTO_FREE char *shown = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	if (!value)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s%s: missing, expected %s", place->text, key, expected);
	return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s%s: %.40s%s, expected %s",
			    place->text, key, shown ? shown : "?",
			    shown && strlen(shown) > 40 ? "..." : "", expected);
}

static int set_uint(const struct record_field *field, char *at, const json_t *value,
		    const struct record_place *place, struct ax_error *err)
{
	const uint64_t fits = field->size == 1   ? UINT8_MAX
			      : field->size == 4 ? UINT32_MAX - 1 /* that is AXHOST_NONE */
						 : INT64_MAX;
	const uint64_t max = field->max ? field->max : fits;
	char expected[80];
	uint64_t number;

	if (!value && field->may_miss)
		return 0;
	snprintf(expected, sizeof(expected), "a whole number from %llu to %llu",
		 (unsigned long long)field->min, (unsigned long long)max);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return axhost_record_wrong(place, field->key, value, expected, err);
	number = (uint64_t)json_integer_value(value);
	if (number < field->min || number > max)
		return axhost_record_wrong(place, field->key, value, expected, err);
	if (field->size == 1)
		*(uint8_t *)at = (uint8_t)number;
	else if (field->size == 4)
		memcpy(at, &(uint32_t){(uint32_t)number}, 4);
	else
		memcpy(at, &number, 8);
	return 0;
}

static int set_text(const struct record_field *field, char *at, const json_t *value,
		    const struct record_place *place, struct ax_error *err)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "text of at most %zu bytes", field->size - 1);
	if (!json_is_string(value) || json_string_length(value) >= field->size ||
	    strlen(json_string_value(value)) != json_string_length(value))
		return axhost_record_wrong(place, field->key, value, expected, err);
	memcpy(at, json_string_value(value), json_string_length(value) + 1);
	axhost_clean(at); /* as that of this host: it is shown on terminals */
	return 0;
}

static int set_field(const struct record_field *field, void *base, const json_t *value,
		     const struct record_place *place, struct ax_error *err)
{
	char *at = (char *)base + field->offset;

	switch (field->type) {
	case RECORD_TEXT:
		return set_text(field, at, value, place, err);
	case RECORD_UINT:
		return set_uint(field, at, value, place, err);
	case RECORD_BOOL:
		if (value && !json_is_boolean(value))
			return axhost_record_wrong(place, field->key, value, "true or false", err);
		*(bool *)at = value ? json_is_true(value) : field->otherwise;
		return 0;
	case RECORD_CACHE:
		*at = json_is_string(value) ? axhost_record_cache_letter(json_string_value(value))
					    : '\0';
		return *at ? 0
			   : axhost_record_wrong(place, field->key, value,
						 "\"data\", \"instruction\" or \"unified\"", err);
	case RECORD_OTHER:
		break;
	}
	return 0;
}

static int check_keys(const struct record_table *table, json_t *object,
		      const struct record_place *place, struct ax_error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		size_t i = 0;

		while (i < table->count && strcmp(table->fields[i].key, key) != 0)
			i++;
		if (i == table->count) {
			ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				     "%s%.60s: no such key in a recorded host", place->text, key);
			return ax_error_hint(err, "docs/host.md has the keys there are");
		}
	}
	return 0;
}

int axhost_record_take_fields(const struct record_table *table, void *base, json_t *object,
			      const struct record_place *place, bool (*skip)(const char *key),
			      struct ax_error *err)
{
	int rc = check_keys(table, object, place, err);

	for (size_t i = 0; !rc && i < table->count; i++) {
		const struct record_field *field = &table->fields[i];
		const json_t *value = json_object_get(object, field->key);

		if (!skip || !skip(field->key))
			rc = set_field(field, base, value, place, err);
		else if (value)
			rc = axhost_record_wrong(place, field->key, value,
						 "nothing for an offline CPU", err);
	}
	return rc;
}

int axhost_record_take_list(json_t *list, const char *key, size_t min, size_t max, void *base,
			    size_t size, size_t *ret_count, axhost_record_take_fn *take,
			    const struct record_place *place, struct ax_error *err)
{
	char expected[64];
	int rc = 0;

	snprintf(expected, sizeof(expected), "a list of %zu to %zu objects", min, max);
	if (!json_is_array(list) || json_array_size(list) < min || json_array_size(list) > max)
		return axhost_record_wrong(place, key, list, expected, err);
	for (size_t i = 0; !rc && i < json_array_size(list); i++) {
		json_t *object = json_array_get(list, i);
		struct record_place inner;

		snprintf(inner.text, sizeof(inner.text), "%.200s%s[%zu]", place->text, key, i);
		if (!json_is_object(object))
			return axhost_record_wrong(&inner, "", object, "an object: { ... }", err);
		snprintf(inner.text, sizeof(inner.text), "%.200s%s[%zu].", place->text, key, i);
		rc = take(object, (char *)base + i * size, &inner, err);
		(*ret_count)++;
	}
	return rc;
}
