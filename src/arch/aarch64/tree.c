/*
 * What only an aarch64 machine has in its device tree: CPUs, PSCI, interrupt controller, timer, a
 * PL011 and a PL031. The rest is ../tree.c's. Bindings: Linux' Documentation/devicetree/bindings.
 */
#include "aarch64.h"
#include "../tree.h"

#include <stdio.h>

enum { PHANDLE_GIC = 1, PHANDLE_CLOCK = 2 };
enum { INTERRUPT_SPI = 0, INTERRUPT_PPI = 1 };
enum { TRIGGER_EDGE_RISING = 1, TRIGGER_LEVEL_HIGH = 4 };

#define CLOCK_HZ 24000000u /* of the PrimeCells */

static bool has_lines(const struct a64_boot_info *info)
{
	return info->config->irq_mode != AXARCH_IRQ_NONE;
}

static void put_spi(struct axfdt *fdt, const struct a64_boot_info *info, const char *path,
		    uint32_t gsi, uint32_t trigger)
{
	if (has_lines(info))
		axfdt_set_cells(fdt, path, "interrupts",
				(const uint32_t[]){INTERRUPT_SPI, gsi, trigger}, 3);
}

void a64_put_edge(struct axfdt *fdt, const void *info, const char *path, uint32_t gsi)
{
	put_spi(fdt, info, path, gsi, TRIGGER_EDGE_RISING);
}

/* GICv2 has the CPUs that a private interrupt goes to in bits 15:8; GICv3 has nothing there. */
static uint32_t ppi_flags(const struct a64_boot_info *info)
{
	if (info->gic_version != 2)
		return TRIGGER_LEVEL_HIGH;
	return TRIGGER_LEVEL_HIGH | ((1u << info->config->vcpu_count) - 1) << 8;
}

static void put_cpus(struct axfdt *fdt, const struct a64_boot_info *info)
{
	char path[40];

	axfdt_set_u32(fdt, "/cpus", "#address-cells", 1);
	axfdt_set_u32(fdt, "/cpus", "#size-cells", 0);
	axarch_tree_begin_cpus(fdt, info->config);
	for (uint32_t i = 0; i < info->config->vcpu_count; i++) {
		const uint32_t mpidr = (uint32_t)a64_mpidr(i);

		snprintf(path, sizeof(path), "/cpus/cpu@%x", mpidr);
		axfdt_set_string(fdt, path, "device_type", "cpu");
		axfdt_set_string(fdt, path, "compatible", "arm,armv8");
		axfdt_set_u32(fdt, path, "reg", mpidr);
		axfdt_set_string(fdt, path, "enable-method", "psci");
		axarch_tree_put_cpu(fdt, info->config, path, i);
	}
	axfdt_set_strings(fdt, "/psci", "compatible", "arm,psci-1.0\0arm,psci-0.2\0");
	axfdt_set_string(fdt, "/psci", "method", "hvc");
}

static void put_gic(struct axfdt *fdt, const struct a64_boot_info *info)
{
	char path[40];

	snprintf(path, sizeof(path), "/interrupt-controller@%llx", A64_GICD_GPA);
	axfdt_set_string(fdt, path, "compatible",
			 info->gic_version == 2 ? "arm,gic-400" : "arm,gic-v3");
	axfdt_set_empty(fdt, path, "interrupt-controller");
	axfdt_set_u32(fdt, path, "#interrupt-cells", 3);
	axfdt_set_u32(fdt, path, "#address-cells", 0);
	if (info->gic_version == 2)
		axfdt_set_u64s(
			fdt, path, "reg",
			(const uint64_t[]){A64_GICD_GPA, 0x1000, A64_GICC_GPA, A64_GICC_SIZE}, 4);
	else
		axfdt_set_u64s(fdt, path, "reg",
			       (const uint64_t[]){A64_GICD_GPA, A64_GICD_SIZE, A64_GICR_GPA,
						  info->config->vcpu_count * A64_GICR_SIZE},
			       4);
	axfdt_set_u32(fdt, path, "phandle", PHANDLE_GIC);
	axfdt_set_u32(fdt, "/", "interrupt-parent", PHANDLE_GIC);
}

/* A GICv3 has a redistributor for each CPU (arm,gic-v3.yaml); a GICv2 is what it is. */
uint32_t a64_given_room(const struct axfdt *fdt, const void *ctx)
{
	struct axfdt_range ranges[16];
	char path[256];
	uint64_t room = 0;

	(void)ctx;
	if (!axfdt_find_compatible(fdt, "arm,gic-v3", path, sizeof(path)))
		return UINT32_MAX;
	const uint32_t regions = axfdt_get_u32(fdt, path, "#redistributor-regions", 1);
	const size_t count = axfdt_get_ranges(fdt, path, ranges, AX_ARRAY_LEN(ranges));
	if (regions >= AX_ARRAY_LEN(ranges) || count <= regions)
		return UINT32_MAX;
	for (uint32_t i = 1; i <= regions; i++)
		room += ranges[i].size_bytes / A64_GICR_SIZE;
	return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

/* Wired to the GIC inside KVM: the timer of each CPU and its PMU. */
static void put_private_interrupts(struct axfdt *fdt, const struct a64_boot_info *info)
{
	static const uint32_t timers[] = {A64_PPI_TIMER_SECURE, A64_PPI_TIMER_PHYS,
					  A64_PPI_TIMER_VIRT, A64_PPI_TIMER_HYP};
	const uint32_t flags = ppi_flags(info);
	uint32_t cells[3 * AX_ARRAY_LEN(timers)];

	for (size_t i = 0; i < AX_ARRAY_LEN(timers); i++) {
		cells[3 * i] = INTERRUPT_PPI;
		cells[3 * i + 1] = timers[i];
		cells[3 * i + 2] = flags;
	}
	axfdt_set_string(fdt, "/timer", "compatible", "arm,armv8-timer");
	axfdt_set_cells(fdt, "/timer", "interrupts", cells, AX_ARRAY_LEN(cells));
	axfdt_set_empty(fdt, "/timer", "always-on"); /* it counts while a CPU sleeps */
	if (!info->has_pmu)
		return;
	axfdt_set_string(fdt, "/pmu", "compatible", "arm,armv8-pmuv3");
	axfdt_set_cells(fdt, "/pmu", "interrupts",
			(const uint32_t[]){INTERRUPT_PPI, A64_PPI_PMU, flags}, 3);
}

/* ---- devices --------------------------------------------------------------------------------- */

static void put_clock(struct axfdt *fdt)
{
	axfdt_set_string(fdt, "/apb-pclk", "compatible", "fixed-clock");
	axfdt_set_u32(fdt, "/apb-pclk", "#clock-cells", 0);
	axfdt_set_u32(fdt, "/apb-pclk", "clock-frequency", CLOCK_HZ);
	axfdt_set_u32(fdt, "/apb-pclk", "phandle", PHANDLE_CLOCK);
}

static void put_serial(struct axfdt *fdt, const struct a64_boot_info *info)
{
	char path[AXARCH_TREE_PATH_MAX];

	if (info->config->uart == AXARCH_UART_16550) {
		axarch_tree_put_16550(fdt, path, A64_UART_GPA);
		a64_put_edge(fdt, info, path, A64_UART_GSI);
		return;
	}
	axarch_tree_put_device(fdt, path, "serial", "arm,pl011\0arm,primecell\0", A64_UART_GPA,
			       0x1000);
	axfdt_set_cells(fdt, path, "clocks", (const uint32_t[]){PHANDLE_CLOCK, PHANDLE_CLOCK}, 2);
	axfdt_set_strings(fdt, path, "clock-names", "uartclk\0apb_pclk\0");
	put_spi(fdt, info, path, A64_UART_GSI, TRIGGER_LEVEL_HIGH);
}

static void put_rtc(struct axfdt *fdt, const struct a64_boot_info *info)
{
	char path[AXARCH_TREE_PATH_MAX];

	axarch_tree_put_device(fdt, path, "rtc", "arm,pl031\0arm,primecell\0", A64_RTC_GPA, 0x1000);
	axfdt_set_u32(fdt, path, "clocks", PHANDLE_CLOCK);
	axfdt_set_string(fdt, path, "clock-names", "apb_pclk");
	put_spi(fdt, info, path, A64_RTC_GSI, TRIGGER_LEVEL_HIGH);
}

void a64_put_nodes(struct axfdt *fdt, const void *ctx)
{
	const struct a64_boot_info *info = ctx;

	put_cpus(fdt, info);
	if (has_lines(info)) {
		put_gic(fdt, info);
		put_private_interrupts(fdt, info);
	}
	put_clock(fdt);
	if (info->machine->has_serial)
		put_serial(fdt, info);
	put_rtc(fdt, info);
}
