/*
 * The registers of the 16550A against its data sheet (PC16550D, June 1995): one test a register
 * or interrupt source.
 */
#include "helpers.h"

#include <errno.h>
#include <linux/serial_reg.h>

#define NO_CONSOLE -1, -1

/* Put a UART into loopback with FIFOs and the given trigger bits; line delta bits are cleared. */
static void loopback(struct uart_rig *rig, uint8_t trigger)
{
	out8(rig, UART_FCR, UART_FCR_ENABLE_FIFO | trigger);
	out8(rig, UART_MCR, UART_MCR_LOOP);
	in8(rig, UART_MSR);
}

static void test_power_on(void **state)
{
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(in8(&rig, UART_RX), 0);
		assert_int_equal(in8(&rig, UART_IER), 0);
		assert_int_equal(in8(&rig, UART_IIR), 0x01);
		assert_int_equal(in8(&rig, UART_LCR), 0);
		assert_int_equal(in8(&rig, UART_MCR), 0);
		assert_int_equal(in8(&rig, UART_LSR), 0x60);
		assert_int_equal(in8(&rig, UART_MSR), 0xb0);
		assert_int_equal(in8(&rig, UART_SCR), 0);
		for (unsigned reg = 1; reg < 8; reg++)
			out8(&rig, reg, 0x5f);
		axbus_reset(rig.bus);
	}
	uart_rig_teardown(&rig);
}

static void test_readback(void **state)
{
	/* Which bits of a register keep what is written. */
	static const struct {
		unsigned reg;
		uint8_t bits;
	} row[] = {{UART_IER, 0x0f}, {UART_LCR, 0x7f}, {UART_MCR, 0x1f}, {UART_SCR, 0xff}};
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	for (size_t i = 0; i < AX_ARRAY_LEN(row); i++) {
		for (unsigned value = 0; value < 0x100; value++) {
			out8(&rig, row[i].reg,
			     (uint8_t)value & (row[i].reg == UART_LCR ? 0x7f : 0xff));
			assert_int_equal(in8(&rig, row[i].reg), value & row[i].bits);
		}
		out8(&rig, row[i].reg, 0);
	}
	/* Read-only: LSR and MSR. */
	in8(&rig, UART_MSR);
	out8(&rig, UART_LSR, 0xff);
	out8(&rig, UART_MSR, 0xff);
	assert_int_equal(in8(&rig, UART_LSR), 0x60);
	assert_int_equal(in8(&rig, UART_MSR), 0xb0);
	uart_rig_teardown(&rig);
}

static void test_divisor(void **state)
{
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	out8(&rig, UART_IER, UART_IER_RLSI);
	out8(&rig, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	assert_int_equal(in8(&rig, UART_DLL), 0x0c);
	out8(&rig, UART_DLL, 0x01);
	out8(&rig, UART_DLM, 0xff);
	assert_int_equal(in8(&rig, UART_DLL), 0x01);
	assert_int_equal(in8(&rig, UART_DLM), 0xff);
	/* The other registers are the same behind DLAB, and IER is as it was. */
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in8(&rig, UART_IIR), 0xc1);
	out8(&rig, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in8(&rig, UART_IER), UART_IER_RLSI);
	uart_rig_teardown(&rig);
}

static void test_thre_interrupt(void **state)
{
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	out8(&rig, UART_TX, 'a'); /* not enabled: no edge */
	assert_int_equal(uart_edges(&rig), 0);
	out8(&rig, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_edges(&rig), 1);
	out8(&rig, UART_IER, UART_IER_THRI | UART_IER_RDI); /* it is high already */
	assert_int_equal(uart_edges(&rig), 1);
	assert_int_equal(in8(&rig, UART_IIR), UART_IIR_THRI);
	assert_int_equal(in8(&rig, UART_IIR), UART_IIR_NO_INT); /* reading answered it */
	/* A character lowers it and, once sent, raises it: an edge each. */
	out8(&rig, UART_TX, 'b');
	out8(&rig, UART_TX, 'c');
	assert_int_equal(uart_edges(&rig), 3);
	assert_int_equal(in8(&rig, UART_IIR), UART_IIR_THRI);
	/* Enabling it anew with an empty transmitter reasserts it. */
	out8(&rig, UART_IER, 0);
	assert_int_equal(in8(&rig, UART_IIR), UART_IIR_NO_INT);
	out8(&rig, UART_IER, UART_IER_THRI);
	assert_int_equal(uart_edges(&rig), 4);
	assert_int_equal(in8(&rig, UART_IIR), UART_IIR_THRI);
	uart_rig_teardown(&rig);
}

static void test_receive_interrupt(void **state)
{
	static const struct {
		uint8_t bits, level;
	} trigger[] = {{UART_FCR_TRIGGER_1, 1},
		       {UART_FCR_TRIGGER_4, 4},
		       {UART_FCR_TRIGGER_8, 8},
		       {UART_FCR_TRIGGER_14, 14}};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(trigger); i++) {
		struct uart_rig rig;
		uint8_t level = trigger[i].level;

		uart_rig_setup(&rig, NO_CONSOLE);
		loopback(&rig, trigger[i].bits);
		out8(&rig, UART_IER, UART_IER_RDI);
		for (uint8_t n = 1; n <= level; n++) {
			out8(&rig, UART_TX, n);
			assert_int_equal(in8(&rig, UART_IIR),
					 0xc0 | (n < level ? UART_IIR_RX_TIMEOUT : UART_IIR_RDI));
			assert_int_equal(uart_edges(&rig), 1);
		}
		/* Below the level it is the time-out that tells of the rest: falls and rises. */
		for (uint8_t n = 1; n <= level; n++) {
			assert_true(in8(&rig, UART_LSR) & UART_LSR_DR);
			assert_int_equal(in8(&rig, UART_RX), n);
			assert_int_equal(uart_edges(&rig), n < level ? 1 + n : level);
		}
		assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_NO_INT);
		assert_int_equal(in8(&rig, UART_LSR), 0x60);
		uart_rig_teardown(&rig);
	}
}

static void test_overrun(void **state)
{
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	loopback(&rig, UART_FCR_TRIGGER_14);
	out8(&rig, UART_IER, UART_IER_RLSI);
	for (uint8_t n = 0; n < 16; n++)
		out8(&rig, UART_TX, n);
	assert_int_equal(uart_edges(&rig), 0);
	out8(&rig, UART_TX, 99);
	assert_int_equal(uart_edges(&rig), 1);
	assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_RLSI);
	assert_int_equal(in8(&rig, UART_LSR), 0x60 | UART_LSR_DR | UART_LSR_OE);
	assert_int_equal(in8(&rig, UART_LSR), 0x60 | UART_LSR_DR); /* reading cleared it */
	assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_NO_INT);
	for (uint8_t n = 0; n < 16; n++) /* a full FIFO keeps what it has */
		assert_int_equal(in8(&rig, UART_RX), n);
	/* Without FIFOs the one holding register is overwritten. */
	out8(&rig, UART_FCR, 0);
	out8(&rig, UART_TX, 'x');
	out8(&rig, UART_TX, 'y');
	assert_int_equal(in8(&rig, UART_LSR), 0x60 | UART_LSR_DR | UART_LSR_OE);
	assert_int_equal(in8(&rig, UART_RX), 'y');
	assert_int_equal(in8(&rig, UART_LSR), 0x60);
	uart_rig_teardown(&rig);
}

static void test_fifo_control(void **state)
{
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	assert_int_equal(in8(&rig, UART_IIR) & 0xc0, 0);
	out8(&rig, UART_FCR, UART_FCR_TRIGGER_14); /* ignored without bit 0 */
	loopback(&rig, 0);
	assert_int_equal(in8(&rig, UART_IIR) & 0xc0, 0xc0);
	out8(&rig, UART_TX, 'a');
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
	assert_true(in8(&rig, UART_LSR) & UART_LSR_DR);
	out8(&rig, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_false(in8(&rig, UART_LSR) & UART_LSR_DR);
	out8(&rig, UART_TX, 'b');
	out8(&rig, UART_FCR, 0); /* changing the mode clears them too */
	assert_false(in8(&rig, UART_LSR) & UART_LSR_DR);
	assert_int_equal(in8(&rig, UART_IIR) & 0xc0, 0);
	uart_rig_teardown(&rig);
}

static void test_modem(void **state)
{
	/* Loopback ties outputs to inputs: RTS-CTS, DTR-DSR, OUT1-RI, OUT2-DCD. */
	static const struct {
		uint8_t mcr, msr;
	} row[] = {{UART_MCR_RTS, UART_MSR_CTS},
		   {UART_MCR_DTR, UART_MSR_DSR},
		   {UART_MCR_OUT1, UART_MSR_RI},
		   {UART_MCR_OUT2, UART_MSR_DCD}};
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	loopback(&rig, 0);
	out8(&rig, UART_IER, UART_IER_MSI);
	for (size_t i = 0; i < AX_ARRAY_LEN(row); i++) {
		bool ring = row[i].mcr == UART_MCR_OUT1;
		uint8_t delta = row[i].msr >> 4;
		int edges = uart_edges(&rig);

		out8(&rig, UART_MCR, UART_MCR_LOOP | row[i].mcr);
		assert_int_equal(uart_edges(&rig), edges + !ring);
		assert_int_equal(in8(&rig, UART_IIR),
				 0xc0 | (ring ? UART_IIR_NO_INT : UART_IIR_MSI));
		assert_int_equal(in8(&rig, UART_MSR), row[i].msr | (ring ? 0 : delta));
		assert_int_equal(in8(&rig, UART_MSR), row[i].msr);
		assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_NO_INT);
		/* RI tells its trailing edge, the others both. */
		out8(&rig, UART_MCR, UART_MCR_LOOP);
		assert_int_equal(in8(&rig, UART_MSR), delta);
	}
	uart_rig_teardown(&rig);
}

static void test_priority(void **state)
{
	struct uart_rig rig;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	loopback(&rig, 0);
	out8(&rig, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	for (int i = 0; i < 17; i++)
		out8(&rig, UART_TX, 'x');
	out8(&rig, UART_IER, 0x0f);
	assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_RLSI);
	in8(&rig, UART_LSR);
	assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_RDI);
	for (int i = 0; i < 16; i++)
		in8(&rig, UART_RX);
	/* Reading IIR for another source did not answer THRE. */
	assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_THRI);
	assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_MSI);
	in8(&rig, UART_MSR);
	assert_int_equal(in8(&rig, UART_IIR), 0xc0 | UART_IIR_NO_INT);
	uart_rig_teardown(&rig);
}

static void test_wide_and_spread(void **state)
{
	struct axdev_uart16550_config config = {
		.space = AXDEV_MMIO, .base = 0x10000000, .reg_shift = 2};
	struct uart_rig rig;
	struct axdev *dev;

	(void)state;
	uart_rig_setup(&rig, NO_CONSOLE);
	/* A word at two byte registers is two byte accesses, low one first. */
	assert_int_equal(bus_write(rig.bus, AXDEV_PORT, 0x3f8 + 3, 2, 0x0203), 0);
	assert_int_equal(in8(&rig, UART_LCR), 3);
	assert_int_equal(in8(&rig, UART_MCR), 2);
	assert_int_equal(bus_read(rig.bus, AXDEV_PORT, 0x3f8 + 5, 2), 0xb060);
	assert_int_equal(bus_read(rig.bus, AXDEV_PORT, 0x3f8 + 7, 2), 0xffff);
	/* 32-bit registers four bytes apart, without an interrupt controller. */
	assert_int_equal(axdev_create("uart16550", "serial1", &config, sizeof(config),
				      &(struct axdev_services){0}, &dev, NULL),
			 0);
	assert_int_equal(axbus_attach(rig.bus, dev, NULL), 0);
	assert_int_equal(bus_write(rig.bus, AXDEV_MMIO, 0x10000000 + 4 * 7, 4, 0x1234), 0);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, 0x10000000 + 4 * 7, 4), 0x34);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, 0x10000000 + 4 * 7, 1), 0x34);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, 0x10000000 + 4 * 7 + 1, 1), 0);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, 0x10000000 + 4 * 5, 4), 0x60);
	uart_rig_teardown(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_on),          cmocka_unit_test(test_readback),
		cmocka_unit_test(test_divisor),           cmocka_unit_test(test_thre_interrupt),
		cmocka_unit_test(test_receive_interrupt), cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_fifo_control),      cmocka_unit_test(test_modem),
		cmocka_unit_test(test_priority),          cmocka_unit_test(test_wide_and_spread),
	};

	return cmocka_run_group_tests_name("axdevice uart", tests, NULL, NULL);
}
