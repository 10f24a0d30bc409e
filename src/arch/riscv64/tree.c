/*
 * The device tree of a riscv64 machine: the devices at their addresses, memory and chosen; or a
 * given one with memory, cpus and chosen replaced. CPUs and interrupt controllers are
 * tree_cpus.c's, the blob itself is axvm/fdt.h's. Linux' Documentation/devicetree/bindings.
 */
#include "riscv64.h"

#include <axvm/fdt.h>

#include <stdio.h>

#define UART_CLOCK_HZ 1843200u

enum { TRIGGER_EDGE_RISING = 1 };

static void put_reg(struct axfdt *fdt, const char *path, uint64_t gpa, uint64_t size_bytes)
{
	axfdt_set_u64s(fdt, path, "reg", (const uint64_t[]){gpa, size_bytes}, 2);
}

/* A PLIC is told no trigger: it takes an edge as it takes a level. */
static void put_line(struct axfdt *fdt, const struct rv64_boot_info *info, const char *path,
		     uint32_t gsi)
{
	const uint32_t cells[] = {gsi, TRIGGER_EDGE_RISING};

	if (info->irqchip == RV64_IRQCHIP_NONE)
		return;
	/* Not at the root: Linux would take it for the parent of the harts' own controllers. */
	axfdt_set_u32(fdt, path, "interrupt-parent", RV64_PHANDLE_IRQCHIP);
	axfdt_set_cells(fdt, path, "interrupts", cells, info->irqchip == RV64_IRQCHIP_AIA ? 2 : 1);
}

static const char *serial_path(const struct rv64_boot_info *info, char buf[40])
{
	snprintf(buf, 40, "/serial@%llx", RV64_UART_GPA);
	return info->machine->has_serial ? buf : NULL;
}

static void put_platform(struct axfdt *fdt, const struct rv64_boot_info *info)
{
	char path[40];

	if (serial_path(info, path)) {
		axfdt_set_string(fdt, path, "compatible", "ns16550a");
		put_reg(fdt, path, RV64_UART_GPA, 0x1000);
		axfdt_set_u32(fdt, path, "clock-frequency", UART_CLOCK_HZ);
		put_line(fdt, info, path, RV64_UART_GSI);
	}
	snprintf(path, sizeof(path), "/pvpanic@%llx", RV64_PVPANIC_GPA);
	axfdt_set_string(fdt, path, "compatible", "qemu,pvpanic-mmio");
	put_reg(fdt, path, RV64_PVPANIC_GPA, 2);
}

static void put_virtio(struct axfdt *fdt, const struct rv64_boot_info *info)
{
	const struct axarch_machine *machine = info->machine;
	char path[40];

	/* AUTO means the tables. */
	if (machine->announce && !(machine->announce & AXARCH_ANNOUNCE_TABLES))
		return;
	for (size_t i = 0; i < machine->device_count; i++) {
		const struct axarch_device *device = &machine->devices[i];

		if (device->kind != AXARCH_DEVICE_VIRTIO_MMIO)
			continue;
		snprintf(path, sizeof(path), "/virtio_mmio@%llx", (unsigned long long)device->gpa);
		axfdt_set_string(fdt, path, "compatible", "virtio,mmio");
		put_reg(fdt, path, device->gpa, device->size_bytes);
		put_line(fdt, info, path, device->gsi);
		axfdt_set_empty(fdt, path, "dma-coherent");
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int make_tree(const struct rv64_boot_info *info, struct axfdt **ret_fdt,
		     struct ax_error *err)
{
	struct axfdt *fdt = NULL;
	int rc = axfdt_create(&fdt, err);

	if (rc < 0)
		return rc;
	axfdt_set_string(fdt, "/", "compatible", "linux,dummy-virt");
	axfdt_set_string(fdt, "/", "model", "AxVM");
	axfdt_set_u32(fdt, "/", "#address-cells", 2);
	axfdt_set_u32(fdt, "/", "#size-cells", 2);
	rv64_tree_cpus(fdt, info);
	rv64_tree_irqchip(fdt, info);
	put_platform(fdt, info);
	put_virtio(fdt, info);
	*ret_fdt = fdt;
	return 0;
}

static int given_tree(const struct rv64_boot_info *info, struct axfdt **ret_fdt,
		      struct ax_error *err)
{
	uint64_t ids[RV64_MAX_VCPUS];
	int rc = axfdt_load(info->boot->dtb_fd, info->boot->dtb_name, ret_fdt, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < info->config->vcpu_count; i++)
		ids[i] = rv64_hart_id(info->config, i);
	axfdt_keep_cpus(*ret_fdt, ids, info->config->vcpu_count);
	return 0;
}

static void put_memory_and_chosen(struct axfdt *fdt, const struct rv64_boot_info *info,
				  const char *cmdline, uint64_t initrd_gpa, uint64_t initrd_bytes)
{
	struct axfdt_range memory[AXARCH_MAX_MEMORY_RANGES];
	char buf[40];

	for (size_t i = 0; i < info->plan->memory_count; i++)
		memory[i] = (struct axfdt_range){info->plan->memory[i].gpa,
						 info->plan->memory[i].size_bytes};
	axfdt_set_memory(fdt, memory, info->plan->memory_count);
	const struct axfdt_chosen chosen = {
		.cmdline = cmdline,
		.initrd = {initrd_gpa, initrd_bytes},
		.seed = info->seed,
		.seed_bytes = info->seed ? info->seed_bytes : 0,
		/* A given tree knows its console itself. */
		.stdout_path = info->boot->dtb_name ? NULL : serial_path(info, buf),
	};
	axfdt_set_chosen(fdt, &chosen);
}

int rv64_write_tree(struct axas *memory, const struct rv64_boot_info *info, const char *cmdline,
		    uint64_t initrd_gpa, uint64_t initrd_bytes, struct ax_error *err)
{
	struct axfdt *fdt = NULL;
	int rc = info->boot->dtb_name ? given_tree(info, &fdt, err) : make_tree(info, &fdt, err);

	if (rc < 0)
		return rc;
	put_memory_and_chosen(fdt, info, cmdline, initrd_gpa, initrd_bytes);
	rc = axfdt_write(fdt, memory, rv64_dtb_gpa(info->plan), RV64_DTB_SIZE, err);
	axfdt_destroy(fdt);
	return rc;
}
