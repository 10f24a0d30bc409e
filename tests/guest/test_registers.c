/* Registers of a vCPU that stands still. */
#include "guest.h"

/* Each register by its number goes to the place of that number. */
GUEST_CODE(registers);

static uint64_t register_value(unsigned index)
{
	return 0x123456789abcde00 + index;
}

GUEST_TEST(registers, "registers")
{
	struct guest guest;
	struct axvcpu *vcpu;
	uint64_t value = 0;

	guest_create(&guest, &(struct guest_config){0});
	GUEST_LOAD(&guest, registers);
	vcpu = guest.vcpu[0];
	CHECK_OK(axvcpu_set_entry(vcpu, GUEST_CODE_GPA + 64, &guest.err), &guest.err);
	for (unsigned i = GUEST_GPR_FIRST; i < GUEST_GPR_END; i++)
		if (i != GUEST_GPR_RETURN)
			CHECK_OK(axvcpu_set_gpr(vcpu, i, register_value(i), &guest.err),
				 &guest.err);
	CHECK_OK(axvcpu_set_return_value(vcpu, register_value(GUEST_GPR_RETURN), &guest.err),
		 &guest.err);
	for (unsigned i = GUEST_GPR_FIRST; i < GUEST_GPR_END; i++) {
		CHECK_OK(axvcpu_get_gpr(vcpu, i, &value, &guest.err), &guest.err);
		CHECK_EQ(value, register_value(i));
	}
	CHECK_EQ(axvcpu_get_gpr(vcpu, GUEST_GPR_NONE, &value, &guest.err), -22);
	CHECK_EQ(guest.err.kind, AX_ERROR_REGISTER_ACCESS);
	guest_start(&guest);
	guest_finish_done(&guest);
	for (unsigned i = GUEST_GPR_FIRST; i < GUEST_GPR_END; i++)
		CHECK_EQ(guest_data(&guest, 8 * i), register_value(i));
	guest_destroy(&guest);
}
