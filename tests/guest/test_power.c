/* How a guest ends or restarts the machine, is asked to, and marks its way. */
#include "guest.h"
#include "kvm_x86.h"

#define HANG "9: hlt; jmp 9b"

static void expect_event(const char *code, const char *code_end, enum axdev_power_event event)
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	guest_load(&guest, code, code_end);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.powered, "nothing happened (%s)", axvcpu_exit_name(guest.end.kind));
	CHECK_EQ(guest.power, event);
	guest_destroy(&guest);
}

/* As ACPICA does it: sleep type first, then with SLP_EN; another type is not ours. */
GUEST_CODE(off_code, 64,
	   "mov $0x604, %dx; in %dx, %ax; test $1, %al; jz 9f; mov $0x3400, %ax; out %ax, %dx\n"
	   "in %dx, %ax; and $0xc3ff, %ax; out %ax, %dx; or $0x2000, %ax; out %ax, %dx\n" HANG);

GUEST_TEST(power_off, "power-off")
{
	expect_event(off_code, off_code_end, AXDEV_POWER_OFF);
}

/* Takes commands at once, but looks like no controller: its output never drains. */
GUEST_CODE(i8042_code, 64,
	   "mov $0xd1, %al; out %al, $0x64; 1: in $0x64, %al; test $2, %al; jnz 1b\n"
	   "test $1, %al; jz 9f; in $0x60, %al; in $0x64, %al; test $1, %al; jz 9f\n"
	   "mov $0xfe, %al; out %al, $0x64\n" HANG);

GUEST_TEST(power_i8042, "power-i8042")
{
	expect_event(i8042_code, i8042_code_end, AXDEV_POWER_RESET);
}

GUEST_CODE(cf9_code, 64,
	   "mov $0xcf9, %dx; in %dx, %al; and $0xf9, %al; or $2, %al; out %al, %dx\n"
	   "or $6, %al; out %al, %dx\n" HANG);

GUEST_TEST(power_cf9, "power-cf9")
{
	expect_event(cf9_code, cf9_code_end, AXDEV_POWER_RESET);
}

GUEST_CODE(panic_code, 64,
	   "mov $0x505, %dx; in %dx, %al; test $1, %al; jz 9f; mov $1, %al; out %al, %dx\n" HANG);

GUEST_TEST(power_pvpanic, "power-pvpanic")
{
	expect_event(panic_code, panic_code_end, AXDEV_POWER_PANIC);
}

/* Routes GSI 9 level to vector 0x50 and waits for the button; the handler clears its status. */
GUEST_CODE(button_code, 64,
	   "jmp 2f; .balign 16\n"
	   "1: mov $0x600, %dx; in %dx, %ax; mov %rax, 0x200008; mov $0x100, %ax; out %ax, %dx\n"
	   "in %dx, %ax; mov %rax, 0x200010; incq 0x200000" GUEST_EOI "iretq\n"
	   "2:" GUEST_IRQ_SETUP
	   "mov $0xfec00000, %esi; movl $0x22, (%rsi); movl $0x8050, 16(%rsi)\n"
	   "movl $0x23, (%rsi); movl $0, 16(%rsi); mov $0x602, %dx; mov $0x100, %ax; out %ax, %dx\n"
	   "movq $1, 0x200018; 3: sti; hlt; cli; cmpq $0, 0x200000; je 3b" GUEST_DONE);

GUEST_TEST(power_button, "power-button")
{
	struct guest guest;

	guest_create(&guest, &(struct guest_config){0});
	guest_load(&guest, button_code, button_code_end);
	guest_gate(&guest, 0x50, GUEST_CODE_GPA + 16);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 0x18), "the payload does not run");
	x86_power_button(axbus_find(guest.vm->bus, "power"));
	guest_finish(&guest);
	CHECK(guest.done, "no interrupt came");
	CHECK_EQ(guest_data(&guest, 8) & 0x100, 0x100);
	CHECK_EQ(guest_data(&guest, 16) & 0x100, 0);
	CHECK_EQ(guest_data(&guest, 0), 1); /* once: the line went down */
	guest_destroy(&guest);
}

GUEST_CODE(post_code, 64,
	   "mov $0x31, %al; out %al, $0x80; mov $0x42, %al; out %al, $0x80" GUEST_DONE);

GUEST_TEST(post, "post")
{
	struct guest guest;

	GUEST_RUN(&guest, &(struct guest_config){0}, post_code);
	CHECK_EQ(guest.marks, 2);
	CHECK_EQ(guest.last_mark, 0x42);
	guest_destroy(&guest);
}
