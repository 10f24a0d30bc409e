/*
 * The overlay file: its header and bitmap, checked to the last field because a file is what
 * somebody else has made of it; opening, closing and making one. Which base belongs to it is the
 * configuration's word alone; the header only says whether it is the same one still.
 */
#include "blk_overlay.h"
#include <axvm/virtio_devices.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYER         "virtio"
#define SECTOR        AXVIRTIO_BLK_SECTOR_BYTES
#define MAGIC         "AXVMOVL" /* and its terminator: eight bytes */
#define VERSION       1U
#define MIN_SHIFT     12U
#define MAX_SHIFT     21U
#define BITMAP_OFFSET 4096U
#define BITMAP_AIM    (1ULL << 20) /* bytes; clusters grow until it suffices */

/* Little-endian; what is not named is zero. */
struct header {
	char magic[8];
	uint32_t version;
	uint32_t cluster_bytes;
	uint64_t disk_bytes;
	uint64_t bitmap_offset;
	uint64_t bitmap_bytes;
	uint64_t data_offset;
	uint64_t base_bytes;
	int64_t base_mtime_s;
	uint32_t base_mtime_ns;
	uint8_t zero[4092 - 68];
	uint32_t crc32; /* of all before it */
} __attribute__((packed));
_Static_assert(sizeof(struct header) == BITMAP_OFFSET, "the header fills its block");

/* The CRC of Ethernet and gzip (polynomial 0x04c11db7, reflected). */
static uint32_t crc32(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint32_t crc = ~0U;

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
	}
	return ~crc;
}

/* All there is to know of an overlay for this base. */
static int describe(const struct blk_file *base, uint32_t shift, struct header *ret_header)
{
	const uint64_t disk_bytes = base->size_bytes - base->size_bytes % SECTOR;
	struct header header = {.magic = MAGIC};
	uint64_t clusters, bitmap_bytes;
	struct stat st;

	if (fstat(base->fd, &st) < 0)
		return -errno;
	if (!shift) {
		shift = MIN_SHIFT;
		while (shift < MAX_SHIFT && disk_bytes >> shift > 8 * BITMAP_AIM)
			shift++;
	}
	clusters = (disk_bytes + (1ULL << shift) - 1) >> shift;
	bitmap_bytes = ax_align_up((clusters + 7) / 8, OVERLAY_PAGE);
	header.version = htole32(VERSION);
	header.cluster_bytes = htole32(1U << shift);
	header.disk_bytes = htole64(disk_bytes);
	header.bitmap_offset = htole64(BITMAP_OFFSET);
	header.bitmap_bytes = htole64(bitmap_bytes);
	header.data_offset = htole64(ax_align_up(BITMAP_OFFSET + bitmap_bytes, 1ULL << shift));
	header.base_bytes = htole64(base->size_bytes);
	if (base->regular) { /* a device node's time tells nothing of its content */
		header.base_mtime_s = (int64_t)htole64((uint64_t)st.st_mtim.tv_sec);
		header.base_mtime_ns = htole32((uint32_t)st.st_mtim.tv_nsec);
	}
	header.crc32 = htole32(crc32(&header, offsetof(struct header, crc32)));
	*ret_header = header;
	return 0;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static int refuse(const struct blk_file *file, struct ax_error *err, const char *why)
{
	ax_error_set(err, AX_ERROR_DISK, EINVAL, "%s is no overlay that can be used: %s",
		     file->label, why);
	return ax_error_hint(err, "use a copy of it that is whole; `axvm disk overlay NEW BASE` "
				  "makes an empty one");
}

static int refuse_stranger(const struct blk_file *file, struct ax_error *err, const char *why)
{
	refuse(file, err, why);
	return ax_error_hint(err, "`axvm disk overlay NEW BASE` makes one; leave the base out for "
				  "a plain image");
}

/* Everything but what belongs to the base follows from two numbers and must be what follows. */
static int check_header(const struct blk_file *file, const struct blk_file *base,
			const struct header *header, struct ax_error *err)
{
	const uint32_t cluster_bytes = le32toh(header->cluster_bytes);
	struct header want;
	int r;

	if (memcmp(header->magic, MAGIC, sizeof(header->magic)) != 0)
		return refuse_stranger(file, err, "it does not begin as one");
	if (le32toh(header->version) != VERSION)
		return refuse(file, err, "it is of a version that this program does not know");
	if (le32toh(header->crc32) != crc32(header, offsetof(struct header, crc32)))
		return refuse(file, err, "the checksum of its header is wrong");
	if (!ax_is_power_of_two(cluster_bytes) || cluster_bytes < 1U << MIN_SHIFT ||
	    cluster_bytes > 1U << MAX_SHIFT)
		return refuse(file, err, "its clusters have no possible size");
	r = describe(base, (uint32_t)__builtin_ctz(cluster_bytes), &want);
	if (r < 0)
		return ax_error_set(err, AX_ERROR_DISK, -r, "cannot look at %s: %s", base->label,
				    strerror(-r));
	if (header->base_bytes != want.base_bytes || header->base_mtime_s != want.base_mtime_s ||
	    header->base_mtime_ns != want.base_mtime_ns) {
		ax_error_set(err, AX_ERROR_DISK, ESTALE,
			     "overlay %s was made over another base than %s, or that has been "
			     "changed since",
			     file->label, base->label);
		return ax_error_hint(err,
				     "what is in the overlay only makes sense over the base as "
				     "it was; give that, or make a new overlay");
	}
	/* The times agree, so any difference is in what we would have written ourselves. */
	if (memcmp(header, &want, sizeof(want)) != 0)
		return refuse(file, err, "its header contradicts itself");
	if (file->size_bytes < le64toh(header->data_offset) + le64toh(header->disk_bytes))
		return refuse(file, err, "it has been cut short");
	return 0;
}

static int read_bitmap(struct blk_overlay *overlay, const struct blk_file *file,
		       struct ax_error *err)
{
	const uint64_t words = overlay->bitmap_bytes / 8;
	int r = ax_pread_full(file->fd, overlay->snapshot, overlay->bitmap_bytes, BITMAP_OFFSET);

	if (r < 0)
		return ax_error_set(err, AX_ERROR_DISK, -r, "cannot read the bitmap of %s: %s",
				    file->label, strerror(-r));
	for (uint64_t i = 0; i < words; i++) {
		const uint64_t word = le64toh(overlay->snapshot[i]);
		const uint64_t first = i * 64;
		uint64_t legal = ~0ULL;

		if (first + 64 > overlay->clusters)
			legal = first >= overlay->clusters
					? 0
					: (1ULL << (overlay->clusters - first)) - 1;
		if (word & ~legal)
			return refuse(file, err, "its bitmap has clusters behind the end");
		atomic_init(&overlay->present[i], word);
	}
	return 0;
}

/* ---- open, close ----------------------------------------------------------------------------- */

static int allocate(struct blk_overlay *overlay, struct ax_error *err)
{
	const size_t pages = overlay->bitmap_bytes / OVERLAY_PAGE;

	overlay->present = calloc(1, overlay->bitmap_bytes);
	overlay->snapshot = aligned_alloc(OVERLAY_PAGE, overlay->bitmap_bytes);
	overlay->dirty = calloc(pages, sizeof(*overlay->dirty));
	overlay->in_commit = calloc(pages, sizeof(*overlay->in_commit));
	overlay->copies = aligned_alloc(OVERLAY_PAGE, (size_t)OVERLAY_CLAIMS * OVERLAY_COPY_BYTES);
	if (overlay->present && overlay->snapshot && overlay->dirty && overlay->in_commit &&
	    overlay->copies)
		return 0;
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an overlay");
}

static int load(struct blk_overlay *overlay, const struct blk_file *file, struct ax_error *err)
{
	struct header *header = aligned_alloc(OVERLAY_PAGE, sizeof(*header)); /* direct I/O */
	int r;

	if (!header)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an overlay");
	r = ax_pread_full(file->fd, header, sizeof(*header), 0);
	if (r < 0)
		r = r == -ENODATA ? refuse_stranger(file, err, "it is too short for a header")
				  : ax_error_set(err, AX_ERROR_DISK, -r, "cannot read %s: %s",
						 file->label, strerror(-r));
	if (!r)
		r = check_header(file, &overlay->base, header, err);
	if (!r) {
		overlay->cluster_shift = (uint32_t)__builtin_ctz(le32toh(header->cluster_bytes));
		overlay->disk_bytes = le64toh(header->disk_bytes);
		overlay->bitmap_bytes = le64toh(header->bitmap_bytes);
		overlay->data_offset = le64toh(header->data_offset);
		overlay->clusters = (overlay->disk_bytes + (1ULL << overlay->cluster_shift) - 1) >>
				    overlay->cluster_shift;
		r = allocate(overlay, err);
	}
	free(header);
	return r < 0 ? r : read_bitmap(overlay, file, err);
}

/* By whatever name: it would meet its own lock, and be told that somebody else has it. */
static int refuse_itself(const struct blk_file *file, const char *base, struct ax_error *err)
{
	struct stat a, b;

	if (fstat(file->fd, &a) < 0 || stat(base, &b) < 0 || a.st_dev != b.st_dev ||
	    a.st_ino != b.st_ino)
		return 0;
	ax_error_set(err, AX_ERROR_DISK, EBUSY, "overlay %s is its own base", file->label);
	return ax_error_hint(err, "`axvm disk overlay NEW BASE` makes one");
}

int axvirtio_blk_overlay_open(const struct blk_file *file, const char *base,
			      struct blk_overlay **ret_overlay, struct ax_error *err)
{
	const struct blk_file_config config = {
		.label = base,
		.path = base,
		.fd = -1,
		.read_only = true,
		.direct = file->direct,
		.lock = file->lock == BLK_LOCK_TEST ? BLK_LOCK_TEST : BLK_LOCK_TAKE,
	};
	struct blk_overlay *overlay = calloc(1, sizeof(*overlay));
	int r;

	if (!overlay)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for an overlay");
	pthread_mutex_init(&overlay->lock, NULL);
	overlay->base.fd = -1;
	r = refuse_itself(file, base, err);
	if (!r)
		r = axvirtio_blk_file_open(&overlay->base, &config, err);
	if (!r && !file->regular)
		r = refuse_stranger(file, err, "it is no regular file");
	if (!r)
		r = load(overlay, file, err);
	if (r < 0)
		axvirtio_blk_overlay_close(overlay);
	else
		*ret_overlay = overlay;
	return r;
}

void axvirtio_blk_overlay_close(struct blk_overlay *overlay)
{
	if (!overlay)
		return;
	axvirtio_blk_file_close(&overlay->base);
	free(overlay->present);
	free(overlay->snapshot);
	free(overlay->dirty);
	free(overlay->in_commit);
	free(overlay->copies);
	pthread_mutex_destroy(&overlay->lock);
	free(overlay);
}

int axvirtio_blk_overlay_sync(struct blk_overlay *overlay, int fd)
{
	const size_t pages = overlay->bitmap_bytes / OVERLAY_PAGE;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < pages; i++)
		any |= overlay->dirty[i] || overlay->in_commit[i];
	if (!any)
		return 0;
	/* First the data: a bit must never be seen without it. */
	if (fdatasync(fd) < 0)
		return -errno;
	for (size_t i = 0; i < overlay->bitmap_bytes / 8; i++)
		overlay->snapshot[i] = htole64(atomic_load(&overlay->present[i]));
	for (size_t i = 0; i < pages && !r; i++) {
		if (!overlay->dirty[i] && !overlay->in_commit[i])
			continue;
		r = ax_pwrite_full(fd, (uint8_t *)overlay->snapshot + i * OVERLAY_PAGE,
				   OVERLAY_PAGE, BITMAP_OFFSET + i * OVERLAY_PAGE);
	}
	if (!r && fdatasync(fd) < 0)
		r = -errno;
	if (r < 0)
		return r;
	memset(overlay->dirty, 0, pages * sizeof(*overlay->dirty));
	memset(overlay->in_commit, 0, pages * sizeof(*overlay->in_commit));
	overlay->dirty_pages = 0;
	return 0;
}

/* ---- making one ------------------------------------------------------------------------------ */

static int write_new(int fd, const struct blk_file *base)
{
	struct header header = {0};
	int r = describe(base, 0, &header);

	if (r < 0)
		return r;
	if (ftruncate(fd, (off_t)(le64toh(header.data_offset) + le64toh(header.disk_bytes))) < 0)
		return -errno;
	r = ax_pwrite_full(fd, &header, sizeof(header), 0);
	return !r && fsync(fd) < 0 ? -errno : r;
}

int axvirtio_blk_make_overlay(const char *path, const char *base, struct ax_error *err)
{
	const struct blk_file_config config = {
		.label = base,
		.path = base,
		.fd = -1,
		.read_only = true,
	};
	struct blk_file file;
	int fd, r;

	r = axvirtio_blk_file_open(&file, &config, err);
	if (r < 0)
		return r;
	if (file.size_bytes < SECTOR) {
		ax_error_set(err, AX_ERROR_DISK, EINVAL,
			     "base %s has %" PRIu64 " bytes, less than a sector", base,
			     file.size_bytes);
		axvirtio_blk_file_close(&file);
		return ax_error_hint(err,
				     "an overlay is as large as its base; `truncate -s 1G "
				     "%s` gives that a size",
				     base);
	}
	/* What guests write is their owner's alone. */
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : write_new(fd, &file);
	axvirtio_blk_file_close(&file);
	if (r < 0) {
		if (fd >= 0)
			unlink(path);
		ax_error_set(err, r == -EEXIST ? AX_ERROR_ALREADY_EXISTS : AX_ERROR_DISK, -r,
			     "cannot make overlay %s: %s", path, strerror(-r));
		if (r == -ENOENT)
			ax_error_hint(err, "make its directory first");
	}
	if (fd >= 0)
		close(fd);
	return r;
}
