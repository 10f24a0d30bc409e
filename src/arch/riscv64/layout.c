/*
 * The address map of a riscv64 machine: device windows and their interrupt lines below 2 GiB, RAM
 * above, hart ids. Decides how many address bits the guest gets; slots and backings are axvm's.
 */
#include "riscv64.h"
#include "../boot.h"

#include <errno.h>

uint32_t rv64_hart_id(const struct axarch_vm_config *config, uint32_t index)
{
	return config->hardware_ids ? config->hardware_ids[index] : index;
}

static int check_harts(const struct axarch_vm_config *config, struct ax_error *err)
{
	uint64_t seen[(RV64_MAX_HART_ID + 64) / 64] = {0};

	int rc = axarch_check_cpus(config->vcpu_count, RV64_MAX_VCPUS, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < config->vcpu_count; i++) {
		const uint32_t id = rv64_hart_id(config, i);

		if (id > RV64_MAX_HART_ID) {
			ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				     "CPU %u is to have hart id %u, 0 to %u are possible", i, id,
				     RV64_MAX_HART_ID);
			return ax_error_hint(err, "choose smaller hardware ids");
		}
		if (seen[id / 64] & 1ULL << id % 64) {
			ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				     "hart id %u of CPU %u is another CPU's already", id, i);
			return ax_error_hint(err, "give every CPU an id of its own");
		}
		seen[id / 64] |= 1ULL << id % 64;
	}
	return 0;
}

/* Which of the two it will be is KVM's to say, so there is room for both. */
static int add_irqchips(struct axarch_plan *plan, const struct axarch_vm_config *config,
			struct ax_error *err)
{
	int rc = axarch_plan_add(plan, "plic", AXAS_LAYOUT_EMULATED_DEVICE, RV64_PLIC_GPA,
				 rv64_plic_size(config->vcpu_count), err);

	if (rc == 0)
		rc = axarch_plan_add(plan, "aplic", AXAS_LAYOUT_EMULATED_DEVICE, RV64_APLIC_GPA,
				     RV64_APLIC_SIZE, err);
	if (rc == 0)
		rc = axarch_plan_add(plan, "imsics", AXAS_LAYOUT_EMULATED_DEVICE, RV64_IMSIC_GPA,
				     config->vcpu_count * RV64_IMSIC_SIZE, err);
	return rc;
}

int rv64_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
	      struct ax_error *err)
{
	static const struct axas_layout_range fixed[] = {
		{"uart", AXAS_LAYOUT_EMULATED_DEVICE, RV64_UART_GPA, 0x1000, 0},
		{"hypercall", AXAS_LAYOUT_EMULATED_DEVICE, RV64_HYPERCALL_GPA, 0x1000, 0},
		{"mark", AXAS_LAYOUT_EMULATED_DEVICE, RV64_MARK_GPA, 0x1000, 0},
		{"pvpanic", AXAS_LAYOUT_EMULATED_DEVICE, RV64_PVPANIC_GPA, 0x1000, 0},
	};
	struct axarch_plan plan = {
		.gpa_limit = 1ULL << RV64_MAX_GPA_BITS,
		.device_gpa = RV64_VIRTIO_GPA,
		.device_stride = AXAS_PAGE_SIZE,
	};
	int rc = axarch_refuse_gic(config, "riscv64", err);

	if (rc == 0)
		rc = axarch_refuse_pl011(config, "riscv64", err);
	if (rc == 0)
		rc = check_harts(config, err);
	if (rc == 0)
		rc = axarch_check_memory(config->memory_bytes, RV64_MIN_MEMORY,
					 plan.gpa_limit - RV64_RAM_GPA, err);
	if (rc == 0)
		rc = axarch_check_topology(config, err);
	if (rc == 0)
		rc = axarch_plan_add_ram(&plan, config, RV64_RAM_GPA, config->memory_bytes, err);
	for (size_t i = 0; rc == 0 && i < AX_ARRAY_LEN(fixed); i++)
		rc = axas_layout_add(&plan.layout, &fixed[i], err);
	/* Without an interrupt controller there are no lines, so no slots either. */
	if (rc == 0 && config->irq_mode != AXARCH_IRQ_NONE)
		rc = add_irqchips(&plan, config, err);
	if (rc == 0 && config->irq_mode != AXARCH_IRQ_NONE)
		rc = axarch_plan_add_slots(&plan, RV64_VIRTIO_SLOTS, RV64_VIRTIO_GSI, err);
	if (rc < 0)
		return rc;
	*ret_plan = plan;
	return 0;
}

int rv64_plan_narrow(struct axarch_plan *plan, unsigned gpa_bits, struct ax_error *err)
{
	return axarch_plan_narrow(plan, gpa_bits ? gpa_bits : RV64_MIN_GPA_BITS, "KVM gives guests",
				  "address bits", err);
}
