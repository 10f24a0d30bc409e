/*
 * Where things stand in the fake machine: RAM from 0, in two ranges when it reaches the device
 * windows below 4 GiB, and nothing that depends on a host.
 */
#include "generic_priv.h"
#include "../boot.h"

#include <axvm/pci.h>
#include <errno.h>

static int check_request(const struct axarch_vm_config *config, struct ax_error *err)
{
	char least[24], most[24];

	if (!config->vcpu_count || config->vcpu_count > GENERIC_MAX_VCPUS)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "%u vCPUs: the generic machine has 1 to %d", config->vcpu_count,
				    GENERIC_MAX_VCPUS);
	if (config->memory_bytes < AXAS_PAGE_SIZE || config->memory_bytes > GENERIC_MAX_RAM_BYTES)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, ERANGE,
				    "%llu bytes of memory: the generic machine has %s to %s",
				    (unsigned long long)config->memory_bytes,
				    ax_format_size(AXAS_PAGE_SIZE, least, sizeof(least)),
				    ax_format_size(GENERIC_MAX_RAM_BYTES, most, sizeof(most)));
	if (config->memory_bytes % AXAS_PAGE_SIZE)
		return ax_error_set(err, AX_ERROR_MEMORY_ALIGNMENT, EINVAL,
				    "%llu bytes of memory: not a multiple of the page size %llu",
				    (unsigned long long)config->memory_bytes, AXAS_PAGE_SIZE);
	return 0;
}

static int add_memory(struct axarch_plan *plan, const struct axarch_vm_config *config,
		      const char *name, uint64_t gpa, uint64_t size_bytes, struct ax_error *err)
{
	const struct axas_layout_range range = {
		.name = name, .kind = AXAS_LAYOUT_MEMORY, .gpa = gpa, .size_bytes = size_bytes};

	axarch_plan_split_ram(plan, config, gpa, size_bytes);
	return axas_layout_add(&plan->layout, &range, err);
}

int generic_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		 struct ax_error *err)
{
	static const struct axas_layout_range windows[] = {
		{
			.name = "virtio-mmio",
			.kind = AXAS_LAYOUT_EMULATED_DEVICE,
			.gpa = GENERIC_DEVICE_GPA,
			.size_bytes = GENERIC_DEVICE_STRIDE * GENERIC_DEVICE_COUNT,
		},
		{
			.name = "hypercall",
			.kind = AXAS_LAYOUT_EMULATED_DEVICE,
			.gpa = GENERIC_HYPERCALL_GPA,
			.size_bytes = AXAS_PAGE_SIZE,
		},
		{
			.name = "pci-ecam",
			.kind = AXAS_LAYOUT_EMULATED_DEVICE,
			.gpa = GENERIC_PCI_ECAM_GPA,
			.size_bytes = AXPCI_ECAM_BYTES,
		},
		{
			.name = "pci-window",
			.kind = AXAS_LAYOUT_EMULATED_DEVICE,
			.gpa = GENERIC_PCI_WINDOW_GPA,
			.size_bytes = GENERIC_PCI_WINDOW_SIZE,
		},
	};
	struct axarch_plan plan = {
		.gpa_limit = GENERIC_GPA_LIMIT,
		.device_gpa = GENERIC_DEVICE_GPA,
		.device_stride = GENERIC_DEVICE_STRIDE,
		.device_count = GENERIC_DEVICE_COUNT,
		.pci = {.ecam_gpa = GENERIC_PCI_ECAM_GPA,
			.window_gpa = GENERIC_PCI_WINDOW_GPA,
			.window_bytes = GENERIC_PCI_WINDOW_SIZE},
	};

	int rc = generic_faults_strike_once(config->kvm_device, GENERIC_HOOK_PLAN, err);
	if (rc == 0)
		rc = check_request(config, err);
	if (rc == 0)
		rc = axarch_check_topology(config, err);
	if (rc < 0)
		return rc;

	uint64_t low = config->memory_bytes < GENERIC_LOW_RAM_BYTES ? config->memory_bytes
								    : GENERIC_LOW_RAM_BYTES;
	rc = add_memory(&plan, config, "ram", 0, low, err);
	if (rc == 0 && config->memory_bytes > low)
		rc = add_memory(&plan, config, "ram-high", GENERIC_HIGH_RAM_GPA,
				config->memory_bytes - low, err);
	for (size_t i = 0; rc == 0 && i < AX_ARRAY_LEN(windows); i++)
		rc = axas_layout_add(&plan.layout, &windows[i], err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < GENERIC_DEVICE_COUNT; i++)
		plan.device_gsi[i] = GENERIC_FIRST_GSI + i;
	*ret_plan = plan;
	return 0;
}
