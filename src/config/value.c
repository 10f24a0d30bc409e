/*
 * One value: text in, typed field out. Every source - default, file, command line - comes through
 * axcfg_value_set, so a value is refused with the same words wherever it stood. Nothing is stored
 * before the whole text has been understood. Lists of objects are item.c's.
 */
#include "config_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The hint is the caller's. */
static void refuse(const struct value_source *source, const char *text, const char *expected,
		   struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: '%s' is not %s", source->text, text,
		     expected);
}

static int parse_uint(const char *text, uint64_t *ret)
{
	char *end;
	uint64_t v;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, !strncasecmp(text, "0x", 2) ? 16 : 10);
	if (*end || end == text)
		return -EINVAL;
	if (errno)
		return -ERANGE;
	*ret = v;
	return 0;
}

static int parse_duration(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {
		{"", 1000000000}, {"s", 1000000000},  {"ms", 1000000},
		{"us", 1000},     {"m", 60000000000}, {"h", 3600000000000},
	};
	char *end;
	uint64_t v;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	for (size_t i = 0; i < AX_ARRAY_LEN(units); i++)
		if (!strcmp(end, units[i].suffix))
			return __builtin_mul_overflow(v, units[i].ns, ret_ns) ? -ERANGE : 0;
	return -EINVAL;
}

static int hint_range(const struct axcfg_option *option, struct ax_error *err)
{
	char low[32], high[32];

	if (option->type == AXCFG_SIZE) {
		ax_format_size(option->min, low, sizeof(low));
		ax_format_size(option->max, high, sizeof(high));
	} else {
		snprintf(low, sizeof(low), "%llu", (unsigned long long)option->min);
		snprintf(high, sizeof(high), "%llu", (unsigned long long)option->max);
	}
	return option->max == UINT64_MAX
		       ? ax_error_hint(err, "the least is %s", low)
		       : ax_error_hint(err, "give a value from %s to %s", low, high);
}

static int check_range(const struct axcfg_option *option, uint64_t v, const char *text,
		       const struct value_source *source, struct ax_error *err)
{
	if (v >= option->min && v <= option->max)
		return 0;
	ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE, "%s: %s is out of range", source->text,
		     text);
	return hint_range(option, err);
}

static int set_number(const struct axcfg_option *option, void *base, const char *text,
		      const struct value_source *source, struct ax_error *err)
{
	static const char *const expected[] = {
		[AXCFG_UINT] = "a whole number",
		[AXCFG_ADDRESS] = "an address (0x100000)",
		[AXCFG_SIZE] = "a size (512M, 8G; a bare number counts MiB)",
		[AXCFG_DURATION] = "a time (10s, 500ms, 2m; a bare number counts seconds)",
	};
	uint64_t v = 0;
	int rc = option->type == AXCFG_SIZE       ? ax_parse_size(text, AX_MIB, &v)
		 : option->type == AXCFG_DURATION ? parse_duration(text, &v)
						  : parse_uint(text, &v);

	if (rc == -ERANGE)
		ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			     "%s: %s is too large to be a number", source->text, text);
	else if (rc < 0)
		refuse(source, text, expected[option->type], err);
	if (rc < 0)
		return hint_range(option, err);
	rc = check_range(option, v, text, source, err);
	if (!rc)
		*(uint64_t *)axcfg_field(option, base) = v;
	return rc;
}

static int set_bool(const struct axcfg_option *option, void *base, const char *text,
		    const struct value_source *source, struct ax_error *err)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	for (size_t i = 0; i < AX_ARRAY_LEN(yes); i++) {
		bool is_yes = !strcasecmp(text, yes[i]);

		if (is_yes || !strcasecmp(text, no[i])) {
			*(bool *)axcfg_field(option, base) = is_yes;
			return 0;
		}
	}
	refuse(source, text, "true or false", err);
	return ax_error_hint(err, "yes and no, on and off, 1 and 0 are understood, too");
}

static int set_choice(const struct axcfg_option *option, void *base, const char *text,
		      const struct value_source *source, struct ax_error *err)
{
	char known[128] = "";

	for (uint32_t i = 0; option->choices[i]; i++) {
		if (!strcasecmp(text, option->choices[i])) {
			*(uint32_t *)axcfg_field(option, base) = i;
			return 0;
		}
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 i ? ", " : "", option->choices[i]);
	}
	ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "%s: '%s' is not known", source->text,
		     text);
	return ax_error_hint(err, "choose one of: %s", known);
}

static int set_string(const struct axcfg_option *option, void *base, const char *text,
		      const struct value_source *source, struct ax_error *err)
{
	char **slot = axcfg_field(option, base), *copy;

	if (option->type == AXCFG_PATH && !*text) {
		refuse(source, text, "a path", err);
		return ax_error_hint(err, "name a file, or leave it out");
	}
	if (option->max && strlen(text) > option->max)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: '%s' has %zu bytes, at most %llu are possible",
				    source->text, text, strlen(text),
				    (unsigned long long)option->max);
	copy = strdup(text);
	if (!copy)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "%s: out of memory",
				    source->text);
	free(*slot);
	*slot = copy;
	return 0;
}

static int refuse_list(const struct axcfg_option *option, const struct value_source *source,
		       const char *text, struct ax_error *err)
{
	refuse(source, text, "a list of numbers and ranges such as 0,2,4-7", err);
	return ax_error_hint(err, "numbers up to %llu, without spaces",
			     (unsigned long long)option->max);
}

/* "0,2,4-7"; an empty text is the empty list. */
static int set_uints(const struct axcfg_option *option, void *base, const char *text,
		     const struct value_source *source, struct ax_error *err)
{
	struct axcfg_uint_list *list = axcfg_field(option, base);
	AX_AUTO_FREE uint64_t *values = calloc(AXCFG_MAX_CPUS, sizeof(*values));
	AX_AUTO_FREE char *copy = strdup(text);
	size_t count = 0;
	char *save = NULL;

	if (!values || !copy)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "%s: out of memory",
				    source->text);
	/* strtok_r passes over empty items; here they are a slip of the pen. */
	if (text[0] == ',' || strstr(text, ",,") || (*text && text[strlen(text) - 1] == ','))
		return refuse_list(option, source, text, err);
	for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		char *dash = strchr(item, '-');
		uint64_t first, last;

		if (dash)
			*dash = '\0';
		if (parse_uint(item, &first) || parse_uint(dash ? dash + 1 : item, &last) ||
		    last < first)
			return refuse_list(option, source, text, err);
		if (last > option->max)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
					    "%s: %llu is out of range, %llu is the largest",
					    source->text, (unsigned long long)last,
					    (unsigned long long)option->max);
		if (last - first >= AXCFG_MAX_CPUS - count)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, E2BIG,
					    "%s: more than %u numbers", source->text,
					    AXCFG_MAX_CPUS);
		for (uint64_t v = first; v <= last; v++)
			values[count++] = v;
	}
	free(list->values);
	list->values = values;
	list->count = count;
	values = NULL;
	return 0;
}

int axcfg_value_set(const struct axcfg_option *option, void *base, const char *text,
		    const struct value_source *source, struct ax_error *err)
{
	switch (option->type) {
	case AXCFG_BOOL:
		return set_bool(option, base, text, source, err);
	case AXCFG_UINT:
	case AXCFG_ADDRESS:
	case AXCFG_SIZE:
	case AXCFG_DURATION:
		return set_number(option, base, text, source, err);
	case AXCFG_STRING:
	case AXCFG_PATH:
		return set_string(option, base, text, source, err);
	case AXCFG_CHOICE:
		return set_choice(option, base, text, source, err);
	case AXCFG_UINTS:
		return set_uints(option, base, text, source, err);
	case AXCFG_OBJECTS:
		return axcfg_item_append(option, base, text, source, err);
	}
	return ax_error_set(err, AX_ERROR_INTERNAL, EINVAL, "%s: option of no type", source->text);
}

int axcfg_value_set_defaults(const struct axcfg_option *list, void *base, struct ax_error *err)
{
	struct value_source source = {"default"};

	for (const struct axcfg_option *row = list; row->key; row++) {
		int rc;

		if (!row->default_text)
			continue;
		/* A default may lie outside the range a user may ask for (0: never). */
		rc = axcfg_value_set(row, base, row->default_text, &source, err);
		if (rc)
			return ax_error_context(err, "%s", row->key);
	}
	return 0;
}

void axcfg_value_clear(const struct axcfg_option *option, void *base)
{
	if (option->type == AXCFG_STRING || option->type == AXCFG_PATH) {
		char **slot = axcfg_field(option, base);

		free(*slot);
		*slot = NULL;
	} else if (option->type == AXCFG_UINTS) {
		struct axcfg_uint_list *list = axcfg_field(option, base);

		free(list->values);
		*list = (struct axcfg_uint_list){0};
	} else if (option->type == AXCFG_OBJECTS) {
		while (*axcfg_item_count(option, base))
			axcfg_item_remove_last(option, base);
	}
}
