/*
 * The devices an x86 machine has without being asked: serial port, power registers, POST port and
 * hypercall doorbell, attached to the VM's bus. Interrupt controllers and timers are in KVM;
 * virtio devices are the VM's own business.
 */
#include "kvm_x86.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_DEVICES 4

struct attached {
	struct axbus *bus;
	struct axdev *devs[MAX_DEVICES];
	unsigned count;
};

static int attach(struct attached *list, struct axdev *dev, struct ax_error *err)
{
	int ret = axbus_attach(list->bus, dev, err);
	if (ret < 0) {
		axdev_destroy(dev);
		return ret;
	}
	list->devs[list->count++] = dev;
	return 0;
}

static void detach_all(struct attached *list)
{
	while (list->count) {
		struct axdev *dev = list->devs[--list->count];
		if (axbus_detach(list->bus, dev, NULL) == 0)
			axdev_destroy(dev);
	}
}

/* ---- POST codes: port 0x80 --------------------------------------------------------- */

struct post {
	struct axdev dev;
	void (*on_mark)(void *ctx, uint64_t code);
	void *ctx;
	_Atomic uint32_t last;
};

static enum axdev_result post_access(struct axdev *dev, struct axdev_access *access)
{
	struct post *post = ax_container_of(dev, struct post, dev);

	if (!access->is_write) {
		access->value = atomic_load_explicit(&post->last, memory_order_relaxed);
		return AXDEV_HANDLED;
	}
	atomic_store_explicit(&post->last, (uint32_t)access->value, memory_order_relaxed);
	if (post->on_mark)
		post->on_mark(post->ctx, access->value);
	return AXDEV_HANDLED;
}

static void post_destroy(struct axdev *dev)
{
	free(ax_container_of(dev, struct post, dev));
}

static int post_create(const struct axarch_platform *platform, struct axdev **ret_dev,
		       struct ax_error *err)
{
	static const struct axdev_ops ops = {.access = post_access, .destroy = post_destroy};
	struct post *post = calloc(1, sizeof(*post));
	if (!post)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for the POST port");
	post->dev = (struct axdev){
		.ops = &ops,
		.class_name = "x86-post",
		.name = "post",
		.resource = {{.space = AXDEV_PORT, .base = X86_PORT_POST, .size = 1}},
		.resource_count = 1,
	};
	post->on_mark = platform->on_mark;
	post->ctx = platform->ctx;
	*ret_dev = &post->dev;
	return 0;
}

/* ---- all of them ------------------------------------------------------------------- */

static int serial_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			 struct ax_error *err)
{
	const struct axdev_uart16550_config config = {
		.space = AXDEV_PORT,
		.base = X86_PORT_COM1,
		.gsi = X86_SERIAL_GSI,
		.chr = platform->serial,
	};
	return axdev_create("uart16550", "serial0", &config, sizeof(config), platform->services,
			    ret_dev, err);
}

static int hypercall_create(const struct axarch_platform *platform, struct axdev **ret_dev,
			    struct ax_error *err)
{
	const struct axdev_hypercall_config config = {
		.base = X86_HYPERCALL_GPA,
		.call = platform->on_hypercall,
		.ctx = platform->ctx,
	};
	return axdev_create("hypercall-doorbell", "hypercall", &config, sizeof(config),
			    platform->services, ret_dev, err);
}

int x86_platform_attach(struct axarch_vm *vm, const struct axarch_platform *given,
			struct ax_error *err)
{
	struct axdev_services services = *given->services;
	struct axarch_platform copy = *given;
	const struct axarch_platform *platform = &copy;
	struct attached list = {.bus = given->bus};
	struct axdev *dev = NULL, *pm = NULL;
	int ret = 0;

	/* Without an interrupt controller the devices are polled. Creating them is all the copies
	 * are for. */
	if (!vm->has_irqchip)
		services.irqs = NULL;
	copy.services = &services;

	if (platform->serial) {
		ret = serial_create(platform, &dev, err);
		if (ret == 0)
			ret = attach(&list, dev, err);
	}
	if (ret == 0)
		ret = x86_power_create(platform, &pm, err);
	if (ret == 0)
		ret = attach(&list, pm, err);
	if (ret == 0)
		ret = post_create(platform, &dev, err);
	if (ret == 0)
		ret = attach(&list, dev, err);
	if (ret == 0)
		ret = hypercall_create(platform, &dev, err);
	if (ret == 0)
		ret = attach(&list, dev, err);
	if (ret < 0) {
		detach_all(&list);
		return ret;
	}
	vm->bus = platform->bus;
	vm->pm = pm;
	return 0;
}
