/*
 * Access to a vCPU between two runs: its entry point, registers and return value, whether it is up,
 * and interrupts put in front of it.
 *
 * Decides where each is legal and on which thread it happens; what a register is, and how an
 * interrupt waits for its delivery, is the architecture's.
 */
#include "internal.h"

#include <assert.h>
#include <errno.h>

struct register_access {
	enum axvcpu_op op;
	unsigned index;
	uint64_t value;
};

/* On the vCPU's thread, or on any while there is none. */
static int access_here(struct axvcpu *vcpu, void *arg, struct ax_error *err)
{
	struct register_access *access = arg;
	const struct axvcpu_ops *ops = vcpu->ops;

	int rc = axvcpu_check(vcpu, access->op, err);
	if (rc < 0)
		return rc;
	switch (access->op) {
	case AXVCPU_OP_SET_ENTRY:
		return ops->set_entry(vcpu->impl, access->value, err);
	case AXVCPU_OP_SET_GPR:
		return ops->set_gpr(vcpu->impl, access->index, access->value, err);
	case AXVCPU_OP_GET_GPR:
		return ops->get_gpr(vcpu->impl, access->index, &access->value, err);
	default:
		assert(access->op == AXVCPU_OP_SET_RETURN_VALUE);
		return ops->set_return_value(vcpu->impl, access->value, err);
	}
}

static int access_register(struct axvcpu *vcpu, struct register_access *access,
			   struct ax_error *err)
{
	int rc = axvcpu_check(vcpu, access->op, err);

	if (rc < 0)
		return rc;
	if (axvcpu_is_elsewhere(vcpu) && axvcpu_raw_state(vcpu) != AXVCPU_BLOCKED) {
		axvcpu_refuse(vcpu, access->op, "its thread is not paused", err);
		ax_error_hint(err, "pause the vCPU first");
		return -EBADFD;
	}
	return axvcpu_call(vcpu, access_here, access, err);
}

int axvcpu_set_entry(struct axvcpu *vcpu, uint64_t entry, struct ax_error *err)
{
	struct register_access access = {.op = AXVCPU_OP_SET_ENTRY, .value = entry};

	return access_register(vcpu, &access, err);
}

int axvcpu_set_gpr(struct axvcpu *vcpu, unsigned index, uint64_t value, struct ax_error *err)
{
	struct register_access access = {.op = AXVCPU_OP_SET_GPR, .index = index, .value = value};

	return access_register(vcpu, &access, err);
}

int axvcpu_get_gpr(struct axvcpu *vcpu, unsigned index, uint64_t *ret_value, struct ax_error *err)
{
	struct register_access access = {.op = AXVCPU_OP_GET_GPR, .index = index};

	int rc = access_register(vcpu, &access, err);
	if (rc == 0)
		*ret_value = access.value;
	return rc;
}

int axvcpu_set_return_value(struct axvcpu *vcpu, uint64_t value, struct ax_error *err)
{
	struct register_access access = {.op = AXVCPU_OP_SET_RETURN_VALUE, .value = value};

	return access_register(vcpu, &access, err);
}

static int online_here(struct axvcpu *vcpu, void *arg, struct ax_error *err)
{
	return vcpu->ops->online(vcpu->impl, arg, err);
}

int axvcpu_online(struct axvcpu *vcpu, bool *ret_online, struct ax_error *err)
{
	bool online = true;
	int rc = vcpu->ops->online ? axvcpu_call(vcpu, online_here, &online, err) : 0;

	if (rc == 0)
		*ret_online = online;
	return rc;
}

int axvcpu_inject(struct axvcpu *vcpu, const struct axvcpu_irq *irq, struct ax_error *err)
{
	int rc = axvcpu_check(vcpu, AXVCPU_OP_INJECT, err);

	if (rc < 0)
		return rc;
	rc = vcpu->ops->inject(vcpu->impl, irq, err);
	if (rc < 0)
		return rc;
	atomic_fetch_add(&vcpu->injected, 1);
	/* Where the hypervisor has no interrupt controller the queue is looked at on entry only.
	 * Devices do not come this way: theirs is the irqfd. */
	if (axvcpu_raw_state(vcpu) == AXVCPU_RUNNING)
		axvcpu_kick(vcpu);
	return 0;
}
