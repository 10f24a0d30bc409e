/*
 * Patching a given tree, board.dts: memory, /chosen, processors.
 */
#include "fdt_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void memory_is_replaced(void **state)
{
	static const struct axfdt_range ranges[] = {{0x80000000, 0x20000000},
						    {0x100000000, 0x300000000}};
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	axfdt_set_memory(fdt, ranges, 2);
	finish(fdt, NULL);
	assert_false(axfdt_has(fdt, "/memory@40000000"));
	assert_false(axfdt_has(fdt, "/dram@880000000")); /* by its device_type */
	assert_true(axfdt_has(fdt, "/memory-controller@1000"));
	assert_bytes(fdt, "/memory@80000000", "reg",
		     "\0\0\0\0\x80\0\0\0"
		     "\0\0\0\0\x20\0\0\0",
		     16);
	assert_bytes(fdt, "/memory@100000000", "reg",
		     "\0\0\0\1\0\0\0\0"
		     "\0\0\0\3\0\0\0\0",
		     16);
	assert_text(fdt, "/memory@100000000", "device_type", "memory");
	/* The reserve map is the board's and stays. */
	uint64_t start = 0, size = 0;
	assert_int_equal(fdt_num_mem_rsv(fdt->blob), 1);
	assert_int_equal(fdt_get_mem_rsv(fdt->blob, 0, &start, &size), 0);
	assert_true(start == 0x40000000 && size == 0x1000);
	axfdt_set_memory(fdt, NULL, 0);
	assert_false(axfdt_has(fdt, "/memory@80000000"));
	axfdt_set_memory(fdt, (const struct axfdt_range[]){{8, 8}, {8, 8}}, 2);
	assert_fails(fdt, AX_ERROR_INTERNAL, "/memory@8: given twice");
}

static void memory_takes_the_roots_cells(void **state)
{
	static const struct axfdt_range low = {0x80000000, 0x40000000}, high = {0x100000000, 1},
					large = {0, 0x100000000};
	struct axfdt *fdt = NULL;
	(void)state;

	assert_int_equal(axfdt_create(&fdt, NULL), 0);
	axfdt_set_u32(fdt, "/", "#address-cells", 2);
	axfdt_set_u32(fdt, "/", "#size-cells", 1);
	axfdt_set_memory(fdt, &low, 1);
	assert_bytes(fdt, "/memory@80000000", "reg", "\0\0\0\0\x80\0\0\0\x40\0\0\0", 12);
	axfdt_set_memory(fdt, &high, 1);
	finish(fdt, NULL);
	axfdt_set_memory(fdt, &large, 1);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "/memory@0, property reg: 0x100000000 bytes at 0x0");

	assert_int_equal(axfdt_create(&fdt, NULL), 0);
	axfdt_set_u32(fdt, "/", "#address-cells", 1);
	axfdt_set_memory(fdt, &low, 1);
	assert_int_equal(cell_of(fdt, "/", "#size-cells"), 2);
	finish(fdt, NULL);
	axfdt_set_memory(fdt, &high, 1);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "do not fit");

	assert_int_equal(axfdt_create(&fdt, NULL), 0);
	axfdt_set_u32(fdt, "/", "#address-cells", 3);
	axfdt_set_memory(fdt, &low, 1);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "/, property #address-cells: expected 1 or 2");
}

static void chosen_is_patched(void **state)
{
	struct axfdt_chosen chosen = {.initrd = {0x120000000, 0x1000}};
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	axfdt_set_chosen(fdt, &chosen);
	assert_text(fdt, "/chosen", "bootargs", "console=ttyAMA0 of-the-board");
	assert_text(fdt, "/chosen", "stdout-path", "serial0:115200n8");
	assert_bytes(fdt, "/chosen", "linux,initrd-start", "\0\0\0\1\x20\0\0\0", 8);
	assert_bytes(fdt, "/chosen", "linux,initrd-end", "\0\0\0\1\x20\0\x10\0", 8);
	assert_null(axfdt_get(fdt, "/chosen", "rng-seed", NULL));
	assert_non_null(axfdt_get(fdt, "/chosen", "kaslr-seed", NULL));

	chosen = (struct axfdt_chosen){
		.cmdline = "", .stdout_path = "/soc/serial@8000", .seed = "seed", .seed_bytes = 4};
	axfdt_set_chosen(fdt, &chosen);
	assert_text(fdt, "/chosen", "bootargs", "");
	assert_text(fdt, "/chosen", "stdout-path", "/soc/serial@8000");
	assert_null(axfdt_get(fdt, "/chosen", "linux,initrd-start", NULL));
	assert_null(axfdt_get(fdt, "/chosen", "linux,initrd-end", NULL));
	assert_bytes(fdt, "/chosen", "rng-seed", "seed", 4);
	finish(fdt, NULL);
	chosen.initrd = (struct axfdt_range){UINT64_MAX, 2};
	axfdt_set_chosen(fdt, &chosen);
	assert_fails(fdt, AX_ERROR_INTERNAL, "/chosen, property linux,initrd-end");
}

static void cpus_are_as_they_were(void **state)
{
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	char *before = paths_of(fdt);
	axfdt_keep_cpus(fdt, NULL, 2);
	finish(fdt, NULL);
	char *after = paths_of(fdt);
	assert_string_equal(before, after);
	free(before);
	free(after);
	axfdt_destroy(fdt);
}

static void cpus_are_taken_out(void **state)
{
	static const uint64_t id = 0;
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	axfdt_keep_cpus(fdt, NULL, 1); /* that with the smallest reg, which is the second */
	assert_true(axfdt_has(fdt, "/cpus/cpu@100/interrupt-controller"));
	assert_false(axfdt_has(fdt, "/cpus/cpu@101"));
	assert_false(axfdt_has(fdt, "/cpus/cpu-map"));
	assert_true(axfdt_has(fdt, "/cpus/l2-cache"));
	finish(fdt, NULL);
	axfdt_keep_cpus(fdt, &id, 1);
	assert_true(axfdt_has(fdt, "/cpus/cpu@0/interrupt-controller"));
	assert_false(axfdt_has(fdt, "/cpus/cpu@100"));
	assert_bytes(fdt, "/cpus/cpu@0", "reg", "\0\0\0\0\0\0\0\0", 8);
	finish(fdt, NULL);
	axfdt_destroy(fdt);
}

/* Ids that other CPUs have at the time, and CPUs in the order of the machine's ids. */
static void cpus_get_other_ids(void **state)
{
	static const uint64_t ids[] = {0x101, 0x100000003};
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	axfdt_keep_cpus(fdt, ids, 2);
	assert_padded(finish(fdt, NULL));
	assert_non_null(axfdt_get(fdt, "/cpus/cpu@101", "operating-points-v2", NULL));
	assert_null(axfdt_get(fdt, "/cpus/cpu@100000003", "operating-points-v2", NULL));
	assert_bytes(fdt, "/cpus/cpu@101", "reg", "\0\0\0\0\0\0\1\1", 8);
	assert_bytes(fdt, "/cpus/cpu@100000003", "reg", "\0\0\0\1\0\0\0\3", 8);
	assert_true(axfdt_has(fdt, "/cpus/cpu-map"));
	axfdt_destroy(fdt);
}

static void cpus_are_copied(void **state)
{
	struct axfdt *fdt = load_source("board.dts");
	uint32_t phandles[4], max = 0;
	(void)state;

	axfdt_remove(fdt, "/cpus/cpu@101");
	axfdt_remove(fdt, "/cpus/cpu-map");
	assert_int_equal(fdt_find_max_phandle(fdt->blob, &max), 0);
	axfdt_keep_cpus(fdt, NULL, 4);
	finish(fdt, NULL);
	char *paths = paths_of(fdt);
	assert_non_null(strstr(paths, "/cpus\n/cpus/cpu@100\n/cpus/cpu@100/interrupt-controller\n"
				      "/cpus/cpu@101\n/cpus/cpu@101/interrupt-controller\n"
				      "/cpus/cpu@102\n/cpus/cpu@102/interrupt-controller\n"
				      "/cpus/cpu@103\n/cpus/cpu@103/interrupt-controller\n"
				      "/cpus/l2-cache\n/opp-table\n"));
	free(paths);
	for (uint32_t i = 0; i < 4; i++) {
		char path[64];
		const uint8_t reg[8] = {[6] = 1, [7] = (uint8_t)i};
		snprintf(path, sizeof(path), "/cpus/cpu@%x", 0x100 + i);
		assert_bytes(fdt, path, "reg", reg, 8);
		assert_text(fdt, path, "enable-method", "psci");
		snprintf(path, sizeof(path), "/cpus/cpu@%x/interrupt-controller", 0x100 + i);
		phandles[i] = cell_of(fdt, path, "phandle");
	}
	/* Two phandles a copy: the CPU's and its interrupt controller's. */
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(phandles[i], max + 2 * i);
	axfdt_destroy(fdt);
}

static void many_cpus(void **state)
{
	uint64_t ids[512];
	struct axfdt *fdt = load_source("board.dts");
	char path[64];
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(ids); i++)
		ids[i] = (i / 16) << 8 | i % 16;
	axfdt_keep_cpus(fdt, ids, AX_ARRAY_LEN(ids));
	assert_padded(finish(fdt, NULL));
	for (size_t i = 0; i < AX_ARRAY_LEN(ids); i++) {
		snprintf(path, sizeof(path), "/cpus/cpu@%llx", (unsigned long long)ids[i]);
		assert_true(axfdt_has(fdt, path));
	}
	axfdt_destroy(fdt);
}

static void odd_cpus_are_refused(void **state)
{
	static const uint64_t twice[] = {1, 2, 1}, large = 0x100000000;
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	axfdt_keep_cpus(fdt, twice, 3);
	assert_fails(fdt, AX_ERROR_INTERNAL, "id 0x1 is given twice");
	fdt = load_source("board.dts");
	axfdt_keep_cpus(fdt, NULL, 0);
	assert_fails(fdt, AX_ERROR_INTERNAL, "/cpus: none");
	fdt = load_source("board.dts");
	axfdt_remove_property(fdt, "/cpus/cpu@101", "reg");
	axfdt_keep_cpus(fdt, NULL, 1);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "'cpu@101' has no reg of 2 cells");
	fdt = load_source("board.dts");
	axfdt_remove(fdt, "/cpus/cpu@100");
	axfdt_remove(fdt, "/cpus/cpu@101");
	axfdt_keep_cpus(fdt, NULL, 1);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "/cpus: has no processor");
	fdt = load_source("board.dts");
	axfdt_remove(fdt, "/cpus");
	axfdt_keep_cpus(fdt, NULL, 1);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "/cpus: is missing");
	fdt = load_source("built.dts");
	axfdt_keep_cpus(fdt, &large, 1);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "0x100000000 needs two cells");
	fdt = load_source("board.dts");
	axfdt_keep_cpus(fdt, NULL, 1u << 20);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "2097152 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_replaced),
		cmocka_unit_test(memory_takes_the_roots_cells),
		cmocka_unit_test(chosen_is_patched),
		cmocka_unit_test(cpus_are_as_they_were),
		cmocka_unit_test(cpus_are_taken_out),
		cmocka_unit_test(cpus_get_other_ids),
		cmocka_unit_test(cpus_are_copied),
		cmocka_unit_test(many_cpus),
		cmocka_unit_test(odd_cpus_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
