/* MMIO (KVM_EXIT_MMIO): widths, an address nobody claims, and the policy that makes it a fault. */
#include "guest.h"

GUEST_CODE(mmio_widths);

GUEST_TEST(mmio_widths, "mmio-widths")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	guest.read_value = 0xfedcba98f6e5d4c3;
	GUEST_LOAD(&guest, mmio_widths);
	guest_start(&guest);
	guest_finish(&guest);
	for (unsigned i = 0; i < 4; i++) {
		const struct guest_access want = {
			.space = AXDEV_MMIO,
			.offset = 1u << i,
			.width = (uint8_t)(1u << i),
			.is_write = true,
			.value = i < 3 ? 0x1122334455667788 & ((1ULL << (8u << i)) - 1)
				       : 0x1122334455667788,
		};
		guest_expect(&guest, i, &want);
	}
	CHECK_EQ(guest_data(&guest, 0), 0xc3);
	CHECK_EQ(guest_data(&guest, 8), 0xd4c3);
	CHECK_EQ(guest_data(&guest, 16), 0xf6e5d4c3);
	CHECK_EQ(guest_data(&guest, 24), 0xfedcba98f6e5d4c3);
	CHECK_EQ(guest.log_count, 8);
	guest_destroy(&guest);
}

GUEST_CODE(mmio_signed);

/* Loads that extend the sign: the CPU does it to what we answered, or has KVM do it. */
GUEST_TEST(mmio_signed, "mmio-signed")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	guest.read_value = 0xfedcba98f6e5d4c3;
	GUEST_LOAD(&guest, mmio_signed);
	guest_start(&guest);
	guest_finish_done(&guest);
	if (guest_arch.loses_sign && guest_data(&guest, 0) == 0xc3)
		guest_skip("%s", guest_arch.loses_sign);
	CHECK_EQ(guest_data(&guest, 0), 0xffffffffffffffc3);
	CHECK_EQ(guest_data(&guest, 8), 0xffffffffffffd4c3);
	CHECK_EQ(guest_data(&guest, 16), 0xfffffffff6e5d4c3);
	CHECK_EQ(guest.log_count, 3);
	guest_destroy(&guest);
}

GUEST_CODE(mmio_hole);

GUEST_TEST(mmio_hole, "mmio-hole")
{
	struct guest guest;
	struct axbus_stats stats;

	GUEST_RUN(&guest, &(struct guest_config){0}, mmio_hole);
	CHECK_EQ(guest_data(&guest, 0), UINT64_MAX);
	CHECK_EQ(guest_data(&guest, 8), 0xff);
	axbus_get_stats(guest.bus, &stats);
	CHECK_EQ(stats.missing[AXDEV_MMIO], 3);
	guest_destroy(&guest);
}

/* What KVM reports of an access to nothing: the address, the width, reading or writing. */
GUEST_TEST(mmio_hole_fault, "mmio-hole-fault")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){.missing = AXBUS_MISSING_FAULT});
	GUEST_LOAD(&guest, mmio_hole);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(!guest.done && guest.ended, "the payload went on");
	CHECK_EQ(guest.end.kind, AXVCPU_EXIT_MMIO_READ);
	CHECK_EQ(guest.end.mmio.gpa, GUEST_HOLE_GPA);
	CHECK_EQ(guest.end.mmio.width, 8);
	guest_destroy(&guest);
}
