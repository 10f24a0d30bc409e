/* The start states that flat images of x86_64 may ask for; all other payloads use the third. */
#include "guest.h"

GUEST_CODE(mode_16);

GUEST_TEST(mode_16, "mode-16")
{
	const struct guest_config config = {.bits = 16, .load_gpa = GUEST_REAL_GPA};
	struct guest guest;
	uint16_t word = 0;

	guest_run(&guest, &config, code_mode_16, code_mode_16_end);
	CHECK_EQ(axas_read_u16(guest.memory, 0x9000, &word), 0);
	CHECK_EQ(word, 0); /* CS */
	CHECK_EQ(axas_read_u16(guest.memory, 0x9002, &word), 0);
	CHECK_EQ(word & 1, 0); /* not protected */
	guest_destroy(&guest);
}

GUEST_CODE(mode_32);

GUEST_TEST(mode_32, "mode-32")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){.bits = 32}, mode_32);
	CHECK_EQ(guest_data(&guest, 0) & 0x80000001, 1); /* protected, not paged */
	CHECK_EQ(guest_data(&guest, 0) >> 32, 0x1234);
	guest_destroy(&guest);
}
