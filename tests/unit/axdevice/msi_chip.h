/*
 * An interrupt controller that takes messages, as KVM does: what is in an eventfd when it is
 * assigned is delivered, and what is in it when it is released is read.
 */
#ifndef TEST_AXDEVICE_MSI_CHIP_H
#define TEST_AXDEVICE_MSI_CHIP_H

#include "../test.h"

#include <axvm/axdevice.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define MSI_FIRST 24
#define MSI_COUNT 96

struct msi_chip {
	struct {
		bool has_message;
		struct axirq_message message;
		int fd; /* 0: none */
		unsigned sets, assigns, delivered;
	} msi[MSI_COUNT];
	int set_error; /* of the next set_msi */
};

static inline int msi_chip_level(void *ctx, uint32_t gsi, bool level)
{
	(void)ctx;
	(void)gsi;
	(void)level;
	return 0;
}

static inline void msi_chip_drain(struct msi_chip *chip, unsigned index)
{
	struct pollfd ready = {.fd = chip->msi[index].fd, .events = POLLIN};
	uint64_t count;

	if (!ready.fd || poll(&ready, 1, 0) != 1)
		return;
	assert_int_equal(read(ready.fd, &count, sizeof(count)), sizeof(count));
	assert_true(chip->msi[index].has_message);
	chip->msi[index].delivered++;
}

static inline int msi_chip_assign(void *ctx, uint32_t gsi, int fd, struct ax_error *err)
{
	struct msi_chip *chip = ctx;
	const unsigned index = gsi - MSI_FIRST;

	(void)err;
	if (gsi < MSI_FIRST)
		return 0;
	assert_true(index < MSI_COUNT && !chip->msi[index].fd);
	chip->msi[index].fd = fd;
	chip->msi[index].assigns++;
	msi_chip_drain(chip, index);
	return 0;
}

static inline int msi_chip_release(void *ctx, uint32_t gsi, int fd)
{
	struct msi_chip *chip = ctx;
	const unsigned index = gsi - MSI_FIRST;

	if (gsi < MSI_FIRST)
		return 0;
	assert_int_equal(chip->msi[index].fd, fd);
	msi_chip_drain(chip, index);
	chip->msi[index].fd = 0;
	return 0;
}

static inline int msi_chip_set(void *ctx, uint32_t gsi, const struct axirq_message *message,
			       struct ax_error *err)
{
	struct msi_chip *chip = ctx;
	const unsigned index = gsi - MSI_FIRST;

	assert_true(gsi >= MSI_FIRST && index < MSI_COUNT);
	if (chip->set_error && message)
		return ax_error_set(err, AX_ERROR_DEVICE, chip->set_error, "refused");
	chip->msi[index].sets++;
	chip->msi[index].has_message = message != NULL;
	if (message)
		chip->msi[index].message = *message;
	return 0;
}

static inline struct axirq_chip msi_chip_ops(struct msi_chip *chip)
{
	memset(chip, 0, sizeof(*chip));
	return (struct axirq_chip){
		.set_level = msi_chip_level,
		.assign_fd = msi_chip_assign,
		.release_fd = msi_chip_release,
		.gsi_count = MSI_FIRST,
		.set_msi = msi_chip_set,
		.msi_first = MSI_FIRST,
		.msi_count = MSI_COUNT,
		.ctx = chip,
	};
}

/* Messages that have arrived by the chip's n-th GSI so far. */
static inline unsigned msi_chip_delivered(struct msi_chip *chip, unsigned index)
{
	msi_chip_drain(chip, index);
	return chip->msi[index].delivered;
}

#endif
