/*
 * The hypercall doorbell as docs/hypercall.md tells it.
 */
#include "helpers.h"

#include <errno.h>

#define BASE 0xd0000000ULL

static int calls;
static uint64_t seen[7];

static uint64_t handler(void *ctx, uint64_t nr, const uint64_t args[6])
{
	(void)ctx;
	calls++;
	seen[0] = nr;
	for (int i = 0; i < 6; i++)
		seen[i + 1] = args[i];
	if (nr == 3)
		return args[0] + args[5];
	return (uint64_t) - (int64_t)ENOSYS;
}

static struct axbus *make(uint64_t (*call)(void *, uint64_t, const uint64_t *))
{
	struct axdev_hypercall_config config = {BASE, call, NULL};
	struct axdev *dev;
	struct axbus *bus;

	calls = 0;
	assert_int_equal(axdev_create("hypercall-doorbell", "hypercall", &config, sizeof(config),
				      &(struct axdev_services){0}, &dev, NULL),
			 0);
	assert_int_equal(axbus_create(AXBUS_MISSING_IGNORE, &bus, NULL), 0);
	assert_int_equal(axbus_attach(bus, dev, NULL), 0);
	return bus;
}

static void put(struct axbus *bus, uint64_t offset, uint8_t width, uint64_t value)
{
	assert_int_equal(bus_write(bus, AXDEV_MMIO, BASE + offset, width, value), 0);
}

static uint64_t get(struct axbus *bus, uint64_t offset, uint8_t width)
{
	return bus_read(bus, AXDEV_MMIO, BASE + offset, width);
}

static void test_call(void **state)
{
	struct axbus *bus = make(handler);

	(void)state;
	put(bus, 0, 8, 3);
	for (uint64_t i = 0; i < 6; i++)
		put(bus, 8 + 8 * i, 8, 0x1000000000ULL + i);
	assert_int_equal(calls, 0);
	put(bus, 56, 8, 0xdead);
	assert_int_equal(calls, 1);
	assert_int_equal(seen[0], 3);
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(seen[1 + i], 0x1000000000ULL + i);
	assert_int_equal(get(bus, 56, 8), 0x2000000005ULL);
	assert_int_equal(get(bus, 8, 8), 0x1000000000ULL); /* arguments stay */

	put(bus, 0, 8, 99);
	put(bus, 56, 8, 0);
	assert_int_equal((int64_t)get(bus, 56, 8), -38);
	axbus_reset(bus);
	assert_int_equal(get(bus, 0, 8), 0);
	assert_int_equal(get(bus, 56, 8), 0);
	axbus_destroy(bus);
}

static void test_halves(void **state)
{
	struct axbus *bus = make(handler);

	(void)state;
	put(bus, 0, 4, 3);
	put(bus, 8, 4, 0xffffffff);
	put(bus, 12, 4, 1);
	put(bus, 48, 4, 1);
	put(bus, 56, 4, 0); /* the lower half does not ring */
	assert_int_equal(calls, 0);
	put(bus, 60, 4, 0);
	assert_int_equal(calls, 1);
	assert_int_equal(get(bus, 56, 4), 0);
	assert_int_equal(get(bus, 60, 4), 2);
	/* Narrow and misaligned accesses do nothing, past the end neither. */
	put(bus, 63, 1, 0);
	put(bus, 62, 2, 0);
	put(bus, 60, 8, 0);
	put(bus, 52, 8, 0);
	assert_int_equal(calls, 1);
	assert_int_equal(get(bus, 1, 1), 0xff);
	assert_int_equal(get(bus, 4, 8), ~0ULL);
	axbus_destroy(bus);
}

static void test_nobody(void **state)
{
	struct axbus *bus = make(NULL);
	struct axdev_hypercall_config config = {BASE + 8, NULL, NULL};
	struct axdev *dev;

	(void)state;
	put(bus, 56, 8, 0);
	assert_int_equal((int64_t)get(bus, 56, 8), -38);
	axbus_destroy(bus);
	assert_int_equal(axdev_create("hypercall-doorbell", "h", &config, sizeof(config),
				      &(struct axdev_services){0}, &dev, NULL),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_halves),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests_name("axdevice hypercall", tests, NULL, NULL);
}
