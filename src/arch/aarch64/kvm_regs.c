/*
 * Single registers of a vCPU by KVM's register ids. General ones are x0 to x30 by their number, 31
 * the stack pointer in use, 32 the program counter.
 */
#include "kvm_aarch64.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

enum { GPR_SP = 31, GPR_PC = 32 };
#define PSTATE_SPSEL 0x1u /* the stack pointer of the exception level, not that of EL0 */

int a64_get_reg(const struct a64_vcpu *vcpu, uint64_t id, uint64_t *ret_value, struct ax_error *err)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)ret_value};

	if (ioctl(axkvm_vcpu_fd(vcpu->kvm), KVM_GET_ONE_REG, &reg) >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, errno,
			    "register 0x%" PRIx64 " of vCPU %u cannot be read: %s", id, vcpu->index,
			    strerror(errno));
}

int a64_set_reg(const struct a64_vcpu *vcpu, uint64_t id, uint64_t value, struct ax_error *err)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	if (ioctl(axkvm_vcpu_fd(vcpu->kvm), KVM_SET_ONE_REG, &reg) >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, errno,
			    "register 0x%" PRIx64 " of vCPU %u cannot be set to 0x%" PRIx64 ": %s",
			    id, vcpu->index, value, strerror(errno));
}

static int find_gpr(const struct a64_vcpu *vcpu, unsigned index, uint64_t *ret_id,
		    struct ax_error *err)
{
	uint64_t pstate = 0;
	int ret = 0;

	if (index < GPR_SP) {
		*ret_id = A64_X(index);
	} else if (index == GPR_PC) {
		*ret_id = A64_CORE(regs.pc);
	} else if (index == GPR_SP) {
		ret = a64_get_reg(vcpu, A64_CORE(regs.pstate), &pstate, err);
		*ret_id = pstate & PSTATE_SPSEL ? A64_CORE(sp_el1) : A64_CORE(regs.sp);
	} else {
		ret = ax_error_set(err, AX_ERROR_REGISTER_ACCESS, EINVAL,
				   "register %u: aarch64 has 0 to 30, 31 (sp) and 32 (pc)", index);
	}
	return ret;
}

int a64_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err)
{
	return a64_set_reg(impl, A64_CORE(regs.pc), entry, err);
}

int a64_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err)
{
	uint64_t id = 0;
	int ret = find_gpr(impl, index, &id, err);

	return ret < 0 ? ret : a64_set_reg(impl, id, value, err);
}

int a64_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err)
{
	uint64_t id = 0;
	int ret = find_gpr(impl, index, &id, err);

	return ret < 0 ? ret : a64_get_reg(impl, id, ret_value, err);
}

int a64_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err)
{
	return a64_set_reg(impl, A64_X(0), value, err);
}
