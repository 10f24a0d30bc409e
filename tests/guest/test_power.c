/* How a guest ends or restarts the machine, by device or by call, and marks its way. */
#include "guest.h"

void guest_expect_power(const char *code, const char *code_end, enum axdev_power_event event)
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	guest_load(&guest, code, code_end);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.powered, "nothing happened (%s)", axvcpu_exit_name(guest.end.kind));
	CHECK_EQ(guest.power, event);
	guest_destroy(&guest);
}

GUEST_CODE(power_off);
GUEST_TEST(power_off, "power-off")
{
	guest_expect_power(code_power_off, code_power_off_end, AXDEV_POWER_OFF);
}

GUEST_CODE(power_reset);
GUEST_TEST(power_reset, "power-reset")
{
	guest_expect_power(code_power_reset, code_power_reset_end, AXDEV_POWER_RESET);
}

GUEST_CODE(power_panic);
GUEST_TEST(power_panic, "power-panic")
{
	guest_expect_power(code_power_panic, code_power_panic_end, AXDEV_POWER_PANIC);
}

GUEST_CODE(marks);

GUEST_TEST(marks, "marks")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, marks);
	CHECK_EQ(guest.marks, 2);
	CHECK_EQ(guest.last_mark, 0x42);
	guest_destroy(&guest);
}
