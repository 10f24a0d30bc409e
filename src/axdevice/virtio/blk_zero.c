/*
 * DISCARD and WRITE_ZEROES (Spec 5.2.6): a list of ranges, checked as a whole before the first is
 * begun and worked through one after the other. Discarding makes holes in the image; zeroes are
 * made by the file system or the host's disk where these can, and written out where not.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>
#include <linux/falloc.h>

#define CHUNK_VECTORS 256U /* of zeroes, in one write */

static const uint8_t zeroes[4096] __attribute__((aligned(4096)));

static void next_range(struct blk_request *request);

/* ---- checks ---------------------------------------------------------------------------------- */

static uint8_t check_range(const struct blk_request *request,
			   const struct virtio_blk_discard_write_zeroes *range)
{
	const struct blk_image *image = request->queue->image;
	const uint64_t capacity = image->disk_bytes / SECTOR;
	const uint32_t block = image->block_bytes / SECTOR;
	const bool discard = request->type == VIRTIO_BLK_T_DISCARD;
	const uint32_t known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

	if (range->flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->num_sectors > (discard ? BLK_MAX_DISCARD : BLK_MAX_ZEROES) / SECTOR ||
	    range->sector > capacity || range->num_sectors > capacity - range->sector ||
	    range->num_sectors % block || range->sector % block)
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* Copies the list out of guest memory; the copy is what counts. */
static uint8_t take_list(struct blk_request *request)
{
	const unsigned bit = request->type == VIRTIO_BLK_T_DISCARD ? VIRTIO_BLK_F_DISCARD
								   : VIRTIO_BLK_F_WRITE_ZEROES;
	uint8_t status = VIRTIO_BLK_S_OK;

	if (!(request->queue->blk->features >> bit & 1))
		return VIRTIO_BLK_S_UNSUPP;
	if (request->queue->image->read_only || !request->data_bytes ||
	    request->data_bytes % sizeof(request->list[0]) ||
	    request->data_bytes > sizeof(request->list))
		return VIRTIO_BLK_S_IOERR;
	request->ranges = (unsigned)(request->data_bytes / sizeof(request->list[0]));
	request->range = 0;
	iov_advance(&request->data, IOV_GATHER, request->list, request->data_bytes);
	for (unsigned i = 0; i < request->ranges && status == VIRTIO_BLK_S_OK; i++) {
		struct virtio_blk_discard_write_zeroes *range = &request->list[i];

		range->sector = le64toh(range->sector);
		range->num_sectors = le32toh(range->num_sectors);
		range->flags = le32toh(range->flags);
		status = check_range(request, range);
	}
	return status;
}

/* ---- one range: zero_left bytes from zero_at on ---------------------------------------------- */

static void next_piece(struct blk_request *request);

static void end_range(struct blk_request *request, int r)
{
	axvirtio_blk_end_claim(request->queue, request, r == 0);
	if (r < 0) {
		axvirtio_blk_end_io(request, r);
		return;
	}
	request->range++;
	next_range(request);
}

static void piece_done(struct blk_request *request, int r)
{
	if (r < 0) {
		end_range(request, r);
		return;
	}
	request->zero_at += request->zero_piece;
	request->zero_left -= request->zero_piece;
	next_piece(request);
}

static void write_zeroes(struct blk_request *request)
{
	const uint64_t chunk = sizeof(zeroes) * CHUNK_VECTORS;
	unsigned count = 0;

	if (request->zero_piece > chunk)
		request->zero_piece = chunk;
	for (uint64_t left = request->zero_piece; left; left -= request->iov[count++].iov_len)
		request->iov[count] = (struct iovec){
			.iov_base = (void *)(uintptr_t)zeroes, /* only read */
			.iov_len = left < sizeof(zeroes) ? left : sizeof(zeroes),
		};
	request->data = (struct iov_cursor){request->iov, count};
	axvirtio_blk_move(request, true, request->zero_at, request->zero_piece, 0, piece_done);
}

static void on_fallocated(struct ax_op *op, int32_t result)
{
	struct blk_request *request = ax_container_of(op, struct blk_request, op);
	struct blk_image *image = request->queue->image;

	if (result != -EOPNOTSUPP && result != -ENOSYS) {
		piece_done(request, result);
		return;
	}
	if (request->punching)
		image->no_punch = true;
	else
		image->no_zero_range = true;
	next_piece(request); /* by the next best way */
}

static void begin_fallocate(struct blk_request *request, int mode)
{
	const struct blk_image *image = request->queue->image;

	request->punching = mode == FALLOC_FL_PUNCH_HOLE;
	request->op.fn = on_fallocated;
	axvirtio_blk_hold(request);
	ax_op_fallocate(request->queue->loop, &request->op, image->file.fd,
			mode | FALLOC_FL_KEEP_SIZE, image->data_offset + request->zero_at,
			request->zero_piece);
}

/* Discarding takes from an overlay what it has; what the base has stays what it is. */
static bool find_present(struct blk_request *request)
{
	const struct blk_overlay *overlay = request->queue->image->overlay;
	bool present = true;

	request->zero_piece = request->zero_left;
	while (overlay && request->zero_left) {
		request->zero_piece =
			overlay_run(overlay, request->zero_at, request->zero_left, &present);
		if (present)
			break;
		request->zero_at += request->zero_piece;
		request->zero_left -= request->zero_piece;
	}
	return request->zero_left > 0;
}

static void next_piece(struct blk_request *request)
{
	const struct blk_image *image = request->queue->image;
	const bool discard = request->type == VIRTIO_BLK_T_DISCARD;
	const bool punch = (discard || request->list[request->range].flags) && !image->no_punch;

	if (!request->zero_left) {
		end_range(request, 0);
		return;
	}
	request->zero_piece = request->zero_left;
	if (discard && (!punch || !find_present(request)))
		end_range(request, 0); /* it is a hint, which nobody has to take */
	else if (punch)
		begin_fallocate(request, FALLOC_FL_PUNCH_HOLE);
	else if (!image->no_zero_range)
		begin_fallocate(request, FALLOC_FL_ZERO_RANGE);
	else
		write_zeroes(request);
}

static void range_claimed(struct blk_request *request, int r)
{
	if (r < 0)
		end_range(request, r);
	else
		next_piece(request);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void end_all(struct blk_request *request, int r)
{
	request->done = 0;
	axvirtio_blk_end_io(request, r);
}

static void next_range(struct blk_request *request)
{
	const struct virtio_blk_discard_write_zeroes *range;

	while (request->range < request->ranges && !request->list[request->range].num_sectors)
		request->range++;
	if (request->range < request->ranges) {
		range = &request->list[request->range];
		request->zero_at = range->sector * SECTOR;
		request->zero_left = (uint64_t)range->num_sectors * SECTOR;
		if (request->type == VIRTIO_BLK_T_DISCARD)
			next_piece(request);
		else
			axvirtio_blk_claim(request, request->zero_at, request->zero_left,
					   range_claimed);
	} else if (request->queue->blk->write_through && request->type != VIRTIO_BLK_T_DISCARD) {
		axvirtio_blk_commit(request, false, end_all);
	} else {
		end_all(request, 0);
	}
}

static void charge(const struct blk_request *request)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < request->ranges; i++)
		bytes += (uint64_t)request->list[i].num_sectors * SECTOR;
	limit_charge(&request->queue->blk->limit, bytes);
}

void axvirtio_blk_zero(struct blk_request *request)
{
	uint8_t status;

	request->ranges = 0;
	status = take_list(request);
	if (request->type == VIRTIO_BLK_T_WRITE_ZEROES)
		charge(request);
	if (status != VIRTIO_BLK_S_OK)
		axvirtio_blk_end(request, status);
	else if (!axvirtio_blk_is_whole(request->queue))
		axvirtio_blk_end_io(request, -ENODATA);
	else
		next_range(request);
}
