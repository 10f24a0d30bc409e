/*
 * axfdt_select on board.dts: for each kind of reference, what stays because of it and nothing else.
 */
#include "fdt_helpers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stays when nothing is named, because it always does or because /cpus and "/" refer to it. */
static const char *const always[] = {
	"/aliases",
	"/chosen",
	"/memory@40000000",
	"/dram@880000000",
	"/reserved-memory",
	"/reserved-memory/pool@48000000",
	"/cpus",
	"/cpus/cpu-map",
	"/cpus/cpu-map/cluster0",
	"/cpus/cpu-map/cluster0/core0",
	"/cpus/cpu-map/cluster0/core1",
	"/cpus/cpu@101",
	"/cpus/cpu@100",
	"/cpus/cpu@100/interrupt-controller",
	"/cpus/l2-cache",
	"/opp-table",
	"/opp-table/opp-1000",
	"/oscillator",
	"/interrupt-controller@8000000",
	"/interrupt-controller@8000000/msi-controller@8080000",
	"/soc",
	"/soc/clock-controller@0",
};

static const char *const pins[] = {
	"/soc/pinctrl@3000",
	"/soc/pinctrl@3000/uart0-pins",
	"/soc/pinctrl@3000/uart0-pins/mux",
	"/soc/pinctrl@3000/uart1-pins",
	"/soc/pinctrl@3000/uart1-pins/mux",
	NULL,
};

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void assert_lists(const char *paths, const char *path)
{
	char line[200];

	snprintf(line, sizeof(line), "%s\n", path);
	const char *found = strstr(paths, line);
	while (found && found != paths && found[-1] != '\n')
		found = strstr(found + 1, line);
	if (!found)
		fail_msg("%s is missing in\n%s", path, paths);
}

/* The tree has what always stays, `extra`, and nothing else. */
static void assert_nodes(struct axfdt *fdt, const char *const *extra, const char *const *more)
{
	size_t count = AX_ARRAY_LEN(always);
	char *paths = paths_of(fdt);

	for (size_t i = 0; i < AX_ARRAY_LEN(always); i++)
		assert_lists(paths, always[i]);
	for (size_t i = 0; extra && extra[i]; i++, count++)
		assert_lists(paths, extra[i]);
	for (size_t i = 0; more && more[i]; i++, count++)
		assert_lists(paths, more[i]);
	if (count_lines(paths) != count)
		fail_msg("%zu nodes expected, these are there:\n%s", count, paths);
	free(paths);
	finish(fdt, NULL);
}

static struct axfdt *select_nodes(const char *const *keep, size_t keep_count,
				  const char *const *drop, size_t drop_count)
{
	struct axfdt *fdt = load_source("board.dts");
	struct ax_error err = {0};

	if (axfdt_select(fdt, keep, keep_count, drop, drop_count, &err) < 0)
		fail_msg("%s", err.message);
	return fdt;
}

static struct axfdt *keep_one(const char *path)
{
	return select_nodes(&path, 1, NULL, 0);
}

static void nothing_named(void **state)
{
	struct axfdt *fdt = select_nodes(NULL, 0, NULL, 0);
	(void)state;

	assert_nodes(fdt, NULL, NULL);
	size_t size = 0;
	assert_null(axfdt_get(fdt, "/aliases", "serial0", &size));
	assert_text(fdt, "/", "model", "AxVM test board");
	assert_text(fdt, "/chosen", "bootargs", "console=ttyAMA0 of-the-board");
	axfdt_destroy(fdt);
}

static void everything_named(void **state)
{
	struct axfdt *all = load_source("board.dts"), *fdt = keep_one("/");
	size_t all_size = 0, size = 0;
	(void)state;

	const void *expected = finish(all, &all_size), *blob = finish(fdt, &size);
	assert_int_equal(size, all_size);
	assert_memory_equal(blob, expected, size);
	axfdt_destroy(all);
	axfdt_destroy(fdt);
}

static void pin_states_and_clocks(void **state)
{
	static const char *const extra[] = {"/soc/serial@8000", "/soc/pinctrl@3000",
					    "/soc/pinctrl@3000/uart0-pins",
					    "/soc/pinctrl@3000/uart0-pins/mux", NULL};
	struct axfdt *fdt = keep_one("/soc/serial@8000");
	(void)state;

	assert_nodes(fdt, extra, NULL);
	assert_text(fdt, "/aliases", "serial0", "/soc/serial@8000");
	assert_null(axfdt_get(fdt, "/aliases", "serial1", NULL));
	assert_null(axfdt_get(fdt, "/aliases", "ethernet0", NULL));
	axfdt_destroy(fdt);
}

static void extended_interrupts(void **state)
{
	static const char *const extra[] = {"/soc/serial@9000",
					    "/soc/gpio@2000",
					    "/soc/pinctrl@3000",
					    "/soc/pinctrl@3000/uart1-pins",
					    "/soc/pinctrl@3000/uart1-pins/mux",
					    NULL};
	struct axfdt *fdt = keep_one("/soc/serial@9000");
	(void)state;

	assert_nodes(fdt, extra, NULL);
	axfdt_destroy(fdt);
}

/* dmas to iommus, supplies to a GPIO to pins, empty entries, a domain inside its controller. */
static void everything_a_nic_has(void **state)
{
	static const char *const extra[] = {"/soc/ethernet@a000",
					    "/soc/dma-controller@5000",
					    "/soc/iommu@6000",
					    "/soc/power-controller@4000",
					    "/soc/power-controller@4000/domain@3",
					    "/soc/phy@7000",
					    "/soc/gpio@1000",
					    "/soc/gpio@1000/hog",
					    "/soc/gpio@2000",
					    "/regulator-vcc",
					    "/regulator-main",
					    NULL};
	struct axfdt *fdt = keep_one("/soc/ethernet@a000");
	(void)state;

	assert_nodes(fdt, extra, pins);
	axfdt_destroy(fdt);
}

static void maps(void **state)
{
	static const char *const extra[] = {
		"/soc/pcie@b000",  "/soc/pcie@b000/interrupt-controller",
		"/soc/gpio@1000",  "/soc/gpio@1000/hog",
		"/soc/iommu@6000", NULL};
	struct axfdt *fdt = keep_one("/soc/pcie@b000");
	(void)state;

	assert_nodes(fdt, extra, pins);
	axfdt_destroy(fdt);
}

static void first_cell_only(void **state)
{
	static const char *const extra[] = {"/soc/reset-button", "/soc/syscon@c000", NULL};
	struct axfdt *fdt = keep_one("/soc/reset-button");
	(void)state;

	assert_nodes(fdt, extra, NULL);
	axfdt_destroy(fdt);
}

static void an_inner_node_brings_those_above(void **state)
{
	static const char *const extra[] = {"/soc/power-controller@4000",
					    "/soc/power-controller@4000/domain@3", NULL};
	struct axfdt *fdt = keep_one("/soc/power-controller@4000/domain@3");
	(void)state;

	assert_nodes(fdt, extra, NULL);
	axfdt_destroy(fdt);
}

/* A bus that is kept for one device does not keep the others, even if that one refers to the bus.
 */
static void a_reference_upwards(void **state)
{
	static const char *const extra[] = {"/soc/syscon@c000", NULL};
	const char *const keep = "/soc/syscon@c000";
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	axfdt_set_u32(fdt, "/soc", "phandle", 0x1000);
	axfdt_set_u32(fdt, "/soc/syscon@c000", "interrupt-parent", 0x1000);
	assert_int_equal(axfdt_select(fdt, &keep, 1, NULL, 0, NULL), 0);
	assert_nodes(fdt, extra, NULL);
	axfdt_destroy(fdt);
}

static void dropped(void **state)
{
	static const char *const keep[] = {"/soc", "/timer"};
	static const char *const drop[] = {
		"/soc/ethernet@a000",
		"/soc/pcie@b000",
		"/soc/pinctrl@3000/uart1-pins",
		"/interrupt-controller@8000000/msi-controller@8080000",
		"/cpus",
		"/opp-table",
		"/aliases",
	};
	struct axfdt *fdt = select_nodes(keep, 2, drop, AX_ARRAY_LEN(drop));
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(drop); i++)
		assert_false(axfdt_has(fdt, drop[i]));
	assert_true(axfdt_has(fdt, "/timer"));
	assert_true(axfdt_has(fdt, "/soc/pinctrl@3000/uart0-pins/mux"));
	assert_true(axfdt_has(fdt, "/soc/serial@9000"));
	assert_true(axfdt_has(fdt, "/soc/gpio@1000"));
	assert_true(axfdt_has(fdt, "/interrupt-controller@8000000"));
	assert_false(axfdt_has(fdt, "/regulator-vcc"));
	assert_false(axfdt_has(fdt, "/unused-clock"));
	assert_true(axfdt_has(fdt, "/chosen"));
	finish(fdt, NULL);
	axfdt_destroy(fdt);
}

static void dropping_wins(void **state)
{
	static const char *const keep[] = {"/", "/soc/serial@9000"}, *const drop[] = {"/soc"};
	struct axfdt *fdt = select_nodes(keep, 2, drop, 1);
	(void)state;

	assert_false(axfdt_has(fdt, "/soc"));
	assert_true(axfdt_has(fdt, "/unused-clock"));
	assert_true(axfdt_has(fdt, "/interrupt-controller@8000000"));
	assert_null(axfdt_get(fdt, "/aliases", "serial0", NULL));
	finish(fdt, NULL);
	axfdt_destroy(fdt);
}

/* A selected tree can be patched and selected again. */
static void goes_on(void **state)
{
	static const char *const keep = "/soc/serial@8000";
	static const struct axfdt_range range = {0x40000000, 0x10000000};
	struct axfdt *fdt = keep_one(keep);
	(void)state;

	axfdt_keep_cpus(fdt, NULL, 8);
	axfdt_set_memory(fdt, &range, 1);
	axfdt_set_string(fdt, "/soc/virtio@f000", "compatible", "virtio,mmio");
	assert_int_equal(axfdt_select(fdt, &keep, 1, NULL, 0, NULL), 0);
	assert_true(axfdt_has(fdt, "/cpus/cpu@107"));
	assert_true(axfdt_has(fdt, "/memory@40000000"));
	assert_false(axfdt_has(fdt, "/soc/virtio@f000"));
	finish(fdt, NULL);
	axfdt_destroy(fdt);
}

static void missing_paths_are_named(void **state)
{
	static const struct {
		const char *path, *hint;
	} rows[] = {
		{"/soc/serial@8001", "'/soc' is there"},
		{"/soc/pinctrl@3000/x/y", "'/soc/pinctrl@3000' is there"},
		{"/soc/serial", "'/soc' is there"},
		{"/nothing", "'/' is there"},
		{"soc", "paths are written in full"},
		{"", "paths are written in full"},
	};
	struct axfdt *fdt = load_source("board.dts");
	(void)state;

	char *before = paths_of(fdt);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const char *const keep[] = {"/soc/serial@8000", rows[i].path};
		struct ax_error err = {0};
		assert_true(axfdt_select(fdt, keep, 2, NULL, 0, &err) < 0);
		assert_error(&err, AX_ERROR_NOT_FOUND, rows[i].path);
		assert_error(&err, AX_ERROR_NOT_FOUND, rows[i].hint);
		assert_error(&err, AX_ERROR_NOT_FOUND, "device tree 'board.dts'");
		assert_true(axfdt_select(fdt, keep, 1, keep + 1, 1, &err) < 0);
		assert_error(&err, AX_ERROR_NOT_FOUND, rows[i].path);
		assert_int_equal(axfdt_select(fdt, keep, 2, NULL, 0, NULL), -ENOENT);
	}
	const char *const root = "/";
	struct ax_error err = {0};
	assert_true(axfdt_select(fdt, NULL, 0, &root, 1, &err) < 0);
	assert_error(&err, AX_ERROR_CONFIGURATION, "root");
	char *after = paths_of(fdt);
	assert_string_equal(after, before);
	free(before);
	free(after);
	axfdt_destroy(fdt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_named),
		cmocka_unit_test(everything_named),
		cmocka_unit_test(pin_states_and_clocks),
		cmocka_unit_test(extended_interrupts),
		cmocka_unit_test(everything_a_nic_has),
		cmocka_unit_test(maps),
		cmocka_unit_test(first_cell_only),
		cmocka_unit_test(an_inner_node_brings_those_above),
		cmocka_unit_test(a_reference_upwards),
		cmocka_unit_test(dropped),
		cmocka_unit_test(dropping_wins),
		cmocka_unit_test(goes_on),
		cmocka_unit_test(missing_paths_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
