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

static const uint8_t seed[RV64_SEED_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static void load(struct machine *m)
{
	struct rv64_start start;

	machine_map(m);
	if (m->rig.boot.protocol == AXARCH_BOOT_FLAT)
		m->rig.boot.load_gpa = RV64_RAM_GPA + (2ULL << 20);
	else
		machine_image(m, 0x200000, 0x20000, 0);
	if (machine_load(m, &start) < 0)
		fail_msg("%s", m->rig.err.message);
}

static void plic(void **state)
{
	static const uint32_t harts[] = {0, 1, 16};
	struct machine m;
	(void)state;

	machine_init(&m);
	m.info.seed = seed;
	m.info.seed_bytes = sizeof(seed);
	m.rig.config.vcpu_count = 3;
	m.rig.config.hardware_ids = harts;
	rig_initrd(&m.rig, AX_MIB);
	load(&m);
	assert_golden(machine_tree(&m), DATA_DIR "/plic.dts");
	rig_finish(&m.rig);
}

static void aia(void **state)
{
	struct machine m;
	(void)state;

	machine_init(&m);
	m.info.irqchip = RV64_IRQCHIP_AIA;
	rv64_hart_add(&m.hart, RV64_EXT_SSAIA);
	rv64_hart_add(&m.hart, RV64_EXT_ZICBOM);
	rv64_hart_add(&m.hart, RV64_EXT_ZICBOZ);
	m.hart.cbom_bytes = m.hart.cboz_bytes = 64;
	load(&m);
	assert_golden(machine_tree(&m), DATA_DIR "/aia.dts");
	rig_finish(&m.rig);
}

static void nothing_but_a_hart(void **state)
{
	struct machine m;
	(void)state;

	machine_init(&m);
	m.rig.config.vcpu_count = 1;
	m.rig.config.irq_mode = AXARCH_IRQ_NONE;
	m.info.irqchip = RV64_IRQCHIP_NONE;
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
		/* Caches are all told of, or none (Linux finds fault with one that has no size). */
		assert_null(axfdt_get(fdt, path, "next-level-cache", &size));
		snprintf(path, sizeof(path), "/cpus/cpu-map/%s", places[i]);
		assert_int_equal(cell_at(fdt, path, "cpu", 0), phandle);
	}
	assert_false(axfdt_has(fdt, "/cpus/cpu-map/socket2"));
	assert_false(axfdt_has(fdt, "/cpus/cpu-map/socket1/cluster0/core1"));
	for (uint32_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/memory@%llx", RV64_RAM_GPA + start[i]);
		assert_int_equal(cells_at(fdt, path, "reg", 0), RV64_RAM_GPA + start[i]);
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

/* As many CPUs as there may be: there is room for the map. */
static void map_of_many(void **state)
{
	static uint32_t packages[RV64_MAX_VCPUS];
	static const struct axarch_topology topology = {.threads_per_core = 2,
							.vcpu_packages = packages};
	struct machine m;
	(void)state;

	for (uint32_t i = 0; i < RV64_MAX_VCPUS; i++)
		packages[i] = i / 8;
	machine_init(&m);
	m.rig.config.vcpu_count = RV64_MAX_VCPUS;
	m.rig.config.topology = &topology;
	load(&m);
	struct axfdt *fdt = machine_tree(&m);
	assert_int_equal(cell_at(fdt, "/cpus/cpu-map/socket127/cluster0/core3/thread1", "cpu", 0),
			 cell_at(fdt, "/cpus/cpu@3ff", "phandle", 0));
	axfdt_destroy(fdt);
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
	assert_null(axfdt_get(fdt, "/memory@80000000", "numa-node-id", &size));
	axfdt_destroy(fdt);
	rig_finish(&m.rig);
}

/* What Linux takes from it, without dtc. */
static void what_it_says(void **state)
{
	struct rv64_start start;
	struct machine m;
	size_t size = 0;
	(void)state;

	machine_init(&m);
	m.rig.devices.device_count = RV64_VIRTIO_SLOTS;
	m.rig.config.vcpu_count = 256;
	load(&m);
	struct axfdt *fdt = machine_tree(&m);
	assert_text(fdt, "/chosen", "stdout-path", "/serial@10000000");
	assert_text(fdt, "/chosen", "bootargs", "panic=-1");
	assert_int_equal(cell_at(fdt, "/cpus", "timebase-frequency", 0), 10000000);
	assert_int_equal(cell_at(fdt, "/cpus/cpu@ff", "reg", 0), 255);
	assert_text(fdt, "/cpus/cpu@ff", "mmu-type", "riscv,sv48");
	/* The last hart's context is the last of the PLIC. */
	assert_int_equal(cell_at(fdt, "/interrupt-controller@c000000", "interrupts-extended", 510),
			 cell_at(fdt, "/cpus/cpu@ff/interrupt-controller", "phandle", 0));
	assert_int_equal(cells_at(fdt, "/interrupt-controller@c000000", "reg", 1),
			 rv64_plic_size(256));
	assert_int_equal(cell_at(fdt, "/interrupt-controller@c000000", "riscv,ndev", 0), 63);
	assert_null(axfdt_get(fdt, "/chosen", "rng-seed", &size));
	assert_null(axfdt_get(fdt, "/", "interrupt-parent", &size));
	assert_int_equal(cells_at(fdt, "/memory@80000000", "reg", 0), RV64_RAM_GPA);
	assert_int_equal(cells_at(fdt, "/memory@80000000", "reg", 1), 512 * AX_MIB);
	for (uint32_t i = 0; i < RV64_VIRTIO_SLOTS; i++) {
		char path[40];
		snprintf(path, sizeof(path), "/virtio_mmio@%x", 0x10100000 + i * 0x1000);
		assert_int_equal(cell_at(fdt, path, "interrupts", 0), 16 + i);
		assert_int_equal(cell_at(fdt, path, "interrupt-parent", 0),
				 cell_at(fdt, "/interrupt-controller@c000000", "phandle", 0));
	}
	axfdt_destroy(fdt);

	m.rig.devices.has_serial = false;
	assert_int_equal(machine_load(&m, &start), 0);
	fdt = machine_tree(&m);
	assert_false(axfdt_has(fdt, "/serial@10000000"));
	assert_null(axfdt_get(fdt, "/chosen", "stdout-path", &size));
	axfdt_destroy(fdt);
	rig_finish(&m.rig);
}

static void given_tree(void **state)
{
	static const char source[] =
		"/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; compatible = \"a,board\";"
		"memory@40000000 { device_type = \"memory\"; reg = <0 0x40000000 0 0x1000>; };"
		"cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <7>;"
		"cpu@7 { device_type = \"cpu\"; compatible = \"a,hart\"; reg = <7>;"
		"interrupt-controller { #interrupt-cells = <1>; interrupt-controller;"
		"compatible = \"riscv,cpu-intc\"; phandle = <3>; }; }; };"
		"chosen { stdout-path = \"/its\"; bootargs = \"old\"; }; its { }; };";
	size_t size = 0;
	char *blob = run_dtc("dts", "dtb", source, sizeof(source) - 1, &size);
	struct rv64_start start;
	struct machine m;
	(void)state;

	machine_init(&m);
	m.rig.boot.dtb_name = "board.dtb";
	m.rig.boot.dtb_fd = file_of(blob, size);
	load(&m);
	struct axfdt *fdt = machine_tree(&m);
	assert_text(fdt, "/", "compatible", "a,board");
	assert_false(axfdt_has(fdt, "/memory@40000000"));
	assert_int_equal(cells_at(fdt, "/memory@80000000", "reg", 0), RV64_RAM_GPA);
	assert_int_equal(cell_at(fdt, "/cpus", "timebase-frequency", 0), 7);
	assert_int_equal(cell_at(fdt, "/cpus/cpu@0", "reg", 0), 0);
	assert_int_equal(cell_at(fdt, "/cpus/cpu@1", "reg", 0), 1);
	assert_text(fdt, "/cpus/cpu@1", "compatible", "a,hart");
	assert_true(axfdt_has(fdt, "/cpus/cpu@1/interrupt-controller"));
	assert_int_not_equal(cell_at(fdt, "/cpus/cpu@0/interrupt-controller", "phandle", 0),
			     cell_at(fdt, "/cpus/cpu@1/interrupt-controller", "phandle", 0));
	assert_false(axfdt_has(fdt, "/cpus/cpu@7"));
	assert_text(fdt, "/chosen", "stdout-path", "/its");
	assert_text(fdt, "/chosen", "bootargs", "panic=-1");
	assert_false(axfdt_has(fdt, "/interrupt-controller@c000000")); /* nothing of ours */
	axfdt_destroy(fdt);

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

/* Two harts, and trees whose controller names some. */
static void given_controller(void **state)
{
	static const struct {
		const char *node, *refusal; /* NULL: taken */
	} rows[] = {
		{"compatible = \"sifive,plic-1.0.0\"; interrupts-extended = <3 9 4 9>;", NULL},
		{"compatible = \"sifive,plic-1.0.0\"; interrupts-extended = <3 9>;",
		 "'board.dtb': its interrupt controller serves 1 of the 2 CPUs"},
		/* Machine mode's contexts are nobody's here. */
		{"compatible = \"riscv,plic0\"; interrupts-extended = <3 11 3 9>;", "serves 1"},
		{"compatible = \"riscv,imsics\"; interrupts-extended = <3 9>;", "serves 1"},
		{"compatible = \"riscv,imsics\"; interrupts-extended = <3>;", NULL},
		{"compatible = \"riscv,plic0\";", NULL},
		{"compatible = \"an,other\"; interrupts-extended = <3 9>;", NULL},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		char source[1024];
		struct rv64_start start;
		size_t size = 0;
		struct machine m;

		snprintf(source, sizeof(source),
			 "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"
			 "cpus { #address-cells = <1>; #size-cells = <0>;"
			 "cpu@0 { device_type = \"cpu\"; reg = <0>; }; }; irqchip { %s }; };",
			 rows[i].node);
		char *blob = run_dtc("dts", "dtb", source, strlen(source), &size);
		machine_init(&m);
		m.rig.boot.dtb_name = "board.dtb";
		m.rig.boot.dtb_fd = file_of(blob, size);
		if (rows[i].refusal) {
			machine_map(&m);
			machine_image(&m, 0, 0x20000, 0);
			assert_true(machine_load(&m, &start) < 0);
			assert_error(&m.rig.err, AX_ERROR_BOOT_IMAGE, rows[i].refusal);
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
		cmocka_unit_test(plic),
		cmocka_unit_test(aia),
		cmocka_unit_test(nothing_but_a_hart),
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(nodes),
		cmocka_unit_test(map_of_many),
		cmocka_unit_test(cores_alone),
		cmocka_unit_test(given_tree),
		cmocka_unit_test(given_controller),
	};
	return cmocka_run_group_tests_name("riscv64-tree", tests, NULL, NULL);
}
