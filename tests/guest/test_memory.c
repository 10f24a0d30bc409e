/* Memory as the guest sees it: read-only regions, and what changes while it runs. */
#include "guest.h"

#define ROM_GPA  GUEST_EXTRA_GPA
#define ROM_SIZE 0x10000ULL

static void map(struct guest *guest, uint32_t flags)
{
	const struct axas_region_config region = {
		.name = "extra", .gpa = ROM_GPA, .size_bytes = ROM_SIZE, .flags = flags, .fd = -1};
	const uint64_t content = 0x600dc0de600dc0de;

	CHECK_OK(axas_map(guest->memory, &region, &guest->err), &guest->err);
	CHECK_EQ(axas_write_host(guest->memory, ROM_GPA, &content, sizeof(content)), 0);
}

GUEST_CODE(memory_read_only);

GUEST_TEST(memory_read_only, "memory-read-only")
{
	struct guest guest;
	struct axvcpu_stats stats;
	struct axbus_stats bus;

	guest_create(&guest, &(struct guest_config){0});
	map(&guest, AXAS_READ);
	GUEST_LOAD(&guest, memory_read_only);
	guest_start(&guest);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 0), 0x600dc0de600dc0de);
	CHECK_EQ(guest_data(&guest, 8), 0x600dc0de600dc0de);
	/* Reads stay inside, the write comes out like a device's. */
	axvcpu_get_stats(guest.vcpu[0], &stats);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_MMIO_READ], 0);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_MMIO_WRITE],
		 guest_arch.done.space == AXDEV_MMIO ? 2 : 1);
	axbus_get_stats(guest.bus, &bus);
	CHECK_EQ(bus.missing[AXDEV_MMIO], 1);
	guest_destroy(&guest);
}

/* Counts turns at +0 and copies what it reads until that is all ones. */
GUEST_CODE(memory_unmap);

GUEST_TEST(memory_unmap, "memory-unmap")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	map(&guest, AXAS_RW);
	GUEST_LOAD(&guest, memory_unmap);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0) > 1000, "the payload does not run");
	CHECK_EQ(guest_data(&guest, 8), 0x600dc0de600dc0de);
	/* Only the first page goes; the vCPU is running. */
	CHECK_OK(axas_unmap(guest.memory, ROM_GPA, AXAS_PAGE_SIZE, &guest.err), &guest.err);
	guest_finish_done(&guest);
	CHECK_EQ(guest_data(&guest, 8), UINT64_MAX);
	guest_destroy(&guest);
}

/* Writes its turn to the region until it reads something else, which at first may be the hole that
 * KVM leaves while a slot changes; then tries to clear what is there. */
GUEST_CODE(memory_protect);

GUEST_TEST(memory_protect, "memory-protect")
{
	struct guest guest;
	uint64_t kept = 0;

	guest_create(&guest, &(struct guest_config){0});
	map(&guest, AXAS_RW);
	GUEST_LOAD(&guest, memory_protect);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0) > 1000, "the payload does not run");
	CHECK_OK(axas_protect(guest.memory, ROM_GPA, AXAS_PAGE_SIZE, AXAS_READ, &guest.err),
		 &guest.err);
	guest_finish_done(&guest);
	CHECK_EQ(axas_read_u64(guest.memory, ROM_GPA, &kept), 0);
	CHECK(kept, "the last write was kept");
	CHECK_EQ(guest_data(&guest, 8), kept);
	guest_destroy(&guest);
}
