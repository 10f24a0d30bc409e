/*
 * virtio-blk (Spec 5.2) over one raw image: what the device offers and how it comes to life.
 * Requests are blk_request.c's, the image is blk_file.c's. Requests run on the I/O thread, one
 * kick draining the queue and one publish answering it.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>

static const uint16_t queue_max[] = {BLK_QUEUE_SIZE};

static int activate(struct axvirtio *device, uint64_t features)
{
	struct blk *blk = ax_container_of(device, struct blk, device);

	/* A driver that does not know FLUSH takes the device for write-through (5.2.6.2). */
	blk->write_through = !(features >> VIRTIO_BLK_F_FLUSH & 1);
	return 0;
}

static void handle_queue(struct axvirtio *device, unsigned index)
{
	axvirtio_serve(device, index, axvirtio_blk_serve_one);
}

static void destroy(struct axvirtio *device)
{
	struct blk *blk = ax_container_of(device, struct blk, device);

	axvirtio_blk_file_close(&blk->file);
	free(blk);
}

static const struct axvirtio_ops blk_ops = {
	.activate = activate,
	.handle_queue = handle_queue,
	.destroy = destroy,
};

/* Only what is true of the image; discard, write zeroes and several queues are not offered. */
static void fill_config(struct blk *blk)
{
	const struct blk_file *file = &blk->file;

	blk->config.capacity = htole64(file->size_bytes / SECTOR);
	blk->config.size_max = htole32(BLK_SIZE_MAX);
	blk->config.seg_max = htole32(BLK_SEG_MAX);
	blk->config.blk_size = htole32(file->block_bytes);
	blk->device.features = 1ULL << VIRTIO_BLK_F_SIZE_MAX | 1ULL << VIRTIO_BLK_F_SEG_MAX |
			       1ULL << VIRTIO_BLK_F_BLK_SIZE | 1ULL << VIRTIO_BLK_F_FLUSH;
	if (file->read_only)
		blk->device.features |= 1ULL << VIRTIO_BLK_F_RO;
	if (file->physical_bytes > file->block_bytes) {
		const uint32_t blocks = file->physical_bytes / file->block_bytes;

		blk->config.physical_block_exp = (uint8_t)__builtin_ctz(blocks);
		blk->config.min_io_size =
			htole16((uint16_t)(blocks <= UINT16_MAX ? blocks : UINT16_MAX));
		blk->device.features |= 1ULL << VIRTIO_BLK_F_TOPOLOGY;
	}
}

int axvirtio_blk_create(const char *name, const struct axvirtio_blk_config *config,
			struct axvirtio **ret_device, struct ax_error *err)
{
	const char *serial = config->serial ? config->serial : name;
	/* Zeroed and large, so fresh from the kernel: request slots cost memory when first used. */
	struct blk *blk = calloc(1, sizeof(*blk));
	int r;

	if (!blk)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for disk %s", name);
	snprintf(blk->name, sizeof(blk->name), "%s", name);
	r = axvirtio_blk_file_open(&blk->file, config, config->path ? config->path : blk->name,
				   err);
	if (r < 0) {
		free(blk);
		return r;
	}
	memcpy(blk->serial, serial, strnlen(serial, sizeof(blk->serial)));
	blk->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	blk->device.ops = &blk_ops;
	blk->device.class_name = "virtio-blk";
	blk->device.device_id = VIRTIO_ID_BLOCK;
	blk->device.queue_count = AX_ARRAY_LEN(queue_max);
	blk->device.queue_max = queue_max;
	blk->device.config = &blk->config;
	blk->device.config_size = sizeof(blk->config);
	fill_config(blk);
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
