/*
 * One file or block device of the host under a disk: open, locked, measured.
 */
#ifndef AXVM_VIRTIO_BLK_FILE_H
#define AXVM_VIRTIO_BLK_FILE_H

#include <axvm/base.h>

enum blk_lock {
	BLK_LOCK_TAKE,
	BLK_LOCK_HELD, /* by the owner of the descriptor, who keeps it */
	BLK_LOCK_TEST, /* it could be taken; for those who only look */
};

struct blk_file {
	int fd;      /* -1: closed */
	char *label; /* path or device name, for messages; owned */
	bool read_only;
	bool direct;
	bool regular; /* a file, which can shrink, as opposed to a block device */
	bool locked;
	enum blk_lock lock;      /* as it was opened */
	uint64_t size_bytes;     /* as the host says */
	uint32_t block_bytes;    /* smallest unit of a transfer; 512 unless direct I/O needs more */
	uint32_t physical_bytes; /* what the host reads and writes without a detour; >= block */
	uint32_t memory_align;   /* direct I/O: of buffers; else 1 */
};

struct blk_file_config {
	const char *label;
	const char *path; /* opened here when fd < 0 */
	int fd;           /* >= 0: duplicated */
	bool read_only;
	bool direct; /* for fd, set by its opener */
	enum blk_lock lock;
};

/* On failure `file` is closed. */
int axvirtio_blk_file_open(struct blk_file *file, const struct blk_file_config *config,
			   struct ax_error *err);
void axvirtio_blk_file_close(struct blk_file *file);

#endif
