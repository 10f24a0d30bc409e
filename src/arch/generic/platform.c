/*
 * The fake's platform devices: serial port, power registers, hypercall block, and the port of
 * diagnostic codes. All but the last are the common device classes at this machine's addresses.
 */
#include "generic_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct mark {
	struct axdev dev;
	void (*on_mark)(void *ctx, uint64_t code);
	void *ctx;
};

static enum axdev_result mark_access(struct axdev *dev, struct axdev_access *access)
{
	struct mark *mark = (struct mark *)dev;

	if (!access->is_write)
		return AXDEV_UNHANDLED;
	mark->on_mark(mark->ctx, access->value);
	return AXDEV_HANDLED;
}

static void mark_destroy(struct axdev *dev)
{
	free(dev);
}

static int mark_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		       struct ax_error *err)
{
	static const struct axdev_ops ops = {.access = mark_access, .destroy = mark_destroy};
	struct mark *mark = calloc(1, sizeof(*mark));

	if (!mark)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a device");
	mark->dev.ops = &ops;
	mark->dev.class_name = "mark";
	snprintf(mark->dev.name, sizeof(mark->dev.name), "mark");
	mark->dev.resource[0] =
		(struct axdev_resource){.space = AXDEV_PORT, .base = GENERIC_MARK_PORT, .size = 1};
	mark->dev.resource_count = 1;
	mark->on_mark = platform->on_mark;
	mark->ctx = platform->ctx;
	*ret_dev = &mark->dev;
	return 0;
}

static int power_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			struct ax_error *err)
{
	static const struct axdev_power_rule rules[] = {
		{AXDEV_PORT, GENERIC_POWER_PORT, 2, 0xffff, 0x2000, AXDEV_POWER_OFF},
		{AXDEV_PORT, GENERIC_RESET_PORT, 1, 0xff, 0xfe, AXDEV_POWER_RESET},
		{AXDEV_PORT, GENERIC_PANIC_PORT, 1, 0xff, 1, AXDEV_POWER_PANIC},
	};
	const struct axdev_power_config config = {
		.rules = rules,
		.rule_count = AX_ARRAY_LEN(rules),
		.on_event = platform->on_power,
		.ctx = platform->ctx,
	};

	return axdev_create("power", "power", &config, sizeof(config), platform->services, ret_dev,
			    err);
}

static int serial_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			 struct ax_error *err)
{
	const struct axdev_uart16550_config config = {
		.space = AXDEV_PORT,
		.base = GENERIC_SERIAL_PORT,
		.gsi = GENERIC_SERIAL_GSI,
		.chr = platform->serial,
	};

	return axdev_create("uart16550", "serial0", &config, sizeof(config), platform->services,
			    ret_dev, err);
}

static int hypercall_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			    struct ax_error *err)
{
	const struct axdev_hypercall_config config = {
		.base = GENERIC_HYPERCALL_GPA,
		.call = platform->on_hypercall,
		.ctx = platform->ctx,
	};

	return axdev_create("hypercall-doorbell", "hypercall", &config, sizeof(config),
			    platform->services, ret_dev, err);
}

int generic_platform_attach(struct axarch_vm *vm, const struct axarch_platform *platform,
			    struct ax_error *err)
{
	const struct {
		bool wanted;
		int (*create)(const struct axarch_platform *platform, struct axdev **ret_dev,
			      struct ax_error *err);
	} devices[] = {
		{platform->serial != NULL, serial_create},
		{platform->on_power != NULL, power_create},
		{platform->on_hypercall != NULL, hypercall_create},
		{platform->on_mark != NULL, mark_create},
	};
	struct axdev *attached[AX_ARRAY_LEN(devices)];
	size_t count = 0;

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_PLATFORM_ATTACH, err);
	for (size_t i = 0; rc == 0 && i < AX_ARRAY_LEN(devices); i++) {
		struct axdev *dev = NULL;
		if (!devices[i].wanted)
			continue;
		rc = devices[i].create(platform, &dev, err);
		if (rc == 0)
			rc = axbus_attach(platform->bus, dev, err);
		if (rc == 0)
			attached[count++] = dev;
		else
			axdev_destroy(dev);
	}
	while (rc < 0 && count > 0) { /* leave nothing behind */
		struct axdev *dev = attached[--count];
		if (axbus_detach(platform->bus, dev, NULL) == 0)
			axdev_destroy(dev);
	}
	return rc;
}
