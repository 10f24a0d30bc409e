/*
 * One virtio-blk request, from descriptor chain to status byte. Spec 5.2.6.
 * Framing is free (2.7.4.1): the header is the first 16 readable bytes and the status the last
 * writable byte, wherever descriptors begin and end. What the guest asks for wrongly is answered
 * with IOERR or UNSUPP; only a chain without room for that answer breaks the device.
 */
#include "blk.h"
#include <endian.h>
#include <errno.h>
#include <inttypes.h>

#define LAYER "virtio"

/* ---- the pool -------------------------------------------------------------------------------- */

static struct blk_request *get_request(struct blk *blk)
{
	struct blk_request *request = blk->free;

	if (request)
		blk->free = request->next_free;
	else if (blk->fresh < BLK_QUEUE_SIZE)
		request = &blk->requests[blk->fresh++];
	return request;
}

static void put_request(struct blk *blk, struct blk_request *request)
{
	request->next_free = blk->free;
	blk->free = request;
}

/* ---- parsing --------------------------------------------------------------------------------- */

/* false: there is no header to act on. The status byte is known to exist. */
static bool parse(struct blk_request *request, const struct axvq_chain *chain)
{
	struct iov_cursor readable = {chain->iov, chain->readable};
	struct iov_cursor writable = {chain->iov + chain->readable, chain->writable};
	struct iovec *last = &writable.iov[writable.count - 1];
	struct virtio_blk_outhdr header;

	request->head = chain->head;
	request->writable_bytes = chain->writable_bytes;
	request->status = (uint8_t *)last->iov_base + --last->iov_len;
	if (!last->iov_len)
		writable.count--;
	if (iov_advance(&readable, IOV_GATHER, &header, sizeof(header)) < sizeof(header))
		return false;
	request->type = le32toh(header.type);
	request->sector = le64toh(header.sector);
	if (request->type == VIRTIO_BLK_T_OUT) {
		request->data = readable;
		request->data_bytes = chain->readable_bytes - sizeof(header);
	} else {
		request->data = writable;
		request->data_bytes = chain->writable_bytes - 1;
	}
	return true;
}

/* ---- what requests do: each returns a status and how much of `data` it has moved ---------------
 */

static uint8_t transfer(struct blk *blk, struct blk_request *request, uint64_t *ret_done)
{
	struct blk_file *file = &blk->file;
	const bool write = request->type == VIRTIO_BLK_T_OUT;
	const uint64_t sectors = request->data_bytes / SECTOR;
	const uint64_t capacity = file->size_bytes / SECTOR;
	int r;

	if ((write && file->read_only) || request->data_bytes % file->block_bytes ||
	    request->data_bytes > BLK_MAX_BYTES || request->sector > capacity ||
	    sectors > capacity - request->sector || request->sector * SECTOR % file->block_bytes)
		return VIRTIO_BLK_S_IOERR;
	if (write)
		r = axvirtio_blk_file_write(file, request->data, request->sector * SECTOR,
					    request->data_bytes, blk->write_through, ret_done);
	else
		r = axvirtio_blk_file_read(file, request->data, request->sector * SECTOR,
					   request->data_bytes, ret_done);
	if (!r)
		return VIRTIO_BLK_S_OK;
	ax_log_limited(&blk->log_limit, AX_LOG_WARN, LAYER,
		       "%s: %s of %" PRIu64 " bytes at sector %" PRIu64 " of %s failed: %s",
		       blk->name, write ? "write" : "read", request->data_bytes, request->sector,
		       file->label, r == -ENODATA ? "the image has become shorter" : strerror(-r));
	return VIRTIO_BLK_S_IOERR;
}

static uint8_t flush(struct blk *blk)
{
	const int r = axvirtio_blk_file_flush(&blk->file);

	if (!r)
		return VIRTIO_BLK_S_OK;
	ax_log_limited(&blk->log_limit, AX_LOG_WARN, LAYER, "%s: flush of %s failed: %s", blk->name,
		       blk->file.label, strerror(-r));
	return VIRTIO_BLK_S_IOERR;
}

static uint8_t execute(struct blk *blk, struct blk_request *request, uint64_t *ret_done)
{
	switch (request->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return transfer(blk, request, ret_done);
	case VIRTIO_BLK_T_FLUSH:
		return flush(blk);
	case VIRTIO_BLK_T_GET_ID:
		*ret_done =
			iov_advance(&request->data, IOV_SCATTER, blk->serial, sizeof(blk->serial));
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* ---- completion ------------------------------------------------------------------------------ */

static void complete(struct blk *blk, struct blk_request *request, uint8_t status, uint64_t done)
{
	const bool to_guest = request->type != VIRTIO_BLK_T_OUT;
	uint64_t written = to_guest ? done : 0;

	/* `len` counts bytes from the start of the writable part, without gaps (2.7.8.2), so the
	 * status byte counts only when all before it was written. */
	if (written == request->writable_bytes - 1)
		written++;
	*request->status = status;
	if (status != VIRTIO_BLK_S_OK)
		axvirtio_count_error(&blk->device, 0);
	axvirtio_push(&blk->device, 0, request->head, (uint32_t)written, done);
	put_request(blk, request);
}

int axvirtio_blk_serve_one(struct axvirtio *device, unsigned index)
{
	struct blk *blk = ax_container_of(device, struct blk, device);
	struct blk_request *request = get_request(blk);
	struct axvq_chain chain;
	uint8_t status = VIRTIO_BLK_S_IOERR;
	uint64_t done = 0;
	int r;

	/* The queue lets no more chains out than it has entries, so there is always one. */
	if (!request)
		return 0;
	r = axvirtio_pop(device, index, request->iov, BLK_IOV, &chain);
	if (r > 0 && !chain.writable_bytes) {
		axvirtio_fail(device, index, AXVQ_PROTOCOL);
		r = -EPROTO;
	}
	if (r <= 0) {
		put_request(blk, request);
		return r;
	}
	if (parse(request, &chain))
		status = execute(blk, request, &done);
	complete(blk, request, status, done);
	return 1;
}
