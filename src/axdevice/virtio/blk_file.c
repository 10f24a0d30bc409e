/*
 * The image behind a virtio-blk device: opening and locking it, its size and block sizes, and whole
 * transfers with short counts, truncation and direct I/O's alignment dealt with.
 * A raw file or block device only; nobody looks at its content to guess a format.
 */
#include "blk.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYER        "virtio"
#define BOUNCE_BYTES (256U * 1024)
#define BOUNCE_ALIGN 4096U

/* ---- opening --------------------------------------------------------------------------------- */

static int open_fd(struct blk_file *file, const struct axvirtio_blk_config *config,
		   struct ax_error *err)
{
	int flags;

	if (config->fd >= 0) {
		file->fd = fcntl(config->fd, F_DUPFD_CLOEXEC, 0);
	} else if (config->path) {
		/* Non-blocking, so that a FIFO by mistake does not hang us; no effect on files. */
		flags = (config->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
		file->fd = open(config->path, flags | (config->direct ? O_DIRECT : 0));
	} else {
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "disk %s has neither a path nor a descriptor", file->label);
	}
	if (file->fd < 0) {
		const int code = errno;

		ax_error_set(err, AX_ERROR_DISK, code, "cannot open disk image %s: %s", file->label,
			     strerror(code));
		if (code == EINVAL && config->direct)
			return ax_error_hint(err, "its file system may not support direct I/O; "
						  "leave that option out");
		if (code == EACCES || code == EROFS)
			return ax_error_hint(err, "check its permissions, or open it read-only");
		return -code;
	}
	flags = fcntl(file->fd, F_GETFL);
	file->direct = flags >= 0 && flags & O_DIRECT;
	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY ||
	    (!config->read_only && (flags & O_ACCMODE) != O_RDWR)) {
		ax_error_set(err, AX_ERROR_DISK, EBADF,
			     "the descriptor of disk image %s does not allow %s", file->label,
			     config->read_only ? "reading" : "reading and writing");
		return ax_error_hint(err, "open it for reading and writing, or set read-only");
	}
	return 0;
}

/*
 * Open-file-description locks: they hold between threads and VMs of one process too, and are not
 * dropped when some other descriptor of the file is closed. The kernel is asked for the whole file.
 */
static int lock_image(struct blk_file *file, struct ax_error *err)
{
	struct flock lock = {.l_type = file->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0) {
		file->locked = true;
		return 0;
	}
	if (errno != EAGAIN && errno != EACCES) {
		ax_log(AX_LOG_WARN, LAYER, "%s: cannot be locked against other users: %s",
		       file->label, strerror(errno));
		return 0;
	}
	ax_error_set(err, AX_ERROR_DISK, EBUSY, "disk image %s is in use by another process%s",
		     file->label, file->read_only ? ", which may write to it" : "");
	return ax_error_hint(err, "stop the other user (lslocks shows it), use a copy, or share it "
				  "by opening it read-only everywhere");
}

static int size_of_file(struct blk_file *file, const struct stat *st, uint64_t *ret_bytes)
{
	int sector, physical;

	if (S_ISREG(st->st_mode)) {
		file->regular = true;
		file->physical_bytes = st->st_blksize > 0 ? (uint32_t)st->st_blksize : SECTOR;
		*ret_bytes = (uint64_t)st->st_size;
		return 0;
	}
	if (!S_ISBLK(st->st_mode))
		return -ENOTBLK;
	if (ioctl(file->fd, BLKGETSIZE64, ret_bytes) < 0 || ioctl(file->fd, BLKSSZGET, &sector) < 0)
		return -errno;
	if (ioctl(file->fd, BLKPBSZGET, &physical) < 0)
		physical = sector;
	if (file->direct)
		file->block_bytes = file->memory_align = (uint32_t)sector;
	file->physical_bytes = (uint32_t)physical;
	return 0;
}

/* The kernel's own word on direct I/O to this file, where it gives one (Linux 6.1). */
static void ask_direct_alignment(struct blk_file *file)
{
#ifdef STATX_DIOALIGN
	struct statx st;

	if (statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0 ||
	    !(st.stx_mask & STATX_DIOALIGN) || !st.stx_dio_offset_align)
		return;
	file->block_bytes = st.stx_dio_offset_align > SECTOR ? st.stx_dio_offset_align : SECTOR;
	file->memory_align = st.stx_dio_mem_align;
#else
	(void)file;
#endif
}

static int measure(struct blk_file *file, struct ax_error *err)
{
	struct stat st;
	uint64_t bytes = 0;
	int r;

	r = fstat(file->fd, &st) < 0 ? -errno : size_of_file(file, &st, &bytes);
	if (r == -ENOTBLK)
		return ax_error_set(err, AX_ERROR_DISK, ENOTBLK,
				    "disk image %s is neither a regular file nor a block device",
				    file->label);
	if (r < 0)
		return ax_error_set(err, AX_ERROR_DISK, -r, "cannot tell the size of %s: %s",
				    file->label, strerror(-r));
	if (file->direct && file->regular)
		ask_direct_alignment(file);
	file->size_bytes = bytes - bytes % file->block_bytes;
	if (!file->size_bytes) {
		ax_error_set(err, AX_ERROR_DISK, EINVAL,
			     "disk image %s has %" PRIu64 " bytes, less than one block of %u",
			     file->label, bytes, file->block_bytes);
		return ax_error_hint(err, "give it a size, e.g. truncate -s 1G %s", file->label);
	}
	if (file->size_bytes != bytes)
		ax_log(AX_LOG_WARN, LAYER,
		       "%s: %" PRIu64
		       " bytes are no whole number of %u-byte blocks; the guest does "
		       "not see the last %" PRIu64,
		       file->label, bytes, file->block_bytes, bytes - file->size_bytes);
	if (!ax_is_power_of_two(file->physical_bytes) || file->physical_bytes < file->block_bytes)
		file->physical_bytes = file->block_bytes;
	return 0;
}

int axvirtio_blk_file_open(struct blk_file *file, const struct axvirtio_blk_config *config,
			   const char *label, struct ax_error *err)
{
	int r;

	*file = (struct blk_file){
		.fd = -1,
		.label = strdup(label),
		.read_only = config->read_only,
		.block_bytes = SECTOR,
		.memory_align = SECTOR,
	};
	if (!file->label)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for disk %s",
				    label);
	r = open_fd(file, config, err);
	if (!r)
		r = lock_image(file, err);
	if (!r)
		r = measure(file, err);
	if (!r && file->direct) {
		file->bounce = aligned_alloc(BOUNCE_ALIGN, BOUNCE_BYTES);
		if (!file->bounce)
			r = ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
					 "no memory for the direct I/O buffer of %s", label);
	}
	if (r < 0)
		axvirtio_blk_file_close(file);
	return r;
}

void axvirtio_blk_file_close(struct blk_file *file)
{
	struct flock unlock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	/* A descriptor that was given to us lives on elsewhere, and its lock would too. */
	if (file->locked)
		fcntl(file->fd, F_OFD_SETLK, &unlock);
	if (file->fd >= 0)
		close(file->fd);
	free(file->bounce);
	free(file->label);
	*file = (struct blk_file){.fd = -1};
}

/* ---- transfers ------------------------------------------------------------------------------- */

static bool aligned_for_direct(const struct blk_file *file, const struct iov_cursor *data)
{
	const uintptr_t mask = file->memory_align ? file->memory_align - 1 : 0;

	for (unsigned i = 0; i < data->count; i++) {
		if ((uintptr_t)data->iov[i].iov_base & mask ||
		    data->iov[i].iov_len % file->block_bytes)
			return false;
	}
	return true;
}

/* One system call; restarts on EINTR. */
static ssize_t move_once(int fd, bool write, const struct iovec *iov, unsigned count,
			 uint64_t offset, int flags)
{
	ssize_t n;

	do {
		n = write ? pwritev2(fd, iov, (int)count, (off_t)offset, flags)
			  : preadv2(fd, iov, (int)count, (off_t)offset, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t move_bounced(struct blk_file *file, bool write, struct iov_cursor *data,
			    uint64_t offset, uint64_t bytes, int flags)
{
	struct iovec iov = {
		.iov_base = file->bounce,
		.iov_len = bytes < BOUNCE_BYTES ? bytes : BOUNCE_BYTES,
	};
	ssize_t n;

	if (write)
		iov_advance(data, IOV_GATHER, file->bounce, iov.iov_len);
	n = move_once(file->fd, write, &iov, 1, offset, flags);
	/* A short direct write could not go on anyway: the rest is no longer in the vectors. */
	if (write && n > 0 && (size_t)n != iov.iov_len) {
		errno = EIO;
		return -1;
	}
	if (!write && n > 0)
		iov_advance(data, IOV_SCATTER, file->bounce, (size_t)n);
	return n;
}

static int move_all(struct blk_file *file, bool write, struct iov_cursor data, uint64_t offset,
		    uint64_t bytes, int flags, uint64_t *ret_done)
{
	const bool bounced = file->direct && !aligned_for_direct(file, &data);
	uint64_t done = 0;
	int r = 0;

	while (done < bytes) {
		ssize_t n;

		if (bounced) {
			n = move_bounced(file, write, &data, offset + done, bytes - done, flags);
		} else {
			n = move_once(file->fd, write, data.iov, data.count, offset + done, flags);
			if (n > 0)
				iov_advance(&data, IOV_SKIP, NULL, (size_t)n);
		}
		if (n <= 0) {
			r = n < 0 ? -errno : (write ? -EIO : -ENODATA);
			break;
		}
		done += (uint64_t)n;
	}
	*ret_done = done;
	return r;
}

int axvirtio_blk_file_read(struct blk_file *file, struct iov_cursor data, uint64_t offset,
			   uint64_t bytes, uint64_t *ret_done)
{
	return move_all(file, false, data, offset, bytes, 0, ret_done);
}

int axvirtio_blk_file_write(struct blk_file *file, struct iov_cursor data, uint64_t offset,
			    uint64_t bytes, bool durable, uint64_t *ret_done)
{
	struct stat st;

	*ret_done = 0;
	/* A write would make a truncated image long again, with a hole where data was lost, and
	 * every later read would succeed with zeros. */
	if (file->regular && (fstat(file->fd, &st) < 0 || (uint64_t)st.st_size < file->size_bytes))
		return -ENODATA;
	return move_all(file, true, data, offset, bytes, durable ? RWF_DSYNC : 0, ret_done);
}

int axvirtio_blk_file_flush(struct blk_file *file)
{
	if (file->read_only)
		return 0;
	return fdatasync(file->fd) < 0 ? -errno : 0;
}
