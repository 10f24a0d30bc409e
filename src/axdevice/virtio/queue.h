/*
 * How queue.c and chain.c touch ring words that the guest may change at the same moment: single,
 * untorn, little-endian accesses, each done exactly once. Private to the virtqueue.
 */
#ifndef AXVM_VIRTIO_QUEUE_H
#define AXVM_VIRTIO_QUEUE_H

#include <axvm/virtio.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

static inline uint16_t ring_load(const uint16_t *word)
{
	return le16toh(__atomic_load_n(word, __ATOMIC_RELAXED));
}

static inline uint16_t ring_load_acquire(const uint16_t *word)
{
	return le16toh(__atomic_load_n(word, __ATOMIC_ACQUIRE));
}

static inline void ring_store(uint16_t *word, uint16_t value)
{
	__atomic_store_n(word, htole16(value), __ATOMIC_RELAXED);
}

static inline void ring_store_release(uint16_t *word, uint16_t value)
{
	__atomic_store_n(word, htole16(value), __ATOMIC_RELEASE);
}

/* Orders an earlier store before a later load; the other side is a guest CPU, so it must be a
 * real barrier. TSan does not model fences and gcc says so, but no happens-before rests on this. */
static inline void ring_fence(void)
{
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

/*
 * Copy a descriptor out of guest memory, once. The empty asm makes the compiler believe that the
 * copy has been read and changed elsewhere, so it cannot go back to the guest's bytes for a field
 * that was already checked. A table may stand at any address (2.7.5.3 asks no alignment).
 */
static inline void ring_copy_desc(struct vring_desc *ret_desc, const void *guest)
{
	memcpy(ret_desc, guest, sizeof(*ret_desc));
	__asm__ volatile("" : "+m"(*ret_desc) : : "memory");
	ret_desc->addr = le64toh(ret_desc->addr);
	ret_desc->len = le32toh(ret_desc->len);
	ret_desc->flags = le16toh(ret_desc->flags);
	ret_desc->next = le16toh(ret_desc->next);
}

#endif
