/*
 * The fake's registers: sixteen of 64 bits and a program counter. Used by byte code; for scripts
 * they are storage that remembers what it was given.
 */
#include "generic_priv.h"

#include <errno.h>
#include <stdio.h>

int generic_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_SET_ENTRY, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->pc = entry;
	pthread_mutex_unlock(&vcpu->lock);
	return 0;
}

static int check_index(const struct generic_vcpu *vcpu, unsigned index, struct ax_error *err)
{
	if (index < GENERIC_GPR_COUNT)
		return 0;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, EINVAL,
			    "vCPU %u: no register %u: there are 0 to %d", vcpu->index, index,
			    GENERIC_GPR_COUNT - 1);
}

int generic_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_SET_GPR, err);
	if (rc == 0)
		rc = check_index(vcpu, index, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->gpr[index] = value;
	pthread_mutex_unlock(&vcpu->lock);
	return 0;
}

int generic_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_GET_GPR, err);
	if (rc == 0)
		rc = check_index(vcpu, index, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vcpu->lock);
	*ret_value = vcpu->gpr[index];
	pthread_mutex_unlock(&vcpu->lock);
	return 0;
}

/* While a hypercall waits for its answer, this is the answer; r0 in any case. */
int generic_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_SET_RETURN_VALUE, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->gpr[0] = value;
	if (vcpu->pending && vcpu->reported->kind == AXVCPU_EXIT_HYPERCALL)
		vcpu->reported->hypercall.ret = value;
	pthread_mutex_unlock(&vcpu->lock);
	return 0;
}

void generic_vcpu_dump(void *impl, char *buf, size_t buf_size)
{
	struct generic_vcpu *vcpu = impl;

	pthread_mutex_lock(&vcpu->lock);
	size_t used = 0;
	int n = snprintf(buf, buf_size, "pc  %016llx  step %zu of %zu%s\n",
			 (unsigned long long)vcpu->pc, vcpu->step, vcpu->step_count,
			 atomic_load(&vcpu->halted) ? "  halted" : "");
	for (unsigned i = 0; n > 0 && i < GENERIC_GPR_COUNT; i++) {
		used += (size_t)n;
		if (used >= buf_size)
			break;
		n = snprintf(buf + used, buf_size - used, "r%-2u %016llx%s", i,
			     (unsigned long long)vcpu->gpr[i], i % 4 == 3 ? "\n" : "  ");
	}
	pthread_mutex_unlock(&vcpu->lock);
}
