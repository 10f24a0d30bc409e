/*
 * A host of a test's own making: a directory with the files it is about.
 */
#ifndef AXVM_TEST_HOST_TREE_H
#define AXVM_TEST_HOST_TREE_H

#include <stddef.h>

/* template: "/tmp/axvm-host-XXXXXX", becomes the root. */
void tree_make(char *template);
void tree_put(const char *root, const char *path, const char *text, size_t count);
void tree_line(const char *root, const char *path, const char *line); /* with a newline */
void tree_remove(const char *root);

#endif
