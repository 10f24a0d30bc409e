/*
 * The DSDT: what stands on this machine that no bus could find by itself - virtio-mmio windows, the
 * PCI host, the serial port, the panic port, processors - and how to switch it off. The bytes are
 * aml.c's.
 */
#include "acpi.h"

#include <axvm/pci.h>
#include <stdio.h>

static void add_s5(struct x86_aml *aml)
{
	/* SLP_TYPa, SLP_TYPb and two reserved: type 0 at both, so that a bare write of SLP_EN to
	 * PM1a_CNT also switches the machine off. */
	static const uint8_t s5[4] = {0, 0, 0, 0};
	x86_aml_name_package(aml, "\\_S5_", s5, sizeof(s5));
}

/* _UID is the APIC id, as in the MADT, where a LAPIC entry has only eight bits for it. */
static void add_processors(struct x86_aml *aml, const struct x86_boot_info *info)
{
	const size_t container = x86_aml_open_device(aml, "CPUS");

	x86_aml_name_string(aml, "_HID", "ACPI0010");
	x86_aml_name_eisaid(aml, "_CID", "PNP0A05");
	for (uint32_t i = 0; i < info->config->vcpu_count; i++) {
		char name[16];
		snprintf(name, sizeof(name), "C%03X", i);
		const size_t cpu = x86_aml_open_device(aml, name);
		x86_aml_name_string(aml, "_HID", "ACPI0007");
		x86_aml_name_integer(aml, "_UID", info->apic_ids[i]);
		x86_aml_close(aml, cpu);
	}
	x86_aml_close(aml, container);
}

static void add_serial(struct x86_aml *aml)
{
	struct x86_aml_resources res = {.len = 0};
	const size_t device = x86_aml_open_device(aml, "COM1");

	x86_aml_name_eisaid(aml, "_HID", "PNP0501");
	x86_aml_name_integer(aml, "_UID", 0);
	x86_aml_io(&res, X86_PORT_COM1, 8);
	x86_aml_irq_no_flags(&res, X86_SERIAL_GSI);
	x86_aml_name_resources(aml, "_CRS", &res);
	x86_aml_close(aml, device);
}

static void add_pvpanic(struct x86_aml *aml)
{
	struct x86_aml_resources res = {.len = 0};
	const size_t device = x86_aml_open_device(aml, "PEVT");

	x86_aml_name_string(aml, "_HID", "QEMU0001");
	x86_aml_io(&res, X86_PORT_PVPANIC, 1);
	x86_aml_name_resources(aml, "_CRS", &res);
	x86_aml_close(aml, device);
}

/* The root bus with what it may hand out, and ECAM, which is reserved for the motherboard: that is
 * where systems look before they believe the MCFG table (PCI Firmware 3.3, 4.1.2). */
static void add_pci(struct x86_aml *aml, const struct axarch_plan *plan)
{
	struct x86_aml_resources res = {.len = 0}, ecam = {.len = 0};
	size_t device = x86_aml_open_device(aml, "PCI0");

	x86_aml_name_eisaid(aml, "_HID", "PNP0A08");
	x86_aml_name_eisaid(aml, "_CID", "PNP0A03");
	x86_aml_name_integer(aml, "_SEG", 0);
	x86_aml_name_integer(aml, "_BBN", 0);
	x86_aml_name_integer(aml, "_UID", 0);
	x86_aml_name_integer(aml, "_CCA", 1); /* DMA is coherent */
	x86_aml_bus_numbers(&res, 0, 0);
	x86_aml_memory_window(&res, (uint32_t)plan->pci.window_gpa,
			      (uint32_t)plan->pci.window_bytes);
	x86_aml_name_resources(aml, "_CRS", &res);
	x86_aml_close(aml, device);

	device = x86_aml_open_device(aml, "ECAM");
	x86_aml_name_eisaid(aml, "_HID", "PNP0C02");
	x86_aml_name_integer(aml, "_UID", 0);
	x86_aml_memory32(&ecam, (uint32_t)plan->pci.ecam_gpa, (uint32_t)AXPCI_ECAM_BYTES);
	x86_aml_name_resources(aml, "_CRS", &ecam);
	x86_aml_close(aml, device);
}

static void add_virtio_mmio(struct x86_aml *aml, const struct axarch_device *device, unsigned index)
{
	struct x86_aml_resources res = {.len = 0};
	char name[16];

	snprintf(name, sizeof(name), "V%03X", index);
	const size_t mark = x86_aml_open_device(aml, name);
	x86_aml_name_string(aml, "_HID", "LNRO0005");
	x86_aml_name_integer(aml, "_UID", index);
	x86_aml_name_integer(aml, "_CCA", 1); /* DMA is coherent */
	x86_aml_memory32(&res, (uint32_t)device->gpa, (uint32_t)device->size_bytes);
	x86_aml_interrupt(&res, device->gsi);
	x86_aml_name_resources(aml, "_CRS", &res);
	x86_aml_close(aml, mark);
}

void x86_dsdt_body(struct x86_aml *aml, const struct x86_boot_info *info)
{
	const struct axarch_machine *machine = info->machine;

	add_s5(aml);
	const size_t system_bus = x86_aml_open_scope(aml, "\\_SB_");
	add_processors(aml, info);
	if (machine->has_serial)
		add_serial(aml);
	add_pvpanic(aml);
	if (machine->has_pci)
		add_pci(aml, info->plan);
	if (x86_announce(info) & AXARCH_ANNOUNCE_TABLES)
		for (size_t i = 0; i < machine->device_count; i++)
			if (machine->devices[i].kind == AXARCH_DEVICE_VIRTIO_MMIO)
				add_virtio_mmio(aml, &machine->devices[i], (unsigned)i);
	x86_aml_close(aml, system_bus);
}
