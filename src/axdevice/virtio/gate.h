/*
 * The gate between a queue and its I/O thread. The I/O side enters before it touches rings or the
 * device's requests and leaves afterwards; a reset, a suspend or a queue stop closes the gate and
 * waits until nobody is inside. Requests in flight hold the gate too, so "closed and empty" means
 * that no completion can come any more and the driver may have its memory back.
 *
 * Entering and leaving are one atomic add each, never a lock. Each side stores its own word before
 * it loads the other's, all sequentially consistent, so either the closer sees the entrant and
 * waits, or the entrant sees the closed gate and backs out.
 */
#ifndef AXVM_VIRTIO_GATE_H
#define AXVM_VIRTIO_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
	_Atomic uint32_t inside; /* entrants, holds */
	_Atomic bool open;
	pthread_mutex_t lock; /* only for the closer's sleep */
	pthread_cond_t empty;
};

static inline void gate_init(struct gate *gate)
{
	atomic_init(&gate->inside, 0);
	atomic_init(&gate->open, false);
	pthread_mutex_init(&gate->lock, NULL);
	pthread_cond_init(&gate->empty, NULL);
}

static inline void gate_finish(struct gate *gate)
{
	pthread_mutex_destroy(&gate->lock);
	pthread_cond_destroy(&gate->empty);
}

static inline bool gate_is_open(const struct gate *gate)
{
	return atomic_load(&gate->open);
}

/* One more reason to wait; only by who is inside. */
static inline void gate_hold(struct gate *gate)
{
	atomic_fetch_add(&gate->inside, 1);
}

static inline void gate_leave(struct gate *gate)
{
	if (atomic_fetch_sub(&gate->inside, 1) != 1 || gate_is_open(gate))
		return;
	pthread_mutex_lock(&gate->lock);
	pthread_cond_broadcast(&gate->empty);
	pthread_mutex_unlock(&gate->lock);
}

static inline bool gate_enter(struct gate *gate)
{
	gate_hold(gate);
	if (gate_is_open(gate))
		return true;
	gate_leave(gate);
	return false;
}

static inline void gate_open(struct gate *gate)
{
	atomic_store(&gate->open, true);
}

/* Nobody enters from now on; who is inside may stay. */
static inline void gate_shut(struct gate *gate)
{
	atomic_store(&gate->open, false);
}

static inline bool gate_is_used(const struct gate *gate)
{
	return atomic_load(&gate->inside);
}

/* Never from inside: it would wait for itself. */
static inline void gate_close(struct gate *gate)
{
	gate_shut(gate);
	pthread_mutex_lock(&gate->lock);
	while (gate_is_used(gate))
		pthread_cond_wait(&gate->empty, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

#endif
