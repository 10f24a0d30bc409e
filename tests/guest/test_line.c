/* The ways around an exit: irqfd into the guest, ioeventfd out of it, and level lines. */
#include "guest.h"
#include "kvm_x86.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* IOAPIC pin -> vector 0x50; +0 counts, ends after the number at +24. */
#define PROGRAM_PIN(redirection, entry)                                                \
	"mov $0xfec00000, %esi; movl $" #redirection "+1, (%rsi); movl $0, 16(%rsi)\n" \
	"movl $" #redirection ", (%rsi); movl $" #entry ", 16(%rsi); movq $1, 0x200008\n"
#define WAIT_COUNT "3: sti; hlt; cli; mov 0x200018, %rax; cmp 0x200000, %rax; ja 3b"
#define HANDLER(body)                                                                 \
	"jmp 2f; .balign 16\n1: push %rax; push %rdx; incq 0x200000\n" body GUEST_EOI \
	"pop %rdx; pop %rax; iretq\n2:" GUEST_IRQ_SETUP

/* Pin 16: redirection registers 0x30 and 0x31. */
GUEST_CODE(edge_code, 64, HANDLER("") PROGRAM_PIN(0x30, 0x50) WAIT_COUNT GUEST_DONE);

GUEST_TEST(line_irqfd, "line-irqfd")
{
	struct guest guest;
	struct axirq_line *line = NULL, *again = NULL;

	guest_create(&guest, &(struct guest_config){0});
	CHECK_OK(axirq_claim(guest.irqs, 16, AXIRQ_EDGE, "test", &line, &guest.err), &guest.err);
	CHECK(axirq_claim(guest.irqs, 16, AXIRQ_EDGE, "other", &again, &guest.err) < 0,
	      "a line was given twice");
	guest_load(&guest, edge_code, edge_code_end);
	guest_gate(&guest, 0x50, GUEST_CODE_GPA + 16);
	guest_set_data(&guest, 0x18, 10);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	for (unsigned i = 0; i < 10; i++) {
		axirq_pulse(line);
		WAIT_FOR(guest_data(&guest, 0) == i + 1, "interrupt %u did not come", i);
	}
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	axirq_release(line);
	guest_destroy(&guest);
}

/* Level on pin 17: comes again after each end until the handler's port write lowers the line. */
GUEST_CODE(level_code, 64,
	   HANDLER("cmpq $3, 0x200000; jb 5f; mov $0x700, %dx; in %dx, %al\n"
		   "6: cmpq $1, 0x200020; jne 6b; 5:") PROGRAM_PIN(0x32, 0x8050) WAIT_COUNT
	   "\nmov $0x100000, %ecx; sti; 7: dec %ecx; jnz 7b" GUEST_DONE);

GUEST_TEST(line_level, "line-level")
{
	struct guest guest;
	struct axirq_line *line = NULL;

	guest_create(&guest, &(struct guest_config){0});
	CHECK_OK(axirq_claim(guest.irqs, 17, AXIRQ_LEVEL, "test", &line, &guest.err), &guest.err);
	guest_load(&guest, level_code, level_code_end);
	guest_gate(&guest, 0x50, GUEST_CODE_GPA + 16);
	guest_set_data(&guest, 0x18, 3);
	guest_start(&guest);
	WAIT_FOR(guest_data(&guest, 8), "the payload does not run");
	axirq_set_level(line, true);
	WAIT_FOR(guest.log_count == 1, "it was raised %llu times",
		 (unsigned long long)guest_data(&guest, 0));
	axirq_set_level(line, false);
	guest_set_data(&guest, 0x20, 1); /* the third handler may return now */
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	/* A paravirtual KVM ends a level interrupt when it delivers it: the third has already asked
	 * for a fourth when the line goes down. */
	uint64_t most = x86_host_has_virtualization() ? 3 : 4;
	CHECK(guest_data(&guest, 0) >= 3 && guest_data(&guest, 0) <= most, "it came %llu times",
	      (unsigned long long)guest_data(&guest, 0));
	axirq_release(line);
	guest_destroy(&guest);
}

static void ring(const struct axdev_doorbell *wanted, const char *code, const char *code_end,
		 uint64_t want_count, size_t want_log)
{
	struct guest guest;
	struct axdev_doorbell bell = *wanted;
	uint64_t count = 0;

	bell.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	guest_create(&guest, &(struct guest_config){0});
	CHECK_OK(guest.services.assign_doorbell(guest.services.ctx, &bell, &guest.err), &guest.err);
	guest_load(&guest, code, code_end);
	guest_start(&guest);
	guest_finish(&guest);
	CHECK(guest.done, "it ended with %s", axvcpu_exit_name(guest.end.kind));
	CHECK(read(bell.event_fd, &count, sizeof(count)) == sizeof(count), "the bell did not ring");
	CHECK_EQ(count, want_count);
	CHECK_EQ(guest.log_count, want_log); /* what came out as an exit */
	CHECK_EQ(guest.services.release_doorbell(guest.services.ctx, &bell), 0);
	close(bell.event_fd);
	guest_destroy(&guest);
}

/* 7 matches three times; 8 and the byte come out. */
GUEST_CODE(port_code, 64,
	   "mov $0x704, %dx; mov $7, %eax; out %ax, %dx; out %ax, %dx; out %ax, %dx\n"
	   "out %al, %dx; inc %eax; out %ax, %dx" GUEST_DONE);

GUEST_TEST(doorbell_port, "doorbell-port")
{
	ring(&(struct axdev_doorbell){.space = AXDEV_PORT,
				      .addr = GUEST_PORT + 4,
				      .width = 2,
				      .has_match = true,
				      .match = 7},
	     port_code, port_code_end, 3, 2);
}

GUEST_CODE(mmio_code, 64,
	   "mov $0xd0200050, %esi; mov %eax, (%rsi); mov %ax, (%rsi); mov %eax, (%rsi)\n"
	   "mov %eax, 4(%rsi)" GUEST_DONE);

GUEST_TEST(doorbell_mmio, "doorbell-mmio")
{
	/* Width 0: any width at that address, the cheapest form. */
	ring(&(struct axdev_doorbell){.space = AXDEV_MMIO, .addr = GUEST_MMIO_GPA + 0x50},
	     mmio_code, mmio_code_end, 3, 1);
}
