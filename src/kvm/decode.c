/*
 * struct kvm_run -> struct axvcpu_exit: one row per exit KVM has. An exit without a row, and a
 * row's value that makes no sense, come out as INTERNAL_ERROR with KVM's number; none is ever
 * dropped.
 */
#include "kvm_private.h"

#include <string.h>

/* failure.reason is KVM's exit number; detail is whatever the exit carries. */
static void failure(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	exit->kind = AXVCPU_EXIT_INTERNAL_ERROR;
	exit->failure.reason = vcpu->run->exit_reason;
	memcpy(exit->failure.detail, vcpu->run->padding, sizeof(exit->failure.detail));
}

static void decode_io(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	struct kvm_run *run = vcpu->run;
	uint64_t bytes = (uint64_t)run->io.size * run->io.count;

	/* KVM places the items behind struct kvm_run, in the same mapping. */
	if (run->io.data_offset > vcpu->run_bytes ||
	    bytes > vcpu->run_bytes - run->io.data_offset) {
		failure(vcpu, exit);
		return;
	}
	exit->kind =
		run->io.direction == KVM_EXIT_IO_IN ? AXVCPU_EXIT_IO_READ : AXVCPU_EXIT_IO_WRITE;
	exit->io.port = run->io.port;
	exit->io.width = run->io.size;
	exit->io.count = run->io.count;
	exit->io.data = (char *)run + run->io.data_offset;
}

static void decode_mmio(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.len > sizeof(run->mmio.data)) {
		failure(vcpu, exit);
		return;
	}
	exit->kind = run->mmio.is_write ? AXVCPU_EXIT_MMIO_WRITE : AXVCPU_EXIT_MMIO_READ;
	exit->mmio.gpa = run->mmio.phys_addr;
	exit->mmio.width = (uint8_t)run->mmio.len;
	exit->mmio.data = run->mmio.data;
}

static void decode_hypercall(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	exit->kind = AXVCPU_EXIT_HYPERCALL;
	exit->hypercall.nr = vcpu->run->hypercall.nr;
	memcpy(exit->hypercall.args, vcpu->run->hypercall.args, sizeof(exit->hypercall.args));
	exit->hypercall.ret = 0;
	vcpu->answer = exit;
}

/* Until the handler says otherwise the access faults: the register is nobody's. */
static void decode_sysreg(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	bool is_write = vcpu->run->exit_reason == KVM_EXIT_X86_WRMSR;

	exit->kind = is_write ? AXVCPU_EXIT_SYSREG_WRITE : AXVCPU_EXIT_SYSREG_READ;
	exit->sysreg.reg = vcpu->run->msr.index;
	exit->sysreg.value = is_write ? vcpu->run->msr.data : 0;
	exit->sysreg.inject_fault = true;
	vcpu->answer = exit;
}

static void system_down(struct axvcpu_exit *exit, enum axvcpu_system_event event, uint64_t detail)
{
	exit->kind = AXVCPU_EXIT_SYSTEM_DOWN;
	exit->system.event = event;
	exit->system.detail = detail;
}

static void decode_shutdown(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	(void)vcpu;
	system_down(exit, AXVCPU_SYSTEM_TRIPLE_FAULT, 0);
}

static void decode_system_event(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	uint64_t detail = vcpu->run->system_event.data[0];

	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		system_down(exit, AXVCPU_SYSTEM_POWEROFF, detail);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		system_down(exit, AXVCPU_SYSTEM_RESET, detail);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		system_down(exit, AXVCPU_SYSTEM_CRASH, detail);
		break;
	default:
		failure(vcpu, exit);
	}
}

static void decode_fail_entry(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	exit->kind = AXVCPU_EXIT_FAIL_ENTRY;
	exit->failure.reason = vcpu->run->fail_entry.hardware_entry_failure_reason;
	memset(exit->failure.detail, 0, sizeof(exit->failure.detail));
	exit->failure.detail[0] = vcpu->run->fail_entry.cpu;
}

/* detail: the suberror, then the first three words KVM gives with it. */
static void decode_internal_error(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	const struct kvm_run *run = vcpu->run;

	exit->kind = AXVCPU_EXIT_INTERNAL_ERROR;
	exit->failure.reason = run->exit_reason;
	memset(exit->failure.detail, 0, sizeof(exit->failure.detail));
	exit->failure.detail[0] = run->internal.suberror;
	for (uint32_t i = 0; i < run->internal.ndata && i < 3; i++)
		exit->failure.detail[1 + i] = run->internal.data[i];
}

static void decode_eoi(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	exit->kind = AXVCPU_EXIT_INTERRUPT_END;
	exit->interrupt.vector = vcpu->run->eoi.vector;
}

/* flags, gpa and size stand at the start of the union. KVM does not say which access it was. */
static void decode_memory_fault(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	uint64_t words[3];

	memcpy(words, vcpu->run->padding, sizeof(words));
	exit->kind = AXVCPU_EXIT_NESTED_PAGE_FAULT;
	exit->fault.gpa = words[1];
	exit->fault.access = 0;
}

static void decode_halt(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	(void)vcpu;
	exit->kind = AXVCPU_EXIT_HALT;
}

static void decode_interrupted(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	(void)vcpu;
	exit->kind = AXVCPU_EXIT_EXTERNAL_INTERRUPT;
	exit->interrupt.vector = 0;
}

static void decode_nothing(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	(void)vcpu;
	exit->kind = AXVCPU_EXIT_NOTHING;
}

typedef void decode_fn(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit);
static decode_fn *const rows[] = {
	[KVM_EXIT_IO] = decode_io,
	[KVM_EXIT_HYPERCALL] = decode_hypercall,
	[KVM_EXIT_HLT] = decode_halt,
	[KVM_EXIT_MMIO] = decode_mmio,
	[KVM_EXIT_IRQ_WINDOW_OPEN] = decode_nothing, /* the next entry injects */
	[KVM_EXIT_SHUTDOWN] = decode_shutdown,
	[KVM_EXIT_FAIL_ENTRY] = decode_fail_entry,
	[KVM_EXIT_INTR] = decode_interrupted,
	[KVM_EXIT_SET_TPR] = decode_nothing, /* without an irqchip: CR8 moved */
	[KVM_EXIT_INTERNAL_ERROR] = decode_internal_error,
	[KVM_EXIT_SYSTEM_EVENT] = decode_system_event,
	[KVM_EXIT_IOAPIC_EOI] = decode_eoi,
	[KVM_EXIT_X86_RDMSR] = decode_sysreg,
	[KVM_EXIT_X86_WRMSR] = decode_sysreg,
	[KVM_EXIT_MEMORY_FAULT] = decode_memory_fault,
};

void axkvm_decode(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit)
{
	uint32_t reason = vcpu->run->exit_reason;

	if (reason < AX_ARRAY_LEN(rows) && rows[reason])
		rows[reason](vcpu, exit);
	else
		failure(vcpu, exit);
}
