/*
 * The exit router: what a vCPU's exit becomes. Accesses go to the bus, the end of the machine to
 * stop.c; an exit nobody knows stops the VM with a fault and is never passed over in silence.
 * Runs on the vCPU's thread and takes no lock.
 */
#include "vm_private.h"

#include <errno.h>
#include <string.h>

/* Ports and MMIO: `count` items of `width` bytes at data, each one access of the bus. */
static int access_items(struct axvm *vm, enum axdev_space space, uint64_t addr, uint8_t width,
			uint32_t count, bool is_write, void *data)
{
	uint8_t *at = data;

	for (uint32_t i = 0; i < count; i++, at += width) {
		struct axdev_access access = {.space = space, .width = width, .is_write = is_write};
		int rc;

		if (is_write)
			memcpy(&access.value, at, width);
		rc = axbus_access(vm->bus, addr, &access);
		if (!is_write)
			memcpy(at, &access.value, width);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static enum axvcpu_verdict unclaimed(struct axvm *vm, struct axvcpu *vcpu, const char *what,
				     uint64_t addr, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_DEVICE_NOT_FOUND, ENXIO, "no device claims %s 0x%llx", what,
		     (unsigned long long)addr);
	ax_error_hint(err, "--unclaimed ignore lets the guest go on");
	axvm_stop_with(vm, AXVM_STOP_FAULT, vcpu, err);
	return AXVCPU_STOP;
}

/* By exit or by doorbell. No call is defined yet: the guest gets the defined error. */
uint64_t axvm_on_hypercall(void *ctx, uint64_t nr, const uint64_t args[6])
{
	struct axvm *vm = ctx;

	(void)nr;
	(void)args;
	atomic_fetch_add(&vm->hypercalls, 1);
	return (uint64_t)-ENOSYS;
}

static enum axvcpu_verdict on_sysreg(struct axvm *vm, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				     bool is_write, struct ax_error *err)
{
	struct axdev_access access = {.space = AXDEV_SYSREG,
				      .width = 8,
				      .is_write = is_write,
				      .value = exit->sysreg.value};

	int rc = axbus_access(vm->bus, exit->sysreg.reg, &access);

	exit->sysreg.inject_fault = rc != 0;
	if (!is_write)
		exit->sysreg.value = access.value;
	if (rc < 0)
		return unclaimed(vm, vcpu, "system register", exit->sysreg.reg, err);
	return AXVCPU_CONTINUE;
}

static enum axvcpu_verdict on_system(struct axvm *vm, struct axvcpu *vcpu,
				     const struct axvcpu_exit *exit, struct ax_error *err)
{
	static const enum axvm_stop_reason reasons[] = {
		[AXVCPU_SYSTEM_POWEROFF] = AXVM_STOP_SYSTEM_DOWN,
		[AXVCPU_SYSTEM_RESET] = AXVM_STOP_RESET,
		[AXVCPU_SYSTEM_CRASH] = AXVM_STOP_PANIC,
		[AXVCPU_SYSTEM_TRIPLE_FAULT] = AXVM_STOP_FAULT,
	};

	if (exit->system.event == AXVCPU_SYSTEM_TRIPLE_FAULT) {
		ax_error_set(err, AX_ERROR_VCPU_RUNTIME, EFAULT,
			     "vCPU %u went into shutdown: triple fault", axvcpu_index(vcpu));
		ax_error_hint(err,
			      "a kernel that reboots by triple fault (reboot=t) ends this way too");
		axvm_stop_with(vm, AXVM_STOP_FAULT, vcpu, err);
	} else {
		axvm_stop_with(vm, reasons[exit->system.event], vcpu, NULL);
	}
	return AXVCPU_STOP;
}

static enum axvcpu_verdict on_failure(struct axvm *vm, struct axvcpu *vcpu,
				      const struct axvcpu_exit *exit, struct ax_error *err)
{
	bool entry = exit->kind == AXVCPU_EXIT_FAIL_ENTRY;
	/* Filled: run() itself failed, or a step around it. That is not the guest's doing. */
	bool host = entry || err->kind != AX_ERROR_NONE;

	atomic_fetch_add(&vm->hardware_failures, 1);
	if (err->kind == AX_ERROR_NONE) {
		ax_error_set(err, entry ? AX_ERROR_HARDWARE_FAILURE : AX_ERROR_INTERNAL_EXIT, EIO,
			     "vCPU %u: KVM %s (reason 0x%llx)", axvcpu_index(vcpu),
			     entry ? "could not enter the guest" : "cannot go on with this guest",
			     (unsigned long long)exit->failure.reason);
		ax_error_hint(
			err,
			"the registers below show where; `axvm doctor` tells what this KVM lacks");
	}
	axvm_stop_with(vm, host ? AXVM_STOP_HOST : AXVM_STOP_FAULT, vcpu, err);
	return AXVCPU_STOP;
}

static enum axvcpu_verdict on_limit(struct axvm *vm, struct axvcpu *vcpu, struct ax_error *err)
{
	atomic_fetch_add(&vm->timeouts, 1);
	ax_error_context(err, "%s", vm->config->name);
	axvm_stop_with(vm, AXVM_STOP_LIMIT, vcpu, err);
	return AXVCPU_STOP;
}

static enum axvcpu_verdict on_memory_fault(struct axvm *vm, struct axvcpu *vcpu,
					   const struct axvcpu_exit *exit, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_MEMORY_ACCESS, EFAULT,
		     "vCPU %u: memory fault at 0x%llx (%s%s%s)", axvcpu_index(vcpu),
		     (unsigned long long)exit->fault.gpa, exit->fault.access & AXAS_READ ? "r" : "",
		     exit->fault.access & AXAS_WRITE ? "w" : "",
		     exit->fault.access & AXAS_EXEC ? "x" : "");
	axvm_stop_with(vm, AXVM_STOP_FAULT, vcpu, err);
	return AXVCPU_STOP;
}

enum axvcpu_verdict axvm_on_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				 struct ax_error *err)
{
	struct axvm *vm = ctx;
	bool is_write = exit->kind == AXVCPU_EXIT_IO_WRITE || exit->kind == AXVCPU_EXIT_MMIO_WRITE;

	switch (exit->kind) {
	case AXVCPU_EXIT_IO_READ:
	case AXVCPU_EXIT_IO_WRITE:
		if (access_items(vm, AXDEV_PORT, exit->io.port, exit->io.width, exit->io.count,
				 is_write, exit->io.data))
			return unclaimed(vm, vcpu, "port", exit->io.port, err);
		return AXVCPU_CONTINUE;
	case AXVCPU_EXIT_MMIO_READ:
	case AXVCPU_EXIT_MMIO_WRITE:
		if (access_items(vm, AXDEV_MMIO, exit->mmio.gpa, exit->mmio.width, 1, is_write,
				 exit->mmio.data))
			return unclaimed(vm, vcpu, "address", exit->mmio.gpa, err);
		return AXVCPU_CONTINUE;
	case AXVCPU_EXIT_SYSREG_READ:
	case AXVCPU_EXIT_SYSREG_WRITE:
		return on_sysreg(vm, vcpu, exit, exit->kind == AXVCPU_EXIT_SYSREG_WRITE, err);
	case AXVCPU_EXIT_HYPERCALL:
		exit->hypercall.ret =
			axvm_on_hypercall(vm, exit->hypercall.nr, exit->hypercall.args);
		return AXVCPU_CONTINUE;
	case AXVCPU_EXIT_HALT:
		/* Only without interrupt controller: nothing can wake this CPU again. */
		axvm_stop_with(vm, AXVM_STOP_SYSTEM_DOWN, vcpu, NULL);
		return AXVCPU_STOP;
	case AXVCPU_EXIT_SYSTEM_DOWN:
		return on_system(vm, vcpu, exit, err);
	case AXVCPU_EXIT_FAIL_ENTRY:
	case AXVCPU_EXIT_INTERNAL_ERROR:
		return on_failure(vm, vcpu, exit, err);
	case AXVCPU_EXIT_NESTED_PAGE_FAULT:
		return on_memory_fault(vm, vcpu, exit, err);
	case AXVCPU_EXIT_PREEMPTION_TIMER:
		return on_limit(vm, vcpu, err);
	case AXVCPU_EXIT_NOTHING:
	case AXVCPU_EXIT_EXTERNAL_INTERRUPT:
	case AXVCPU_EXIT_CPU_UP:
	case AXVCPU_EXIT_CPU_DOWN:
	case AXVCPU_EXIT_SEND_IPI:
	case AXVCPU_EXIT_IDLE:
	case AXVCPU_EXIT_INTERRUPT_END:
		/* The hypervisor below has done what there was to do; the exit is counted. */
		return AXVCPU_CONTINUE;
	case AXVCPU_EXIT_KIND_COUNT:
		break;
	}
	ax_error_set(err, AX_ERROR_INTERNAL, EINVAL, "vCPU %u: exit of unknown kind %d",
		     axvcpu_index(vcpu), (int)exit->kind);
	axvm_stop_with(vm, AXVM_STOP_HOST, vcpu, err);
	return AXVCPU_STOP;
}
