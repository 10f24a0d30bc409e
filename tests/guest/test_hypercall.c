/* The hypercall doorbell: number, six arguments, a result; an unknown number gives -ENOSYS. */
#include "guest.h"

GUEST_CODE(
	code, 64,
	"mov $0xd0100000, %esi; mov $0x200000, %edi\n"
	"movq $7, (%rsi); mov $1, %eax; mov $8, %ecx; lea 8(%rsi), %rdx\n"
	"1: mov %rax, (%rdx); inc %eax; add $8, %rdx; cmp $7, %eax; jne 1b\n"
	"mov %rax, 56(%rsi); mov 56(%rsi), %rax; mov %rax, (%rdi)\n"
	"movq $99, (%rsi); mov %rax, 56(%rsi); mov 56(%rsi), %rax; mov %rax, 8(%rdi)" GUEST_DONE);

GUEST_TEST(hypercall, "hypercall")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, code);
	CHECK_EQ(guest_data(&guest, 0), 0x060504030201);
	CHECK_EQ(guest_data(&guest, 8), (uint64_t)-38);
	CHECK_EQ(guest.hypercalls, 2);
	guest_destroy(&guest);
}
