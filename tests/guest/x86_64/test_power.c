/* What an x86 machine has beside its ACPI registers: the reset register and a power button. */
#include "guest.h"
#include "kvm_x86.h"

GUEST_CODE(power_cf9);

GUEST_TEST(power_cf9, "power-cf9")
{
	guest_expect_power(code_power_cf9, code_power_cf9_end, AXDEV_POWER_RESET);
}

GUEST_CODE(power_button);

GUEST_TEST(power_button, "power-button")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, power_button);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0x18), "the payload does not run");
	x86_power_button(axbus_find(guest.vm->bus, "power"));
	guest_finish(&guest);
	CHECK(guest.done, "no interrupt came");
	CHECK_EQ(guest_data(&guest, 8) & 0x100, 0x100);
	CHECK_EQ(guest_data(&guest, 16) & 0x100, 0);
	CHECK_EQ(guest_data(&guest, 0), 1); /* once: the line went down */
	guest_destroy(&guest);
}
