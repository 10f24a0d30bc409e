/*
 * The cleanup attributes: what they release, when, and that errno survives them.
 */
#include "../test.h"

#include <axvm/base.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void fds_are_closed_at_the_end_of_their_scope(void **state)
{
	int seen;

	(void)state;
	{
		AX_AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		seen = fd;
		assert_true(is_open(seen));
	}
	assert_false(is_open(seen));

	int kept;
	{
		AX_AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		kept = fd;
		fd = -1; /* handed on */
	}
	assert_true(is_open(kept));
	ax_cleanup_close(&kept);
	assert_int_equal(kept, -1);
	ax_cleanup_close(&kept);
}

static void memory_is_freed_and_forgotten(void **state)
{
	char *text = malloc(10);

	(void)state;
	ax_cleanup_free(&text);
	assert_null(text);
	ax_cleanup_free(&text);
	AX_AUTO_FREE uint64_t *scoped = calloc(4, sizeof(*scoped)); /* the leak checker looks */
	assert_non_null(scoped);
}

static void errno_survives(void **state)
{
	int bad = 1 << 20; /* no such fd: close fails inside */
	char *text = malloc(10);

	(void)state;
	errno = ENOTTY;
	ax_cleanup_close(&bad);
	assert_int_equal(errno, ENOTTY);
	ax_cleanup_free(&text);
	assert_int_equal(errno, ENOTTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fds_are_closed_at_the_end_of_their_scope),
		cmocka_unit_test(memory_is_freed_and_forgotten),
		cmocka_unit_test(errno_survives),
	};
	return cmocka_run_group_tests_name("base-cleanup", tests, NULL, NULL);
}
