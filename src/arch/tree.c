/*
 * The device tree of a machine: what all that have one say of devices, memory and chosen; or a
 * given tree with memory, cpus and chosen replaced. The blob itself is axvm/fdt.h's. Bindings:
 * Linux' Documentation/devicetree/bindings.
 */
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define UART_CLOCK_HZ 1843200u /* of the 16550 */

void axarch_tree_put_device(struct axfdt *fdt, char path[AXARCH_TREE_PATH_MAX], const char *name,
			    const char *compatible, uint64_t gpa, uint64_t size_bytes)
{
	snprintf(path, AXARCH_TREE_PATH_MAX, "/%s@%llx", name, (unsigned long long)gpa);
	axfdt_set_strings(fdt, path, "compatible", compatible);
	axfdt_set_u64s(fdt, path, "reg", (const uint64_t[]){gpa, size_bytes}, 2);
}

void axarch_tree_put_16550(struct axfdt *fdt, char path[AXARCH_TREE_PATH_MAX], uint64_t gpa)
{
	axarch_tree_put_device(fdt, path, "serial", "ns16550a\0", gpa, 0x1000);
	axfdt_set_u32(fdt, path, "clock-frequency", UART_CLOCK_HZ);
}

static void put_pvpanic(struct axfdt *fdt, const struct axarch_tree_machine *m)
{
	char path[AXARCH_TREE_PATH_MAX];

	axarch_tree_put_device(fdt, path, "pvpanic", "qemu,pvpanic-mmio\0", m->pvpanic_gpa, 2);
}

static void put_virtio(struct axfdt *fdt, const struct axarch_tree_machine *m)
{
	const struct axarch_machine *machine = m->machine;
	char path[AXARCH_TREE_PATH_MAX];

	/* AUTO means the tables. */
	if (machine->announce && !(machine->announce & AXARCH_ANNOUNCE_TABLES))
		return;
	for (size_t i = 0; i < machine->device_count; i++) {
		const struct axarch_device *device = &machine->devices[i];

		if (device->kind != AXARCH_DEVICE_VIRTIO_MMIO)
			continue;
		axarch_tree_put_device(fdt, path, "virtio_mmio", "virtio,mmio\0", device->gpa,
				       device->size_bytes);
		m->put_edge(fdt, m->info, path, device->gsi);
		axfdt_set_empty(fdt, path, "dma-coherent");
	}
}

static int make_tree(const struct axarch_tree_machine *m, struct axfdt **ret_fdt,
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
	m->put_nodes(fdt, m->info);
	put_pvpanic(fdt, m);
	put_virtio(fdt, m);
	*ret_fdt = fdt;
	return 0;
}

static int given_tree(const struct axarch_tree_machine *m, struct axfdt **ret_fdt,
		      struct ax_error *err)
{
	const uint32_t count = m->config->vcpu_count;

	/* Whose CPUs have caches and a map of their own. */
	if (m->config->topology) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, ENOTSUP,
			     "dtb '%s': a given device tree is not told of nodes, packages and "
			     "cores",
			     m->boot->dtb_name);
		return ax_error_hint(err, "leave --dtb or the topology out");
	}
	AX_AUTO_FREE uint64_t *ids = calloc(count, sizeof(*ids));

	if (!ids)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a device tree");
	for (uint32_t i = 0; i < count; i++)
		ids[i] = m->cpu_id(m->info, i);
	int rc = axfdt_load(m->boot->dtb_fd, m->boot->dtb_name, ret_fdt, err);
	if (rc < 0)
		return rc;
	const uint32_t room = m->given_room(*ret_fdt, m->info);
	if (room < count) {
		axfdt_destroy(*ret_fdt);
		*ret_fdt = NULL;
		ax_error_set(err, AX_ERROR_BOOT_IMAGE, ERANGE,
			     "dtb '%s': its interrupt controller serves %u of the %u CPUs",
			     m->boot->dtb_name, room, count);
		return ax_error_hint(err, "lower --cpus, or give the tree of a larger machine");
	}
	axfdt_keep_cpus(*ret_fdt, ids, count);
	return 0;
}

static void put_memory_and_chosen(struct axfdt *fdt, const struct axarch_tree_machine *m,
				  const char *cmdline, uint64_t initrd_gpa, uint64_t initrd_bytes)
{
	/* A given tree knows its console itself. */
	const bool has_stdout = !m->boot->dtb_name && m->machine->has_serial;
	struct axfdt_range memory[AXARCH_MAX_MEMORY_RANGES];
	char path[AXARCH_TREE_PATH_MAX];

	for (size_t i = 0; i < m->plan->memory_count; i++)
		memory[i] =
			(struct axfdt_range){m->plan->memory[i].gpa, m->plan->memory[i].size_bytes};
	axfdt_set_memory(fdt, memory, m->plan->memory_count);
	axarch_tree_put_topology(fdt, m);
	snprintf(path, sizeof(path), "/serial@%llx", (unsigned long long)m->serial_gpa);
	const struct axfdt_chosen chosen = {
		.cmdline = cmdline,
		.initrd = {initrd_gpa, initrd_bytes},
		.seed = m->seed,
		.seed_bytes = m->seed ? m->seed_bytes : 0,
		.stdout_path = has_stdout ? path : NULL,
	};
	axfdt_set_chosen(fdt, &chosen);
	if (m->kaslr_seed)
		axfdt_set_bytes(fdt, "/chosen", "kaslr-seed", m->kaslr_seed, sizeof(uint64_t));
}

int axarch_tree_write(struct axas *memory, const struct axarch_tree_machine *m, const char *cmdline,
		      uint64_t initrd_gpa, uint64_t initrd_bytes, struct ax_error *err)
{
	struct axfdt *fdt = NULL;
	int rc = m->boot->dtb_name ? given_tree(m, &fdt, err) : make_tree(m, &fdt, err);

	if (rc < 0)
		return rc;
	put_memory_and_chosen(fdt, m, cmdline, initrd_gpa, initrd_bytes);
	rc = axfdt_write(fdt, memory, m->dtb_gpa, m->dtb_size, err);
	axfdt_destroy(fdt);
	return rc;
}
