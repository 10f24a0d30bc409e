/*
 * Power registers: which writes end a machine and, more important, which do not.
 */
#include "helpers.h"

#include <errno.h>

static int events[3];

static void on_event(void *ctx, enum axdev_power_event event)
{
	(void)ctx;
	events[event]++;
}

static const struct axdev_power_rule pc[] = {
	{AXDEV_PORT, 0x604, 2, 0x3c00 | 0x2000, 0x2000, AXDEV_POWER_OFF},
	{AXDEV_PORT, 0xcf9, 1, 0x04, 0x04, AXDEV_POWER_RESET},
	{AXDEV_PORT, 0x64, 1, 0xff, 0xfe, AXDEV_POWER_RESET},
	{AXDEV_PORT, 0x505, 1, 0x01, 0x01, AXDEV_POWER_PANIC},
	{AXDEV_PORT, 0x606, 0, 0xff, 0x99, AXDEV_POWER_OFF}, /* adjoins the first: one range */
};

static struct axbus *make(const struct axdev_power_rule *rules, size_t count, int expected)
{
	struct axdev_power_config config = {rules, count, on_event, NULL};
	struct axdev *dev = NULL;
	struct axbus *bus;

	assert_int_equal(axdev_create("power", "power", &config, sizeof(config),
				      &(struct axdev_services){0}, &dev, NULL),
			 expected);
	if (expected)
		return NULL;
	assert_int_equal(axbus_create(AXBUS_MISSING_FAULT, &bus, NULL), 0);
	assert_int_equal(axbus_attach(bus, dev, NULL), 0);
	return bus;
}

static void expect(struct axbus *bus, uint64_t port, uint8_t width, uint64_t value, int off,
		   int reset, int panic)
{
	events[0] = events[1] = events[2] = 0;
	assert_int_equal(bus_write(bus, AXDEV_PORT, port, width, value), 0);
	assert_int_equal(events[AXDEV_POWER_OFF], off);
	assert_int_equal(events[AXDEV_POWER_RESET], reset);
	assert_int_equal(events[AXDEV_POWER_PANIC], panic);
}

static void test_rules(void **state)
{
	struct axbus *bus = make(pc, AX_ARRAY_LEN(pc), 0);

	(void)state;
	expect(bus, 0x604, 2, 0x2000, 1, 0, 0);
	expect(bus, 0x604, 2, 0x2001, 1, 0, 0); /* bits outside the mask */
	expect(bus, 0x604, 2, 0x3400, 0, 0, 0); /* another sleep type */
	expect(bus, 0x604, 1, 0x00, 0, 0, 0);   /* another width */
	expect(bus, 0x605, 1, 0x20, 0, 0, 0);
	expect(bus, 0xcf9, 1, 0x02, 0, 0, 0);
	expect(bus, 0xcf9, 1, 0x06, 0, 1, 0);
	expect(bus, 0xcf9, 1, 0x0e, 0, 1, 0);
	expect(bus, 0x64, 1, 0xfe, 0, 1, 0);
	expect(bus, 0x64, 1, 0xd1, 0, 0, 0);
	expect(bus, 0x505, 1, 1, 0, 0, 1);
	expect(bus, 0x606, 1, 0x99, 1, 0, 0);
	expect(bus, 0x606, 2, 0x1299, 1, 0, 0);
	expect(bus, 0x606, 4, 0x12345699, 1, 0, 0);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x64, 1), 0xff);
	assert_int_equal(bus_read(bus, AXDEV_PORT, 0x604, 2), 0xffff);
	axbus_destroy(bus);
}

/* Rules side by side, in any order, are one range: an access may cover several. */
static void test_ranges(void **state)
{
	static const uint64_t orders[][3] = {
		{0x600, 0x602, 0x604}, {0x604, 0x602, 0x600}, {0x600, 0x604, 0x602},
		{0x604, 0x600, 0x602}, {0x602, 0x604, 0x600}, {0x602, 0x600, 0x604},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(orders); i++) {
		struct axdev_power_rule rules[3];
		const struct axdev_power_config config = {rules, 3, on_event, NULL};
		struct axdev *dev = NULL;

		for (size_t n = 0; n < 3; n++)
			rules[n] = (struct axdev_power_rule){AXDEV_PORT, orders[i][n],   2, 0xff,
							     1,          AXDEV_POWER_OFF};
		assert_int_equal(axdev_create("power", "power", &config, sizeof(config),
					      &(struct axdev_services){0}, &dev, NULL),
				 0);
		assert_int_equal(dev->resource_count, 1);
		assert_int_equal(dev->resource[0].base, 0x600);
		assert_int_equal(dev->resource[0].size, 6);
		dev->ops->destroy(dev);
	}
}

static void test_limits(void **state)
{
	struct axdev_power_rule many[5] = {0};
	struct axdev_power_rule wrap = {AXDEV_MMIO, UINT64_MAX, 8, 0, 0, AXDEV_POWER_OFF};
	struct axdev_power_rule reg = {AXDEV_SYSREG, 0x84000008, 8, 0, 0, AXDEV_POWER_OFF};
	struct axbus *bus;

	(void)state;
	for (int i = 0; i < 5; i++)
		many[i] = (struct axdev_power_rule){AXDEV_MMIO, 0x1000u * (unsigned)i, 4, 0,
						    0,          AXDEV_POWER_OFF};
	make(many, 5, -EINVAL);
	make(&wrap, 1, -EINVAL);
	bus = make(many, 4, 0);
	events[AXDEV_POWER_OFF] = 0;
	assert_int_equal(bus_write(bus, AXDEV_MMIO, 0x3000, 4, 77), 0); /* mask 0: any value */
	assert_int_equal(events[AXDEV_POWER_OFF], 1);
	axbus_destroy(bus);
	bus = make(&reg, 1, 0);
	assert_int_equal(bus_write(bus, AXDEV_SYSREG, 0x84000008, 8, 0), 0);
	assert_int_equal(events[AXDEV_POWER_OFF], 2);
	axbus_destroy(bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("axdevice power", tests, NULL, NULL);
}
