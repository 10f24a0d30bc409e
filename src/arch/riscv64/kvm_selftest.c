/*
 * The payloads of the self-test and what each must have done. Integer instructions only, nothing
 * translated, position-independent; the machine they run in is src/arch/selftest_machine.c. They
 * find which interrupt controller there is in s3 (enum rv64_irqchip) and report through s11.
 */
#include "kvm_riscv64.h"

#include "../selftest.h"

#include <inttypes.h>
#include <stdio.h>

#define CODE_GPA    0x80400000ULL
#define EXTRA_GPA   0xa0000000ULL
#define REPORT_GPA  0x10200000ULL
#define GPR_IRQCHIP 19 /* s3 */
#define LINE        8

#define CODE(name, text)                                                                  \
	extern const char name[], name##_end[];                                           \
	__asm__(".pushsection .rodata\n\t.balign 64\n\t.option push\n\t.option norvc\n\t" \
		".option norelax\n" #name ":\n" BEGIN text "\n" #name                     \
		"_end:\n\t.option pop\n\t.popsection\n")

#define BEGIN  "lui s11, 0x10200\n"
#define REPORT "sd s1, 0(s11)\n"
#define DONE   "sd s2, 8(s11)\n90: wfi; j 90b\n"

/* Source 8 of a PLIC (1) for the first hart, or of an APLIC (2) as identity 8 of its IMSIC. */
#define WITH_LINE                                                                       \
	"li t0, 1; bne s3, t0, 31f\n"                                                   \
	"lui t1, 0x0c000; sw t0, 32(t1); lui t2, 0x0c002; li t0, 0x100; sw t0, 0(t2)\n" \
	"lui t2, 0x0c200; sw zero, 0(t2); j 32f\n"                                      \
	"31: li t0, 0x70; csrw 0x150, t0; csrwi 0x151, 1\n"                             \
	"li t0, 0x72; csrw 0x150, t0; csrwi 0x151, 0\n"                                 \
	"li t0, 0xc0; csrw 0x150, t0; li t0, 0x100; csrw 0x151, t0\n"                   \
	"lui t1, 0x0d000; li t0, 4; sw t0, 32(t1)\n"                                    \
	"lui t2, 0x0d003; li t0, 8; sw t0, 32(t2)\n"                                    \
	"lui t2, 0x0d002; sw t0, -0x124(t2); li t0, 0x104; sw t0, 0(t1)\n"              \
	"32: li t0, 0x200; csrw sie, t0\n"
/* Sleep until an interrupt comes, which goes on behind this and switches interrupts off. */
#define SLEEP                                             \
	"lla t0, 42f; csrw stvec, t0; csrsi sstatus, 2\n" \
	"41: wfi; j 41b; .balign 4; 42:\n"
/* Take it: s1 is its number. */
#define TAKE_LINE                                                    \
	SLEEP "li t0, 1; bne s3, t0, 43f\n"                          \
	      "lui t2, 0x0c200; lw s1, 4(t2); sw s1, 4(t2); j 44f\n" \
	      "43: csrrw s1, 0x15c, zero; srli s1, s1, 16\n44:\n"

/* ---- the start state ------------------------------------------------------------------------- */

CODE(start_code, "csrr s1, satp\n" REPORT "csrr s1, sstatus; andi s1, s1, 2\n" REPORT
		 "mv s1, a0\n" REPORT "mv s1, a1\n" REPORT "li s2, 0xcafebabedeadbeef\n" DONE);

static int drive_start(struct axarch_st_machine *machine, char *detail, size_t size)
{
	const uint64_t dtb = rv64_dtb_gpa(&machine->vm->plan);
	bool good = axarch_st_run(machine);
	uint64_t s2 = 0;

	if (axvcpu_get_gpr(machine->vcpu[0], 18, &s2, &machine->err) < 0)
		return axarch_st_host_error(machine, detail, size);
	good = good && axarch_st_told(machine, 0, 0) && axarch_st_told(machine, 1, 0) &&
	       axarch_st_told(machine, 2, 0) && axarch_st_told(machine, 3, dtb) &&
	       s2 == 0xcafebabedeadbeefULL;
	if (good)
		snprintf(detail, size, "RV64 S-mode confirmed, no translation, s2 = 0x%" PRIX64,
			 s2);
	else
		snprintf(detail, size, "not in S-mode as started, or s2 is 0x%" PRIx64, s2);
	return good ? AXARCH_SELFTEST_PASS : AXARCH_SELFTEST_FAIL;
}

/* ---- accesses that leave the guest ----------------------------------------------------------- */

CODE(mmio_code, "li s1, 0x1122334455667788; addi t1, s11, 0x100\n"
		"sb s1, 1(t1); sh s1, 2(t1); sw s1, 4(t1); sd s1, 8(t1)\n"
		"lh s1, 2(t1)\n" REPORT "ld s2, 8(t1)\n" DONE);

/* stopei: with the AIA, but without an IMSIC, KVM asks us; without the AIA it refuses itself. */
CODE(csr_code, "lla t0, 1f; csrw stvec, t0; csrr s1, 0x15c\n" DONE
	       ".balign 4; 1: csrr s1, scause\n" REPORT "csrr s2, sepc; lw s2, 0(s2)\n" DONE);

static int drive_csr(struct axarch_st_machine *machine, char *detail, size_t size)
{
	const uint64_t csrr_s1_stopei = 0x15c024f3;
	bool good = axarch_st_run(machine) && axarch_st_told(machine, 0, 2) &&
		    axarch_st_told_last(machine, 1, csrr_s1_stopei);

	return axarch_st_verdict(good, detail, size,
				 "a CSR that is not there is an illegal instruction",
				 "it did not trap, or elsewhere");
}

/* ---- memory ---------------------------------------------------------------------------------- */

CODE(rom_code, "li t1, 0xa0000000; li s1, 77; sw s1, 0(t1); lw s2, 0(t1)\n" DONE);

CODE(unmap_code, "li t1, 0xa0000000\n" REPORT "1: ld s1, 0(t1); beqz s1, 1b\n" DONE);

/* ---- around exits ---------------------------------------------------------------------------- */

CODE(bell_code, "li s1, 5; sw s1, 0x50(s11); sw s1, 0x50(s11)\n" DONE);

/* Two edges: the second shows that the first was taken down again. */
CODE(line_code, WITH_LINE REPORT TAKE_LINE REPORT TAKE_LINE "mv s2, s1\n" DONE);

static bool pulse(struct axarch_st_machine *machine)
{
	struct axirq_chip chip;

	axarch_riscv64.vm_irq_chip(machine->vm, &chip);
	axarch_st_await_sleep(machine);
	return chip.set_level(chip.ctx, LINE, true) == 0 &&
	       chip.set_level(chip.ctx, LINE, false) == 0;
}

static int drive_line(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_start(machine) == 0 && axarch_st_await(machine, 1) &&
		    pulse(machine) && axarch_st_await(machine, 2) && pulse(machine);

	good = axarch_st_finish(machine) && good && axarch_st_told(machine, 1, LINE) &&
	       axarch_st_told_last(machine, 2, LINE);
	return axarch_st_verdict(good, detail, size,
				 machine->vm->irqchip == RV64_IRQCHIP_AIA
					 ? "edges end WFI, through KVM's APLIC and IMSIC"
					 : "edges end WFI, through the PLIC",
				 "an interrupt did not come");
}

/* ---- harts, time, SBI ------------------------------------------------------------------------ */

/* 80000 ticks: 8 ms where time counts 10 MHz. */
CODE(timer_code, "li t0, 0x20; csrw sie, t0; rdtime a0; li t1, 80000; add a0, a0, t1\n"
		 "li a7, 0x54494d45; li a6, 0; ecall\n" SLEEP "csrr s2, scause\n" DONE);

static int drive_timer(struct axarch_st_machine *machine, char *detail, size_t size)
{
	const uint64_t timer = 1ULL << 63 | 5;

	return axarch_st_verdict(axarch_st_run(machine) && axarch_st_told_last(machine, 0, timer),
				 detail, size, "it fires and ends WFI", "it never fired");
}

CODE(smp_code,
     "li a7, 0x48534d; li a6, 0; li a0, 1; lla a1, 1f; li a2, 0x77; ecall\n"
     "90: wfi; j 90b\n.balign 4; 1: lui s11, 0x10200; mv s1, a0\n" REPORT "mv s2, a1\n" DONE);

static int drive_smp(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_run(machine) && axarch_st_told(machine, 0, 1) &&
		    axarch_st_told_last(machine, 1, 0x77);

	return axarch_st_verdict(good, detail, size, "a second hart starts by the SBI's hart_start",
				 "it did not start, or without its argument");
}

CODE(off_code, "li a7, 0x53525354; li a6, 0; li a0, 0; li a1, 0; ecall\n" DONE);

static int drive_off(struct axarch_st_machine *machine, char *detail, size_t size)
{
	return axarch_st_power_off(machine, detail, size,
				   "the SBI's system_reset ends the machine");
}

/* Is the extension there, what does it answer, and what does one that is not? */
CODE(call_code, "li a7, 0x10; li a6, 3; li a0, 0x08415856; ecall; mv s1, a1\n" REPORT
		"li a7, 0x08415856; li a6, 7; li a0, 5; ecall; mv s1, a0\n" REPORT
		"mv s1, a1\n" REPORT "li a7, 0x09000000; ecall; mv s2, a0\n" DONE);

static int drive_call(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_run(machine) && axarch_st_told(machine, 0, 1) &&
		    axarch_st_told(machine, 1, RV64_SBI_SUCCESS) &&
		    axarch_st_told(machine, 2, 7 + 5) &&
		    axarch_st_told_last(machine, 3, (uint64_t)RV64_SBI_NOT_SUPPORTED);

	return axarch_st_verdict(good, detail, size, "an SBI call is answered in a0 and a1",
				 "the call was not answered");
}

CODE(spin_code, REPORT "1: j 1b");

static const struct axarch_check checks[] = {
	AXARCH_CHECK("start in S-mode", start, 1, true, drive_start),
	AXARCH_CHECK("MMIO", mmio, 1, true, axarch_st_drive_mmio),
	AXARCH_CHECK("CSR that is not there", csr, 1, true, drive_csr),
	AXARCH_CHECK("read-only memory", rom, 1, true, axarch_st_drive_rom),
	AXARCH_CHECK("unmap at run time", unmap, 1, true, axarch_st_drive_unmap),
	AXARCH_CHECK("ioeventfd", bell, 1, false, axarch_st_drive_bell),
	AXARCH_CHECK("interrupt lines", line, 1, false, drive_line),
	AXARCH_CHECK("timer", timer, 1, false, drive_timer),
	AXARCH_CHECK("second hart", smp, 2, false, drive_smp),
	AXARCH_CHECK("power off", off, 1, true, drive_off),
	AXARCH_CHECK("SBI call", call, 1, true, drive_call),
	AXARCH_CHECK("kick", spin, 1, true, axarch_st_drive_kick),
};

static int prepare(struct axarch_st_machine *machine)
{
	struct axarch_vm *vm = machine->vm;
	int ret = axvcpu_set_gpr(machine->vcpu[0], GPR_IRQCHIP, vm->irqchip, &machine->err);

	if (ret == 0 && vm->plic)
		ret = rv64_plic_device(vm->plic, RV64_PLIC_GPA, machine->check->vcpus,
				       &machine->device, &machine->err);
	return ret;
}

int rv64_selftest(const char *kvm_device,
		  void (*report)(void *ctx, const char *check, int status, const char *detail),
		  void *ctx)
{
	const struct axarch_selftest test = {
		.arch = &axarch_riscv64,
		.checks = checks,
		.check_count = AX_ARRAY_LEN(checks),
		.code_gpa = CODE_GPA,
		.extra_gpa = EXTRA_GPA,
		.report_gpa = REPORT_GPA,
		.bell_space = AXDEV_MMIO,
		.bell_addr = REPORT_GPA + 0x50,
		.bell_width = 4,
		.prepare = prepare,
	};

	return axarch_selftest_run(&test, kvm_device, report, ctx);
}
