/*
 * The PL031 against its manual (Arm DDI 0224): the time of day, the alarm with its interrupt (from
 * the timer and by being looked at), what Linux's driver does, and any access at all.
 */
#include "pl031.h"
#include "pl0_rig.h"

#include <string.h>
#include <time.h>

static struct pl0_rig rig;

static int setup(void **state)
{
	(void)state;
	pl031_rig_setup(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pl0_rig_teardown(&rig);
	return 0;
}

/* The counter is the host's seconds plus `offset`; both may tick in between. */
static void assert_counts(uint32_t offset)
{
	const uint32_t before = (uint32_t)time(NULL) + offset;
	const uint32_t value = rd(&rig, PL031_DR);
	const uint32_t after = (uint32_t)time(NULL) + offset;

	/* time() may be a tick of the kernel late. */
	assert_true(value - before <= after - before + 1);
}

/* What a test does next happens before it, on a machine that stalls, too. */
static uint32_t in_a_while(void)
{
	return rd(&rig, PL031_DR) + 3;
}

/* An alarm for this very second, however long the thread is kept from setting it. */
static bool alarm_now(uint32_t base)
{
	wr(&rig, base + PL031_MR, rd(&rig, base + PL031_DR));
	return rd(&rig, base + PL031_RIS) == PL031_INT;
}

static void test_power_on(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		assert_counts(0);
		assert_int_equal(rd(&rig, PL031_MR), 0);
		assert_int_equal(rd(&rig, PL031_LR), 0);
		assert_int_equal(rd(&rig, PL031_CR), PL031_CR_START);
		assert_int_equal(rd(&rig, PL031_IMSC), 0);
		assert_int_equal(rd(&rig, PL031_RIS), 0);
		assert_int_equal(rd(&rig, PL031_MIS), 0);
		assert_int_equal(rd(&rig, PL031_ICR), 0);
		for (uint32_t offset = 0; offset < 0x1000; offset += 4)
			wr(&rig, offset, offset == PL031_ICR ? 0 : UINT32_MAX);
		assert_true(line_high(&rig)); /* both are at UINT32_MAX */
		axbus_reset(rig.bus);
		assert_false(line_high(&rig));
	}
}

static void test_identification(void **state)
{
	uint32_t pid = 0, cid = 0;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		pid |= rd(&rig, 0xfe0 + 4 * i) << (8 * i);
		cid |= rd(&rig, 0xff0 + 4 * i) << (8 * i);
	}
	assert_int_equal(pid & 0x000fffff, 0x00041031); /* pl031_ids[] of Linux's driver */
	assert_int_equal(cid, 0xb105f00d);
}

static void test_load(void **state)
{
	(void)state;
	wr(&rig, PL031_LR, 1000000000);
	assert_int_equal(rd(&rig, PL031_LR), 1000000000);
	assert_true(rd(&rig, PL031_DR) - 1000000000 <= 1);
	/* CR does not stop it, DR is read-only, and it wraps. */
	wr(&rig, PL031_CR, 0);
	wr(&rig, PL031_DR, 5);
	assert_int_equal(rd(&rig, PL031_CR), PL031_CR_START);
	wr(&rig, PL031_LR, UINT32_MAX);
	WAIT_FOR(rd(&rig, PL031_DR) < 1000);
	assert_int_equal(rd(&rig, PL031_RIS), PL031_INT); /* MR is 0 */
}

static void test_alarm(void **state)
{
	uint32_t then;

	(void)state;
	loop_start(&rig.lt);
	then = in_a_while();
	/* pl031_set_alarm(). */
	wr(&rig, PL031_MR, then);
	wr(&rig, PL031_IMSC, PL031_INT);
	assert_int_equal(rd(&rig, PL031_RIS), 0);
	/* Nobody touches the registers: it is the timer that raises the line. */
	WAIT_FOR(line_rises(&rig) == 1);
	assert_true((int32_t)(rd(&rig, PL031_DR) - then) >= 0);
	/* pl031_interrupt(). */
	assert_int_equal(rd(&rig, PL031_MIS), PL031_INT);
	wr(&rig, PL031_ICR, PL031_INT);
	assert_int_equal(rd(&rig, PL031_MIS), 0);
	/* A time that has passed does not match, the present one does. */
	wr(&rig, PL031_MR, rd(&rig, PL031_DR) - 1);
	assert_int_equal(rd(&rig, PL031_RIS), 0);
	WAIT_FOR(alarm_now(0));
	assert_int_equal(line_rises(&rig), 2);
	wr(&rig, PL031_IMSC, 0);
	assert_int_equal(rd(&rig, PL031_RIS), PL031_INT);
	assert_int_equal(rd(&rig, PL031_MIS), 0);
	wr(&rig, PL031_ICR, PL031_INT);
	/* Moving the counter moves the alarm. */
	wr(&rig, PL031_MR, 500000);
	wr(&rig, PL031_IMSC, PL031_INT);
	wr(&rig, PL031_LR, 499999);
	WAIT_FOR(line_rises(&rig) == 3);
}

static void test_alarm_without_loop(void **state)
{
	uint32_t then;

	(void)state;
	/* The loop does not run: whoever looks finds it. */
	then = in_a_while();
	wr(&rig, PL031_MR, then);
	wr(&rig, PL031_IMSC, PL031_INT);
	assert_false(line_high(&rig));
	WAIT_FOR(rd(&rig, PL031_MIS) == PL031_INT);
	assert_true(line_high(&rig));
	assert_true((int32_t)(rd(&rig, PL031_DR) - then) >= 0);
}

static void test_suspend(void **state)
{
	uint32_t then;

	(void)state;
	then = in_a_while();
	wr(&rig, PL031_MR, then);
	wr(&rig, PL031_IMSC, PL031_INT);
	assert_int_equal(axbus_suspend(rig.bus, NULL), 0);
	loop_start(&rig.lt);
	WAIT_FOR((int32_t)((uint32_t)time(NULL) - then) >= 0);
	for (int i = 0; i < 100; i++)
		nap();
	assert_int_equal(line_rises(&rig), 0);
	assert_int_equal(axbus_resume(rig.bus, NULL), 0);
	assert_int_equal(line_rises(&rig), 1);
	/* One that is still to come. */
	wr(&rig, PL031_ICR, PL031_INT);
	wr(&rig, PL031_MR, in_a_while());
	assert_int_equal(axbus_suspend(rig.bus, NULL), 0);
	assert_int_equal(axbus_resume(rig.bus, NULL), 0);
	WAIT_FOR(line_rises(&rig) == 2);
}

static void test_create(void **state)
{
	struct axdev_pl031_config config = {.base = PL0_BASE + 0x1000, .gsi = PL0_LINE};
	struct axdev_services services = {.irqs = rig.irqs, .io_loop = rig.lt.loop};
	struct ax_error err = {0};
	struct axdev *dev = NULL;

	(void)state;
	assert_true(axdev_create("pl031", "rtc1", &config, sizeof(config), &services, &dev, &err) <
		    0);
	assert_int_equal(err.kind, AX_ERROR_ALREADY_EXISTS);
	assert_non_null(strstr(err.message, "rtc1"));
	assert_null(dev);
	services = (struct axdev_services){0};
	assert_int_equal(
		axdev_create("pl031", "rtc1", &config, sizeof(config), &services, &dev, &err), 0);
	assert_int_equal(axbus_attach(rig.bus, dev, NULL), 0);
	WAIT_FOR(alarm_now(0x1000));
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * 0x2545f4914f6cdd1d;
}

static void *vcpu(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (int step = 0; step < 20000; step++) {
		const uint64_t r = next_random(&seed);
		struct axdev_access access = {
			.space = AXDEV_MMIO,
			.width = (uint8_t)(1 + r % 8),
			.is_write = r >> 8 & 1,
			.value = r >> 9 & 1 ? next_random(&seed) : (uint64_t)time(NULL) + 1,
		};

		axbus_access(rig.bus, PL0_BASE + (r >> 16) % (r & 0xf0 ? 0x20 : 0x1000), &access);
	}
	return NULL;
}

static void test_anything(void **state)
{
	pthread_t thread[2];
	int rises;

	(void)state;
	for (uint64_t offset = 0; offset < 0x1000; offset++) {
		for (uint8_t width = 1; width <= 8 && offset + width <= 0x1000; width++) {
			bus_read(rig.bus, AXDEV_MMIO, PL0_BASE + offset, width);
			assert_int_equal(bus_write(rig.bus, AXDEV_MMIO, PL0_BASE + offset, width,
						   UINT64_MAX),
					 0);
		}
	}
	loop_start(&rig.lt);
	for (uintptr_t i = 0; i < AX_ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, vcpu, (void *)(i + 1)), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(axbus_suspend(rig.bus, NULL), 0);
		nap();
		assert_int_equal(axbus_resume(rig.bus, NULL), 0);
		nap();
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(thread); i++)
		pthread_join(thread[i], NULL);
	/* It still works. */
	wr(&rig, PL031_LR, 77);
	assert_int_equal(rd(&rig, PL031_LR), 77);
	wr(&rig, PL031_IMSC, 0);
	wr(&rig, PL031_ICR, PL031_INT);
	rises = line_rises(&rig);
	WAIT_FOR(alarm_now(0));
	wr(&rig, PL031_IMSC, PL031_INT);
	assert_int_equal(line_rises(&rig), rises + 1);
}

#define PL031_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PL031_TEST(test_power_on), PL031_TEST(test_identification),
		PL031_TEST(test_load),     PL031_TEST(test_alarm),
		PL031_TEST(test_suspend),  PL031_TEST(test_alarm_without_loop),
		PL031_TEST(test_create),   PL031_TEST(test_anything),
	};

	return cmocka_run_group_tests_name("axdevice pl031", tests, NULL, NULL);
}
