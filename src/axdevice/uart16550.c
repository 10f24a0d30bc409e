/*
 * The registers of a 16550A as a driver sees them, with a line of infinite speed: a character is
 * sent the moment it is written and the receiver's time-out passes at once. Where the bytes go and
 * come from is serial.c.
 *
 * The INTR pin is followed through every fall and rise, even those that no register read could
 * catch (a THR write lowers THRE's interrupt and sends at once), because the line is mostly an
 * edge: a driver that returns from its handler after one write waits for the next one.
 */
#include "uart16550.h"
#include "classes.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <stdlib.h>
#include <string.h>

#define IER_BITS   (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define MCR_BITS   (UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP)
#define IIR_FIFO   0xc0
#define MSR_DELTAS 0x0f

static struct uart *uart_of(struct serial_port *port)
{
	return ax_container_of(port, struct uart, port);
}

static bool fifo_enabled(const struct uart *uart)
{
	return uart->fcr & UART_FCR_ENABLE_FIFO;
}

static unsigned rx_depth(const struct uart *uart)
{
	return fifo_enabled(uart) ? UART_FIFO_BYTES : 1;
}

/* Characters at which the receiver interrupts (table II, FCR bits 6 and 7). */
static unsigned rx_trigger(const struct uart *uart)
{
	static const uint8_t level[] = {1, 4, 8, 14};

	return fifo_enabled(uart) ? level[uart->fcr >> 6] : 1;
}

/* The highest pending interrupt (table IV). */
static uint8_t interrupt_id(const struct uart *uart)
{
	if (uart->overrun && (uart->ier & UART_IER_RLSI))
		return UART_IIR_RLSI;
	if (uart->rx_count >= rx_trigger(uart) && (uart->ier & UART_IER_RDI))
		return UART_IIR_RDI;
	if (uart->timeout_pending && (uart->ier & UART_IER_RDI))
		return UART_IIR_RX_TIMEOUT;
	if (uart->thre_pending && (uart->ier & UART_IER_THRI))
		return UART_IIR_THRI;
	if ((uart->modem & MSR_DELTAS) && (uart->ier & UART_IER_MSI))
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void update_pin(struct uart *uart)
{
	bool high = interrupt_id(uart) != UART_IIR_NO_INT;

	if (uart->port.line && uart->trigger == AXIRQ_LEVEL)
		axirq_set_level(uart->port.line, high);
	else if (uart->port.line && high && !uart->irq_high)
		axirq_pulse(uart->port.line);
	uart->irq_high = high;
}

/* Characters are left below the trigger level: their time-out passes at once (8.4.2). */
static void time_out(struct uart *uart)
{
	uart->timeout_pending =
		fifo_enabled(uart) && uart->rx_count && uart->rx_count < rx_trigger(uart);
	update_pin(uart);
}

static bool on_line(const struct serial_port *port)
{
	return !(((const struct uart *)port)->mcr & UART_MCR_LOOP);
}

static void refill(struct serial_port *port)
{
	struct uart *uart = uart_of(port);

	/* Up to the trigger level, as a driver finds it on a real line: one that reads exactly so
	 * many empties the FIFO and gets its next edge. */
	while (on_line(port) && uart->rx_count < rx_trigger(uart) &&
	       axdev_serial_next(port, &uart->rx[uart->rx_count]))
		uart->rx_count++;
	time_out(uart);
}

static uint8_t read_character(struct uart *uart)
{
	uint8_t value = uart->rx[0];

	if (!uart->rx_count)
		return 0;
	uart->rx_count--;
	memmove(uart->rx, uart->rx + 1, uart->rx_count);
	/* A read ends the time-out and may drop below the trigger level: the pin falls. */
	uart->timeout_pending = false;
	update_pin(uart);
	if (uart->rx_count)
		time_out(uart);
	else
		refill(&uart->port);
	return value;
}

static void loop_back(struct uart *uart, uint8_t value)
{
	if (uart->rx_count < rx_depth(uart)) {
		uart->rx[uart->rx_count++] = value;
	} else {
		/* The holding register is overwritten, a full FIFO keeps what it has (8.6.3). */
		uart->overrun = true;
		if (!fifo_enabled(uart))
			uart->rx[0] = value;
	}
	time_out(uart);
}

static void sent(struct uart *uart)
{
	uart->thre_pending = true;
	update_pin(uart);
}

static void transmit(struct serial_port *port)
{
	struct uart *uart = uart_of(port);
	uint8_t taken;

	if (!uart->tx_count)
		return;
	taken = (uint8_t)axdev_serial_send(port, uart->tx, uart->tx_count);
	uart->tx_count -= taken;
	memmove(uart->tx, uart->tx + taken, uart->tx_count);
	if (!uart->tx_count)
		sent(uart);
}

static void write_character(struct uart *uart, uint8_t value)
{
	uart->thre_pending = false;
	update_pin(uart);
	if (uart->mcr & UART_MCR_LOOP) {
		loop_back(uart, value);
	} else if (uart->tx_count || !axdev_serial_send(&uart->port, &value, 1)) {
		/* A driver that writes on although THRE is clear loses characters, as it would. */
		if (uart->tx_count < UART_FIFO_BYTES)
			uart->tx[uart->tx_count++] = value;
		return;
	}
	sent(uart);
}

static void write_ier(struct uart *uart, uint8_t value)
{
	bool thri_rises = (value & ~uart->ier) & UART_IER_THRI;

	uart->ier = value & IER_BITS;
	/* Enabling it with an empty transmitter interrupts at once; drivers start output so. */
	if (thri_rises)
		uart->thre_pending = !uart->tx_count;
	update_pin(uart);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	bool toggled = (value ^ uart->fcr) & UART_FCR_ENABLE_FIFO;

	/* With bit 0 clear the other bits are not programmed (8.5). */
	uart->fcr = value & UART_FCR_ENABLE_FIFO
			    ? value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK)
			    : 0;
	if (toggled || (value & UART_FCR_CLEAR_RCVR)) {
		uart->rx_count = 0;
		uart->timeout_pending = false;
	}
	if ((toggled || (value & UART_FCR_CLEAR_XMIT)) && uart->tx_count) {
		uart->tx_count = 0;
		uart->thre_pending = true;
	}
	update_pin(uart);
	refill(&uart->port);
}

/* What stands in the upper half of MSR: a peer that is always ready, or our own outputs. */
static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t lines = 0;

	if (!(uart->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (uart->mcr & UART_MCR_RTS)
		lines |= UART_MSR_CTS;
	if (uart->mcr & UART_MCR_DTR)
		lines |= UART_MSR_DSR;
	if (uart->mcr & UART_MCR_OUT1)
		lines |= UART_MSR_RI;
	if (uart->mcr & UART_MCR_OUT2)
		lines |= UART_MSR_DCD;
	return lines;
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uint8_t old = uart->modem, lines, deltas;

	uart->mcr = value & MCR_BITS;
	lines = modem_lines(uart);
	/* Each line's change bit stands four bits below it; RI's tells the trailing edge (8.8). */
	deltas = (uint8_t)((old ^ lines) >> 4);
	if (!((old & ~lines) & UART_MSR_RI))
		deltas &= (uint8_t)~UART_MSR_TERI;
	uart->modem = lines | (old & MSR_DELTAS) | deltas;
	update_pin(uart);
	refill(&uart->port);
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t id = interrupt_id(uart);

	/* Reading answers THRE, when it is THRE that is being told. */
	if (id == UART_IIR_THRI) {
		uart->thre_pending = false;
		update_pin(uart);
	}
	return id | (fifo_enabled(uart) ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t value = uart->tx_count ? 0 : UART_LSR_THRE | UART_LSR_TEMT;

	if (uart->rx_count)
		value |= UART_LSR_DR;
	if (uart->overrun)
		value |= UART_LSR_OE;
	uart->overrun = false;
	update_pin(uart);
	return value;
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t value = uart->modem;

	uart->modem &= (uint8_t)~MSR_DELTAS;
	update_pin(uart);
	return value;
}

static void power_on(struct serial_port *port)
{
	struct uart *uart = uart_of(port);

	uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->scr = 0;
	uart->dll = 0x0c; /* 9600 baud of the usual 1.8432 MHz */
	uart->dlm = 0;
	uart->modem = modem_lines(uart);
	uart->overrun = uart->thre_pending = uart->timeout_pending = false;
	uart->rx_count = uart->tx_count = 0;
	update_pin(uart);
}

static uint8_t read_register(struct uart *uart, unsigned reg)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? uart->dll : read_character(uart);
	case UART_IER:
		return dlab ? uart->dlm : uart->ier;
	case UART_IIR:
		return read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return read_lsr(uart);
	case UART_MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static void write_register(struct uart *uart, unsigned reg, uint8_t value)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			uart->dll = value;
		else
			write_character(uart, value);
		break;
	case UART_IER:
		if (dlab)
			uart->dlm = value;
		else
			write_ier(uart, value);
		break;
	case UART_FCR:
		write_fcr(uart, value);
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		write_mcr(uart, value);
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	default: /* LSR and MSR: "writing is not recommended" (8.6); ignored */
		break;
	}
}

/* Registers are bytes: a wide access touches its neighbours one after the other, as the ISA bus
 * splits it, and what lies between spread registers reads as zero. */
static void uart_access(struct serial_port *port, struct axdev_access *access)
{
	struct uart *uart = uart_of(port);
	uint64_t value = 0;

	for (unsigned i = 0; i < access->width; i++) {
		uint64_t offset = access->offset + i;
		unsigned reg = (unsigned)(offset >> uart->reg_shift);

		if (offset != (uint64_t)reg << uart->reg_shift)
			continue;
		if (access->is_write)
			write_register(uart, reg, (uint8_t)(access->value >> (8 * i)));
		else
			value |= (uint64_t)read_register(uart, reg) << (8 * i);
	}
	if (!access->is_write)
		access->value = value;
}

static const struct serial_chip uart_chip = {
	.access = uart_access,
	.power_on = power_on,
	.on_line = on_line,
	.refill = refill,
	.transmit = transmit,
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
	uart->reg_shift = cfg->reg_shift;
	uart->trigger = cfg->trigger;
	uart->port.chr = cfg->chr;
	uart->port.dev.resource[0] =
		(struct axdev_resource){cfg->space, cfg->base, UART_REG_COUNT << cfg->reg_shift};
	return axdev_serial_create(&uart->port, &uart_chip, cfg->gsi, cfg->trigger, name, services,
				   ret_dev, err);
}

const struct axdev_class axdev_uart16550_class = {
	.name = "uart16550",
	.type = 2,
	.summary = "16550A serial port",
	.config_size = sizeof(struct axdev_uart16550_config),
	.create = uart_create,
};
