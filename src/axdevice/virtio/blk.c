/*
 * virtio-blk (Spec 5.2) over one disk image: what the device offers and how it comes to life.
 * Requests are blk_request.c's, the image is blk_image.c's. Each queue has its own requests, and
 * the loop it stands on; a kick drains it, and what ends in one round of the loop is answered at
 * once.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUNCE_ALIGN 4096U

/* ---- the image in use ------------------------------------------------------------------------ */

void axvirtio_blk_drop_image(struct blk *blk, struct blk_image *image)
{
	bool last;

	if (!image)
		return;
	pthread_mutex_lock(&blk->image_lock);
	last = --image->users == 0;
	pthread_mutex_unlock(&blk->image_lock);
	if (last)
		axvirtio_blk_image_close(image);
}

/* The queue's loop, or while it does not run; nothing of the queue is in flight. */
static void use_image(struct blk_queue *queue, struct blk_image *image)
{
	struct blk_image *old = queue->image;

	if (old) {
		ax_loop_forget_fd(queue->loop, old->file.fd);
		if (old->overlay)
			ax_loop_forget_fd(queue->loop, old->overlay->base.fd);
	}
	queue->image = image;
	if (image) {
		ax_loop_keep_fd(queue->loop, image->file.fd);
		if (image->overlay)
			ax_loop_keep_fd(queue->loop, image->overlay->base.fd);
	}
	axvirtio_blk_drop_image(queue->blk, old);
}

void axvirtio_blk_follow_image(struct blk_queue *queue)
{
	struct blk *blk = queue->blk;
	struct blk_image *image = atomic_load(&blk->image);

	if (queue->image == image)
		return;
	pthread_mutex_lock(&blk->image_lock);
	image = atomic_load(&blk->image);
	image->users++;
	pthread_mutex_unlock(&blk->image_lock);
	use_image(queue, image);
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static int activate(struct axvirtio *device, uint64_t features)
{
	struct blk *blk = ax_container_of(device, struct blk, device);

	/* A driver that does not know FLUSH takes the device for write-through (5.2.6.2). */
	blk->write_through = !(features >> VIRTIO_BLK_F_FLUSH & 1);
	blk->features = features;
	return 0;
}

static void handle_queue(struct axvirtio *device, unsigned index)
{
	struct blk *blk = ax_container_of(device, struct blk, device);
	struct blk_queue *queue = &blk->queue[index];

	axvirtio_blk_follow_image(queue);
	queue->whole = WHOLE_UNKNOWN;
	axvirtio_serve(device, index, axvirtio_blk_serve_one);
}

static void unbound(struct axvirtio *device)
{
	struct blk *blk = ax_container_of(device, struct blk, device);

	for (unsigned i = 0; i < device->queue_count; i++) {
		if (blk->queue[i].loop) {
			ax_loop_cancel_defer(blk->queue[i].loop, &blk->queue[i].wake_here);
			ax_loop_cancel_post(blk->queue[i].loop, &blk->queue[i].wake_there);
			use_image(&blk->queue[i], NULL);
		}
		limit_waiter_finish(&blk->queue[i].limit_waiter);
		blk->queue[i].loop = NULL;
	}
}

static int bound(struct axvirtio *device, struct ax_error *err)
{
	struct blk *blk = ax_container_of(device, struct blk, device);
	int r = 0;

	for (unsigned i = 0; i < device->queue_count && !r; i++) {
		struct blk_queue *queue = &blk->queue[i];

		queue->loop = axvirtio_loop(device, i);
		axvirtio_blk_follow_image(queue);
		r = limit_waiter_init(&queue->limit_waiter, &blk->limit, device, i, err);
	}
	return r;
}

static void destroy(struct axvirtio *device)
{
	struct blk *blk = ax_container_of(device, struct blk, device);

	axvirtio_blk_drop_image(blk, atomic_load(&blk->image));
	for (unsigned i = 0; i < device->queue_count; i++) {
		pthread_mutex_destroy(&blk->queue[i].wake_lock);
		free(blk->queue[i].bounces);
	}
	free(blk->base);
	pthread_mutex_destroy(&blk->image_lock);
	free(blk);
}

static const struct axvirtio_ops blk_ops = {
	.bound = bound,
	.unbound = unbound,
	.activate = activate,
	.handle_queue = handle_queue,
	.destroy = destroy,
};

/* ---- what it offers -------------------------------------------------------------------------- */

/* Only what is true of the image. */
static void fill_config(struct blk *blk, const struct blk_image *image)
{
	struct virtio_blk_config *config = &blk->config;
	const uint32_t blocks = image->physical_bytes / image->block_bytes;
	uint64_t features = 1ULL << VIRTIO_BLK_F_SIZE_MAX | 1ULL << VIRTIO_BLK_F_SEG_MAX |
			    1ULL << VIRTIO_BLK_F_BLK_SIZE | 1ULL << VIRTIO_BLK_F_FLUSH;

	config->capacity = htole64(image->disk_bytes / SECTOR);
	config->size_max = htole32(BLK_SIZE_MAX);
	config->seg_max = htole32(BLK_SEG_MAX);
	config->blk_size = htole32(image->block_bytes);
	if (image->read_only)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	if (blocks > 1) {
		config->physical_block_exp = (uint8_t)__builtin_ctz(blocks);
		config->min_io_size =
			htole16((uint16_t)(blocks <= UINT16_MAX ? blocks : UINT16_MAX));
		features |= 1ULL << VIRTIO_BLK_F_TOPOLOGY;
	}
	if (blk->device.queue_count > 1) {
		config->num_queues = htole16((uint16_t)blk->device.queue_count);
		features |= 1ULL << VIRTIO_BLK_F_MQ;
	}
	if (image->discards) {
		config->max_discard_sectors = htole32(BLK_MAX_DISCARD / SECTOR);
		config->max_discard_seg = htole32(BLK_RANGES);
		config->discard_sector_alignment = htole32(image->physical_bytes / SECTOR);
		config->max_write_zeroes_sectors = htole32(BLK_MAX_ZEROES / SECTOR);
		config->max_write_zeroes_seg = htole32(BLK_RANGES);
		config->write_zeroes_may_unmap = 1;
		features |= 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	}
	blk->device.features = features;
}

static int init_queues(struct blk *blk, bool direct, struct ax_error *err)
{
	for (unsigned i = 0; i < blk->device.queue_count; i++) {
		struct blk_queue *queue = &blk->queue[i];

		queue->blk = blk;
		queue->index = i;
		axvirtio_blk_wake_init(queue);
		blk->queue_max[i] = BLK_QUEUE_SIZE;
		if (!direct)
			continue;
		queue->bounces = aligned_alloc(BOUNCE_ALIGN, BLK_BOUNCES * BLK_BOUNCE_BYTES);
		if (!queue->bounces)
			return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
					    "no memory for the direct I/O buffers of %s",
					    blk->name);
	}
	return 0;
}

/* For replacement. */
static int remember_config(struct blk *blk, const struct axvirtio_blk_config *config,
			   struct ax_error *err)
{
	blk->by_descriptor = config->fd >= 0;
	blk->open_config = (struct axvirtio_blk_config){
		.read_only = config->read_only,
		.direct = config->direct,
		.no_discard = config->no_discard,
	};
	if (!config->base)
		return 0;
	blk->base = strdup(config->base);
	blk->open_config.base = blk->base;
	return blk->base ? 0
			 : ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for disk %s",
					blk->name);
}

int axvirtio_blk_create(const char *name, const struct axvirtio_blk_config *config,
			struct axvirtio **ret_device, struct ax_error *err)
{
	const char *serial = config->serial ? config->serial : name;
	const unsigned queues = config->queues ? config->queues : 1;
	struct blk_image *image = NULL;
	struct blk *blk;
	int r;

	if (queues > AXVIRTIO_BLK_MAX_QUEUES)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "disk %s: %u queues are more than %u", name, queues,
				    AXVIRTIO_BLK_MAX_QUEUES);
	/* Zeroed and large, so fresh from the kernel: request slots cost memory when first used. */
	blk = calloc(1, sizeof(*blk) + queues * sizeof(blk->queue[0]));
	if (!blk)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for disk %s", name);
	pthread_mutex_init(&blk->image_lock, NULL);
	snprintf(blk->name, sizeof(blk->name), "%s", name);
	blk->device.queue_count = queues;
	r = remember_config(blk, config, err);
	if (!r)
		r = axvirtio_blk_image_open(blk->name, config, BLK_LOCK_TAKE, &image, err);
	atomic_init(&blk->image, image);
	if (!r)
		r = init_queues(blk, config->direct || image->file.direct, err);
	if (r) {
		destroy(&blk->device);
		return r;
	}
	memcpy(blk->serial, serial, strnlen(serial, sizeof(blk->serial)));
	blk->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	limit_init(&blk->limit, &config->limit);
	blk->device.ops = &blk_ops;
	blk->device.class_name = "virtio-blk";
	blk->device.device_id = VIRTIO_ID_BLOCK;
	blk->device.queue_max = blk->queue_max;
	blk->device.config = &blk->config;
	blk->device.config_size = sizeof(blk->config);
	fill_config(blk, image);
	*ret_device = &blk->device;
	return 0;
}

static int create_class(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axvirtio_blk_config *blk = config;
	struct axvirtio *device = NULL;
	int r = axvirtio_blk_create(name, blk, &device, err);

	return r < 0 ? r : axvirtio_attach(name, &blk->place, device, services, ret_dev, err);
}

const struct axdev_class axvirtio_blk_class = {
	.name = "virtio-blk",
	.type = AXVIRTIO_BLK_TYPE,
	.summary = "disk on a raw image file or block device",
	.config_size = sizeof(struct axvirtio_blk_config),
	.create = create_class,
};
