/*
 * One virtio-blk request, from descriptor chain to status byte. Spec 5.2.6.
 * Framing is free (2.7.4.1): the header is the first 16 readable bytes and the status the last
 * writable byte, wherever descriptors begin and end. What the guest asks for wrongly is answered
 * with IOERR or UNSUPP; only a chain without room for that answer breaks the device.
 * Requests end in any order, as their operations do.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define LAYER "virtio"

/* ---- the pool -------------------------------------------------------------------------------- */

static struct blk_request *get_request(struct blk_queue *queue)
{
	struct blk_request *request = queue->free;

	if (request)
		queue->free = request->next;
	else if (queue->fresh < BLK_QUEUE_SIZE)
		request = &queue->requests[queue->fresh++];
	if (request)
		request->queue = queue;
	return request;
}

static void put_request(struct blk_request *request)
{
	request->next = request->queue->free;
	request->queue->free = request;
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* Does the driver send data with it, or want some? */
static bool is_from_driver(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES;
}

/* false: there is no header to act on. The status byte is known to exist. */
static bool parse(struct blk_request *request, const struct axvq_chain *chain)
{
	struct iov_cursor readable = {chain->iov, chain->readable};
	struct iov_cursor writable = {chain->iov + chain->readable, chain->writable};
	struct iovec *last = &writable.iov[writable.count - 1];
	struct virtio_blk_outhdr header;

	request->head = chain->head;
	request->type = VIRTIO_BLK_T_OUT;
	request->data_bytes = 0;
	request->done = 0;
	request->held = request->leads = false;
	request->claim = -1;
	request->writable_bytes = chain->writable_bytes;
	request->status = (uint8_t *)last->iov_base + --last->iov_len;
	if (!last->iov_len)
		writable.count--;
	if (iov_advance(&readable, IOV_GATHER, &header, sizeof(header)) < sizeof(header))
		return false;
	request->type = le32toh(header.type);
	request->sector = le64toh(header.sector);
	if (is_from_driver(request->type)) {
		request->data = readable;
		request->data_bytes = chain->readable_bytes - sizeof(header);
	} else {
		request->data = writable;
		request->data_bytes = chain->writable_bytes - 1;
	}
	return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

void axvirtio_blk_hold(struct blk_request *request)
{
	if (request->held)
		return;
	request->held = true;
	axvirtio_hold(&request->queue->blk->device, request->queue->index);
}

void axvirtio_blk_end(struct blk_request *request, uint8_t status)
{
	struct blk_queue *queue = request->queue;
	struct axvirtio *device = &queue->blk->device;
	const bool held = request->held;
	uint64_t written = is_from_driver(request->type) ? 0 : request->done;

	/* `len` counts bytes from the start of the writable part, without gaps (2.7.8.2), so the
	 * status byte counts only when all before it was written. */
	if (written == request->writable_bytes - 1)
		written++;
	*request->status = status;
	if (status != VIRTIO_BLK_S_OK)
		axvirtio_count_error(device, queue->index);
	axvirtio_push(device, queue->index, request->head, (uint32_t)written, request->done);
	put_request(request);
	if (held)
		axvirtio_release(device, queue->index);
}

static const char *verb(uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
		return "read";
	case VIRTIO_BLK_T_OUT:
		return "write";
	case VIRTIO_BLK_T_FLUSH:
		return "flush";
	case VIRTIO_BLK_T_DISCARD:
		return "discard";
	default:
		return "write of zeroes";
	}
}

void axvirtio_blk_end_io(struct blk_request *request, int r)
{
	struct blk *blk = request->queue->blk;

	if (r < 0)
		ax_log_limited(&blk->log_limit, AX_LOG_WARN, LAYER,
			       "%s: %s (%" PRIu64 " bytes, sector %" PRIu64 ") on %s failed: %s",
			       blk->name, verb(request->type), request->data_bytes, request->sector,
			       request->queue->image->file.label,
			       r == -ENODATA ? "the image has become shorter" : strerror(-r));
	axvirtio_blk_end(request, r < 0 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

/* ---- what requests do ------------------------------------------------------------------------ */

bool axvirtio_blk_is_whole(struct blk_queue *queue)
{
	if (queue->whole == WHOLE_UNKNOWN)
		queue->whole = axvirtio_blk_image_is_whole(queue->image) ? WHOLE : WHOLE_NO;
	return queue->whole == WHOLE;
}

static void on_written(struct blk_request *request, int r)
{
	axvirtio_blk_end_claim(request->queue, request, r == 0);
	if (r == 0 && request->queue->blk->write_through)
		axvirtio_blk_commit(request, true, axvirtio_blk_end_io);
	else
		axvirtio_blk_end_io(request, r);
}

static void write_claimed(struct blk_request *request, int r)
{
	if (r < 0)
		axvirtio_blk_end_io(request, r);
	else
		axvirtio_blk_move(request, true, request->sector * SECTOR, request->data_bytes,
				  request->queue->blk->write_through ? RWF_DSYNC : 0, on_written);
}

static void transfer(struct blk_request *request)
{
	struct blk_queue *queue = request->queue;
	const struct blk_image *image = queue->image;
	const bool write = request->type == VIRTIO_BLK_T_OUT;
	const uint64_t sectors = request->data_bytes / SECTOR;
	const uint64_t capacity = image->disk_bytes / SECTOR;

	if ((write && image->read_only) || request->data_bytes % image->block_bytes ||
	    request->data_bytes > BLK_MAX_BYTES || request->sector > capacity ||
	    sectors > capacity - request->sector || request->sector * SECTOR % image->block_bytes)
		axvirtio_blk_end(request, VIRTIO_BLK_S_IOERR);
	else if (!write)
		axvirtio_blk_move(request, false, request->sector * SECTOR, request->data_bytes, 0,
				  axvirtio_blk_end_io);
	/* A write would make a truncated image long again, with a hole where data was lost, and
	 * every later read would succeed with zeros. */
	else if (!axvirtio_blk_is_whole(queue))
		axvirtio_blk_end_io(request, -ENODATA);
	else
		axvirtio_blk_claim(request, request->sector * SECTOR, request->data_bytes,
				   write_claimed);
}

/* Writes that have ended are with the kernel, so all of them are covered, whoever began them. */
static void flush(struct blk_request *request)
{
	if (request->queue->image->read_only)
		axvirtio_blk_end(request, VIRTIO_BLK_S_OK);
	else
		axvirtio_blk_commit(request, false, axvirtio_blk_end_io);
}

static void get_id(struct blk_request *request)
{
	struct blk *blk = request->queue->blk;

	request->done = iov_advance(&request->data, IOV_SCATTER, blk->serial, sizeof(blk->serial));
	axvirtio_blk_end(request, VIRTIO_BLK_S_OK);
}

static void execute(struct blk_request *request)
{
	/* Zeroes cost what they are, not what asks for them: blk_zero.c. */
	if (request->type != VIRTIO_BLK_T_WRITE_ZEROES)
		limit_charge(&request->queue->blk->limit, request->data_bytes);
	switch (request->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		transfer(request);
		break;
	case VIRTIO_BLK_T_FLUSH:
		flush(request);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(request);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		axvirtio_blk_zero(request);
		break;
	default:
		axvirtio_blk_end(request, VIRTIO_BLK_S_UNSUPP);
	}
}

int axvirtio_blk_serve_one(struct axvirtio *device, unsigned index)
{
	struct blk *blk = ax_container_of(device, struct blk, device);
	struct blk_queue *queue = &blk->queue[index];
	struct blk_request *request;
	struct axvq_chain chain;
	int r;

	/* The timer will wake the queue; until then it wants no kicks. */
	if (limit_active(&blk->limit) && !limit_may_take(&blk->limit, &queue->limit_waiter))
		return -EAGAIN;
	/* The queue lets no more chains out than it has entries, so there is always one. */
	request = get_request(queue);
	if (!request)
		return 0;
	r = axvirtio_pop(device, index, request->iov, BLK_IOV, &chain);
	if (r > 0 && !chain.writable_bytes) {
		axvirtio_fail(device, index, AXVQ_PROTOCOL);
		r = -EPROTO;
	}
	if (r <= 0) {
		put_request(request);
		return r;
	}
	if (parse(request, &chain)) {
		execute(request);
	} else {
		limit_charge(&blk->limit, 0);
		axvirtio_blk_end(request, VIRTIO_BLK_S_IOERR);
	}
	return 1;
}
