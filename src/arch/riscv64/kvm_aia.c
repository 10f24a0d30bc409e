/*
 * The interrupt controllers that KVM has on hosts with the AIA: an APLIC, whose lines become
 * messages, and an IMSIC for each hart. KVM_DEV_TYPE_RISCV_AIA; Linux'
 * include/uapi/asm/kvm.h of riscv describes the device.
 */
#include "kvm_riscv64.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static int attr(const struct axarch_vm *vm, unsigned long request, uint32_t group, uint64_t number,
		void *value, const char *what, struct ax_error *err)
{
	struct kvm_device_attr attribute = {
		.group = group,
		.attr = number,
		.addr = (uintptr_t)value,
	};

	if (ioctl(vm->aia_fd, request, &attribute) >= 0)
		return 0;
	return ax_error_set(err, AX_ERROR_VM_CREATION, errno, "%s: %s", what, strerror(errno));
}

static int set_config(const struct axarch_vm *vm, uint64_t number, uint32_t value, const char *what,
		      struct ax_error *err)
{
	return attr(vm, KVM_SET_DEVICE_ATTR, RV64_AIA_CONFIG, number, &value, what, err);
}

static int set_address(const struct axarch_vm *vm, uint64_t number, uint64_t gpa, const char *what,
		       struct ax_error *err)
{
	return attr(vm, KVM_SET_DEVICE_ATTR, RV64_AIA_ADDR, number, &gpa, what, err);
}

/* Mode, and how many identities an IMSIC has, stay as KVM finds best on this host. */
int rv64_aia_create(struct axarch_vm *vm, struct ax_error *err)
{
	struct kvm_create_device device = {.type = RV64_DEV_TYPE_AIA};
	int ret;

	if (ioctl(axkvm_vm_fd(vm->vm), KVM_CREATE_DEVICE, &device) < 0)
		return ax_error_set(err, AX_ERROR_VM_CREATION, errno,
				    "KVM_CREATE_DEVICE of an AIA: %s", strerror(errno));
	vm->aia_fd = (int)device.fd;
	ret = attr(vm, KVM_GET_DEVICE_ATTR, RV64_AIA_CONFIG, RV64_AIA_CONFIG_IDS, &vm->aia_ids,
		   "the number of interrupt identities", err);
	if (ret == 0)
		ret = set_config(vm, RV64_AIA_CONFIG_SRCS, RV64_SOURCES - 1,
				 "the number of interrupt sources", err);
	return ret;
}

/* The n-th IMSIC is the n-th page; that many address bits tell the harts apart. */
static uint32_t hart_bits(uint32_t harts)
{
	uint32_t bits = 0;

	while (1u << bits < harts)
		bits++;
	return bits;
}

int rv64_aia_finish(struct axarch_vm *vm, struct ax_error *err)
{
	const uint32_t harts = vm->config.vcpu_count;
	int ret =
		set_config(vm, RV64_AIA_CONFIG_HART_BITS, hart_bits(harts), "hart index bits", err);

	if (ret == 0)
		ret = set_address(vm, RV64_AIA_ADDR_APLIC, RV64_APLIC_GPA, "the APLIC's address",
				  err);
	for (uint32_t i = 0; ret == 0 && i < harts; i++)
		ret = set_address(vm, RV64_AIA_ADDR_IMSIC + i, RV64_IMSIC_GPA + i * RV64_IMSIC_SIZE,
				  "an IMSIC's address", err);
	if (ret == 0)
		ret = attr(vm, KVM_SET_DEVICE_ATTR, RV64_AIA_CTRL, RV64_AIA_CTRL_INIT, NULL,
			   "KVM's AIA", err);
	return ret;
}
