/*
 * The address map of an aarch64 machine: device windows and their interrupt lines below 1 GiB, RAM
 * above, CPU ids. Decides how many address bits the guest gets; slots and backings are axvm's.
 */
#include "aarch64.h"
#include "../boot.h"

#include <errno.h>

uint64_t a64_mpidr(uint32_t index)
{
	/* Aff0 has 16 CPUs because a GICv3 SGI reaches 16 of one cluster. */
	return (index & 0xf) | (uint64_t)(index >> 4 & 0xff) << 8 |
	       (uint64_t)(index >> 12 & 0xff) << 16;
}

static int check_cpus(const struct axarch_vm_config *config, struct ax_error *err)
{
	int rc = axarch_check_cpus(config->vcpu_count, A64_MAX_VCPUS, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; config->hardware_ids && i < config->vcpu_count; i++) {
		if (config->hardware_ids[i] == a64_mpidr(i))
			continue;
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
			     "CPU %u is to have id 0x%x, on aarch64 KVM gives it MPIDR 0x%llx", i,
			     config->hardware_ids[i], (unsigned long long)a64_mpidr(i));
		return ax_error_hint(err, "leave --cpu-ids out");
	}
	return 0;
}

static int check_gic(const struct axarch_vm_config *config, struct ax_error *err)
{
	if (config->gic_version != 0 && config->gic_version != 2 && config->gic_version != 3) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
			     "GIC version %u is asked for, 2 and 3 are possible",
			     config->gic_version);
		return ax_error_hint(err, "leave --gic out");
	}
	if (config->gic_version == 2 && config->vcpu_count > A64_GICV2_VCPUS) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
			     "%u CPUs are asked for, a GICv2 serves up to %u", config->vcpu_count,
			     A64_GICV2_VCPUS);
		return ax_error_hint(err, "choose --gic 3, or up to %u CPUs", A64_GICV2_VCPUS);
	}
	return 0;
}

/* Where the version is not given, the room of both is kept as far as the CPUs allow. */
static int add_gic(struct axarch_plan *plan, const struct axarch_vm_config *config,
		   struct ax_error *err)
{
	int rc = axarch_plan_add(plan, "gic-distributor", AXAS_LAYOUT_EMULATED_DEVICE, A64_GICD_GPA,
				 A64_GICD_SIZE, err);

	if (rc == 0 && config->gic_version != 3 && config->vcpu_count <= A64_GICV2_VCPUS)
		rc = axarch_plan_add(plan, "gic-cpu", AXAS_LAYOUT_EMULATED_DEVICE, A64_GICC_GPA,
				     A64_GICC_SIZE, err);
	if (rc == 0 && config->gic_version != 2)
		rc = axarch_plan_add(plan, "gic-redistributors", AXAS_LAYOUT_EMULATED_DEVICE,
				     A64_GICR_GPA, config->vcpu_count * A64_GICR_SIZE, err);
	return rc;
}

/* Stage 2 needs fewer levels the smaller the limit. */
static uint64_t limit_for(uint64_t end)
{
	unsigned bits = A64_MIN_IPA_BITS;

	while (1ULL << bits < end)
		bits++;
	return 1ULL << bits;
}

int a64_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
	     struct ax_error *err)
{
	static const struct axas_layout_range fixed[] = {
		{"uart", AXAS_LAYOUT_EMULATED_DEVICE, A64_UART_GPA, 0x1000, 0},
		{"rtc", AXAS_LAYOUT_EMULATED_DEVICE, A64_RTC_GPA, 0x1000, 0},
		{"hypercall", AXAS_LAYOUT_EMULATED_DEVICE, A64_HYPERCALL_GPA, 0x1000, 0},
		{"mark", AXAS_LAYOUT_EMULATED_DEVICE, A64_MARK_GPA, 0x1000, 0},
		{"pvpanic", AXAS_LAYOUT_EMULATED_DEVICE, A64_PVPANIC_GPA, 0x1000, 0},
	};
	struct axarch_plan plan = {
		.device_gpa = A64_VIRTIO_GPA,
		.device_stride = AXAS_PAGE_SIZE,
	};
	int rc = check_cpus(config, err);

	if (rc == 0)
		rc = check_gic(config, err);
	if (rc == 0)
		rc = axarch_check_memory(config->memory_bytes, A64_MIN_MEMORY, A64_MAX_MEMORY, err);
	if (rc == 0)
		rc = axarch_check_topology(config, err);
	if (rc < 0)
		return rc;
	plan.gpa_limit = limit_for(A64_RAM_GPA + config->memory_bytes);
	rc = axarch_plan_add_ram(&plan, config, A64_RAM_GPA, config->memory_bytes, err);
	for (size_t i = 0; rc == 0 && i < AX_ARRAY_LEN(fixed); i++)
		rc = axas_layout_add(&plan.layout, &fixed[i], err);
	/* Without an interrupt controller there are no lines, so no slots either. */
	if (rc == 0 && config->irq_mode != AXARCH_IRQ_NONE)
		rc = add_gic(&plan, config, err);
	if (rc == 0 && config->irq_mode != AXARCH_IRQ_NONE)
		rc = axarch_plan_add_slots(&plan, A64_VIRTIO_SLOTS, A64_VIRTIO_GSI, err);
	if (rc < 0)
		return rc;
	*ret_plan = plan;
	return 0;
}

int a64_plan_narrow(struct axarch_plan *plan, unsigned ipa_bits, struct ax_error *err)
{
	return axarch_plan_narrow(plan, ipa_bits ? ipa_bits : A64_MIN_IPA_BITS, "KVM gives guests",
				  "address bits", err);
}
