/*
 * Whole transfers: short files, ends past 2^63, fds that cannot seek or are full, and signals that
 * arrive in between.
 */
#include "../test.h"

#include <axvm/base.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static int memory_file(void)
{
	int fd = memfd_create("axvm-test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void what_is_written_is_read(void **state)
{
	AX_AUTO_CLOSE int fd = memory_file();
	AX_AUTO_FREE char *out = malloc(3 * AX_MIB);
	AX_AUTO_FREE char *in = malloc(3 * AX_MIB);

	(void)state;
	assert_true(out && in);
	for (size_t i = 0; i < 3 * AX_MIB; i++)
		out[i] = (char)(i * 7 + i / 4096);
	assert_int_equal(ax_pwrite_full(fd, out, 3 * AX_MIB, 12345), 0);
	assert_int_equal(ax_pread_full(fd, in, 3 * AX_MIB, 12345), 0);
	assert_memory_equal(in, out, 3 * AX_MIB);
	assert_int_equal(ax_pread_full(fd, in, 12345, 0), 0);
	for (size_t i = 0; i < 12345; i++)
		assert_int_equal(in[i], 0);
}

static void a_short_file_is_told(void **state)
{
	AX_AUTO_CLOSE int fd = memory_file();
	char buf[64];

	(void)state;
	assert_int_equal(ax_pwrite_full(fd, "0123456789", 10, 0), 0);
	assert_int_equal(ax_pread_full(fd, buf, 10, 0), 0);
	assert_int_equal(ax_pread_full(fd, buf, 11, 0), -ENODATA);
	assert_int_equal(ax_pread_full(fd, buf, 1, 10), -ENODATA);
	assert_int_equal(ax_pread_full(fd, buf, 5, 1ULL << 40), -ENODATA);
	assert_int_equal(ax_pread_full(fd, buf, 0, 1ULL << 40), 0);
	assert_int_equal(ax_pwrite_full(fd, buf, 0, 1ULL << 40), 0);
}

static void offsets_beyond_off_t_are_refused(void **state)
{
	static const struct {
		uint64_t offset;
		size_t len;
	} rows[] = {
		{(uint64_t)INT64_MAX + 1, 0}, {INT64_MAX, 1}, {UINT64_MAX, 1},
		{UINT64_MAX, SIZE_MAX},       {0, SIZE_MAX},  {1ULL << 63, 16},
		{UINT64_MAX - 15, 16},
	};
	AX_AUTO_CLOSE int fd = memory_file();
	char buf[16] = {0};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		assert_int_equal(ax_pread_full(fd, buf, rows[i].len, rows[i].offset), -EOVERFLOW);
		assert_int_equal(ax_pwrite_full(fd, buf, rows[i].len, rows[i].offset), -EOVERFLOW);
	}
}

static void errors_of_the_kernel_pass_through(void **state)
{
	char buf[8] = {0};
	int pipe_fds[2];

	(void)state;
	assert_int_equal(ax_pread_full(-1, buf, 1, 0), -EBADF);
	assert_int_equal(ax_pwrite_full(-1, buf, 1, 0), -EBADF);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(ax_pread_full(pipe_fds[0], buf, 1, 0), -ESPIPE);
	assert_int_equal(ax_pwrite_full(pipe_fds[1], buf, 1, 0), -ESPIPE);
	close(pipe_fds[0]);
	close(pipe_fds[1]);

	AX_AUTO_CLOSE int full = open("/dev/full", O_RDWR | O_CLOEXEC);
	if (full >= 0)
		assert_int_equal(ax_pwrite_full(full, buf, 8, 0), -ENOSPC);
	AX_AUTO_CLOSE int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero >= 0) {
		assert_int_equal(ax_pwrite_full(zero, buf, 8, 0), -EBADF);
		assert_int_equal(ax_pread_full(zero, buf, 8, 1ULL << 50), 0);
	}
}

/* A file that may grow no further takes a part and then refuses: both halves are seen. */
static void a_short_write_ends_in_its_error(void **state)
{
	struct rlimit old, small;
	char path[] = "/tmp/axvm-test-XXXXXX";
	char buf[8192];

	(void)state;
	memset(buf, 'a', sizeof(buf));
	AX_AUTO_CLOSE int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 6000;
	void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = ax_pwrite_full(fd, buf, sizeof(buf), 0);
	off_t size = lseek(fd, 0, SEEK_END);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, old_handler);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(size, 6000);
}

static void a_text_is_read_whole_or_not(void **state)
{
	AX_AUTO_CLOSE int fd = memory_file();
	AX_AUTO_FREE char *text = NULL;
	struct ax_error err = {0};
	size_t size = 0;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(ax_pwrite_full(fd, "a\0bcd", 5, 0), 0);
	assert_int_equal(ax_read_text(path, "the list", 4, &text, &size, &err), -EFBIG);
	assert_non_null(strstr(err.message, "5 bytes are too many for the list, at most 4"));
	assert_null(text);
	assert_int_equal(ax_read_text(path, "the list", 5, &text, &size, &err), 0);
	assert_int_equal(size, 5);
	assert_memory_equal(text, "a\0bcd", 5);
	assert_int_equal(ax_read_text("/nonexistent", "the list", 5, &text, &size, &err), -ENOENT);
	assert_non_null(strstr(err.message, "cannot open the list /nonexistent: No such file"));
	assert_int_equal(ax_read_text("/proc", "the list", 5, &text, &size, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_text_is_read_whole_or_not),
		cmocka_unit_test(a_short_file_is_told),
		cmocka_unit_test(offsets_beyond_off_t_are_refused),
		cmocka_unit_test(errors_of_the_kernel_pass_through),
		cmocka_unit_test(a_short_write_ends_in_its_error),
	};
	return cmocka_run_group_tests_name("base-file", tests, NULL, NULL);
}
