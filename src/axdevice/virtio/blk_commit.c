/*
 * Making writes durable. For a plain file that is its fdatasync. For an overlay the bitmap has to
 * follow the data: fdatasync, the changed pages of the bitmap as they were before it, fdatasync. So
 * on the disk no cluster is ever present whose data is not there, whenever it ends.
 *
 * One commit runs at a time, for whoever asked before it began; who comes later is served by the
 * next one together, on the loop of the first of them.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>

#define BITMAP_OFFSET 4096U

static void lead(struct blk_request *request);

/* ---- the end --------------------------------------------------------------------------------- */

static void be_told(struct blk_request *request)
{
	request->committed(request, request->commit_result);
}

/* Ends the commit of `leader`; does not tell itself. */
void axvirtio_blk_end_commit(struct blk_queue *here, struct blk_request *leader, int r)
{
	struct blk_overlay *overlay = leader->queue->image->overlay;
	const uint64_t pages = overlay->bitmap_bytes / OVERLAY_PAGE;
	struct blk_list told;
	struct blk_request *next_leader, *member;

	leader->leads = false;
	pthread_mutex_lock(&overlay->lock);
	for (uint64_t i = 0; i < pages; i++) {
		/* What did not get there has to go there yet. */
		if (r < 0 && overlay->in_commit[i] && !overlay->dirty[i]) {
			overlay->dirty[i] = true;
			overlay->dirty_pages++;
		}
		overlay->in_commit[i] = false;
	}
	told = overlay->group;
	overlay->group = overlay->next_group;
	overlay->next_group = (struct blk_list){0};
	next_leader = overlay->group.first;
	overlay->committing = next_leader != NULL;
	if (next_leader) {
		axvirtio_blk_list_take(&overlay->group);
		next_leader->leads = true;
		next_leader->resume = lead;
	}
	pthread_mutex_unlock(&overlay->lock);
	if (next_leader)
		axvirtio_blk_wake(here, next_leader);
	while ((member = axvirtio_blk_list_take(&told))) {
		member->commit_result = r;
		member->resume = be_told;
		axvirtio_blk_wake(here, member);
	}
}

static void finish(struct blk_request *request, int r)
{
	axvirtio_blk_end_commit(request->queue, request, r);
	request->committed(request, r);
}

/* ---- the steps ------------------------------------------------------------------------------- */

static void sync_data(struct blk_request *request, void (*fn)(struct ax_op *op, int32_t result))
{
	request->op.fn = fn;
	axvirtio_blk_hold(request);
	ax_op_fdatasync(request->queue->loop, &request->op, request->queue->image->file.fd);
}

static void on_bitmap_synced(struct ax_op *op, int32_t result)
{
	finish(ax_container_of(op, struct blk_request, op), result);
}

static void write_bitmap(struct blk_request *request);

static void on_bitmap_written(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);

	if (result <= 0) {
		finish(request, result < 0 ? result : -EIO);
		return;
	}
	request->commit_at += (uint32_t)result;
	write_bitmap(request);
}

/* The next run of changed pages, from commit_at on, which is inside one after a short write. */
static void write_bitmap(struct blk_request *request)
{
	const struct blk_overlay *overlay = request->queue->image->overlay;
	const uint64_t pages = overlay->bitmap_bytes / OVERLAY_PAGE;
	uint64_t page = request->commit_at / OVERLAY_PAGE, end;

	if (page < pages && !overlay->in_commit[page]) {
		while (page < pages && !overlay->in_commit[page])
			page++;
		request->commit_at = page * OVERLAY_PAGE;
	}
	if (page == pages) {
		sync_data(request, on_bitmap_synced);
		return;
	}
	end = page;
	while (end < pages && overlay->in_commit[end])
		end++;
	request->own_iov = (struct iovec){
		.iov_base = (uint8_t *)overlay->snapshot + request->commit_at,
		.iov_len = end * OVERLAY_PAGE - request->commit_at,
	};
	request->op.fn = on_bitmap_written;
	ax_op_writev(request->queue->loop, &request->op, request->queue->image->file.fd,
		     &request->own_iov, 1, BITMAP_OFFSET + request->commit_at, 0);
}

static void on_data_synced(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);

	if (result < 0 || !request->commit_pages) {
		finish(request, result);
		return;
	}
	request->commit_at = 0;
	write_bitmap(request);
}

/* The pages as they are before the data is made durable: what becomes present later is the next
 * commit's. */
static void lead(struct blk_request *request)
{
	struct blk_overlay *overlay = request->queue->image->overlay;
	const uint64_t pages = overlay->bitmap_bytes / OVERLAY_PAGE;
	const size_t words = OVERLAY_PAGE / 8;

	pthread_mutex_lock(&overlay->lock);
	request->commit_pages = overlay->dirty_pages;
	for (uint64_t i = 0; i < pages && overlay->dirty_pages; i++) {
		if (!overlay->dirty[i])
			continue;
		for (size_t j = i * words; j < (i + 1) * words; j++)
			overlay->snapshot[j] = htole64(
				atomic_load_explicit(&overlay->present[j], memory_order_relaxed));
		overlay->dirty[i] = false;
		overlay->in_commit[i] = true;
		overlay->dirty_pages--;
	}
	pthread_mutex_unlock(&overlay->lock);
	sync_data(request, on_data_synced);
}

static void on_synced(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);

	request->committed(request, result);
}

void axvirtio_blk_commit(struct blk_request *request, bool data_is_durable,
			 void (*committed)(struct blk_request *request, int r))
{
	struct blk_overlay *overlay = request->queue->image->overlay;
	bool needed = false, mine = false;

	request->committed = committed;
	if (overlay) {
		axvirtio_blk_hold(request);
		pthread_mutex_lock(&overlay->lock);
		/* The bits of one under way may be what this request stands on. */
		needed = overlay->committing || overlay->dirty_pages;
		if (overlay->committing) {
			axvirtio_blk_list_add(&overlay->next_group, request);
		} else if (needed) {
			mine = true;
			overlay->committing = true;
			request->leads = true;
		}
		pthread_mutex_unlock(&overlay->lock);
	}
	if (!needed && data_is_durable)
		committed(request, 0);
	else if (!needed)
		sync_data(request, on_synced);
	else if (mine)
		lead(request);
}
