/*
 * The registry: every class by name and by number, and what an unknown one gives.
 */
#include "helpers.h"

#include <errno.h>
#include <string.h>

static void test_numbers(void **state)
{
	static const struct {
		const char *name;
		uint32_t type;
	} known[] = {
		{"uart16550", 2},     {"power", 0x40}, {"hypercall-doorbell", 0x41},
		{"pl011", 0x42},      {"pl031", 0x43}, {"virtio-blk", 0xe1},
		{"virtio-rng", 0xe4},
	};
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(known); i++) {
		const struct axdev_class *class = axdev_class_by_type(known[i].type);

		assert_non_null(class);
		assert_string_equal(class->name, known[i].name);
		assert_ptr_equal(axdev_class_by_name(known[i].name), class);
	}
	for (; axdev_class_at(count); count++) {
		const struct axdev_class *class = axdev_class_at(count);

		/* Found by both keys, so neither name nor number occurs twice. */
		assert_ptr_equal(axdev_class_by_name(class->name), class);
		assert_ptr_equal(axdev_class_by_type(class->type), class);
		assert_non_null(class->create);
		assert_true(class->config_size > 0);
		assert_true(strlen(class->summary) > 0);
	}
	/* Every other number of a configuration file is an error, not a dummy. */
	for (uint32_t type = 0; type < 0x1000; type++) {
		const struct axdev_class *class = axdev_class_by_type(type);

		if (class) {
			assert_int_equal(class->type, type);
			count--;
		}
	}
	assert_int_equal(count, 0);
	assert_null(axdev_class_by_type(UINT32_MAX));
}

static void test_unknown(void **state)
{
	struct ax_error err = {0};
	struct axdev *dev = NULL;

	(void)state;
	assert_true(axdev_create("virtio-gpu", "gpu0", NULL, 0, &(struct axdev_services){0}, &dev,
				 &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_DEVICE_NOT_FOUND);
	assert_non_null(strstr(err.message, "virtio-gpu"));
	for (size_t i = 0; axdev_class_at(i); i++)
		assert_non_null(strstr(err.hint, axdev_class_at(i)->name));
	assert_null(dev);
}

static void test_create(void **state)
{
	struct axdev_uart16550_config config = {.space = AXDEV_MMIO, .base = 0x9000000};
	struct axdev_services services = {0};
	struct ax_error err = {0};
	struct axdev *dev = NULL;

	(void)state;
	assert_int_equal(
		axdev_create("uart16550", "s", &config, sizeof(config) - 1, &services, &dev, &err),
		-EINVAL);
	assert_int_equal(
		axdev_create("uart16550", "", &config, sizeof(config), &services, &dev, &err),
		-EINVAL);
	assert_int_equal(axdev_create("uart16550", "a-name-of-more-than-thirty-one-characters",
				      &config, sizeof(config), &services, &dev, &err),
			 -EINVAL);
	config.space = AXDEV_SYSREG;
	assert_int_equal(axdev_create("uart16550", "serial0", &config, sizeof(config), &services,
				      &dev, &err),
			 -EINVAL);
	assert_non_null(strstr(err.message, "serial0"));
	assert_null(dev);
	config.space = AXDEV_MMIO;
	config.reg_shift = 2;
	assert_int_equal(axdev_create("uart16550", "serial0", &config, sizeof(config), &services,
				      &dev, &err),
			 0);
	assert_string_equal(dev->name, "serial0");
	assert_string_equal(dev->class_name, "uart16550");
	assert_int_equal(dev->resource[0].size, 32);
	axdev_destroy(dev);
	axdev_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_create),
	};

	return cmocka_run_group_tests_name("axdevice registry", tests, NULL, NULL);
}
