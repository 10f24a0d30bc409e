/*
 * Another file behind a disk while its guest runs. The queues are kept out as for a suspend, so
 * what was in flight has ended on the old file and is durable as far as it was; each loop lets go
 * of the old file when it comes to it, and the last one closes it.
 */
#include "blk.h"
#include "core.h"
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>

/* The file that is open already: it may have another size now. */
static bool is_same_file(const struct blk_image *image, const char *path)
{
	struct stat now, old;

	return stat(path, &now) == 0 && fstat(image->file.fd, &old) == 0 &&
	       now.st_dev == old.st_dev && now.st_ino == old.st_ino;
}

/* The driver was told of a block size, and goes by it. */
static int fit_blocks(struct blk_image *image, const struct blk_image *old, struct ax_error *err)
{
	const uint64_t bytes = image->disk_bytes - image->disk_bytes % old->block_bytes;

	if (image->block_bytes > old->block_bytes || !bytes)
		return ax_error_set(err, AX_ERROR_DISK, EINVAL,
				    "%s has blocks of %u bytes; the guest was told of %u",
				    image->file.label, image->block_bytes, old->block_bytes);
	image->block_bytes = old->block_bytes;
	image->disk_bytes = bytes;
	return 0;
}

static int open_next(struct blk *blk, struct blk_image *old, const char *path, bool same,
		     struct blk_image **ret_image, struct ax_error *err)
{
	struct axvirtio_blk_config config = blk->open_config;
	struct blk_image *image;
	int r;

	config.path = path;
	/* Through its own descriptor: a second one would meet the lock of the first. */
	config.fd = same ? old->file.fd : -1;
	r = axvirtio_blk_image_open(blk->name, &config, same ? BLK_LOCK_HELD : BLK_LOCK_TAKE,
				    &image, err);
	if (r < 0)
		return r;
	r = fit_blocks(image, old, err);
	if (r < 0) {
		axvirtio_blk_image_close(image);
		return r;
	}
	*ret_image = image;
	return 0;
}

static void on_post(void *queue)
{
	axvirtio_blk_follow_image(queue);
}

static void swap(struct blk *blk, struct blk_image *image)
{
	struct blk_image *old = atomic_load(&blk->image);
	const uint64_t capacity = htole64(image->disk_bytes / SECTOR);
	const uint32_t offset = offsetof(struct virtio_blk_config, capacity);

	axvirtio_blk_image_settle(old);
	atomic_store(&blk->image, image);
	axvirtio_blk_drop_image(blk, old);
	if (capacity == blk->config.capacity)
		return;
	if (blk->device.core)
		axvirtio_update_config(&blk->device, offset, &capacity, sizeof(capacity));
	else
		blk->config.capacity = capacity;
}

static void swap_while_quiet(struct blk *blk, struct blk_image *image)
{
	struct axvirtio_core *core = blk->device.core;
	bool suspended;

	pthread_mutex_lock(&core->lock);
	suspended = core->suspended;
	axvirtio_core_suspend(core);
	swap(blk, image);
	if (!suspended)
		axvirtio_core_resume(core);
	pthread_mutex_unlock(&core->lock);
	/* A queue that is not used does not come by itself; a loop that has ended need not. */
	for (unsigned i = 0; i < blk->device.queue_count; i++)
		(void)ax_loop_post(blk->queue[i].loop, on_post, &blk->queue[i]);
}

int axvirtio_blk_replace(struct axvirtio *device, const char *path, struct ax_error *err)
{
	struct blk *blk = ax_container_of(device, struct blk, device);
	struct blk_image *old = atomic_load(&blk->image);
	struct blk_image *image;
	const bool same = path ? is_same_file(old, path)
			       : blk->by_descriptor || is_same_file(old, old->file.label);
	int r;

	/* An overlay has the size of its base. */
	if (same && old->overlay)
		return 0;
	r = open_next(blk, old, path ? path : old->file.label, same, &image, err);
	if (r < 0)
		return r;
	if (same) { /* the lock goes over, as it is */
		image->file.locked = old->file.locked;
		old->file.locked = false;
	}
	blk->by_descriptor &= same;
	if (device->core)
		swap_while_quiet(blk, image);
	else
		swap(blk, image);
	return 0;
}
