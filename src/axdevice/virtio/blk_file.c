/*
 * One file or block device behind a disk: opening and locking it, its size and block sizes.
 * Raw only; nobody looks at its content to guess a format.
 */
#include "blk_file.h"
#include <axvm/virtio_devices.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYER  "virtio"
#define SECTOR AXVIRTIO_BLK_SECTOR_BYTES

static int refuse_kind(const struct blk_file *file, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_DISK, ENOTBLK,
		     "disk image %s is neither a regular file nor a block device", file->label);
	return ax_error_hint(err, "`truncate -s 1G NEW` makes an empty disk");
}

/* To open what is no disk may do something: start a watchdog, wake who waits on a pipe. */
static bool is_other_kind(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) &&
	       !S_ISDIR(st.st_mode);
}

static int open_fd(struct blk_file *file, const struct blk_file_config *config,
		   struct ax_error *err)
{
	int flags;

	if (config->fd >= 0) {
		file->fd = fcntl(config->fd, F_DUPFD_CLOEXEC, 0);
	} else if (config->path && file->lock == BLK_LOCK_TEST && is_other_kind(config->path)) {
		return refuse_kind(file, err);
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
		if (code == EISDIR)
			return ax_error_hint(err, "give a file in it");
		if (code == ENOENT && config->read_only)
			return ax_error_hint(err, "check the path");
		if (code == ENOENT)
			return ax_error_hint(err, "check the path; `truncate -s 1G NEW` makes an "
						  "empty disk");
		if (code == EACCES || code == EROFS)
			return ax_error_hint(err, "check its permissions, or open it read-only");
		return -code;
	}
	flags = fcntl(file->fd, F_GETFL);
	/* Its only use was not to hang; operations have to wait for their data. */
	if (config->fd < 0 && flags >= 0)
		fcntl(file->fd, F_SETFL, flags & ~O_NONBLOCK);
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
	const bool test = file->lock == BLK_LOCK_TEST;
	const uint64_t since_ns = ax_clock_ns();
	bool busy;
	int code;

	do {
		struct flock lock = {.l_type = file->read_only ? F_RDLCK : F_WRLCK,
				     .l_whence = SEEK_SET};

		code = fcntl(file->fd, test ? F_OFD_GETLK : F_OFD_SETLK, &lock) ? errno : 0;
		busy = code == EAGAIN || code == EACCES ||
		       (!code && test && lock.l_type != F_UNLCK);
	} while (busy && ax_wait_for_release(since_ns));
	if (!busy) {
		file->locked = !code && !test;
		if (code)
			ax_log(AX_LOG_WARN, LAYER, "%s: cannot be locked against other users: %s",
			       file->label, strerror(code));
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
	file->memory_align = st.stx_dio_mem_align ? st.stx_dio_mem_align : 1;
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
		return refuse_kind(file, err);
	if (r < 0)
		return ax_error_set(err, AX_ERROR_DISK, -r, "cannot tell the size of %s: %s",
				    file->label, strerror(-r));
	if (file->direct && file->regular) {
		file->memory_align = SECTOR;
		ask_direct_alignment(file);
	}
	file->size_bytes = bytes;
	if (!ax_is_power_of_two(file->physical_bytes) || file->physical_bytes < file->block_bytes)
		file->physical_bytes = file->block_bytes;
	return 0;
}

int axvirtio_blk_file_open(struct blk_file *file, const struct blk_file_config *config,
			   struct ax_error *err)
{
	int r;

	*file = (struct blk_file){
		.fd = -1,
		.label = strdup(config->label),
		.read_only = config->read_only,
		.lock = config->lock,
		.block_bytes = SECTOR,
		.memory_align = 1,
	};
	if (!file->label)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for disk %s",
				    config->label);
	r = open_fd(file, config, err);
	if (!r && config->lock != BLK_LOCK_HELD)
		r = lock_image(file, err);
	if (!r)
		r = measure(file, err);
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
	free(file->label);
	*file = (struct blk_file){.fd = -1};
}
