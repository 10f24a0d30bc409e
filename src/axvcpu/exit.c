/*
 * The names of exits, as logs, statistics and tests spell them. What an exit means is written
 * beside its kind in the header; who answers it is the exit router's affair.
 */
#include <axvm/axvcpu.h>

static const char *const exit_names[AXVCPU_EXIT_KIND_COUNT] = {
	[AXVCPU_EXIT_NOTHING] = "Nothing",
	[AXVCPU_EXIT_HYPERCALL] = "Hypercall",
	[AXVCPU_EXIT_MMIO_READ] = "MmioRead",
	[AXVCPU_EXIT_MMIO_WRITE] = "MmioWrite",
	[AXVCPU_EXIT_SYSREG_READ] = "SysRegRead",
	[AXVCPU_EXIT_SYSREG_WRITE] = "SysRegWrite",
	[AXVCPU_EXIT_IO_READ] = "IoRead",
	[AXVCPU_EXIT_IO_WRITE] = "IoWrite",
	[AXVCPU_EXIT_EXTERNAL_INTERRUPT] = "ExternalInterrupt",
	[AXVCPU_EXIT_NESTED_PAGE_FAULT] = "NestedPageFault",
	[AXVCPU_EXIT_HALT] = "Halt",
	[AXVCPU_EXIT_CPU_UP] = "CpuUp",
	[AXVCPU_EXIT_CPU_DOWN] = "CpuDown",
	[AXVCPU_EXIT_SYSTEM_DOWN] = "SystemDown",
	[AXVCPU_EXIT_FAIL_ENTRY] = "FailEntry",
	[AXVCPU_EXIT_SEND_IPI] = "SendIpi",
	[AXVCPU_EXIT_IDLE] = "Idle",
	[AXVCPU_EXIT_PREEMPTION_TIMER] = "PreemptionTimer",
	[AXVCPU_EXIT_INTERRUPT_END] = "InterruptEnd",
	[AXVCPU_EXIT_INTERNAL_ERROR] = "InternalError",
};

const char *axvcpu_exit_name(enum axvcpu_exit_kind kind)
{
	return (unsigned)kind < AXVCPU_EXIT_KIND_COUNT ? exit_names[kind] : "unknown";
}
