/*
 * The order of the life-cycle hooks, and dispatch while other devices come and go.
 */
#include "mock.h"

#include <errno.h>

static void test_life(void **state)
{
	struct axbus *bus = make_bus(AXBUS_MISSING_IGNORE);
	struct mock a = make("a", AXDEV_PORT, 1, 1), b = make("b", AXDEV_PORT, 2, 1),
		    c = make("c", AXDEV_PORT, 3, 1);
	struct axdev bare = {.ops = &bare_ops, .name = "bare"};
	struct ax_error err = {0};

	(void)state;
	attach(bus, &a);
	attach(bus, &b);
	assert_int_equal(axbus_attach(bus, &bare, &err), 0); /* hooks are optional */
	attach(bus, &c);
	axbus_reset(bus);
	assert_string_equal(journal, "reset:c reset:b reset:a ");
	journal[0] = 0;
	assert_int_equal(axbus_suspend(bus, &err), 0);
	assert_int_equal(axbus_resume(bus, &err), 0);
	assert_string_equal(journal, "suspend:c suspend:b suspend:a resume:a resume:b resume:c ");
	/* What was suspended before the failure wakes up again, the failing one does not. */
	journal[0] = 0;
	a.suspend_rc = -EBUSY;
	assert_int_equal(axbus_suspend(bus, &err), -EBUSY);
	assert_string_equal(journal, "suspend:c suspend:b suspend:a resume:b resume:c ");
	assert_string_equal(err.message, "suspend device \"a\": work in flight");
	journal[0] = 0;
	axbus_destroy(bus);
	assert_string_equal(journal, "destroy:c destroy:b destroy:a ");
}

struct churn {
	struct axbus *bus;
	_Atomic bool stop;
	_Atomic uint64_t hits, wrong;
};

static void *dispatcher(void *arg)
{
	struct churn *churn = arg;

	while (!atomic_load(&churn->stop)) {
		churn->wrong += bus_read(churn->bus, AXDEV_MMIO, 0x8000, 4) != 0x77;
		churn->wrong += bus_read(churn->bus, AXDEV_MMIO, 0x20000, 4) != 0xffffffff;
		churn->hits++;
	}
	return NULL;
}

static void test_concurrency(void **state)
{
	struct churn churn = {.bus = make_bus(AXBUS_MISSING_IGNORE)};
	struct axdev fixed = {.ops = &bare_ops,
			      .name = "fixed",
			      .resource = {{AXDEV_MMIO, 0x8000, 0x100}},
			      .resource_count = 1};
	pthread_t thread[2];

	(void)state;
	assert_int_equal(axbus_attach(churn.bus, &fixed, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, dispatcher, &churn);
	for (uint64_t i = 0; i < 2000 || churn.hits < 2000; i++) {
		struct mock mock = make("mock", AXDEV_MMIO, 0x1000 * (i % 8), 0x10);
		struct axdev_access access = {.space = AXDEV_MMIO, .width = 4};

		if (i % 8 == 0)
			mock.dev.resource[0].base = 0x9000;
		assert_int_equal(axbus_attach(churn.bus, &mock.dev, NULL), 0);
		axbus_access(churn.bus, mock.dev.resource[0].base, &access);
		assert_int_equal(mock.accesses, 1);
		assert_int_equal(axbus_detach(churn.bus, &mock.dev, NULL), 0);
	}
	churn.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(churn.wrong, 0);
	axbus_destroy(churn.bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_concurrency),
	};

	return cmocka_run_group_tests_name("axdevice bus life", tests, NULL, NULL);
}
