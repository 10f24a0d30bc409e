/*
 * A vCPU's registers, one by one through KVM_GET_ONE_REG and KVM_SET_ONE_REG, and what they tell
 * about the hart.
 */
#include "kvm_riscv64.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

static int access_reg(const struct rv64_vcpu *vcpu, unsigned long request, uint64_t id,
		      uint64_t *value, struct ax_error *err)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

	if (ioctl(axkvm_vcpu_fd(vcpu->kvm), request, &reg) >= 0)
		return 0;
	const int error = errno;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, error,
			    "register 0x%" PRIx64 " of vCPU %u cannot be %s: %s", id, vcpu->index,
			    request == KVM_GET_ONE_REG ? "read" : "set", strerror(error));
}

int rv64_get_reg(const struct rv64_vcpu *vcpu, uint64_t id, uint64_t *ret_value,
		 struct ax_error *err)
{
	return access_reg(vcpu, KVM_GET_ONE_REG, id, ret_value, err);
}

int rv64_set_reg(const struct rv64_vcpu *vcpu, uint64_t id, uint64_t value, struct ax_error *err)
{
	return access_reg(vcpu, KVM_SET_ONE_REG, id, &value, err);
}

/* 0 when this KVM or this hart does not have it. */
static uint64_t get_or_zero(const struct rv64_vcpu *vcpu, uint64_t id)
{
	uint64_t value = 0;

	return rv64_get_reg(vcpu, id, &value, NULL) == 0 ? value : 0;
}

int rv64_read_hart(const struct rv64_vcpu *vcpu, struct rv64_hart *ret_hart, struct ax_error *err)
{
	struct rv64_hart hart = {0};
	int ret = rv64_get_reg(vcpu, RV64_REG_TIMER(RV64_TIMER_FREQUENCY), &hart.timebase_hz, err);

	if (ret < 0)
		return ret;
	for (unsigned i = 0; i < RV64_EXTENSIONS; i++)
		if (get_or_zero(vcpu, RV64_REG_EXTENSION(i)))
			rv64_hart_add(&hart, i);
	hart.satp_mode = (uint32_t)get_or_zero(vcpu, RV64_REG_CONFIG(RV64_CONFIG_SATP_MODE));
	hart.cbom_bytes = (uint32_t)get_or_zero(vcpu, RV64_REG_CONFIG(RV64_CONFIG_CBOM));
	hart.cboz_bytes = (uint32_t)get_or_zero(vcpu, RV64_REG_CONFIG(RV64_CONFIG_CBOZ));
	if (!rv64_hart_has(&hart, RV64_EXT_I))
		return ax_error_set(err, AX_ERROR_VCPU_CREATION, EPROTO,
				    "this KVM does not tell which extensions a vCPU has");
	*ret_hart = hart;
	return 0;
}

/* ---- for axvcpu ------------------------------------------------------------------------------ */

int rv64_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err)
{
	return rv64_set_reg(impl, RV64_REG_CORE(RV64_CORE_PC), entry, err);
}

/* x1 to x31; x0 is always 0 and can be read. */
static int check_index(const struct rv64_vcpu *vcpu, unsigned index, struct ax_error *err)
{
	if (index < 32)
		return 0;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, EINVAL,
			    "vCPU %u has no register x%u: 0 to 31 are there", vcpu->index, index);
}

int rv64_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err)
{
	int ret = check_index(impl, index, err);

	if (ret == 0 && index != 0)
		ret = rv64_set_reg(impl, RV64_REG_CORE(index), value, err);
	return ret;
}

int rv64_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err)
{
	int ret = check_index(impl, index, err);

	if (ret == 0 && index == 0)
		*ret_value = 0;
	else if (ret == 0)
		ret = rv64_get_reg(impl, RV64_REG_CORE(index), ret_value, err);
	return ret;
}

int rv64_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err)
{
	return rv64_set_reg(impl, RV64_REG_CORE(RV64_CORE_A0), value, err);
}
