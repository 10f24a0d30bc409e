/*
 * The IOAPIC, register by register, as the 82093AA's data sheet has it, with the extended
 * destination ids of KVM's guests; and as a device.
 */
#include "helpers.h"

#include "ioapic.h"

#include <errno.h>

#define SELECT 0x00
#define WINDOW 0x10
#define MASKED (1u << 16)
#define LEVEL  (1u << 15)
#define RIRR   (1u << 14)

#define MAX_SENT 16
struct ioapic_rig {
	struct x86_ioapic *ioapic;
	bool refuses; /* no LAPIC takes what is sent */
	unsigned sent;
	struct x86_msi last;
	struct x86_msi route[X86_IOAPIC_PINS];
	bool has_route[X86_IOAPIC_PINS];
	unsigned routed;
};

static void route(void *ctx, uint32_t pin, const struct x86_msi *msi)
{
	struct ioapic_rig *rig = ctx;

	assert_true(pin < X86_IOAPIC_PINS);
	rig->routed++;
	rig->has_route[pin] = msi != NULL;
	if (msi)
		rig->route[pin] = *msi;
}

static bool send(void *ctx, const struct x86_msi *msi)
{
	struct ioapic_rig *rig = ctx;

	rig->sent++;
	rig->last = *msi;
	return !rig->refuses;
}

static void begin(struct ioapic_rig *rig)
{
	*rig = (struct ioapic_rig){0};
	const struct x86_ioapic_sink sink = {.route = route, .send = send, .ctx = rig};

	assert_int_equal(x86_ioapic_create(&sink, &rig->ioapic, NULL), 0);
}

static void finish(struct ioapic_rig *rig)
{
	x86_ioapic_destroy(rig->ioapic);
}

static uint32_t get(struct ioapic_rig *rig, uint8_t index)
{
	x86_ioapic_write(rig->ioapic, SELECT, index);
	assert_int_equal(x86_ioapic_read(rig->ioapic, SELECT), index);
	return x86_ioapic_read(rig->ioapic, WINDOW);
}

static void put(struct ioapic_rig *rig, uint8_t index, uint32_t value)
{
	x86_ioapic_write(rig->ioapic, SELECT, index);
	x86_ioapic_write(rig->ioapic, WINDOW, value);
}

/* High word first, as drivers do, that no message goes to the CPU before. */
static void set_pin(struct ioapic_rig *rig, uint32_t pin, uint32_t high, uint32_t low)
{
	put(rig, (uint8_t)(0x11 + 2 * pin), high);
	put(rig, (uint8_t)(0x10 + 2 * pin), low);
}

static uint32_t low_of(struct ioapic_rig *rig, uint32_t pin)
{
	return get(rig, (uint8_t)(0x10 + 2 * pin));
}

static void line(struct ioapic_rig *rig, uint32_t pin, bool level)
{
	assert_int_equal(x86_ioapic_set_level(rig->ioapic, pin, level), 0);
}

static void registers(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	assert_int_equal(get(&rig, 1), 0x00170011); /* 24 entries, version 0x11 */
	put(&rig, 1, 0xffffffff);
	assert_int_equal(get(&rig, 1), 0x00170011);
	put(&rig, 0, 0xffffffff);
	assert_int_equal(get(&rig, 0), 0x0f000000);
	assert_int_equal(get(&rig, 2), 0x0f000000);
	put(&rig, 2, 0); /* read-only */
	assert_int_equal(get(&rig, 2), 0x0f000000);
	for (uint32_t pin = 0; pin < X86_IOAPIC_PINS; pin++) {
		assert_int_equal(low_of(&rig, pin), MASKED);
		/* Delivery status, remote IRR and what is reserved cannot be written. */
		set_pin(&rig, pin, 0xffffffff, 0xffffffff);
		assert_int_equal(low_of(&rig, pin), 0x0001afff);
		assert_int_equal(get(&rig, (uint8_t)(0x11 + 2 * pin)), 0xfffe0000);
	}
	/* No such register, and none beside the two windows. */
	for (unsigned index = 3; index < 256; index++)
		if (index < 0x10 || index >= 0x10 + 2 * X86_IOAPIC_PINS) {
			put(&rig, (uint8_t)index, 0xffffffff);
			assert_int_equal(get(&rig, (uint8_t)index), 0);
		}
	x86_ioapic_write(rig.ioapic, 0x40, 0xff); /* no EOI register in this version */
	x86_ioapic_write(rig.ioapic, 0x14, 0xff);
	assert_int_equal(x86_ioapic_read(rig.ioapic, 0x14), 0);
	assert_int_equal(x86_ioapic_read(rig.ioapic, 0xffc), 0);
	assert_int_equal(x86_ioapic_set_level(rig.ioapic, X86_IOAPIC_PINS, true), -ENODEV);
	assert_int_equal(x86_ioapic_set_level(rig.ioapic, UINT32_MAX, true), -ENODEV);
	assert_int_equal(rig.sent, 0);
	finish(&rig);
}

/* Entry to message: SDM volume 3, 11.11; the extended id is bits 55:49 and 11:5. */
static void messages(void **state)
{
	static const struct {
		uint32_t high, low;
		uint64_t address;
		uint32_t data;
	} rows[] = {
		{0x00000000, 0x00000030, 0xfee00000, 0x30},
		{0x05000000, 0x00000031, 0xfee05000, 0x31},
		{0xff000000, 0x000009fe, 0xfeeff004, 0x1fe},  /* logical, lowest priority */
		{0x2c020000, 0x00000040, 0xfee2c020, 0x40},   /* id 300 */
		{0xfffe0000, 0x00000040, 0xfeefffe0, 0x40},   /* id 32767 */
		{0x2c020000, 0x0000a040, 0xfee2c020, 0xc040}, /* level, active low */
		{0x00000000, 0x00000402, 0xfee00000, 0x402},  /* NMI */
	};
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const uint32_t pin = (uint32_t)i;
		set_pin(&rig, pin, rows[i].high, rows[i].low);
		assert_true(rig.has_route[pin]);
		assert_int_equal(rig.route[pin].address, rows[i].address);
		assert_int_equal(rig.route[pin].data, rows[i].data);
		line(&rig, pin, true);
		assert_int_equal(rig.sent, i + 1);
		assert_int_equal(rig.last.address, rows[i].address);
		assert_int_equal(rig.last.data, rows[i].data);
	}
	finish(&rig);
}

static void edges(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	line(&rig, 4, true); /* masked: ignored */
	line(&rig, 4, false);
	set_pin(&rig, 4, 0, 0x34);
	assert_int_equal(rig.sent, 0);
	for (unsigned i = 1; i <= 3; i++) {
		line(&rig, 4, true);
		line(&rig, 4, true); /* no edge */
		line(&rig, 4, false);
		assert_int_equal(rig.sent, i);
		assert_int_equal(low_of(&rig, 4), 0x34);
	}
	x86_ioapic_end(rig.ioapic, 0x34); /* edges have no end */
	assert_int_equal(rig.sent, 3);
	/* A line that was high when the pin was unmasked has had its edge. */
	set_pin(&rig, 5, 0, 0x35 | MASKED);
	line(&rig, 5, true);
	set_pin(&rig, 5, 0, 0x35);
	assert_int_equal(rig.sent, 3);
	finish(&rig);
}

static void levels(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	set_pin(&rig, 9, 0, 0x39 | LEVEL | MASKED);
	line(&rig, 9, true);
	assert_int_equal(rig.sent, 0);
	set_pin(&rig, 9, 0, 0x39 | LEVEL); /* waits no longer */
	assert_int_equal(rig.sent, 1);
	assert_int_equal(low_of(&rig, 9), 0x39 | LEVEL | RIRR);
	line(&rig, 9, false); /* a second request while the first is served */
	line(&rig, 9, true);
	assert_int_equal(rig.sent, 1);
	x86_ioapic_end(rig.ioapic, 0x38); /* another's */
	assert_int_equal(rig.sent, 1);
	x86_ioapic_end(rig.ioapic, 0x39); /* still high */
	assert_int_equal(rig.sent, 2);
	line(&rig, 9, false);
	x86_ioapic_end(rig.ioapic, 0x39);
	assert_int_equal(rig.sent, 2);
	assert_int_equal(low_of(&rig, 9), 0x39 | LEVEL);
	finish(&rig);
}

/* Two pins of one vector: the end is for both. */
static void shared_vector(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	set_pin(&rig, 10, 0, 0x41 | LEVEL);
	set_pin(&rig, 11, 0, 0x41 | LEVEL);
	line(&rig, 10, true);
	line(&rig, 11, true);
	assert_int_equal(rig.sent, 2);
	line(&rig, 10, false);
	x86_ioapic_end(rig.ioapic, 0x41);
	assert_int_equal(rig.sent, 3);
	assert_int_equal(low_of(&rig, 10), 0x41 | LEVEL);
	assert_int_equal(low_of(&rig, 11), 0x41 | LEVEL | RIRR);
	finish(&rig);
}

/* Linux masks a level pin to move it and ends the interrupt meanwhile: the end must be heard of, so
 * the message stays known until then. */
static void masked_while_served(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	set_pin(&rig, 9, 0, 0x39 | LEVEL);
	line(&rig, 9, true);
	put(&rig, 0x10 + 2 * 9, 0x39 | LEVEL | MASKED);
	assert_true(rig.has_route[9]);
	assert_int_equal(low_of(&rig, 9), 0x39 | LEVEL | MASKED | RIRR);
	x86_ioapic_end(rig.ioapic, 0x39);
	assert_false(rig.has_route[9]);
	assert_int_equal(rig.sent, 1);
	set_pin(&rig, 9, 0x2c020000, 0x39 | LEVEL);
	assert_int_equal(rig.sent, 2);
	assert_int_equal(rig.last.address, 0xfee2c020);
	finish(&rig);
}

/* Without an EOI register systems make the entry edge-triggered and back. */
static void ended_by_edge(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	set_pin(&rig, 9, 0, 0x39 | LEVEL);
	line(&rig, 9, true);
	line(&rig, 9, false);
	assert_int_equal(low_of(&rig, 9), 0x39 | LEVEL | RIRR);
	put(&rig, 0x10 + 2 * 9, 0x39 | MASKED);
	assert_int_equal(low_of(&rig, 9), 0x39 | MASKED);
	put(&rig, 0x10 + 2 * 9, 0x39 | LEVEL);
	assert_int_equal(low_of(&rig, 9), 0x39 | LEVEL);
	assert_int_equal(rig.sent, 1);
	finish(&rig);
}

/* What no LAPIC took has no end to come: the next occasion asks again. */
static void nobody_takes_it(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	rig.refuses = true;
	set_pin(&rig, 9, 0, 0x39 | LEVEL);
	line(&rig, 9, true);
	assert_int_equal(rig.sent, 1);
	assert_int_equal(low_of(&rig, 9), 0x39 | LEVEL);
	rig.refuses = false;
	set_pin(&rig, 9, 0x01000000, 0x39 | LEVEL);
	assert_int_equal(rig.sent, 2);
	assert_int_equal(low_of(&rig, 9), 0x39 | LEVEL | RIRR);
	finish(&rig);
}

/* KVM takes the whole table anew for each route: only for what has changed. */
static void routes(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	set_pin(&rig, 3, 0, 0x33);
	assert_int_equal(rig.routed, 1);
	set_pin(&rig, 3, 0, 0x33);
	assert_int_equal(rig.routed, 1);
	line(&rig, 3, true);
	assert_int_equal(rig.routed, 1);
	put(&rig, 0x10 + 2 * 3, 0x33 | MASKED);
	assert_int_equal(rig.routed, 2);
	assert_false(rig.has_route[3]);
	finish(&rig);
}

static void reset(void **state)
{
	struct ioapic_rig rig;
	(void)state;

	begin(&rig);
	put(&rig, 0, 0x03000000);
	set_pin(&rig, 9, 0xff000000, 0x39 | LEVEL);
	line(&rig, 9, true);
	x86_ioapic_reset(rig.ioapic);
	assert_int_equal(x86_ioapic_read(rig.ioapic, SELECT), 0);
	assert_int_equal(get(&rig, 0), 0);
	assert_int_equal(low_of(&rig, 9), MASKED);
	assert_int_equal(get(&rig, 0x11 + 2 * 9), 0);
	assert_false(rig.has_route[9]);
	/* The line is a device's, and still high. */
	set_pin(&rig, 9, 0, 0x39 | LEVEL);
	assert_int_equal(rig.sent, 2);
	finish(&rig);
}

/* KVM wants bits 31:8 of the destination in the address's high half. */
static void addresses_for_kvm(void **state)
{
	static const uint64_t rows[][2] = {
		{0xfee00000, 0xfee00000},       {0xfeeff00c, 0xfeeff00c},
		{0xfee2c020, 0x100fee2c000},    {0xfeefffe4, 0x7f00feeff004},
		{0xfee2c030, 0xfee2c030},       /* remappable: not an id */
		{0x200fee2c020, 0x200fee2c020}, /* KVM's already */
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		assert_int_equal(x86_msi_address_for_kvm(rows[i][0]), rows[i][1]);
}

static uint64_t access_device(struct axdev *dev, uint64_t offset, uint8_t width, bool is_write,
			      uint64_t value)
{
	struct axdev_access access = {
		.offset = offset, .width = width, .is_write = is_write, .value = value};

	assert_int_equal(dev->ops->access(dev, &access), AXDEV_HANDLED);
	return access.value;
}

static void device(void **state)
{
	struct ioapic_rig rig;
	struct axdev *dev = NULL;
	(void)state;

	begin(&rig);
	assert_int_equal(x86_ioapic_device(rig.ioapic, &dev, NULL), 0);
	assert_int_equal(dev->resource[0].base, 0xfec00000);
	access_device(dev, SELECT, 1, true, 0x01);
	assert_int_equal(access_device(dev, WINDOW, 4, false, 0), 0x00170011);
	assert_int_equal(access_device(dev, WINDOW, 8, false, UINT64_MAX), 0x00170011);
	assert_int_equal(access_device(dev, WINDOW, 1, false, 0), 0x11);
	access_device(dev, SELECT, 8, true, 0xffffffff00000012);
	access_device(dev, WINDOW, 8, true, 0xffffffff00000033);
	assert_int_equal(low_of(&rig, 1), 0x33);
	dev->ops->reset(dev);
	assert_int_equal(low_of(&rig, 1), MASKED);
	axdev_destroy(dev);
	assert_int_equal(low_of(&rig, 1), MASKED); /* is the VM's, not the device's */
	finish(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers),
		cmocka_unit_test(messages),
		cmocka_unit_test(edges),
		cmocka_unit_test(levels),
		cmocka_unit_test(shared_vector),
		cmocka_unit_test(masked_while_served),
		cmocka_unit_test(ended_by_edge),
		cmocka_unit_test(nobody_takes_it),
		cmocka_unit_test(routes),
		cmocka_unit_test(reset),
		cmocka_unit_test(addresses_for_kvm),
		cmocka_unit_test(device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
