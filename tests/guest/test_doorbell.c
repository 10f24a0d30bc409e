/* The way out of the guest around an exit: ioeventfd. */
#include "guest.h"

#include <sys/eventfd.h>
#include <unistd.h>

void guest_ring(const struct axdev_doorbell *wanted, const char *code, const char *code_end,
		uint64_t want_count, size_t want_log)
{
	struct guest guest;
	struct axdev_doorbell bell = *wanted;
	uint64_t count = 0;

	bell.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guest_create(&guest, &(struct guest_config){0});
	CHECK_OK(guest.services.assign_doorbell(guest.services.ctx, &bell, &guest.err), &guest.err);
	guest_load(&guest, code, code_end);
	guest_start(&guest);
	guest_finish_done(&guest);
	CHECK(read(bell.event_fd, &count, sizeof(count)) == sizeof(count), "the bell did not ring");
	CHECK_EQ(count, want_count);
	CHECK_EQ(guest.log_count, want_log); /* what came out as an exit */
	CHECK_EQ(guest.services.release_doorbell(guest.services.ctx, &bell), 0);
	close(bell.event_fd);
	guest_destroy(&guest);
}

GUEST_CODE(doorbell_mmio);

GUEST_TEST(doorbell_mmio, "doorbell-mmio")
{
	/* Width 0: any width at that address, the cheapest form. */
	guest_ring(&(struct axdev_doorbell){.space = AXDEV_MMIO, .addr = GUEST_MMIO_GPA + 0x50},
		   code_doorbell_mmio, code_doorbell_mmio_end, 3, 1);
}
