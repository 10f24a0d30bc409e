/*
 * The payloads of the self-test and what each must have done. Integer instructions only, MMU off,
 * position-independent; loaded and observed by kvm_selftest_machine.c. They find the GIC's version
 * in x19 and report through x28.
 */
#include "kvm_selftest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

static bool run(struct st_machine *machine)
{
	return a64_st_start(machine) == 0 && a64_st_finish(machine);
}

static bool logged(const struct st_machine *machine, size_t index, enum axvcpu_exit_kind kind,
		   uint64_t addr, uint32_t width, uint64_t value)
{
	const struct st_access *access = &machine->log[index];

	return index < machine->log_count && access->kind == kind && access->addr == addr &&
	       access->width == width && access->value == value;
}

/* The payload's reports, by DONE the last one. */
static bool told(const struct st_machine *machine, size_t index, uint64_t addr, uint64_t value)
{
	return logged(machine, index, AXVCPU_EXIT_MMIO_WRITE, addr, 8, value);
}

/* ---- the start state ------------------------------------------------------------------------- */

CODE(start_code, "mrs x9, CurrentEL\n" REPORT "mrs x9, sctlr_el1; and x9, x9, #1\n" REPORT
		 "mrs x9, daif\n" REPORT "mov x9, x0\n" REPORT
		 "movz x21, #0xbeef; movk x21, #0xdead, lsl #16; movk x21, #0xbabe, lsl #32\n"
		 "movk x21, #0xcafe, lsl #48\n" DONE);

static int drive_start(struct st_machine *machine, char *detail, size_t size)
{
	const uint64_t el1 = 1 << 2, daif = 0xf << 6;
	bool good = run(machine);
	uint64_t x21 = 0;

	if (axvcpu_get_gpr(machine->vcpu[0], 21, &x21, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	good = good && told(machine, 0, ST_REPORT_GPA, el1) && told(machine, 1, ST_REPORT_GPA, 0) &&
	       told(machine, 2, ST_REPORT_GPA, daif) &&
	       told(machine, 3, ST_REPORT_GPA, A64_DTB_GPA) && x21 == 0xcafebabedeadbeefULL;
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

static int drive_mmio(struct st_machine *machine, char *detail, size_t size)
{
	const enum axvcpu_exit_kind write = AXVCPU_EXIT_MMIO_WRITE;
	const uint64_t base = ST_REPORT_GPA + 0x100;
	bool good = run(machine) && logged(machine, 0, write, base + 1, 1, 0x88) &&
		    logged(machine, 1, write, base + 2, 2, 0x7788) &&
		    logged(machine, 2, write, base + 4, 4, 0x55667788) &&
		    logged(machine, 3, write, base + 8, 8, 0x1122334455667788) &&
		    told(machine, 5, ST_REPORT_GPA, (uint16_t)ST_READ_VALUE) &&
		    told(machine, 7, ST_DONE_GPA, ST_READ_VALUE);
	return verdict(good, detail, size, "1, 2, 4 and 8 bytes", "an access is missing or wrong");
}

CODE(pair_code, "ldp x9, x10, [x28]\n" DONE);

static int drive_pair(struct st_machine *machine, char *detail, size_t size)
{
	run(machine);
	if (axkvm_check(machine->vm->kvm, KVM_CAP_ARM_NISV_TO_USER) <= 0) {
		snprintf(detail, size, "this KVM does not tell; the vCPU fails without an address");
		return AXARCH_SELFTEST_SKIP;
	}
	bool good = machine->ended && machine->end.kind == AXVCPU_EXIT_NESTED_PAGE_FAULT &&
		    machine->end.fault.gpa == ST_REPORT_GPA &&
		    machine->end.fault.access == AXAS_READ;
	return verdict(good, detail, size, "told with its address", "not told");
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int map_extra(struct st_machine *machine, uint32_t flags)
{
	const struct axas_region_config region = {.name = "extra",
						  .gpa = ST_EXTRA_GPA,
						  .size_bytes = 0x10000,
						  .flags = flags,
						  .fd = -1};
	return axas_map(machine->memory, &region, &machine->err);
}

CODE(rom_code, "movz x10, #0x6000, lsl #16; mov w9, #77; str w9, [x10]; ldr w21, [x10]\n" DONE);

static int drive_rom(struct st_machine *machine, char *detail, size_t size)
{
	if (map_extra(machine, AXAS_READ) < 0)
		return host_error(detail, size, &machine->err);
	bool good = run(machine) &&
		    logged(machine, 0, AXVCPU_EXIT_MMIO_WRITE, ST_EXTRA_GPA, 4, 77) &&
		    told(machine, 1, ST_DONE_GPA, 0);
	return verdict(good, detail, size, "a write is reported and changes nothing",
		       "a write went through, or was not reported");
}

CODE(unmap_code, "movz x10, #0x6000, lsl #16\n" REPORT "1: ldr x9, [x10]; cbz x9, 1b\n" DONE);

static int drive_unmap(struct st_machine *machine, char *detail, size_t size)
{
	if (map_extra(machine, AXAS_RW) < 0 || a64_st_start(machine) < 0 ||
	    !a64_st_await(machine, 1) ||
	    axas_unmap(machine->memory, ST_EXTRA_GPA, 0x10000, &machine->err) < 0) {
		a64_st_finish(machine);
		return host_error(detail, size, &machine->err);
	}
	return verdict(a64_st_finish(machine), detail, size, "memory taken from a running guest",
		       "the guest still reads it");
}

/* ---- around exits: eventfds ------------------------------------------------------------------ */

CODE(bell_code, "mov w9, #5; str w9, [x28, #0x50]; str w9, [x28, #0x50]\n" DONE);

static int drive_bell(struct st_machine *machine, char *detail, size_t size)
{
	AX_AUTO_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct axdev_doorbell bell = {.space = AXDEV_MMIO,
				      .addr = ST_REPORT_GPA + 0x50,
				      .width = 4,
				      .has_match = true,
				      .match = 5,
				      .event_fd = fd};
	uint64_t count = 0;

	if (axarch_aarch64.assign_doorbell(machine->vm, &bell, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	bool good = run(machine) && machine->log_count == 1 &&
		    read(fd, &count, sizeof(count)) == sizeof(count) && count == 2;
	axarch_aarch64.release_doorbell(machine->vm, &bell);
	return verdict(good, detail, size, "a doorbell rings without an exit",
		       "the doorbell did not ring, or left the guest");
}

CODE(irq_code, WITH_IRQ REPORT WAIT_COUNT "mov x21, x20\n" DONE);

static int drive_irqfd(struct st_machine *machine, char *detail, size_t size)
{
	AX_AUTO_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const uint64_t one = 1;
	struct axirq_chip chip;
	char pass[80];

	axarch_aarch64.vm_irq_chip(machine->vm, &chip);
	if (chip.assign_fd(chip.ctx, 8, fd, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	bool good = a64_st_start(machine) == 0 && a64_st_await(machine, 1) &&
		    write(fd, &one, sizeof(one)) == sizeof(one);
	good = a64_st_finish(machine) && good;
	chip.release_fd(chip.ctx, 8, fd);
	snprintf(pass, sizeof(pass), "an eventfd reaches the guest's handler through a GICv%u",
		 machine->vm->gic_version);
	return verdict(good, detail, size, pass, "the interrupt did not come");
}

static int drive_wake(struct st_machine *machine, char *detail, size_t size)
{
	const struct axvcpu_irq irq = {.vector = 40};
	bool good = a64_st_start(machine) == 0 && a64_st_await(machine, 1);

	/* Where KVM tells, wait until it really sleeps. */
	for (unsigned i = 0; good && i < 1000 && axvcpu_state(machine->vcpu[0]) != AXVCPU_BLOCKED;
	     i++)
		usleep(100);
	good = good && axvcpu_inject(machine->vcpu[0], &irq, &machine->err) == 0;
	good = a64_st_finish(machine) && good;
	return verdict(good, detail, size, "an injected interrupt ends WFI", "it slept on");
}

/* ---- processors and time --------------------------------------------------------------------- */

/* Some 8 ms. */
CODE(timer_code,
     WITH_IRQ "mrs x9, cntvct_el0; mrs x10, cntfrq_el0; add x9, x9, x10, lsr #7\n"
	      "msr cntv_cval_el0, x9; mov x9, #1; msr cntv_ctl_el0, x9; isb\n" WAIT_COUNT
	      "mov x21, x20\n" DONE);

static int drive_timer(struct st_machine *machine, char *detail, size_t size)
{
	return verdict(run(machine), detail, size, "it fires through the GIC and ends WFI",
		       "it never fired");
}

CODE(smp_code, "movz x0, #3; movk x0, #0xc400, lsl #16; mov x1, #1; adr x2, 1f; mov x3, #0x77\n"
	       "hvc #0; mov x9, x0\n" REPORT "90: wfi; b 90b\n"
	       "1: movz x28, #0x0b00, lsl #16; mov x21, x0\n" DONE);

static int drive_smp(struct st_machine *machine, char *detail, size_t size)
{
	bool good = run(machine), found = false;

	for (size_t i = 0; i < machine->log_count; i++)
		found = found || told(machine, i, ST_DONE_GPA, 0x77);
	return verdict(good && found, detail, size, "a second processor starts by PSCI CPU_ON",
		       "it did not start, or without its argument");
}

CODE(off_code, "movz x0, #8; movk x0, #0x8400, lsl #16; hvc #0\n" DONE);

static int drive_off(struct st_machine *machine, char *detail, size_t size)
{
	run(machine);
	bool good = machine->ended && machine->end.kind == AXVCPU_EXIT_SYSTEM_DOWN &&
		    machine->end.system.event == AXVCPU_SYSTEM_POWEROFF;
	return verdict(good, detail, size, "PSCI SYSTEM_OFF ends the machine", "it went on");
}

CODE(call_code, "movz x0, #0x107; movk x0, #0xc600, lsl #16; mov x1, #5; hvc #0\n"
		"mov x21, x0\n" DONE);

static int drive_call(struct st_machine *machine, char *detail, size_t size)
{
	bool good = run(machine);

	if (!machine->vm->forwards_calls) {
		snprintf(detail, size, "this KVM has no SMCCC filter; the doorbell serves");
		return AXARCH_SELFTEST_SKIP;
	}
	return verdict(good && told(machine, 0, ST_DONE_GPA, 7 + 5), detail, size,
		       "HVC is answered in X0", "the call was not answered");
}

CODE(spin_code, REPORT "1: b 1b");

static int drive_kick(struct st_machine *machine, char *detail, size_t size)
{
	if (a64_st_start(machine) < 0 || !a64_st_await(machine, 1)) {
		a64_st_finish(machine);
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

#define CHECK(title, name, cpus, no_gic, function)                          \
	{                                                                   \
		title, name##_code, name##_code_end, cpus, no_gic, function \
	}
const struct st_check a64_selftest_checks[] = {
	CHECK("start at EL1", start, 1, true, drive_start),
	CHECK("MMIO", mmio, 1, true, drive_mmio),
	CHECK("access that is not decoded", pair, 1, true, drive_pair),
	CHECK("read-only memory", rom, 1, true, drive_rom),
	CHECK("unmap at run time", unmap, 1, true, drive_unmap),
	CHECK("ioeventfd", bell, 1, false, drive_bell),
	CHECK("irqfd", irq, 1, false, drive_irqfd),
	CHECK("WFI and wake-up", irq, 1, false, drive_wake),
	CHECK("virtual timer", timer, 1, false, drive_timer),
	CHECK("second processor", smp, 2, false, drive_smp),
	CHECK("power off", off, 1, true, drive_off),
	CHECK("hypercall by HVC", call, 1, true, drive_call),
	CHECK("kick", spin, 1, true, drive_kick),
};
const size_t a64_selftest_check_count = AX_ARRAY_LEN(a64_selftest_checks);
