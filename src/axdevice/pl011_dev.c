/*
 * The PL011 as a device: its place on the bus, its interrupt line and its console. How the
 * registers behave is pl011.c.
 *
 * Nothing here blocks a vCPU: when the console's ring is full the transmitter stays busy until the
 * console says there is room, and input that the guest does not fetch stays where it is.
 */
#include "classes.h"
#include "pl011.h"
#include "primecell.h"

#include <errno.h>
#include <stdlib.h>

static struct pl011 *pl011_of(struct axdev *dev)
{
	return ax_container_of(dev, struct pl011, dev);
}

/* Is the console owed a call because there is room again? Half empty, so that calls are few. */
static bool wants_input(const struct pl011 *uart)
{
	return !uart->suspended && uart->backlog_count <= PL011_BACKLOG_BYTES / 2;
}

static void drive_line(struct pl011 *uart)
{
	if (uart->line)
		axirq_set_level(uart->line, uart->ris & uart->imsc);
}

static enum axdev_result pl011_access(struct axdev *dev, struct axdev_access *access)
{
	struct pl011 *uart = pl011_of(dev);
	bool resume;

	pthread_mutex_lock(&uart->lock);
	axdev_primecell_access(access, uart, axdev_pl011_read, axdev_pl011_write);
	drive_line(uart);
	resume = uart->chr && wants_input(uart);
	pthread_mutex_unlock(&uart->lock);
	if (resume)
		axchr_resume_input(uart->chr); /* one atomic load unless input is held back */
	return AXDEV_HANDLED;
}

static size_t can_receive(void *ctx)
{
	struct pl011 *uart = ctx;
	size_t room = 0;

	pthread_mutex_lock(&uart->lock);
	if (wants_input(uart))
		room = PL011_BACKLOG_BYTES - uart->backlog_count;
	pthread_mutex_unlock(&uart->lock);
	return room;
}

static void receive(void *ctx, const uint8_t *bytes, size_t count)
{
	struct pl011 *uart = ctx;

	pthread_mutex_lock(&uart->lock);
	for (size_t i = 0; i < count && uart->backlog_count < PL011_BACKLOG_BYTES; i++) {
		uint32_t slot = (uart->backlog_start + uart->backlog_count) % PL011_BACKLOG_BYTES;

		uart->backlog[slot] = bytes[i];
		uart->backlog_count++;
	}
	if (!uart->suspended) { /* suspended after can_receive: resume raises what is due */
		axdev_pl011_refill(uart);
		drive_line(uart);
	}
	pthread_mutex_unlock(&uart->lock);
}

static void can_send(void *ctx)
{
	struct pl011 *uart = ctx;

	pthread_mutex_lock(&uart->lock);
	axdev_pl011_transmit(uart);
	if (!uart->suspended)
		drive_line(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void pl011_reset(struct axdev *dev)
{
	struct pl011 *uart = pl011_of(dev);

	/* What was typed ahead is for whoever boots next. */
	pthread_mutex_lock(&uart->lock);
	axdev_pl011_power_on(uart);
	drive_line(uart);
	pthread_mutex_unlock(&uart->lock);
	if (uart->chr)
		axchr_resume_input(uart->chr);
}

static int pl011_suspend(struct axdev *dev, struct ax_error *err)
{
	struct pl011 *uart = pl011_of(dev);

	(void)err;
	pthread_mutex_lock(&uart->lock);
	uart->suspended = true;
	pthread_mutex_unlock(&uart->lock);
	return 0;
}

static int pl011_resume(struct axdev *dev, struct ax_error *err)
{
	struct pl011 *uart = pl011_of(dev);

	(void)err;
	pthread_mutex_lock(&uart->lock);
	uart->suspended = false;
	axdev_pl011_transmit(uart); /* the console may have asked meanwhile */
	if (uart->backlog_count)
		axdev_pl011_refill(uart);
	drive_line(uart);
	pthread_mutex_unlock(&uart->lock);
	if (uart->chr)
		axchr_resume_input(uart->chr);
	return 0;
}

static void pl011_destroy(struct axdev *dev)
{
	struct pl011 *uart = pl011_of(dev);

	if (uart->chr)
		axchr_bind(uart->chr, NULL);
	axirq_release(uart->line);
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}

static const struct axdev_ops pl011_ops = {
	.access = pl011_access,
	.reset = pl011_reset,
	.suspend = pl011_suspend,
	.resume = pl011_resume,
	.destroy = pl011_destroy,
};

static int pl011_create(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axdev_pl011_config *cfg = config;
	struct pl011 *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a UART");
	if (services->irqs) {
		int rc = axirq_claim(services->irqs, cfg->gsi, AXIRQ_LEVEL, name, &uart->line, err);

		if (rc) {
			free(uart);
			return rc;
		}
	}
	uart->dev.ops = &pl011_ops;
	uart->dev.resource[0] = (struct axdev_resource){AXDEV_MMIO, cfg->base, PRIMECELL_SIZE};
	uart->dev.resource_count = 1;
	uart->chr = cfg->chr;
	pthread_mutex_init(&uart->lock, NULL);
	axdev_pl011_power_on(uart);
	if (uart->chr)
		axchr_bind(uart->chr, &(struct axchr_device){.can_receive = can_receive,
							     .receive = receive,
							     .can_send = can_send,
							     .dev = uart});
	*ret_dev = &uart->dev;
	return 0;
}

const struct axdev_class axdev_pl011_class = {
	.name = "pl011",
	.type = 0x42,
	.summary = "Arm PrimeCell serial port",
	.config_size = sizeof(struct axdev_pl011_config),
	.create = pl011_create,
};
