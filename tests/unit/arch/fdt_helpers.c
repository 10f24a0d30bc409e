/*
 * Runs dtc on memory files and looks into trees for the tests.
 */
#include "fdt_helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int memory_file(const void *bytes, size_t size)
{
	const int fd = memfd_create("dtc", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ax_pwrite_full(fd, bytes, size, 0), 0);
	return fd;
}

/* What dtc makes of the input, NUL behind it; the caller frees. */
static char *run_dtc(const char *from, const char *to, const void *input, size_t size,
		     size_t *ret_size)
{
	const int in = memory_file(input, size), out = memory_file("", 0);
	const pid_t child = fork();
	struct stat st;
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		execlp("dtc", "dtc", "-q", "-q", "-I", from, "-O", to, "-", (char *)NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		print_message("dtc is not installed (package device-tree-compiler)\n");
		skip();
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(fstat(out, &st), 0);
	char *bytes = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(ax_pread_full(out, bytes, (size_t)st.st_size, 0), 0);
	close(in);
	close(out);
	if (ret_size)
		*ret_size = (size_t)st.st_size;
	return bytes;
}

void *compile(const char *file, size_t *ret_size)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", DATA_DIR, file);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		print_message("%s is not there; the sources are needed\n", path);
		skip();
	}
	assert_int_equal(fstat(fd, &st), 0);
	char *text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(ax_pread_full(fd, text, (size_t)st.st_size, 0), 0);
	close(fd);
	void *blob = run_dtc("dts", "dtb", text, (size_t)st.st_size, ret_size);
	free(text);
	return blob;
}

struct axfdt *load_source(const char *file)
{
	struct axfdt *fdt = NULL;
	struct ax_error err = {0};
	size_t size = 0;
	void *blob = compile(file, &size);

	if (axfdt_parse(blob, size, file, &fdt, &err) < 0)
		fail_msg("%s", err.message);
	free(blob);
	return fdt;
}

char *decompile(const void *blob, size_t size)
{
	return run_dtc("dtb", "dts", blob, size, NULL);
}

void assert_correct(const void *blob, size_t size)
{
	const char *wrong = axfdt_check(blob, size);

	if (wrong)
		fail_msg("the tree %s", wrong);
	assert_int_equal(fdt_totalsize(blob), size);
#ifdef HAVE_FDT_CHECK_FULL
	assert_int_equal(fdt_check_full(blob, size), 0);
#endif
}

const void *finish(struct axfdt *fdt, size_t *ret_size)
{
	struct ax_error err = {0};
	const void *blob = NULL;
	size_t size = 0;

	if (axfdt_finish(fdt, &blob, &size, &err) < 0)
		fail_msg("%s", err.message);
	assert_correct(blob, size);
	if (ret_size)
		*ret_size = size;
	return blob;
}

void assert_padded(const void *blob)
{
	const char *structure = (const char *)blob + fdt_off_dt_struct(blob);
	uint32_t tag = 0;

	for (int at = 0, next = 0; tag != FDT_END; at = next) {
		tag = fdt_next_tag(blob, at, &next);
		int end = next;
		if (tag == FDT_BEGIN_NODE)
			end = at + 4 + (int)strlen(structure + at + 4);
		else if (tag == FDT_PROP)
			end = at + 12 + (int)fdt32_ld((const void *)(structure + at + 4));
		for (; end < next; end++)
			assert_int_equal(structure[end], 0);
	}
}

void assert_error(const struct ax_error *err, enum ax_error_kind kind, const char *text)
{
	assert_string_equal(ax_error_kind_name(err->kind), ax_error_kind_name(kind));
	if (!strstr(err->message, text) && !strstr(err->hint, text))
		fail_msg("'%s' (%s) does not say '%s'", err->message, err->hint, text);
}

void assert_fails(struct axfdt *fdt, enum ax_error_kind kind, const char *text)
{
	struct ax_error err = {0};
	const void *blob = NULL;
	size_t size = 0;

	assert_true(axfdt_finish(fdt, &blob, &size, &err) < 0);
	assert_null(blob);
	assert_error(&err, kind, text);
	axfdt_destroy(fdt);
}

void assert_bytes(const struct axfdt *fdt, const char *path, const char *property,
		  const void *bytes, size_t size)
{
	size_t found_size = 0;
	const void *found = axfdt_get(fdt, path, property, &found_size);

	if (!found)
		fail_msg("%s has no %s", path, property);
	assert_int_equal(found_size, size);
	assert_memory_equal(found, bytes, size);
}

void assert_text(const struct axfdt *fdt, const char *path, const char *property, const char *text)
{
	assert_bytes(fdt, path, property, text, strlen(text) + 1);
}

uint32_t cell_of(const struct axfdt *fdt, const char *path, const char *property)
{
	size_t size = 0;
	const void *found = axfdt_get(fdt, path, property, &size);

	if (!found || size != 4)
		fail_msg("%s has no %s of one cell", path, property);
	return found ? fdt32_ld(found) : 0;
}

char *paths_of(const struct axfdt *fdt)
{
	char *text = NULL, path[512];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (int node = fdt_next_node(fdt->blob, 0, NULL); node >= 0;
	     node = fdt_next_node(fdt->blob, node, NULL)) {
		assert_int_equal(fdt_get_path(fdt->blob, node, path, sizeof(path)), 0);
		fprintf(out, "%s\n", path);
	}
	fclose(out);
	return text;
}
