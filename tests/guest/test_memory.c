/* Memory as the guest sees it: read-only regions, and what changes while it runs. */
#include "guest.h"

#define ROM_GPA  0x8000000ULL
#define ROM_SIZE 0x10000ULL

static void map(struct guest *guest, uint32_t flags)
{
	const struct axas_region_config region = {
		.name = "extra", .gpa = ROM_GPA, .size_bytes = ROM_SIZE, .flags = flags, .fd = -1};
	const uint64_t content = 0x600dc0de600dc0de;

	CHECK_OK(axas_map(guest->memory, &region, &guest->err), &guest->err);
	CHECK_EQ(axas_write_host(guest->memory, ROM_GPA, &content, sizeof(content)), 0);
}

GUEST_CODE(
	rom_code, 64,
	"mov $0x8000000, %esi; mov $0x200000, %edi; mov (%rsi), %rax; mov %rax, (%rdi)\n"
	"mov $0x12345678, %eax; mov %eax, 4(%rsi); mov (%rsi), %rax; mov %rax, 8(%rdi)" GUEST_DONE);

GUEST_TEST(memory_read_only, "memory-read-only")
{
	struct guest guest;
	struct axvcpu_stats stats;
	struct axbus_stats bus;

	guest_create(&guest, &(struct guest_config){0});
	map(&guest, AXAS_READ);
	guest_load(&guest, rom_code, rom_code_end);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	CHECK_EQ(guest_data(&guest, 0), 0x600dc0de600dc0de);
	CHECK_EQ(guest_data(&guest, 8), 0x600dc0de600dc0de);
	/* Reads stay inside, the write comes out like a device's. */
	axvcpu_get_stats(guest.vcpu[0], &stats);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_MMIO_READ], 0);
	CHECK_EQ(stats.by_kind[AXVCPU_EXIT_MMIO_WRITE], 1);
	axbus_get_stats(guest.bus, &bus);
	CHECK_EQ(bus.missing[AXDEV_MMIO], 1);
	guest_destroy(&guest);
}

/* Counts turns at +0 and copies what it reads until that is all ones. */
GUEST_CODE(watch_code, 64,
	   "mov $0x8000000, %esi; mov $0x200000, %edi\n"
	   "1: mov (%rsi), %rax; mov %rax, 8(%rdi); incq (%rdi); cmp $-1, %rax; jne 1b" GUEST_DONE);

GUEST_TEST(memory_unmap, "memory-unmap")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	map(&guest, AXAS_RW);
	guest_load(&guest, watch_code, watch_code_end);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0) > 1000, "the payload does not run");
	CHECK_EQ(guest_data(&guest, 8), 0x600dc0de600dc0de);
	/* Only the first page goes; the vCPU is running. */
	CHECK_OK(axas_unmap(guest.memory, ROM_GPA, AXAS_PAGE_SIZE, &guest.err), &guest.err);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	CHECK_EQ(guest_data(&guest, 8), UINT64_MAX);
	guest_destroy(&guest);
}

/* Writes its turn to the region until it reads something else, which at first may be the hole that
 * KVM leaves while a slot changes; then tries to clear what is there. */
GUEST_CODE(protect_code, 64,
	   "mov $0x8000000, %esi; mov $0x200000, %edi\n"
	   "1: incq (%rdi); mov (%rdi), %rax; mov %rax, (%rsi); cmp %rax, (%rsi); je 1b\n"
	   "2: mov (%rsi), %rax; cmp $-1, %rax; je 2b\n"
	   "movq $0, (%rsi); mov (%rsi), %rax; mov %rax, 8(%rdi)" GUEST_DONE);

GUEST_TEST(memory_protect, "memory-protect")
{
	struct guest guest;
	uint64_t kept = 0;

	guest_create(&guest, &(struct guest_config){0});
	map(&guest, AXAS_RW);
	guest_load(&guest, protect_code, protect_code_end);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0) > 1000, "the payload does not run");
	CHECK_OK(axas_protect(guest.memory, ROM_GPA, AXAS_PAGE_SIZE, AXAS_READ, &guest.err),
		 &guest.err);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	CHECK_EQ(axas_read_u64(guest.memory, ROM_GPA, &kept), 0);
	CHECK(kept, "the last write was kept");
	CHECK_EQ(guest_data(&guest, 8), kept);
	guest_destroy(&guest);
}
