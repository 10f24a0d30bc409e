/*
 * The bus: dispatch by space and width, conflicts, and what a missing device does. Hooks and
 * concurrency are test_bus_life.c.
 */
#include "mock.h"

#include <errno.h>
#include <string.h>

static void test_dispatch(void **state)
{
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
	for (uint8_t width = 1; width <= 8; width++) {
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
	assert_int_equal(port.accesses, 4);
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

/* Ports that are told apart by width: an access that begins at a wide resource is its own, whatever
 * lies behind; one that begins behind is the other's. */
static void wide_resource(void **state)
{
	struct axbus *bus = make_bus(AXBUS_MISSING_IGNORE);
	struct mock address = make("address", AXDEV_PORT, 0xcf8, 1);
	struct mock reset = make("reset", AXDEV_PORT, 0xcf9, 1);
	(void)state;

	address.dev.resource[0].wide = true;
	address.answer = 0x80000000;
	reset.answer = 0x0e;
	attach(bus, &reset);
	attach(bus, &address);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0xcf8, 4), 0x80000000);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0xcf9, 1), 0x0e);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0xcf9, 2), 0xffff); /* not wide */
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0xcf6, 4), UINT32_MAX);
	assert_int_equal(address.accesses, 1);
	assert_int_equal(reset.accesses, 1);
	axbus_destroy(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch),      cmocka_unit_test(test_missing),
		cmocka_unit_test(test_missing_fault), cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_bad_resources), cmocka_unit_test(wide_resource),
	};

	return cmocka_run_group_tests_name("axdevice bus", tests, NULL, NULL);
}
