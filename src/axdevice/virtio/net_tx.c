/*
 * Packets from the guest: taken from the queue, checked, and, for backends of one frame a write,
 * begun as one write each, straight from the guest's pages. A batch is given back in order when the
 * last of it has ended. The host not taking a packet loses that packet, as a wire would; it is
 * counted and nothing else happens.
 */
#include "net.h"
#include <errno.h>

int axvirtio_net_tx_take(struct net_pair *pair, uint32_t vector_max, struct net_tx_slot **ret_slot)
{
	struct net *net = pair->net;
	struct net_tx *tx = &pair->tx;
	struct net_tx_slot *slot = &tx->slot[tx->batch];
	struct iovec *iov = &tx->iov[tx->vectors];
	struct iov_cursor frame;
	struct axvq_chain chain;
	uint64_t bytes;
	int r;

	if (tx->batch == NET_BATCH || tx->vectors + NET_IOV + 1 > vector_max) {
		tx->again = true;
		return -EBUSY;
	}
	if (!limit_may_take(&net->tx_limit, &tx->waiter))
		return -EAGAIN; /* its timer will kick */
	r = axvirtio_pop(&net->device, net_tx_queue(pair), iov + 1, NET_IOV, &chain);
	if (r <= 0)
		return r;
	tx->batch++;
	slot->pair = pair;
	slot->head = chain.head;
	slot->result = -EINVAL;
	bytes = chain.readable_bytes > NET_HEADER ? chain.readable_bytes - NET_HEADER : 0;
	slot->bytes = bytes <= NET_FRAME_MAX ? (uint32_t)bytes : 0;
	limit_charge(&net->tx_limit, slot->bytes);
	/* The header need not be alone in its descriptor (2.7.4.1), nor in one. */
	frame = (struct iov_cursor){chain.iov, chain.readable};
	*ret_slot = slot;
	if (slot->bytes < ETHERNET ||
	    iov_advance(&frame, IOV_GATHER, &slot->header, NET_HEADER) < NET_HEADER ||
	    !axvirtio_net_header_from_guest(net, &slot->header, slot->bytes))
		return 1;
	memmove(iov + 1, frame.iov, frame.count * sizeof(*iov));
	iov[0] = (struct iovec){&slot->header, NET_HEADER};
	slot->iov = iov;
	slot->vectors = frame.count + 1;
	slot->result = 0;
	if (atomic_load(&net->link_down) || pair->index >= atomic_load(&net->active_pairs))
		slot->result = -ENETDOWN;
	else
		tx->vectors += slot->vectors;
	return 1;
}

void axvirtio_net_tx_finish(struct net_pair *pair, uint32_t count)
{
	struct axvirtio *device = &pair->net->device;
	struct net_tx *tx = &pair->tx;

	for (; tx->finished < count; tx->finished++) {
		const struct net_tx_slot *slot = &tx->slot[tx->finished];
		const bool sent = slot->result > 0;

		if (!sent) {
			ax_counter_add(&tx->dropped, 1);
			axvirtio_count_error(device, net_tx_queue(pair));
		} else {
			ax_counter_add(&tx->frames, 1);
		}
		axvirtio_push(device, net_tx_queue(pair), slot->head, 0, sent ? slot->bytes : 0);
	}
}

void axvirtio_net_tx_end_batch(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;

	axvirtio_net_tx_finish(pair, tx->batch);
	tx->batch = 0;
	tx->finished = 0;
	tx->vectors = 0;
	if (tx->again)
		axvirtio_wake(&pair->net->device, net_tx_queue(pair));
	tx->again = false;
}

/* ---- one write each -------------------------------------------------------------------------- */

static void on_written(struct ax_op *op, int32_t result)
{
	struct net_tx_slot *slot = ax_container_of(op, struct net_tx_slot, op);
	struct net_pair *pair = slot->pair;

	slot->result = result;
	if (--pair->tx.in_flight)
		return;
	axvirtio_net_tx_end_batch(pair);
	axvirtio_release(&pair->net->device, net_tx_queue(pair));
}

static int send_one(struct axvirtio *device, unsigned index)
{
	struct net *net = ax_container_of(device, struct net, device);
	struct net_pair *pair = &net->pair[index / 2];
	struct net_tx_slot *slot;
	int r = axvirtio_net_tx_take(pair, NET_VECTORS, &slot);

	if (r <= 0 || slot->result)
		return r;
	if (!pair->tx.in_flight++)
		axvirtio_hold(device, index);
	slot->op.fn = on_written;
	ax_op_writev(axvirtio_loop(device, index), &slot->op, pair->fd, slot->iov, slot->vectors,
		     AX_OP_NO_OFFSET, 0);
	return r;
}

void axvirtio_net_tx_transmit(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;

	if (tx->in_flight) {
		tx->again = true;
		return;
	}
	axvirtio_serve(&pair->net->device, net_tx_queue(pair), send_one);
	if (tx->batch && !tx->in_flight)
		axvirtio_net_tx_end_batch(pair);
}
