/*
 * A recording back into facts, object by object. Single values are record_values.c's concern, what
 * they must have to do with each other is record_check.c's.
 */
#include "record_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE_BYTES (16u << 20)

static int take_cache(json_t *object, void *base, const struct record_place *place,
		      struct ax_error *err)
{
	return axhost_record_take_fields(&axhost_record_cache, base, object, place, NULL, err);
}

static int take_pool(json_t *object, void *base, const struct record_place *place,
		     struct ax_error *err)
{
	const struct axhost_page_pool *pool = base;
	int rc = axhost_record_take_fields(&axhost_record_pool, base, object, place, NULL, err);

	if (rc)
		return rc;
	if (pool->page_size_bytes & (pool->page_size_bytes - 1))
		return axhost_record_wrong(place, "page_size_bytes",
					   json_object_get(object, "page_size_bytes"),
					   "a power of two", err);
	if (pool->free > pool->total)
		return axhost_record_wrong(place, "free", json_object_get(object, "free"),
					   "at most the total", err);
	return 0;
}

static int take_node(json_t *object, void *base, const struct record_place *place,
		     struct ax_error *err)
{
	struct axhost_node *node = base;
	int rc = axhost_record_take_fields(&axhost_record_node, base, object, place, NULL, err);

	if (rc || !json_object_get(object, "pools"))
		return rc;
	return axhost_record_take_list(json_object_get(object, "pools"), "pools", 0,
				       AXHOST_MAX_POOLS, node->pools, sizeof(node->pools[0]),
				       &node->pool_count, take_pool, place, err);
}

static bool is_of_online(const char *key)
{
	return strcmp(key, "id") != 0 && strcmp(key, "online") != 0 &&
	       strcmp(key, "isolated") != 0 && strcmp(key, "tickless") != 0;
}

static int take_cpu(json_t *object, void *base, const struct record_place *place,
		    struct ax_error *err)
{
	struct axhost_cpu *cpu = base;

	cpu->package = cpu->core = cpu->llc = cpu->node = AXHOST_NONE;
	return axhost_record_take_fields(
		&axhost_record_cpu, base, object, place,
		json_is_false(json_object_get(object, "online")) ? is_of_online : NULL, err);
}

/* CPUs name their node by its id; facts have its index. */
static int resolve_nodes(struct axhost_facts *facts, json_t *list, const struct record_place *place,
			 struct ax_error *err)
{
	for (size_t i = 0; i < facts->cpu_count; i++) {
		struct axhost_cpu *cpu = &facts->cpus[i];
		struct record_place inner;
		uint32_t index = 0;

		if (!cpu->online)
			continue;
		while (index < facts->node_count && facts->nodes[index].id != cpu->node)
			index++;
		if (index == facts->node_count) {
			snprintf(inner.text, sizeof(inner.text), "%.200scpus[%zu].", place->text,
				 i);
			return axhost_record_wrong(&inner, "node",
						   json_object_get(json_array_get(list, i), "node"),
						   "the id of one of nodes", err);
		}
		cpu->node = index;
	}
	return 0;
}

static int take_distances(json_t *rows, struct axhost_facts *facts,
			  const struct record_place *place, struct ax_error *err)
{
	const size_t n = facts->node_count;
	char expected[96], key[64];

	snprintf(expected, sizeof(expected), "%zu rows of %zu distances, one for each node", n, n);
	if (!json_is_array(rows) || json_array_size(rows) != n)
		return axhost_record_wrong(place, "distances", rows, expected, err);
	for (size_t i = 0; i < n; i++) {
		const json_t *row = json_array_get(rows, i);

		snprintf(key, sizeof(key), "distances[%zu]", i);
		if (!json_is_array(row) || json_array_size(row) != n)
			return axhost_record_wrong(place, key, row, expected, err);
		for (size_t j = 0; j < n; j++) {
			const json_t *value = json_array_get(row, j);
			const json_int_t d = json_integer_value(value);

			snprintf(key, sizeof(key), "distances[%zu][%zu]", i, j);
			if (!json_is_integer(value) || d < AXHOST_LOCAL || d > UINT8_MAX)
				return axhost_record_wrong(place, key, value,
							   "a whole number from 10 to 255", err);
			if (i == j && d != AXHOST_LOCAL)
				return axhost_record_wrong(place, key, value,
							   "10, the distance to itself", err);
			facts->distances[i * n + j] = (uint8_t)d;
		}
	}
	return 0;
}

static int take_topology(json_t *root, struct axhost_facts *facts, const struct record_place *place,
			 struct ax_error *err)
{
	json_t *cpus = json_object_get(root, "cpus"), *nodes = json_object_get(root, "nodes");
	json_t *caches = json_object_get(root, "caches");
	const size_t node_count = json_array_size(nodes), cpu_count = json_array_size(cpus);
	int rc = 0;

	if (caches)
		rc = axhost_record_take_list(caches, "caches", 0, AXHOST_MAX_CACHES, facts->caches,
					     sizeof(facts->caches[0]), &facts->cache_count,
					     take_cache, place, err);
	if (rc)
		return rc;
	if (node_count <= RECORD_MAX_NODES && cpu_count <= RECORD_MAX_CPUS) {
		facts->nodes = calloc(node_count + 1, sizeof(*facts->nodes));
		facts->distances = calloc(node_count * node_count + 1, 1);
		facts->cpus = calloc(cpu_count + 1, sizeof(*facts->cpus));
		if (!facts->nodes || !facts->distances || !facts->cpus)
			return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
					    "out of memory for a recorded host");
	}
	rc = axhost_record_take_list(nodes, "nodes", 1, RECORD_MAX_NODES, facts->nodes,
				     sizeof(*facts->nodes), &facts->node_count, take_node, place,
				     err);
	if (!rc)
		rc = take_distances(json_object_get(root, "distances"), facts, place, err);
	if (!rc)
		rc = axhost_record_take_list(cpus, "cpus", 1, RECORD_MAX_CPUS, facts->cpus,
					     sizeof(*facts->cpus), &facts->cpu_count, take_cpu,
					     place, err);
	if (!rc)
		rc = resolve_nodes(facts, cpus, place, err);
	return rc;
}

static int take_host(json_t *root, const char *name, struct axhost_facts *facts,
		     struct ax_error *err)
{
	const json_t *format = json_object_get(root, "axvm_host");
	json_t *features = json_object_get(root, "features");
	struct record_place place, inner;
	int rc;

	if (strlen(name) > 120) /* its end tells more */
		name += strlen(name) - 120;
	snprintf(place.text, sizeof(place.text), "%.120s: ", name);
	snprintf(inner.text, sizeof(inner.text), "%.120s: features.", name);
	if (!json_is_object(root))
		return axhost_record_wrong(&place, "the text", root, "an object: { ... }", err);
	if (!json_is_integer(format) || json_integer_value(format) != RECORD_FORMAT)
		return axhost_record_wrong(&place, "axvm_host", format,
					   "1, the format of recorded hosts", err);
	rc = axhost_record_take_fields(&axhost_record_host, facts, root, &place, NULL, err);
	if (rc)
		return rc;
	if (!json_is_object(features))
		return axhost_record_wrong(&place, "features", features, "an object: { ... }", err);
	rc = axhost_record_take_fields(&axhost_record_features, facts, features, &inner, NULL, err);
	if (!rc)
		rc = take_topology(root, facts, &place, err);
	return rc ? rc : axhost_record_check(name, facts, err);
}

int axhost_load_text(const char *name, const char *text, size_t length,
		     struct axhost_facts *ret_facts, struct ax_error *err)
{
	struct axhost_facts facts = {.cpu_count = 0};
	json_error_t where;
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	int rc;

	if (!root) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "%.120s:%d:%d: not valid JSON: %s", name, where.line, where.column,
			     where.text);
		return ax_error_hint(err, "`axvm host --save FILE` records a host in its format, "
					  "which docs/host.md describes");
	}
	rc = take_host(root, name, &facts, err);
	json_decref(root);
	if (rc) {
		axhost_free(&facts);
		return rc;
	}
	facts.nodes_online = (uint32_t)facts.node_count;
	for (size_t i = 0; i < facts.cpu_count; i++) {
		facts.cpus_online += facts.cpus[i].online;
		facts.cpus[i].allowed = facts.cpus[i].allowed && facts.cpus[i].online;
	}
	axhost_sum_pools(&facts);
	*ret_facts = facts;
	return 0;
}

int axhost_load(const char *path, struct axhost_facts *ret_facts, struct ax_error *err)
{
	AX_AUTO_FREE char *text = NULL;
	size_t size;
	int rc = ax_read_text(path, "the recorded host", MAX_FILE_BYTES, &text, &size, err);

	if (rc)
		return ax_error_hint(err, "`axvm host --save FILE` records one");
	return axhost_load_text(path, text, size, ret_facts, err);
}
