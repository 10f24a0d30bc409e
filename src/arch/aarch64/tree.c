/*
 * The device tree of an aarch64 machine: CPUs, PSCI, interrupt controller, timer, and the devices
 * at their addresses; or a given tree with memory, cpus and chosen replaced. The blob itself is
 * axvm/fdt.h's. Bindings: Linux' Documentation/devicetree/bindings.
 */
#include "aarch64.h"

#include <axvm/fdt.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PHANDLE_GIC = 1, PHANDLE_CLOCK = 2 };
enum { INTERRUPT_SPI = 0, INTERRUPT_PPI = 1 };
enum { TRIGGER_EDGE_RISING = 1, TRIGGER_LEVEL_HIGH = 4 };

#define CLOCK_HZ      24000000u /* of the PrimeCells */
#define UART_CLOCK_HZ 1843200u  /* of the 16550 */

static bool has_lines(const struct a64_boot_info *info)
{
	return info->config->irq_mode != AXARCH_IRQ_NONE;
}

static void put_reg(struct axfdt *fdt, const char *path, uint64_t gpa, uint64_t size_bytes)
{
	axfdt_set_u64s(fdt, path, "reg", (const uint64_t[]){gpa, size_bytes}, 2);
}

static void put_spi(struct axfdt *fdt, const struct a64_boot_info *info, const char *path,
		    uint32_t gsi, uint32_t trigger)
{
	if (has_lines(info))
		axfdt_set_cells(fdt, path, "interrupts",
				(const uint32_t[]){INTERRUPT_SPI, gsi, trigger}, 3);
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
	for (uint32_t i = 0; i < info->config->vcpu_count; i++) {
		const uint32_t mpidr = (uint32_t)a64_mpidr(i);

		snprintf(path, sizeof(path), "/cpus/cpu@%x", mpidr);
		axfdt_set_string(fdt, path, "device_type", "cpu");
		axfdt_set_string(fdt, path, "compatible", "arm,armv8");
		axfdt_set_u32(fdt, path, "reg", mpidr);
		axfdt_set_string(fdt, path, "enable-method", "psci");
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

static const char *serial_path(const struct a64_boot_info *info, char buf[40])
{
	snprintf(buf, 40, "/serial@%llx", A64_UART_GPA);
	return info->machine->has_serial ? buf : NULL;
}

static void put_serial(struct axfdt *fdt, const struct a64_boot_info *info)
{
	char buf[40];
	const char *path = serial_path(info, buf);

	if (!path)
		return;
	put_reg(fdt, path, A64_UART_GPA, 0x1000);
	if (info->config->uart == AXARCH_UART_16550) {
		axfdt_set_string(fdt, path, "compatible", "ns16550a");
		axfdt_set_u32(fdt, path, "clock-frequency", UART_CLOCK_HZ);
		put_spi(fdt, info, path, A64_UART_GSI, TRIGGER_EDGE_RISING);
		return;
	}
	axfdt_set_strings(fdt, path, "compatible", "arm,pl011\0arm,primecell\0");
	axfdt_set_cells(fdt, path, "clocks", (const uint32_t[]){PHANDLE_CLOCK, PHANDLE_CLOCK}, 2);
	axfdt_set_strings(fdt, path, "clock-names", "uartclk\0apb_pclk\0");
	put_spi(fdt, info, path, A64_UART_GSI, TRIGGER_LEVEL_HIGH);
}

static void put_platform(struct axfdt *fdt, const struct a64_boot_info *info)
{
	char path[40];

	put_clock(fdt);
	put_serial(fdt, info);

	snprintf(path, sizeof(path), "/rtc@%llx", A64_RTC_GPA);
	axfdt_set_strings(fdt, path, "compatible", "arm,pl031\0arm,primecell\0");
	put_reg(fdt, path, A64_RTC_GPA, 0x1000);
	axfdt_set_u32(fdt, path, "clocks", PHANDLE_CLOCK);
	axfdt_set_string(fdt, path, "clock-names", "apb_pclk");
	put_spi(fdt, info, path, A64_RTC_GSI, TRIGGER_LEVEL_HIGH);

	snprintf(path, sizeof(path), "/pvpanic@%llx", A64_PVPANIC_GPA);
	axfdt_set_string(fdt, path, "compatible", "qemu,pvpanic-mmio");
	put_reg(fdt, path, A64_PVPANIC_GPA, 2);
}

static void put_virtio(struct axfdt *fdt, const struct a64_boot_info *info)
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
		put_spi(fdt, info, path, device->gsi, TRIGGER_EDGE_RISING);
		axfdt_set_empty(fdt, path, "dma-coherent");
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int make_tree(const struct a64_boot_info *info, struct axfdt **ret_fdt, struct ax_error *err)
{
	struct axfdt *fdt = NULL;
	int rc = axfdt_create(&fdt, err);

	if (rc < 0)
		return rc;
	axfdt_set_string(fdt, "/", "compatible", "linux,dummy-virt");
	axfdt_set_string(fdt, "/", "model", "AxVM");
	axfdt_set_u32(fdt, "/", "#address-cells", 2);
	axfdt_set_u32(fdt, "/", "#size-cells", 2);
	put_cpus(fdt, info);
	if (has_lines(info)) {
		put_gic(fdt, info);
		put_private_interrupts(fdt, info);
	}
	put_platform(fdt, info);
	put_virtio(fdt, info);
	*ret_fdt = fdt;
	return 0;
}

static int given_tree(const struct a64_boot_info *info, struct axfdt **ret_fdt,
		      struct ax_error *err)
{
	uint64_t ids[A64_MAX_VCPUS];
	int rc = axfdt_load(info->boot->dtb_fd, info->boot->dtb_name, ret_fdt, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < info->config->vcpu_count; i++)
		ids[i] = a64_mpidr(i);
	axfdt_keep_cpus(*ret_fdt, ids, info->config->vcpu_count);
	return 0;
}

static void put_memory_and_chosen(struct axfdt *fdt, const struct a64_boot_info *info,
				  const char *cmdline, uint64_t initrd_gpa, uint64_t initrd_bytes)
{
	const bool given = info->boot->dtb_name != NULL;
	const size_t kaslr = sizeof(uint64_t);
	const bool seeded = info->seed && info->seed_bytes > kaslr;
	struct axfdt_range memory[AXARCH_MAX_MEMORY_RANGES];
	char buf[40];

	for (size_t i = 0; i < info->plan->memory_count; i++)
		memory[i] = (struct axfdt_range){info->plan->memory[i].gpa,
						 info->plan->memory[i].size_bytes};
	axfdt_set_memory(fdt, memory, info->plan->memory_count);
	const struct axfdt_chosen chosen = {
		.cmdline = cmdline,
		.initrd = {initrd_gpa, initrd_bytes},
		.seed = seeded ? info->seed + kaslr : NULL,
		.seed_bytes = seeded ? info->seed_bytes - kaslr : 0,
		/* A given tree knows its console itself. */
		.stdout_path = given ? NULL : serial_path(info, buf),
	};
	axfdt_set_chosen(fdt, &chosen);
	if (seeded)
		axfdt_set_bytes(fdt, "/chosen", "kaslr-seed", info->seed, kaslr);
}

int a64_write_tree(struct axas *memory, const struct a64_boot_info *info, const char *cmdline,
		   uint64_t initrd_gpa, uint64_t initrd_bytes, struct ax_error *err)
{
	struct axfdt *fdt = NULL;
	int rc = info->boot->dtb_name ? given_tree(info, &fdt, err) : make_tree(info, &fdt, err);

	if (rc < 0)
		return rc;
	put_memory_and_chosen(fdt, info, cmdline, initrd_gpa, initrd_bytes);
	rc = axfdt_write(fdt, memory, A64_DTB_GPA, A64_DTB_SIZE, err);
	axfdt_destroy(fdt);
	return rc;
}
