/*
 * dtc at both ends of a test: trees from the .dts files beside the tests, and trees as text.
 */
#ifndef AXVM_TESTS_ARCH_FDT_HELPERS_H
#define AXVM_TESTS_ARCH_FDT_HELPERS_H

#include "../test.h"

#include "fdt_private.h"

/* A file beside the tests, compiled; skips the test where there is no dtc. The caller frees. */
void *compile(const char *file, size_t *ret_size);
/* The same as a tree, which has passed axfdt_parse. */
struct axfdt *load_source(const char *file);
/* A DTB as dtc writes it; the caller frees. */
char *decompile(const void *blob, size_t size);

/* Finishes the tree; what comes out is a correct one. */
const void *finish(struct axfdt *fdt, size_t *ret_size);
/* Finishing says this, with that kind. Destroys the tree. */
void assert_fails(struct axfdt *fdt, enum ax_error_kind kind, const char *text);
void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text);
void assert_correct(const void *blob, size_t size);
/* Names and values are padded with zeroes: nothing of the heap gets to the guest. */
void assert_padded(const void *blob);
/* A property is exactly these bytes. */
void assert_bytes(const struct axfdt *fdt, const char *path, const char *property,
		  const void *bytes, size_t size);
void assert_text(const struct axfdt *fdt, const char *path, const char *property, const char *text);
uint32_t cell_of(const struct axfdt *fdt, const char *path, const char *property);
/* All paths in the order of the tree, a line each; the caller frees. */
char *paths_of(const struct axfdt *fdt);

#endif
