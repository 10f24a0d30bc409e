/*
 * What happens outside the test VM: an exit router as small as one can be, the test device that
 * remembers every access, and the answers of the platform's callbacks.
 */
#include "guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the test device ------------------------------------------------------------------------- */

struct test_device {
	struct axdev dev;
	struct guest *guest;
};

static enum axdev_result test_access(struct axdev *dev, struct axdev_access *access)
{
	struct guest *guest = ax_container_of(dev, struct test_device, dev)->guest;

	if (!access->is_write)
		access->value = atomic_load(&guest->read_value);
	pthread_mutex_lock(&guest->lock);
	if (guest->log_count < GUEST_MAX_LOG) {
		guest->log[guest->log_count] = (struct guest_access){
			.space = access->space,
			.offset = access->offset,
			.value = access->value,
			.width = access->width,
			.is_write = access->is_write,
		};
		guest->log_count++;
	}
	pthread_mutex_unlock(&guest->lock);
	return access->space == AXDEV_SYSREG && access->offset ? AXDEV_FAULT : AXDEV_HANDLED;
}

static enum axdev_result done_access(struct axdev *dev, struct axdev_access *access)
{
	struct guest *guest = ax_container_of(dev, struct test_device, dev)->guest;

	pthread_mutex_lock(&guest->lock);
	guest->done = true;
	guest->done_value = (uint8_t)access->value;
	pthread_cond_broadcast(&guest->changed);
	pthread_mutex_unlock(&guest->lock);
	return AXDEV_HANDLED;
}

static void test_destroy(struct axdev *dev)
{
	free(ax_container_of(dev, struct test_device, dev));
}

static const struct axdev_ops test_ops = {.access = test_access, .destroy = test_destroy};
static const struct axdev_ops done_ops = {.access = done_access, .destroy = test_destroy};

static void attach(struct guest *guest, const struct axdev *prototype)
{
	struct test_device *device = calloc(1, sizeof(*device));

	CHECK(device, "no memory");
	device->dev = *prototype;
	device->guest = guest;
	CHECK_OK(axbus_attach(guest->bus, &device->dev, &guest->err), &guest->err);
}

void guest_attach_devices(struct guest *guest)
{
	struct axdev test = {
		.ops = &test_ops,
		.class_name = "test",
		.name = "test",
	};
	const struct axdev done = {
		.ops = &done_ops,
		.class_name = "test",
		.name = "done",
		.resource = {guest_arch.done},
		.resource_count = 1,
	};
	for (; test.resource_count < guest_arch.test_count; test.resource_count++)
		test.resource[test.resource_count] = guest_arch.test[test.resource_count];
	if (guest->config.sysreg)
		test.resource[test.resource_count++] =
			(struct axdev_resource){AXDEV_SYSREG, guest->config.sysreg, 2};
	attach(guest, &test);
	attach(guest, &done);
}

/* ---- exits ----------------------------------------------------------------------------------- */

static int access_items(struct guest *guest, enum axdev_space space, uint64_t addr,
			struct axvcpu_exit *exit, void *data, unsigned width, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		char *item = (char *)data + (size_t)i * width;
		struct axdev_access access = {
			.space = space,
			.width = (uint8_t)width,
			.is_write = exit->kind == AXVCPU_EXIT_IO_WRITE ||
				    exit->kind == AXVCPU_EXIT_MMIO_WRITE,
		};
		if (access.is_write)
			memcpy(&access.value, item, width);
		if (axbus_access(guest->bus, addr, &access) < 0)
			return -ENXIO;
		if (!access.is_write)
			memcpy(item, &access.value, width);
	}
	return 0;
}

static void end(struct guest *guest, const struct axvcpu_exit *exit, const struct ax_error *err)
{
	pthread_mutex_lock(&guest->lock);
	if (!guest->ended) {
		guest->ended = true;
		guest->end = *exit;
		if (err)
			guest->end_err = *err;
	}
	pthread_cond_broadcast(&guest->changed);
	pthread_mutex_unlock(&guest->lock);
}

/* For the tests it is the same whether the hypervisor heard it or a device. */
static void on_system_down(struct guest *guest, const struct axvcpu_exit *exit)
{
	static const enum axdev_power_event events[] = {
		[AXVCPU_SYSTEM_POWEROFF] = AXDEV_POWER_OFF,
		[AXVCPU_SYSTEM_RESET] = AXDEV_POWER_RESET,
		[AXVCPU_SYSTEM_CRASH] = AXDEV_POWER_PANIC,
	};

	if (exit->system.event < AX_ARRAY_LEN(events))
		guest_on_power(guest, events[exit->system.event]);
}

enum axvcpu_verdict guest_route_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				     struct ax_error *err)
{
	struct guest *guest = ctx;
	int ret = 0;

	(void)vcpu;
	switch (exit->kind) {
	case AXVCPU_EXIT_SYSTEM_DOWN:
		on_system_down(guest, exit);
		end(guest, exit, err);
		return AXVCPU_STOP;
	case AXVCPU_EXIT_HYPERCALL:
		exit->hypercall.ret =
			guest_on_hypercall(guest, exit->hypercall.nr, exit->hypercall.args);
		break;
	case AXVCPU_EXIT_IO_READ:
	case AXVCPU_EXIT_IO_WRITE:
		ret = access_items(guest, AXDEV_PORT, exit->io.port, exit, exit->io.data,
				   exit->io.width, exit->io.count);
		break;
	case AXVCPU_EXIT_MMIO_READ:
	case AXVCPU_EXIT_MMIO_WRITE:
		ret = access_items(guest, AXDEV_MMIO, exit->mmio.gpa, exit, exit->mmio.data,
				   exit->mmio.width, 1);
		break;
	case AXVCPU_EXIT_SYSREG_READ:
	case AXVCPU_EXIT_SYSREG_WRITE: {
		struct axdev_access access = {
			.space = AXDEV_SYSREG,
			.width = 8,
			.is_write = exit->kind == AXVCPU_EXIT_SYSREG_WRITE,
			.value = exit->sysreg.value,
		};
		exit->sysreg.inject_fault = axbus_access(guest->bus, exit->sysreg.reg, &access) > 0;
		exit->sysreg.value = access.value;
		break;
	}
	case AXVCPU_EXIT_INTERRUPT_END:
		pthread_mutex_lock(&guest->lock);
		guest->last_end_of_interrupt = exit->interrupt.vector;
		guest->ends_of_interrupt++;
		pthread_mutex_unlock(&guest->lock);
		break;
	default:
		end(guest, exit, err);
		return AXVCPU_STOP;
	}
	if (ret < 0) {
		end(guest, exit, err);
		return AXVCPU_STOP;
	}
	return AXVCPU_CONTINUE;
}

void guest_on_power(void *ctx, enum axdev_power_event event)
{
	struct guest *guest = ctx;

	pthread_mutex_lock(&guest->lock);
	guest->powered = true;
	guest->power = event;
	pthread_cond_broadcast(&guest->changed);
	pthread_mutex_unlock(&guest->lock);
}

void guest_on_mark(void *ctx, uint64_t code)
{
	struct guest *guest = ctx;

	pthread_mutex_lock(&guest->lock);
	guest->marks++;
	guest->last_mark = code;
	pthread_mutex_unlock(&guest->lock);
}

/* Number 7 adds its arguments; there is no other. */
uint64_t guest_on_hypercall(void *ctx, uint64_t nr, const uint64_t args[6])
{
	struct guest *guest = ctx;
	uint64_t sum = 0;

	atomic_fetch_add(&guest->hypercalls, 1);
	if (nr != 7)
		return (uint64_t)-ENOSYS;
	for (unsigned i = 0; i < 6; i++)
		sum += args[i] << i * 8;
	return sum;
}
