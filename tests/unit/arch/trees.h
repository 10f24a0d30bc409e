/*
 * Device trees in guest memory, and dtc on them, for the tests of the architectures that have one.
 */
#ifndef AXVM_TESTS_ARCH_TREES_H
#define AXVM_TESTS_ARCH_TREES_H

#include "rig.h"

#include <axvm/fdt.h>

/* The tree at gpa, at most that large; the caller destroys it. */
struct axfdt *tree_at(struct axas *memory, uint64_t gpa, uint64_t max);
/* A cell of a property, which is there and long enough. */
uint32_t cell_at(const struct axfdt *fdt, const char *path, const char *property, size_t index);
uint64_t cells_at(const struct axfdt *fdt, const char *path, const char *property, size_t index);
void assert_text(const struct axfdt *fdt, const char *path, const char *property, const char *text);

/* dtc from one format to another, properties sorted; of a blob it must not complain. Skips the test
 * where there is no dtc. The caller frees, *ret_size without the NUL behind. */
char *run_dtc(const char *from, const char *to, const void *input, size_t size, size_t *ret_size);
/* The tree is that of the source at `path`, as dtc reads both; destroys it. AXVM_WRITE_GOLDEN in
 * the environment: writes the source anew. */
void assert_golden(struct axfdt *fdt, const char *path);

#endif
