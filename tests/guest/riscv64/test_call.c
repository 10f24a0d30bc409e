/* SBI calls: those that KVM hands to us, and what it answers about harts itself. */
#include "guest.h"

enum { NOT_SUPPORTED = -2, INVALID_PARAM = -3, ALREADY_AVAILABLE = -6 };

/* Error and value of the call that kept them at this place; value -1: not looked at. */
static void expect(const struct guest *guest, unsigned place, int64_t error, int64_t value)
{
	CHECK_EQ(guest_data(guest, 16 * place), error);
	if (value >= 0)
		CHECK_EQ(guest_data(guest, 16 * place + 8), value);
}

GUEST_CODE(sbi);

GUEST_TEST(sbi, "sbi")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, sbi);
	expect(&guest, 0, 0, 0x060504030201);
	expect(&guest, 1, NOT_SUPPORTED, -1);
	CHECK_EQ(guest.hypercalls, 2);
	expect(&guest, 2, 0, 1);
	expect(&guest, 3, 0, 1);
	expect(&guest, 4, NOT_SUPPORTED, -1);
	guest_destroy(&guest);
}

GUEST_CODE(hsm);

GUEST_TEST(hsm, "hsm")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){.vcpus = 2}, hsm);
	expect(&guest, 0, INVALID_PARAM, -1);
	expect(&guest, 1, ALREADY_AVAILABLE, -1);
	expect(&guest, 2, 0, 0); /* started */
	expect(&guest, 3, 0, 1); /* stopped */
	expect(&guest, 4, INVALID_PARAM, -1);
	guest_destroy(&guest);
}
