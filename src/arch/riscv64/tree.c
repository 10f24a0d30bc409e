/*
 * What only a riscv64 machine has in its device tree, but for CPUs and interrupt controllers, which
 * are tree_cpus.c's: its serial port, and how a device names its interrupt. The rest is
 * ../tree.c's. Bindings: Linux' Documentation/devicetree/bindings.
 */
#include "riscv64.h"
#include "../tree.h"

enum { TRIGGER_EDGE_RISING = 1 };

/* A PLIC is told no trigger: it takes an edge as it takes a level. */
void rv64_put_edge(struct axfdt *fdt, const void *ctx, const char *path, uint32_t gsi)
{
	const struct rv64_boot_info *info = ctx;
	const uint32_t cells[] = {gsi, TRIGGER_EDGE_RISING};

	if (info->irqchip == RV64_IRQCHIP_NONE)
		return;
	/* Not at the root: Linux would take it for the parent of the harts' own controllers. */
	axfdt_set_u32(fdt, path, "interrupt-parent", RV64_PHANDLE_IRQCHIP);
	axfdt_set_cells(fdt, path, "interrupts", cells, info->irqchip == RV64_IRQCHIP_AIA ? 2 : 1);
}

void rv64_put_nodes(struct axfdt *fdt, const void *ctx)
{
	const struct rv64_boot_info *info = ctx;
	char path[AXARCH_TREE_PATH_MAX];

	rv64_tree_cpus(fdt, info);
	rv64_tree_irqchip(fdt, info);
	if (!info->machine->has_serial)
		return;
	axarch_tree_put_16550(fdt, path, RV64_UART_GPA);
	rv64_put_edge(fdt, info, path, RV64_UART_GSI);
}
