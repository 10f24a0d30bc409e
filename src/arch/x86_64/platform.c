/*
 * The devices an x86 machine has without being asked: serial port, power registers, POST port and
 * hypercall doorbell, attached to the VM's bus. Interrupt controllers and timers are in KVM;
 * virtio devices are the VM's own business.
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

	int ret = axarch_platform_attach(&platform, devices, AX_ARRAY_LEN(devices), err);
	if (ret == 0)
		vm->bus = platform.bus;
	return ret;
}
