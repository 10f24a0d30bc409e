/*
 * Moving data between a request's vectors and the disk, straight from and to guest memory, piece by
 * piece until all is done: a short transfer goes on where it ended, a piece ends where another file
 * begins (overlays), and direct I/O with buffers that are not aligned goes through a bounce buffer
 * of its own - there are a few per queue, and who finds none waits for one.
 */
#include "blk.h"
#include <errno.h>
#include <stdlib.h>

/* ---- bounce buffers -------------------------------------------------------------------------- */

static bool is_misaligned(const struct blk_image *image, const struct iov_cursor *data)
{
	const uintptr_t mask = image->memory_align - 1;

	if (!image->file.direct)
		return false;
	for (unsigned i = 0; i < data->count; i++) {
		if ((uintptr_t)data->iov[i].iov_base & mask ||
		    data->iov[i].iov_len % image->block_bytes)
			return true;
	}
	return false;
}

/* false: it will be resumed when there is one. */
static bool take_bounce(struct blk_request *request)
{
	struct blk_queue *queue = request->queue;

	for (unsigned i = 0; i < BLK_BOUNCES; i++) {
		if (queue->bounces_taken >> i & 1)
			continue;
		queue->bounces_taken |= 1U << i;
		request->bounce = queue->bounces + (size_t)i * BLK_BOUNCE_BYTES;
		return true;
	}
	axvirtio_blk_list_add(&queue->bounce_wait, request);
	axvirtio_blk_hold(request);
	return false;
}

static void give_bounce(struct blk_request *request)
{
	struct blk_queue *queue = request->queue;
	struct blk_request *waiter = axvirtio_blk_list_take(&queue->bounce_wait);

	if (waiter) {
		waiter->bounce = request->bounce;
		waiter->resume(waiter);
	} else {
		queue->bounces_taken &=
			~(1U << (size_t)(request->bounce - queue->bounces) / BLK_BOUNCE_BYTES);
	}
	request->bounce = NULL;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void end_move(struct blk_request *request, int r)
{
	if (request->bounce)
		give_bounce(request);
	request->then(request, r);
}

/* Vectors for the next `bytes`; the last of them is cut to fit until uncut. */
static unsigned cut(struct blk_request *request, uint64_t bytes)
{
	struct iovec *iov = request->data.iov;
	unsigned count = 0;

	request->cut_bytes = 0;
	while (bytes) {
		struct iovec *last = &iov[count++];

		if (last->iov_len > bytes) {
			request->cut = last;
			request->cut_bytes = last->iov_len - bytes;
			last->iov_len = bytes;
		}
		bytes -= last->iov_len;
	}
	return count;
}

static void uncut(struct blk_request *request)
{
	if (request->cut_bytes)
		request->cut->iov_len += request->cut_bytes;
	request->cut_bytes = 0;
}

static void next_piece(struct blk_request *request);

/* `n` bytes were moved, at least one. */
static void account(struct blk_request *request, uint32_t n)
{
	request->at += n;
	request->left -= n;
	request->done += n;
}

static void on_moved(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);

	uncut(request);
	if (result <= 0) {
		end_move(request, result < 0 ? result : (request->write ? -EIO : -ENODATA));
		return;
	}
	iov_advance(&request->data, IOV_SKIP, NULL, (size_t)result);
	account(request, (uint32_t)result);
	next_piece(request);
}

static void on_bounced(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);

	if (result <= 0) {
		end_move(request, result < 0 ? result : (request->write ? -EIO : -ENODATA));
		return;
	}
	if (!request->write)
		iov_advance(&request->data, IOV_SCATTER, request->bounce, (size_t)result);
	request->bounce_at += (uint32_t)result;
	request->bounce_left -= (uint32_t)result;
	account(request, (uint32_t)result);
	next_piece(request);
}

/* Which file has the disk's byte `at`, where, and how many of the `bytes` after it. */
static int locate(const struct blk_request *request, uint64_t *bytes, uint64_t *ret_offset)
{
	const struct blk_image *image = request->queue->image;
	bool present = true;

	/* Writes have claimed what they need. */
	if (image->overlay && !request->write)
		*bytes = overlay_run(image->overlay, request->at, *bytes, &present);
	*ret_offset = present ? image->data_offset + request->at : request->at;
	return present ? image->file.fd : image->overlay->base.fd;
}

static void begin_op(struct blk_request *request, int fd, const struct iovec *iov, unsigned count,
		     uint64_t offset)
{
	struct ax_loop *loop = request->queue->loop;

	axvirtio_blk_hold(request);
	if (request->write)
		ax_op_writev(loop, &request->op, fd, iov, count, offset, request->flags);
	else
		ax_op_readv(loop, &request->op, fd, iov, count, offset, request->flags);
}

static void begin_bounced(struct blk_request *request, int fd, uint64_t bytes, uint64_t offset)
{
	struct iovec *iov = &request->own_iov;

	if (!request->bounce_left) {
		request->bounce_at = 0;
		request->bounce_left =
			(uint32_t)(bytes < BLK_BOUNCE_BYTES ? bytes : BLK_BOUNCE_BYTES);
		if (request->write)
			iov_advance(&request->data, IOV_GATHER, request->bounce,
				    request->bounce_left);
	}
	/* What a short read left out is read to the front again. */
	iov->iov_base = request->bounce + (request->write ? request->bounce_at : 0);
	iov->iov_len = request->bounce_left;
	request->op.fn = on_bounced;
	begin_op(request, fd, iov, 1, offset);
}

static void next_piece(struct blk_request *request)
{
	uint64_t offset;
	uint64_t bytes = request->left;
	int fd;

	if (!bytes) {
		end_move(request, 0);
		return;
	}
	fd = locate(request, &bytes, &offset);
	if (request->misaligned) {
		if (request->bounce || take_bounce(request))
			begin_bounced(request, fd, bytes, offset);
		return;
	}
	request->op.fn = on_moved;
	begin_op(request, fd, request->data.iov, cut(request, bytes), offset);
}

void axvirtio_blk_move(struct blk_request *request, bool write, uint64_t at, uint64_t bytes,
		       uint32_t flags, void (*then)(struct blk_request *request, int r))
{
	request->write = write;
	request->at = at;
	request->left = bytes;
	request->flags = flags;
	request->then = then;
	request->resume = next_piece;
	request->bounce_left = 0;
	request->misaligned = is_misaligned(request->queue->image, &request->data);
	next_piece(request);
}
