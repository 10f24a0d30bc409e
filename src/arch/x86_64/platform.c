/*
 * The devices an x86 machine has without being asked: serial port, power registers, POST port and
 * hypercall doorbell, attached to the VM's bus, and the IOAPIC where that is not in KVM as the
 * other interrupt controllers and timers are; virtio devices are the VM's own business.
 */
#include "kvm_x86.h"
#include "../platform.h"

static int serial_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			 struct ax_error *err)
{
	return axarch_create_serial(platform, AXDEV_PORT, X86_PORT_COM1, X86_SERIAL_GSI, ret_dev,
				    err);
}

static int post_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		       struct ax_error *err)
{
	return axarch_create_mark(platform, AXDEV_PORT, X86_PORT_POST, 1, ret_dev, err);
}

static int hypercall_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			    struct ax_error *err)
{
	return axarch_create_hypercall(platform, X86_HYPERCALL_GPA, ret_dev, err);
}

/* The IOAPIC belongs to the VM, the device on the bus is its registers only. */
static int attach_ioapic(struct axarch_vm *vm, struct axbus *bus, struct ax_error *err)
{
	struct axdev *dev = NULL;
	int ret = x86_ioapic_device(vm->ioapic, &dev, err);

	if (ret == 0)
		ret = axbus_attach(bus, dev, err);
	if (ret < 0)
		axdev_destroy(dev);
	return ret;
}

int x86_platform_attach(struct axarch_vm *vm, const struct axarch_platform *given,
			struct ax_error *err)
{
	struct axdev_services services = *given->services;
	struct axarch_platform platform = *given;
	axarch_device_fn *const devices[] = {
		given->serial ? serial_create : NULL,
		x86_power_create,
		post_create,
		hypercall_create,
	};

	/* Without an interrupt controller the devices are polled. Creating them is all the copies
	 * are for. */
	if (!vm->has_irqchip)
		services.irqs = NULL;
	platform.services = &services;

	/* The IOAPIC first: it is reset last, when the devices have let go of their lines. */
	int ret = vm->ioapic ? attach_ioapic(vm, given->bus, err) : 0;
	if (ret == 0)
		ret = axarch_platform_attach(&platform, devices, AX_ARRAY_LEN(devices), err);
	if (ret == 0)
		vm->bus = platform.bus;
	return ret;
}
