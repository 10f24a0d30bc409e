/*
 * The registers of a PL011 as a driver sees them, with a line of infinite speed: a character is
 * sent the moment it is written and the receive timeout passes at once. Where the bytes go and come
 * from is serial.c.
 *
 * The transmitter works although CR does not enable it: an early console writes to a port that
 * firmware is expected to have set up, and there need not be any firmware. The receiver obeys CR;
 * what comes before it listens waits.
 */
#include "pl011.h"
#include "classes.h"
#include "primecell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LCR_H_BITS 0xffu
#define CR_BITS    0xff87u
#define CR_RESET   (PL011_CR_RXE | PL011_CR_TXE)
#define IFLS_RESET 0x12u

static const uint8_t periph_id[4] = {0x11, 0x10, 0x34, 0x00}; /* 3.3.15: part 011, r1p5 */

static struct pl011 *pl011_of(struct serial_port *port)
{
	return ax_container_of(port, struct pl011, port);
}

static void drive_line(struct pl011 *uart)
{
	if (uart->port.line)
		axirq_set_level(uart->port.line, uart->ris & uart->imsc);
}

static unsigned depth(const struct pl011 *uart)
{
	return uart->lcr_h & PL011_LCR_H_FEN ? PL011_FIFO_CHARS : 1;
}

/* The share of the FIFO that an IFLS field stands for, in characters (3.3.9). */
static unsigned share(uint32_t field)
{
	static const uint8_t eighths[] = {1, 2, 4, 6, 7, 7, 7, 7}; /* the last three: reserved */

	return PL011_FIFO_CHARS / 8 * eighths[field & 7];
}

/* Characters at which the receiver interrupts. */
static unsigned rx_trigger(const struct pl011 *uart)
{
	return uart->lcr_h & PL011_LCR_H_FEN ? share(uart->ifls >> 3) : 1;
}

/* Characters down to which the transmitter must come to interrupt. */
static unsigned tx_trigger(const struct pl011 *uart)
{
	return uart->lcr_h & PL011_LCR_H_FEN ? share(uart->ifls) : 0;
}

static bool receiver_listens(const struct pl011 *uart)
{
	return (uart->cr & PL011_CR_UARTEN) && (uart->cr & PL011_CR_RXE);
}

/* A character has come, or one of several was fetched: what is left times out at once (2.8.4). */
static void settle_receiver(struct pl011 *uart)
{
	uart->ris &= ~(PL011_INT_RX | PL011_INT_RT);
	if (uart->rx_count >= rx_trigger(uart))
		uart->ris |= PL011_INT_RX;
	if (uart->rx_count)
		uart->ris |= PL011_INT_RT;
}

static void receive_character(struct pl011 *uart, uint8_t value)
{
	if (uart->rx_count == depth(uart)) {
		/* The FIFO keeps what it has; the next character that finds room tells of it. */
		uart->overrun = true;
		uart->rsr |= PL011_RSR_OE;
		uart->ris |= PL011_INT_OE;
		return;
	}
	uart->rx[uart->rx_count++] = value | (uart->overrun ? PL011_DR_OE : 0);
	uart->overrun = false;
}

static bool on_line(const struct serial_port *port)
{
	return !(((const struct pl011 *)port)->cr & PL011_CR_LBE);
}

static void fill_receiver(struct pl011 *uart)
{
	uint8_t value;

	while (receiver_listens(uart) && on_line(&uart->port) && uart->rx_count < depth(uart) &&
	       axdev_serial_next(&uart->port, &value))
		receive_character(uart, value);
	settle_receiver(uart);
}

static uint32_t read_character(struct pl011 *uart)
{
	uint32_t value = uart->rx[0];

	if (!uart->rx_count)
		return 0;
	uart->rx_count--;
	memmove(uart->rx, uart->rx + 1, uart->rx_count * sizeof(uart->rx[0]));
	if (value & PL011_DR_OE)
		uart->rsr |= PL011_RSR_OE;
	fill_receiver(uart);
	return value;
}

/* A character has left. The driver counts on room above the trigger level while TX stands (2.8.3:
 * it interrupts at or below it, and a write that goes above takes it back). */
static void sent(struct pl011 *uart)
{
	if (uart->tx_count <= tx_trigger(uart))
		uart->ris |= PL011_INT_TX;
}

static void send_waiting(struct pl011 *uart)
{
	uint32_t taken = axdev_serial_send(&uart->port, uart->tx, uart->tx_count);

	if (!taken)
		return;
	uart->tx_count -= taken;
	memmove(uart->tx, uart->tx + taken, uart->tx_count);
	sent(uart);
}

static void write_character(struct pl011 *uart, uint8_t value)
{
	if (uart->cr & PL011_CR_LBE) {
		if (receiver_listens(uart)) {
			receive_character(uart, value);
			settle_receiver(uart);
		}
		sent(uart);
		return;
	}
	/* A driver that writes on although TXFF is set loses characters, as it would. */
	if (uart->tx_count == depth(uart))
		return;
	uart->tx[uart->tx_count++] = value;
	if (uart->tx_count > tx_trigger(uart))
		uart->ris &= ~PL011_INT_TX;
	send_waiting(uart);
}

static const struct {
	uint32_t output, line, interrupt;
} modem_line[] = {
	/* In loopback an output is tied to the input of the same row (3.3.8). */
	{PL011_CR_RTS, PL011_FR_CTS, PL011_INT_CTS},
	{PL011_CR_DTR, PL011_FR_DSR, PL011_INT_DSR},
	{PL011_CR_OUT1, PL011_FR_DCD, PL011_INT_DCD},
	{PL011_CR_OUT2, PL011_FR_RI, PL011_INT_RI},
};

/* A peer that is always ready, or our own outputs. */
static void update_modem(struct pl011 *uart)
{
	uint32_t lines = PL011_FR_CTS | PL011_FR_DSR | PL011_FR_DCD;

	for (size_t i = 0; i < AX_ARRAY_LEN(modem_line); i++) {
		if (uart->cr & PL011_CR_LBE)
			lines = uart->cr & modem_line[i].output ? lines | modem_line[i].line
								: lines & ~modem_line[i].line;
		if ((lines ^ uart->modem) & modem_line[i].line)
			uart->ris |= modem_line[i].interrupt;
	}
	uart->modem = lines;
}

static void write_lcr_h(struct pl011 *uart, uint32_t value)
{
	bool fifos_off = uart->lcr_h & ~value & PL011_LCR_H_FEN;

	uart->lcr_h = value & LCR_H_BITS;
	if (fifos_off) { /* this is how they are flushed (3.3.8) */
		uart->rx_count = 0;
		if (uart->tx_count) {
			uart->tx_count = 0;
			sent(uart);
		}
	}
	if (uart->tx_count > tx_trigger(uart))
		uart->ris &= ~PL011_INT_TX;
	fill_receiver(uart);
}

static void write_ifls(struct pl011 *uart, uint32_t value)
{
	uart->ifls = value & 0x3f;
	if (uart->tx_count > tx_trigger(uart))
		uart->ris &= ~PL011_INT_TX;
	settle_receiver(uart);
}

static uint32_t read_fr(const struct pl011 *uart)
{
	uint32_t value = uart->modem;

	if (!uart->rx_count)
		value |= PL011_FR_RXFE;
	if (uart->rx_count == depth(uart))
		value |= PL011_FR_RXFF;
	value |= uart->tx_count ? PL011_FR_BUSY : PL011_FR_TXFE;
	if (uart->tx_count == depth(uart))
		value |= PL011_FR_TXFF;
	return value;
}

static void power_on(struct serial_port *port)
{
	struct pl011 *uart = pl011_of(port);

	uart->rsr = uart->ilpr = uart->ibrd = uart->fbrd = uart->lcr_h = uart->dmacr = 0;
	uart->cr = CR_RESET;
	uart->ifls = IFLS_RESET;
	uart->overrun = false;
	uart->rx_count = uart->tx_count = 0;
	update_modem(uart);
	uart->imsc = uart->ris = 0;
	drive_line(uart);
}

static uint32_t read_register(void *dev, uint32_t offset)
{
	struct pl011 *uart = dev;

	switch (offset) {
	case PL011_DR:
		return read_character(uart);
	case PL011_RSR:
		return uart->rsr;
	case PL011_FR:
		return read_fr(uart);
	case PL011_ILPR:
		return uart->ilpr;
	case PL011_IBRD:
		return uart->ibrd;
	case PL011_FBRD:
		return uart->fbrd;
	case PL011_LCR_H:
		return uart->lcr_h;
	case PL011_CR:
		return uart->cr;
	case PL011_IFLS:
		return uart->ifls;
	case PL011_IMSC:
		return uart->imsc;
	case PL011_RIS:
		return uart->ris;
	case PL011_MIS:
		return uart->ris & uart->imsc;
	case PL011_DMACR:
		return uart->dmacr;
	default:
		return axdev_primecell_id(periph_id, offset);
	}
}

static void write_register(void *dev, uint32_t offset, uint32_t value)
{
	struct pl011 *uart = dev;

	switch (offset) {
	case PL011_DR:
		write_character(uart, (uint8_t)value);
		break;
	case PL011_RSR: /* ECR: whatever is written */
		uart->rsr = 0;
		break;
	case PL011_ILPR:
		uart->ilpr = value & 0xff;
		break;
	case PL011_IBRD:
		uart->ibrd = value & 0xffff;
		break;
	case PL011_FBRD:
		uart->fbrd = value & 0x3f;
		break;
	case PL011_LCR_H:
		write_lcr_h(uart, value);
		break;
	case PL011_CR:
		uart->cr = value & CR_BITS;
		update_modem(uart);
		fill_receiver(uart);
		break;
	case PL011_IFLS:
		write_ifls(uart, value);
		break;
	case PL011_IMSC:
		uart->imsc = value & PL011_INT_ALL;
		break;
	case PL011_ICR:
		uart->ris &= ~value;
		break;
	case PL011_DMACR: /* kept; there is no DMA controller to ask */
		uart->dmacr = value & 0x7;
		break;
	default: /* read-only, reserved or for the factory's tests */
		break;
	}
}

static void pl011_access(struct serial_port *port, struct axdev_access *access)
{
	struct pl011 *uart = pl011_of(port);

	axdev_primecell_access(access, uart, read_register, write_register);
	drive_line(uart);
}

static void refill(struct serial_port *port)
{
	fill_receiver(pl011_of(port));
	drive_line(pl011_of(port));
}

static void transmit(struct serial_port *port)
{
	send_waiting(pl011_of(port));
	drive_line(pl011_of(port));
}

static const struct serial_chip pl011_chip = {
	.access = pl011_access,
	.power_on = power_on,
	.on_line = on_line,
	.refill = refill,
	.transmit = transmit,
};

static int pl011_create(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axdev_pl011_config *cfg = config;
	struct pl011 *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a UART");
	uart->port.chr = cfg->chr;
	uart->port.dev.resource[0] = (struct axdev_resource){AXDEV_MMIO, cfg->base, PRIMECELL_SIZE};
	return axdev_serial_create(&uart->port, &pl011_chip, cfg->gsi, AXIRQ_LEVEL, name, services,
				   ret_dev, err);
}

const struct axdev_class axdev_pl011_class = {
	.name = "pl011",
	.type = 0x42,
	.summary = "Arm PrimeCell serial port",
	.config_size = sizeof(struct axdev_pl011_config),
	.create = pl011_create,
};
