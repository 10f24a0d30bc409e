/*
 * Bringing clusters into an overlay (copy on write). A request that writes to absent clusters
 * claims all it touches, copies from the base what it does not overwrite of the first and the last,
 * writes its own data, and only then the clusters become present. Claims do not overlap: who meets
 * one, or finds all taken, waits in a line that moves on when a claim ends. Nobody waits with a
 * claim, so nobody waits for ever.
 *
 * Until a cluster is present nothing of the overlay is read there, so what a failure or a crash
 * leaves behind is never seen: the next writer fills all of the cluster again.
 */
#include "blk.h"
#include <errno.h>

/* ---- lists of requests ----------------------------------------------------------------------- */

void axvirtio_blk_list_add(struct blk_list *list, struct blk_request *request)
{
	request->next = NULL;
	if (list->first)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
}

struct blk_request *axvirtio_blk_list_take(struct blk_list *list)
{
	struct blk_request *request = list->first;

	if (request)
		list->first = request->next;
	return request;
}

/* ---- claims: under the overlay's lock -------------------------------------------------------- */

static bool all_present(const struct blk_overlay *overlay, uint64_t first, uint64_t last)
{
	while (first <= last && overlay_has(overlay, first))
		first++;
	return first > last;
}

/* false: it has to wait. */
static bool try_claim(struct blk_overlay *overlay, struct blk_request *request)
{
	const uint64_t first = request->first_cluster, last = request->last_cluster;
	int free_claim = -1;

	if (all_present(overlay, first, last))
		return true;
	for (unsigned i = 0; i < OVERLAY_CLAIMS; i++) {
		if (!overlay->claims[i].taken)
			free_claim = (int)i;
		else if (first <= overlay->claims[i].last && last >= overlay->claims[i].first)
			return false;
	}
	if (free_claim < 0)
		return false;
	overlay->claims[free_claim].taken = true;
	overlay->claims[free_claim].first = first;
	overlay->claims[free_claim].last = last;
	request->claim = free_claim;
	return true;
}

static void set_present(struct blk_overlay *overlay, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++) {
		_Atomic uint64_t *word = &overlay->present[i / 64];
		const uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
		bool *dirty = &overlay->dirty[i / OVERLAY_PAGE_BITS];

		if (old >> i % 64 & 1)
			continue;
		atomic_store_explicit(word, old | 1ULL << i % 64, memory_order_release);
		overlay->dirty_pages += !*dirty;
		*dirty = true;
	}
}

void axvirtio_blk_end_claim(struct blk_queue *here, struct blk_request *request, bool written)
{
	struct blk_overlay *overlay = request->queue->image->overlay;
	struct blk_list granted = {0};
	struct blk_request *next;

	if (request->claim < 0)
		return;
	pthread_mutex_lock(&overlay->lock);
	if (written)
		set_present(overlay, request->first_cluster, request->last_cluster);
	overlay->claims[request->claim].taken = false;
	request->claim = -1;
	while (overlay->claim_wait.first && try_claim(overlay, overlay->claim_wait.first))
		axvirtio_blk_list_add(&granted, axvirtio_blk_list_take(&overlay->claim_wait));
	pthread_mutex_unlock(&overlay->lock);
	while ((next = axvirtio_blk_list_take(&granted)))
		axvirtio_blk_wake(here, next);
}

/* ---- copying --------------------------------------------------------------------------------- */

static void next_copy(struct blk_request *request);

static uint8_t *copy_buffer(const struct blk_request *request)
{
	return request->queue->image->overlay->copies + (size_t)request->claim * OVERLAY_COPY_BYTES;
}

static void fail(struct blk_request *request, int r)
{
	axvirtio_blk_end_claim(request->queue, request, false);
	request->claimed(request, r);
}

static void write_copy(struct blk_request *request);

static void on_copy_written(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);

	if (result <= 0) {
		fail(request, result < 0 ? result : -EIO);
		return;
	}
	request->copy_done += (uint32_t)result;
	request->copy_at += (uint32_t)result;
	request->copy_left -= (uint32_t)result;
	if (request->copy_done < request->copy_have)
		write_copy(request);
	else
		next_copy(request);
}

static void write_copy(struct blk_request *request)
{
	const struct blk_image *image = request->queue->image;

	request->own_iov = (struct iovec){
		.iov_base = copy_buffer(request) + request->copy_done,
		.iov_len = request->copy_have - request->copy_done,
	};
	request->op.fn = on_copy_written;
	ax_op_writev(request->queue->loop, &request->op, image->file.fd, &request->own_iov, 1,
		     image->data_offset + request->copy_at, 0);
}

static void on_copy_read(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);

	if (result <= 0) {
		fail(request, result < 0 ? result : -ENODATA);
		return;
	}
	request->copy_have = (uint32_t)result;
	request->copy_done = 0;
	write_copy(request);
}

static void next_copy(struct blk_request *request)
{
	const struct blk_overlay *overlay = request->queue->image->overlay;

	if (!request->copy_left) {
		request->copy_at = request->tail_at;
		request->copy_left = request->tail_left;
		request->tail_left = 0;
	}
	if (!request->copy_left) {
		request->claimed(request, 0);
		return;
	}
	request->own_iov = (struct iovec){
		.iov_base = copy_buffer(request),
		.iov_len = request->copy_left < OVERLAY_COPY_BYTES ? request->copy_left
								   : OVERLAY_COPY_BYTES,
	};
	request->op.fn = on_copy_read;
	axvirtio_blk_hold(request);
	ax_op_readv(request->queue->loop, &request->op, overlay->base.fd, &request->own_iov, 1,
		    request->copy_at, 0);
}

/* It has the claim, or needs none. What lies before its data in the first cluster and behind it in
 * the last has to come from the base, where the base still has it. */
static void begin_copies(struct blk_request *request)
{
	const struct blk_overlay *overlay = request->queue->image->overlay;
	const uint64_t cluster = 1ULL << overlay->cluster_shift;
	const uint64_t start = request->first_cluster << overlay->cluster_shift;
	uint64_t end = (request->last_cluster << overlay->cluster_shift) + cluster;

	request->copy_left = request->tail_left = 0;
	if (request->claim >= 0) {
		if (end > overlay->disk_bytes)
			end = overlay->disk_bytes;
		if (!overlay_has(overlay, request->first_cluster)) {
			request->copy_at = start;
			request->copy_left = request->claim_at - start;
		}
		if (!overlay_has(overlay, request->last_cluster)) {
			request->tail_at = request->claim_end;
			request->tail_left = end - request->claim_end;
		}
	}
	next_copy(request);
}

void axvirtio_blk_claim(struct blk_request *request, uint64_t at, uint64_t bytes,
			void (*claimed)(struct blk_request *request, int r))
{
	struct blk_overlay *overlay = request->queue->image->overlay;
	bool mine;

	request->claim = -1;
	if (!overlay || !bytes) {
		claimed(request, 0);
		return;
	}
	request->first_cluster = at >> overlay->cluster_shift;
	request->last_cluster = (at + bytes - 1) >> overlay->cluster_shift;
	if (all_present(overlay, request->first_cluster, request->last_cluster)) {
		claimed(request, 0);
		return;
	}
	request->claim_at = at;
	request->claim_end = at + bytes;
	request->claimed = claimed;
	request->resume = begin_copies;
	axvirtio_blk_hold(request);
	pthread_mutex_lock(&overlay->lock);
	/* In line, whoever is there already. */
	mine = !overlay->claim_wait.first && try_claim(overlay, request);
	if (!mine)
		axvirtio_blk_list_add(&overlay->claim_wait, request);
	pthread_mutex_unlock(&overlay->lock);
	if (mine)
		begin_copies(request);
}
