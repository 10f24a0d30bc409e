/*
 * Facts as a recording: keys in the order of the tables, one line for each CPU, node and cache, so
 * that people can read it and `diff` can compare two.
 */
#include "record_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Never fails in between: a failure is kept and told at the end. */
struct writer {
	char *text;
	size_t length, capacity;
	int rc;
};

static void put_bytes(struct writer *w, const char *bytes, size_t count)
{
	if (w->rc)
		return;
	if (w->length + count + 1 > w->capacity) {
		const size_t capacity = (w->length + count + 1) * 2;
		char *text = realloc(w->text, capacity);

		if (!text) {
			w->rc = -ENOMEM;
			return;
		}
		w->text = text;
		w->capacity = capacity;
	}
	memcpy(w->text + w->length, bytes, count);
	w->length += count;
	w->text[w->length] = '\0';
}

AX_PRINTF(2, 3) static void put(struct writer *w, const char *fmt, ...)
{
	char text[160];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	put_bytes(w, text, (size_t)n); /* numbers and keys: it fits */
}

static void put_string(struct writer *w, const char *string)
{
	json_t *value = json_string(string); /* NULL: not UTF-8 */
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

	if (text)
		put_bytes(w, text, strlen(text));
	else if (!w->rc)
		w->rc = value ? -ENOMEM : -EILSEQ;
	free(text);
	json_decref(value);
}

static uint64_t uint_at(const struct record_field *field, const void *at)
{
	switch (field->size) {
	case 1:
		return *(const uint8_t *)at;
	case 4:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

/* Returns false for what need not be said. `before`: what parts it from the one before. */
static bool put_field(struct writer *w, const struct record_field *field, const void *base,
		      const char *before)
{
	const char *at = (const char *)base + field->offset;
	const char *name;

	if (field->type == RECORD_OTHER)
		return false;
	if (field->type == RECORD_BOOL && field->otherwise == *(const bool *)at && field->otherwise)
		return false;
	if (field->may_miss && !uint_at(field, at))
		return false;
	put(w, "%s\"%s\": ", before, field->key);
	switch (field->type) {
	case RECORD_TEXT:
		put_string(w, at);
		break;
	case RECORD_UINT:
		put(w, "%llu", (unsigned long long)uint_at(field, at));
		break;
	case RECORD_BOOL:
		put(w, *(const bool *)at ? "true" : "false");
		break;
	case RECORD_CACHE:
		name = axhost_record_cache_name(*at);
		put(w, "\"%s\"", name ? name : "unified");
		break;
	case RECORD_OTHER:
		break;
	}
	return true;
}

static void put_fields(struct writer *w, const struct record_table *table, const void *base)
{
	bool any = false;

	for (size_t i = 0; i < table->count; i++)
		any = put_field(w, &table->fields[i], base, any ? ", " : "") || any;
}

/* Only what is not as one would expect of a CPU. */
static void put_cpu(struct writer *w, const struct axhost_facts *facts,
		    const struct axhost_cpu *cpu)
{
	put(w, "    {\"id\": %u", cpu->id);
	if (cpu->online)
		put(w, ", \"package\": %u, \"core\": %u, \"llc\": %u, \"node\": %u", cpu->package,
		    cpu->core, cpu->llc, facts->nodes[cpu->node].id);
	else
		put(w, ", \"online\": false");
	if (cpu->isolated)
		put(w, ", \"isolated\": true");
	if (cpu->tickless)
		put(w, ", \"tickless\": true");
	if (cpu->online && !cpu->allowed)
		put(w, ", \"allowed\": false");
	put(w, "}");
}

static void put_node(struct writer *w, const struct axhost_node *node)
{
	put(w, "    {");
	put_fields(w, &axhost_record_node, node);
	put(w, ", \"pools\": [");
	for (size_t i = 0; i < node->pool_count; i++) {
		put(w, i ? ",\n      {" : "\n      {");
		put_fields(w, &axhost_record_pool, &node->pools[i]);
		put(w, "}");
	}
	put(w, node->pool_count ? "\n    ]}" : "]}");
}

static void put_distances(struct writer *w, const struct axhost_facts *facts)
{
	const size_t n = facts->node_count;

	put(w, "  \"distances\": [\n");
	for (size_t i = 0; i < n; i++) {
		put(w, "    [");
		for (size_t j = 0; j < n; j++)
			put(w, "%s%u", j ? ", " : "", facts->distances[i * n + j]);
		put(w, "]%s\n", i + 1 < n ? "," : "");
	}
	put(w, "  ],\n");
}

static void put_all(struct writer *w, const struct axhost_facts *facts)
{
	put(w, "{\n  \"axvm_host\": %d", RECORD_FORMAT);
	for (size_t i = 0; i < axhost_record_host.count; i++)
		put_field(w, &axhost_record_host.fields[i], facts, ",\n  ");
	put(w, ",\n  \"features\": {\n    ");
	for (size_t i = 0; i < axhost_record_features.count; i++)
		put_field(w, &axhost_record_features.fields[i], facts, i ? ",\n    " : "");
	put(w, "\n  },\n  \"caches\": [");
	for (size_t i = 0; i < facts->cache_count; i++) {
		put(w, i ? ",\n    {" : "\n    {");
		put_fields(w, &axhost_record_cache, &facts->caches[i]);
		put(w, "}");
	}
	put(w, facts->cache_count ? "\n  ],\n  \"nodes\": [\n" : "],\n  \"nodes\": [\n");
	for (size_t i = 0; i < facts->node_count; i++) {
		put_node(w, &facts->nodes[i]);
		put(w, i + 1 < facts->node_count ? ",\n" : "\n");
	}
	put(w, "  ],\n");
	put_distances(w, facts);
	put(w, "  \"cpus\": [\n");
	for (size_t i = 0; i < facts->cpu_count; i++) {
		put_cpu(w, facts, &facts->cpus[i]);
		put(w, i + 1 < facts->cpu_count ? ",\n" : "\n");
	}
	put(w, "  ]\n}\n");
}

int axhost_save(const struct axhost_facts *facts, char **ret_text, struct ax_error *err)
{
	struct writer w = {.text = NULL};

	put_all(&w, facts);
	if (!w.rc) {
		*ret_text = w.text;
		return 0;
	}
	free(w.text);
	if (w.rc == -EILSEQ)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EILSEQ,
				    "a name of this host is not UTF-8, which JSON cannot hold");
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a recorded host");
}
