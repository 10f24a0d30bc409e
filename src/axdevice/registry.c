/*
 * The list of device classes, written out so that a reader sees all of them and their order, and
 * creation by name. What a class needs is its own config struct; this file only checks that the
 * caller and the class mean the same one.
 */
#include "classes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct axdev_class *const classes[] = {
	&axdev_uart16550_class, &axdev_pl011_class,      &axdev_pl031_class,
	&axdev_power_class,     &axdev_hypercall_class,  &axpci_host_class,
	&axvirtio_blk_class,    &axvirtio_console_class, &axvirtio_rng_class,
	&axvirtio_vsock_class,  &axvirtio_balloon_class, &axvirtio_net_class,
};

const struct axdev_class *axdev_class_at(size_t index)
{
	return index < AX_ARRAY_LEN(classes) ? classes[index] : NULL;
}

const struct axdev_class *axdev_class_by_name(const char *name)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(classes); i++) {
		if (!strcmp(classes[i]->name, name))
			return classes[i];
	}
	return NULL;
}

const struct axdev_class *axdev_class_by_type(uint32_t type)
{
	for (size_t i = 0; i < AX_ARRAY_LEN(classes); i++) {
		if (classes[i]->type == type)
			return classes[i];
	}
	return NULL;
}

static int unknown_class(const char *class_name, const char *name, struct ax_error *err)
{
	char known[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < AX_ARRAY_LEN(classes) && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
					 classes[i]->name);
	ax_error_set(err, AX_ERROR_DEVICE_NOT_FOUND, ENODEV,
		     "device \"%s\": there is no device class \"%s\"", name, class_name);
	ax_error_hint(err, "known classes: %s", known);
	return -ENODEV;
}

int axdev_create(const char *class_name, const char *name, const void *config, size_t config_size,
		 const struct axdev_services *services, struct axdev **ret_dev,
		 struct ax_error *err)
{
	const struct axdev_class *class = axdev_class_by_name(class_name);
	struct axdev *dev;
	int rc;

	if (!class)
		return unknown_class(class_name, name, err);
	if (!name[0] || strlen(name) >= sizeof(dev->name))
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "device name \"%s\" of a %s must have 1 to %zu characters",
				    name, class_name, sizeof(dev->name) - 1);
	if (config_size != class->config_size)
		return ax_error_set(err, AX_ERROR_INTERNAL, EINVAL,
				    "device \"%s\": %s takes a config of %zu bytes, got %zu", name,
				    class_name, class->config_size, config_size);
	rc = class->create(name, config, services, &dev, err);
	if (rc) {
		ax_error_context(err, "device \"%s\" (%s)", name, class_name);
		return rc;
	}
	dev->class_name = class->name;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	*ret_dev = dev;
	return 0;
}
