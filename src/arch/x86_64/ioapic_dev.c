/*
 * The IOAPIC's registers as a device on the bus, and the two formats of its messages. The IOAPIC
 * itself is the VM's, which drives its pins from before the bus exists until after it is gone.
 */
#include "ioapic.h"

#include <errno.h>
#include <stdlib.h>

struct ioapic_device {
	struct axdev dev;
	struct x86_ioapic *ioapic;
};

/* Registers are words (82093AA section 3.0). Of a wider access only the word counts, and of a
 * narrower one what is there, as in KVM. */
static enum axdev_result ioapic_access(struct axdev *dev, struct axdev_access *access)
{
	struct x86_ioapic *ioapic = ax_container_of(dev, struct ioapic_device, dev)->ioapic;
	const uint64_t mask = access->width < 4 ? (1ULL << 8 * access->width) - 1 : UINT32_MAX;

	if (access->is_write)
		x86_ioapic_write(ioapic, access->offset, (uint32_t)(access->value & mask));
	else
		access->value = x86_ioapic_read(ioapic, access->offset) & mask;
	return AXDEV_HANDLED;
}

static void ioapic_reset(struct axdev *dev)
{
	x86_ioapic_reset(ax_container_of(dev, struct ioapic_device, dev)->ioapic);
}

static void ioapic_free(struct axdev *dev)
{
	free(ax_container_of(dev, struct ioapic_device, dev));
}

int x86_ioapic_device(struct x86_ioapic *ioapic, struct axdev **ret_dev, struct ax_error *err)
{
	static const struct axdev_ops ops = {
		.access = ioapic_access,
		.reset = ioapic_reset,
		.destroy = ioapic_free,
	};
	struct ioapic_device *self = calloc(1, sizeof(*self));

	if (!self)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the IOAPIC");
	self->ioapic = ioapic;
	self->dev = (struct axdev){
		.ops = &ops,
		.class_name = "ioapic",
		.name = "ioapic",
		.resource = {{AXDEV_MMIO, X86_IOAPIC_GPA, AXAS_PAGE_SIZE}},
		.resource_count = 1,
	};
	*ret_dev = &self->dev;
	return 0;
}

uint64_t x86_msi_address_for_kvm(uint64_t address)
{
	enum { REMAPPABLE = 1 << 4 };
	const uint64_t ext = address >> X86_MSI_EXT_SHIFT & 0x7f;

	if (address >> 32 || address & REMAPPABLE)
		return address;
	return (address & ~(0x7fULL << X86_MSI_EXT_SHIFT)) | ext << (32 + 8);
}
