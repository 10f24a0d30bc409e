/*
 * What the files of virtio-blk share: blk.c (the device and its limits), blk_request.c (one request
 * from chain to status byte), blk_io.c (moving data), blk_zero.c (discard and write-zeroes),
 * blk_wait.c (requests that wait for one another), blk_image.c and blk_file.c (what stands behind
 * it on the host), blk_overlay.h and its files (copy on write).
 *
 * Threads: a queue with its requests belongs to one loop; so does everything called for a request.
 * The device itself does not change while requests are in flight. The queues share only the image.
 */
#ifndef AXVM_VIRTIO_BLK_H
#define AXVM_VIRTIO_BLK_H

#include <axvm/virtio_devices.h>
#include <linux/virtio_blk.h>
#include <pthread.h>
#include "blk_overlay.h"
#include "iov.h"
#include "limit.h"

#define SECTOR         AXVIRTIO_BLK_SECTOR_BYTES
#define BLK_QUEUE_SIZE 256U
/* Header and status take a descriptor each; the rest of the longest legal chain is data. */
#define BLK_SEG_MAX  (BLK_QUEUE_SIZE - 2)
#define BLK_SIZE_MAX (1U << 20)
/* What both limits allow together. */
#define BLK_MAX_BYTES ((uint64_t)BLK_SEG_MAX * BLK_SIZE_MAX)
/* Room for buffers that cross from one memory region into the next. */
#define BLK_IOV (BLK_QUEUE_SIZE + 8)
/* Of discard and write-zeroes: ranges per request, and how long one may be. Zeroes may have to be
 * written out one by one where the host knows nothing better. */
#define BLK_RANGES      32U
#define BLK_MAX_DISCARD (2ULL << 30)
#define BLK_MAX_ZEROES  (256ULL << 20)
/* Direct I/O: for guest buffers that are not aligned, per queue. */
#define BLK_BOUNCE_BYTES (256U * 1024)
#define BLK_BOUNCES      4U

/* ---- the image ------------------------------------------------------------------------------- */

/* A disk of the host: a file as it is, or an overlay file over its base. Counted: each queue keeps
 * one until it has moved on to the next (replacement). */
struct blk_image {
	struct blk_file file;    /* what is written */
	uint64_t data_offset;    /* of the disk in it */
	uint64_t disk_bytes;     /* the capacity: whole blocks */
	uint32_t block_bytes;    /* smallest unit of a transfer; 512 unless direct I/O needs more */
	uint32_t physical_bytes; /* what is written without a detour; >= block */
	uint32_t memory_align;   /* direct I/O: of buffers; else 1 */
	bool read_only, discards;
	struct blk_overlay *overlay;          /* NULL: file is the whole disk */
	_Atomic bool no_punch, no_zero_range; /* the host has said so */
	unsigned users;                       /* under blk.image_lock */
};

/* In messages it is called config->path or `name`. BLK_LOCK_HELD: config->fd is locked, and its
 * lock is not the image's. */
int axvirtio_blk_image_open(const char *name, const struct axvirtio_blk_config *config,
			    enum blk_lock lock, struct blk_image **ret_image, struct ax_error *err);
void axvirtio_blk_image_close(struct blk_image *image); /* NULL is fine */
/* Nothing is in flight: what an overlay knows goes to its file, waiting for it. */
void axvirtio_blk_image_settle(struct blk_image *image);
/* false: the file has become too short for its disk. */
bool axvirtio_blk_image_is_whole(const struct blk_image *image);

/* ---- requests -------------------------------------------------------------------------------- */

struct blk_queue;

/* One chain on its way. It lives on nobody's stack: whatever it waits for (an operation, a buffer,
 * another request), `resume` or `then` goes on with it, on its queue's loop. */
struct blk_request {
	struct ax_op op;
	struct blk_queue *queue;
	struct blk_request *next; /* in the one list it can be in */
	void (*resume)(struct blk_request *request);
	uint8_t *status;        /* guest memory, last writable byte of the chain */
	struct iov_cursor data; /* for the device to fill (IN, GET_ID) or to read */
	uint64_t data_bytes;
	uint64_t writable_bytes; /* of the chain, status included */
	uint64_t sector;
	uint64_t done; /* bytes of data moved */
	uint32_t type;
	uint16_t head;
	bool held; /* the gate, since its first operation */

	/* blk_io.c: the transfer at hand */
	void (*then)(struct blk_request *request, int r);
	uint64_t at, left; /* of the disk */
	uint32_t flags;
	bool write, misaligned;
	uint8_t *bounce;
	uint32_t bounce_at, bounce_left;
	struct iovec *cut; /* shortened by cut_bytes while an operation lasts */
	uint64_t cut_bytes;
	struct iovec own_iov; /* for operations on our own buffers */

	/* blk_cow.c: what it has claimed, and what is left to copy from the base */
	void (*claimed)(struct blk_request *request, int r);
	int claim; /* -1: none */
	uint64_t first_cluster, last_cluster;
	uint64_t claim_at, claim_end;
	uint64_t copy_at, copy_left, tail_at, tail_left;
	uint32_t copy_have, copy_done;

	/* blk_commit.c */
	void (*committed)(struct blk_request *request, int r);
	bool leads;
	int commit_result;
	unsigned commit_pages;
	uint64_t commit_at;

	/* blk_zero.c */
	unsigned range, ranges;
	uint64_t zero_at, zero_left, zero_piece;
	bool punching;
	struct virtio_blk_discard_write_zeroes list[BLK_RANGES];

	struct iovec iov[BLK_IOV];
};

struct blk;

struct blk_queue {
	struct blk *blk;
	unsigned index;
	struct ax_loop *loop;
	struct blk_image *image;                       /* in use here; counted */
	enum { WHOLE_UNKNOWN, WHOLE, WHOLE_NO } whole; /* as seen in this round */
	struct limit_waiter limit_waiter;
	uint8_t *bounces; /* BLK_BOUNCES of BLK_BOUNCE_BYTES; NULL: not direct */
	uint32_t bounces_taken;
	struct blk_list bounce_wait;
	/* Requests that other queues let go on, under wake_lock. */
	pthread_mutex_t wake_lock;
	struct blk_list woken;
	struct ax_deferred wake_here;
	struct ax_post wake_there;
	struct blk_request *free;
	unsigned fresh; /* requests[fresh..] were never used: their pages stay untouched */
	struct blk_request requests[BLK_QUEUE_SIZE];
};

struct blk {
	struct axvirtio device;
	char name[32];
	bool write_through; /* FLUSH was not negotiated: a finished write must be durable */
	struct axvirtio_blk_config open_config; /* how images are opened: flags and base */
	char *base;                             /* its; owned */
	bool by_descriptor;                     /* the image has no name of its own */
	uint64_t features;                      /* negotiated */
	uint8_t serial[AXVIRTIO_BLK_SERIAL_BYTES];
	struct virtio_blk_config config;
	struct limit limit;
	struct ax_ratelimit log_limit;
	pthread_mutex_t image_lock;
	struct blk_image *_Atomic image; /* changes only while all queues rest */
	uint16_t queue_max[AXVIRTIO_BLK_MAX_QUEUES];
	struct blk_queue queue[];
};

/* Give one user of it up; the last closes it. Any thread. */
void axvirtio_blk_drop_image(struct blk *blk, struct blk_image *image);
/* Have the queue use the device's image, on its loop. Nothing of it is in flight on another. */
void axvirtio_blk_follow_image(struct blk_queue *queue);

/* For axvirtio_serve: take one chain and begin it. */
int axvirtio_blk_serve_one(struct axvirtio *device, unsigned index);
/* Before a request begins an operation or a wait: it outlives the call that took it. */
void axvirtio_blk_hold(struct blk_request *request);
/* Answer and forget it. */
void axvirtio_blk_end(struct blk_request *request, uint8_t status);
/* The same for the outcome of I/O: 0, or a negative errno that is logged. */
void axvirtio_blk_end_io(struct blk_request *request, int r);
/* A write may begin; asks the file at most once per round. */
bool axvirtio_blk_is_whole(struct blk_queue *queue);

/* ---- moving data ----------------------------------------------------------------------------- */

/*
 * Move `bytes` between request->data, which holds as many, and the disk, then call then() with 0 or
 * a negative errno; -ENODATA: the image has become shorter. `flags` are RWF_*. then is not called
 * before this returns, unless there is nothing to move.
 */
void axvirtio_blk_move(struct blk_request *request, bool write, uint64_t at, uint64_t bytes,
		       uint32_t flags, void (*then)(struct blk_request *request, int r));

/*
 * Before writing [at, at + bytes): calls claimed() with 0 when all of it may be written, or a
 * negative errno. Follows end_claim, with whether all of it has been; a no-op when nothing was
 * claimed. `here` is a queue of the calling thread's loop.
 */
void axvirtio_blk_claim(struct blk_request *request, uint64_t at, uint64_t bytes,
			void (*claimed)(struct blk_request *request, int r));
void axvirtio_blk_end_claim(struct blk_queue *here, struct blk_request *request, bool written);

/* Make all writes that have ended durable, then call committed() with 0 or a negative errno.
 * data_is_durable: but for what an overlay says about it. */
void axvirtio_blk_commit(struct blk_request *request, bool data_is_durable,
			 void (*committed)(struct blk_request *request, int r));
void axvirtio_blk_end_commit(struct blk_queue *here, struct blk_request *leader, int r);

/* Call request->resume on its own loop, later. */
void axvirtio_blk_wake(struct blk_queue *here, struct blk_request *request);
void axvirtio_blk_wake_init(struct blk_queue *queue);

/* DISCARD and WRITE_ZEROES, from the ranges in request->data to the answer. */
void axvirtio_blk_zero(struct blk_request *request);

#endif
