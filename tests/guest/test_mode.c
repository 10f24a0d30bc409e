/* The three start states, and registers of a vCPU that stands still. */
#include "guest.h"

/* DS reaches 64 KiB in real mode: the result goes to 0x9000. */
GUEST_CODE(real_code, 16,
	   "mov $0x9000, %bx; mov %cs, %ax; mov %ax, (%bx); smsw %ax; mov %ax, 2(%bx)\n"
	   "mov $0x7f0, %dx; out %al, %dx; 9: hlt; jmp 9b");

GUEST_TEST(mode_16, "mode-16")
{
	struct guest guest;
	uint16_t word = 0;

	GUEST_RUN(&guest, &(struct guest_config){.bits = 16}, real_code);
	CHECK_EQ(axas_read_u16(guest.memory, 0x9000, &word), 0);
	CHECK_EQ(word, 0); /* CS */
	CHECK_EQ(axas_read_u16(guest.memory, 0x9002, &word), 0);
	CHECK_EQ(word & 1, 0); /* not protected */
	guest_destroy(&guest);
}

GUEST_CODE(flat_code, 32,
	   "mov $0x200000, %edi; mov %cr0, %eax; mov %eax, (%edi); push $0x1234; pop 4(%edi)\n"
	   "mov $0x7f0, %dx; out %al, %dx; 9: hlt; jmp 9b");

GUEST_TEST(mode_32, "mode-32")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){.bits = 32}, flat_code);
	CHECK_EQ(guest_data(&guest, 0) & 0x80000001, 1); /* protected, not paged */
	CHECK_EQ(guest_data(&guest, 0) >> 32, 0x1234);
	guest_destroy(&guest);
}

/* Each register by its number goes to the place of that number. */
GUEST_CODE(register_code, 64,
	   "mov $0xbad, %ebx" GUEST_DONE ".balign 64\n"
	   "mov %rax, 0x200000; mov %rcx, 0x200008; mov %rdx, 0x200010; mov %rbx, 0x200018\n"
	   "mov %rsp, 0x200020; mov %rbp, 0x200028; mov %rsi, 0x200030; mov %rdi, 0x200038\n"
	   "mov %r8, 0x200040; mov %r9, 0x200048; mov %r10, 0x200050; mov %r11, 0x200058\n"
	   "mov %r12, 0x200060; mov %r13, 0x200068; mov %r14, 0x200070; mov %r15, 0x200078" //
	   GUEST_DONE);

static uint64_t register_value(unsigned index)
{
	return 0x123456789abcde00 + index;
}

GUEST_TEST(mode_registers, "mode-registers")
{
	struct guest guest;
	struct axvcpu *vcpu;
	uint64_t value = 0;

	guest_create(&guest, &(struct guest_config){0});
	guest_load(&guest, register_code, register_code_end);
	vcpu = guest.vcpu[0];
	CHECK_OK(axvcpu_set_entry(vcpu, GUEST_CODE_GPA + 64, &guest.err), &guest.err);
	for (unsigned i = 1; i < 16; i++)
		CHECK_OK(axvcpu_set_gpr(vcpu, i, register_value(i), &guest.err), &guest.err);
	CHECK_OK(axvcpu_set_return_value(vcpu, register_value(0), &guest.err), &guest.err);
	for (unsigned i = 0; i < 16; i++) {
		CHECK_OK(axvcpu_get_gpr(vcpu, i, &value, &guest.err), &guest.err);
		CHECK_EQ(value, register_value(i));
	}
	CHECK_EQ(axvcpu_get_gpr(vcpu, 16, &value, &guest.err), -22);
	CHECK_EQ(guest.err.kind, AX_ERROR_REGISTER_ACCESS);
	guest_start(&guest);
	guest_finish(&guest);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(guest_data(&guest, 8 * i), register_value(i));
	guest_destroy(&guest);
}
