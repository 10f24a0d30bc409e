/*
 * The smallest virtio driver there is, as a program of the fake's guest: finds the entropy device
 * in the first slot, asks for random bytes twice - once with an interrupt, once without - and
 * panics the machine if an answer is not what the specification says.
 */
#ifndef AXVM_TESTS_RNG_DRIVER_H
#define AXVM_TESTS_RNG_DRIVER_H

#include "arch/generic/generic.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#define RNG_REQUESTS 2
#define RNG_BYTES    64
#define RNG_DESC     0x10000ULL
#define RNG_AVAIL    0x11000ULL
#define RNG_USED     0x12000ULL
#define RNG_BUFFER   0x13000ULL

static inline uint32_t rng_get(struct generic_guest *guest, uint32_t reg)
{
	return (uint32_t)generic_guest_load(guest, GENERIC_DEVICE_GPA + reg, 4);
}

static inline void rng_set(struct generic_guest *guest, uint32_t reg, uint32_t value)
{
	generic_guest_store(guest, GENERIC_DEVICE_GPA + reg, 4, value);
}

static inline void rng_expect(struct generic_guest *guest, bool condition)
{
	if (!condition)
		generic_guest_out(guest, GENERIC_PANIC_PORT, 1, 1);
}

static inline void rng_set_up(struct generic_guest *guest)
{
	rng_expect(guest, rng_get(guest, VIRTIO_MMIO_MAGIC_VALUE) == 0x74726976);
	rng_expect(guest, rng_get(guest, VIRTIO_MMIO_VERSION) == 2);
	rng_expect(guest, rng_get(guest, VIRTIO_MMIO_DEVICE_ID) == 4);
	rng_set(guest, VIRTIO_MMIO_STATUS, 0);
	rng_set(guest, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	rng_set(guest, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	rng_set(guest, VIRTIO_MMIO_DRIVER_FEATURES, 1u << (VIRTIO_F_VERSION_1 - 32));
	rng_set(guest, VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	rng_expect(guest, rng_get(guest, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK);
	rng_set(guest, VIRTIO_MMIO_QUEUE_SEL, 0);
	rng_set(guest, VIRTIO_MMIO_QUEUE_NUM, 2);
	rng_set(guest, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)RNG_DESC);
	rng_set(guest, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)RNG_AVAIL);
	rng_set(guest, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)RNG_USED);
	rng_set(guest, VIRTIO_MMIO_QUEUE_READY, 1);
	rng_set(guest, VIRTIO_MMIO_STATUS,
		VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
			VIRTIO_CONFIG_S_DRIVER_OK);
}

static inline void rng_ask(struct generic_guest *guest, uint16_t request, bool quiet)
{
	generic_guest_store(guest, RNG_DESC, 8, RNG_BUFFER);
	generic_guest_store(guest, RNG_DESC + 8, 4, RNG_BYTES);
	generic_guest_store(guest, RNG_DESC + 12, 2, VRING_DESC_F_WRITE);
	generic_guest_store(guest, RNG_AVAIL, 2, quiet ? VRING_AVAIL_F_NO_INTERRUPT : 0);
	generic_guest_store(guest, RNG_AVAIL + 4 + 2 * (request % 2), 2, 0);
	generic_guest_store(guest, RNG_AVAIL + 2, 2, request + 1);
	rng_set(guest, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	if (!quiet) {
		generic_guest_wait_irq(guest, GENERIC_FIRST_GSI);
		rng_set(guest, VIRTIO_MMIO_INTERRUPT_ACK,
			rng_get(guest, VIRTIO_MMIO_INTERRUPT_STATUS));
	}
	while (generic_guest_load(guest, RNG_USED + 2, 2) != (uint64_t)request + 1)
		generic_guest_relax(guest);
	rng_expect(guest,
		   generic_guest_load(guest, RNG_USED + 4 + 8 * (request % 2) + 4, 4) == RNG_BYTES);
}

static inline void rng_driver_program(struct generic_guest *guest, void *ctx)
{
	(void)ctx;
	rng_set_up(guest);
	rng_ask(guest, 0, false);
	rng_ask(guest, 1, true);
}

#endif
