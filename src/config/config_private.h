/*
 * What the files of the config layer share: the builder's contents and the one setter through
 * which every value passes, whatever its source.
 */
#ifndef AXVM_CONFIG_PRIVATE_H
#define AXVM_CONFIG_PRIVATE_H

#include <axvm/config.h>

#define AXCFG_MAX_ROWS 128 /* of the schema */

struct axcfg_builder {
	struct axcfg *config;
};

/* Where a value comes from, for messages: "--memory", "vm.json: memory.size". */
struct value_source {
	char text[256];
};

const struct axcfg_option *axcfg_schema_by_key(const char *key);
/* Are there keys that begin with "NAME."? */
bool axcfg_schema_has_section(const char *name);
const struct axcfg_option *axcfg_schema_by_flag(const char *flag, bool *ret_negated);
const struct axcfg_option *axcfg_schema_field(const struct axcfg_option *list, const char *key);
/* The known key or flag nearest to a mistyped one; NULL when none is near. */
const char *axcfg_schema_nearest(const char *word, bool flags);

/* Where the option's value stands, and for a list of objects how many there are. */
static inline void *axcfg_field(const struct axcfg_option *option, void *base)
{
	return (char *)base + option->offset;
}

static inline size_t *axcfg_item_count(const struct axcfg_option *option, void *base)
{
	return (size_t *)(void *)((char *)base + option->count_offset);
}

/* Parse `text` for the option and store it at base + option->offset. Nothing changes on error. */
int axcfg_value_set(const struct axcfg_option *option, void *base, const char *text,
		    const struct value_source *source, struct ax_error *err);
int axcfg_value_set_defaults(const struct axcfg_option *rows, void *base, struct ax_error *err);
void axcfg_value_clear(const struct axcfg_option *option, void *base);

/* Lists of objects. "path,ro,serial=x" as a new item: */
int axcfg_item_append(const struct axcfg_option *option, void *base, const char *text,
		      const struct value_source *source, struct ax_error *err);
/* A new, default-filled item; NULL with err set when the list is full. */
void *axcfg_item_new(const struct axcfg_option *option, void *base,
		     const struct value_source *source, struct ax_error *err);
void axcfg_item_remove_last(const struct axcfg_option *option, void *base);

/* Decide what was left to be decided from the rest; then the checks. */
void axcfg_settle(struct axcfg *config);
int axcfg_cross_check(const struct axcfg *config, struct ax_error *err);
int axcfg_check_devices(const struct axcfg *config, struct ax_error *err);

/* Parts of axcfg_check_files: check_io.c. */
int axcfg_check_disk_files(const struct axcfg *config, struct ax_error *err);
int axcfg_check_backends(const struct axcfg *config, struct ax_error *err);

#endif
