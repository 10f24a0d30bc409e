/*
 * The error table and the functions that fill a struct ax_error.
 *
 * Owns: the name, the severity and the exit status of every kind; nothing else in the tree decides
 * those. Leaves to the programs: printing a message, and ending the process.
 *
 * Exit statuses, the one place where the numbers are written down (axvm(1) repeats them):
 *    0  the guest powered off, or was stopped on request
 *    1  a host error without a number of its own
 *    2  usage or configuration
 *    3  boot image: kernel, initrd, command line
 *    4  disk or device
 *   10  the guest rebooted and was not to be started again  (cmd)
 *   11  the guest panicked                                  (cmd)
 *   12  guest fault: triple fault, an exit nobody answers   (cmd)
 *   13  a limit was reached: time, number of exits
 *   20  no /dev/kvm                    24  a required KVM capability is missing
 *   21  /dev/kvm may not be opened     25  the hardware refused (KVM_EXIT_FAIL_ENTRY)
 *   22  /dev/kvm does not work         26  the profile refuses this host
 *   23  KVM API version is not 12
 *   30  guest memory could not be had or set up
 *   31  the VM, a vCPU or a thread of theirs could not be created
 */
#include <axvm/base.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct kind_row {
	const char *name;
	enum ax_severity severity;
	int exit_status;
};

#define ROW(the_name, the_severity, the_status)                             \
	{                                                                   \
		.name = (the_name), .severity = AX_SEVERITY_##the_severity, \
		.exit_status = (the_status)                                 \
	}

static const struct kind_row kinds[AX_ERROR_KIND_COUNT] = {
	[AX_ERROR_NONE] = ROW("None", INFO, 1),

	[AX_ERROR_KVM_ABSENT] = ROW("KvmAbsent", FATAL, 20),
	[AX_ERROR_KVM_PERMISSION] = ROW("KvmPermission", FATAL, 21),
	[AX_ERROR_KVM_INIT] = ROW("KvmInit", FATAL, 22),
	[AX_ERROR_KVM_VERSION] = ROW("KvmVersion", FATAL, 23),
	[AX_ERROR_MISSING_CAPABILITY] = ROW("MissingCapability", FATAL, 24),
	[AX_ERROR_HARDWARE_FAILURE] = ROW("HardwareFailure", FATAL, 25),
	[AX_ERROR_PROFILE_REFUSED] = ROW("ProfileRefused", FATAL, 26),

	[AX_ERROR_VM_CREATION] = ROW("VmCreation", CRITICAL, 31),
	[AX_ERROR_VCPU_CREATION] = ROW("VcpuCreation", CRITICAL, 31),
	[AX_ERROR_MEMORY_ALLOCATION] = ROW("MemoryAllocation", CRITICAL, 30),
	[AX_ERROR_MEMORY_SETUP] = ROW("MemorySetup", CRITICAL, 30),
	[AX_ERROR_BOOT_STATE] = ROW("BootState", CRITICAL, 31),
	[AX_ERROR_THREAD] = ROW("Thread", CRITICAL, 31),
	[AX_ERROR_INTERNAL_EXIT] = ROW("InternalExit", CRITICAL, 12),

	[AX_ERROR_INVALID_STATE] = ROW("InvalidState", ERROR, 1),
	[AX_ERROR_TIMEOUT] = ROW("Timeout", ERROR, 13),
	[AX_ERROR_MAX_ITERATIONS] = ROW("MaxIterations", ERROR, 13),
	[AX_ERROR_VCPU_RUNTIME] = ROW("VcpuRuntime", ERROR, 1),
	[AX_ERROR_MEMORY_ACCESS] = ROW("MemoryAccess", ERROR, 1),
	[AX_ERROR_MEMORY_ALIGNMENT] = ROW("MemoryAlignment", ERROR, 1),
	[AX_ERROR_ALREADY_EXISTS] = ROW("AlreadyExists", ERROR, 1),
	[AX_ERROR_NOT_FOUND] = ROW("NotFound", ERROR, 1),
	[AX_ERROR_CPUID_SETUP] = ROW("CpuidSetup", ERROR, 1),
	[AX_ERROR_REGISTER_ACCESS] = ROW("RegisterAccess", ERROR, 1),
	[AX_ERROR_BOOT_IMAGE] = ROW("BootImage", ERROR, 3),
	[AX_ERROR_DISK] = ROW("Disk", ERROR, 4),
	[AX_ERROR_DEVICE] = ROW("Device", ERROR, 4),
	[AX_ERROR_IO] = ROW("Io", ERROR, 1),
	[AX_ERROR_NO_MEMORY] = ROW("NoMemory", ERROR, 1),
	[AX_ERROR_INTERNAL] = ROW("Internal", ERROR, 1),

	[AX_ERROR_CONFIGURATION] = ROW("Configuration", WARNING, 2),
	[AX_ERROR_USAGE] = ROW("Usage", WARNING, 2),
	[AX_ERROR_UNSUPPORTED] = ROW("Unsupported", WARNING, 1),
	[AX_ERROR_IRQ_INJECTION] = ROW("IrqInjection", WARNING, 1),

	[AX_ERROR_DEVICE_NOT_FOUND] = ROW("DeviceNotFound", INFO, 4),
};

static const char *const severity_names[] = {
	[AX_SEVERITY_INFO] = "info",   [AX_SEVERITY_WARNING] = "warning",
	[AX_SEVERITY_ERROR] = "error", [AX_SEVERITY_CRITICAL] = "critical",
	[AX_SEVERITY_FATAL] = "fatal",
};

/* A number that is no kind is our own bug, but one met while reporting another: stay usable. */
static const struct kind_row *row(enum ax_error_kind kind)
{
	if ((unsigned int)kind >= AX_ERROR_KIND_COUNT)
		return &kinds[AX_ERROR_INTERNAL];
	return &kinds[kind];
}

const char *ax_error_kind_name(enum ax_error_kind kind)
{
	return row(kind)->name;
}

enum ax_severity ax_error_kind_severity(enum ax_error_kind kind)
{
	return row(kind)->severity;
}

int ax_error_kind_exit_status(enum ax_error_kind kind)
{
	return row(kind)->exit_status;
}

const char *ax_severity_name(enum ax_severity severity)
{
	if ((unsigned int)severity >= AX_ARRAY_LEN(severity_names))
		return "unknown";
	return severity_names[severity];
}

static int negative_errno(int sys_errno)
{
	return sys_errno > 0 ? -sys_errno : -EINVAL;
}

int ax_error_set(struct ax_error *err, enum ax_error_kind kind, int sys_errno, const char *fmt, ...)
{
	if (sys_errno < 0) /* a caller that passes on the -errno it got means the same */
		sys_errno = -sys_errno;
	if (err) {
		/* The arguments may point into err itself, so it is written only at the end. */
		char message[sizeof(err->message)];
		va_list args;

		va_start(args, fmt);
		vsnprintf(message, sizeof(message), fmt, args);
		va_end(args);
		err->kind = kind;
		err->severity = ax_error_kind_severity(kind);
		err->sys_errno = sys_errno;
		memcpy(err->message, message, sizeof(message));
		err->hint[0] = '\0';
	}
	return negative_errno(sys_errno);
}

int ax_error_hint(struct ax_error *err, const char *fmt, ...)
{
	char hint[sizeof(err->hint)];
	va_list args;

	if (!err)
		return -EINVAL;
	va_start(args, fmt);
	vsnprintf(hint, sizeof(hint), fmt, args);
	va_end(args);
	memcpy(err->hint, hint, sizeof(hint));
	return negative_errno(err->sys_errno);
}

int ax_error_context(struct ax_error *err, const char *fmt, ...)
{
	char context[sizeof(err->message)];
	char old[sizeof(err->message)];
	va_list args;

	if (!err)
		return -EINVAL;
	va_start(args, fmt);
	vsnprintf(context, sizeof(context), fmt, args);
	va_end(args);
	memcpy(old, err->message, sizeof(old));
	old[sizeof(old) - 1] = '\0';

	/* What does not fit is lost at the end: the outermost context says most to the user. */
	size_t room = sizeof(err->message);
	size_t used = 0;
	const char *const parts[] = {context, ": ", old};
	for (size_t i = 0; i < AX_ARRAY_LEN(parts); i++) {
		size_t n = strnlen(parts[i], room - 1 - used);
		memcpy(err->message + used, parts[i], n);
		used += n;
	}
	err->message[used] = '\0';
	return negative_errno(err->sys_errno);
}
