/*
 * Overlays: a file that holds what a guest has written, over a base that is never changed.
 * docs/overlay.md has the format. blk_overlay.c opens, checks and makes one; blk_cow.c brings
 * clusters into it; blk_commit.c makes the bitmap of those durable.
 *
 * A cluster goes one way only, from absent (the base has it) to present (the overlay has all of
 * it), so who finds it present may use it without a lock. Who wants to write to an absent one
 * claims it first; claims of requests never overlap, whichever loops they are on.
 */
#ifndef AXVM_VIRTIO_BLK_OVERLAY_H
#define AXVM_VIRTIO_BLK_OVERLAY_H

#include <pthread.h>
#include <stdatomic.h>
#include "blk_file.h"

#define OVERLAY_PAGE       4096U /* of the bitmap: what is written at once */
#define OVERLAY_PAGE_BITS  (8ULL * OVERLAY_PAGE)
#define OVERLAY_CLAIMS     16U /* at a time; who finds none waits */
#define OVERLAY_COPY_BYTES (64U * 1024)

struct blk_request;

/* Requests in the order of their coming, linked by their `next`. */
struct blk_list {
	struct blk_request *first, *last;
};
void axvirtio_blk_list_add(struct blk_list *list, struct blk_request *request);
struct blk_request *axvirtio_blk_list_take(struct blk_list *list); /* NULL: empty */

struct blk_overlay {
	struct blk_file base;
	uint32_t cluster_shift;
	uint64_t clusters;
	uint64_t disk_bytes;
	uint64_t data_offset, bitmap_bytes;
	_Atomic uint64_t *present; /* a bit for each cluster; set under the lock */

	pthread_mutex_t lock; /* for all below; not taken for clusters that are present */
	struct {
		bool taken;
		uint64_t first, last;
	} claims[OVERLAY_CLAIMS];
	uint8_t *copies; /* a buffer for each claim */
	struct blk_list claim_wait;

	/* Pages of the bitmap that the file does not have yet. */
	bool *dirty;
	unsigned dirty_pages;
	/* A commit under way: what it writes, and for whom; next: who came too late for it. */
	bool committing;
	bool *in_commit;    /* the committing request's, without the lock */
	uint64_t *snapshot; /* likewise */
	struct blk_list group, next_group;
};

/* `file` is open. On success the disk's size is in the overlay. */
int axvirtio_blk_overlay_open(const struct blk_file *file, const char *base,
			      struct blk_overlay **ret_overlay, struct ax_error *err);
/* Nothing is in flight. NULL is fine. */
void axvirtio_blk_overlay_close(struct blk_overlay *overlay);
/* Make durable what has been written, waiting for it. Nothing is in flight. */
int axvirtio_blk_overlay_sync(struct blk_overlay *overlay, int fd);

static inline bool overlay_has(const struct blk_overlay *overlay, uint64_t cluster)
{
	return atomic_load_explicit(&overlay->present[cluster / 64], memory_order_acquire) >>
		       cluster % 64 &
	       1;
}

/* How many of the `bytes` from `at` on lie on the same side as the first. */
static inline uint64_t overlay_run(const struct blk_overlay *overlay, uint64_t at, uint64_t bytes,
				   bool *ret_present)
{
	const uint64_t last = (at + bytes - 1) >> overlay->cluster_shift;
	uint64_t cluster = at >> overlay->cluster_shift;
	uint64_t end;

	*ret_present = overlay_has(overlay, cluster);
	do {
		const uint64_t word =
			atomic_load_explicit(&overlay->present[cluster / 64], memory_order_acquire);

		/* Whole words at a time: a discarded range may be long. */
		cluster += cluster % 64 == 0 && word == (*ret_present ? ~0ULL : 0) ? 64 : 1;
	} while (cluster <= last && overlay_has(overlay, cluster) == *ret_present);
	end = cluster << overlay->cluster_shift;
	return end < at + bytes ? end - at : bytes;
}

#endif
