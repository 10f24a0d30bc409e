/* CSRs that KVM leaves to us: those of an IMSIC where it has an AIA but this machine has none. */
#include "guest.h"

#define CSR_STOPEI 0x15c

GUEST_CODE(csr);

GUEST_TEST(csr, "csr")
{
	static const struct guest_access want[] = {
		{AXDEV_SYSREG, 0, 0, 8, false}, {AXDEV_SYSREG, 0, 0x1234, 8, true},
		{AXDEV_SYSREG, 0, 0, 8, false}, {AXDEV_SYSREG, 0, 0x88776655443322f1, 8, true},
		{AXDEV_SYSREG, 0, 0, 8, false},
	};
	const struct guest_config config = {.irq_mode = AXARCH_IRQ_NONE, .sysreg = CSR_STOPEI};
	struct guest guest;

	GUEST_RUN(&guest, &config, csr);
	if (guest.log_count == 0)
		guest_skip("this KVM has no AIA, and hands over no CSRs");
	for (size_t i = 0; i < AX_ARRAY_LEN(want); i++)
		guest_expect(&guest, i, &want[i]);
	CHECK_EQ(guest.log_count, AX_ARRAY_LEN(want));
	for (unsigned i = 8; i <= 24; i += 8)
		CHECK_EQ(guest_data(&guest, i), 0x8877665544332211);
	CHECK_EQ(guest_data(&guest, 0), 1); /* what nobody claims faults */
	guest_destroy(&guest);
}
