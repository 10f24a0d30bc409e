/*
 * The interrupt domain as irq.c (lines) and irq_msi.c (messages) share it.
 */
#ifndef AXDEVICE_IRQ_PRIV_H
#define AXDEVICE_IRQ_PRIV_H

#include <axvm/axdevice.h>

#include <pthread.h>

struct axirq_domain {
	struct axirq_chip chip;
	pthread_mutex_t lock; /* what is claimed; never taken on the way of an interrupt */
	struct axirq_line *lines;
	bool *msi_taken; /* chip.msi_count of them */
	uint32_t msi_claimed;
	struct ax_ratelimit failure_limit;
};

#endif
