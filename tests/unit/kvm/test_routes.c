/*
 * The GSI routing table: what KVM is given, and how seldom.
 */
#include "fake.h"

/* What the chips are is between the architecture and KVM: to the table they are numbers. */
#define CHIP_A 2
#define CHIP_B 0

static const struct axkvm_pin_route pins[] = {{0, CHIP_A, 2}, {0, CHIP_B, 0}, {1, CHIP_A, 1}};

static void room(void **state)
{
	struct fixture f;
	(void)state;

	fixture_create(&f);
	assert_int_equal(axkvm_vm_msi_room(f.vm, 40, 1024), 0); /* none at all */
	fake.route_limit = 40;
	assert_int_equal(axkvm_vm_msi_room(f.vm, 40, 1024), 0);
	fake.route_limit = 100;
	assert_int_equal(axkvm_vm_msi_room(f.vm, 40, 1024), 60);
	fake.route_limit = 4096;
	assert_int_equal(axkvm_vm_msi_room(f.vm, 40, 1024), 1024);
	fixture_destroy(&f);
}

static void pins_are_told_unless_default(void **state)
{
	struct fixture f;
	(void)state;

	fixture_create(&f);
	assert_int_equal(axkvm_vm_route_pins(f.vm, pins, 3, true, &f.err), 0);
	assert_int_equal(fake.route_sets, 0);
	assert_int_equal(axkvm_vm_route_pins(f.vm, pins, 3, false, &f.err), 0);
	assert_int_equal(fake.route_sets, 1);
	assert_int_equal(fake.route_count, 3);
	assert_int_equal(fake.route[0].type, KVM_IRQ_ROUTING_IRQCHIP);
	assert_int_equal(fake.route[0].u.irqchip.irqchip, CHIP_A);
	assert_int_equal(fake.route[0].u.irqchip.pin, 2);
	assert_int_equal(fake.route[1].gsi, 0);
	assert_int_equal(fake.route[1].u.irqchip.irqchip, CHIP_B);
	assert_int_equal(fake.route[2].gsi, 1);
	fixture_destroy(&f);
}

static void messages_join_the_pins(void **state)
{
	const struct axkvm_msi_route a = {.address = 0x100fee01000, .data = 0x4031};
	const struct axkvm_msi_route b = {
		.address = 0xfee02000, .data = 0x22, .has_device_id = true, .device_id = 8};
	struct fixture f;
	(void)state;

	fixture_create(&f);
	assert_int_equal(axkvm_vm_route_pins(f.vm, pins, 3, true, &f.err), 0);
	assert_int_equal(axkvm_vm_route_msi(f.vm, 24, &a, &f.err), 0);
	assert_int_equal(axkvm_vm_route_msi(f.vm, 30, &b, &f.err), 0);
	assert_int_equal(fake.route_sets, 2);
	assert_int_equal(fake.route_count, 5);
	assert_int_equal(fake.route[3].gsi, 24);
	assert_int_equal(fake.route[3].type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(fake.route[3].flags, 0);
	assert_int_equal(fake.route[3].u.msi.address_lo, 0xfee01000);
	assert_int_equal(fake.route[3].u.msi.address_hi, 0x100);
	assert_int_equal(fake.route[3].u.msi.data, 0x4031);
	assert_int_equal(fake.route[4].flags, KVM_MSI_VALID_DEVID);
	assert_int_equal(fake.route[4].u.msi.devid, 8);

	/* What is there already is not said again. */
	assert_int_equal(axkvm_vm_route_msi(f.vm, 24, &a, &f.err), 0);
	assert_int_equal(axkvm_vm_route_msi(f.vm, 99, NULL, &f.err), 0);
	assert_int_equal(fake.route_sets, 2);

	assert_int_equal(axkvm_vm_route_msi(f.vm, 24, &b, &f.err), 0);
	assert_int_equal(fake.route_count, 5);
	assert_int_equal(fake.route[3].u.msi.data, 0x22);
	assert_int_equal(axkvm_vm_route_msi(f.vm, 24, NULL, &f.err), 0);
	assert_int_equal(fake.route_count, 4);
	assert_int_equal(fake.route[3].gsi, 30);
	fixture_destroy(&f);
}

/* KVM refuses the table for one bad entry: the others must not suffer, now or later. */
static void refused_entries_leave_no_trace(void **state)
{
	const struct axkvm_msi_route good = {.address = 0xfee00000, .data = 1};
	const struct axkvm_msi_route bad = {.address = 0xff00000000, .data = 2};
	struct fixture f;
	(void)state;

	fixture_create(&f);
	assert_int_equal(axkvm_vm_route_pins(f.vm, pins, 3, true, &f.err), 0);
	assert_int_equal(axkvm_vm_route_msi(f.vm, 24, &good, &f.err), 0);
	fake.error = EINVAL;
	assert_int_equal(axkvm_vm_route_msi(f.vm, 25, &bad, &f.err), -EINVAL);
	assert_non_null(strstr(f.err.message, "GSI 25"));
	assert_int_equal(axkvm_vm_route_msi(f.vm, 24, &bad, &f.err), -EINVAL);
	fake.error = 0;
	assert_int_equal(axkvm_vm_route_msi(f.vm, 26, &good, &f.err), 0);
	assert_int_equal(fake.route_count, 5);
	assert_int_equal(fake.route[3].gsi, 24);
	assert_int_equal(fake.route[3].u.msi.data, 1);
	assert_int_equal(fake.route[4].gsi, 26);
	fixture_destroy(&f);
}

static void the_table_grows(void **state)
{
	struct fixture f;
	(void)state;

	fixture_create(&f);
	for (uint32_t i = 0; i < 100; i++) {
		const struct axkvm_msi_route msi = {.address = 0xfee00000, .data = i};

		assert_int_equal(axkvm_vm_route_msi(f.vm, 24 + i, &msi, &f.err), 0);
	}
	assert_int_equal(fake.route_count, 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(fake.route[i].u.msi.data, i);
	fixture_destroy(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room),
		cmocka_unit_test(pins_are_told_unless_default),
		cmocka_unit_test(messages_join_the_pins),
		cmocka_unit_test(refused_entries_leave_no_trace),
		cmocka_unit_test(the_table_grows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
