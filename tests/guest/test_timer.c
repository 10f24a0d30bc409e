/* Timers in the kernel: the LAPIC's TSC deadline, and the PIT on its IOAPIC pin. */
#include "guest.h"

#define HANDLER                                                     \
	"jmp 2f; .balign 16\n1: push %rax; incq 0x200000" GUEST_EOI \
	"pop %rax; iretq\n2:" GUEST_IRQ_SETUP

/* CPUID says whether there is one; ten deadlines a little ahead, each waited for in HLT. */
GUEST_CODE(
	deadline_code, 64,
	HANDLER
	"mov $1, %eax; cpuid; bt $24, %ecx; jnc 4f\n"
	"mov $0xfee00320, %esi; movl $0x40050, (%rsi); mfence; mov $10, %edi\n"
	"3: rdtsc; add $100000, %eax; adc $0, %edx; mov $0x6e0, %ecx; wrmsr\n"
	"sti; hlt; cli; dec %edi; jnz 3b; mov $1, %al; jmp 5f; 4: xor %eax, %eax; 5:" GUEST_DONE);

GUEST_TEST(timer_deadline, "timer-deadline")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	guest_load(&guest, deadline_code, deadline_code_end);
	guest_gate(&guest, 0x50, GUEST_CODE_GPA + 16);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	if (!guest.done_value)
		guest_skip("this KVM has no TSC-deadline timer");
	CHECK_EQ(guest_data(&guest, 0), 10);
	guest_destroy(&guest);
}

/* Channel 0 at about 1 kHz, IOAPIC pin 2 as the MADT says. */
GUEST_CODE(pit_code, 64,
	   HANDLER "mov $0xfec00000, %esi; movl $0x15, (%rsi); movl $0, 16(%rsi)\n"
		   "movl $0x14, (%rsi); movl $0x50, 16(%rsi); mov $0x34, %al; out %al, $0x43\n"
		   "mov $0xa9, %al; out %al, $0x40; mov $0x04, %al; out %al, $0x40\n"
		   "3: sti; hlt; cli; cmpq $10, 0x200000; jb 3b" GUEST_DONE);

GUEST_TEST(timer_pit, "timer-pit")
{
	struct guest guest;
	uint64_t begin;

	guest_create(&guest, &(struct guest_config){.pit = true});
	guest_load(&guest, pit_code, pit_code_end);
	guest_gate(&guest, 0x50, GUEST_CODE_GPA + 16);
	begin = ax_clock_ns();
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s after %llu ticks", axvcpu_exit_name(guest.end.kind),
	      (unsigned long long)guest_data(&guest, 0));
	CHECK(ax_clock_ns() - begin > 8000000, "ten ticks of 1 ms came at once");
	guest_destroy(&guest);
}
