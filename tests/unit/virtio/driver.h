/*
 * A virtio driver as the specification describes it, for tests: it builds rings in guest memory,
 * knows the register protocol of virtio-mmio, and shares no code with the device under test.
 * Single-file on purpose: every test executable includes it.
 */
#ifndef AXVM_TEST_VIRTIO_DRIVER_H
#define AXVM_TEST_VIRTIO_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>
#include <axvm/virtio_devices.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define UNUSED __attribute__((unused))

/* ---- a machine: two adjacent regions of RAM, a hole, a read-only page, an interrupt chip ----- */

#define RAM0_GPA   0x0ULL
#define RAM1_GPA   0x100000ULL /* adjacent to RAM0: buffers may cross */
#define RAM_BYTES  0x100000ULL
#define HOLE_GPA   0x200000ULL
#define ROM_GPA    0x400000ULL
#define ROM_BYTES  0x1000ULL
#define WINDOW_GPA 0xd0000000ULL
#define GSI        5

struct machine {
	struct axas *memory;
	struct axirq_domain *irqs;
	struct axdev_services services;
	_Atomic unsigned pulses;
};

static int count_level(void *ctx, uint32_t gsi, bool level)
{
	struct machine *m = ctx;

	assert_int_equal(gsi, GSI);
	m->pulses += level;
	return 0;
}

static void map_ram(struct machine *m, const char *name, uint64_t gpa, uint64_t bytes)
{
	const struct axas_region_config config = {
		.name = name,
		.gpa = gpa,
		.size_bytes = bytes,
		.type = AXAS_MAP_ALLOC,
		.backing = AXAS_BACKING_ANON,
		.flags = AXAS_RW,
		.fd = -1,
	};

	assert_int_equal(axas_map(m->memory, &config, NULL), 0);
}

static UNUSED void machine_init(struct machine *m)
{
	const struct axirq_chip chip = {
		.set_level = count_level,
		.gsi_first = 0,
		.gsi_count = 24,
		.ctx = m,
	};

	memset(m, 0, sizeof(*m));
	assert_int_equal(axas_create(0, NULL, &m->memory, NULL), 0);
	map_ram(m, "ram0", RAM0_GPA, RAM_BYTES);
	map_ram(m, "ram1", RAM1_GPA, RAM_BYTES);
	map_ram(m, "rom", ROM_GPA, ROM_BYTES);
	assert_int_equal(axas_protect(m->memory, ROM_GPA, ROM_BYTES, AXAS_READ, NULL), 0);
	assert_int_equal(axirq_domain_create(&chip, &m->irqs, NULL), 0);
	m->services.memory = m->memory;
	m->services.irqs = m->irqs;
}

static UNUSED void machine_finish(struct machine *m)
{
	axirq_domain_destroy(m->irqs);
	axas_destroy(m->memory);
}

/* Guest memory as the guest sees it. */
static inline void *guest(const struct machine *m, uint64_t gpa, uint64_t len)
{
	void *p = axas_ptr(m->memory, gpa, len, AXAS_READ);

	assert_non_null(p);
	return p;
}

/* ---- a driver's side of one ring (2.7) ------------------------------------------------------- */

struct ring {
	struct machine *m;
	uint16_t size;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	struct vring_desc *desc;
	uint16_t *avail; /* flags, idx, ring[size], used_event */
	uint16_t *used;  /* flags, idx, then elements, then avail_event */
	uint16_t avail_idx;
	uint16_t used_idx; /* consumed */
	uint16_t free_desc;
};

/* Lay a ring out from gpa on (4 KiB aligned, at most three pages for size <= 256). */
static UNUSED void ring_init(struct ring *r, struct machine *m, uint64_t gpa, uint16_t size)
{
	memset(r, 0, sizeof(*r));
	r->m = m;
	r->size = size;
	r->desc_gpa = gpa;
	r->avail_gpa = gpa + 16ULL * size;
	r->used_gpa = (r->avail_gpa + 6 + 2ULL * size + 3) & ~3ULL;
	r->desc = guest(m, r->desc_gpa, 16ULL * size);
	r->avail = guest(m, r->avail_gpa, 6 + 2ULL * size);
	r->used = guest(m, r->used_gpa, 6 + 8ULL * size);
	memset(r->desc, 0, 16ULL * size);
	memset(r->avail, 0, 6 + 2ULL * size);
	memset(r->used, 0, 6 + 8ULL * size);
}

static UNUSED struct axvq_setup ring_setup(const struct ring *r)
{
	return (struct axvq_setup){
		.desc_gpa = r->desc_gpa,
		.avail_gpa = r->avail_gpa,
		.used_gpa = r->used_gpa,
		.size = r->size,
	};
}

static UNUSED void set_desc(struct ring *r, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
			    uint16_t next)
{
	r->desc[i] = (struct vring_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

static UNUSED void offer_hidden(struct ring *r, uint16_t head)
{
	__atomic_store_n(&r->avail[2 + r->avail_idx % r->size], head, __ATOMIC_RELAXED);
	r->avail_idx++;
}

static UNUSED void offer(struct ring *r, uint16_t head)
{
	offer_hidden(r, head);
	__atomic_store_n(&r->avail[1], r->avail_idx, __ATOMIC_RELEASE);
}

static UNUSED uint16_t used_shown(const struct ring *r)
{
	return __atomic_load_n(&r->used[1], __ATOMIC_ACQUIRE);
}

/* false: nothing new, and both are 0. */
static UNUSED bool take_used(struct ring *r, uint32_t *ret_id, uint32_t *ret_len)
{
	const uint8_t *elem = (const uint8_t *)r->used + 4 + 8u * (r->used_idx % r->size);

	*ret_id = *ret_len = 0;
	if (used_shown(r) == r->used_idx)
		return false;
	memcpy(ret_id, elem, 4);
	memcpy(ret_len, elem + 4, 4);
	r->used_idx++;
	return true;
}

static UNUSED uint16_t *driver_used_event(struct ring *r)
{
	return &r->avail[2 + r->size];
}

static UNUSED uint16_t driver_avail_event(const struct ring *r)
{
	return __atomic_load_n(&r->used[2 + 4 * r->size], __ATOMIC_RELAXED);
}

struct buffer {
	uint64_t gpa;
	uint32_t len;
	bool write;
};

/* Chain buffers in consecutive descriptors (wrapping) and offer them. Returns the head. */
static UNUSED uint16_t offer_chain(struct ring *r, const struct buffer *b, unsigned count)
{
	const uint16_t head = r->free_desc;

	for (unsigned i = 0; i < count; i++) {
		const uint16_t d = (uint16_t)((head + i) % r->size);

		set_desc(r, d, b[i].gpa, b[i].len,
			 (uint16_t)((b[i].write ? VRING_DESC_F_WRITE : 0) |
				    (i + 1 < count ? VRING_DESC_F_NEXT : 0)),
			 (uint16_t)((d + 1) % r->size));
	}
	r->free_desc = (uint16_t)((head + count) % r->size);
	offer(r, head);
	return head;
}

/* ---- registers ------------------------------------------------------------------------------- */

static UNUSED enum axdev_result reg_access(struct axdev *dev, uint64_t offset, unsigned width,
					   bool write, uint64_t *value)
{
	struct axdev_access access = {
		.space = AXDEV_MMIO,
		.offset = offset,
		.width = (uint8_t)width,
		.is_write = write,
		.value = write ? *value : 0,
	};
	enum axdev_result r = dev->ops->access(dev, &access);

	*value = access.value;
	return r;
}

static UNUSED uint32_t rd(struct axdev *dev, uint64_t offset)
{
	uint64_t value = 0;

	assert_int_equal(reg_access(dev, offset, 4, false, &value), AXDEV_HANDLED);
	return (uint32_t)value;
}

static UNUSED void wr(struct axdev *dev, uint64_t offset, uint32_t v)
{
	uint64_t value = v;

	assert_int_equal(reg_access(dev, offset, 4, true, &value), AXDEV_HANDLED);
}

static UNUSED uint64_t offered(struct axdev *dev)
{
	uint64_t bits;

	wr(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	bits = (uint64_t)rd(dev, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	wr(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return bits | rd(dev, VIRTIO_MMIO_DEVICE_FEATURES);
}

#define ST_ACK    1U
#define ST_DRIVER 2U
#define ST_OK     4U
#define ST_FEAT   8U
#define ST_RESET  64U
#define ST_FAILED 128U

/* Steps 1-6 of 3.1.1. */
static UNUSED void negotiate(struct axdev *dev, uint64_t features)
{
	wr(dev, VIRTIO_MMIO_STATUS, 0);
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK);
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	wr(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT);
}

static UNUSED void write_setup(struct axdev *dev, unsigned queue, const struct axvq_setup *s)
{
	wr(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
	wr(dev, VIRTIO_MMIO_QUEUE_NUM, s->size);
	wr(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)s->desc_gpa);
	wr(dev, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(s->desc_gpa >> 32));
	wr(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)s->avail_gpa);
	wr(dev, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(s->avail_gpa >> 32));
	wr(dev, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)s->used_gpa);
	wr(dev, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(s->used_gpa >> 32));
}

/* Steps 7-8: queue 0 from the ring, DRIVER_OK. */
static UNUSED void start_queue(struct axdev *dev, const struct ring *r)
{
	const struct axvq_setup setup = ring_setup(r);

	write_setup(dev, 0, &setup);
	wr(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	wr(dev, VIRTIO_MMIO_STATUS, ST_ACK | ST_DRIVER | ST_FEAT | ST_OK);
}

#define F_VERSION_1 (1ULL << VIRTIO_F_VERSION_1)
#define F_EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define F_INDIRECT  (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

#endif
