/* MMIO (KVM_EXIT_MMIO): widths, an address nobody claims, and the policy that makes it a fault. */
#include "guest.h"

GUEST_CODE(widths_code, 64,
	   "mov $0xd0200000, %esi; mov $0x200000, %edi; mov $0x1122334455667788, %rax\n"
	   "mov %al, 1(%rsi); mov %ax, 2(%rsi); mov %eax, 4(%rsi); mov %rax, 8(%rsi)\n"
	   "mov $-1, %rax; mov 1(%rsi), %al; mov %rax, (%rdi)\n"
	   "mov $-1, %rax; mov 2(%rsi), %ax; mov %rax, 8(%rdi)\n"
	   "mov 4(%rsi), %eax; mov %rax, 16(%rdi); mov 8(%rsi), %rax; mov %rax, 24(%rdi)\n"
	   "movsbq (%rsi), %rax; mov %rax, 32(%rdi); movzwl (%rsi), %eax; mov %rax, 40(%rdi)\n"
	   "movslq (%rsi), %rax; mov %rax, 48(%rdi)" GUEST_DONE);

GUEST_TEST(mmio_widths, "mmio-widths")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	guest.read_value = 0xfedcba98f6e5d4c3;
	guest_load(&guest, widths_code, widths_code_end);
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
	CHECK_EQ(guest_data(&guest, 0), 0xffffffffffffffc3);
	CHECK_EQ(guest_data(&guest, 8), 0xffffffffffffd4c3);
	CHECK_EQ(guest_data(&guest, 16), 0xf6e5d4c3);
	CHECK_EQ(guest_data(&guest, 24), 0xfedcba98f6e5d4c3);
	CHECK_EQ(guest_data(&guest, 32), 0xffffffffffffffc3); /* sign-extended by the CPU */
	CHECK_EQ(guest_data(&guest, 40), 0xd4c3);
	CHECK_EQ(guest_data(&guest, 48), 0xfffffffff6e5d4c3);
	CHECK_EQ(guest.log_count, 11);
	guest_destroy(&guest);
}

GUEST_CODE(hole_code, 64,
	   "mov $0xd8000010, %esi; mov $0x200000, %edi; xor %eax, %eax\n"
	   "mov (%rsi), %rax; mov %rax, (%rdi); movzbl (%rsi), %eax; mov %rax, 8(%rdi)\n"
	   "mov %rax, (%rsi)" GUEST_DONE);

GUEST_TEST(mmio_hole, "mmio-hole")
{
	struct guest guest;
	struct axbus_stats stats;

	GUEST_RUN(&guest, &(struct guest_config){0}, hole_code);
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
	guest_load(&guest, hole_code, hole_code_end);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(!guest.done && guest.ended, "the payload went on");
	CHECK_EQ(guest.end.kind, AXVCPU_EXIT_MMIO_READ);
	CHECK_EQ(guest.end.mmio.gpa, 0xd8000010);
	CHECK_EQ(guest.end.mmio.width, 8);
	guest_destroy(&guest);
}
