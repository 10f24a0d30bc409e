/*
 * The bus: dispatch by space and width, conflicts, what a missing device does, the order of the
 * life-cycle hooks and dispatch while other devices come and go.
 */
#include "helpers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mock {
	struct axdev dev;
	struct axdev_access last;
	_Atomic int accesses;
	uint64_t answer;
	enum axdev_result result;
	int suspend_rc;
};

static char journal[256];

static void note(const char *what, const struct axdev *dev)
{
	size_t used = strlen(journal);

	snprintf(journal + used, sizeof(journal) - used, "%s%s ", what, dev->name);
}

static enum axdev_result mock_access(struct axdev *dev, struct axdev_access *access)
{
	struct mock *mock = (struct mock *)dev;

	mock->accesses++;
	mock->last = *access;
	if (!access->is_write)
		access->value = mock->answer;
	return mock->result;
}

static enum axdev_result plain_access(struct axdev *dev, struct axdev_access *access)
{
	(void)dev;
	access->value = 0x77;
	return AXDEV_HANDLED;
}

static void mock_reset(struct axdev *dev)
{
	note("reset:", dev);
}

static int mock_suspend(struct axdev *dev, struct ax_error *err)
{
	struct mock *mock = (struct mock *)dev;

	note("suspend:", dev);
	if (mock->suspend_rc)
		return ax_error_set(err, AX_ERROR_DEVICE, -mock->suspend_rc, "work in flight");
	return 0;
}

static int mock_resume(struct axdev *dev, struct ax_error *err)
{
	(void)err;
	note("resume:", dev);
	return 0;
}

static void mock_destroy(struct axdev *dev)
{
	note("destroy:", dev);
}

static const struct axdev_ops mock_ops = {mock_access, mock_reset, mock_suspend, mock_resume,
					  mock_destroy};
static const struct axdev_ops bare_ops = {.access = plain_access};

static struct mock make(const char *name, enum axdev_space space, uint64_t base, uint64_t size)
{
	struct mock mock = {.dev = {.ops = &mock_ops,
				    .class_name = "mock",
				    .resource = {{space, base, size}},
				    .resource_count = 1}};

	snprintf(mock.dev.name, sizeof(mock.dev.name), "%s", name);
	journal[0] = 0;
	return mock;
}

static struct axbus *make_bus(enum axbus_missing_policy policy)
{
	struct axbus *bus;

	assert_int_equal(axbus_create(policy, &bus, NULL), 0);
	return bus;
}

static void attach(struct axbus *bus, struct mock *mock)
{
	struct ax_error err = {0};

	assert_int_equal(axbus_attach(bus, &mock->dev, &err), 0);
}

static void test_dispatch(void **state)
{
	static const uint8_t widths[] = {1, 2, 4, 8};
	struct axbus *bus = make_bus(AXBUS_MISSING_IGNORE);
	struct mock port = make("port", AXDEV_PORT, 0x100, 8);
	struct mock mmio = make("mmio", AXDEV_MMIO, 0x100, 0x1000);
	struct mock sysreg = make("sysreg", AXDEV_SYSREG, 0x100, 2);
	struct mock many = make("many", AXDEV_MMIO, 0x8000, 0x10);

	(void)state;
	many.dev.resource[1] = (struct axdev_resource){AXDEV_MMIO, 0x4000, 0x10};
	many.dev.resource[2] = (struct axdev_resource){AXDEV_PORT, 0x10, 1};
	many.dev.resource_count = 3;
	attach(bus, &port);
	attach(bus, &mmio);
	attach(bus, &sysreg);
	attach(bus, &many);

	/* The same number in three spaces is three addresses; every width arrives as it is, and
	 * bits that a device answers beyond it do not. */
	port.answer = mmio.answer = sysreg.answer = 0x8877665544332211;
	for (size_t i = 0; i < AX_ARRAY_LEN(widths); i++) {
		uint8_t width = widths[i];
		uint64_t mask = width == 8 ? ~0ULL : (1ULL << (8 * width)) - 1;

		assert_int_equal(bus_read(bus, AXDEV_MMIO, 0x100 + width, width),
				 mmio.answer & mask);
		assert_int_equal(mmio.last.width, width);
		assert_int_equal(mmio.last.offset, width);
		assert_int_equal(bus_write(bus, AXDEV_MMIO, 0x108, width, ~0ULL), 0);
		assert_true(mmio.last.is_write);
		assert_int_equal(mmio.last.value, mask);
		if (width <= 4)
			assert_int_equal(bus_read(bus, AXDEV_PORT, 0x104, width),
					 port.answer & mask);
	}
	assert_int_equal(port.accesses, 3);
	/* A register is one unit: 8 bytes at the last of two registers do not straddle. */
	assert_int_equal(bus_read(bus, AXDEV_SYSREG, 0x101, 8), sysreg.answer);
	assert_int_equal(sysreg.last.offset, 1);

	assert_int_equal(bus_read(bus, AXDEV_MMIO, 0x4008, 4), 0);
	assert_int_equal(many.last.resource, 1);
	assert_int_equal(many.last.offset, 8);
	bus_read(bus, AXDEV_PORT, 0x10, 1);
	assert_int_equal(many.last.resource, 2);
	axbus_destroy(bus);
}

static void test_missing(void **state)
{
	struct axbus *bus = make_bus(AXBUS_MISSING_IGNORE);
	struct mock port = make("port", AXDEV_PORT, 0x100, 8);
	struct mock top = make("top", AXDEV_MMIO, ~0ULL - 0x10, 0x10);
	struct mock reg = make("reg", AXDEV_SYSREG, 0x10, 1);
	struct axbus_stats stats;

	(void)state;
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0, 1), 0xff); /* an empty bus */
	attach(bus, &port);
	attach(bus, &top);
	attach(bus, &reg);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x200, 1), 0xff);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0xff, 1), 0xff);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x108, 2), 0xffff);
	assert_int_equal(bus_read(bus, AXDEV_MMIO, 0x108, 4), 0xffffffff);
	assert_int_equal(bus_read(bus, AXDEV_MMIO, ~0ULL, 8), ~0ULL);
	assert_int_equal(bus_write(bus, AXDEV_MMIO, 0x108, 4, 1), 0);
	/* Straddling the end of a resource, and of the address space. */
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x107, 2), 0xffff);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x106, 4), 0xffffffff);
	assert_int_equal(bus_read(bus, AXDEV_MMIO, ~0ULL - 2, 8), ~0ULL);
	assert_int_equal(port.accesses + top.accesses, 0);
	/* A system register that is not there faults, as does one that refuses. */
	assert_int_equal(bus_write(bus, AXDEV_SYSREG, 0x11, 8, 1), 1);
	reg.result = AXDEV_FAULT;
	assert_int_equal(bus_write(bus, AXDEV_SYSREG, 0x10, 8, 1), 1);
	/* Not handled is missing; a port has no way to fault. */
	port.result = AXDEV_UNHANDLED;
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x100, 2), 0xffff);
	port.result = AXDEV_FAULT;
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x100, 1), 0xff);

	axbus_get_stats(bus, &stats);
	assert_int_equal(stats.accesses[AXDEV_PORT], 8);
	assert_int_equal(stats.missing[AXDEV_PORT], 8);
	assert_int_equal(stats.missing[AXDEV_MMIO], 4);
	assert_int_equal(stats.accesses[AXDEV_SYSREG], 2);
	assert_int_equal(stats.missing[AXDEV_SYSREG], 1);
	axbus_destroy(bus);
}

static void test_missing_fault(void **state)
{
	struct axbus *bus = make_bus(AXBUS_MISSING_FAULT);
	struct axdev_access access = {.space = AXDEV_PORT, .width = 2};

	(void)state;
	assert_int_equal(axbus_access(bus, 0x80, &access), -ENXIO);
	assert_int_equal(access.value, 0xffff); /* still a whole answer */
	assert_int_equal(bus_write(bus, AXDEV_MMIO, 0x1000, 4, 0), -ENXIO);
	assert_int_equal(bus_write(bus, AXDEV_SYSREG, 0x1000, 8, 0), -ENXIO);
	axbus_destroy(bus);
}

static void expect_conflict(struct axbus *bus, struct mock *mock, const char *with)
{
	struct ax_error err = {0};

	assert_int_equal(axbus_attach(bus, &mock->dev, &err), -EEXIST);
	assert_int_equal(err.kind, AX_ERROR_ALREADY_EXISTS);
	assert_non_null(strstr(err.message, mock->dev.name));
	assert_non_null(strstr(err.message, with));
}

static void test_conflicts(void **state)
{
	struct axbus *bus = make_bus(AXBUS_MISSING_IGNORE);
	struct mock a = make("a-dev", AXDEV_MMIO, 0x1000, 0x100);
	struct mock same = make("same", AXDEV_MMIO, 0x1000, 0x100);
	struct mock tail = make("tail", AXDEV_MMIO, 0x10ff, 1);
	struct mock around = make("around", AXDEV_MMIO, 0xfff, 0x1000);
	struct mock inside = make("inside", AXDEV_MMIO, 0x1010, 4);
	struct mock name = make("a-dev", AXDEV_MMIO, 0x9000, 4);
	struct mock self = make("self", AXDEV_MMIO, 0x5000, 0x10);
	struct mock before = make("before", AXDEV_MMIO, 0xf00, 0x100);
	struct mock after = make("after", AXDEV_MMIO, 0x1100, 0x100);
	struct mock port = make("port", AXDEV_PORT, 0x1000, 0x100);
	struct axdev *all[8];

	(void)state;
	attach(bus, &a);
	expect_conflict(bus, &same, "a-dev");
	expect_conflict(bus, &same, "0x1000-0x10ff");
	expect_conflict(bus, &tail, "a-dev");
	expect_conflict(bus, &around, "a-dev");
	expect_conflict(bus, &inside, "a-dev");
	expect_conflict(bus, &name, "name");
	self.dev.resource[1] = (struct axdev_resource){AXDEV_MMIO, 0x500f, 1};
	self.dev.resource_count = 2;
	expect_conflict(bus, &self, "self");
	/* None of them left a trace; neighbours and other spaces are no conflict. */
	assert_int_equal(axbus_devices(bus, all, 8), 1);
	assert_int_equal(bus_read(bus, AXDEV_MMIO, 0x5000, 1), 0xff);
	attach(bus, &before);
	attach(bus, &after);
	attach(bus, &port);
	assert_int_equal(axbus_devices(bus, all, 8), 4);
	assert_ptr_equal(all[3], &port.dev);
	assert_ptr_equal(axbus_find(bus, "after"), &after.dev);
	assert_null(axbus_find(bus, "nobody"));
	/* After a detach the range is free again. */
	assert_int_equal(axbus_detach(bus, &a.dev, NULL), 0);
	assert_int_equal(axbus_detach(bus, &a.dev, NULL), -ENOENT);
	assert_int_equal(bus_read(bus, AXDEV_MMIO, 0x1000, 4), 0xffffffff);
	attach(bus, &same);
	assert_int_equal(bus_read(bus, AXDEV_MMIO, 0x1000, 4), 0);
	axbus_destroy(bus);
}

static void test_bad_resources(void **state)
{
	struct axbus *bus = make_bus(AXBUS_MISSING_IGNORE);
	struct mock bad[] = {
		make("empty", AXDEV_MMIO, 0x1000, 0),   make("wrap", AXDEV_MMIO, ~0ULL, 2),
		make("wrap2", AXDEV_MMIO, 2, ~0ULL),    make("ports", AXDEV_PORT, 0xffff, 2),
		make("space", AXDEV_SPACE_COUNT, 0, 1), make("", AXDEV_MMIO, 0x1000, 4),
	};
	struct mock last = make("last", AXDEV_PORT, 0xffff, 1);

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		struct ax_error err = {0};

		assert_int_equal(axbus_attach(bus, &bad[i].dev, &err), -EINVAL);
		assert_non_null(strstr(err.message, bad[i].dev.name));
	}
	attach(bus, &last);
	axbus_destroy(bus);
}

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
		cmocka_unit_test(test_dispatch),      cmocka_unit_test(test_missing),
		cmocka_unit_test(test_missing_fault), cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_bad_resources), cmocka_unit_test(test_life),
		cmocka_unit_test(test_concurrency),
	};

	return cmocka_run_group_tests_name("axdevice bus", tests, NULL, NULL);
}
