/*
 * What trees.h offers: trees out of guest memory, dtc as a child with files for its ends.
 */
#include "trees.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct axfdt *tree_at(struct axas *memory, uint64_t gpa, uint64_t max)
{
	struct axfdt *fdt = NULL;
	struct ax_error err = {0};
	uint32_t head[2];

	assert_int_equal(axas_read(memory, gpa, head, sizeof(head)), 0);
	assert_int_equal(be32toh(head[0]), 0xd00dfeed);
	const uint32_t size = be32toh(head[1]);
	assert_true(size <= max);
	void *blob = malloc(size);
	assert_non_null(blob);
	assert_int_equal(axas_read(memory, gpa, blob, size), 0);
	if (axfdt_parse(blob, size, "guest", &fdt, &err) < 0)
		fail_msg("%s", err.message);
	free(blob);
	return fdt;
}

uint32_t cell_at(const struct axfdt *fdt, const char *path, const char *property, size_t index)
{
	size_t size = 0;
	const uint8_t *value = axfdt_get(fdt, path, property, &size);
	uint32_t cell = 0;

	if (!value || size < 4 * (index + 1)) {
		fail_msg("%s has no %s of %zu cells", path, property, index + 1);
		return 0;
	}
	memcpy(&cell, value + 4 * index, sizeof(cell));
	return be32toh(cell);
}

uint64_t cells_at(const struct axfdt *fdt, const char *path, const char *property, size_t index)
{
	return (uint64_t)cell_at(fdt, path, property, 2 * index) << 32 |
	       cell_at(fdt, path, property, 2 * index + 1);
}

void assert_text(const struct axfdt *fdt, const char *path, const char *property, const char *text)
{
	size_t size = 0;
	const char *value = axfdt_get(fdt, path, property, &size);

	if (!value) {
		fail_msg("%s has no %s", path, property);
		return;
	}
	assert_int_equal(size, strlen(text) + 1);
	assert_memory_equal(value, text, size);
}

/* ---- dtc ------------------------------------------------------------------------------------- */

static char *contents(int fd, size_t *ret_size)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	char *bytes = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(ax_pread_full(fd, bytes, (size_t)st.st_size, 0), 0);
	close(fd);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

char *run_dtc(const char *from, const char *to, const void *input, size_t size, size_t *ret_size)
{
	const int in = file_of(input, size), out = file_of("", 0), complaints = file_of("", 0);
	const pid_t child = fork();
	/* Sources have no labels, which dtc does not like. */
	const bool is_source = !strcmp(from, "dts");
	size_t said_size = 0;
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		dup2(complaints, STDERR_FILENO);
		execlp("dtc", "dtc", is_source ? "-qqs" : "-s", "-I", from, "-O", to, "-",
		       (char *)NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}
	close(in);
	assert_int_equal(waitpid(child, &status, 0), child);
	char *said = contents(complaints, &said_size);
	char *made = contents(out, ret_size);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		free(said);
		free(made);
		print_message("dtc is not installed (package device-tree-compiler)\n");
		skip();
	}
	if (said_size || !WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("dtc: %s", said);
	free(said);
	return made;
}

/* As dtc writes our tree. */
static char *text_of(struct axfdt *fdt)
{
	const void *blob = NULL;
	size_t size = 0;

	assert_int_equal(axfdt_finish(fdt, &blob, &size, NULL), 0);
	char *text = run_dtc("dtb", "dts", blob, size, &size);
	axfdt_destroy(fdt);
	return text;
}

void assert_golden(struct axfdt *fdt, const char *path)
{
	size_t source_size = 0, blob_size = 0, golden_size = 0;
	char *ours = text_of(fdt);
	const bool update = getenv("AXVM_WRITE_GOLDEN") != NULL;

	int fd = open(path, update ? O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDONLY | O_CLOEXEC,
		      0644);
	if (fd < 0) {
		free(ours);
		print_message("%s is not there; the sources are needed\n", path);
		skip();
	}
	if (update)
		assert_int_equal(ax_pwrite_full(fd, ours, strlen(ours), 0), 0);
	char *source = contents(fd, &source_size);
	/* Through the same dtc, lest its versions differ. */
	char *blob = run_dtc("dts", "dtb", source, source_size, &blob_size);
	char *golden = run_dtc("dtb", "dts", blob, blob_size, &golden_size);
	if (strcmp(ours, golden) != 0)
		fail_msg("%s is not what is made:\n%s", path, ours);
	free(golden);
	free(blob);
	free(source);
	free(ours);
}
