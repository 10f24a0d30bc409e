/*
 * The device tree: each kind of machine as a golden source beside this file, compared as dtc reads
 * both, without a complaint of dtc's; and what is done to a given tree. AXVM_WRITE_GOLDEN=1 writes
 * the sources anew.
 */
#include "helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t seed[A64_SEED_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static void load(struct machine *m)
{
	struct a64_start start;

	machine_map(m);
	if (m->rig.boot.protocol == AXARCH_BOOT_FLAT)
		m->rig.boot.load_gpa = A64_RAM_GPA + (2ULL << 20);
	else
		machine_image(m, 0, 0x20000, 0xa);
	if (machine_load(m, &start) < 0)
		fail_msg("%s", m->rig.err.message);
}

static void gicv3(void **state)
{
	struct machine m;
	(void)state;

	machine_init(&m);
	m.info.has_pmu = true;
	m.info.seed = seed;
	m.info.seed_bytes = sizeof(seed);
	m.rig.config.vcpu_count = 18; /* more than a cluster */
	rig_initrd(&m.rig, AX_MIB);
	load(&m);
	assert_golden(machine_tree(&m), DATA_DIR "/gicv3.dts");
	rig_finish(&m.rig);
}

static void gicv2_and_16550(void **state)
{
	struct machine m;
	(void)state;

	machine_init(&m);
	m.rig.config.gic_version = m.info.gic_version = 2;
	m.rig.config.uart = AXARCH_UART_16550;
	m.info.has_pmu = true;
	load(&m);
	assert_golden(machine_tree(&m), DATA_DIR "/gicv2-16550.dts");
	rig_finish(&m.rig);
}

static void nothing_but_a_cpu(void **state)
{
	struct machine m;
	(void)state;

	machine_init(&m);
	m.rig.config.vcpu_count = 1;
	m.rig.config.irq_mode = AXARCH_IRQ_NONE;
	m.rig.boot.protocol = AXARCH_BOOT_FLAT;
	m.rig.devices = (struct axarch_machine){.device_count = 0};
	load(&m);
	assert_golden(machine_tree(&m), DATA_DIR "/bare.dts");
	rig_finish(&m.rig);
}

/* Two packages of unequal size on nodes 0 and 2, threads, and memory alone on node 1. */
static void nodes(void **state)
{
	static const uint64_t bytes[] = {256 * AX_MIB, 128 * AX_MIB, 128 * AX_MIB};
	static const uint32_t cpus[] = {2, 0, 0, 2, 0};
	static const uint8_t distances[] = {10, 20, 30, 21, 10, 31, 32, 22, 10};
	static const struct axarch_topology topology = {.node_count = 3,
							.node_bytes = bytes,
							.vcpu_nodes = cpus,
							.distances = distances,
							.threads_per_core = 2};
	static const char *const places[] = {
		"socket1/cluster0/core0/thread0", "socket0/cluster0/core0/thread0",
		"socket0/cluster0/core0/thread1", "socket1/cluster0/core0/thread1",
		"socket0/cluster0/core1/thread0"};
	static const uint64_t start[] = {0, 256 * AX_MIB, 384 * AX_MIB};
	struct machine m;
	size_t size = 0;
	char path[80];
	(void)state;

	machine_init(&m);
	m.rig.config.vcpu_count = 5;
	m.rig.config.topology = &topology;
	load(&m);
	struct axfdt *fdt = machine_tree(&m);
	for (uint32_t i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/cpus/cpu@%x", i);
		const uint32_t phandle = cell_at(fdt, path, "phandle", 0);
		assert_int_equal(cell_at(fdt, path, "numa-node-id", 0), cpus[i]);
		/* Packages share a cache, and no two the same. */
		assert_int_equal(cell_at(fdt, path, "next-level-cache", 0),
				 cell_at(fdt, cpus[i] ? "/cpus/l2-cache1" : "/cpus/l2-cache0",
					 "phandle", 0));
		snprintf(path, sizeof(path), "/cpus/cpu-map/%s", places[i]);
		assert_int_equal(cell_at(fdt, path, "cpu", 0), phandle);
	}
	assert_int_not_equal(cell_at(fdt, "/cpus/l2-cache0", "phandle", 0),
			     cell_at(fdt, "/cpus/l2-cache1", "phandle", 0));
	assert_int_equal(cell_at(fdt, "/cpus/l2-cache1", "cache-level", 0), 2);
	assert_false(axfdt_has(fdt, "/cpus/cpu-map/socket2"));
	assert_false(axfdt_has(fdt, "/cpus/cpu-map/socket1/cluster0/core1"));
	for (uint32_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/memory@%llx", A64_RAM_GPA + start[i]);
		assert_int_equal(cells_at(fdt, path, "reg", 0), A64_RAM_GPA + start[i]);
		assert_int_equal(cells_at(fdt, path, "reg", 1), bytes[i]);
		assert_int_equal(cell_at(fdt, path, "numa-node-id", 0), i);
	}
	assert_text(fdt, "/distance-map", "compatible", "numa-distance-map-v1");
	assert_non_null(axfdt_get(fdt, "/distance-map", "distance-matrix", &size));
	assert_int_equal(size, 9 * 3 * 4);
	for (uint32_t i = 0; i < 9; i++) {
		assert_int_equal(cell_at(fdt, "/distance-map", "distance-matrix", 3 * i), i / 3);
		assert_int_equal(cell_at(fdt, "/distance-map", "distance-matrix", 3 * i + 1),
				 i % 3);
		assert_int_equal(cell_at(fdt, "/distance-map", "distance-matrix", 3 * i + 2),
				 distances[i]);
	}
	assert_golden(fdt, DATA_DIR "/nodes.dts");
	rig_finish(&m.rig);
}

/* One package is told as a cluster, a core alone as a leaf; and no nodes where there are none. */
static void cores_alone(void **state)
{
	static const struct axarch_topology topology = {.threads_per_core = 1};
	struct machine m;
	size_t size = 0;
	(void)state;

	machine_init(&m);
	m.rig.config.topology = &topology;
	load(&m);
	struct axfdt *fdt = machine_tree(&m);
	assert_int_equal(cell_at(fdt, "/cpus/cpu-map/cluster0/core1", "cpu", 0),
			 cell_at(fdt, "/cpus/cpu@1", "phandle", 0));
	assert_false(axfdt_has(fdt, "/cpus/cpu-map/cluster0/core1/thread0"));
	assert_false(axfdt_has(fdt, "/cpus/cpu-map/socket0"));
	assert_false(axfdt_has(fdt, "/distance-map"));
	assert_null(axfdt_get(fdt, "/cpus/cpu@1", "numa-node-id", &size));
	assert_null(axfdt_get(fdt, "/memory@40000000", "numa-node-id", &size));
	axfdt_destroy(fdt);
	rig_finish(&m.rig);
}

/* What Linux takes from it, without dtc. */
static void what_it_says(void **state)
{
	struct machine m;
	size_t size = 0;
	(void)state;

	machine_init(&m);
	m.rig.devices.device_count = A64_VIRTIO_SLOTS;
	m.rig.config.vcpu_count = A64_MAX_VCPUS;
	load(&m);
	struct axfdt *fdt = machine_tree(&m);
	assert_text(fdt, "/psci", "method", "hvc");
	assert_text(fdt, "/chosen", "stdout-path", "/serial@9000000");
	assert_text(fdt, "/chosen", "bootargs", "panic=-1");
	assert_int_equal(cell_at(fdt, "/cpus/cpu@1f0f", "reg", 0), 0x1f0f);
	assert_null(axfdt_get(fdt, "/chosen", "rng-seed", &size));
	assert_false(axfdt_has(fdt, "/pmu"));
	assert_int_equal(cells_at(fdt, "/memory@40000000", "reg", 0), A64_RAM_GPA);
	assert_int_equal(cells_at(fdt, "/memory@40000000", "reg", 1), 512 * AX_MIB);
	for (uint32_t i = 0; i < A64_VIRTIO_SLOTS; i++) {
		char path[40];
		snprintf(path, sizeof(path), "/virtio_mmio@%x", 0xa000000 + i * 0x1000);
		assert_int_equal(cell_at(fdt, path, "interrupts", 0), 0);
		assert_int_equal(cell_at(fdt, path, "interrupts", 1), 16 + i);
		assert_int_equal(cell_at(fdt, path, "interrupts", 2), 1);
		assert_non_null(axfdt_get(fdt, path, "dma-coherent", &size));
	}
	axfdt_destroy(fdt);

	m.rig.devices.has_serial = false;
	struct a64_start start;
	assert_int_equal(machine_load(&m, &start), 0);
	fdt = machine_tree(&m);
	assert_false(axfdt_has(fdt, "/serial@9000000"));
	assert_null(axfdt_get(fdt, "/chosen", "stdout-path", &size));
	axfdt_destroy(fdt);
	rig_finish(&m.rig);
}

static void given_tree(void **state)
{
	static const char source[] =
		"/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; compatible = \"a,board\";"
		"memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x1000>; };"
		"cpus { #address-cells = <1>; #size-cells = <0>;"
		"cpu@7 { device_type = \"cpu\"; compatible = \"arm,cortex-a72\"; reg = <7>; }; };"
		"chosen { stdout-path = \"/its\"; bootargs = \"old\"; }; its { }; };";
	size_t size = 0;
	char *blob = run_dtc("dts", "dtb", source, sizeof(source) - 1, &size);
	struct machine m;
	(void)state;

	machine_init(&m);
	m.rig.boot.dtb_name = "board.dtb";
	m.rig.boot.dtb_fd = file_of(blob, size);
	load(&m);
	struct axfdt *fdt = machine_tree(&m);
	assert_text(fdt, "/", "compatible", "a,board");
	assert_false(axfdt_has(fdt, "/memory@80000000"));
	assert_int_equal(cells_at(fdt, "/memory@40000000", "reg", 0), A64_RAM_GPA);
	assert_int_equal(cell_at(fdt, "/cpus/cpu@0", "reg", 0), 0);
	assert_int_equal(cell_at(fdt, "/cpus/cpu@1", "reg", 0), 1);
	assert_text(fdt, "/cpus/cpu@1", "compatible", "arm,cortex-a72");
	assert_false(axfdt_has(fdt, "/cpus/cpu@7"));
	assert_text(fdt, "/chosen", "stdout-path", "/its");
	assert_text(fdt, "/chosen", "bootargs", "panic=-1");
	assert_false(axfdt_has(fdt, "/psci")); /* nothing of ours */
	axfdt_destroy(fdt);

	struct a64_start start;
	static const struct axarch_topology topology = {.threads_per_core = 1};
	m.rig.config.topology = &topology;
	assert_refused(&m, AX_ERROR_CONFIGURATION, "board.dtb");
	m.rig.config.topology = NULL;
	close(m.rig.boot.dtb_fd);
	m.rig.boot.dtb_fd = file_of(blob, size / 2);
	assert_true(machine_load(&m, &start) < 0);
	assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, "board.dtb");
	free(blob);
	rig_finish(&m.rig);
}

/* Two CPUs, and trees whose GICv3 has redistributors for some. */
static void given_gic(void **state)
{
	static const struct {
		const char *gic;
		const char *refusal; /* NULL: taken */
	} rows[] = {
		{"compatible = \"arm,gic-v3\"; reg = <0 0x8000000 0 0x10000>, <0 0x80a0000 0 "
		 "0x40000>;",
		 NULL},
		{"compatible = \"arm,gic-v3\"; reg = <0 0x8000000 0 0x10000>, <0 0x80a0000 0 "
		 "0x20000>;",
		 "'board.dtb': its interrupt controller serves 1 of the 2 CPUs"},
		{"compatible = \"its\", \"arm,gic-v3\"; #redistributor-regions = <2>; reg = "
		 "<0 0x8000000 0 0x10000>, <0 0x80a0000 0 0x20000>, <0 0x90a0000 0 0x20000>;",
		 NULL},
		/* The second is no redistributor: that of a GICv2's CPU interface. */
		{"compatible = \"arm,gic-v3\"; reg = "
		 "<0 0x8000000 0 0x10000>, <0 0x80a0000 0 0x20000>, <0 0x90a0000 0 0x20000>;",
		 "serves 1 of the 2"},
		/* What cannot be read is the guest's affair. */
		{"compatible = \"arm,gic-v3\"; reg = <0 0x8000000 0>;", NULL},
		{"compatible = \"arm,gic-v3\"; reg = <0 0x8000000 0 0x10000>;", NULL},
		{"compatible = \"arm,gic-v3\"; #redistributor-regions = <9999>; reg = "
		 "<0 0x8000000 0 0x10000>, <0 0x80a0000 0 0x20000>;",
		 NULL},
		{"compatible = \"arm,gic-v3\";", NULL},
		{"compatible = \"arm,gic-400\"; reg = <0 0x8000000 0 0x1000>, <0 0x8010000 0 "
		 "0x2000>;",
		 NULL},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		char source[1024];
		size_t size = 0;
		struct machine m;

		snprintf(source, sizeof(source),
			 "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"
			 "cpus { #address-cells = <1>; #size-cells = <0>;"
			 "cpu@0 { device_type = \"cpu\"; reg = <0>; }; }; gic@8000000 { %s }; };",
			 rows[i].gic);
		char *blob = run_dtc("dts", "dtb", source, strlen(source), &size);
		machine_init(&m);
		m.rig.boot.dtb_name = "board.dtb";
		m.rig.boot.dtb_fd = file_of(blob, size);
		if (rows[i].refusal) {
			machine_map(&m);
			machine_image(&m, 0, 0x20000, 0xa);
			assert_refused(&m, AX_ERROR_BOOT_IMAGE, rows[i].refusal);
		} else {
			load(&m);
		}
		free(blob);
		rig_finish(&m.rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gicv3),
		cmocka_unit_test(gicv2_and_16550),
		cmocka_unit_test(nothing_but_a_cpu),
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(nodes),
		cmocka_unit_test(cores_alone),
		cmocka_unit_test(given_tree),
		cmocka_unit_test(given_gic),
	};
	return cmocka_run_group_tests_name("aarch64-tree", tests, NULL, NULL);
}
