/*
 * The disk as the device sees it: where its data lies, how large it is, what its blocks are. Files
 * are opened by blk_file.c.
 */
#include "blk.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/stat.h>

#define LAYER "virtio"

static int check_size(struct blk_image *image, uint64_t bytes, struct ax_error *err)
{
	const char *label = image->file.label;

	image->disk_bytes = bytes - bytes % image->block_bytes;
	if (!image->disk_bytes) {
		ax_error_set(err, AX_ERROR_DISK, EINVAL,
			     "disk image %s has %" PRIu64 " bytes, less than one block of %u",
			     label, bytes, image->block_bytes);
		return ax_error_hint(err, "give it a size, e.g. truncate -s 1G %s", label);
	}
	if (image->disk_bytes != bytes)
		ax_log(AX_LOG_WARN, LAYER,
		       "%s: %" PRIu64 " bytes are no whole number of %u-byte blocks; the guest "
		       "does not see the last %" PRIu64,
		       label, bytes, image->block_bytes, bytes - image->disk_bytes);
	return 0;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static int open_overlay(struct blk_image *image, const char *base, struct ax_error *err)
{
	struct blk_overlay *overlay;
	int r = axvirtio_blk_overlay_open(&image->file, base, &overlay, err);

	if (r < 0)
		return r;
	image->overlay = overlay;
	image->data_offset = overlay->data_offset;
	image->block_bytes = larger(image->block_bytes, overlay->base.block_bytes);
	image->memory_align = larger(image->memory_align, overlay->base.memory_align);
	image->physical_bytes = larger(image->physical_bytes, overlay->base.physical_bytes);
	/* Whatever is copied has to be possible in the smallest unit of both. */
	if (overlay->disk_bytes % image->block_bytes || image->block_bytes > OVERLAY_PAGE)
		return ax_error_set(err, AX_ERROR_DISK, EINVAL,
				    "direct I/O to overlay %s needs blocks of %u bytes, which its "
				    "%" PRIu64 " bytes are no multiple of",
				    image->file.label, image->block_bytes, overlay->disk_bytes);
	image->disk_bytes = overlay->disk_bytes;
	return 0;
}

int axvirtio_blk_image_open(const char *name, const struct axvirtio_blk_config *config,
			    enum blk_lock lock, struct blk_image **ret_image, struct ax_error *err)
{
	const struct blk_file_config file = {
		.label = config->path ? config->path : name,
		.path = config->path,
		.fd = config->fd,
		.read_only = config->read_only,
		.direct = config->direct,
		.lock = lock,
	};
	struct blk_image *image = calloc(1, sizeof(*image));
	int r;

	if (!image)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for disk %s", name);
	image->users = 1;
	image->file.fd = -1;
	r = axvirtio_blk_file_open(&image->file, &file, err);
	if (!r) {
		image->read_only = config->read_only;
		image->block_bytes = image->file.block_bytes;
		image->physical_bytes = image->file.physical_bytes;
		image->memory_align = image->file.memory_align;
		r = config->base ? open_overlay(image, config->base, err)
				 : check_size(image, image->file.size_bytes, err);
	}
	if (r < 0) {
		axvirtio_blk_image_close(image);
		return r;
	}
	/* Whether the host can is found out by the first one: to try would touch the file. */
	image->discards = !image->read_only && !config->no_discard;
	*ret_image = image;
	return 0;
}

int axvirtio_blk_check(const struct axvirtio_blk_config *config, struct ax_error *err)
{
	struct blk_image *image = NULL;
	int r = axvirtio_blk_image_open("disk", config, BLK_LOCK_TEST, &image, err);

	if (!r)
		axvirtio_blk_image_close(image);
	return r;
}

void axvirtio_blk_image_settle(struct blk_image *image)
{
	int r;

	if (!image->overlay || image->read_only)
		return;
	r = axvirtio_blk_overlay_sync(image->overlay, image->file.fd);
	if (r < 0)
		ax_log(AX_LOG_ERROR, LAYER, "%s: what was not flushed is lost: %s",
		       image->file.label, strerror(-r));
}

void axvirtio_blk_image_close(struct blk_image *image)
{
	if (!image)
		return;
	if (image->overlay)
		axvirtio_blk_image_settle(image);
	axvirtio_blk_overlay_close(image->overlay);
	axvirtio_blk_file_close(&image->file);
	free(image);
}

bool axvirtio_blk_image_is_whole(const struct blk_image *image)
{
	struct stat st;

	if (!image->file.regular)
		return true;
	return fstat(image->file.fd, &st) == 0 &&
	       (uint64_t)st.st_size >= image->data_offset + image->disk_bytes;
}
