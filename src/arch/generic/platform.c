/*
 * The fake's platform: serial port, power registers, hypercall block and the port of diagnostic
 * codes, all of them common devices at this machine's addresses.
 */
#include "generic_priv.h"
#include "../platform.h"

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
	return axarch_create_serial(platform, AXDEV_PORT, GENERIC_SERIAL_PORT, GENERIC_SERIAL_GSI,
				    ret_dev, err);
}

static int hypercall_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			    struct ax_error *err)
{
	return axarch_create_hypercall(platform, GENERIC_HYPERCALL_GPA, ret_dev, err);
}

static int mark_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		       struct ax_error *err)
{
	return axarch_create_mark(platform, AXDEV_PORT, GENERIC_MARK_PORT, 1, ret_dev, err);
}

int generic_platform_attach(struct axarch_vm *vm, const struct axarch_platform *platform,
			    struct ax_error *err)
{
	axarch_device_fn *const devices[] = {
		platform->serial ? serial_create : NULL,
		platform->on_power ? power_create : NULL,
		platform->on_hypercall ? hypercall_create : NULL,
		platform->on_mark ? mark_create : NULL,
	};
	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_PLATFORM_ATTACH, err);

	return rc ? rc : axarch_platform_attach(platform, devices, AX_ARRAY_LEN(devices), err);
}
