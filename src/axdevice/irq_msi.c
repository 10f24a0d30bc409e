/*
 * Message-signalled interrupts: one GSI without a pin and one eventfd for each vector. Sending is
 * a write to the eventfd; KVM, which has it as an irqfd, delivers the message.
 *
 * Masked means that the irqfd is taken away: what is written meanwhile stays in the eventfd's
 * counter, whoever writes it (a vhost worker knows nothing of masks), and that is the pending bit.
 * KVM looks at the counter when the irqfd comes back, and reads it when it goes: nothing is lost
 * and nothing comes twice.
 */
#include "irq_priv.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct axirq_msi {
	struct axirq_domain *domain;
	char owner[32];
	uint32_t index; /* of the chip's MSIs */
	int event_fd;
	pthread_mutex_t lock; /* what the chip has been told; not taken by send */
	bool has_route;
	bool is_open; /* the chip has the eventfd */
	struct axirq_message route;
	_Atomic uint64_t sent;
};

static uint32_t gsi_of(const struct axirq_msi *msi)
{
	return msi->domain->chip.msi_first + msi->index;
}

uint32_t axirq_msi_available(const struct axirq_domain *domain)
{
	struct axirq_domain *locked = (struct axirq_domain *)(uintptr_t)domain;

	pthread_mutex_lock(&locked->lock);
	const uint32_t available = domain->chip.msi_count - domain->msi_claimed;
	pthread_mutex_unlock(&locked->lock);
	return available;
}

/* The first free one, or msi_count. */
static uint32_t take_index(struct axirq_domain *domain)
{
	uint32_t index = 0;

	pthread_mutex_lock(&domain->lock);
	while (index < domain->chip.msi_count && domain->msi_taken[index])
		index++;
	if (index < domain->chip.msi_count) {
		domain->msi_taken[index] = true;
		domain->msi_claimed++;
	}
	pthread_mutex_unlock(&domain->lock);
	return index;
}

static void give_index_back(struct axirq_domain *domain, uint32_t index)
{
	pthread_mutex_lock(&domain->lock);
	domain->msi_taken[index] = false;
	domain->msi_claimed--;
	pthread_mutex_unlock(&domain->lock);
}

static int refuse(const struct axirq_domain *domain, const char *owner, struct ax_error *err)
{
	if (!domain->chip.msi_count) {
		ax_error_set(err, AX_ERROR_UNSUPPORTED, ENOTSUP,
			     "\"%s\" needs message-signalled interrupts, which this machine's "
			     "interrupt controller does not take",
			     owner);
		ax_error_hint(err, "use a device that has an interrupt line");
		return -ENOTSUP;
	}
	ax_error_set(err, AX_ERROR_DEVICE, ENOSPC,
		     "no message-signalled interrupt is left for \"%s\": all %u are taken", owner,
		     domain->chip.msi_count);
	ax_error_hint(err, "use fewer devices, or fewer queues");
	return -ENOSPC;
}

int axirq_msi_claim(struct axirq_domain *domain, const char *owner, struct axirq_msi **ret_msi,
		    struct ax_error *err)
{
	const uint32_t index = take_index(domain);
	struct axirq_msi *msi;

	if (index == domain->chip.msi_count)
		return refuse(domain, owner, err);
	msi = calloc(1, sizeof(*msi));
	if (!msi) {
		give_index_back(domain, index);
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for an MSI of \"%s\"", owner);
	}
	/* Nonblocking: a full counter means that the interrupt is pending already. */
	msi->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (msi->event_fd < 0) {
		const int error = errno;

		give_index_back(domain, index);
		free(msi);
		return ax_error_set(err, AX_ERROR_DEVICE, error,
				    "cannot make an eventfd for an MSI of \"%s\": %s", owner,
				    strerror(error));
	}
	msi->domain = domain;
	msi->index = index;
	snprintf(msi->owner, sizeof(msi->owner), "%s", owner);
	pthread_mutex_init(&msi->lock, NULL);
	*ret_msi = msi;
	return 0;
}

static void close_locked(struct axirq_msi *msi)
{
	const struct axirq_chip *chip = &msi->domain->chip;

	if (!msi->is_open)
		return;
	msi->is_open = false;
	chip->release_fd(chip->ctx, gsi_of(msi), msi->event_fd);
}

void axirq_msi_release(struct axirq_msi *msi)
{
	const struct axirq_chip *chip;

	if (!msi)
		return;
	chip = &msi->domain->chip;
	close_locked(msi);
	if (msi->has_route)
		chip->set_msi(chip->ctx, gsi_of(msi), NULL, NULL);
	close(msi->event_fd);
	give_index_back(msi->domain, msi->index);
	pthread_mutex_destroy(&msi->lock);
	free(msi);
}

static bool same_message(const struct axirq_message *a, const struct axirq_message *b)
{
	return a->address == b->address && a->data == b->data && a->device_id == b->device_id;
}

static int open_locked(struct axirq_msi *msi, const struct axirq_message *message,
		       struct ax_error *err)
{
	const struct axirq_chip *chip = &msi->domain->chip;
	int rc = 0;

	if (!msi->has_route || !same_message(&msi->route, message)) {
		rc = chip->set_msi(chip->ctx, gsi_of(msi), message, err);
		if (rc)
			return rc;
		msi->route = *message;
		msi->has_route = true;
	}
	if (!msi->is_open)
		rc = chip->assign_fd(chip->ctx, gsi_of(msi), msi->event_fd, err);
	if (!rc)
		msi->is_open = true;
	return rc;
}

int axirq_msi_set(struct axirq_msi *msi, const struct axirq_message *message)
{
	struct ax_error err = {0};
	int rc = 0;

	pthread_mutex_lock(&msi->lock);
	if (message)
		rc = open_locked(msi, message, &err);
	/* A message that cannot be sent must not go where the one before went. */
	if (!message || rc)
		close_locked(msi);
	pthread_mutex_unlock(&msi->lock);
	if (rc)
		ax_log_limited(&msi->domain->failure_limit, AX_LOG_WARN, "axdevice",
			       "an MSI of \"%s\" stays masked: %s", msi->owner, err.message);
	return rc;
}

bool axirq_msi_pending(const struct axirq_msi *msi)
{
	struct axirq_msi *locked = (struct axirq_msi *)(uintptr_t)msi;
	struct pollfd ready = {.fd = msi->event_fd, .events = POLLIN};

	pthread_mutex_lock(&locked->lock);
	const bool pending = !msi->is_open && poll(&ready, 1, 0) == 1;
	pthread_mutex_unlock(&locked->lock);
	return pending;
}

void axirq_msi_send(struct axirq_msi *msi)
{
	const uint64_t one = 1;

	atomic_fetch_add_explicit(&msi->sent, 1, memory_order_relaxed);
	/* EAGAIN, the only possible failure, is an interrupt that is pending already. */
	if (write(msi->event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		ax_log_limited(&msi->domain->failure_limit, AX_LOG_ERROR, "axdevice",
			       "an MSI of \"%s\": %s", msi->owner, strerror(errno));
}

int axirq_msi_fd(const struct axirq_msi *msi)
{
	return msi->event_fd;
}

uint64_t axirq_msi_sent(const struct axirq_msi *msi)
{
	return atomic_load_explicit(&msi->sent, memory_order_relaxed);
}
