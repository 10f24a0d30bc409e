/*
 * Finding rows of the schema: by key, by flag, and the one that somebody may have meant.
 */
#include "config_private.h"

#include <string.h>

const struct axcfg_option *axcfg_schema_by_key(const char *key)
{
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++)
		if (!strcmp(row->key, key))
			return row;
	return NULL;
}

bool axcfg_schema_has_section(const char *name)
{
	size_t n = strlen(name);
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++)
		if (!strncmp(row->key, name, n) && row->key[n] == '.')
			return true;
	return false;
}

const struct axcfg_option *axcfg_schema_field(const struct axcfg_option *list, const char *key)
{
	for (const struct axcfg_option *row = list->fields; row->key; row++)
		if (!strcmp(row->key, key))
			return row;
	return NULL;
}

const struct axcfg_option *axcfg_schema_by_flag(const char *flag, bool *ret_negated)
{
	const struct axcfg_option *row;

	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		if (!row->flag)
			continue;
		if (!strcmp(row->flag, flag) || (row->alias && !strcmp(row->alias, flag))) {
			*ret_negated = false;
			return row;
		}
		if (row->type == AXCFG_BOOL && !strncmp(flag, "no-", 3) &&
		    !strcmp(row->flag, flag + 3)) {
			*ret_negated = true;
			return row;
		}
	}
	return NULL;
}

/* Levenshtein distance of short words; enough for a hint. */
static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), row[64];

	if (la >= AX_ARRAY_LEN(row) || lb >= AX_ARRAY_LEN(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);

			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = up;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *axcfg_schema_nearest(const char *word, bool flags)
{
	const struct axcfg_option *row;
	const char *nearest = NULL;
	size_t best = 4; /* three slips at most */

	for (size_t i = 0; (row = axcfg_option_at(i)); i++) {
		const char *candidate = flags ? row->flag : row->key;
		size_t d = candidate ? distance(word, candidate) : SIZE_MAX;

		if (d < best && d < strlen(word)) {
			best = d;
			nearest = candidate;
		}
	}
	return nearest;
}
