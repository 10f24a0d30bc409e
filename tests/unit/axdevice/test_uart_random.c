/*
 * must-test 11: a driver that does anything at all to the UART's registers, in any order and width,
 * while input comes and the console is now full, now empty. The FIFOs stay bounded, bits that do
 * not exist read as zero, and a driver that starts over afterwards finds a working port.
 */
#include "chr_priv.h"
#include "helpers.h"
#include "uart16550.h"

#include <linux/serial_reg.h>

#define STEPS 300000

static struct uart_rig rig;

static uint64_t next_random(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	return x * 0x2545f4914f6cdd1d;
}

static void access_anything(void)
{
	static const uint8_t widths[] = {1, 1, 1, 1, 2, 3, 4, 8};
	const uint64_t r = next_random();
	const uint8_t width = widths[r % AX_ARRAY_LEN(widths)];
	const uint64_t port = 0x3f8 + (r >> 8) % 8;

	if (r >> 16 & 1)
		assert_int_equal(bus_write(rig.bus, AXDEV_PORT, port, width, next_random()), 0);
	else
		bus_read(rig.bus, AXDEV_PORT, port, width);
}

static void receive_something(void)
{
	static const uint8_t text[100] = "typed ahead";
	const struct axchr_device *device = &rig.chr->device;
	const size_t room = device->can_receive(device->dev);

	assert_true(room <= SERIAL_BACKLOG_BYTES);
	device->receive(device->dev, text, room < sizeof(text) ? room : sizeof(text));
}

static void fill_console(void)
{
	static const uint8_t text[CHR_RING_BYTES];

	axchr_send(rig.chr, text, sizeof(text));
}

static void check_bounds(const struct uart *uart)
{
	assert_true(uart->rx_count <= (uart->fcr & UART_FCR_ENABLE_FIFO ? UART_FIFO_BYTES : 1));
	assert_true(uart->tx_count <= UART_FIFO_BYTES);
	assert_true(uart->port.backlog_count <= SERIAL_BACKLOG_BYTES);
	assert_true(uart->port.backlog_start < SERIAL_BACKLOG_BYTES);
	assert_int_equal(uart->ier & 0xf0, 0);
	assert_int_equal(uart->mcr & 0xe0, 0);
}

/* As a driver does at its start; then one character each way, with its interrupt. */
static void check_works(void)
{
	int edges;

	out8(&rig, UART_LCR, UART_LCR_WLEN8);
	out8(&rig, UART_IER, 0);
	out8(&rig, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	axchr_drain(rig.chr);
	while (in8(&rig, UART_LSR) & UART_LSR_DR)
		in8(&rig, UART_RX);
	in8(&rig, UART_MSR);
	assert_int_equal(in8(&rig, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);

	out8(&rig, UART_TX, 'x');
	edges = uart_edges(&rig);
	out8(&rig, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_edges(&rig), edges + 1);
	assert_int_equal(in8(&rig, UART_IIR) & 0x0f, UART_IIR_THRI);

	out8(&rig, UART_IER, UART_IER_RDI);
	edges = uart_edges(&rig);
	receive_something();
	assert_int_equal(uart_edges(&rig), edges + 1);
	assert_true(in8(&rig, UART_LSR) & UART_LSR_DR);
	assert_int_equal(in8(&rig, UART_RX), 't');
}

static void test_anything(void **state)
{
	(void)state;
	uart_rig_setup(&rig, -1, -1);
	for (unsigned step = 0; step < STEPS; step++) {
		access_anything();
		if (step % 7 == 0)
			receive_something();
		if (step % 1000 == 0)
			fill_console();
		if (step % 1000 == 500)
			axchr_drain(rig.chr);
		check_bounds((const struct uart *)rig.dev);
		if (step % 10000 == 9999)
			check_works();
	}
	uart_rig_teardown(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_anything)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
