/*
 * The payloads of the self-test and what each must have done. Integer instructions only, so that
 * they run on every KVM; position-independent, loaded and observed by kvm_selftest_machine.c.
 */
#include "kvm_selftest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CODE(name, bits, text)                                                            \
	extern const char name[], name##_end[];                                           \
	__asm__(".pushsection .rodata\n\t.balign 64\n\t.code" #bits "\n" #name ":\n" text \
		"\n" #name "_end:\n\t.code64\n\t.popsection\n")

#define DONE "\nmov $0x10, %dx; out %eax, %dx; 9: hlt; jmp 9b\n"
/* The handler at byte 16 counts at ST_DATA_GPA; LAPIC on, PIC masked, IDT loaded. */
#define WITH_IRQ                                                                     \
	"jmp 2f; .balign 16; push %rax; incq 0x200000; mov $0xfee000b0, %eax\n"      \
	"movl $0, (%rax); pop %rax; iretq\n"                                         \
	"2: mov $0xff, %al; out %al, $0x21; out %al, $0xa1; mov $0xfee000f0, %eax\n" \
	"movl $0x1ff, (%rax); lidt 0x310000\n"
#define READY      "movq $1, 0x200008\n"
#define WAIT_COUNT "3: sti; hlt; cli; cmpq $0, 0x200000; je 3b"

static int verdict(bool good, char *detail, size_t size, const char *pass, const char *fail)
{
	snprintf(detail, size, "%s", good ? pass : fail);
	return good ? AXARCH_SELFTEST_PASS : AXARCH_SELFTEST_FAIL;
}

static int host_error(char *detail, size_t size, const struct ax_error *err)
{
	snprintf(detail, size, "%s", err->message);
	return AXARCH_SELFTEST_FAIL;
}

static bool run_to(struct st_machine *machine, const _Atomic bool *flag)
{
	return x86_st_start(machine) == 0 && x86_st_finish(machine, flag);
}

static bool logged(const struct st_machine *machine, size_t index, enum axvcpu_exit_kind kind,
		   uint64_t addr, uint32_t width, uint64_t value)
{
	const struct st_access *access = &machine->log[index];

	return index < machine->log_count && access->kind == kind && access->addr == addr &&
	       access->width == width && access->value == value;
}

/* ---- long mode, from real mode by hand --------------------------------------------- */

/* At 0x8000: PML4 0x9000 -> PDPT 0xa000 -> PD 0xb000 -> one page of 2 MiB. */
CODE(long_code, 16,
     "xor %ax, %ax; mov %ax, %ds; mov %ax, %es; cld\n"
     "mov $0x9000, %di; mov $0x1800, %cx; rep stosw\n"
     "movl $0xa003, 0x9000; movl $0xb003, 0xa000; movl $0x83, 0xb000\n"
     "lgdtl 0x8000 + long_gdtr - long_code\n"
     "mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4; mov $0x9000, %eax; mov %eax, %cr3\n"
     "mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
     "mov %cr0, %eax; or $0x80000001, %eax; mov %eax, %cr0\n"
     "ljmpl $8, $(0x8000 + long_64 - long_code)\n"
     ".balign 8; long_gdt: .quad 0, 0x00af9b000000ffff\n"
     "long_gdtr: .word 15; .long 0x8000 + long_gdt - long_code\n"
     ".code64\nlong_64: movabs $0xcafebabedeadbeef, %rax" DONE);

static int drive_long(struct st_machine *machine, char *detail, size_t size)
{
	uint64_t rax = 0;

	run_to(machine, &machine->ended);
	if (axvcpu_get_gpr(machine->vcpu[0], 0, &rax, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	if (machine->ended && machine->end.kind == AXVCPU_EXIT_HALT &&
	    rax == 0xcafebabedeadbeefULL &&
	    logged(machine, 0, AXVCPU_EXIT_IO_WRITE, 0x10, 4, 0xdeadbeef)) {
		machine->end.kind = AXVCPU_EXIT_NOTHING;
		snprintf(detail, size, "64-bit Long Mode confirmed, RAX = 0x%" PRIX64, rax);
		return AXARCH_SELFTEST_PASS;
	}
	snprintf(detail, size, "RAX is 0x%" PRIx64 ", not 0xcafebabedeadbeef", rax);
	return AXARCH_SELFTEST_FAIL;
}

/* ---- accesses that leave the guest ------------------------------------------------- */

CODE(port_code, 64,
     "mov $0x84838281, %eax; mov $0x500, %dx; out %al, %dx; out %ax, %dx; out %eax, %dx\n"
     "in %dx, %eax; mov %rax, 0x200000" DONE);

static int drive_port(struct st_machine *machine, char *detail, size_t size)
{
	bool good = run_to(machine, &machine->done) &&
		    logged(machine, 0, AXVCPU_EXIT_IO_WRITE, 0x500, 1, 0x81) &&
		    logged(machine, 1, AXVCPU_EXIT_IO_WRITE, 0x500, 2, 0x8281) &&
		    logged(machine, 2, AXVCPU_EXIT_IO_WRITE, 0x500, 4, 0x84838281) &&
		    x86_st_data(machine, 0) == (uint32_t)ST_READ_VALUE;
	return verdict(good, detail, size, "1, 2 and 4 bytes", "an access is missing or wrong");
}

CODE(string_code, 64,
     "cld; mov $0x500, %dx; mov $0x200000, %edi; mov $300, %ecx; rep insl\n"
     "mov $0x200000, %esi; mov $5, %ecx; rep outsb; mov %rdi, 0x210000; mov %rsi, 0x210008" DONE);

/* KVM may hand a string over in several exits. */
static int drive_string(struct st_machine *machine, char *detail, size_t size)
{
	bool good = run_to(machine, &machine->done);
	uint32_t in = 0, out = 0;

	for (size_t i = 0; i < machine->log_count; i++)
		if (machine->log[i].addr == 0x500) {
			bool is_in = machine->log[i].kind == AXVCPU_EXIT_IO_READ;
			*(is_in ? &in : &out) += machine->log[i].count;
		}
	good = good && in == 300 && out == 5 &&
	       x86_st_data(machine, 0x10000) == ST_DATA_GPA + 1200 &&
	       x86_st_data(machine, 0x10008) == ST_DATA_GPA + 5 &&
	       (uint32_t)(x86_st_data(machine, 1196)) == (uint32_t)ST_READ_VALUE;
	return verdict(good, detail, size, "rep ins and rep outs with their counts",
		       "items are missing");
}

CODE(mmio_code, 64,
     "mov $0xd8000000, %esi; mov $0x1122334455667788, %rax; mov %al, 1(%rsi)\n"
     "mov %ax, 2(%rsi); mov %eax, 4(%rsi); mov %rax, 8(%rsi); mov 8(%rsi), %rax\n"
     "mov %rax, 0x200000" DONE);

static int drive_mmio(struct st_machine *machine, char *detail, size_t size)
{
	const enum axvcpu_exit_kind write = AXVCPU_EXIT_MMIO_WRITE;
	bool good = run_to(machine, &machine->done) &&
		    logged(machine, 0, write, 0xd8000001, 1, 0x88) &&
		    logged(machine, 1, write, 0xd8000002, 2, 0x7788) &&
		    logged(machine, 2, write, 0xd8000004, 4, 0x55667788) &&
		    logged(machine, 3, write, 0xd8000008, 8, 0x1122334455667788) &&
		    x86_st_data(machine, 0) == ST_READ_VALUE;
	return verdict(good, detail, size, "1, 2, 4 and 8 bytes", "an access is missing or wrong");
}

/* ---- memory ------------------------------------------------------------------------ */

static int map_extra(struct st_machine *machine, uint32_t flags)
{
	const struct axas_region_config region = {.name = "extra",
						  .gpa = ST_EXTRA_GPA,
						  .size_bytes = 0x10000,
						  .flags = flags,
						  .fd = -1};
	return axas_map(machine->memory, &region, &machine->err);
}

CODE(rom_code, 64,
     "mov $0x8000000, %esi; mov $77, %eax; mov %eax, (%rsi); mov (%rsi), %eax\n"
     "mov %rax, 0x200000" DONE);

static int drive_rom(struct st_machine *machine, char *detail, size_t size)
{
	if (map_extra(machine, AXAS_READ) < 0)
		return host_error(detail, size, &machine->err);
	bool good = run_to(machine, &machine->done) && x86_st_data(machine, 0) == 0 &&
		    logged(machine, 0, AXVCPU_EXIT_MMIO_WRITE, ST_EXTRA_GPA, 4, 77);
	return verdict(good, detail, size, "a write is reported and changes nothing",
		       "a write went through, or was not reported");
}

CODE(unmap_code, 64,
     "mov $0x8000000, %esi; " READY "1: mov (%rsi), %rax; test %rax, %rax; jz 1b" DONE);

static int drive_unmap(struct st_machine *machine, char *detail, size_t size)
{
	if (map_extra(machine, AXAS_RW) < 0 || x86_st_start(machine) < 0 ||
	    !x86_st_await(machine, 8, 1) ||
	    axas_unmap(machine->memory, ST_EXTRA_GPA, 0x10000, &machine->err) < 0) {
		x86_st_finish(machine, &machine->ended);
		return host_error(detail, size, &machine->err);
	}
	return verdict(x86_st_finish(machine, &machine->done), detail, size,
		       "memory taken from a running guest", "the guest still reads it");
}

/* ---- around exits: eventfds -------------------------------------------------------- */

CODE(bell_code, 64, "mov $0x500, %dx; mov $5, %eax; out %ax, %dx; out %ax, %dx" DONE);

static int drive_bell(struct st_machine *machine, char *detail, size_t size)
{
	AX_AUTO_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct axdev_doorbell bell = {.space = AXDEV_PORT,
				      .addr = 0x500,
				      .width = 2,
				      .has_match = true,
				      .match = 5,
				      .event_fd = fd};
	uint64_t count = 0;

	if (axarch_x86_64.assign_doorbell(machine->vm, &bell, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	bool good = run_to(machine, &machine->done) && machine->log_count == 1 &&
		    read(fd, &count, sizeof(count)) == sizeof(count) && count == 2;
	axarch_x86_64.release_doorbell(machine->vm, &bell);
	return verdict(good, detail, size, "a doorbell rings without an exit",
		       "the doorbell did not ring, or left the guest");
}

/* Pin 16 of the IOAPIC to vector 0x50. */
CODE(irqfd_code, 64,
     WITH_IRQ "mov $0xfec00000, %esi; movl $0x31, (%rsi); movl $0, 16(%rsi)\n"
	      "movl $0x30, (%rsi); movl $0x50, 16(%rsi)\n" READY WAIT_COUNT DONE);

static int drive_irqfd(struct st_machine *machine, char *detail, size_t size)
{
	AX_AUTO_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const uint64_t one = 1;
	struct axirq_chip chip;

	axarch_x86_64.vm_irq_chip(machine->vm, &chip);
	if (chip.assign_fd(chip.ctx, 16, fd, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	bool good = x86_st_start(machine) == 0 && x86_st_await(machine, 8, 1) &&
		    write(fd, &one, sizeof(one)) == sizeof(one);
	good = x86_st_finish(machine, &machine->done) && good;
	chip.release_fd(chip.ctx, 16, fd);
	return verdict(good, detail, size, "an eventfd reaches the guest's handler",
		       "the interrupt did not come");
}

/* ---- processors and time ----------------------------------------------------------- */

CODE(wake_code, 64, WITH_IRQ READY WAIT_COUNT DONE);

static int drive_wake(struct st_machine *machine, char *detail, size_t size)
{
	const struct axvcpu_irq irq = {.vector = 0x41};
	bool good = x86_st_start(machine) == 0 && x86_st_await(machine, 8, 1);

	/* Where KVM tells, wait until it really sleeps. */
	for (unsigned i = 0; good && i < 1000 && axvcpu_state(machine->vcpu[0]) != AXVCPU_BLOCKED;
	     i++)
		usleep(100);
	good = good && axvcpu_inject(machine->vcpu[0], &irq, &machine->err) == 0;
	good = x86_st_finish(machine, &machine->done) && good;
	return verdict(good, detail, size, "an injected vector ends HLT", "it slept on");
}

CODE(deadline_code, 64,
     WITH_IRQ "mov $1, %eax; cpuid; bt $24, %ecx; jnc 4f\n"
	      "mov $0xfee00320, %esi; movl $0x40050, (%rsi); mfence\n"
	      "rdtsc; add $100000, %eax; adc $0, %edx; mov $0x6e0, %ecx; wrmsr\n" WAIT_COUNT
	      "\n4:" DONE);

static int drive_deadline(struct st_machine *machine, char *detail, size_t size)
{
	bool good = run_to(machine, &machine->done);

	if (good && !x86_st_data(machine, 0)) {
		snprintf(detail, size, "this KVM has none; guests use the LAPIC's counter");
		return AXARCH_SELFTEST_SKIP;
	}
	return verdict(good, detail, size, "it fires and ends HLT", "it never fired");
}

/* The first processor copies the second's few instructions to 0x8000, the page SIPI 8 starts. */
CODE(smp_code, 64,
     "jmp 2f\n.code16\n1: xor %ax, %ax; mov %ax, %ds; movb $1, 0x7000; 3: cli; hlt; jmp 3b\n"
     ".code64\n2: cld; lea 1b(%rip), %rsi; mov $0x8000, %edi; mov $2b-1b, %ecx; rep movsb\n"
     "mov $0xfee00000, %esi; movl $0x1ff, 0xf0(%rsi); movl $0xc4500, 0x300(%rsi)\n"
     "mov $0x40000, %ecx; 4: dec %ecx; jnz 4b; movl $0xc4608, 0x300(%rsi)\n"
     "5: cmpb $1, 0x7000; jne 5b" DONE);

static int drive_smp(struct st_machine *machine, char *detail, size_t size)
{
	return verdict(run_to(machine, &machine->done), detail, size,
		       "a second processor starts by INIT and SIPI", "it did not start");
}

CODE(spin_code, 64, READY "1: jmp 1b");

static int drive_kick(struct st_machine *machine, char *detail, size_t size)
{
	if (x86_st_start(machine) < 0 || !x86_st_await(machine, 8, 1)) {
		x86_st_finish(machine, &machine->ended);
		return host_error(detail, size, &machine->err);
	}
	uint64_t begin = ax_clock_ns();
	if (axvcpu_pause(machine->vcpu[0], &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	uint64_t took_us = (ax_clock_ns() - begin) / 1000;
	axvcpu_request_stop(machine->vcpu[0]);
	axvcpu_join(machine->vcpu[0]);
	snprintf(detail, size, "a spinning guest stood still after %" PRIu64 " us", took_us);
	return took_us < 1000000 ? AXARCH_SELFTEST_PASS : AXARCH_SELFTEST_FAIL;
}

#define CHECK(title, name, the_bits, cpus, no_irq, function)                          \
	{                                                                             \
		title, name##_code, name##_code_end, the_bits, cpus, no_irq, function \
	}
const struct st_check x86_selftest_checks[] = {
	CHECK("long mode", long, 16, 1, true, drive_long),
	CHECK("port I/O", port, 64, 1, true, drive_port),
	CHECK("string I/O", string, 64, 1, true, drive_string),
	CHECK("MMIO", mmio, 64, 1, true, drive_mmio),
	CHECK("read-only memory", rom, 64, 1, true, drive_rom),
	CHECK("unmap at run time", unmap, 64, 1, true, drive_unmap),
	CHECK("ioeventfd", bell, 64, 1, false, drive_bell),
	CHECK("irqfd", irqfd, 64, 1, false, drive_irqfd),
	CHECK("HLT and wake-up", wake, 64, 1, false, drive_wake),
	CHECK("TSC-deadline timer", deadline, 64, 1, false, drive_deadline),
	CHECK("second processor", smp, 64, 2, false, drive_smp),
	CHECK("kick", spin, 64, 1, true, drive_kick),
};
const size_t x86_selftest_check_count = AX_ARRAY_LEN(x86_selftest_checks);
