/*
 * Directories that look like /proc and /sys.
 */
#include "../test.h"
#include "tree.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void tree_make(char *template)
{
	assert_non_null(mkdtemp(template));
}

void tree_put(const char *root, const char *path, const char *text, size_t count)
{
	char full[256], *slash;
	FILE *file;

	assert_true(snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full));
	for (slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, count, file), count);
	fclose(file);
}

void tree_line(const char *root, const char *path, const char *line)
{
	char text[1024];
	const int n = snprintf(text, sizeof(text), "%s\n", line);

	tree_put(root, path, text, (size_t)n);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tree_remove(const char *root)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
