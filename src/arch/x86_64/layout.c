/*
 * The address map of an x86_64 machine: RAM below and above the 32-bit hole, device windows and
 * their interrupt lines, and what must stay free because KVM or the boot tables stand there.
 * Leaves slots and backings to axvm, and the guest's view of the map to e820.c.
 */
#include "x86.h"
#include "load.h"

#include <axvm/pci.h>

#include <errno.h>
#include <string.h>

#define FOUR_GIB (4ULL << 30)

/*
 * Lines for virtio, best first: ISA pins that no PC device of ours uses, which Linux maps one to
 * one with and without ACPI; then the pins above the ISA ones. Left out: 0 PIT, 1 keyboard, 2
 * cascade and the PIT's pin, 4 COM1, 8 RTC, 9 SCI, 13 FPU.
 */
static const uint32_t virtio_lines[] = {
	5, 6, 7, 10, 11, 12, 14, 15, 3, 16, 17, 18, 19, 20, 21, 22, 23,
};

int x86_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
	     struct ax_error *err)
{
	static const struct axas_layout_range fixed[] = {
		{"boot-info", AXAS_LAYOUT_BOOT_DESCRIPTION, 0, 0xf000, 0},
		{"cmdline", AXAS_LAYOUT_BOOT_DESCRIPTION, X86_CMDLINE_GPA, X86_CMDLINE_MAX, 0},
		{"acpi", AXAS_LAYOUT_BOOT_DESCRIPTION, X86_ACPI_GPA, X86_ACPI_SIZE, 0},
		{"mp-table", AXAS_LAYOUT_BOOT_DESCRIPTION, X86_MP_TABLE_GPA, X86_MP_TABLE_SIZE, 0},
		{"hypercall", AXAS_LAYOUT_EMULATED_DEVICE, X86_HYPERCALL_GPA, 0x1000, 0},
		{"ioapic", AXAS_LAYOUT_EMULATED_DEVICE, X86_IOAPIC_GPA, 0x1000, 0},
		{"lapic", AXAS_LAYOUT_EMULATED_DEVICE, X86_LAPIC_GPA, 0x1000, 0},
		{"kvm-tss", AXAS_LAYOUT_RESERVED, X86_IDENTITY_MAP_GPA, 0x4000, 0},
	};
	uint32_t apic_ids[X86_MAX_VCPUS];
	struct axarch_plan plan = {.gpa_limit = X86_GPA_LIMIT};
	int rc;

	rc = axarch_refuse_gic(config, "x86_64", err);
	if (rc == 0)
		rc = axarch_refuse_pl011(config, "x86_64", err);
	if (rc < 0)
		return rc;
	rc = x86_apic_ids(config, apic_ids, err); /* for its checks of count, ids and topology */
	if (rc < 0)
		return rc;
	rc = axarch_check_memory(config->memory_bytes, X86_MIN_MEMORY,
				 X86_GPA_LIMIT - FOUR_GIB + X86_HOLE_GPA, err);
	if (rc < 0)
		return rc;

	const uint64_t low =
		config->memory_bytes < X86_HOLE_GPA ? config->memory_bytes : X86_HOLE_GPA;
	rc = axarch_plan_add_ram(&plan, config, 0, low, err);
	if (rc == 0 && config->memory_bytes > low)
		rc = axarch_plan_add_ram(&plan, config, FOUR_GIB, config->memory_bytes - low, err);
	for (size_t i = 0; rc == 0 && i < AX_ARRAY_LEN(fixed); i++)
		rc = axas_layout_add(&plan.layout, &fixed[i], err);

	uint64_t devices_end = X86_DEVICE_GPA;
	plan.device_gpa = X86_DEVICE_GPA;
	plan.device_stride = AXAS_PAGE_SIZE;
	/* Without interrupt controllers there are no lines, so no slots either. */
	if (config->irq_mode != AXARCH_IRQ_NONE) {
		plan.device_count = AX_ARRAY_LEN(virtio_lines);
		memcpy(plan.device_gsi, virtio_lines, sizeof(virtio_lines));
		devices_end += plan.device_count * plan.device_stride;
		if (rc == 0)
			rc = axarch_plan_add(&plan, "virtio-mmio", AXAS_LAYOUT_EMULATED_DEVICE,
					     plan.device_gpa, devices_end - plan.device_gpa, err);
	}
	/* Without interrupt controllers there is nobody to take MSIs either. */
	if (config->irq_mode != AXARCH_IRQ_NONE) {
		plan.pci.ecam_gpa = X86_PCI_ECAM_GPA;
		plan.pci.window_gpa = X86_PCI_WINDOW_GPA;
		plan.pci.window_bytes = X86_PCI_WINDOW_SIZE;
		plan.pci.ports = true;
		if (rc == 0)
			rc = axarch_plan_add(&plan, "pci-ecam", AXAS_LAYOUT_EMULATED_DEVICE,
					     X86_PCI_ECAM_GPA, AXPCI_ECAM_BYTES, err);
		if (rc == 0)
			rc = axarch_plan_add(&plan, "pci-window", AXAS_LAYOUT_EMULATED_DEVICE,
					     X86_PCI_WINDOW_GPA, X86_PCI_WINDOW_SIZE, err);
	}
	/* One window up to the hypercall block: what is free in it is not for the guest's use. */
	if (rc == 0)
		rc = axarch_plan_add(&plan, "device-window", AXAS_LAYOUT_RESERVED, devices_end,
				     X86_HYPERCALL_GPA - devices_end, err);
	if (rc < 0)
		return rc;
	*ret_plan = plan;
	return 0;
}

int x86_plan_narrow(struct axarch_plan *plan, unsigned phys_bits, struct ax_error *err)
{
	return axarch_plan_narrow(plan, phys_bits, "CPUs have", "physical address bits", err);
}

uint64_t x86_plan_low_ram_end(const struct axarch_plan *plan)
{
	if (!plan->memory_count || plan->memory[0].gpa)
		return 0;
	return axarch_plan_ram_end(plan, 0);
}
