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

/* Can holes be made in it? Asked where nothing is: behind the end. A block device tells when it is
 * tried. */
static bool can_punch(const struct blk_file *file)
{
	const uint64_t end = ax_align_up(file->size_bytes, file->physical_bytes);

	if (!file->regular)
		return true;
	return fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)end,
			 file->physical_bytes) == 0;
}

int axvirtio_blk_image_open(const char *name, const struct axvirtio_blk_config *config,
			    struct blk_image **ret_image, struct ax_error *err)
{
	const struct blk_file_config file = {
		.label = config->path ? config->path : name,
		.path = config->path,
		.fd = config->fd,
		.read_only = config->read_only,
		.direct = config->direct,
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
		r = check_size(image, image->file.size_bytes, err);
	}
	if (r < 0) {
		axvirtio_blk_image_close(image);
		return r;
	}
	image->discards = !image->read_only && !config->no_discard && can_punch(&image->file);
	*ret_image = image;
	return 0;
}

void axvirtio_blk_image_close(struct blk_image *image)
{
	if (!image)
		return;
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
