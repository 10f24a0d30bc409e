/*
 * virtio-net on a stream socket, framed as passt does it: each frame behind its length, 4 bytes,
 * big-endian; no virtio_net_hdr, so no offloads. What one read brings is kept until the driver has
 * buffers for it; what a write leaves of a frame is kept until the socket takes it. Both are
 * bounded by these buffers, and outlive a driver: a stream that has lost its place is of no use.
 */
#include "net.h"
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define PREFIX 4U

struct net_stream {
	struct ax_op read, write;
	struct net_pair *pair;
	struct iovec read_iov, write_iov;
	uint32_t in_at, in_end;     /* of `in`: not looked at yet */
	uint32_t rest_at, rest_end; /* of `rest`: not written yet */
	uint8_t in[2 * (PREFIX + NET_FRAME_MAX)];
	uint8_t rest[PREFIX + NET_FRAME_MAX];
};

/* ---- receive --------------------------------------------------------------------------------- */

/* May this frame be delivered now? Otherwise a kick or a timer comes. */
static bool is_ready(struct net_pair *pair, uint32_t bytes)
{
	struct net_rx *rx = &pair->rx;

	if (!limit_may_take(&pair->net->rx_limit, &rx->waiter))
		return false;
	if (rx->chains.bytes >= NET_HEADER + bytes)
		return true;
	axvirtio_net_chains_compact(pair);
	rx->expect = bytes;
	return axvirtio_net_chains_ready(pair) > 0;
}

/* false: the driver has no buffers for the next frame, or the link is down. */
static bool deliver_all(struct net_pair *pair)
{
	struct net_stream *stream = pair->stream;
	struct net_rx *rx = &pair->rx;

	while (stream->in_end - stream->in_at >= PREFIX) {
		struct net_frame frame = {.rest = stream->in + stream->in_at + PREFIX};
		uint32_t bytes;

		memcpy(&bytes, stream->in + stream->in_at, PREFIX);
		bytes = be32toh(bytes);
		if (bytes > NET_FRAME_MAX) { /* there is no way to find the next frame */
			axvirtio_net_link_down(pair->net);
			return false;
		}
		if (stream->in_end - stream->in_at < PREFIX + bytes)
			break;
		if (bytes >= ETHERNET && !is_ready(pair, bytes))
			return false;
		frame.rest_bytes = bytes;
		if (bytes >= ETHERNET && axvirtio_net_chains_deliver(pair, &frame)) {
			ax_counter_add(&rx->frames, 1);
			limit_charge(&pair->net->rx_limit, bytes);
		} else {
			ax_counter_add(&rx->dropped, 1);
		}
		stream->in_at += PREFIX + bytes;
	}
	return true;
}

static void on_read(struct ax_op *op, int32_t result)
{
	struct net_stream *stream = ax_container_of(op, struct net_stream, read);
	struct net_pair *pair = stream->pair;

	pair->rx.in_flight = 0;
	if (result > 0) {
		stream->in_end += (uint32_t)result;
		if (!deliver_all(pair))
			axvirtio_net_arm(pair, pair->armed & ~(uint32_t)EPOLLIN);
		axvirtio_net_chains_compact(pair);
	} else if (result != -EAGAIN && result != -EINTR) {
		axvirtio_net_link_down(pair->net);
	}
	axvirtio_release(&pair->net->device, net_rx_queue(pair));
}

static void receive(struct net_pair *pair, uint32_t events)
{
	struct net_stream *stream = pair->stream;
	const unsigned queue = net_rx_queue(pair);
	bool may_read;

	(void)events;
	if (pair->rx.in_flight)
		return;
	may_read = deliver_all(pair);
	axvirtio_net_chains_compact(pair);
	if (!may_read) {
		axvirtio_net_arm(pair, pair->armed & ~(uint32_t)EPOLLIN);
		return;
	}
	/* What is left is less than a frame, and moves to where a whole one has room behind it. */
	stream->in_end -= stream->in_at;
	memmove(stream->in, stream->in + stream->in_at, stream->in_end);
	stream->in_at = 0;
	stream->read_iov =
		(struct iovec){stream->in + stream->in_end, sizeof(stream->in) - stream->in_end};
	pair->rx.in_flight = 1;
	axvirtio_hold(&pair->net->device, queue);
	ax_op_readv(axvirtio_loop(&pair->net->device, queue), &stream->read, pair->fd,
		    &stream->read_iov, 1, AX_OP_NO_OFFSET, 0);
}

/* ---- transmit -------------------------------------------------------------------------------- */

/* Write on: what is left of a frame, then the frames of the batch. */
static void advance(struct net_pair *pair)
{
	struct net_stream *stream = pair->stream;
	struct net_tx *tx = &pair->tx;
	const struct iovec *iov = &stream->write_iov;
	uint32_t i = tx->finished, count = 1;

	if (stream->rest_at < stream->rest_end) {
		stream->write_iov = (struct iovec){stream->rest + stream->rest_at,
						   stream->rest_end - stream->rest_at};
	} else {
		while (i < tx->batch && tx->slot[i].result)
			i++;
		if (i == tx->batch) {
			axvirtio_net_tx_end_batch(pair);
			return;
		}
		iov = tx->slot[i].iov;
		count = (uint32_t)(tx->iov + tx->vectors - iov);
	}
	tx->in_flight = 1;
	axvirtio_hold(&pair->net->device, net_tx_queue(pair));
	ax_op_writev(axvirtio_loop(&pair->net->device, net_tx_queue(pair)), &stream->write,
		     pair->fd, iov, count, AX_OP_NO_OFFSET, 0);
}

/* Which frames `bytes` of a write were; of one that is cut, the rest is put by. */
static void account(struct net_pair *pair, uint32_t bytes)
{
	struct net_stream *stream = pair->stream;
	struct net_tx *tx = &pair->tx;
	uint32_t i = tx->finished;

	for (; i < tx->batch && (bytes || tx->slot[i].result); i++) {
		struct net_tx_slot *slot = &tx->slot[i];
		const uint32_t total = PREFIX + slot->bytes;
		struct iov_cursor frame = {slot->iov, slot->vectors};

		if (slot->result)
			continue;
		slot->result = (int32_t)total;
		if (bytes < total) {
			iov_advance(&frame, IOV_SKIP, NULL, bytes);
			stream->rest_at = 0;
			stream->rest_end = (uint32_t)iov_advance(&frame, IOV_GATHER, stream->rest,
								 total - bytes);
			bytes = total;
		}
		bytes -= total;
	}
	axvirtio_net_tx_finish(pair, i);
}

static void on_written(struct ax_op *op, int32_t result)
{
	struct net_stream *stream = ax_container_of(op, struct net_stream, write);
	struct net_pair *pair = stream->pair;
	struct net_tx *tx = &pair->tx;

	tx->in_flight = 0;
	if (result == -EAGAIN || result == -EINTR) {
		axvirtio_net_arm(pair, pair->armed | EPOLLOUT);
	} else if (result < 0) {
		for (uint32_t i = tx->finished; i < tx->batch; i++)
			tx->slot[i].result = tx->slot[i].result ? tx->slot[i].result : result;
		stream->rest_end = stream->rest_at;
		axvirtio_net_link_down(pair->net);
		axvirtio_net_tx_end_batch(pair);
	} else {
		if (stream->rest_at < stream->rest_end)
			stream->rest_at += (uint32_t)result;
		else
			account(pair, (uint32_t)result);
		/* A write that was cut means that the socket is full. */
		if (stream->rest_at < stream->rest_end)
			axvirtio_net_arm(pair, pair->armed | EPOLLOUT);
		else
			advance(pair);
	}
	axvirtio_release(&pair->net->device, net_tx_queue(pair));
}

static int take_one(struct axvirtio *device, unsigned index)
{
	struct net *net = ax_container_of(device, struct net, device);
	struct net_tx_slot *slot;
	const int r = axvirtio_net_tx_take(&net->pair[index / 2], AX_OP_MAX_IOV, &slot);
	uint32_t prefix;

	if (r > 0 && !slot->result) {
		/* The header says nothing (it was checked), and gives its place to the length. */
		prefix = htobe32(slot->bytes);
		memcpy(&slot->header, &prefix, PREFIX);
		slot->iov[0].iov_len = PREFIX;
	}
	return r;
}

static void transmit(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;

	if (tx->in_flight || tx->batch)
		tx->again = true;
	else
		axvirtio_serve(&pair->net->device, net_tx_queue(pair), take_one);
	if (!tx->in_flight && (tx->batch || pair->stream->rest_at < pair->stream->rest_end))
		advance(pair);
}

/* ---- making ---------------------------------------------------------------------------------- */

const struct net_backend axvirtio_net_stream = {
	.receive = receive,
	.transmit = transmit,
};

int axvirtio_net_stream_open(struct net *net, struct ax_error *err)
{
	struct net_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for the frames of %s", net->name);
	stream->pair = &net->pair[0];
	stream->read.fn = on_read;
	stream->write.fn = on_written;
	net->pair[0].stream = stream;
	return 0;
}
