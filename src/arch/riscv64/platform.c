/*
 * The devices a riscv64 machine has without being asked: serial port, hypercall doorbell, register
 * of diagnostic codes and pvpanic, attached to the VM's bus, and the PLIC where KVM has no AIA.
 * Timers and the SBI's reset, by which a guest ends the machine, are in KVM; virtio devices are the
 * VM's own business.
 */
#include "kvm_riscv64.h"
#include "../platform.h"

static int serial_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			 struct ax_error *err)
{
	return axarch_create_serial(platform, AXDEV_MMIO, RV64_UART_GPA, RV64_UART_GSI, ret_dev,
				    err);
}

static int hypercall_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			    struct ax_error *err)
{
	return axarch_create_hypercall(platform, RV64_HYPERCALL_GPA, ret_dev, err);
}

static int mark_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		       struct ax_error *err)
{
	return axarch_create_mark(platform, AXDEV_MMIO, RV64_MARK_GPA, 4, ret_dev, err);
}

static int pvpanic_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			  struct ax_error *err)
{
	return axarch_create_pvpanic(platform, RV64_PVPANIC_GPA, ret_dev, err);
}

/* The PLIC belongs to the VM, the device on the bus is its registers only. */
static int attach_plic(struct axarch_vm *vm, struct axbus *bus, struct ax_error *err)
{
	struct axdev *dev = NULL;
	int ret = rv64_plic_device(vm->plic, RV64_PLIC_GPA, vm->config.vcpu_count, &dev, err);

	if (ret == 0)
		ret = axbus_attach(bus, dev, err);
	if (ret < 0)
		axdev_destroy(dev);
	return ret;
}

int rv64_platform_attach(struct axarch_vm *vm, const struct axarch_platform *given,
			 struct ax_error *err)
{
	struct axdev_services services = *given->services;
	struct axarch_platform platform = *given;
	axarch_device_fn *const devices[] = {
		given->serial ? serial_create : NULL,
		hypercall_create,
		mark_create,
		pvpanic_create,
	};

	/* Without an interrupt controller the devices are polled. Creating them is all the copies
	 * are for. */
	if (vm->irqchip == RV64_IRQCHIP_NONE)
		services.irqs = NULL;
	platform.services = &services;
	/* The PLIC first: it is reset last, when the devices have let go of their lines. */
	int ret = vm->plic ? attach_plic(vm, given->bus, err) : 0;
	if (ret == 0)
		ret = axarch_platform_attach(&platform, devices, AX_ARRAY_LEN(devices), err);
	if (ret == 0)
		vm->console = given->serial;
	return ret;
}
