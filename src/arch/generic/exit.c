/*
 * The one exit of a vCPU that waits for its answer: the bytes behind its pointer, and taking the
 * answer to whoever in the guest asked.
 */
#include "generic_priv.h"

#include <assert.h>
#include <string.h>

enum generic_turn generic_vcpu_leave(struct generic_vcpu *vcpu, const struct axvcpu_exit *exit,
				     uint64_t value)
{
	enum axvcpu_exit_kind kind = exit->kind;
	const void *src = NULL;
	size_t len = 0;

	vcpu->exit = *exit;
	if (kind == AXVCPU_EXIT_MMIO_READ || kind == AXVCPU_EXIT_MMIO_WRITE) {
		len = exit->mmio.width;
		src = exit->mmio.data;
		vcpu->exit.mmio.data = vcpu->data;
	} else if (kind == AXVCPU_EXIT_IO_READ || kind == AXVCPU_EXIT_IO_WRITE) {
		if (!exit->io.count)
			vcpu->exit.io.count = 1;
		len = (size_t)exit->io.width * vcpu->exit.io.count;
		src = exit->io.data;
		vcpu->exit.io.data = vcpu->data;
	}
	assert(len <= sizeof(vcpu->data));
	if (kind == AXVCPU_EXIT_MMIO_WRITE || kind == AXVCPU_EXIT_IO_WRITE) {
		memset(vcpu->data, 0, len);
		memcpy(vcpu->data, src ? src : &value,
		       src || len < sizeof(value) ? len : sizeof(value));
		if (generic_vm_ring(vcpu->vm, &vcpu->exit))
			return GENERIC_TURN_AGAIN;
	} else {
		memset(vcpu->data, 0xa5, len); /* a handler that leaves it so has not answered */
	}
	return GENERIC_TURN_EXIT;
}

/* How many bytes a read's answer has. */
static size_t answer_bytes(const struct axvcpu_exit *exit)
{
	switch (exit->kind) {
	case AXVCPU_EXIT_MMIO_READ:
		return exit->mmio.width;
	case AXVCPU_EXIT_IO_READ:
		return (size_t)exit->io.width * exit->io.count;
	default:
		return 0;
	}
}

void generic_vcpu_complete(struct generic_vcpu *vcpu)
{
	const struct axvcpu_exit *exit = vcpu->reported;

	if (!vcpu->pending)
		return;
	vcpu->pending = false;
	vcpu->answer = 0;
	vcpu->answer_faulted = false;
	switch (exit->kind) {
	case AXVCPU_EXIT_MMIO_READ:
	case AXVCPU_EXIT_IO_READ: {
		size_t len = answer_bytes(exit);
		memcpy(&vcpu->answer, vcpu->data,
		       len < sizeof(vcpu->answer) ? len : sizeof(vcpu->answer));
		break;
	}
	case AXVCPU_EXIT_HYPERCALL:
		vcpu->answer = exit->hypercall.ret;
		break;
	case AXVCPU_EXIT_SYSREG_READ:
	case AXVCPU_EXIT_SYSREG_WRITE:
		vcpu->answer = exit->sysreg.value;
		vcpu->answer_faulted = exit->sysreg.inject_fault;
		break;
	default:
		break;
	}
	if (!vcpu->has_code)
		generic_script_answered(vcpu, answer_bytes(exit));
	else if (vcpu->answer_gpr < GENERIC_GPR_COUNT)
		vcpu->gpr[vcpu->answer_gpr] = vcpu->answer;
	vcpu->answer_gpr = GENERIC_GPR_COUNT;
}
