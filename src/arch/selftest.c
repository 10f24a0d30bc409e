/*
 * The self-test: proves that this host's KVM does what a boot needs, one payload for each thing,
 * and tells what it found. Here are the order and the checks that all architectures have; their
 * machine is selftest_machine.c's, payloads and other checks are the architectures'.
 */
#include "selftest.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EXTRA_BYTES 0x10000

/* ---- running the checks ---------------------------------------------------------------------- */

static int run_check(const struct axarch_selftest *test, const struct axarch_check *check,
		     const char *kvm_device, char *detail, size_t size)
{
	struct axarch_st_machine machine;
	int status = AXARCH_SELFTEST_FAIL;

	detail[0] = '\0';
	if (!check->code)
		return check->drive(NULL, detail, size);
	if (axarch_st_create(test, check, kvm_device, &machine) < 0)
		snprintf(detail, size, "%s", machine.err.message);
	else
		status = check->drive(&machine, detail, size);
	if (status == AXARCH_SELFTEST_FAIL && machine.ended)
		snprintf(detail, size, "the guest ended with %s (reason 0x%llx) %s",
			 axvcpu_exit_name(machine.end.kind),
			 (unsigned long long)machine.end.failure.reason, machine.err.message);
	axarch_st_destroy(&machine);
	return status;
}

int axarch_selftest_run(const struct axarch_selftest *test, const char *kvm_device,
			void (*report)(void *ctx, const char *check, int status,
				       const char *detail),
			void *ctx)
{
	struct ax_error err = {0};
	char detail[640];
	int failed = 0;

	if (test->arch->probe(kvm_device, &err) < 0) {
		snprintf(detail, sizeof(detail), "%s", err.message);
		report(ctx, "KVM", AXARCH_SELFTEST_FAIL, detail);
		return 1;
	}
	report(ctx, "KVM", AXARCH_SELFTEST_PASS, "API version 12, every required capability");
	for (size_t i = 0; i < test->check_count; i++) {
		const struct axarch_check *check = &test->checks[i];
		int status = run_check(test, check, kvm_device, detail, sizeof(detail));

		failed += status == AXARCH_SELFTEST_FAIL;
		report(ctx, check->name, status, detail);
	}
	return failed;
}

int axarch_st_verdict(bool good, char *detail, size_t size, const char *pass, const char *fail)
{
	snprintf(detail, size, "%s", good ? pass : fail);
	return good ? AXARCH_SELFTEST_PASS : AXARCH_SELFTEST_FAIL;
}

int axarch_st_host_error(const struct axarch_st_machine *machine, char *detail, size_t size)
{
	snprintf(detail, size, "%s", machine->err.message);
	return AXARCH_SELFTEST_FAIL;
}

bool axarch_st_logged(const struct axarch_st_machine *machine, size_t index,
		      enum axvcpu_exit_kind kind, uint64_t addr, uint32_t width, uint64_t value)
{
	const struct axarch_st_access *access = &machine->log[index];

	return index < machine->log_count && access->kind == kind && access->addr == addr &&
	       access->width == width && access->value == value;
}

bool axarch_st_told(const struct axarch_st_machine *machine, size_t index, uint64_t value)
{
	return axarch_st_logged(machine, index, AXVCPU_EXIT_MMIO_WRITE, machine->test->report_gpa,
				8, value);
}

bool axarch_st_told_last(const struct axarch_st_machine *machine, size_t index, uint64_t value)
{
	return axarch_st_logged(machine, index, AXVCPU_EXIT_MMIO_WRITE,
				machine->test->report_gpa + 8, 8, value);
}

/* ---- accesses and memory --------------------------------------------------------------------- */

int axarch_st_drive_mmio(struct axarch_st_machine *machine, char *detail, size_t size)
{
	const enum axvcpu_exit_kind write = AXVCPU_EXIT_MMIO_WRITE;
	const uint64_t base = machine->test->report_gpa + 0x100;
	bool good = axarch_st_run(machine) &&
		    axarch_st_logged(machine, 0, write, base + 1, 1, 0x88) &&
		    axarch_st_logged(machine, 1, write, base + 2, 2, 0x7788) &&
		    axarch_st_logged(machine, 2, write, base + 4, 4, 0x55667788) &&
		    axarch_st_logged(machine, 3, write, base + 8, 8, 0x1122334455667788) &&
		    axarch_st_told(machine, 5, (uint16_t)AXARCH_ST_READ_VALUE) &&
		    axarch_st_told_last(machine, 7, AXARCH_ST_READ_VALUE);

	return axarch_st_verdict(good, detail, size, "1, 2, 4 and 8 bytes",
				 "an access is missing or wrong");
}

static int map_extra(struct axarch_st_machine *machine, uint32_t flags)
{
	const struct axas_region_config region = {.name = "extra",
						  .gpa = machine->test->extra_gpa,
						  .size_bytes = EXTRA_BYTES,
						  .flags = flags,
						  .fd = -1};
	return axas_map(machine->memory, &region, &machine->err);
}

int axarch_st_drive_rom(struct axarch_st_machine *machine, char *detail, size_t size)
{
	if (map_extra(machine, AXAS_READ) < 0)
		return axarch_st_host_error(machine, detail, size);
	bool good = axarch_st_run(machine) &&
		    axarch_st_logged(machine, 0, AXVCPU_EXIT_MMIO_WRITE, machine->test->extra_gpa,
				     4, 77) &&
		    axarch_st_told_last(machine, 1, 0);
	return axarch_st_verdict(good, detail, size, "a write is reported and changes nothing",
				 "a write went through, or was not reported");
}

int axarch_st_drive_unmap(struct axarch_st_machine *machine, char *detail, size_t size)
{
	if (map_extra(machine, AXAS_RW) < 0 || axarch_st_start(machine) < 0 ||
	    !axarch_st_await(machine, 1) ||
	    axas_unmap(machine->memory, machine->test->extra_gpa, EXTRA_BYTES, &machine->err) < 0) {
		axarch_st_finish(machine);
		return axarch_st_host_error(machine, detail, size);
	}
	return axarch_st_verdict(axarch_st_finish(machine), detail, size,
				 "memory taken from a running guest", "the guest still reads it");
}

/* ---- around exits: eventfds and interrupts --------------------------------------------------- */

int axarch_st_drive_bell(struct axarch_st_machine *machine, char *detail, size_t size)
{
	const struct axarch_selftest *test = machine->test;
	AX_AUTO_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const struct axdev_doorbell bell = {.space = test->bell_space,
					    .addr = test->bell_addr,
					    .width = test->bell_width,
					    .has_match = true,
					    .match = AXARCH_ST_BELL,
					    .event_fd = fd};
	uint64_t count = 0;

	if (test->arch->assign_doorbell(machine->vm, &bell, &machine->err) < 0)
		return axarch_st_host_error(machine, detail, size);
	bool good = axarch_st_run(machine) && machine->log_count == 1 &&
		    read(fd, &count, sizeof(count)) == sizeof(count) && count == 2;
	test->arch->release_doorbell(machine->vm, &bell);
	return axarch_st_verdict(good, detail, size, "a doorbell rings without an exit",
				 "the doorbell did not ring, or left the guest");
}

int axarch_st_irqfd(struct axarch_st_machine *machine, uint32_t gsi, char *detail, size_t size,
		    const char *pass)
{
	AX_AUTO_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const uint64_t one = 1;
	struct axirq_chip chip;

	machine->test->arch->vm_irq_chip(machine->vm, &chip);
	if (chip.assign_fd(chip.ctx, gsi, fd, &machine->err) < 0)
		return axarch_st_host_error(machine, detail, size);
	bool good = axarch_st_start(machine) == 0 && axarch_st_await(machine, 1) &&
		    write(fd, &one, sizeof(one)) == sizeof(one);
	good = axarch_st_finish(machine) && good;
	chip.release_fd(chip.ctx, gsi, fd);
	return axarch_st_verdict(good, detail, size, pass, "the interrupt did not come");
}

int axarch_st_wake(struct axarch_st_machine *machine, uint32_t vector, char *detail, size_t size,
		   const char *pass)
{
	const struct axvcpu_irq irq = {.vector = vector};
	bool good = axarch_st_start(machine) == 0 && axarch_st_await(machine, 1);

	if (good)
		axarch_st_await_sleep(machine);
	good = good && axvcpu_inject(machine->vcpu[0], &irq, &machine->err) == 0;
	good = axarch_st_finish(machine) && good;
	return axarch_st_verdict(good, detail, size, pass, "it slept on");
}

int axarch_st_power_off(struct axarch_st_machine *machine, char *detail, size_t size,
			const char *pass)
{
	axarch_st_run(machine);
	bool good = machine->ended && machine->end.kind == AXVCPU_EXIT_SYSTEM_DOWN &&
		    machine->end.system.event == AXVCPU_SYSTEM_POWEROFF;
	return axarch_st_verdict(good, detail, size, pass, "it went on");
}

int axarch_st_drive_kick(struct axarch_st_machine *machine, char *detail, size_t size)
{
	if (axarch_st_start(machine) < 0 || !axarch_st_await(machine, 1)) {
		axarch_st_finish(machine);
		return axarch_st_host_error(machine, detail, size);
	}
	uint64_t begin = ax_clock_ns();
	if (axvcpu_pause(machine->vcpu[0], &machine->err) < 0)
		return axarch_st_host_error(machine, detail, size);
	uint64_t took_us = (ax_clock_ns() - begin) / 1000;
	axvcpu_request_stop(machine->vcpu[0]);
	axvcpu_join(machine->vcpu[0]);
	snprintf(detail, size, "a spinning guest stood still after %" PRIu64 " us", took_us);
	return took_us < 1000000 ? AXARCH_SELFTEST_PASS : AXARCH_SELFTEST_FAIL;
}
