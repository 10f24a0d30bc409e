/*
 * The 16550A as a device: its place on the bus, its interrupt line and its console. How the
 * registers behave is uart16550.c.
 *
 * Nothing here blocks a vCPU: when the console's ring is full the transmitter stays busy until
 * the console says there is room, and input that the guest does not fetch stays where it is.
 */
#include "classes.h"
#include "uart16550.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <stdlib.h>

static struct uart *uart_of(struct axdev *dev)
{
	return ax_container_of(dev, struct uart, dev);
}

/* Is the console owed a call because there is room again? Half empty, so that calls are few. */
static bool wants_input(const struct uart *uart)
{
	return !uart->suspended && !(uart->mcr & UART_MCR_LOOP) &&
	       uart->backlog_count <= UART_BACKLOG_BYTES / 2;
}

static enum axdev_result uart_access(struct axdev *dev, struct axdev_access *access)
{
	struct uart *uart = uart_of(dev);
	uint64_t value = 0;
	bool resume;

	/* Registers are bytes: a wide access touches its neighbours one after the other, as the
	 * ISA bus splits it, and what lies between spread registers reads as zero. */
	pthread_mutex_lock(&uart->lock);
	for (unsigned i = 0; i < access->width; i++) {
		uint64_t offset = access->offset + i;
		unsigned reg = (unsigned)(offset >> uart->reg_shift);

		if (offset != (uint64_t)reg << uart->reg_shift)
			continue;
		if (access->is_write)
			axdev_uart_write(uart, reg, (uint8_t)(access->value >> (8 * i)));
		else
			value |= (uint64_t)axdev_uart_read(uart, reg) << (8 * i);
	}
	resume = uart->chr && wants_input(uart);
	pthread_mutex_unlock(&uart->lock);
	if (!access->is_write)
		access->value = value;
	if (resume)
		axchr_resume_input(uart->chr); /* one atomic load unless input is held back */
	return AXDEV_HANDLED;
}

static size_t can_receive(void *ctx)
{
	struct uart *uart = ctx;
	size_t room = 0;

	pthread_mutex_lock(&uart->lock);
	if (wants_input(uart))
		room = UART_BACKLOG_BYTES - uart->backlog_count;
	pthread_mutex_unlock(&uart->lock);
	return room;
}

static void receive(void *ctx, const uint8_t *bytes, size_t count)
{
	struct uart *uart = ctx;

	pthread_mutex_lock(&uart->lock);
	for (size_t i = 0; i < count && uart->backlog_count < UART_BACKLOG_BYTES; i++) {
		uint32_t slot = (uart->backlog_start + uart->backlog_count) % UART_BACKLOG_BYTES;

		uart->backlog[slot] = bytes[i];
		uart->backlog_count++;
	}
	if (!uart->suspended) /* suspended after can_receive: resume raises what is due */
		axdev_uart_refill(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void can_send(void *ctx)
{
	struct uart *uart = ctx;

	pthread_mutex_lock(&uart->lock);
	if (!uart->suspended)
		axdev_uart_transmit(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void uart_reset(struct axdev *dev)
{
	struct uart *uart = uart_of(dev);

	pthread_mutex_lock(&uart->lock);
	axdev_uart_power_on(uart);
	axdev_uart_refill(uart); /* what was typed ahead is for whoever boots next */
	pthread_mutex_unlock(&uart->lock);
	if (uart->chr)
		axchr_resume_input(uart->chr);
}

static int uart_suspend(struct axdev *dev, struct ax_error *err)
{
	struct uart *uart = uart_of(dev);

	(void)err;
	pthread_mutex_lock(&uart->lock);
	uart->suspended = true;
	pthread_mutex_unlock(&uart->lock);
	return 0;
}

static int uart_resume(struct axdev *dev, struct ax_error *err)
{
	struct uart *uart = uart_of(dev);

	(void)err;
	pthread_mutex_lock(&uart->lock);
	uart->suspended = false;
	axdev_uart_transmit(uart); /* the console may have asked meanwhile */
	axdev_uart_refill(uart);
	pthread_mutex_unlock(&uart->lock);
	if (uart->chr)
		axchr_resume_input(uart->chr);
	return 0;
}

static void uart_destroy(struct axdev *dev)
{
	struct uart *uart = uart_of(dev);

	if (uart->chr)
		axchr_bind(uart->chr, NULL);
	axirq_release(uart->line);
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}

static const struct axdev_ops uart_ops = {
	.access = uart_access,
	.reset = uart_reset,
	.suspend = uart_suspend,
	.resume = uart_resume,
	.destroy = uart_destroy,
};

static int uart_create(const char *name, const void *config, const struct axdev_services *services,
		       struct axdev **ret_dev, struct ax_error *err)
{
	const struct axdev_uart16550_config *cfg = config;
	struct uart *uart;

	if (cfg->space == AXDEV_SYSREG || cfg->reg_shift > 3 ||
	    (cfg->space == AXDEV_PORT && cfg->reg_shift))
		return ax_error_set(err, AX_ERROR_DEVICE, EINVAL,
				    "registers %u bytes apart are not possible in this address "
				    "space",
				    1u << (cfg->reg_shift & 31));
	uart = calloc(1, sizeof(*uart));
	if (!uart)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a UART");
	if (services->irqs) {
		int rc =
			axirq_claim(services->irqs, cfg->gsi, cfg->trigger, name, &uart->line, err);

		if (rc) {
			free(uart);
			return rc;
		}
	}
	uart->dev.ops = &uart_ops;
	uart->dev.resource[0] =
		(struct axdev_resource){cfg->space, cfg->base, UART_REG_COUNT << cfg->reg_shift};
	uart->dev.resource_count = 1;
	uart->reg_shift = cfg->reg_shift;
	uart->trigger = cfg->trigger;
	uart->chr = cfg->chr;
	pthread_mutex_init(&uart->lock, NULL);
	axdev_uart_power_on(uart);
	if (uart->chr)
		axchr_bind(uart->chr, &(struct axchr_device){.can_receive = can_receive,
							     .receive = receive,
							     .can_send = can_send,
							     .dev = uart});
	*ret_dev = &uart->dev;
	return 0;
}

const struct axdev_class axdev_uart16550_class = {
	.name = "uart16550",
	.type = 2,
	.summary = "16550A serial port",
	.config_size = sizeof(struct axdev_uart16550_config),
	.create = uart_create,
};
