/*
 * File backings: shared and never emptied, read-only ones, and those that are refused.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define BASE 0x40000000ULL

static void file_is_shared_and_never_emptied(void **state)
{
	int fd = temp_file(8 * PAGE);
	struct axas *as = new_space(NULL);
	struct axas_region_config config = region(BASE, 4 * PAGE);
	uint8_t byte = 0, *p;
	char path[32];

	(void)state;
	config.type = AXAS_MAP_RESERVED;
	config.backing = AXAS_BACKING_FILE;
	config.fd = fd;
	config.fd_offset = 2 * PAGE;
	config.populate = true;
	map_ok(as, &config);
	assert_int_equal(axas_read_u8(as, BASE + 17, &byte), 0);
	assert_int_equal(byte, temp_file_byte(2 * PAGE + 17));
	assert_int_equal(axas_write_u8(as, BASE + 17, 0x99), 0);
	assert_int_equal(pread(fd, &byte, 1, 2 * PAGE + 17), 1);
	assert_int_equal(byte, 0x99);
	/* Unmapped: the file keeps its contents, and a late pointer no longer reaches it. */
	p = host_of(as, BASE);
	assert_int_equal(axas_clear(as, NULL), 0);
	p[17] = 0x11;
	assert_int_equal(pread(fd, &byte, 1, 2 * PAGE + 17), 1);
	assert_int_equal(byte, 0x99);
	/* By path. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config.fd = -1;
	config.path = path;
	map_ok(as, &config);
	assert_int_equal(axas_read_u8(as, BASE + 17, &byte), 0);
	assert_int_equal(byte, 0x99);
	axas_destroy(as);
	close(fd);
}

static void read_only_file_can_be_patched_but_does_not_change(void **state)
{
	int fd = temp_file(4 * PAGE), read_only;
	struct recorder recorder = {0};
	struct axas *as = new_space(&recorder);
	struct axas_region_config config = region(BASE, 4 * PAGE);
	uint8_t byte = 0;
	char path[32];
	struct ax_error err = {0};

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	config.type = AXAS_MAP_RESERVED;
	config.backing = AXAS_BACKING_FILE;
	config.flags = AXAS_RW;
	config.fd = read_only;
	assert_int_equal(axas_map(as, &config, &err), -EACCES);
	config.flags = AXAS_READ;
	config.populate = true;
	map_ok(as, &config);
	recorder_agrees(&recorder, as);
	assert_int_equal(axas_write_u8(as, BASE, 1), -EFAULT);
	assert_int_equal(axas_write_host(as, BASE, "\x42", 1), 0);
	assert_int_equal(axas_read_u8(as, BASE, &byte), 0);
	assert_int_equal(byte, 0x42);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, temp_file_byte(0));
	assert_int_equal(axas_protect(as, BASE, PAGE, AXAS_RW, &err), -EACCES);
	axas_destroy(as);
	close(fd);
	close(read_only);
}

static void unusable_files_are_refused(void **state)
{
	int fd = temp_file(4 * PAGE + 1), ends[2];
	struct axas *as = new_space(NULL);
	struct {
		int fd;
		const char *path;
		uint64_t offset, size_bytes;
		int rc;
		enum ax_error_kind kind;
	} rows[] = {
		{fd, NULL, 0, 5 * PAGE, -EINVAL, AX_ERROR_IO},
		{fd, NULL, PAGE, 4 * PAGE, -EINVAL, AX_ERROR_IO},
		{fd, NULL, -PAGE, 4 * PAGE, -EINVAL, AX_ERROR_IO},
		{fd, NULL, 1ULL << 40, PAGE, -EINVAL, AX_ERROR_IO},
		{fd, NULL, 1, PAGE, -EINVAL, AX_ERROR_MEMORY_ALIGNMENT},
		{1000000, NULL, 0, PAGE, -EBADF, AX_ERROR_IO},
		{-1, "/nonexistent/memory", 0, PAGE, -ENOENT, AX_ERROR_IO},
		{-1, "/proc", 0, PAGE, -EISDIR, AX_ERROR_IO},
		{-1, NULL, 0, PAGE, -EINVAL, AX_ERROR_CONFIGURATION},
		{-2, NULL, 0, PAGE, -EINVAL, AX_ERROR_IO}, /* a pipe */
	};

	(void)state;
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axas_region_config config = region(BASE, rows[i].size_bytes);
		struct ax_error err = {0};

		config.backing = AXAS_BACKING_FILE;
		config.fd = rows[i].fd == -2 ? ends[0] : rows[i].fd;
		config.path = rows[i].path;
		config.fd_offset = rows[i].offset;
		if (rows[i].fd == -2)
			config.flags = AXAS_READ;
		assert_int_equal(axas_map(as, &config, &err), rows[i].rc);
		assert_int_equal(err.kind, rows[i].kind);
		assert_int_equal(axas_total_bytes(as), 0);
	}
	/* Descriptor 0 in a zeroed config of another backing means nothing. */
	struct axas_region_config zeroed = {.gpa = BASE, .size_bytes = PAGE, .flags = AXAS_RW};
	map_ok(as, &zeroed);
	axas_destroy(as);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_shared_and_never_emptied),
		cmocka_unit_test(read_only_file_can_be_patched_but_does_not_change),
		cmocka_unit_test(unusable_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
