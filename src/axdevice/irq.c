/*
 * Interrupt lines: who holds which line of the VM's interrupt controller, and how a device's edge
 * or level gets there. The controller itself (in-kernel or scripted) is the architecture's; it
 * stands behind struct axirq_chip. Messages, which have no pin, are irq_msi.c's.
 */
#include "irq_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct axirq_line {
	struct axirq_domain *domain;
	struct axirq_line *next;
	char owner[32];
	uint32_t gsi;
	enum axirq_trigger trigger;
	int event_fd; /* edge lines whose chip takes irqfds, else -1 */
	/* Serialises what this line tells the chip; not taken when a level does not change. */
	pthread_mutex_t lock;
	_Atomic bool level; /* what the chip was last told */
	_Atomic uint64_t raised;
};

int axirq_domain_create(const struct axirq_chip *chip, struct axirq_domain **ret_domain,
			struct ax_error *err)
{
	struct axirq_domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for an interrupt domain");
	assert(chip->set_level && !chip->assign_fd == !chip->release_fd);
	assert(!chip->set_msi || chip->assign_fd);
	domain->chip = *chip;
	if (!chip->set_msi)
		domain->chip.msi_count = 0;
	domain->msi_taken = calloc(domain->chip.msi_count + 1, sizeof(*domain->msi_taken));
	if (!domain->msi_taken) {
		free(domain);
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for %u MSIs",
				    chip->msi_count);
	}
	domain->failure_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	pthread_mutex_init(&domain->lock, NULL);
	*ret_domain = domain;
	return 0;
}

void axirq_domain_destroy(struct axirq_domain *domain)
{
	if (!domain)
		return;
	assert(!domain->lines && !domain->msi_claimed); /* devices go before the domain */
	pthread_mutex_destroy(&domain->lock);
	free(domain->msi_taken);
	free(domain);
}

static int open_event_fd(struct axirq_line *line, struct ax_error *err)
{
	const struct axirq_chip *chip = &line->domain->chip;
	int rc;

	/* Nonblocking: a full counter means an interrupt is pending already. */
	line->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (line->event_fd < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno,
				    "cannot make an eventfd for interrupt line %u of \"%s\": %s",
				    line->gsi, line->owner, strerror(errno));
	rc = chip->assign_fd(chip->ctx, line->gsi, line->event_fd, err);
	if (rc) {
		close(line->event_fd);
		ax_error_context(err, "interrupt line %u of \"%s\"", line->gsi, line->owner);
	}
	return rc;
}

static int claim_locked(struct axirq_line *line, struct ax_error *err)
{
	struct axirq_domain *domain = line->domain;
	int rc = 0;

	for (const struct axirq_line *other = domain->lines; other; other = other->next) {
		if (other->gsi == line->gsi) {
			ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
				     "interrupt line %u wanted by \"%s\" belongs to \"%s\"",
				     line->gsi, line->owner, other->owner);
			ax_error_hint(err, "give one of the two another interrupt line");
			return -EEXIST;
		}
	}
	if (line->trigger == AXIRQ_EDGE && domain->chip.assign_fd)
		rc = open_event_fd(line, err);
	if (rc)
		return rc;
	line->next = domain->lines;
	domain->lines = line;
	return 0;
}

int axirq_claim(struct axirq_domain *domain, uint32_t gsi, enum axirq_trigger trigger,
		const char *owner, struct axirq_line **ret_line, struct ax_error *err)
{
	const struct axirq_chip *chip = &domain->chip;
	struct axirq_line *line;
	int rc;

	if (gsi < chip->gsi_first || gsi - chip->gsi_first >= chip->gsi_count) {
		ax_error_set(err, AX_ERROR_DEVICE, ERANGE,
			     "interrupt line %u wanted by \"%s\" does not exist", gsi, owner);
		ax_error_hint(err, "the interrupt controller has %u lines from %u on",
			      chip->gsi_count, chip->gsi_first);
		return -ERANGE;
	}
	line = calloc(1, sizeof(*line));
	if (!line)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM,
				    "no memory for interrupt line %u of \"%s\"", gsi, owner);
	line->domain = domain;
	line->gsi = gsi;
	line->trigger = trigger;
	line->event_fd = -1;
	snprintf(line->owner, sizeof(line->owner), "%s", owner);
	pthread_mutex_init(&line->lock, NULL);

	pthread_mutex_lock(&domain->lock);
	rc = claim_locked(line, err);
	pthread_mutex_unlock(&domain->lock);
	if (rc) {
		pthread_mutex_destroy(&line->lock);
		free(line);
		return rc;
	}
	*ret_line = line;
	return 0;
}

static void drive(struct axirq_line *line, bool level)
{
	const struct axirq_chip *chip = &line->domain->chip;
	int rc = chip->set_level(chip->ctx, line->gsi, level);

	if (rc)
		ax_log_limited(&line->domain->failure_limit, AX_LOG_ERROR, "axdevice",
			       "interrupt line %u of \"%s\" cannot be set to %d: errno %d",
			       line->gsi, line->owner, level, -rc);
	else
		/* After the chip knows: whoever reads the level here may rely on the pin. */
		atomic_store_explicit(&line->level, level, memory_order_release);
}

void axirq_release(struct axirq_line *line)
{
	struct axirq_domain *domain;
	struct axirq_line **link;

	if (!line)
		return;
	domain = line->domain;
	if (line->event_fd >= 0) {
		domain->chip.release_fd(domain->chip.ctx, line->gsi, line->event_fd);
		close(line->event_fd);
	} else if (atomic_load(&line->level)) {
		drive(line, false); /* the next owner finds the pin low */
	}
	pthread_mutex_lock(&domain->lock);
	for (link = &domain->lines; *link != line; link = &(*link)->next)
		;
	*link = line->next;
	pthread_mutex_unlock(&domain->lock);
	pthread_mutex_destroy(&line->lock);
	free(line);
}

uint32_t axirq_gsi(const struct axirq_line *line)
{
	return line->gsi;
}

void axirq_pulse(struct axirq_line *line)
{
	assert(line->trigger == AXIRQ_EDGE);
	atomic_fetch_add_explicit(&line->raised, 1, memory_order_relaxed);
	if (line->event_fd >= 0) {
		uint64_t one = 1;

		/* EAGAIN, the only possible failure, is an interrupt that is pending already. */
		if (write(line->event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			ax_log_limited(&line->domain->failure_limit, AX_LOG_ERROR, "axdevice",
				       "interrupt line %u of \"%s\": %s", line->gsi, line->owner,
				       strerror(errno));
		return;
	}
	pthread_mutex_lock(&line->lock);
	drive(line, true);
	drive(line, false);
	pthread_mutex_unlock(&line->lock);
}

void axirq_set_level(struct axirq_line *line, bool level)
{
	assert(line->trigger == AXIRQ_LEVEL);
	if (atomic_load_explicit(&line->level, memory_order_acquire) == level)
		return;
	pthread_mutex_lock(&line->lock);
	if (atomic_load_explicit(&line->level, memory_order_relaxed) != level) {
		if (level)
			atomic_fetch_add_explicit(&line->raised, 1, memory_order_relaxed);
		drive(line, level);
	}
	pthread_mutex_unlock(&line->lock);
}

uint64_t axirq_raised(const struct axirq_line *line)
{
	return atomic_load_explicit(&line->raised, memory_order_relaxed);
}
