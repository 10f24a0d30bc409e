/*
 * Taking descriptor chains from the avail ring: the one place where what a guest put into a queue
 * is checked and turned into host vectors. Spec 2.7.4 - 2.7.6.
 * Nothing in guest memory is read twice, and every walk ends after at most 2 * size descriptors.
 */
#include "queue.h"

/* The table that is being walked: the queue's own, or one indirect table. */
struct table {
	const uint8_t *host; /* NULL: crosses regions, fetched by the address space instead */
	uint64_t gpa;
	uint32_t entries;
	bool indirect;
};

struct walk {
	const struct axvq *vq;
	struct axvq_chain *chain;
	unsigned iov_max;
	unsigned descriptors; /* that carry a buffer */
	bool writable_seen;
};

/* 16 bits of `next` cannot reach further into an indirect table. */
#define INDIRECT_MAX_ENTRIES 65536U
#define CHAIN_MAX_BYTES      (1ULL << 32)

static enum axvq_error fetch(const struct axvq *vq, const struct table *table, uint32_t index,
			     struct vring_desc *ret_desc)
{
	struct vring_desc copy;

	if (table->host) {
		ring_copy_desc(ret_desc, table->host + 16 * (size_t)index);
		return AXVQ_OK;
	}
	if (axas_read(vq->memory, table->gpa + 16 * (uint64_t)index, &copy, sizeof(copy)) < 0)
		return AXVQ_INDIRECT_OUTSIDE;
	ring_copy_desc(ret_desc, &copy);
	return AXVQ_OK;
}

static enum axvq_error enter_indirect(const struct axvq *vq, const struct vring_desc *desc,
				      struct table *table)
{
	uint64_t end;

	if (!vq->indirect)
		return AXVQ_INDIRECT_FEATURE;
	if (table->indirect)
		return AXVQ_INDIRECT_NESTED;
	if (desc->flags & VRING_DESC_F_NEXT)
		return AXVQ_INDIRECT_NEXT;
	if (!desc->len || desc->len % 16 || desc->len / 16 > INDIRECT_MAX_ENTRIES)
		return AXVQ_INDIRECT_LENGTH;
	if (ax_add_overflows(desc->addr, desc->len, &end))
		return AXVQ_INDIRECT_OUTSIDE;
	*table = (struct table){
		.host = axas_ptr(vq->memory, desc->addr, desc->len, AXAS_READ),
		.gpa = desc->addr,
		.entries = desc->len / 16,
		.indirect = true,
	};
	return AXVQ_OK;
}

static enum axvq_error add_buffer(struct walk *walk, const struct vring_desc *desc)
{
	const bool writable = desc->flags & VRING_DESC_F_WRITE;
	struct axvq_chain *chain = walk->chain;
	const unsigned used = chain->readable + chain->writable;
	int count;

	/* Loops need no bookkeeping: a chain that long is illegal anyway (2.7.5.2, 2.7.5.3.1). */
	if (++walk->descriptors > walk->vq->size)
		return AXVQ_LENGTH;
	if (!writable && walk->writable_seen)
		return AXVQ_ORDER;
	walk->writable_seen |= writable;
	if (!desc->len)
		return AXVQ_OK;
	if (chain->readable_bytes + chain->writable_bytes + desc->len > CHAIN_MAX_BYTES)
		return AXVQ_LENGTH;
	if (used >= walk->iov_max)
		return AXVQ_SEGMENTS;
	count = axas_iovec(walk->vq->memory, desc->addr, desc->len,
			   writable ? AXAS_WRITE : AXAS_READ, chain->iov + used,
			   (int)(walk->iov_max - used));
	if (count < 0)
		return count == -E2BIG ? AXVQ_SEGMENTS : AXVQ_ADDRESS;
	if (writable) {
		chain->writable += (uint32_t)count;
		chain->writable_bytes += desc->len;
	} else {
		chain->readable += (uint32_t)count;
		chain->readable_bytes += desc->len;
	}
	return AXVQ_OK;
}

static enum axvq_error walk_chain(struct walk *walk)
{
	const struct axvq *vq = walk->vq;
	struct table table = {.host = (const uint8_t *)vq->desc, .entries = vq->size};
	uint32_t index = walk->chain->head;

	for (;;) {
		struct vring_desc desc;
		enum axvq_error why = fetch(vq, &table, index, &desc);

		if (!why && (desc.flags & VRING_DESC_F_INDIRECT)) {
			why = enter_indirect(vq, &desc, &table);
			if (why)
				return why;
			index = 0;
			continue;
		}
		if (!why)
			why = add_buffer(walk, &desc);
		if (why || !(desc.flags & VRING_DESC_F_NEXT))
			return why;
		if (desc.next >= table.entries)
			return AXVQ_NEXT;
		index = desc.next;
	}
}

static int break_queue(struct axvq *vq, enum axvq_error why)
{
	vq->broken = why;
	return -EPROTO;
}

int axvq_pop(struct axvq *vq, struct iovec *iov, unsigned iov_max, struct axvq_chain *ret_chain)
{
	struct axvq_chain chain = {.iov = iov};
	struct walk walk = {.vq = vq, .chain = &chain, .iov_max = iov_max};
	enum axvq_error why;

	if (vq->broken)
		return -EPROTO;
	if (!vq->size)
		return 0;
	if (vq->next_avail == vq->seen_avail) {
		/* Acquire: what the index covers is read after it (2.7.13.3.1). */
		const uint16_t idx = ring_load_acquire(&vq->avail->idx);

		/* Against what the driver has been shown, so that chains in flight, too, never
		 * exceed the queue size; this also bounds the device's pool of requests. */
		if ((uint16_t)(idx - vq->shown_used) > vq->size ||
		    (uint16_t)(idx - vq->next_avail) > vq->size)
			return break_queue(vq, AXVQ_AVAIL_JUMP);
		vq->seen_avail = idx;
		if (idx == vq->next_avail)
			return 0;
	}
	chain.head = ring_load(&vq->avail->ring[vq->next_avail & (vq->size - 1)]);
	if (chain.head >= vq->size)
		return break_queue(vq, AXVQ_HEAD);
	why = walk_chain(&walk);
	if (why)
		return break_queue(vq, why);
	vq->next_avail++;
	*ret_chain = chain;
	return 1;
}
