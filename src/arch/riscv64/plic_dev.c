/*
 * The PLIC's registers as a device on the bus. The PLIC itself is the VM's, which drives its lines
 * from before the bus exists until after it is gone.
 */
#include "riscv64.h"

#include <errno.h>
#include <stdlib.h>

struct plic_device {
	struct axdev dev;
	struct rv64_plic *plic;
};

static enum axdev_result plic_access(struct axdev *dev, struct axdev_access *access)
{
	struct plic_device *self = ax_container_of(dev, struct plic_device, dev);
	uint32_t value = (uint32_t)access->value;
	bool there;

	if (access->width != 4)
		return AXDEV_UNHANDLED;
	if (access->is_write)
		there = rv64_plic_write(self->plic, access->offset, value);
	else
		there = rv64_plic_read(self->plic, access->offset, &value);
	/* What is reserved reads as zero. */
	access->value = there ? value : 0;
	return AXDEV_HANDLED;
}

static void plic_reset(struct axdev *dev)
{
	rv64_plic_reset(ax_container_of(dev, struct plic_device, dev)->plic);
}

static void plic_free(struct axdev *dev)
{
	free(ax_container_of(dev, struct plic_device, dev));
}

int rv64_plic_device(struct rv64_plic *plic, uint64_t gpa, uint32_t contexts,
		     struct axdev **ret_dev, struct ax_error *err)
{
	static const struct axdev_ops ops = {
		.access = plic_access,
		.reset = plic_reset,
		.destroy = plic_free,
	};
	struct plic_device *self = calloc(1, sizeof(*self));

	if (!self)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the PLIC");
	self->plic = plic;
	self->dev = (struct axdev){
		.ops = &ops,
		.class_name = "plic",
		.name = "plic",
		.resource = {{AXDEV_MMIO, gpa, rv64_plic_size(contexts)}},
		.resource_count = 1,
	};
	*ret_dev = &self->dev;
	return 0;
}
