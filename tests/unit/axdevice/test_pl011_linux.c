/*
 * The PL011 as Linux's driver uses it (drivers/tty/serial/amba-pl011.c, 6.1): identification,
 * earlycon, startup, the interrupt handler, a paste into a login shell, output against a stuck
 * reader, and what older kernels do to provoke the transmit interrupt.
 */
#include "pl011.h"
#include "pl0_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PASTE 4096

static struct pl0_rig rig;

/* amba_device_try_add() and get_fifosize_arm(). */
static unsigned fifo_size(void)
{
	uint32_t pid = 0, cid = 0;

	for (uint32_t i = 0; i < 4; i++) {
		pid |= (rd(&rig, 0xfe0 + 4 * i) & 0xff) << (8 * i);
		cid |= (rd(&rig, 0xff0 + 4 * i) & 0xff) << (8 * i);
	}
	assert_int_equal(cid, 0xb105f00d);
	assert_int_equal(pid & 0x000fffff, 0x00041011);
	return (pid >> 20 & 0x0f) < 3 ? 16 : 32;
}

/* pl011_early_write(). */
static void early_putc(uint8_t c)
{
	while (rd(&rig, PL011_FR) & PL011_FR_TXFF)
		;
	assert_int_equal(bus_write(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_DR, 1, c), 0);
	while (rd(&rig, PL011_FR) & PL011_FR_BUSY)
		;
}

/* pl011_startup(), with what pl011_set_termios() does to 8n1. Returns uap->im. */
static uint32_t startup(void)
{
	uint32_t cr;

	wr(&rig, PL011_ICR, 0x7d0); /* pl011_hwinit() */
	wr(&rig, PL011_IMSC, PL011_INT_RT | PL011_INT_RX);
	wr(&rig, PL011_IMSC, 0);
	wr(&rig, PL011_IFLS, 0x12); /* half and half */
	cr = rd(&rig, PL011_CR) & (PL011_CR_RTS | PL011_CR_DTR);
	wr(&rig, PL011_CR, cr | PL011_CR_UARTEN | PL011_CR_RXE | PL011_CR_TXE);
	assert_int_equal(rd(&rig, PL011_FR) & 0x107, 0x007);
	wr(&rig, PL011_ICR, PL011_INT_RT | PL011_INT_RX); /* pl011_enable_interrupts() */
	for (unsigned i = 0; i < fifo_size() * 2 && !(rd(&rig, PL011_FR) & PL011_FR_RXFE); i++)
		rd(&rig, PL011_DR);
	wr(&rig, PL011_IMSC, PL011_INT_RT | PL011_INT_RX);
	cr = rd(&rig, PL011_CR); /* pl011_set_termios() */
	wr(&rig, PL011_CR, 0);
	wr(&rig, PL011_FBRD, 1);
	wr(&rig, PL011_IBRD, 13);
	wr(&rig, PL011_LCR_H, 0x60 | PL011_LCR_H_FEN);
	wr(&rig, PL011_CR, cr);
	return PL011_INT_RT | PL011_INT_RX;
}

struct port {
	uint32_t im;
	uint8_t *got; /* NULL: nothing is expected */
	size_t got_count;
	const uint8_t *xmit;
	size_t xmit_left;
};

/* pl011_tx_chars(): from the interrupt half a FIFO is written without a look at TXFF. */
static void tx_chars(struct port *port, bool from_irq)
{
	for (unsigned n = fifo_size() / 2; port->xmit_left; port->xmit_left--) {
		if (from_irq ? n-- == 0 : rd(&rig, PL011_FR) & PL011_FR_TXFF)
			break;
		wr(&rig, PL011_DR, *port->xmit++);
	}
	if (port->xmit_left)
		port->im |= PL011_INT_TX;
	else
		port->im &= ~PL011_INT_TX;
	wr(&rig, PL011_IMSC, port->im);
}

/* pl011_fifo_to_tty(). */
static void rx_chars(struct port *port)
{
	for (int n = 0; n < 256 && !(rd(&rig, PL011_FR) & PL011_FR_RXFE); n++) {
		uint32_t c = rd(&rig, PL011_DR);

		assert_int_equal(c & ~0xffu, 0);
		assert_non_null(port->got);
		assert_true(port->got_count < PASTE);
		port->got[port->got_count++] = (uint8_t)c;
	}
}

/* pl011_int(). */
static void handle_interrupt(struct port *port)
{
	uint32_t status = rd(&rig, PL011_RIS) & port->im;

	for (int pass = 256; status && pass; pass--) {
		wr(&rig, PL011_ICR, status & ~(PL011_INT_TX | PL011_INT_RT | PL011_INT_RX));
		if (status & (PL011_INT_RT | PL011_INT_RX))
			rx_chars(port);
		if (status & PL011_INT_TX)
			tx_chars(port, true);
		status = rd(&rig, PL011_RIS) & port->im;
	}
}

/* What an interrupt controller does; the loop's thread drives the line as well. */
static bool interrupted(void)
{
	struct pl011 *uart = (struct pl011 *)rig.dev;
	bool high;

	pthread_mutex_lock(&uart->port.lock);
	high = line_high(&rig);
	pthread_mutex_unlock(&uart->port.lock);
	return high;
}

static void test_probe(void **state)
{
	int out[2];
	char text[8] = "";

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pl011_rig_setup(&rig, -1, out[1]);
	assert_int_equal(fifo_size(), PL011_FIFO_CHARS);
	/* earlycon finds no port that firmware has set up. */
	early_putc('e');
	early_putc('c');
	/* What kernels before 4.1 did in pl011_startup(): nothing of it is output or input. */
	wr(&rig, PL011_CR, PL011_CR_UARTEN | PL011_CR_TXE | PL011_CR_LBE);
	wr(&rig, PL011_FBRD, 0);
	wr(&rig, PL011_IBRD, 1);
	wr(&rig, PL011_LCR_H, 0);
	wr(&rig, PL011_DR, 0);
	while (rd(&rig, PL011_FR) & PL011_FR_BUSY)
		;
	assert_true(rd(&rig, PL011_RIS) & PL011_INT_TX);
	startup();
	assert_true(rd(&rig, PL011_FR) & PL011_FR_RXFE);
	assert_false(interrupted());
	early_putc('!');
	loop_start(&rig.lt);
	for (ssize_t have = 0; have < 3;) {
		ssize_t n = read(out[0], text + have, sizeof(text) - (size_t)have);

		assert_true(n > 0);
		have += n;
	}
	assert_string_equal(text, "ec!");
	pl0_rig_teardown(&rig);
	close(out[0]);
	close(out[1]);
}

static void paste(size_t piece_max)
{
	static uint8_t sent[PASTE], got[PASTE];
	struct port port = {.got = got};
	uint64_t deadline = ax_clock_ns() + 20000000000ULL;
	size_t put = 0;
	int in[2];

	for (size_t i = 0; i < PASTE; i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	pl011_rig_setup(&rig, in[0], -1);
	port.im = startup();
	loop_start(&rig.lt);
	while (port.got_count < PASTE && ax_clock_ns() < deadline) {
		size_t piece = piece_max < PASTE ? 1 + put % piece_max : PASTE;

		piece = piece < PASTE - put ? piece : PASTE - put;
		if (piece) {
			assert_int_equal(write(in[1], sent + put, piece), piece);
			put += piece;
		}
		if (interrupted())
			handle_interrupt(&port);
		else
			nap();
	}
	assert_int_equal(port.got_count, PASTE);
	assert_memory_equal(sent, got, PASTE);
	assert_true(rd(&rig, PL011_FR) & PL011_FR_RXFE);
	assert_int_equal(rd(&rig, PL011_RSR), 0);
	assert_false(interrupted());
	/* One character, typed. */
	port.got_count = 0;
	assert_int_equal(write(in[1], "\r", 1), 1);
	WAIT_FOR(interrupted());
	handle_interrupt(&port);
	assert_int_equal(port.got_count, 1);
	assert_int_equal(got[0], '\r');
	pl0_rig_teardown(&rig);
	close(in[0]);
	close(in[1]);
}

static void test_paste(void **state)
{
	(void)state;
	paste(PASTE);
	paste(50);
	paste(1);
}

#define OUTPUT ((size_t)200000)

static void test_stuck_reader(void **state)
{
	static uint8_t sent[OUTPUT], got[OUTPUT];
	struct port port = {.xmit = sent, .xmit_left = OUTPUT};
	uint64_t deadline = ax_clock_ns() + 20000000000ULL;
	size_t have = 0, left;
	int out[2];

	(void)state;
	for (size_t i = 0; i < OUTPUT; i++)
		sent[i] = (uint8_t)('a' + i % 26);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	pl011_rig_setup(&rig, -1, out[1]);
	port.im = startup();
	loop_start(&rig.lt);
	/* Nobody reads: pipe, ring and FIFO fill up, then interrupts cease. No call blocks. */
	tx_chars(&port, false);
	do {
		left = port.xmit_left;
		for (int i = 0; i < 100; i++)
			nap();
		if (interrupted())
			handle_interrupt(&port);
	} while (port.xmit_left != left);
	assert_true(port.xmit_left > 0);
	assert_false(interrupted());
	assert_true(rd(&rig, PL011_FR) & PL011_FR_BUSY);
	/* The reader comes back: everything arrives in order. */
	while (have < OUTPUT && ax_clock_ns() < deadline) {
		ssize_t n = read(out[0], got + have, OUTPUT - have);

		if (n > 0)
			have += (size_t)n;
		if (interrupted())
			handle_interrupt(&port);
		else if (n < 0)
			nap();
	}
	assert_int_equal(have, OUTPUT);
	assert_memory_equal(sent, got, OUTPUT);
	WAIT_FOR(!(rd(&rig, PL011_FR) & PL011_FR_BUSY));
	assert_false(interrupted()); /* tx_chars has masked it */
	pl0_rig_teardown(&rig);
	close(out[0]);
	close(out[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_paste),
		cmocka_unit_test(test_stuck_reader),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("axdevice pl011 linux", tests, NULL, NULL);
}
