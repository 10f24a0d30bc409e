/*
 * The payloads of the self-test and what each must have done. Integer instructions only, MMU off,
 * position-independent; the machine they run in is src/arch/selftest_machine.c. They find the GIC's
 * version in x19 and report through x28.
 */
#include "kvm_aarch64.h"

#include "../selftest.h"

#include <inttypes.h>
#include <stdio.h>

#define CODE_GPA   0x40400000ULL
#define EXTRA_GPA  0x60000000ULL
#define REPORT_GPA 0x0b000000ULL
#define GPR_GIC    19
#define SPI        8

#define CODE(name, text)                                                                   \
	extern const char name[], name##_end[];                                            \
	__asm__(".pushsection .rodata\n\t.balign 2048\n" #name ":\n" BEGIN text "\n" #name \
		"_end:\n\t.popsection\n")

#define BEGIN  "movz x28, #0x0b00, lsl #16\n"
#define REPORT "str x9, [x28]\n"
#define DONE   "str x21, [x28, #8]\n90: wfi; b 90b\n"
/* Vectors at the next 2 KiB: an interrupt is acknowledged, the timer switched off, x20 counted up.
 * Then the GIC, with the virtual timer (PPI 27) and SPI 8 (INTID 40, an edge) enabled. */
#define WITH_IRQ                                                                       \
	"b 32f; .balign 2048\n31: .skip 0x280\n"                                       \
	"cmp x19, #2; b.eq 33f\n"                                                      \
	"mrs x9, S3_0_C12_C12_0; msr cntv_ctl_el0, xzr; isb\n"                         \
	"msr S3_0_C12_C12_1, x9; b 34f\n"                                              \
	"33: ldr w9, [x27, #12]; msr cntv_ctl_el0, xzr; isb; str w9, [x27, #16]\n"     \
	"34: add x20, x20, #1; eret\n"                                                 \
	"32: adr x9, 31b; msr vbar_el1, x9; mov x20, #0; movz x26, #0x0800, lsl #16\n" \
	"movz x27, #0x0801, lsl #16; movz w9, #0x0800, lsl #16\n"                      \
	"mov w10, #0x100; str w10, [x26, #0x104]\n"                                    \
	"mov w10, #0x20000; str w10, [x26, #0xc08]\n"                                  \
	"cmp x19, #2; b.eq 35f\n"                                                      \
	"movz x12, #0x1001, lsl #16; str w9, [x12, #0x100]\n"                          \
	"mov w13, #2; str w13, [x26]; mov x13, #1; msr S3_0_C12_C12_5, x13; isb\n"     \
	"mov x13, #0xff; msr S3_0_C4_C6_0, x13\n"                                      \
	"mov x13, #1; msr S3_0_C12_C12_7, x13; b 36f\n"                                \
	"35: str w9, [x26, #0x100]; mov w13, #1; strb w13, [x26, #0x828]\n"            \
	"str w13, [x26]; str w13, [x27]; mov w13, #0xff; str w13, [x27, #4]\n"         \
	"36: isb\n"
#define WAIT_COUNT "41: msr daifclr, #2; isb; msr daifset, #2; cbnz x20, 42f; wfi; b 41b\n42:\n"

/* ---- the start state ------------------------------------------------------------------------- */

CODE(start_code, "mrs x9, CurrentEL\n" REPORT "mrs x9, sctlr_el1; and x9, x9, #1\n" REPORT
		 "mrs x9, daif\n" REPORT "mov x9, x0\n" REPORT
		 "movz x21, #0xbeef; movk x21, #0xdead, lsl #16; movk x21, #0xbabe, lsl #32\n"
		 "movk x21, #0xcafe, lsl #48\n" DONE);

static int drive_start(struct axarch_st_machine *machine, char *detail, size_t size)
{
	const uint64_t el1 = 1 << 2, daif = 0xf << 6;
	bool good = axarch_st_run(machine);
	uint64_t x21 = 0;

	if (axvcpu_get_gpr(machine->vcpu[0], 21, &x21, &machine->err) < 0)
		return axarch_st_host_error(machine, detail, size);
	good = good && axarch_st_told(machine, 0, el1) && axarch_st_told(machine, 1, 0) &&
	       axarch_st_told(machine, 2, daif) && axarch_st_told(machine, 3, A64_DTB_GPA) &&
	       x21 == 0xcafebabedeadbeefULL;
	if (good)
		snprintf(detail, size, "EL1 AArch64 confirmed, MMU off, X21 = 0x%" PRIX64, x21);
	else
		snprintf(detail, size, "not at EL1 with the MMU off, or X21 is 0x%" PRIx64, x21);
	return good ? AXARCH_SELFTEST_PASS : AXARCH_SELFTEST_FAIL;
}

/* ---- accesses that leave the guest ----------------------------------------------------------- */

CODE(mmio_code, "movz x9, #0x7788; movk x9, #0x5566, lsl #16; movk x9, #0x3344, lsl #32\n"
		"movk x9, #0x1122, lsl #48; add x10, x28, #0x100\n"
		"strb w9, [x10, #1]; strh w9, [x10, #2]; str w9, [x10, #4]; str x9, [x10, #8]\n"
		"ldrsh x9, [x10, #2]\n" REPORT "ldr x21, [x10, #8]\n" DONE);

CODE(pair_code, "ldp x9, x10, [x28]\n" DONE);

static int drive_pair(struct axarch_st_machine *machine, char *detail, size_t size)
{
	axarch_st_run(machine);
	if (axkvm_check(machine->vm->kvm, KVM_CAP_ARM_NISV_TO_USER) <= 0) {
		snprintf(detail, size, "this KVM does not tell; the vCPU fails without an address");
		return AXARCH_SELFTEST_SKIP;
	}
	bool good = machine->ended && machine->end.kind == AXVCPU_EXIT_NESTED_PAGE_FAULT &&
		    machine->end.fault.gpa == REPORT_GPA && machine->end.fault.access == AXAS_READ;
	return axarch_st_verdict(good, detail, size, "told with its address", "not told");
}

/* ---- memory ---------------------------------------------------------------------------------- */

CODE(rom_code, "movz x10, #0x6000, lsl #16; mov w9, #77; str w9, [x10]; ldr w21, [x10]\n" DONE);

CODE(unmap_code, "movz x10, #0x6000, lsl #16\n" REPORT "1: ldr x9, [x10]; cbz x9, 1b\n" DONE);

/* ---- around exits: eventfds ------------------------------------------------------------------ */

CODE(bell_code, "mov w9, #5; str w9, [x28, #0x50]; str w9, [x28, #0x50]\n" DONE);

CODE(irq_code, WITH_IRQ REPORT WAIT_COUNT "mov x21, x20\n" DONE);

static int drive_irqfd(struct axarch_st_machine *machine, char *detail, size_t size)
{
	char pass[80];

	snprintf(pass, sizeof(pass), "an eventfd reaches the guest's handler through a GICv%u",
		 machine->vm->gic_version);
	return axarch_st_irqfd(machine, SPI, detail, size, pass);
}

static int drive_wake(struct axarch_st_machine *machine, char *detail, size_t size)
{
	return axarch_st_wake(machine, A64_SPI_FIRST_INTID + SPI, detail, size,
			      "an injected interrupt ends WFI");
}

/* ---- processors and time --------------------------------------------------------------------- */

/* Some 8 ms. */
CODE(timer_code,
     WITH_IRQ "mrs x9, cntvct_el0; mrs x10, cntfrq_el0; add x9, x9, x10, lsr #7\n"
	      "msr cntv_cval_el0, x9; mov x9, #1; msr cntv_ctl_el0, x9; isb\n" WAIT_COUNT
	      "mov x21, x20\n" DONE);

static int drive_timer(struct axarch_st_machine *machine, char *detail, size_t size)
{
	return axarch_st_verdict(axarch_st_run(machine), detail, size,
				 "it fires through the GIC and ends WFI", "it never fired");
}

CODE(smp_code, "movz x0, #3; movk x0, #0xc400, lsl #16; mov x1, #1; adr x2, 1f; mov x3, #0x77\n"
	       "hvc #0; mov x9, x0\n" REPORT "90: wfi; b 90b\n"
	       "1: movz x28, #0x0b00, lsl #16; mov x21, x0\n" DONE);

static int drive_smp(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_run(machine), found = false;

	for (size_t i = 0; i < machine->log_count; i++)
		found = found || axarch_st_told_last(machine, i, 0x77);
	return axarch_st_verdict(good && found, detail, size,
				 "a second processor starts by PSCI CPU_ON",
				 "it did not start, or without its argument");
}

CODE(off_code, "movz x0, #8; movk x0, #0x8400, lsl #16; hvc #0\n" DONE);

static int drive_off(struct axarch_st_machine *machine, char *detail, size_t size)
{
	return axarch_st_power_off(machine, detail, size, "PSCI SYSTEM_OFF ends the machine");
}

CODE(call_code, "movz x0, #0x107; movk x0, #0xc600, lsl #16; mov x1, #5; hvc #0\n"
		"mov x21, x0\n" DONE);

static int drive_call(struct axarch_st_machine *machine, char *detail, size_t size)
{
	bool good = axarch_st_run(machine);

	if (!machine->vm->forwards_calls) {
		snprintf(detail, size, "this KVM has no SMCCC filter; the doorbell serves");
		return AXARCH_SELFTEST_SKIP;
	}
	return axarch_st_verdict(good && axarch_st_told_last(machine, 0, 7 + 5), detail, size,
				 "HVC is answered in X0", "the call was not answered");
}

CODE(spin_code, REPORT "1: b 1b");

static const struct axarch_check checks[] = {
	AXARCH_CHECK("start at EL1", start, 1, true, drive_start),
	AXARCH_CHECK("MMIO", mmio, 1, true, axarch_st_drive_mmio),
	AXARCH_CHECK("access that is not decoded", pair, 1, true, drive_pair),
	AXARCH_CHECK("read-only memory", rom, 1, true, axarch_st_drive_rom),
	AXARCH_CHECK("unmap at run time", unmap, 1, true, axarch_st_drive_unmap),
	AXARCH_CHECK("ioeventfd", bell, 1, false, axarch_st_drive_bell),
	AXARCH_CHECK("irqfd", irq, 1, false, drive_irqfd),
	AXARCH_CHECK("WFI and wake-up", irq, 1, false, drive_wake),
	AXARCH_CHECK("virtual timer", timer, 1, false, drive_timer),
	AXARCH_CHECK("second processor", smp, 2, false, drive_smp),
	AXARCH_CHECK("power off", off, 1, true, drive_off),
	AXARCH_CHECK("hypercall by HVC", call, 1, true, drive_call),
	AXARCH_CHECK("kick", spin, 1, true, axarch_st_drive_kick),
};

static int prepare(struct axarch_st_machine *machine)
{
	return axvcpu_set_gpr(machine->vcpu[0], GPR_GIC, machine->vm->gic_version, &machine->err);
}

int a64_selftest(const char *kvm_device,
		 void (*report)(void *ctx, const char *check, int status, const char *detail),
		 void *ctx)
{
	const struct axarch_selftest test = {
		.arch = &axarch_aarch64,
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
