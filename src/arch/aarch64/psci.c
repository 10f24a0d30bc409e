/*
 * Calls of a guest by HVC or SMC as portable exits: SMC Calling Convention (Arm DEN 0028) and Power
 * State Coordination Interface (Arm DEN 0022). KVM serves PSCI itself; this is for calls that it
 * hands on and for hypervisors that hand on all.
 */
#include "aarch64.h"

#define PSCI_CPU_OFF          0x84000002u
#define PSCI_CPU_ON_32        0x84000003u
#define PSCI_SYSTEM_OFF       0x84000008u
#define PSCI_SYSTEM_RESET     0x84000009u
#define PSCI_SYSTEM_RESET2_32 0x84000012u
#define PSCI_CPU_ON_64        0xc4000003u
#define PSCI_SYSTEM_RESET2_64 0xc4000012u
#define SMCCC_64BIT           (1u << 30)

static void system_down(struct axvcpu_exit *exit, enum axvcpu_system_event event, uint64_t detail)
{
	exit->kind = AXVCPU_EXIT_SYSTEM_DOWN;
	exit->system.event = event;
	exit->system.detail = detail;
}

void a64_decode_call(const uint64_t regs[7], struct axvcpu_exit *exit)
{
	const uint32_t id = (uint32_t)regs[0]; /* the upper half is not looked at */
	const uint64_t mask = id & SMCCC_64BIT ? UINT64_MAX : UINT32_MAX;

	switch (id) {
	case PSCI_CPU_ON_32:
	case PSCI_CPU_ON_64:
		exit->kind = AXVCPU_EXIT_CPU_UP;
		exit->cpu_up.target_cpu = regs[1] & mask;
		exit->cpu_up.entry_point = regs[2] & mask;
		exit->cpu_up.arg = regs[3] & mask;
		return;
	case PSCI_CPU_OFF:
		exit->kind = AXVCPU_EXIT_CPU_DOWN;
		return;
	case PSCI_SYSTEM_OFF:
		system_down(exit, AXVCPU_SYSTEM_POWEROFF, 0);
		return;
	case PSCI_SYSTEM_RESET:
		system_down(exit, AXVCPU_SYSTEM_RESET, 0);
		return;
	case PSCI_SYSTEM_RESET2_32:
	case PSCI_SYSTEM_RESET2_64:
		system_down(exit, AXVCPU_SYSTEM_RESET, regs[1] & UINT32_MAX);
		return;
	default:
		break;
	}
	const bool ours = id >= A64_HVC_BASE && id - A64_HVC_BASE < A64_HVC_COUNT;
	exit->kind = AXVCPU_EXIT_HYPERCALL;
	exit->hypercall.nr = ours ? id - A64_HVC_BASE : id;
	for (unsigned i = 0; i < AX_ARRAY_LEN(exit->hypercall.args); i++)
		exit->hypercall.args[i] = regs[1 + i] & mask;
	exit->hypercall.ret = 0;
}
