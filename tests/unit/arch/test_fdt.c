/*
 * Building trees: what dtc reads in them, growth, the first failure, the way into guest memory.
 */
#include "fdt_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct axfdt *create(void)
{
	struct axfdt *fdt = NULL;

	assert_int_equal(axfdt_create(&fdt, NULL), 0);
	return fdt;
}

static void build_virt(struct axfdt *fdt)
{
	static const uint64_t gic[] = {0x8000000, 0x10000, 0x80a0000, 0xf60000};
	static const uint64_t uart[] = {0x9000000, 0x1000};
	static const uint32_t interrupt[] = {0, 1, 4};
	static const struct axfdt_range memory[] = {{0x40000000, 0xc0000000},
						    {0x880000000, 0x100000000}};
	static const struct axfdt_chosen chosen = {
		.cmdline = "console=ttyAMA0 quiet",
		.initrd = {0x48000000, 0x200000},
		.seed = "\1\2\3\4\5\6\7\10",
		.seed_bytes = 8,
		.stdout_path = "/pl011@9000000",
	};

	axfdt_set_string(fdt, "/", "compatible", "linux,dummy-virt");
	axfdt_set_u32(fdt, "/", "#address-cells", 2);
	axfdt_set_u32(fdt, "/", "#size-cells", 2);
	axfdt_set_chosen(fdt, &chosen);
	for (uint32_t i = 0; i < 2; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/cpus/cpu@%u", i);
		axfdt_set_string(fdt, path, "device_type", "cpu");
		axfdt_set_string(fdt, path, "compatible", "arm,armv8");
		axfdt_set_u32(fdt, path, "reg", i);
	}
	axfdt_set_u32(fdt, "/cpus", "#address-cells", 1);
	axfdt_set_u32(fdt, "/cpus", "#size-cells", 0);
	axfdt_node(fdt, "/intc@8000000");
	axfdt_set_u32(fdt, "/intc@8000000", "phandle", 1);
	axfdt_set_string(fdt, "/intc@8000000", "compatible", "arm,gic-v3");
	axfdt_set_u64s(fdt, "/intc@8000000", "reg", gic, 4);
	axfdt_set_u32(fdt, "/intc@8000000", "#interrupt-cells", 3);
	axfdt_set_empty(fdt, "/intc@8000000", "interrupt-controller");
	axfdt_set_strings(fdt, "/pl011@9000000", "compatible", "arm,pl011\0arm,primecell\0");
	axfdt_set_u64s(fdt, "/pl011@9000000", "reg", uart, 2);
	axfdt_set_cells(fdt, "/pl011@9000000", "interrupts", interrupt, 3);
	axfdt_set_strings(fdt, "/pl011@9000000", "clock-names", "uartclk\0apb_pclk\0");
	axfdt_set_memory(fdt, memory, 2);
}

static void dtc_reads_it(void **state)
{
	size_t golden_size = 0, size = 0;
	void *golden = compile("built.dts", &golden_size);
	struct axfdt *fdt = create();
	(void)state;

	build_virt(fdt);
	const void *blob = finish(fdt, &size);
	char *text = decompile(blob, size), *golden_text = decompile(golden, golden_size);
	assert_string_equal(text, golden_text);
	free(golden_text);
	free(text);
	free(golden);
	axfdt_destroy(fdt);
}

/* Doing it all again changes nothing. */
static void setting_replaces(void **state)
{
	struct axfdt *once = create(), *twice = create();
	size_t once_size = 0, twice_size = 0;
	(void)state;

	build_virt(once);
	build_virt(twice);
	finish(twice, &twice_size);
	build_virt(twice);
	const void *a = finish(once, &once_size), *b = finish(twice, &twice_size);
	assert_int_equal(once_size, twice_size);
	assert_memory_equal(a, b, once_size);
	assert_padded(a);
	axfdt_destroy(once);
	axfdt_destroy(twice);
}

static void paths_are_exact(void **state)
{
	struct axfdt *fdt = create();
	(void)state;

	axfdt_node(fdt, "/");
	axfdt_node(fdt, "/memory@0/bank@1");
	assert_true(axfdt_has(fdt, "/"));
	assert_true(axfdt_has(fdt, "/memory@0"));
	assert_true(axfdt_has(fdt, "/memory@0/bank@1"));
	assert_false(axfdt_has(fdt, "/memory"));
	assert_false(axfdt_has(fdt, "/memory@0/bank"));
	assert_false(axfdt_has(fdt, "/memory@0/"));
	assert_false(axfdt_has(fdt, "//memory@0"));
	assert_false(axfdt_has(fdt, "memory@0"));
	assert_false(axfdt_has(fdt, ""));
	axfdt_node(fdt, "/memory");
	axfdt_node(fdt, "/memory");
	assert_true(axfdt_has(fdt, "/memory"));
	char *paths = paths_of(fdt);
	assert_string_equal(paths, "/memory@0\n/memory@0/bank@1\n/memory\n");
	free(paths);
	axfdt_remove(fdt, "/memory@0");
	axfdt_remove(fdt, "/memory@0");
	axfdt_remove_property(fdt, "/memory@0", "reg");
	axfdt_remove_property(fdt, "/memory", "reg");
	assert_false(axfdt_has(fdt, "/memory@0/bank@1"));
	finish(fdt, NULL);
	axfdt_destroy(fdt);
}

static void values(void **state)
{
	struct axfdt *fdt = create();
	size_t size = 1;
	(void)state;

	axfdt_set_u64(fdt, "/n", "u64", 0x0102030405060708);
	assert_bytes(fdt, "/n", "u64", "\1\2\3\4\5\6\7\10", 8);
	axfdt_set_u32(fdt, "/n", "u64", 0x11121314);
	assert_bytes(fdt, "/n", "u64", "\x11\x12\x13\x14", 4);
	axfdt_set_strings(fdt, "/n", "none", "");
	assert_non_null(axfdt_get(fdt, "/n", "none", &size));
	assert_int_equal(size, 0);
	axfdt_set_bytes(fdt, "/n", "bytes", "abc", 3);
	assert_bytes(fdt, "/n", "bytes", "abc", 3);
	axfdt_set_cells(fdt, "/n", "cells", NULL, 0);
	assert_non_null(axfdt_get(fdt, "/n", "cells", NULL));
	assert_null(axfdt_get(fdt, "/n", "nothing", NULL));
	assert_null(axfdt_get(fdt, "/nowhere", "bytes", NULL));
	axfdt_remove_property(fdt, "/n", "bytes");
	assert_null(axfdt_get(fdt, "/n", "bytes", NULL));
	finish(fdt, NULL);
	axfdt_destroy(fdt);
}

static void grows_to_its_limit(void **state)
{
	static uint8_t bytes[100000];
	struct axfdt *fdt = create();
	char path[32];
	(void)state;

	memset(bytes, 0x5a, sizeof(bytes));
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/n%d", i);
		axfdt_set_bytes(fdt, path, "big", bytes, sizeof(bytes));
		if (i % 7 == 0)
			finish(fdt, NULL);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/n%d", i);
		assert_bytes(fdt, path, "big", bytes, sizeof(bytes));
	}
	finish(fdt, NULL);
	axfdt_set_bytes(fdt, "/one-too-many", "big", bytes, sizeof(bytes));
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "2097152 bytes");

	fdt = create();
	for (int i = 0; i < 2000; i++) {
		snprintf(path, sizeof(path), "/n/n%d", i);
		axfdt_node(fdt, path);
	}
	finish(fdt, NULL);
	assert_true(axfdt_has(fdt, "/n/n0") && axfdt_has(fdt, "/n/n1999"));
	axfdt_destroy(fdt);
	fdt = create();
	axfdt_set_bytes(fdt, "/n", "huge", bytes, SIZE_MAX);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "/n, property huge");
	fdt = create();
	axfdt_set_u64s(fdt, "/n", "huge", NULL, SIZE_MAX / 4);
	assert_fails(fdt, AX_ERROR_BOOT_IMAGE, "/n, property huge");
}

static void first_failure_is_told(void **state)
{
	static const char *const bad_paths[] = {"n", "", "//n", "/n//m", "/n/", "/a b", "/a\n"};
	char deep[2 * 64 + 1] = "", name[300];
	struct axfdt *fdt;
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(bad_paths); i++) {
		fdt = create();
		axfdt_node(fdt, bad_paths[i]);
		axfdt_set_u32(fdt, "/later", "", 1);
		assert_false(axfdt_has(fdt, "/later"));
		assert_fails(fdt, AX_ERROR_INTERNAL, bad_paths[i]);
	}
	fdt = create();
	axfdt_set_u32(fdt, "/n", "", 1);
	axfdt_remove(fdt, "/");
	axfdt_remove_property(fdt, "/", "x");
	axfdt_set_memory(fdt, NULL, 0);
	axfdt_set_chosen(fdt, &(struct axfdt_chosen){.cmdline = "x"});
	axfdt_keep_cpus(fdt, NULL, 1);
	struct ax_error err = {0};
	assert_true(axfdt_select(fdt, NULL, 0, NULL, 0, &err) < 0);
	assert_error(&err, AX_ERROR_INTERNAL, "/n");
	assert_true(axfdt_write(fdt, NULL, 0, 0, &err) < 0);
	assert_fails(fdt, AX_ERROR_INTERNAL, "/n, property : no name for a property");
	fdt = create();
	axfdt_remove(fdt, "/");
	assert_fails(fdt, AX_ERROR_INTERNAL, "/");

	for (size_t i = 0; i < 2 * 63; i++)
		deep[i] = "/n"[i % 2];
	fdt = create();
	axfdt_node(fdt, deep);
	finish(fdt, NULL);
	memcpy(deep + 2 * 63, "/n", 3);
	axfdt_node(fdt, deep);
	assert_fails(fdt, AX_ERROR_INTERNAL, "deep");

	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[256] = '\0';
	fdt = create();
	axfdt_set_u32(fdt, name, name + 1, 1);
	finish(fdt, NULL);
	name[256] = 'n';
	name[257] = '\0';
	axfdt_node(fdt, name);
	assert_fails(fdt, AX_ERROR_INTERNAL, "no name for a node");
}

static void into_guest_memory(void **state)
{
	const struct axas_region_config region = {.name = "ram",
						  .gpa = 0x40000000,
						  .size_bytes = 0x10000,
						  .flags = AXAS_RW,
						  .fd = -1};
	static uint8_t found[0x10000];
	struct axfdt *fdt = create();
	struct axas *memory = NULL;
	struct ax_error err = {0};
	size_t size = 0;
	(void)state;

	assert_int_equal(axas_create(0, NULL, &memory, NULL), 0);
	assert_int_equal(axas_map(memory, &region, NULL), 0);
	build_virt(fdt);
	assert_int_equal(axfdt_write(fdt, memory, 0x40008000, 0x8000, NULL), 0);
	const void *blob = finish(fdt, &size);
	assert_int_equal(axas_read(memory, 0x40008000, found, size), 0);
	assert_memory_equal(found, blob, size);
	assert_int_equal(axfdt_write(fdt, memory, 0x40008000, size, NULL), 0);
	assert_true(axfdt_write(fdt, memory, 0x40008000, size - 1, &err) < 0);
	assert_error(&err, AX_ERROR_BOOT_IMAGE, "there is room for");
	assert_true(axfdt_write(fdt, memory, 0x40008004, 0x8000, &err) < 0);
	assert_error(&err, AX_ERROR_MEMORY_ALIGNMENT, "0x40008004");
	assert_true(axfdt_write(fdt, memory, 0x4000fff8, 0x8000, &err) < 0);
	assert_error(&err, AX_ERROR_MEMORY_SETUP, "0x4000fff8");
	axas_destroy(memory);
	axfdt_destroy(fdt);
	axfdt_destroy(NULL);
}

/* Changes all over the tree, in no order: what was set last is there, what was removed is not, as
 * often as one comes back to a node, goes below it or beside it. */
static void changes_in_any_order(void **state)
{
	enum { PATHS = 9, PROPERTIES = 4, STEPS = 20000, ABSENT = -1 };
	static const char *const paths[PATHS] = {"/",      "/a",      "/a/b",  "/a/b/c", "/a/bb",
						 "/a@1/b", "/cpus@1", "/cpus", "/cpus/a"};
	int64_t want[PATHS][PROPERTIES];
	struct axfdt *fdt = create();
	uint32_t random = 1;
	(void)state;

	memset(want, 0xff, sizeof(want));
	for (uint32_t step = 0; step < STEPS; step++) {
		random = random * 1103515245 + 12345;
		const uint32_t path = (random >> 16) % PATHS, property = random >> 28 & 3;
		const char name[2] = {(char)('p' + property), 0};
		const uint32_t what = (random >> 8) % 16;

		if (what == 0 && path) {
			axfdt_remove(fdt, paths[path]);
			for (size_t i = 0; i < PATHS; i++) {
				const size_t len = strlen(paths[path]);
				if (strncmp(paths[i], paths[path], len) == 0 &&
				    (!paths[i][len] || paths[i][len] == '/'))
					memset(want[i], 0xff, sizeof(want[i]));
			}
		} else if (what == 1 && want[path][property] != ABSENT) {
			axfdt_remove_property(fdt, paths[path], name);
			want[path][property] = ABSENT;
		} else if (what < 4) { /* of another size, which moves what is behind */
			axfdt_set_u64(fdt, paths[path], name, step);
			want[path][property] = step;
		} else {
			axfdt_set_u32(fdt, paths[path], name, step);
			want[path][property] = step;
		}
		if (step % 64 && step < STEPS - 64)
			continue;
		for (size_t i = 0; i < PATHS; i++)
			for (int p = 0; p < PROPERTIES; p++) {
				size_t size = 0;
				const char text[2] = {(char)('p' + p), 0};
				const uint8_t *value = axfdt_get(fdt, paths[i], text, &size);

				assert_int_equal(!value, want[i][p] == ABSENT);
				if (value)
					assert_int_equal(value[size - 1] | value[size - 2] << 8,
							 want[i][p] & 0xffff);
			}
	}
	axfdt_destroy(fdt);
}

static void reading(void **state)
{
	struct axfdt *fdt = create();
	struct axfdt_range ranges[2] = {{0}};
	char path[32], short_path[4];
	(void)state;

	build_virt(fdt);
	axfdt_set_u32(fdt, "/other", "#address-cells", 1);
	axfdt_set_cells(fdt, "/other/one", "reg", (const uint32_t[]){5, 6, 7}, 3);
	axfdt_set_u32(fdt, "/other/one", "cell", 8);
	axfdt_set_u32(fdt, "/wide", "#address-cells", 3);
	axfdt_set_cells(fdt, "/wide/one", "reg", (const uint32_t[]){0, 0, 5, 6}, 4);

	assert_true(axfdt_find_compatible(fdt, "arm,primecell", path, sizeof(path)));
	assert_string_equal(path, "/pl011@9000000");
	assert_false(axfdt_find_compatible(fdt, "arm,prime", path, sizeof(path)));
	assert_string_equal(path, "");
	assert_false(axfdt_find_compatible(fdt, "arm,primecell", short_path, sizeof(short_path)));
	assert_string_equal(short_path, "");

	assert_int_equal(axfdt_get_ranges(fdt, "/intc@8000000", ranges, 2), 2);
	assert_int_equal(ranges[0].gpa, 0x8000000);
	assert_int_equal(ranges[1].gpa, 0x80a0000);
	assert_int_equal(ranges[1].size_bytes, 0xf60000);
	ranges[1].gpa = 77;
	assert_int_equal(axfdt_get_ranges(fdt, "/intc@8000000", ranges, 1), 2);
	assert_int_equal(ranges[1].gpa, 77);
	/* One cell each: three are no list of such. */
	assert_int_equal(axfdt_get_ranges(fdt, "/other/one", ranges, 2), 0);
	axfdt_set_cells(fdt, "/other/one", "reg", (const uint32_t[]){5, 6}, 2);
	assert_int_equal(axfdt_get_ranges(fdt, "/other/one", ranges, 2), 1);
	assert_int_equal(ranges[0].gpa, 5);
	assert_int_equal(ranges[0].size_bytes, 6);
	assert_int_equal(axfdt_get_ranges(fdt, "/wide/one", ranges, 2), 0);
	assert_int_equal(axfdt_get_ranges(fdt, "/chosen", ranges, 2), 0);
	assert_int_equal(axfdt_get_ranges(fdt, "/", ranges, 2), 0);
	assert_int_equal(axfdt_get_ranges(fdt, "/none", ranges, 2), 0);

	assert_int_equal(axfdt_get_u32(fdt, "/other/one", "cell", 1), 8);
	assert_int_equal(axfdt_get_u32(fdt, "/other/one", "reg", 1), 1);
	assert_int_equal(axfdt_get_u32(fdt, "/none", "cell", 1), 1);
	axfdt_destroy(fdt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dtc_reads_it),
		cmocka_unit_test(setting_replaces),
		cmocka_unit_test(paths_are_exact),
		cmocka_unit_test(values),
		cmocka_unit_test(grows_to_its_limit),
		cmocka_unit_test(first_failure_is_told),
		cmocka_unit_test(into_guest_memory),
		cmocka_unit_test(changes_in_any_order),
		cmocka_unit_test(reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
