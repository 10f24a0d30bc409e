/*
 * Private to src/host: the one table of what a recording says, for its reader and its writer.
 */
#ifndef AXVM_HOST_RECORD_PRIVATE_H
#define AXVM_HOST_RECORD_PRIVATE_H

#include "host_private.h"

#include <jansson.h>

#define RECORD_FORMAT    1
#define RECORD_MAX_CPUS  (AXHOST_MAX_CPU_ID + 1)
#define RECORD_MAX_NODES (AXHOST_MAX_NODE_ID + 1)

enum record_type {
	RECORD_TEXT,  /* char[size] */
	RECORD_UINT,  /* of size 1, 4 or 8 bytes */
	RECORD_BOOL,  /* missing: `otherwise` */
	RECORD_CACHE, /* a letter for "data", "instruction", "unified" */
	RECORD_OTHER, /* a list or an object that code takes care of */
};

struct record_field {
	const char *key;
	enum record_type type;
	size_t offset, size;
	uint64_t min, max; /* of RECORD_UINT; max 0: what fits */
	bool otherwise;
	bool may_miss; /* RECORD_UINT: 0 is not said */
};
struct record_table {
	const struct record_field *fields;
	size_t count;
};

extern const struct record_table axhost_record_host, axhost_record_features, axhost_record_cache,
	axhost_record_node, axhost_record_pool, axhost_record_cpu;
/* Names of RECORD_CACHE by letter; NULL for others. */
const char *axhost_record_cache_name(char type);
char axhost_record_cache_letter(const char *name); /* 0: none */

/* ---- record_values.c; all errors are -EINVAL with file, key, value and what was expected ----- */

/* Where we are, for messages: "host.json: nodes[1].pools[0]." */
struct record_place {
	char text[256];
};
/* value: NULL when it is missing. */
int axhost_record_wrong(const struct record_place *place, const char *key, const json_t *value,
			const char *expected, struct ax_error *err);
/* Every field of the table from the object, which has no other keys. Fields that `skip` names must
 * not be there; it may be NULL. */
int axhost_record_take_fields(const struct record_table *table, void *base, json_t *object,
			      const struct record_place *place, bool (*skip)(const char *key),
			      struct ax_error *err);
/* The objects of a list one by one into an array of items of `size`. */
typedef int axhost_record_take_fn(json_t *object, void *base, const struct record_place *place,
				  struct ax_error *err);
int axhost_record_take_list(json_t *list, const char *key, size_t min, size_t max, void *base,
			    size_t size, size_t *ret_count, axhost_record_take_fn *take,
			    const struct record_place *place, struct ax_error *err);

/* record_check.c: what single values cannot tell. `name` is the file. */
int axhost_record_check(const char *name, const struct axhost_facts *facts, struct ax_error *err);

#endif
