/* Calls by HVC: what PSCI in KVM answers, and those that come to us. */
#include "guest.h"
#include "kvm_aarch64.h"

#define NOT_SUPPORTED      ((uint64_t)-1) /* of PSCI and of the SMC calling convention */
#define INVALID_PARAMETERS ((uint64_t)-2)
#define ALREADY_ON         ((uint64_t)-4)

GUEST_CODE(psci);

GUEST_TEST(psci, "psci")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){.vcpus = 2}, psci);
	CHECK(guest_data(&guest, 0) >= 0x10000, "it is version 0x%llx",
	      (unsigned long long)guest_data(&guest, 0));
	CHECK_EQ(guest_data(&guest, 8), 0);
	CHECK_EQ(guest_data(&guest, 16), NOT_SUPPORTED);
	CHECK_EQ(guest_data(&guest, 24), INVALID_PARAMETERS);
	CHECK_EQ(guest_data(&guest, 32), ALREADY_ON);
	CHECK_EQ(guest_data(&guest, 40), 0); /* on */
	CHECK_EQ(guest_data(&guest, 48), 1); /* off */
	CHECK_EQ(guest_data(&guest, 56), INVALID_PARAMETERS);
	guest_destroy(&guest);
}

GUEST_CODE(hvc);

GUEST_TEST(hvc, "hvc")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	if (!guest.vm->forwards_calls)
		guest_skip("this KVM has no SMCCC filter (Linux 6.4)");
	GUEST_LOAD(&guest, hvc);
	guest_start(&guest);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0), 0x060504030201);
	CHECK_EQ(guest_data(&guest, 8), (uint64_t)-38);
	CHECK_EQ(guest_data(&guest, 16), NOT_SUPPORTED);
	CHECK_EQ(guest.hypercalls, 2);
	guest_destroy(&guest);
}
