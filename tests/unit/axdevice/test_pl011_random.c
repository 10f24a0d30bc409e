/*
 * What the widths of an access mean; then a driver that does anything at all to the PL011's
 * registers, at any offset and width, while input comes and the console is now full, now empty;
 * then the same from two vCPUs beside the loop's thread. What the registers say of each other stays
 * true, and a driver that starts over finds a working port.
 */
#include "chr_priv.h"
#include "pl011.h"
#include "pl0_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define STEPS 200000

static struct pl0_rig rig;

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * 0x2545f4914f6cdd1d;
}

/* Mostly where the registers are. What the bus says: 0, or negative past the window's end. */
static int access_anything(uint64_t *seed)
{
	const uint64_t r = next_random(seed);
	const uint64_t span = r & 0xf ? 0x50 : 0x1000;
	struct axdev_access access = {
		.space = AXDEV_MMIO,
		.width = (uint8_t)(r & 0x30 ? 4 : 1 + (r >> 6) % 8),
		.is_write = r >> 10 & 1,
		.value = next_random(seed),
	};
	uint64_t offset = (r >> 16) % span;

	if (r >> 11 & 3)
		offset &= ~3ULL;
	return axbus_access(rig.bus, PL0_BASE + offset, &access);
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

static void check_bounds(const struct pl011 *uart)
{
	const uint32_t depth = uart->lcr_h & PL011_LCR_H_FEN ? PL011_FIFO_CHARS : 1;

	assert_true(uart->rx_count <= depth);
	assert_true(uart->tx_count <= depth);
	assert_true(uart->port.backlog_count <= SERIAL_BACKLOG_BYTES);
	assert_true(uart->port.backlog_start < SERIAL_BACKLOG_BYTES);
	assert_int_equal(uart->imsc & ~PL011_INT_ALL, 0);
	assert_int_equal(uart->ris & ~PL011_INT_ALL, 0);
	assert_int_equal(line_high(&rig), (uart->ris & uart->imsc) != 0);
	/* Half a FIFO may be written blindly when TX stands and the level is a half or less. */
	if ((uart->ris & PL011_INT_TX) && (uart->ifls & 7) <= 2 && depth > 1)
		assert_true(uart->tx_count <= PL011_FIFO_CHARS / 2);
	if (uart->ris & PL011_INT_RT)
		assert_true(uart->rx_count > 0);
}

/* As a driver does at its start; then one character each way, with its interrupt. */
static void check_works(void)
{
	wr(&rig, PL011_CR, 0);
	wr(&rig, PL011_IMSC, 0);
	wr(&rig, PL011_LCR_H, 0);
	wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
	wr(&rig, PL011_IFLS, 0x12);
	wr(&rig, PL011_CR, PL011_CR_UARTEN | PL011_CR_RXE | PL011_CR_TXE);
	axchr_drain(rig.chr);
	while (!(rd(&rig, PL011_FR) & PL011_FR_RXFE))
		rd(&rig, PL011_DR);
	wr(&rig, PL011_RSR, 0);
	wr(&rig, PL011_ICR, PL011_INT_ALL);
	assert_int_equal(rd(&rig, PL011_FR), 0x97);
	assert_int_equal(rd(&rig, PL011_RIS), 0);

	wr(&rig, PL011_IMSC, PL011_INT_TX);
	assert_false(line_high(&rig));
	wr(&rig, PL011_DR, 'x');
	assert_true(line_high(&rig));
	wr(&rig, PL011_IMSC, PL011_INT_RT);
	assert_false(line_high(&rig));
	receive_something();
	assert_true(line_high(&rig));
	assert_int_equal(rd(&rig, PL011_DR) & 0xff, 't');
}

static void test_widths(void **state)
{
	(void)state;
	pl011_rig_setup(&rig, -1, -1);
	/* A narrow write has zeroes above it, whatever stood there. */
	wr(&rig, PL011_IBRD, 0xabcd);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_IBRD, 1), 0xcd);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_IBRD, 2), 0xabcd);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_IBRD + 1, 1), 0);
	assert_int_equal(bus_write(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_IBRD + 1, 1, 0x11), 0);
	assert_int_equal(rd(&rig, PL011_IBRD), 0xabcd);
	assert_int_equal(bus_write(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_IBRD, 1, 0x12), 0);
	assert_int_equal(rd(&rig, PL011_IBRD), 0x12);
	assert_int_equal(bus_write(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_IBRD, 2, 0x1234), 0);
	assert_int_equal(rd(&rig, PL011_IBRD), 0x1234);
	/* A wide one is two. */
	assert_int_equal(
		bus_write(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_IBRD + 4, 8, 0x7000000015ULL), 0);
	assert_int_equal(rd(&rig, PL011_FBRD), 0x15);
	assert_int_equal(rd(&rig, PL011_LCR_H), 0x70);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_FBRD, 8), 0x7000000015ULL);
	assert_int_equal(bus_read(rig.bus, AXDEV_MMIO, PL0_BASE + PL011_FBRD, 5), 0x7000000015ULL);
	/* Past the end there is nobody. */
	assert_true(bus_write(rig.bus, AXDEV_MMIO, PL0_BASE + 0xffc, 8, 0) < 0);
	pl0_rig_teardown(&rig);
}

static void test_every_access(void **state)
{
	static const uint64_t values[] = {0, UINT64_MAX, 0x0000031000000310};

	(void)state;
	pl011_rig_setup(&rig, -1, -1);
	for (size_t i = 0; i < 2 * AX_ARRAY_LEN(values); i++) {
		for (uint64_t offset = 0; offset < 0x1000; offset++) {
			for (uint8_t width = 1; width <= 8 && offset + width <= 0x1000; width++) {
				struct axdev_access access = {.space = AXDEV_MMIO,
							      .width = width,
							      .is_write = i & 1,
							      .value = values[i / 2]};

				assert_int_equal(axbus_access(rig.bus, PL0_BASE + offset, &access),
						 0);
				if (!access.is_write && width < 8)
					assert_int_equal(access.value >> (8 * width), 0);
			}
		}
		check_bounds((const struct pl011 *)rig.dev);
		check_works();
	}
	pl0_rig_teardown(&rig);
}

static void test_anything(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15;

	(void)state;
	pl011_rig_setup(&rig, -1, -1);
	for (unsigned step = 0; step < STEPS; step++) {
		access_anything(&seed);
		if (step % 7 == 0)
			receive_something();
		if (step % 1000 == 0)
			fill_console();
		if (step % 1000 == 500)
			axchr_drain(rig.chr);
		if (step % 5000 == 2500)
			axbus_reset(rig.bus);
		check_bounds((const struct pl011 *)rig.dev);
		if (step % 10000 == 9999)
			check_works();
	}
	pl0_rig_teardown(&rig);
}

static void *vcpu(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned step = 0; step < STEPS / 10; step++)
		access_anything(&seed);
	return NULL;
}

static void test_threads(void **state)
{
	static const char text[512] = "typed";
	pthread_t thread[2];
	int in[2], out[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	pl011_rig_setup(&rig, in[0], out[1]);
	loop_start(&rig.lt);
	for (uintptr_t i = 0; i < AX_ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, vcpu, (void *)(i + 1)), 0);
	for (int i = 0; i < 200; i++) {
		char sink[4096];

		n = write(in[1], text, sizeof(text));
		n = read(out[0], sink, sizeof(sink));
		(void)n;
		if (i % 20 == 10) {
			assert_int_equal(axbus_suspend(rig.bus, NULL), 0);
			nap();
			assert_int_equal(axbus_resume(rig.bus, NULL), 0);
		}
		nap();
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(thread); i++)
		pthread_join(thread[i], NULL);
	loop_stop(&rig.lt);
	check_bounds((const struct pl011 *)rig.dev);
	pl0_rig_teardown(&rig);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_every_access),
		cmocka_unit_test(test_anything),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("axdevice pl011 random", tests, NULL, NULL);
}
