/*
 * Receive buffers of a virtio-net queue: chains taken from the driver and kept in its order until a
 * frame fills them, and how a frame is laid over them (Spec 5.1.6.3, 5.1.6.4). Reading frames is
 * net_rx.c's and net_stream.c's.
 */
#include "net.h"
#include <endian.h>
#include <errno.h>

static bool merges(const struct net_pair *pair)
{
	return net_has(pair->net, VIRTIO_NET_F_MRG_RXBUF);
}

/* ---- taking ---------------------------------------------------------------------------------- */

static bool is_full(const struct net_chains *chains)
{
	return chains->count == NET_QUEUE_SIZE || chains->vectors + NET_IOV > NET_VECTORS;
}

static void add_chain(struct net_chains *chains, const struct axvq_chain *from)
{
	struct net_chain *chain = &chains->chain[chains->count++];
	const uint64_t most = NET_HEADER + NET_FRAME_MAX;

	*chain = (struct net_chain){
		.first = chains->vectors,
		.count = from->writable,
		/* Whatever a buffer has more than the largest frame is never used. */
		.bytes = (uint32_t)(from->writable_bytes < most ? from->writable_bytes : most),
		.head = from->head,
	};
	/* What a driver lets us read in a receive buffer is of no interest. */
	if (from->readable)
		memmove(from->iov, from->iov + from->readable, from->writable * sizeof(*from->iov));
	chains->vectors += from->writable;
	chains->bytes += chain->bytes;
	if (chains->bytes > chains->most_bytes)
		chains->most_bytes = chains->bytes;
}

/* Take what there is: how many, or -EPROTO. */
static int fill(struct net_pair *pair)
{
	struct axvirtio *device = &pair->net->device;
	struct net_chains *chains = &pair->rx.chains;
	struct axvq_chain chain;
	int taken = 0;

	while (!is_full(chains)) {
		const int r = axvirtio_pop(device, net_rx_queue(pair),
					   chains->iov + chains->vectors, NET_IOV, &chain);

		if (r <= 0)
			return r < 0 ? r : taken;
		/* Each buffer has room for the header at least (5.1.6.3.1). */
		if (chain.writable_bytes < NET_HEADER) {
			axvirtio_fail(device, net_rx_queue(pair), AXVQ_PROTOCOL);
			return -EPROTO;
		}
		add_chain(chains, &chain);
		taken++;
	}
	return taken;
}

/*
 * A frame that finds too little room is lost, so reading waits for what the next one is expected to
 * need. But never for more than a quarter of what this driver has offered before: one that refills
 * its queue late, or whose queue is small, would be waited for in vain.
 */
static bool is_enough(const struct net_rx *rx, bool merging)
{
	const uint64_t expect = NET_HEADER + rx->expect;
	const uint64_t quarter = rx->chains.most_bytes / 4;

	if (!rx->chains.count)
		return false;
	return !merging || is_full(&rx->chains) ||
	       rx->chains.bytes >= (expect < quarter ? expect : quarter);
}

int axvirtio_net_chains_ready(struct net_pair *pair)
{
	struct axvirtio *device = &pair->net->device;
	const unsigned queue = net_rx_queue(pair);

	for (;;) {
		const int r = fill(pair);

		if (r < 0)
			return r;
		if (is_enough(&pair->rx, merges(pair))) {
			axvirtio_want_kicks(device, queue, false);
			return 1;
		}
		if (!axvirtio_want_kicks(device, queue, true))
			return 0;
		/* They came before the driver could see that we want a kick, and none will come for
		 * them. Or they cannot be taken, as a reset waits: so not again before the loop has
		 * been round. */
		if (!r) {
			axvirtio_wake(device, queue);
			return 0;
		}
	}
}

void axvirtio_net_chains_compact(struct net_pair *pair)
{
	struct net_chains *chains = &pair->rx.chains;
	uint32_t count = 0, vectors = 0;

	for (uint32_t i = 0; i < chains->count; i++) {
		struct net_chain chain = chains->chain[i];

		if (chain.used)
			continue;
		memmove(&chains->iov[vectors], &chains->iov[chain.first],
			chain.count * sizeof(chains->iov[0]));
		chain.first = vectors;
		vectors += chain.count;
		chains->chain[count++] = chain;
	}
	chains->count = count;
	chains->vectors = vectors;
	pair->rx.reserved = 0;
}

/* ---- filling --------------------------------------------------------------------------------- */

/* The chains of one frame: those its read had, then such as no read has. */
struct layout {
	uint32_t first, own; /* own: how many from first on */
	uint32_t extra;      /* the first of the others */
	uint32_t count;
};

/* Where chain `i` of it is in hand; there may be none. */
static uint32_t place_of(const struct layout *layout, uint32_t i)
{
	return i < layout->own ? layout->first + i : layout->extra + i - layout->own;
}

static bool lay_out(struct net_pair *pair, struct layout *layout, uint32_t bytes)
{
	const struct net_chains *chains = &pair->rx.chains;
	const uint32_t most = merges(pair) ? UINT16_MAX : 1;

	for (layout->count = 0; bytes; layout->count++) {
		const uint32_t at = place_of(layout, layout->count);

		if (at >= chains->count || layout->count == most)
			return false;
		bytes -= chains->chain[at].bytes < bytes ? chains->chain[at].bytes : bytes;
	}
	return true;
}

/* Where bytes [from, from + count) of a chain lie, piece by piece. */
struct span {
	uint32_t from, count; /* of what is still to come */
	uint32_t index;
};

static bool next_piece(const struct net_chains *chains, const struct net_chain *chain,
		       struct span *span, struct iovec *ret_piece)
{
	while (span->index < chain->count && span->count) {
		const struct iovec *iov = &chains->iov[chain->first + span->index++];
		const size_t skip = span->from < iov->iov_len ? span->from : iov->iov_len;
		const size_t rest = iov->iov_len - skip;
		const size_t bytes = rest < span->count ? rest : span->count;

		span->from -= (uint32_t)skip;
		span->count -= (uint32_t)bytes;
		*ret_piece = (struct iovec){(uint8_t *)iov->iov_base + skip, bytes};
		if (bytes)
			return true;
	}
	return false;
}

static void sum_up(const struct net_chains *chains, const struct net_chain *chain, uint32_t from,
		   uint32_t count, struct net_sum *sum)
{
	struct span span = {.from = from, .count = count};
	struct iovec piece;

	while (next_piece(chains, chain, &span, &piece))
		axvirtio_net_sum(sum, piece.iov_base, (uint32_t)piece.iov_len);
}

static void copy_to(const struct net_chains *chains, const struct net_chain *chain, uint32_t from,
		    const void *bytes, uint32_t count)
{
	struct span span = {.from = from, .count = count};
	const uint8_t *source = bytes;
	struct iovec piece;

	while (next_piece(chains, chain, &span, &piece)) {
		memcpy(piece.iov_base, source, piece.iov_len);
		source += piece.iov_len;
	}
}

static void checksum(struct net_pair *pair, const struct layout *layout,
		     const struct virtio_net_hdr_v1 *header, uint32_t bytes)
{
	const struct net_chains *chains = &pair->rx.chains;
	struct net_sum sum = axvirtio_net_sum_begin(header);

	for (unsigned pass = 0; pass < 2; pass++) {
		uint32_t left = bytes;

		for (uint32_t i = 0; i < layout->count; i++) {
			const struct net_chain *chain = &chains->chain[place_of(layout, i)];
			const uint32_t from = i ? 0 : NET_HEADER;
			const uint32_t room = chain->bytes - from;
			const uint32_t step = left < room ? left : room;

			sum_up(chains, chain, from, step, &sum);
			left -= step;
		}
		axvirtio_net_sum_end_pass(&sum);
	}
}

bool axvirtio_net_chains_deliver(struct net_pair *pair, const struct net_frame *frame)
{
	struct net *net = pair->net;
	struct net_rx *rx = &pair->rx;
	struct net_chains *chains = &rx->chains;
	const uint32_t frame_bytes = frame->in_place + frame->rest_bytes;
	const uint32_t total = NET_HEADER + frame_bytes;
	const uint32_t in_place = NET_HEADER + frame->in_place;
	struct layout layout = {frame->first, frame->own, rx->reserved, 0};
	struct virtio_net_hdr_v1 header = frame->header;
	bool needs_checksum = false;
	uint32_t at = 0;

	if (!axvirtio_net_header_to_guest(net, &header, frame_bytes, &needs_checksum) ||
	    !lay_out(pair, &layout, total))
		return false;
	for (uint32_t i = 0; i < layout.count; i++) {
		const struct net_chain *chain = &chains->chain[place_of(&layout, i)];
		const uint32_t bytes = chain->bytes < total - at ? chain->bytes : total - at;
		const uint32_t skip = in_place <= at ? 0 : in_place - at;

		if (skip < bytes)
			copy_to(chains, chain, skip, frame->rest + (at + skip - in_place),
				bytes - skip);
		at += bytes;
	}
	if (needs_checksum)
		checksum(pair, &layout, &frame->header, frame_bytes);
	/* Set to 1 even when buffers are not merged (5.1.6.4.1). */
	header.num_buffers = htole16((uint16_t)layout.count);
	copy_to(chains, &chains->chain[place_of(&layout, 0)], 0, &header, NET_HEADER);
	at = 0;
	for (uint32_t i = 0; i < layout.count; i++) {
		struct net_chain *chain = &chains->chain[place_of(&layout, i)];
		const uint32_t bytes = chain->bytes < total - at ? chain->bytes : total - at;

		axvirtio_push(&net->device, net_rx_queue(pair), chain->head, bytes,
			      i ? bytes : bytes - NET_HEADER);
		chain->used = true;
		chains->bytes -= chain->bytes;
		at += bytes;
	}
	if (layout.count > layout.own)
		rx->reserved += layout.count - layout.own;
	return true;
}
