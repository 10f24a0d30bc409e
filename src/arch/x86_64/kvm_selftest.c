/*
 * The payloads of the self-test and what each must have done. Integer instructions only, so that
 * they run on every KVM; position-independent. The machine they run in is
 * src/arch/selftest_machine.c.
 */
#include "kvm_x86.h"

#include "../selftest.h"

#include <inttypes.h>
#include <stdio.h>

#define CODE_GPA   0x100000ULL
#define REAL_GPA   0x8000ULL   /* 16-bit payloads */
#define DATA_GPA   0x200000ULL /* what payloads leave for afterwards */
#define IDT_GPA    0x300000ULL /* its pseudo-descriptor is at 0x310000 */
#define EXTRA_GPA  0x8000000ULL
#define REPORT_GPA 0xd8000000ULL
#define DONE_PORT  0x10
#define BELL_PORT  0x500
#define IRQ_PIN    16

#define CODE(name, bits, text)                                                            \
	extern const char name[], name##_end[];                                           \
	__asm__(".pushsection .rodata\n\t.balign 64\n\t.code" #bits "\n" #name ":\n" text \
		"\n" #name "_end:\n\t.code64\n\t.popsection\n")

#define HANG   "\n9: hlt; jmp 9b\n"
#define DONE   "\nmov $0x10, %dx; out %eax, %dx" HANG
#define RESULT "\nmov $0xd8000008, %esi; mov %rax, (%rsi)" HANG
/* The handler at byte 16 counts at DATA_GPA; LAPIC on, PIC masked, IDT loaded. */
#define WITH_IRQ                                                                     \
	"jmp 2f; .balign 16; push %rax; incq 0x200000; mov $0xfee000b0, %eax\n"      \
	"movl $0, (%rax); pop %rax; iretq\n"                                         \
	"2: mov $0xff, %al; out %al, $0x21; out %al, $0xa1; mov $0xfee000f0, %eax\n" \
	"movl $0x1ff, (%rax); lidt 0x310000\n"
#define READY      "out %al, $0x11\n"
#define WAIT_COUNT "3: sti; hlt; cli; cmpq $0, 0x200000; je 3b"

static uint64_t data(const struct axarch_st_machine *machine, uint64_t offset)
{
	uint64_t value = 0;

	return axas_read_u64(machine->memory, DATA_GPA + offset, &value) < 0 ? 0 : value;
}

/* ---- long mode, from real mode by hand ------------------------------------------------------- */

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
     ".code64\nlong_64: movabs $0xcafebabedeadbeef, %rax\n"
     "mov $0x500, %dx; out %eax, %dx" HANG);

static int drive_long(struct axarch_st_machine *machine, char *detail, size_t size)
{
	uint64_t rax = 0;

	axarch_st_run(machine);
	if (axvcpu_get_gpr(machine->vcpu[0], 0, &rax, &machine->err) < 0)
		return axarch_st_host_error(machine, detail, size);
	if (machine->ended && machine->end.kind == AXVCPU_EXIT_HALT &&
	    rax == 0xcafebabedeadbeefULL &&
	    axarch_st_logged(machine, 0, AXVCPU_EXIT_IO_WRITE, 0x500, 4, 0xdeadbeef)) {
		snprintf(detail, size, "64-bit Long Mode confirmed, RAX = 0x%" PRIX64, rax);
		return AXARCH_SELFTEST_PASS;
	}
	snprintf(detail, size, "RAX is 0x%" PRIx64 ", not 0xcafebabedeadbeef", rax);
	return AXARCH_SELFTEST_FAIL;
}

/* ---- accesses that leave the guest ----------------------------------------------------------- */

CODE(port_code, 64,
     "mov $0x84838281, %eax; mov $0x500, %dx; out %al, %dx; out %ax, %dx; out %eax, %dx\n"
     "in %dx, %eax; mov %rax, 0x200000" DONE);

static int drive_port(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_run(machine) &&
		    axarch_st_logged(machine, 0, AXVCPU_EXIT_IO_WRITE, 0x500, 1, 0x81) &&
		    axarch_st_logged(machine, 1, AXVCPU_EXIT_IO_WRITE, 0x500, 2, 0x8281) &&
		    axarch_st_logged(machine, 2, AXVCPU_EXIT_IO_WRITE, 0x500, 4, 0x84838281) &&
		    data(machine, 0) == (uint32_t)AXARCH_ST_READ_VALUE;
	return axarch_st_verdict(good, detail, size, "1, 2 and 4 bytes",
				 "an access is missing or wrong");
}

CODE(string_code, 64,
     "cld; mov $0x500, %dx; mov $0x200000, %edi; mov $300, %ecx; rep insl\n"
     "mov $0x200000, %esi; mov $5, %ecx; rep outsb; mov %rdi, 0x210000; mov %rsi, 0x210008" DONE);

/* KVM may hand a string over in several exits. */
static int drive_string(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_run(machine);
	uint32_t in = 0, out = 0;

	for (size_t i = 0; i < machine->log_count; i++)
		if (machine->log[i].addr == 0x500) {
			bool is_in = machine->log[i].kind == AXVCPU_EXIT_IO_READ;
			*(is_in ? &in : &out) += machine->log[i].count;
		}
	good = good && in == 300 && out == 5 && data(machine, 0x10000) == DATA_GPA + 1200 &&
	       data(machine, 0x10008) == DATA_GPA + 5 &&
	       (uint32_t)(data(machine, 1196)) == (uint32_t)AXARCH_ST_READ_VALUE;
	return axarch_st_verdict(good, detail, size, "rep ins and rep outs with their counts",
				 "items are missing");
}

CODE(mmio_code, 64,
     "mov $0xd8000000, %esi; mov $0x1122334455667788, %rax; mov %al, 0x101(%rsi)\n"
     "mov %ax, 0x102(%rsi); mov %eax, 0x104(%rsi); mov %rax, 0x108(%rsi)\n"
     "xor %eax, %eax; mov 0x102(%rsi), %ax; mov %rax, (%rsi); mov 0x108(%rsi), %rax" RESULT);

/* ---- memory ---------------------------------------------------------------------------------- */

CODE(rom_code, 64,
     "mov $0x8000000, %esi; mov $77, %eax; mov %eax, (%rsi); mov (%rsi), %eax" RESULT);

CODE(unmap_code, 64,
     "mov $0x8000000, %esi; " READY "1: mov (%rsi), %rax; test %rax, %rax; jz 1b" DONE);

/* ---- around exits: eventfds ------------------------------------------------------------------ */

CODE(bell_code, 64, "mov $0x500, %dx; mov $5, %eax; out %ax, %dx; out %ax, %dx" DONE);

/* Pin 16 of the IOAPIC to vector 0x50. */
CODE(irqfd_code, 64,
     WITH_IRQ "mov $0xfec00000, %esi; movl $0x31, (%rsi); movl $0, 16(%rsi)\n"
	      "movl $0x30, (%rsi); movl $0x50, 16(%rsi)\n" READY WAIT_COUNT DONE);

static int drive_irqfd(struct axarch_st_machine *machine, char *detail, size_t size)
{
	return axarch_st_irqfd(machine, IRQ_PIN, detail, size,
			       "an eventfd reaches the guest's handler");
}

/* ---- processors and time --------------------------------------------------------------------- */

CODE(wake_code, 64, WITH_IRQ READY WAIT_COUNT DONE);

static int drive_wake(struct axarch_st_machine *machine, char *detail, size_t size)
{
	return axarch_st_wake(machine, 0x41, detail, size, "an injected vector ends HLT");
}

CODE(deadline_code, 64,
     WITH_IRQ "mov $1, %eax; cpuid; bt $24, %ecx; jnc 4f\n"
	      "mov $0xfee00320, %esi; movl $0x40050, (%rsi); mfence\n"
	      "rdtsc; add $100000, %eax; adc $0, %edx; mov $0x6e0, %ecx; wrmsr\n" WAIT_COUNT
	      "\n4:" DONE);

static int drive_deadline(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_run(machine);

	if (good && !data(machine, 0)) {
		snprintf(detail, size, "this KVM has none; guests use the LAPIC's counter");
		return AXARCH_SELFTEST_SKIP;
	}
	return axarch_st_verdict(good, detail, size, "it fires and ends HLT", "it never fired");
}

/* The first processor copies the second's few instructions to 0x8000, the page SIPI 8 starts. */
CODE(smp_code, 64,
     "jmp 2f\n.code16\n1: xor %ax, %ax; mov %ax, %ds; movb $1, 0x7000; 3: cli; hlt; jmp 3b\n"
     ".code64\n2: cld; lea 1b(%rip), %rsi; mov $0x8000, %edi; mov $2b-1b, %ecx; rep movsb\n"
     "mov $0xfee00000, %esi; movl $0x1ff, 0xf0(%rsi); movl $0xc4500, 0x300(%rsi)\n"
     "mov $0x40000, %ecx; 4: dec %ecx; jnz 4b; movl $0xc4608, 0x300(%rsi)\n"
     "5: cmpb $1, 0x7000; jne 5b" DONE);

static int drive_smp(struct axarch_st_machine *machine, char *detail, size_t size)
{
	return axarch_st_verdict(axarch_st_run(machine), detail, size,
				 "a second processor starts by INIT and SIPI", "it did not start");
}

CODE(spin_code, 64, READY "1: jmp 1b");

static int drive_hardware(struct axarch_st_machine *machine, char *detail, size_t size)
{
	(void)machine;
	if (x86_host_has_virtualization()) {
		snprintf(detail, size, "vmx or svm: stock kernels can boot");
		return AXARCH_SELFTEST_PASS;
	}
	snprintf(detail, size,
		 "neither vmx nor svm in CPUID: a paravirtual or partial KVM, which runs bare "
		 "payloads; stock kernels may not boot");
	return AXARCH_SELFTEST_SKIP;
}

static const struct axarch_check checks[] = {
	{
		.name = "long mode",
		.code = long_code,
		.code_end = long_code_end,
		.vcpus = 1,
		.no_irqchip = true,
		.drive = drive_long,
		.flat_bits = 16,
		.code_gpa = REAL_GPA,
	},
	AXARCH_CHECK("port I/O", port, 1, true, drive_port),
	AXARCH_CHECK("string I/O", string, 1, true, drive_string),
	AXARCH_CHECK("MMIO", mmio, 1, true, axarch_st_drive_mmio),
	AXARCH_CHECK("read-only memory", rom, 1, true, axarch_st_drive_rom),
	AXARCH_CHECK("unmap at run time", unmap, 1, true, axarch_st_drive_unmap),
	AXARCH_CHECK("ioeventfd", bell, 1, false, axarch_st_drive_bell),
	AXARCH_CHECK("irqfd", irqfd, 1, false, drive_irqfd),
	AXARCH_CHECK("HLT and wake-up", wake, 1, false, drive_wake),
	AXARCH_CHECK("TSC-deadline timer", deadline, 1, false, drive_deadline),
	AXARCH_CHECK("second processor", smp, 2, false, drive_smp),
	AXARCH_CHECK("kick", spin, 1, true, axarch_st_drive_kick),
	{.name = "hardware", .drive = drive_hardware},
};

/* An IDT whose gates 0x40 to 0x5f lead to the payload's 16th byte. */
static int prepare(struct axarch_st_machine *machine)
{
	const uint64_t handler = CODE_GPA + 16, idt = IDT_GPA;
	const uint64_t gate[2] = {(handler & 0xffff) | 0x10ULL << 16 | 0x8eULL << 40 |
				  (handler >> 16) << 48};
	const uint16_t limit = 256 * 16 - 1;
	int ret = 0;

	for (unsigned vector = 0x40; ret == 0 && vector < 0x60; vector++)
		ret = axas_write(machine->memory, idt + vector * 16, gate, sizeof(gate));
	if (ret == 0)
		ret = axas_write(machine->memory, idt + 0x10000, &limit, sizeof(limit));
	if (ret == 0)
		ret = axas_write(machine->memory, idt + 0x10002, &idt, sizeof(idt));
	if (ret < 0)
		return ax_error_set(&machine->err, AX_ERROR_MEMORY_SETUP, -ret,
				    "the IDT does not fit");
	return 0;
}

int x86_selftest(const char *kvm_device,
		 void (*report)(void *ctx, const char *check, int status, const char *detail),
		 void *ctx)
{
	const struct axarch_selftest test = {
		.arch = &axarch_x86_64,
		.checks = checks,
		.check_count = AX_ARRAY_LEN(checks),
		.code_gpa = CODE_GPA,
		.extra_gpa = EXTRA_GPA,
		.report_gpa = REPORT_GPA,
		.flat_bits = 64,
		.done_port = DONE_PORT,
		.bell_space = AXDEV_PORT,
		.bell_addr = BELL_PORT,
		.bell_width = 2,
		.prepare = prepare,
	};

	return axarch_selftest_run(&test, kvm_device, report, ctx);
}
