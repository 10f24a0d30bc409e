/*
 * The 16550A in memory, as device trees describe it: registers next to each other or four bytes
 * apart (reg-shift), with its interrupt and its console; and what a bad description gives.
 */
#include "helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <unistd.h>

#define BASE 0x10000000u

static struct uart_rig rig; /* the one at the port is nobody's here */
static struct axchr *chr;

static uint8_t mmio_in(unsigned reg, uint8_t shift)
{
	/* reg-io-width is the register's distance. */
	return (uint8_t)bus_read(rig.bus, AXDEV_MMIO, BASE + (reg << shift), (uint8_t)(1 << shift));
}

static void mmio_out(unsigned reg, uint8_t shift, uint8_t value)
{
	assert_int_equal(
		bus_write(rig.bus, AXDEV_MMIO, BASE + (reg << shift), (uint8_t)(1 << shift), value),
		0);
}

static void check_port(uint8_t shift)
{
	struct axdev_uart16550_config config = {
		.space = AXDEV_MMIO, .base = BASE, .reg_shift = shift, .gsi = 5};
	struct axdev_services services;
	struct axdev *dev;
	int in[2], out[2];
	char byte;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	uart_rig_setup(&rig, -1, -1);
	services = (struct axdev_services){.irqs = rig.irqs, .io_loop = rig.lt.loop};
	assert_int_equal(axchr_create(&(struct axchr_config){.in_fd = in[0], .out_fd = out[1]},
				      rig.lt.loop, &chr, NULL),
			 0);
	config.chr = chr;
	assert_int_equal(axdev_create("uart16550", "serial1", &config, sizeof(config), &services,
				      &dev, NULL),
			 0);
	assert_int_equal(dev->resource[0].size, 8u << shift);
	assert_int_equal(axbus_attach(rig.bus, dev, NULL), 0);

	/* Each register is itself and no other. */
	mmio_out(UART_SCR, shift, 0xa5);
	mmio_out(UART_LCR, shift, UART_LCR_DLAB | UART_LCR_WLEN8);
	mmio_out(UART_DLL, shift, 0x01);
	mmio_out(UART_DLM, shift, 0x02);
	assert_int_equal(mmio_in(UART_DLL, shift), 0x01);
	assert_int_equal(mmio_in(UART_DLM, shift), 0x02);
	mmio_out(UART_LCR, shift, UART_LCR_WLEN8);
	mmio_out(UART_MCR, shift, UART_MCR_OUT2);
	mmio_out(UART_FCR, shift, UART_FCR_ENABLE_FIFO);
	assert_int_equal(mmio_in(UART_IIR, shift), 0xc1);
	assert_int_equal(mmio_in(UART_LCR, shift), UART_LCR_WLEN8);
	assert_int_equal(mmio_in(UART_MCR, shift), UART_MCR_OUT2);
	assert_int_equal(mmio_in(UART_LSR, shift), 0x60);
	assert_int_equal(mmio_in(UART_MSR, shift), 0xb0);
	assert_int_equal(mmio_in(UART_SCR, shift), 0xa5);
	/* Past its last register nobody is. */
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, BASE + (8u << shift), 1), 0xff);

	/* Out and in, with an edge on the line each. */
	loop_start(&rig.lt);
	mmio_out(UART_TX, shift, '>');
	assert_int_equal(read(out[0], &byte, 1), 1);
	assert_int_equal(byte, '>');
	mmio_out(UART_IER, shift, UART_IER_THRI);
	assert_int_equal(rig.chip.rises[5], 1);
	mmio_out(UART_IER, shift, UART_IER_RDI);
	assert_int_equal(write(in[1], "<", 1), 1);
	WAIT_FOR(rig.chip.rises[5] == 2);
	assert_int_equal(mmio_in(UART_RX, shift), '<');
	assert_int_equal(uart_edges(&rig), 0);

	loop_stop(&rig.lt);
	assert_int_equal(axbus_detach(rig.bus, dev, NULL), 0);
	axdev_destroy(dev);
	axchr_destroy(chr);
	uart_rig_teardown(&rig);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static void test_adjacent(void **state)
{
	(void)state;
	check_port(0);
}

static void test_four_bytes_apart(void **state)
{
	(void)state;
	check_port(2);
}

static void test_refused(void **state)
{
	static const struct axdev_uart16550_config config[] = {
		{.space = AXDEV_PORT, .base = 0x2f8, .reg_shift = 2},
		{.space = AXDEV_MMIO, .base = BASE, .reg_shift = 4},
		{.space = AXDEV_MMIO, .base = BASE, .reg_shift = 0xff},
		{.space = AXDEV_SYSREG, .base = 1},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(config); i++) {
		struct ax_error err = {0};
		struct axdev *dev = NULL;

		assert_int_equal(axdev_create("uart16550", "serial1", &config[i], sizeof(config[i]),
					      &(struct axdev_services){0}, &dev, &err),
				 -EINVAL);
		assert_int_equal(err.kind, AX_ERROR_DEVICE);
		assert_null(dev);
	}
}

/* A line that is level-triggered is high for as long as the pin is, and low after a reset. */
static void test_level(void **state)
{
	const struct axdev_uart16550_config config = {
		.space = AXDEV_MMIO, .base = BASE, .gsi = 5, .trigger = AXIRQ_LEVEL};
	struct axdev_services services;
	struct axdev *dev = NULL;
	(void)state;

	uart_rig_setup(&rig, -1, -1);
	services = (struct axdev_services){.irqs = rig.irqs, .io_loop = rig.lt.loop};
	assert_int_equal(axdev_create("uart16550", "serial1", &config, sizeof(config), &services,
				      &dev, NULL),
			 0);
	assert_int_equal(axbus_attach(rig.bus, dev, NULL), 0);
	mmio_out(UART_IER, 0, UART_IER_THRI);
	assert_true(rig.chip.level[5]);
	mmio_in(UART_LSR, 0); /* answers nothing */
	assert_true(rig.chip.level[5]);
	assert_int_equal(mmio_in(UART_IIR, 0) & 0xf, UART_IIR_THRI);
	assert_false(rig.chip.level[5]);
	mmio_out(UART_TX, 0, '>'); /* sent at once */
	assert_true(rig.chip.level[5]);
	assert_int_equal(rig.chip.rises[5], 2);
	dev->ops->reset(dev);
	assert_false(rig.chip.level[5]);
	assert_int_equal(axbus_detach(rig.bus, dev, NULL), 0);
	axdev_destroy(dev);
	uart_rig_teardown(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adjacent),
		cmocka_unit_test(test_four_bytes_apart),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_level),
	};

	return cmocka_run_group_tests_name("axdevice uart mmio", tests, NULL, NULL);
}
