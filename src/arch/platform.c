/*
 * The devices that every machine has, and attaching a platform's devices as a whole. Which devices
 * there are and where is for each architecture's own platform.c.
 */
#include "platform.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define MAX_DEVICES   8
#define PVPANIC_PANIC 0x1u /* the event that there is */

int axarch_platform_attach(const struct axarch_platform *platform, axarch_device_fn *const *list,
			   size_t count, struct ax_error *err)
{
	struct axdev *attached[MAX_DEVICES];
	size_t done = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct axdev *dev = NULL;

		if (!list[i])
			continue;
		assert(done < MAX_DEVICES);
		rc = list[i](platform, &dev, err);
		if (rc == 0)
			rc = axbus_attach(platform->bus, dev, err);
		if (rc == 0)
			attached[done++] = dev;
		else
			axdev_destroy(dev);
	}
	while (rc < 0 && done > 0) {
		struct axdev *dev = attached[--done];

		if (axbus_detach(platform->bus, dev, NULL) == 0)
			axdev_destroy(dev);
	}
	return rc;
}

int axarch_create_serial(const struct axarch_platform *platform, enum axdev_space space,
			 uint64_t base, uint32_t gsi, struct axdev **ret_dev, struct ax_error *err)
{
	const struct axdev_uart16550_config config = {
		.space = space,
		.base = base,
		.gsi = gsi,
		.chr = platform->serial,
	};

	return axdev_create("uart16550", "serial0", &config, sizeof(config), platform->services,
			    ret_dev, err);
}

int axarch_create_hypercall(const struct axarch_platform *platform, uint64_t gpa,
			    struct axdev **ret_dev, struct ax_error *err)
{
	const struct axdev_hypercall_config config = {
		.base = gpa,
		.call = platform->on_hypercall,
		.ctx = platform->ctx,
	};

	return axdev_create("hypercall-doorbell", "hypercall", &config, sizeof(config),
			    platform->services, ret_dev, err);
}

int axarch_create_pvpanic(const struct axarch_platform *platform, uint64_t gpa,
			  struct axdev **ret_dev, struct ax_error *err)
{
	/* Linux reads which events there are before it writes one. */
	const struct axdev_power_rule rule = {
		.space = AXDEV_MMIO,
		.addr = gpa,
		.mask = PVPANIC_PANIC,
		.value = PVPANIC_PANIC,
		.event = AXDEV_POWER_PANIC,
	};
	const struct axdev_power_config config = {
		.rules = &rule,
		.rule_count = 1,
		.on_event = platform->on_power,
		.ctx = platform->ctx,
	};

	return axdev_create("power", "pvpanic", &config, sizeof(config), platform->services,
			    ret_dev, err);
}

/* ---- diagnostic codes ------------------------------------------------------------------------ */

struct mark {
	struct axdev dev;
	void (*on_mark)(void *ctx, uint64_t code);
	void *ctx;
	_Atomic uint64_t last;
};

static enum axdev_result mark_access(struct axdev *dev, struct axdev_access *access)
{
	struct mark *mark = ax_container_of(dev, struct mark, dev);

	if (!access->is_write) {
		access->value = atomic_load_explicit(&mark->last, memory_order_relaxed);
		return AXDEV_HANDLED;
	}
	atomic_store_explicit(&mark->last, access->value, memory_order_relaxed);
	if (mark->on_mark)
		mark->on_mark(mark->ctx, access->value);
	return AXDEV_HANDLED;
}

static void mark_destroy(struct axdev *dev)
{
	free(ax_container_of(dev, struct mark, dev));
}

int axarch_create_mark(const struct axarch_platform *platform, enum axdev_space space,
		       uint64_t base, uint64_t size, struct axdev **ret_dev, struct ax_error *err)
{
	static const struct axdev_ops ops = {.access = mark_access, .destroy = mark_destroy};
	struct mark *mark = calloc(1, sizeof(*mark));

	if (!mark)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the register of diagnostic codes");
	mark->dev = (struct axdev){
		.ops = &ops,
		.class_name = "mark",
		.name = "mark",
		.resource = {{.space = space, .base = base, .size = size}},
		.resource_count = 1,
	};
	mark->on_mark = platform->on_mark;
	mark->ctx = platform->ctx;
	*ret_dev = &mark->dev;
	return 0;
}
