/*
 * The split virtqueue's life and its used side: checking and latching what the driver programmed,
 * giving chains back, and asking or being asked for notifications. Spec 2.7.
 * Taking chains, where nearly all checks on guest data stand, is chain.c.
 */
#include "queue.h"

static const char *const error_names[AXVQ_ERROR_COUNT] = {
	[AXVQ_OK] = "ok",
	[AXVQ_SIZE] = "size",
	[AXVQ_ALIGNMENT] = "alignment",
	[AXVQ_RING_OUTSIDE] = "ring-outside",
	[AXVQ_RING_OVERLAP] = "ring-overlap",
	[AXVQ_AVAIL_JUMP] = "avail-jump",
	[AXVQ_HEAD] = "head",
	[AXVQ_NEXT] = "next",
	[AXVQ_LENGTH] = "length",
	[AXVQ_INDIRECT_FEATURE] = "indirect-feature",
	[AXVQ_INDIRECT_NESTED] = "indirect-nested",
	[AXVQ_INDIRECT_NEXT] = "indirect-next",
	[AXVQ_INDIRECT_LENGTH] = "indirect-length",
	[AXVQ_INDIRECT_OUTSIDE] = "indirect-outside",
	[AXVQ_ADDRESS] = "address",
	[AXVQ_ORDER] = "order",
	[AXVQ_SEGMENTS] = "segments",
	[AXVQ_PROTOCOL] = "protocol",
};

const char *axvq_error_name(enum axvq_error error)
{
	if ((unsigned)error >= AXVQ_ERROR_COUNT || !error_names[error])
		return "unknown";
	return error_names[error];
}

/* ---- start and stop -------------------------------------------------------------------------- */

struct area {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t align;
	uint32_t access;
};

static enum axvq_error check_areas(const struct area *area, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t end;

		if (area[i].gpa & (area[i].align - 1))
			return AXVQ_ALIGNMENT;
		if (ax_add_overflows(area[i].gpa, area[i].bytes, &end))
			return AXVQ_RING_OUTSIDE;
		for (size_t k = 0; k < i; k++) {
			if (area[k].gpa < end && area[i].gpa < area[k].gpa + area[k].bytes)
				return AXVQ_RING_OVERLAP;
		}
	}
	return AXVQ_OK;
}

int axvq_start(struct axvq *vq, const struct axas *memory, const struct axvq_setup *setup,
	       uint32_t max_size, uint64_t features, enum axvq_error *ret_why)
{
	const uint64_t n = setup->size;
	const bool event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	/* Without EVENT_IDX a driver need not allocate the word behind the ring. */
	const uint64_t event_bytes = event_idx ? 2 : 0;
	const struct area area[] = {
		{setup->desc_gpa, 16 * n, 16, AXAS_READ},
		{setup->avail_gpa, 4 + 2 * n + event_bytes, 2, AXAS_READ},
		{setup->used_gpa, 4 + 8 * n + event_bytes, 4, AXAS_RW},
	};
	void *host[AX_ARRAY_LEN(area)];
	enum axvq_error why = AXVQ_OK;

	axvq_stop(vq);
	if (!ax_is_power_of_two(n) || n > max_size || n > AXVIRTIO_MAX_QUEUE_SIZE)
		why = AXVQ_SIZE;
	else
		why = check_areas(area, AX_ARRAY_LEN(area));
	for (size_t i = 0; !why && i < AX_ARRAY_LEN(area); i++) {
		host[i] = axas_ptr(memory, area[i].gpa, area[i].bytes, area[i].access);
		if (!host[i])
			why = AXVQ_RING_OUTSIDE;
	}
	if (why) {
		*ret_why = why;
		return -EPROTO;
	}
	vq->memory = memory;
	vq->desc = host[0];
	vq->avail = host[1];
	vq->used = host[2];
	vq->size = setup->size;
	vq->event_idx = event_idx;
	vq->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	return 0;
}

void axvq_stop(struct axvq *vq)
{
	*vq = (struct axvq){0};
}

/* ---- giving chains back ---------------------------------------------------------------------- */

/* The event words stand right behind the ring entries (2.7.6, 2.7.8). */
static uint16_t *used_event(const struct axvq *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *avail_event(const struct axvq *vq)
{
	return (uint16_t *)(void *)&vq->used->ring[vq->size];
}

void axvq_push(struct axvq *vq, uint16_t head, uint32_t written_bytes)
{
	struct vring_used_elem *elem;

	if (!vq->size || vq->broken)
		return;
	elem = &vq->used->ring[vq->next_used & (vq->size - 1)];
	elem->id = htole32(head);
	elem->len = htole32(written_bytes);
	vq->next_used++;
}

bool axvq_publish(struct axvq *vq)
{
	const uint16_t old = vq->shown_used;

	if (!vq->size || vq->broken || vq->next_used == old)
		return false;
	/* Release: a driver that sees the index sees the entries and the data (2.7.13.3.1). */
	ring_store_release(&vq->used->idx, vq->next_used);
	vq->shown_used = vq->next_used;
	/* The driver stores used_event, fences, and looks at used.idx; we do the reverse. Without a
	 * fence on both sides each may miss the other's store, and the guest sleeps for ever. */
	ring_fence();
	if (vq->event_idx)
		return vring_need_event(ring_load(used_event(vq)), vq->next_used, old);
	return !(ring_load(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

void axvq_unpop(struct axvq *vq)
{
	if (vq->size && !vq->broken)
		vq->next_avail--;
}

/* ---- kicks ----------------------------------------------------------------------------------- */

void axvq_disable_kicks(struct axvq *vq)
{
	if (!vq->size || vq->broken)
		return;
	/* With EVENT_IDX the stale avail_event, which the driver has passed, says the same. */
	if (!vq->event_idx)
		ring_store(&vq->used->flags, VRING_USED_F_NO_NOTIFY);
}

bool axvq_enable_kicks(struct axvq *vq)
{
	if (!vq->size || vq->broken)
		return false;
	if (vq->event_idx)
		ring_store(avail_event(vq), vq->next_avail);
	else
		ring_store(&vq->used->flags, 0);
	/* Pairs with the driver's fence between its store of avail.idx and its look at our wish. */
	ring_fence();
	return ring_load(&vq->avail->idx) != vq->next_avail;
}

bool axvq_has_chains(const struct axvq *vq)
{
	if (!vq->size || vq->broken)
		return false;
	return vq->next_avail != vq->seen_avail || ring_load(&vq->avail->idx) != vq->next_avail;
}
