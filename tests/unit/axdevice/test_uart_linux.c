/*
 * The UART as Linux's 8250 driver uses it: the probe of drivers/tty/serial/8250/8250_port.c
 * replayed access by access, a paste into a login shell, and output against a stuck reader.
 */
#include "helpers.h"

#include <fcntl.h>
#include <linux/serial_reg.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void test_autoconfig(void **state)
{
	struct uart_rig rig;
	uint8_t saved_mcr, saved_lcr, saved_ier;
	int out[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	uart_rig_setup(&rig, -1, out[1]);
	/* autoconfig(): is there an IER whose low four bits exist? */
	saved_ier = in8(&rig, UART_IER);
	out8(&rig, UART_IER, 0);
	assert_int_equal(in8(&rig, UART_IER) & 0x0f, 0);
	out8(&rig, UART_IER, 0x0f);
	assert_int_equal(in8(&rig, UART_IER) & 0x0f, 0x0f);
	out8(&rig, UART_IER, saved_ier);
	saved_mcr = in8(&rig, UART_MCR);
	saved_lcr = in8(&rig, UART_LCR);
	/* The loopback test. */
	out8(&rig, UART_MCR, UART_MCR_LOOP | 0x0a);
	assert_int_equal(in8(&rig, UART_MSR) & 0xf0, 0x90);
	out8(&rig, UART_MCR, saved_mcr);
	/* EFR must not look like an extended register (16650 and others). */
	out8(&rig, UART_LCR, UART_LCR_CONF_MODE_B);
	out8(&rig, UART_EFR, 0);
	out8(&rig, UART_LCR, 0);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in8(&rig, UART_IIR) >> 6, 3); /* 16550A */
	/* autoconfig_16550a(): no Exar, no 16750, no XScale. */
	out8(&rig, UART_LCR, UART_LCR_CONF_MODE_A);
	assert_int_not_equal(in8(&rig, UART_EFR), 0);
	out8(&rig, UART_LCR, UART_LCR_CONF_MODE_B);
	assert_int_not_equal(in8(&rig, UART_EFR), 0);
	out8(&rig, UART_LCR, 0);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(in8(&rig, UART_IIR) >> 5, 6);
	out8(&rig, UART_LCR, UART_LCR_CONF_MODE_A);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(in8(&rig, UART_IIR) >> 5, 6);
	out8(&rig, UART_LCR, 0);
	out8(&rig, UART_IER, UART_IER_UUE);
	assert_int_equal(in8(&rig, UART_IER) & UART_IER_UUE, 0);
	out8(&rig, UART_LCR, saved_lcr);
	/* size_fifo(): what comes back of 256 characters in loopback is the FIFO's size. */
	out8(&rig, UART_LCR, 0);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out8(&rig, UART_MCR, UART_MCR_LOOP);
	out8(&rig, UART_LCR, UART_LCR_CONF_MODE_A);
	out8(&rig, UART_DLL, 1);
	out8(&rig, UART_DLM, 0);
	out8(&rig, UART_LCR, UART_LCR_WLEN8);
	int count = 0;
	for (int i = 0; i < 256; i++)
		out8(&rig, UART_TX, (uint8_t)i);
	for (; (in8(&rig, UART_LSR) & UART_LSR_DR) && count < 256; count++)
		in8(&rig, UART_RX);
	assert_int_equal(count, 16);
	out8(&rig, UART_MCR, saved_mcr);
	/* serial8250_do_startup(): LSR 0xff would mean that no port is there. */
	assert_int_not_equal(in8(&rig, UART_LSR), 0xff);
	/* Its THRE test: the interrupt must come again when it is enabled again. */
	out8(&rig, UART_IER, UART_IER_THRI);
	assert_int_equal(in8(&rig, UART_IIR) & UART_IIR_NO_INT, 0);
	out8(&rig, UART_IER, 0);
	out8(&rig, UART_IER, UART_IER_THRI);
	assert_int_equal(in8(&rig, UART_IIR) & UART_IIR_NO_INT, 0);
	out8(&rig, UART_IER, 0);

	/* None of it was output: no divisor byte, nothing sent in loopback. */
	out8(&rig, UART_TX, '!');
	loop_start(&rig.lt);
	assert_int_equal(read(out[0], &byte, 1), 1);
	assert_int_equal(byte, '!');
	uart_rig_teardown(&rig);
	close(out[0]);
	close(out[1]);
}

/* What serial8250_interrupt does for one edge. */
static size_t handle_interrupt(struct uart_rig *rig, uint8_t *into, size_t max)
{
	size_t got = 0;

	while (!(in8(rig, UART_IIR) & UART_IIR_NO_INT)) {
		while ((in8(rig, UART_LSR) & UART_LSR_DR) && got < max)
			into[got++] = in8(rig, UART_RX);
		if (got == max)
			break;
	}
	return got;
}

/* A driver that fetches exactly the trigger level and leaves the rest to the next edge. */
static size_t handle_exactly(struct uart_rig *rig, uint8_t *into, size_t max)
{
	uint8_t id = in8(rig, UART_IIR) & 0x0f;
	size_t count = id == UART_IIR_RDI ? 8 : id == UART_IIR_RX_TIMEOUT ? 1 : 0, i;

	for (i = 0; i < count && i < max; i++)
		into[i] = in8(rig, UART_RX);
	return i;
}

#define PASTE 4096

/* Characters arrive on edges alone: a lost edge would hang the transfer. */
static void paste(size_t (*handler)(struct uart_rig *, uint8_t *, size_t), bool all_at_once)
{
	static uint8_t sent[PASTE], got[PASTE];
	struct uart_rig rig;
	size_t have = 0, put = 0;
	int in[2], handled = 0;
	uint64_t deadline = ax_clock_ns() + 20000000000ULL;

	for (size_t i = 0; i < PASTE; i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	uart_rig_setup(&rig, in[0], -1);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	out8(&rig, UART_IER, UART_IER_RDI);
	loop_start(&rig.lt);
	while (have < PASTE && ax_clock_ns() < deadline) {
		size_t piece = all_at_once ? PASTE : 1 + put % 50;

		if (put < PASTE) {
			piece = piece < PASTE - put ? piece : PASTE - put;
			assert_int_equal(write(in[1], sent + put, piece), piece);
			put += piece;
		}
		if (uart_edges(&rig) == handled) {
			nap();
			continue;
		}
		handled =
			uart_edges(&rig); /* pending edges are one interrupt, as in a controller */
		have += handler(&rig, got + have, PASTE - have);
	}
	assert_int_equal(have, PASTE);
	assert_memory_equal(sent, got, PASTE);
	assert_false(in8(&rig, UART_LSR) & (UART_LSR_DR | UART_LSR_OE));
	uart_rig_teardown(&rig);
	close(in[0]);
	close(in[1]);
}

static void test_paste(void **state)
{
	(void)state;
	paste(handle_interrupt, true);
	paste(handle_interrupt, false);
	paste(handle_exactly, true);
	paste(handle_exactly, false);
}

/* What the receiver holds goes with a reset, what waits behind it is for whoever boots next. */
static void test_typed_ahead(void **state)
{
	struct uart_rig rig;
	int in[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	uart_rig_setup(&rig, in[0], -1);
	assert_int_equal(write(in[1], "early", 5), 5);
	loop_start(&rig.lt);
	WAIT_FOR(in8(&rig, UART_LSR) & UART_LSR_DR);
	axbus_reset(rig.bus);
	for (int i = 1; i < 5; i++) {
		assert_true(in8(&rig, UART_LSR) & UART_LSR_DR);
		assert_int_equal(in8(&rig, UART_RX), "early"[i]);
	}
	assert_false(in8(&rig, UART_LSR) & UART_LSR_DR);
	uart_rig_teardown(&rig);
	close(in[0]);
	close(in[1]);
}

static void test_stuck_reader(void **state)
{
	struct uart_rig rig;
	size_t written = 0, got = 0, last_full = 0;
	static char buffer[65536];
	int out[2];

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	uart_rig_setup(&rig, -1, out[1]);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO);
	loop_start(&rig.lt);
	/* Nobody reads: pipe and ring fill up, then the transmitter stays busy. No call blocks. */
	while (written < 1000000) {
		if (!(in8(&rig, UART_LSR) & UART_LSR_THRE)) {
			if (written == last_full && last_full)
				break; /* still full after a rest */
			last_full = written;
			for (int i = 0; i < 100; i++)
				nap();
			continue;
		}
		out8(&rig, UART_TX, (uint8_t)('a' + written % 26));
		written++;
	}
	assert_true(written < 64 * 1024 + 1024 * 1024);
	assert_int_equal(in8(&rig, UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT), 0);
	/* What a driver writes blindly fills the FIFO of 16; more is lost, and nothing breaks. */
	for (int i = 0; i < 40; i++)
		out8(&rig, UART_TX, i < 15 ? (uint8_t)('a' + written++ % 26) : '#');
	out8(&rig, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_edges(&rig), 0);
	/* The reader comes back: everything arrives in order, and the interrupt tells. */
	while (got < written) {
		ssize_t n = read(out[0], buffer, sizeof(buffer));

		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(buffer[i], 'a' + (got + (size_t)i) % 26);
		got += (size_t)n;
	}
	WAIT_FOR(uart_edges(&rig) == 1);
	assert_int_equal(in8(&rig, UART_LSR), 0x60);
	uart_rig_teardown(&rig);
	close(out[0]);
	close(out[1]);
}

static void test_suspend(void **state)
{
	struct uart_rig rig;
	int in[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	uart_rig_setup(&rig, in[0], -1);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO);
	out8(&rig, UART_IER, UART_IER_RDI);
	assert_int_equal(axbus_suspend(rig.bus, NULL), 0);
	loop_start(&rig.lt);
	assert_int_equal(write(in[1], "hi", 2), 2);
	for (int i = 0; i < 50; i++)
		nap();
	assert_int_equal(uart_edges(&rig), 0);
	assert_int_equal(axbus_resume(rig.bus, NULL), 0);
	WAIT_FOR(uart_edges(&rig) == 1);
	assert_int_equal(in8(&rig, UART_RX), 'h');
	assert_int_equal(in8(&rig, UART_RX), 'i');
	uart_rig_teardown(&rig);
	close(in[0]);
	close(in[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_autoconfig),  cmocka_unit_test(test_paste),
		cmocka_unit_test(test_typed_ahead), cmocka_unit_test(test_stuck_reader),
		cmocka_unit_test(test_suspend),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("axdevice uart linux", tests, NULL, NULL);
}
