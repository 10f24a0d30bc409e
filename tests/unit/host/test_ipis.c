/*
 * IPIs of a thread: one that is no vCPU sends none; where the host does not let them be counted, it
 * is said why and what to do, and there is no number.
 */
#include "../test.h"

#include <axvm/host.h>

#include <unistd.h>

static void test_no_vcpu(void **state)
{
	struct axhost_ipis *ipis = NULL;
	struct ax_error err = {0};

	(void)state;
	if (axhost_ipis_open(gettid(), &ipis, &err)) {
		assert_null(ipis);
		assert_int_equal(err.kind, AX_ERROR_UNSUPPORTED);
		assert_true(err.message[0]);
		print_message("not counted here: %s\n", err.message);
		return;
	}
	usleep(20000);
	assert_int_equal(axhost_ipis_read(ipis), 0);
	axhost_ipis_close(ipis);
}

static void test_no_thread(void **state)
{
	struct axhost_ipis *ipis = NULL;
	struct ax_error err = {0};

	(void)state;
	assert_true(axhost_ipis_open(0x3fffffff, &ipis, &err) < 0);
	assert_null(ipis);
	assert_int_equal(err.kind, AX_ERROR_UNSUPPORTED);
	axhost_ipis_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_vcpu),
		cmocka_unit_test(test_no_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
