/*
 * Short ways to a configuration: from command-line words, from JSON text, from a file that lives
 * as long as the test. Each checks on the test's own thread.
 */
#ifndef AXVM_TESTS_CONFIG_HELPERS_H
#define AXVM_TESTS_CONFIG_HELPERS_H

#include "../test.h"

#include <axvm/config.h>

/* Command lines as they stand in a shell, the first word being the subcommand. */
#define WORDS(...) ((const char *const[]){"run", __VA_ARGS__, NULL})

struct axcfg_builder *builder_new(void);
int builder_words(struct axcfg_builder *builder, const char *const *words, struct ax_error *err);
int builder_text(struct axcfg_builder *builder, const char *json, struct ax_error *err);

/* A finished configuration; the caller destroys it. */
const struct axcfg *config_of_words(const char *const *words);
const struct axcfg *config_of_text(const char *json);

/* Building from these must fail; message and hint (NULL: not looked at) hold the given texts. */
void refuse_words(const char *const *words, const char *message, const char *hint);
void refuse_text(const char *json, const char *message, const char *hint);

/* The value of a row as text, in a buffer of the caller's: how tests compare any type. */
void value_text(const struct axcfg_option *row, const void *base, char *buf, size_t size);

/* A file with these bytes in a directory that is removed by scratch_finish. */
const char *scratch_file(const char *name, const void *bytes, size_t count);
int scratch_start(void **state);
int scratch_finish(void **state);

#endif
