/*
 * What the three files of virtio-blk share: blk.c (the device and its limits), blk_request.c (one
 * request from chain to status byte) and blk_file.c (the image on the host).
 */
#ifndef AXVM_VIRTIO_BLK_H
#define AXVM_VIRTIO_BLK_H

#include <axvm/virtio_devices.h>
#include <linux/virtio_blk.h>
#include "iov.h"

#define SECTOR         AXVIRTIO_BLK_SECTOR_BYTES
#define BLK_QUEUE_SIZE 256U
/* Header and status take a descriptor each; the rest of the longest legal chain is data. */
#define BLK_SEG_MAX  (BLK_QUEUE_SIZE - 2)
#define BLK_SIZE_MAX (1U << 20)
/* What both limits allow together, and so the longest time one request can hold the I/O thread. */
#define BLK_MAX_BYTES ((uint64_t)BLK_SEG_MAX * BLK_SIZE_MAX)
/* Room for buffers that cross from one memory region into the next. */
#define BLK_IOV (BLK_QUEUE_SIZE + 8)

/* ---- the image ------------------------------------------------------------------------------- */

struct blk_file {
	int fd;      /* -1: closed */
	char *label; /* path or device name, for messages; owned */
	bool read_only;
	bool direct;
	bool regular; /* a file, which can shrink, as opposed to a block device */
	bool locked;
	uint64_t size_bytes;     /* whole blocks of it */
	uint32_t block_bytes;    /* smallest unit of a transfer; 512 unless direct I/O needs more */
	uint32_t physical_bytes; /* what the host reads and writes without a detour; >= block */
	uint32_t memory_align;   /* direct I/O: of buffers */
	uint8_t *bounce;         /* direct I/O: for guest buffers that are not so aligned */
};

int axvirtio_blk_file_open(struct blk_file *file, const struct axvirtio_blk_config *config,
			   const char *label, struct ax_error *err);
void axvirtio_blk_file_close(struct blk_file *file);

/*
 * Move all of `bytes` between the vectors (consumed) and the image. *ret_done is how far it got,
 * always set. -ENODATA: the image has become shorter than its capacity. durable: on stable storage
 * when this returns.
 */
int axvirtio_blk_file_read(struct blk_file *file, struct iov_cursor data, uint64_t offset,
			   uint64_t bytes, uint64_t *ret_done);
int axvirtio_blk_file_write(struct blk_file *file, struct iov_cursor data, uint64_t offset,
			    uint64_t bytes, bool durable, uint64_t *ret_done);
int axvirtio_blk_file_flush(struct blk_file *file);

/* ---- requests -------------------------------------------------------------------------------- */

/* One chain on its way; nothing in it depends on the call that began it, so that it can also end
 * from a completion (axvirtio_hold / axvirtio_release). */
struct blk_request {
	struct blk_request *next_free;
	uint8_t *status;        /* guest memory, last writable byte of the chain */
	struct iov_cursor data; /* for the device to fill (IN, GET_ID) or to read (OUT) */
	uint64_t data_bytes;
	uint64_t writable_bytes; /* of the chain, status included */
	uint64_t sector;
	uint32_t type;
	uint16_t head;
	struct iovec iov[BLK_IOV];
};

struct blk {
	struct axvirtio device;
	char name[32];
	struct blk_file file;
	bool write_through; /* FLUSH was not negotiated: a finished write must be durable */
	uint8_t serial[AXVIRTIO_BLK_SERIAL_BYTES];
	struct virtio_blk_config config;
	struct ax_ratelimit log_limit;
	struct blk_request *free;
	unsigned fresh; /* requests[fresh..] were never used: their pages stay untouched */
	struct blk_request requests[BLK_QUEUE_SIZE];
};

/* For axvirtio_serve: take one chain and answer it. */
int axvirtio_blk_serve_one(struct axvirtio *device, unsigned index);

#endif
