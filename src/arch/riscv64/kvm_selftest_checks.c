/*
 * The payloads of the self-test and what each must have done. Integer instructions only, nothing
 * translated, position-independent; loaded and observed by kvm_selftest_machine.c. They find which
 * interrupt controller there is in s3 (enum rv64_irqchip) and report through s11.
 */
#include "kvm_selftest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

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
	return rv64_st_start(machine) == 0 && rv64_st_finish(machine);
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

CODE(start_code, "csrr s1, satp\n" REPORT "csrr s1, sstatus; andi s1, s1, 2\n" REPORT
		 "mv s1, a0\n" REPORT "mv s1, a1\n" REPORT "li s2, 0xcafebabedeadbeef\n" DONE);

static int drive_start(struct st_machine *machine, char *detail, size_t size)
{
	const uint64_t dtb = rv64_dtb_gpa(&machine->vm->plan);
	bool good = run(machine);
	uint64_t s2 = 0;

	if (axvcpu_get_gpr(machine->vcpu[0], 18, &s2, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	good = good && told(machine, 0, ST_REPORT_GPA, 0) && told(machine, 1, ST_REPORT_GPA, 0) &&
	       told(machine, 2, ST_REPORT_GPA, 0) && told(machine, 3, ST_REPORT_GPA, dtb) &&
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

/* stopei: with the AIA, but without an IMSIC, KVM asks us; without the AIA it refuses itself. */
CODE(csr_code, "lla t0, 1f; csrw stvec, t0; csrr s1, 0x15c\n" DONE
	       ".balign 4; 1: csrr s1, scause\n" REPORT "csrr s2, sepc; lw s2, 0(s2)\n" DONE);

static int drive_csr(struct st_machine *machine, char *detail, size_t size)
{
	const uint64_t csrr_s1_stopei = 0x15c024f3;
	bool good = run(machine) && told(machine, 0, ST_REPORT_GPA, 2) &&
		    told(machine, 1, ST_DONE_GPA, csrr_s1_stopei);

	return verdict(good, detail, size, "a CSR that is not there is an illegal instruction",
		       "it did not trap, or elsewhere");
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

CODE(rom_code, "li t1, 0xa0000000; li s1, 77; sw s1, 0(t1); lw s2, 0(t1)\n" DONE);

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

CODE(unmap_code, "li t1, 0xa0000000\n" REPORT "1: ld s1, 0(t1); beqz s1, 1b\n" DONE);

static int drive_unmap(struct st_machine *machine, char *detail, size_t size)
{
	if (map_extra(machine, AXAS_RW) < 0 || rv64_st_start(machine) < 0 ||
	    !rv64_st_await(machine, 1) ||
	    axas_unmap(machine->memory, ST_EXTRA_GPA, 0x10000, &machine->err) < 0) {
		rv64_st_finish(machine);
		return host_error(detail, size, &machine->err);
	}
	return verdict(rv64_st_finish(machine), detail, size, "memory taken from a running guest",
		       "the guest still reads it");
}

/* ---- around exits ---------------------------------------------------------------------------- */

CODE(bell_code, "li s1, 5; sw s1, 0x50(s11); sw s1, 0x50(s11)\n" DONE);

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

	if (axarch_riscv64.assign_doorbell(machine->vm, &bell, &machine->err) < 0)
		return host_error(detail, size, &machine->err);
	bool good = run(machine) && machine->log_count == 1 &&
		    read(fd, &count, sizeof(count)) == sizeof(count) && count == 2;
	axarch_riscv64.release_doorbell(machine->vm, &bell);
	return verdict(good, detail, size, "a doorbell rings without an exit",
		       "the doorbell did not ring, or left the guest");
}

/* Two edges: the second shows that the first was taken down again. */
CODE(line_code, WITH_LINE REPORT TAKE_LINE REPORT TAKE_LINE "mv s2, s1\n" DONE);

static bool pulse(struct st_machine *machine)
{
	struct axirq_chip chip;

	axarch_riscv64.vm_irq_chip(machine->vm, &chip);
	/* Where KVM tells, wait until it really sleeps. */
	for (unsigned i = 0; i < 1000 && axvcpu_state(machine->vcpu[0]) != AXVCPU_BLOCKED; i++)
		usleep(100);
	return chip.set_level(chip.ctx, 8, true) == 0 && chip.set_level(chip.ctx, 8, false) == 0;
}

static int drive_line(struct st_machine *machine, char *detail, size_t size)
{
	bool good = rv64_st_start(machine) == 0 && rv64_st_await(machine, 1) && pulse(machine) &&
		    rv64_st_await(machine, 2) && pulse(machine);

	good = rv64_st_finish(machine) && good && told(machine, 1, ST_REPORT_GPA, 8) &&
	       told(machine, 2, ST_DONE_GPA, 8);
	return verdict(good, detail, size,
		       machine->vm->irqchip == RV64_IRQCHIP_AIA
			       ? "edges end WFI, through KVM's APLIC and IMSIC"
			       : "edges end WFI, through the PLIC",
		       "an interrupt did not come");
}

/* ---- harts, time, SBI ------------------------------------------------------------------------ */

/* 80000 ticks: 8 ms where time counts 10 MHz. */
CODE(timer_code, "li t0, 0x20; csrw sie, t0; rdtime a0; li t1, 80000; add a0, a0, t1\n"
		 "li a7, 0x54494d45; li a6, 0; ecall\n" SLEEP "csrr s2, scause\n" DONE);

static int drive_timer(struct st_machine *machine, char *detail, size_t size)
{
	const uint64_t timer = 1ULL << 63 | 5;

	return verdict(run(machine) && told(machine, 0, ST_DONE_GPA, timer), detail, size,
		       "it fires and ends WFI", "it never fired");
}

CODE(smp_code,
     "li a7, 0x48534d; li a6, 0; li a0, 1; lla a1, 1f; li a2, 0x77; ecall\n"
     "90: wfi; j 90b\n.balign 4; 1: lui s11, 0x10200; mv s1, a0\n" REPORT "mv s2, a1\n" DONE);

static int drive_smp(struct st_machine *machine, char *detail, size_t size)
{
	bool good = run(machine) && told(machine, 0, ST_REPORT_GPA, 1) &&
		    told(machine, 1, ST_DONE_GPA, 0x77);

	return verdict(good, detail, size, "a second hart starts by the SBI's hart_start",
		       "it did not start, or without its argument");
}

CODE(off_code, "li a7, 0x53525354; li a6, 0; li a0, 0; li a1, 0; ecall\n" DONE);

static int drive_off(struct st_machine *machine, char *detail, size_t size)
{
	run(machine);
	bool good = machine->ended && machine->end.kind == AXVCPU_EXIT_SYSTEM_DOWN &&
		    machine->end.system.event == AXVCPU_SYSTEM_POWEROFF;
	return verdict(good, detail, size, "the SBI's system_reset ends the machine", "it went on");
}

/* Is the extension there, what does it answer, and what does one that is not? */
CODE(call_code, "li a7, 0x10; li a6, 3; li a0, 0x08415856; ecall; mv s1, a1\n" REPORT
		"li a7, 0x08415856; li a6, 7; li a0, 5; ecall; mv s1, a0\n" REPORT
		"mv s1, a1\n" REPORT "li a7, 0x09000000; ecall; mv s2, a0\n" DONE);

static int drive_call(struct st_machine *machine, char *detail, size_t size)
{
	bool good = run(machine) && told(machine, 0, ST_REPORT_GPA, 1) &&
		    told(machine, 1, ST_REPORT_GPA, RV64_SBI_SUCCESS) &&
		    told(machine, 2, ST_REPORT_GPA, 7 + 5) &&
		    told(machine, 3, ST_DONE_GPA, (uint64_t)RV64_SBI_NOT_SUPPORTED);

	return verdict(good, detail, size, "an SBI call is answered in a0 and a1",
		       "the call was not answered");
}

CODE(spin_code, REPORT "1: j 1b");

static int drive_kick(struct st_machine *machine, char *detail, size_t size)
{
	if (rv64_st_start(machine) < 0 || !rv64_st_await(machine, 1)) {
		rv64_st_finish(machine);
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

#define CHECK(title, name, cpus, no_irqchip, function)                          \
	{                                                                       \
		title, name##_code, name##_code_end, cpus, no_irqchip, function \
	}
const struct st_check rv64_selftest_checks[] = {
	CHECK("start in S-mode", start, 1, true, drive_start),
	CHECK("MMIO", mmio, 1, true, drive_mmio),
	CHECK("CSR that is not there", csr, 1, true, drive_csr),
	CHECK("read-only memory", rom, 1, true, drive_rom),
	CHECK("unmap at run time", unmap, 1, true, drive_unmap),
	CHECK("ioeventfd", bell, 1, false, drive_bell),
	CHECK("interrupt lines", line, 1, false, drive_line),
	CHECK("timer", timer, 1, false, drive_timer),
	CHECK("second hart", smp, 2, false, drive_smp),
	CHECK("power off", off, 1, true, drive_off),
	CHECK("SBI call", call, 1, true, drive_call),
	CHECK("kick", spin, 1, true, drive_kick),
};
const size_t rv64_selftest_check_count = AX_ARRAY_LEN(rv64_selftest_checks);
