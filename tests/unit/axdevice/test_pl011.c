/*
 * The registers of the PL011 against its manual (Arm DDI 0183G): one test a register or interrupt
 * source. Nothing is plugged in but where a test needs a full console.
 */
#include "chr_priv.h"
#include "pl011.h"
#include "pl0_rig.h"

#define ENABLED (PL011_CR_UARTEN | PL011_CR_RXE | PL011_CR_TXE)

static struct pl0_rig rig;

static int setup(void **state)
{
	(void)state;
	pl011_rig_setup(&rig, -1, -1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pl0_rig_teardown(&rig);
	return 0;
}

/* Loopback with FIFOs; the change of the modem lines is forgotten. */
static void loopback(uint32_t ifls)
{
	wr(&rig, PL011_IFLS, ifls);
	wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
	wr(&rig, PL011_CR, ENABLED | PL011_CR_LBE);
	wr(&rig, PL011_ICR, PL011_INT_ALL);
}

static void fill_console(void)
{
	static const uint8_t text[CHR_RING_BYTES];

	axchr_send(rig.chr, text, sizeof(text));
}

static void test_power_on(void **state)
{
	static const struct {
		uint32_t offset, value;
	} row[] = {
		{PL011_DR, 0},      {PL011_RSR, 0},  {PL011_FR, 0x97}, {PL011_ILPR, 0},
		{PL011_IBRD, 0},    {PL011_FBRD, 0}, {PL011_LCR_H, 0}, {PL011_CR, 0x300},
		{PL011_IFLS, 0x12}, {PL011_IMSC, 0}, {PL011_RIS, 0},   {PL011_MIS, 0},
		{PL011_DMACR, 0},   {0xfe0, 0x11},   {0xfe4, 0x10},    {0xfe8, 0x34},
		{0xfec, 0x00},      {0xff0, 0x0d},   {0xff4, 0xf0},    {0xff8, 0x05},
		{0xffc, 0xb1},
	};

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < AX_ARRAY_LEN(row); i++)
			assert_int_equal(rd(&rig, row[i].offset), row[i].value);
		for (uint32_t offset = 0; offset < 0x1000; offset += 4)
			wr(&rig, offset, UINT32_MAX);
		wr(&rig, PL011_DR, 'x');
		assert_true(line_high(&rig));
		axbus_reset(rig.bus);
		assert_false(line_high(&rig));
	}
}

static void test_readback(void **state)
{
	static const struct {
		uint32_t offset, bits;
	} row[] = {
		{PL011_ILPR, 0xff}, {PL011_IBRD, 0xffff}, {PL011_FBRD, 0x3f},  {PL011_LCR_H, 0xff},
		{PL011_CR, 0xff87}, {PL011_IFLS, 0x3f},   {PL011_IMSC, 0x7ff}, {PL011_DMACR, 0x7},
		{PL011_FR, 0},      {PL011_MIS, 0},       {PL011_ICR, 0},      {0xfe0, 0},
		{0x008, 0},         {0x01c, 0},           {0x04c, 0},          {0x080, 0},
	};

	(void)state;
	for (size_t i = 0; i < AX_ARRAY_LEN(row); i++) {
		const uint32_t before = rd(&rig, row[i].offset);

		for (uint32_t bit = 1; bit; bit <<= 1) {
			wr(&rig, row[i].offset, bit);
			assert_int_equal(rd(&rig, row[i].offset),
					 row[i].bits ? bit & row[i].bits : before);
		}
		axbus_reset(rig.bus);
	}
}

static void test_transmit_interrupt(void **state)
{
	(void)state;
	wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
	/* Before anything was sent there is nothing to tell (2.8.3). */
	wr(&rig, PL011_IMSC, PL011_INT_TX);
	assert_int_equal(rd(&rig, PL011_RIS), 0);
	assert_false(line_high(&rig));
	wr(&rig, PL011_DR, 'a');
	assert_int_equal(rd(&rig, PL011_RIS), PL011_INT_TX);
	assert_int_equal(rd(&rig, PL011_MIS), PL011_INT_TX);
	assert_true(line_high(&rig));
	wr(&rig, PL011_IMSC, 0);
	assert_int_equal(rd(&rig, PL011_RIS), PL011_INT_TX);
	assert_int_equal(rd(&rig, PL011_MIS), 0);
	assert_false(line_high(&rig));
	wr(&rig, PL011_IMSC, PL011_INT_TX);
	assert_true(line_high(&rig));
	wr(&rig, PL011_ICR, PL011_INT_ALL & ~PL011_INT_TX);
	assert_true(line_high(&rig));
	wr(&rig, PL011_ICR, PL011_INT_TX);
	assert_false(line_high(&rig));
	wr(&rig, PL011_DR, 'b');
	assert_true(line_high(&rig));
}

static void test_transmit_levels(void **state)
{
	static const uint32_t level[] = {4, 8, 16, 24, 28};

	(void)state;
	for (uint32_t field = 0; field < AX_ARRAY_LEN(level); field++) {
		wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
		wr(&rig, PL011_IFLS, field);
		wr(&rig, PL011_DR, 'x');
		fill_console();
		assert_int_equal(rd(&rig, PL011_FR) & 0xf8, PL011_FR_TXFE | PL011_FR_RXFE);
		/* A stuck console: the FIFO fills, and above the level the interrupt falls. */
		for (uint32_t n = 1; n <= PL011_FIFO_CHARS; n++) {
			wr(&rig, PL011_DR, 'x');
			assert_int_equal(rd(&rig, PL011_RIS), n > level[field] ? 0 : PL011_INT_TX);
			assert_int_equal(rd(&rig, PL011_FR) & (PL011_FR_BUSY | PL011_FR_TXFE),
					 PL011_FR_BUSY);
			assert_int_equal(!(rd(&rig, PL011_FR) & PL011_FR_TXFF),
					 n < PL011_FIFO_CHARS);
		}
		wr(&rig, PL011_DR, '#'); /* lost, as it would be */
		axchr_drain(rig.chr);
		assert_int_equal(rd(&rig, PL011_FR) & 0xf8, PL011_FR_TXFE | PL011_FR_RXFE);
		assert_int_equal(rd(&rig, PL011_RIS), PL011_INT_TX);
		axbus_reset(rig.bus);
	}
	/* A level that is moved below what waits takes the interrupt back. */
	wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
	wr(&rig, PL011_DR, 'x');
	fill_console();
	for (int n = 0; n < 10; n++)
		wr(&rig, PL011_DR, 'x');
	assert_int_equal(rd(&rig, PL011_RIS), PL011_INT_TX);
	wr(&rig, PL011_IFLS, 0);
	assert_int_equal(rd(&rig, PL011_RIS), 0);
	/* Without FIFOs one character fills it; switching them off flushes. */
	wr(&rig, PL011_LCR_H, 0);
	assert_int_equal(rd(&rig, PL011_FR) & 0xf8, PL011_FR_TXFE | PL011_FR_RXFE);
	wr(&rig, PL011_DR, 'y');
	assert_int_equal(rd(&rig, PL011_FR) & 0xf8, PL011_FR_TXFF | PL011_FR_BUSY | PL011_FR_RXFE);
	assert_int_equal(rd(&rig, PL011_RIS), 0);
	axchr_drain(rig.chr);
	assert_int_equal(rd(&rig, PL011_RIS), PL011_INT_TX);
}

static void test_receive_levels(void **state)
{
	static const uint32_t level[] = {4, 8, 16, 24, 28};

	(void)state;
	for (uint32_t field = 0; field < AX_ARRAY_LEN(level); field++) {
		loopback(field << 3);
		wr(&rig, PL011_IMSC, PL011_INT_RX);
		for (uint32_t n = 1; n <= PL011_FIFO_CHARS; n++) {
			wr(&rig, PL011_DR, n);
			assert_int_equal(line_high(&rig), n >= level[field]);
			assert_true(rd(&rig, PL011_RIS) & PL011_INT_RT);
			assert_int_equal(!(rd(&rig, PL011_FR) & PL011_FR_RXFF),
					 n < PL011_FIFO_CHARS);
		}
		for (uint32_t n = 1; n <= PL011_FIFO_CHARS; n++) {
			assert_int_equal(rd(&rig, PL011_DR), n);
			assert_int_equal(line_high(&rig), PL011_FIFO_CHARS - n >= level[field]);
		}
		assert_int_equal(rd(&rig, PL011_RIS), PL011_INT_TX);
		axbus_reset(rig.bus);
	}
}

static void test_receive_timeout(void **state)
{
	(void)state;
	loopback(0x12);
	wr(&rig, PL011_IMSC, PL011_INT_RT);
	wr(&rig, PL011_DR, 'a');
	wr(&rig, PL011_DR, 'b');
	wr(&rig, PL011_DR, 'c');
	assert_int_equal(rd(&rig, PL011_MIS), PL011_INT_RT);
	assert_true(line_high(&rig));
	/* Taken back by ICR, due again when a character comes or goes and others are left. */
	wr(&rig, PL011_ICR, PL011_INT_RT);
	assert_false(line_high(&rig));
	assert_int_equal(rd(&rig, PL011_DR), 'a');
	assert_true(line_high(&rig));
	assert_int_equal(rd(&rig, PL011_DR), 'b');
	assert_int_equal(rd(&rig, PL011_DR), 'c');
	assert_false(line_high(&rig));
	assert_int_equal(rd(&rig, PL011_DR), 0); /* nothing there, nothing breaks */
	/* Without FIFOs one character is the level. */
	wr(&rig, PL011_LCR_H, 0);
	wr(&rig, PL011_DR, 'd');
	assert_int_equal(rd(&rig, PL011_RIS) & (PL011_INT_RX | PL011_INT_RT),
			 PL011_INT_RX | PL011_INT_RT);
	assert_true(rd(&rig, PL011_FR) & PL011_FR_RXFF);
}

static void test_overrun(void **state)
{
	(void)state;
	loopback(0x12);
	wr(&rig, PL011_IMSC, PL011_INT_OE);
	for (uint32_t n = 0; n < PL011_FIFO_CHARS; n++)
		wr(&rig, PL011_DR, n);
	assert_false(line_high(&rig));
	wr(&rig, PL011_DR, 99);
	assert_true(line_high(&rig));
	assert_int_equal(rd(&rig, PL011_RSR), PL011_RSR_OE);
	wr(&rig, PL011_RSR, 0); /* ECR */
	assert_int_equal(rd(&rig, PL011_RSR), 0);
	wr(&rig, PL011_ICR, PL011_INT_OE);
	assert_false(line_high(&rig));
	/* The FIFO keeps what it has; the next character to enter bears the mark. */
	assert_int_equal(rd(&rig, PL011_DR), 0);
	wr(&rig, PL011_DR, 'n');
	for (uint32_t n = 1; n < PL011_FIFO_CHARS; n++)
		assert_int_equal(rd(&rig, PL011_DR), n);
	assert_int_equal(rd(&rig, PL011_RSR), 0);
	assert_int_equal(rd(&rig, PL011_DR), 'n' | PL011_DR_OE);
	assert_int_equal(rd(&rig, PL011_RSR), PL011_RSR_OE);
}

static void test_modem(void **state)
{
	static const struct {
		uint32_t output, line, interrupt;
	} row[] = {{PL011_CR_RTS, PL011_FR_CTS, PL011_INT_CTS},
		   {PL011_CR_DTR, PL011_FR_DSR, PL011_INT_DSR},
		   {PL011_CR_OUT1, PL011_FR_DCD, PL011_INT_DCD},
		   {PL011_CR_OUT2, PL011_FR_RI, PL011_INT_RI}};

	(void)state;
	loopback(0x12);
	wr(&rig, PL011_IMSC, PL011_INT_ALL);
	for (size_t i = 0; i < AX_ARRAY_LEN(row); i++) {
		wr(&rig, PL011_CR, ENABLED | PL011_CR_LBE | row[i].output);
		assert_int_equal(rd(&rig, PL011_FR) & 0x107, row[i].line);
		assert_int_equal(rd(&rig, PL011_RIS), row[i].interrupt);
		assert_true(line_high(&rig));
		wr(&rig, PL011_ICR, row[i].interrupt);
		assert_false(line_high(&rig));
		wr(&rig, PL011_CR, ENABLED | PL011_CR_LBE);
		assert_int_equal(rd(&rig, PL011_RIS), row[i].interrupt);
		wr(&rig, PL011_ICR, row[i].interrupt);
	}
}

#define PL011_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PL011_TEST(test_power_on),
		PL011_TEST(test_readback),
		PL011_TEST(test_transmit_interrupt),
		PL011_TEST(test_transmit_levels),
		PL011_TEST(test_receive_levels),
		PL011_TEST(test_receive_timeout),
		PL011_TEST(test_overrun),
		PL011_TEST(test_modem),
	};

	return cmocka_run_group_tests_name("axdevice pl011", tests, NULL, NULL);
}
