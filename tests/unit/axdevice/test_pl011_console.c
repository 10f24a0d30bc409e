/*
 * The PL011 as a device: what it needs to be made, what was typed before anybody listened, and
 * that nothing moves while it is suspended.
 */
#include "pl011.h"
#include "pl0_rig.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct pl0_rig rig;

static void test_create(void **state)
{
	struct axdev_pl011_config config = {.base = PL0_BASE + 0x1000, .gsi = PL0_LINE};
	struct axdev_services services = {0};
	struct ax_error err = {0};
	struct axdev *dev = NULL;

	(void)state;
	pl011_rig_setup(&rig, -1, -1);
	services.irqs = rig.irqs;
	assert_true(axdev_create("pl011", "serial1", &config, sizeof(config), &services, &dev,
				 &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_ALREADY_EXISTS);
	assert_non_null(strstr(err.message, "serial1"));
	assert_null(dev);
	/* Nothing plugged in and no interrupt controller. */
	services.irqs = NULL;
	assert_int_equal(
		axdev_create("pl011", "serial1", &config, sizeof(config), &services, &dev, &err),
		0);
	assert_int_equal(axbus_attach(rig.bus, dev, NULL), 0);
	wr(&rig, 0x1000 + PL011_DR, 'x');
	wr(&rig, 0x1000 + PL011_IMSC, PL011_INT_TX);
	assert_int_equal(rd(&rig, 0x1000 + PL011_MIS), PL011_INT_TX);
	axbus_reset(rig.bus);
	assert_int_equal(axbus_suspend(rig.bus, NULL), 0);
	assert_int_equal(axbus_resume(rig.bus, NULL), 0);
	pl0_rig_teardown(&rig);
}

static void test_typed_ahead(void **state)
{
	char got[8];
	int in[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	pl011_rig_setup(&rig, in[0], -1);
	loop_start(&rig.lt);
	/* Nobody listens yet; a reset is not a reason to lose it either. */
	assert_int_equal(write(in[1], "early", 5), 5);
	for (int i = 0; i < 50; i++)
		nap();
	assert_true(rd(&rig, PL011_FR) & PL011_FR_RXFE);
	axbus_reset(rig.bus);
	wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
	wr(&rig, PL011_CR, PL011_CR_UARTEN | PL011_CR_RXE);
	for (int i = 0; i < 5; i++) {
		WAIT_FOR(!(rd(&rig, PL011_FR) & PL011_FR_RXFE));
		got[i] = (char)rd(&rig, PL011_DR);
	}
	assert_memory_equal(got, "early", 5);
	pl0_rig_teardown(&rig);
	close(in[0]);
	close(in[1]);
}

/* In loopback the line is cut off: what is typed stays where it is, until it is there again. */
static void test_loopback(void **state)
{
	struct serial_port *port;
	int in[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	pl011_rig_setup(&rig, in[0], -1);
	port = (struct serial_port *)rig.dev;
	wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
	wr(&rig, PL011_CR, PL011_CR_UARTEN | PL011_CR_RXE | PL011_CR_LBE);
	loop_start(&rig.lt);
	assert_int_equal(write(in[1], "on", 2), 2);
	for (int i = 0; i < 50; i++)
		nap();
	assert_true(rd(&rig, PL011_FR) & PL011_FR_RXFE);
	pthread_mutex_lock(&port->lock);
	assert_int_equal(port->backlog_count, 0);
	pthread_mutex_unlock(&port->lock);
	wr(&rig, PL011_CR, PL011_CR_UARTEN | PL011_CR_RXE);
	WAIT_FOR(!(rd(&rig, PL011_FR) & PL011_FR_RXFE));
	assert_int_equal(rd(&rig, PL011_DR), 'o');
	WAIT_FOR(!(rd(&rig, PL011_FR) & PL011_FR_RXFE));
	assert_int_equal(rd(&rig, PL011_DR), 'n');
	pl0_rig_teardown(&rig);
	close(in[0]);
	close(in[1]);
}

static void test_suspend(void **state)
{
	char text[2];
	int in[2], out[2];

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pl011_rig_setup(&rig, in[0], out[1]);
	wr(&rig, PL011_LCR_H, PL011_LCR_H_FEN);
	wr(&rig, PL011_CR, PL011_CR_UARTEN | PL011_CR_RXE | PL011_CR_TXE);
	wr(&rig, PL011_IMSC, PL011_INT_RX | PL011_INT_RT);
	assert_int_equal(axbus_suspend(rig.bus, NULL), 0);
	loop_start(&rig.lt);
	wr(&rig, PL011_DR, 'o'); /* an access that was on its way */
	assert_int_equal(write(in[1], "hi", 2), 2);
	for (int i = 0; i < 50; i++)
		nap();
	assert_int_equal(line_rises(&rig), 0);
	assert_int_equal(rd(&rig, PL011_FR) & (PL011_FR_BUSY | PL011_FR_RXFE),
			 PL011_FR_BUSY | PL011_FR_RXFE);
	assert_int_equal(axbus_resume(rig.bus, NULL), 0);
	WAIT_FOR(line_rises(&rig) == 1);
	assert_int_equal(rd(&rig, PL011_DR), 'h');
	WAIT_FOR(!(rd(&rig, PL011_FR) & PL011_FR_RXFE));
	assert_int_equal(rd(&rig, PL011_DR), 'i');
	assert_int_equal(read(out[0], text, sizeof(text)), 1);
	assert_int_equal(text[0], 'o');
	pl0_rig_teardown(&rig);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(out[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_typed_ahead),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_suspend),
	};

	return cmocka_run_group_tests_name("axdevice pl011 console", tests, NULL, NULL);
}
