/*
 * The registers of a 16550A as a driver sees them, with a line of infinite speed: a character is
 * sent the moment it is written and the receiver's time-out passes at once. Where the bytes go and
 * come from, and who calls this, is uart16550_dev.c.
 *
 * The INTR pin is followed through every fall and rise, even those that no register read could
 * catch (a THR write lowers THRE's interrupt and sends at once), because the line is mostly an
 * edge: a driver that returns from its handler after one write waits for the next one.
 */
#include "uart16550.h"

#include <linux/serial_reg.h>
#include <string.h>

#define IER_BITS   (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define MCR_BITS   (UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP)
#define IIR_FIFO   0xc0
#define MSR_DELTAS 0x0f

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

	if (uart->line && uart->trigger == AXIRQ_LEVEL)
		axirq_set_level(uart->line, high);
	else if (uart->line && high && !uart->irq_high)
		axirq_pulse(uart->line);
	uart->irq_high = high;
}

/* Characters are left below the trigger level: their time-out passes at once (8.4.2). */
static void time_out(struct uart *uart)
{
	uart->timeout_pending =
		fifo_enabled(uart) && uart->rx_count && uart->rx_count < rx_trigger(uart);
	update_pin(uart);
}

void axdev_uart_refill(struct uart *uart)
{
	/* Up to the trigger level, as a driver finds it on a real line: one that reads exactly so
	 * many empties the FIFO and gets its next edge. In loopback the line is cut off. */
	while (!(uart->mcr & UART_MCR_LOOP) && uart->backlog_count &&
	       uart->rx_count < rx_trigger(uart)) {
		uart->rx[uart->rx_count++] = uart->backlog[uart->backlog_start];
		uart->backlog_start = (uart->backlog_start + 1) % UART_BACKLOG_BYTES;
		uart->backlog_count--;
	}
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
		axdev_uart_refill(uart);
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

void axdev_uart_transmit(struct uart *uart)
{
	uint8_t taken;

	if (!uart->tx_count)
		return;
	taken = (uint8_t)axchr_send(uart->chr, uart->tx, uart->tx_count);
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
	} else if (uart->tx_count ||
		   (uart->chr && (uart->suspended || !axchr_send(uart->chr, &value, 1)))) {
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
	axdev_uart_refill(uart);
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
	axdev_uart_refill(uart);
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

void axdev_uart_power_on(struct uart *uart)
{
	uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->scr = 0;
	uart->dll = 0x0c; /* 9600 baud of the usual 1.8432 MHz */
	uart->dlm = 0;
	uart->modem = modem_lines(uart);
	uart->overrun = uart->thre_pending = uart->timeout_pending = false;
	uart->rx_count = uart->tx_count = 0;
	update_pin(uart);
}

uint8_t axdev_uart_read(struct uart *uart, unsigned reg)
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

void axdev_uart_write(struct uart *uart, unsigned reg, uint8_t value)
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
