/*
 * The devices an aarch64 machine has without being asked: serial port, clock, hypercall doorbell,
 * register of diagnostic codes and pvpanic, attached to the VM's bus. GIC, timers and PSCI, by
 * which a guest ends the machine, are in KVM; virtio devices are the VM's own business.
 */
#include "kvm_aarch64.h"
#include "../platform.h"

static int pl011_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			struct ax_error *err)
{
	const struct axdev_pl011_config config = {
		.base = A64_UART_GPA,
		.gsi = A64_UART_GSI,
		.chr = platform->serial,
	};
	return axdev_create("pl011", "serial0", &config, sizeof(config), platform->services,
			    ret_dev, err);
}

static int uart_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		       struct ax_error *err)
{
	return axarch_create_serial(platform, AXDEV_MMIO, A64_UART_GPA, A64_UART_GSI, ret_dev, err);
}

static int rtc_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		      struct ax_error *err)
{
	const struct axdev_pl031_config config = {
		.base = A64_RTC_GPA,
		.gsi = A64_RTC_GSI,
	};
	return axdev_create("pl031", "rtc0", &config, sizeof(config), platform->services, ret_dev,
			    err);
}

static int hypercall_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			    struct ax_error *err)
{
	return axarch_create_hypercall(platform, A64_HYPERCALL_GPA, ret_dev, err);
}

static int mark_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		       struct ax_error *err)
{
	return axarch_create_mark(platform, AXDEV_MMIO, A64_MARK_GPA, 4, ret_dev, err);
}

static int pvpanic_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			  struct ax_error *err)
{
	return axarch_create_pvpanic(platform, A64_PVPANIC_GPA, ret_dev, err);
}

int a64_platform_attach(struct axarch_vm *vm, const struct axarch_platform *given,
			struct ax_error *err)
{
	struct axdev_services services = *given->services;
	struct axarch_platform platform = *given;
	axarch_device_fn *const devices[] = {
		!given->serial                         ? NULL
		: vm->config.uart == AXARCH_UART_16550 ? uart_create
						       : pl011_create,
		rtc_create,
		hypercall_create,
		mark_create,
		pvpanic_create,
	};

	/* Without an interrupt controller the devices are polled. Creating them is all the copies
	 * are for. */
	if (vm->gic_fd < 0)
		services.irqs = NULL;
	platform.services = &services;
	return axarch_platform_attach(&platform, devices, AX_ARRAY_LEN(devices), err);
}
