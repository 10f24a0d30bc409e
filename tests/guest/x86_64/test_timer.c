/* The PIT on its IOAPIC pin. */
#include "guest.h"

GUEST_CODE(timer_pit);

GUEST_TEST(timer_pit, "timer-pit")
{
	struct guest guest;
	uint64_t begin;

	guest_create(&guest, &(struct guest_config){.pit = true});
	GUEST_LOAD(&guest, timer_pit);
	begin = ax_clock_ns();
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s after %llu ticks", axvcpu_exit_name(guest.end.kind),
	      (unsigned long long)guest_data(&guest, 0));
	CHECK(ax_clock_ns() - begin > 8000000, "ten ticks of 1 ms came at once");
	guest_destroy(&guest);
}
