/*
 * Frames from the host, for backends of one frame a read (tap, packet socket): a batch of reads
 * goes straight into the driver's buffers, and what came is given to the driver in order when the
 * last of them has ended. -EAGAIN ends a batch and readiness begins the next, so that nothing is
 * read ahead: what there is no buffer for stays in the tap.
 *
 * How long the next frame is nobody knows. A read gets the chains that frames took of late, and a
 * spill behind them; what lands there is copied into further chains.
 */
#include "net.h"
#include <errno.h>
#include <sys/epoll.h>

#define BATCH_LIMITED 4U /* how far a batch may overdraw a rate limit, in frames */

/* ---- what came ------------------------------------------------------------------------------- */

void axvirtio_net_rx_fail(struct net_pair *pair, int code)
{
	struct net *net = pair->net;

	pair->rx.broken = true;
	axvirtio_net_arm(pair, pair->armed & ~(uint32_t)EPOLLIN);
	/* A queue that the driver has switched off answers so. */
	if (pair->index < atomic_load(&net->active_pairs))
		ax_log_limited(&net->log_limit, AX_LOG_WARN, LAYER, "%s: cannot receive%s%s: %s",
			       net->name, *net->tap ? " from " : "", net->tap, strerror(code));
}

static void accept_frame(struct net_pair *pair, const struct net_rx_slot *slot)
{
	struct net_rx *rx = &pair->rx;
	const uint32_t bytes = (uint32_t)slot->result - NET_HEADER;
	const uint32_t in_place = bytes < slot->room ? bytes : slot->room;
	const struct net_frame frame = {
		.header = slot->header,
		.first = slot->first,
		.own = slot->count,
		.in_place = in_place,
		.rest = rx->spill[slot - rx->slot],
		.rest_bytes = bytes - in_place,
	};

	/* One as long as all there was room for has been cut off. */
	if ((uint32_t)slot->result < NET_HEADER + ETHERNET || bytes >= NET_FRAME_MAX ||
	    !axvirtio_net_chains_deliver(pair, &frame)) {
		ax_counter_add(&rx->dropped, 1);
		return;
	}
	ax_counter_add(&rx->frames, 1);
	limit_charge(&pair->net->rx_limit, bytes);
}

/* Frames of the size seen get room at once; it is given back slowly. */
static void learn(struct net_rx *rx, uint32_t largest)
{
	const uint32_t less = rx->expect - rx->expect / 8;

	rx->expect = largest > less ? largest : less;
	if (rx->expect < NET_PLAIN_ROOM - NET_HEADER)
		rx->expect = NET_PLAIN_ROOM - NET_HEADER;
	if (rx->expect > NET_FRAME_MAX)
		rx->expect = NET_FRAME_MAX;
}

static void end_batch(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;
	uint32_t came = 0, largest = 0;
	bool hung_up = false;
	int code = 0;

	for (uint32_t i = 0; i < rx->batch; i++) {
		const struct net_rx_slot *slot = &rx->slot[i];

		if (slot->result > 0) {
			came++;
			accept_frame(pair, slot);
			if ((uint32_t)slot->result > largest)
				largest = (uint32_t)slot->result;
		} else if (slot->result == 0) {
			/* The end, or an empty datagram. */
			hung_up = rx->events & EPOLLHUP;
		} else if (slot->result != -EAGAIN && slot->result != -EINTR) {
			code = -slot->result;
		}
	}
	axvirtio_net_chains_compact(pair);
	if (came)
		learn(rx, largest);
	if (came < rx->batch)
		rx->batch_size = came > NET_BATCH_MIN ? came : NET_BATCH_MIN;
	else
		rx->batch_size = came < NET_BATCH / 2 ? 2 * came : NET_BATCH;
	rx->batch = 0;
	if (code == ECONNRESET || hung_up)
		axvirtio_net_link_down(pair->net);
	else if (code)
		axvirtio_net_rx_fail(pair, code);
}

static void on_read(struct ax_op *op, int32_t result)
{
	struct net_rx_slot *slot = ax_container_of(op, struct net_rx_slot, op);
	struct net_pair *pair = slot->pair;

	slot->result = result;
	if (--pair->rx.in_flight)
		return;
	end_batch(pair);
	axvirtio_release(&pair->net->device, net_rx_queue(pair));
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The vectors of `slot` from *iov on: header, chains, spill. Returns how many. */
static unsigned prepare(struct net_pair *pair, struct net_rx_slot *slot, struct iovec *iov)
{
	struct net_rx *rx = &pair->rx;
	const struct net_chains *chains = &rx->chains;
	const bool merging = net_has(pair->net, VIRTIO_NET_F_MRG_RXBUF);
	unsigned n = 0;

	slot->first = rx->reserved;
	slot->count = 0;
	slot->room = 0;
	iov[n++] = (struct iovec){&slot->header, NET_HEADER};
	while (slot->first + slot->count < chains->count && slot->room < rx->expect) {
		const struct net_chain *chain = &chains->chain[slot->first + slot->count];
		uint32_t skip = slot->count ? 0 : NET_HEADER, left = chain->bytes - skip;

		if (slot->count && (!merging || n + chain->count > AX_OP_MAX_IOV - 1))
			break;
		if (left > NET_FRAME_MAX - slot->room)
			left = NET_FRAME_MAX - slot->room;
		slot->room += left;
		slot->count++;
		for (uint32_t i = 0; i < chain->count && left; i++) {
			const struct iovec *from = &chains->iov[chain->first + i];
			size_t step = from->iov_len;

			if (skip >= step) {
				skip -= (uint32_t)step;
				continue;
			}
			step = step - skip < left ? step - skip : left;
			iov[n++] = (struct iovec){(uint8_t *)from->iov_base + skip, step};
			left -= (uint32_t)step;
			skip = 0;
		}
	}
	if (slot->room < NET_FRAME_MAX)
		iov[n++] = (struct iovec){rx->spill[slot - rx->slot], NET_FRAME_MAX - slot->room};
	return n;
}

static void begin_batch(struct net_pair *pair)
{
	struct axvirtio *device = &pair->net->device;
	struct net_rx *rx = &pair->rx;
	const bool limited = limit_active(&pair->net->rx_limit);
	const uint32_t most =
		limited && rx->batch_size > BATCH_LIMITED ? BATCH_LIMITED : rx->batch_size;
	unsigned vectors = 0;

	axvirtio_hold(device, net_rx_queue(pair));
	while (rx->batch < most && rx->reserved < rx->chains.count) {
		struct net_rx_slot *slot = &rx->slot[rx->batch];
		struct iovec *iov = &rx->iov[vectors];
		const unsigned count = prepare(pair, slot, iov);

		/* Behind the first, none that would have to do with a remnant. */
		if (rx->batch && slot->room < rx->expect &&
		    net_has(pair->net, VIRTIO_NET_F_MRG_RXBUF))
			break;
		rx->reserved += slot->count;
		vectors += count;
		rx->batch++;
		slot->pair = pair;
		slot->op.fn = on_read;
		ax_op_readv(axvirtio_loop(device, net_rx_queue(pair)), &slot->op, pair->fd, iov,
			    count, AX_OP_NO_OFFSET, 0);
	}
	rx->in_flight = rx->batch;
}

void axvirtio_net_rx_receive(struct net_pair *pair, uint32_t events)
{
	struct net *net = pair->net;
	struct net_rx *rx = &pair->rx;

	if (rx->in_flight)
		return;
	rx->events = events;
	if (!(events & EPOLLIN)) {
		if (events & EPOLLHUP)
			axvirtio_net_link_down(net);
		else
			axvirtio_net_rx_fail(pair, EIO);
	} else if (axvirtio_net_chains_ready(pair) <= 0 ||
		   !limit_may_take(&net->rx_limit, &rx->waiter)) {
		axvirtio_net_arm(pair, pair->armed & ~(uint32_t)EPOLLIN);
	} else {
		begin_batch(pair);
	}
}
