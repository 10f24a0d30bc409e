/*
 * The doorbell for hypercalls: KVM answers a guest's hypercall instruction itself, so a call to
 * the monitor is a block of registers and a write that rings it (docs/hypercall.md). What the
 * numbers mean belongs to the VM.
 */
#include "classes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES   64u
#define RESULT_OFFSET 56u

/* As the guest sees it, little-endian. */
struct block {
	uint64_t nr;
	uint64_t args[6];
	uint64_t result;
};
_Static_assert(sizeof(struct block) == BLOCK_BYTES, "the guest's layout");

struct hypercall {
	struct axdev dev;
	uint64_t (*call)(void *ctx, uint64_t nr, const uint64_t args[6]);
	void *ctx;
	pthread_mutex_t lock; /* the block; not held during a call */
	struct block block;
};

static void ring(struct hypercall *self)
{
	struct block copy;

	pthread_mutex_lock(&self->lock);
	copy = self->block;
	pthread_mutex_unlock(&self->lock);
	copy.result = self->call ? self->call(self->ctx, copy.nr, copy.args)
				 : (uint64_t) - (int64_t)ENOSYS;
	pthread_mutex_lock(&self->lock);
	self->block.result = copy.result;
	pthread_mutex_unlock(&self->lock);
}

static enum axdev_result hypercall_access(struct axdev *dev, struct axdev_access *access)
{
	struct hypercall *self = (struct hypercall *)dev;
	uint8_t *bytes = (uint8_t *)&self->block + access->offset;

	if (access->width != 4 && access->width != 8)
		return AXDEV_UNHANDLED;
	if (access->offset % access->width)
		return AXDEV_UNHANDLED;

	/* The result word is the bell: written, it rings (in halves: the upper one rings). */
	if (access->is_write && access->offset >= RESULT_OFFSET) {
		if (access->offset + access->width == BLOCK_BYTES)
			ring(self);
		return AXDEV_HANDLED;
	}
	pthread_mutex_lock(&self->lock);
	if (access->is_write)
		memcpy(bytes, &access->value, access->width);
	else
		memcpy(&access->value, bytes, access->width);
	pthread_mutex_unlock(&self->lock);
	return AXDEV_HANDLED;
}

static void hypercall_reset(struct axdev *dev)
{
	struct hypercall *self = (struct hypercall *)dev;

	self->block = (struct block){0};
}

static void hypercall_destroy(struct axdev *dev)
{
	struct hypercall *self = (struct hypercall *)dev;

	pthread_mutex_destroy(&self->lock);
	free(self);
}

static const struct axdev_ops hypercall_ops = {
	.access = hypercall_access,
	.reset = hypercall_reset,
	.destroy = hypercall_destroy,
};

static int hypercall_create(const char *name, const void *config,
			    const struct axdev_services *services, struct axdev **ret_dev,
			    struct ax_error *err)
{
	const struct axdev_hypercall_config *cfg = config;
	struct hypercall *self;

	(void)name;
	(void)services;
	if (cfg->base % BLOCK_BYTES)
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "base 0x%llx is not a multiple of %u",
				    (unsigned long long)cfg->base, BLOCK_BYTES);
	self = calloc(1, sizeof(*self));
	if (!self)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a doorbell");
	self->dev.ops = &hypercall_ops;
	self->dev.resource[0] = (struct axdev_resource){AXDEV_MMIO, cfg->base, BLOCK_BYTES};
	self->dev.resource_count = 1;
	self->call = cfg->call;
	self->ctx = cfg->ctx;
	pthread_mutex_init(&self->lock, NULL);
	*ret_dev = &self->dev;
	return 0;
}

const struct axdev_class axdev_hypercall_class = {
	.name = "hypercall-doorbell",
	.type = 0x41,
	.summary = "calls from the guest to the monitor, by a block of MMIO registers",
	.config_size = sizeof(struct axdev_hypercall_config),
	.create = hypercall_create,
};
