/*
 * CPUs and interrupt controllers in the device tree: what each hart can execute, its own
 * controller of nine local interrupts, and the PLIC or APLIC and IMSICs whose interrupts arrive
 * there. Linux' Documentation/devicetree/bindings/riscv and interrupt-controller.
 */
#include "riscv64.h"
#include "../tree.h"

#include <axvm/fdt.h>

#include <stdio.h>
#include <string.h>

#define S_EXTERNAL 9u /* cause of the supervisor's external interrupt */

static void put_extensions(struct axfdt *fdt, const struct rv64_hart *hart, const char *path)
{
	char text[RV64_ISA_MAX];

	rv64_isa_string(hart, text, sizeof(text));
	axfdt_set_string(fdt, path, "riscv,isa", text);
	rv64_isa_list(hart, text, sizeof(text));
	axfdt_set_string(fdt, path, "riscv,isa-base", "rv64i");
	axfdt_set_strings(fdt, path, "riscv,isa-extensions", text);
	if (rv64_hart_has(hart, RV64_EXT_ZICBOM) && hart->cbom_bytes)
		axfdt_set_u32(fdt, path, "riscv,cbom-block-size", hart->cbom_bytes);
	if (rv64_hart_has(hart, RV64_EXT_ZICBOZ) && hart->cboz_bytes)
		axfdt_set_u32(fdt, path, "riscv,cboz-block-size", hart->cboz_bytes);
}

void rv64_tree_cpus(struct axfdt *fdt, const struct rv64_boot_info *info)
{
	const struct rv64_hart *hart = info->hart;
	char path[40], intc[72];

	axfdt_set_u32(fdt, "/cpus", "#address-cells", 1);
	axfdt_set_u32(fdt, "/cpus", "#size-cells", 0);
	axfdt_set_u32(fdt, "/cpus", "timebase-frequency", (uint32_t)hart->timebase_hz);
	axarch_tree_begin_cpus(fdt, info->config);
	for (uint32_t i = 0; i < info->config->vcpu_count; i++) {
		const uint32_t id = rv64_hart_id(info->config, i);

		snprintf(path, sizeof(path), "/cpus/cpu@%x", id);
		axfdt_set_string(fdt, path, "device_type", "cpu");
		axfdt_set_string(fdt, path, "compatible", "riscv");
		axfdt_set_u32(fdt, path, "reg", id);
		axfdt_set_string(fdt, path, "status", "okay");
		put_extensions(fdt, hart, path);
		axfdt_set_string(fdt, path, "mmu-type", rv64_mmu_type(hart));
		axarch_tree_put_cpu(fdt, info->config, path, i);
		snprintf(intc, sizeof(intc), "%s/interrupt-controller", path);
		axfdt_set_string(fdt, intc, "compatible", "riscv,cpu-intc");
		axfdt_set_empty(fdt, intc, "interrupt-controller");
		axfdt_set_u32(fdt, intc, "#interrupt-cells", 1);
		axfdt_set_u32(fdt, intc, "#address-cells", 0);
		axfdt_set_u32(fdt, intc, "phandle", RV64_PHANDLE_CPU + i);
	}
}

/* Context or interrupt file n is the n-th hart's. */
static void put_harts(struct axfdt *fdt, const struct rv64_boot_info *info, const char *path)
{
	uint32_t cells[2 * RV64_MAX_VCPUS];

	for (uint32_t i = 0; i < info->config->vcpu_count; i++) {
		cells[2 * i] = RV64_PHANDLE_CPU + i;
		cells[2 * i + 1] = S_EXTERNAL;
	}
	axfdt_set_cells(fdt, path, "interrupts-extended", cells, 2 * info->config->vcpu_count);
}

/* A PLIC's contexts and the IMSICs' files are for the harts that are named, the machine mode's
 * beside the supervisor's where the tree is that of a board. */
uint32_t rv64_given_room(const struct axfdt *fdt, const void *ctx)
{
	static const char *const controllers[] = {"riscv,imsics", "riscv,plic0",
						  "sifive,plic-1.0.0"};
	char path[256];
	size_t size = 0;
	uint32_t room = 0;

	(void)ctx;
	for (size_t i = 0; i < AX_ARRAY_LEN(controllers); i++) {
		if (!axfdt_find_compatible(fdt, controllers[i], path, sizeof(path)))
			continue;
		const uint8_t *at = axfdt_get(fdt, path, "interrupts-extended", &size);
		for (; at && size >= 8; at += 8, size -= 8)
			room += at[7] == S_EXTERNAL;
		return room ? room : UINT32_MAX;
	}
	return UINT32_MAX;
}

static void put_controller(struct axfdt *fdt, const char *path, uint64_t gpa, uint64_t size_bytes,
			   uint32_t cells, uint32_t phandle)
{
	axfdt_set_u64s(fdt, path, "reg", (const uint64_t[]){gpa, size_bytes}, 2);
	axfdt_set_empty(fdt, path, "interrupt-controller");
	axfdt_set_u32(fdt, path, "#interrupt-cells", cells);
	axfdt_set_u32(fdt, path, "#address-cells", 0);
	axfdt_set_u32(fdt, path, "phandle", phandle);
}

static void put_plic(struct axfdt *fdt, const struct rv64_boot_info *info)
{
	char path[48];

	snprintf(path, sizeof(path), "/interrupt-controller@%llx", RV64_PLIC_GPA);
	axfdt_set_strings(fdt, path, "compatible", "sifive,plic-1.0.0\0riscv,plic0\0");
	put_controller(fdt, path, RV64_PLIC_GPA, rv64_plic_size(info->config->vcpu_count), 1,
		       RV64_PHANDLE_IRQCHIP);
	axfdt_set_u32(fdt, path, "riscv,ndev", RV64_SOURCES - 1);
	put_harts(fdt, info, path);
}

static void put_aia(struct axfdt *fdt, const struct rv64_boot_info *info)
{
	char path[48];

	snprintf(path, sizeof(path), "/interrupt-controller@%llx", RV64_IMSIC_GPA);
	axfdt_set_string(fdt, path, "compatible", "riscv,imsics");
	put_controller(fdt, path, RV64_IMSIC_GPA, info->config->vcpu_count * RV64_IMSIC_SIZE, 0,
		       RV64_PHANDLE_IMSIC);
	axfdt_set_empty(fdt, path, "msi-controller");
	axfdt_set_u32(fdt, path, "#msi-cells", 0);
	axfdt_set_u32(fdt, path, "riscv,num-ids", info->aia_ids);
	put_harts(fdt, info, path);

	snprintf(path, sizeof(path), "/interrupt-controller@%llx", RV64_APLIC_GPA);
	axfdt_set_string(fdt, path, "compatible", "riscv,aplic");
	put_controller(fdt, path, RV64_APLIC_GPA, RV64_APLIC_SIZE, 2, RV64_PHANDLE_IRQCHIP);
	axfdt_set_u32(fdt, path, "msi-parent", RV64_PHANDLE_IMSIC);
	axfdt_set_u32(fdt, path, "riscv,num-sources", RV64_SOURCES - 1);
}

void rv64_tree_irqchip(struct axfdt *fdt, const struct rv64_boot_info *info)
{
	if (info->irqchip == RV64_IRQCHIP_AIA)
		put_aia(fdt, info);
	if (info->irqchip == RV64_IRQCHIP_PLIC)
		put_plic(fdt, info);
}
