/*
 * The planner, the e820 map and the APIC ids: boundaries by table, invariants for random sizes.
 */
#include "helpers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FOUR_GIB (4ULL << 30)

static struct axarch_vm_config config_of(uint64_t memory_bytes, uint32_t vcpu_count)
{
	return (struct axarch_vm_config){.memory_bytes = memory_bytes, .vcpu_count = vcpu_count};
}

static void memory_boundaries(void **state)
{
	static const struct {
		uint64_t bytes, low, high;
	} rows[] = {
		{16 * AX_MIB, 16 * AX_MIB, 0},
		{128 * AX_MIB + 4096, 128 * AX_MIB + 4096, 0},
		{3 * AX_GIB - 4096, 3 * AX_GIB - 4096, 0},
		{3 * AX_GIB, 3 * AX_GIB, 0},
		{3 * AX_GIB + 4096, 3 * AX_GIB, 4096},
		{4 * AX_GIB, 3 * AX_GIB, AX_GIB},
		{8 * AX_GIB, 3 * AX_GIB, 5 * AX_GIB},
		{1024 * AX_GIB, 3 * AX_GIB, 1021 * AX_GIB},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axarch_vm_config config = config_of(rows[i].bytes, 1);
		struct axarch_plan plan;
		struct ax_error err = {0};
		if (x86_plan(&config, &plan, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(plan.memory_count, rows[i].high ? 2 : 1);
		assert_int_equal(plan.memory[0].gpa, 0);
		assert_int_equal(plan.memory[0].size_bytes, rows[i].low);
		if (rows[i].high) {
			assert_int_equal(plan.memory[1].gpa, FOUR_GIB);
			assert_int_equal(plan.memory[1].size_bytes, rows[i].high);
		}
	}
}

static void memory_refused(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "16M to"},
		{16 * AX_MIB - 4096, "16M to"},
		{16 * AX_MIB + 1, "16777217"},
		{3 * AX_GIB + 512, "4096"},
		{X86_GPA_LIMIT, "outside"},
		{UINT64_MAX, "outside"},
		{UINT64_MAX - 4095, "outside"},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axarch_vm_config config = config_of(rows[i].bytes, 1);
		struct axarch_plan plan = {.gpa_limit = 77};
		struct ax_error err = {0};
		assert_true(x86_plan(&config, &plan, &err) < 0);
		assert_error(&err, AX_ERROR_CONFIGURATION, rows[i].text);
		assert_int_equal(plan.gpa_limit, 77);
	}
}

static void narrowed_to_the_host(void **state)
{
	struct axarch_vm_config config = config_of(64 * AX_GIB, 1);
	struct axarch_plan plan;
	struct ax_error err = {0};
	(void)state;

	assert_int_equal(x86_plan(&config, &plan, NULL), 0);
	assert_int_equal(x86_plan_narrow(&plan, 0, NULL), 0); /* nobody knows */
	assert_int_equal(x86_plan_narrow(&plan, 52, NULL), 0);
	assert_int_equal(plan.gpa_limit, X86_GPA_LIMIT);
	assert_int_equal(x86_plan_narrow(&plan, 39, NULL), 0);
	assert_int_equal(plan.gpa_limit, 1ULL << 39); /* further regions keep to it as well */

	/* 64 GiB of RAM end at 65 GiB. */
	assert_int_equal(x86_plan_narrow(&plan, 36, &err), -ERANGE);
	assert_error(&err, AX_ERROR_CONFIGURATION, "64G ends at 0x1040000000");
	assert_error(&err, AX_ERROR_CONFIGURATION, "36 physical address bits");
	assert_error(&err, AX_ERROR_CONFIGURATION, "up to 63G");
	assert_int_equal(plan.gpa_limit, 1ULL << 39);
	config.memory_bytes = 63 * AX_GIB;
	assert_int_equal(x86_plan(&config, &plan, NULL), 0);
	assert_int_equal(x86_plan_narrow(&plan, 36, NULL), 0);
}

static void lines_are_free(void **state)
{
	static const uint32_t taken[] = {0, 1, 2, 4, 8, 9, 13};
	struct axarch_vm_config config = config_of(AX_GIB, 1);
	struct axarch_plan plan;
	uint32_t seen = 0;
	(void)state;

	assert_int_equal(x86_plan(&config, &plan, NULL), 0);
	assert_true(plan.device_count >= 16 && plan.device_count <= AX_ARRAY_LEN(plan.device_gsi));
	for (uint32_t i = 0; i < plan.device_count; i++) {
		assert_true(plan.device_gsi[i] < X86_IOAPIC_PINS);
		assert_false(seen & 1u << plan.device_gsi[i]);
		seen |= 1u << plan.device_gsi[i];
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(taken); i++)
		assert_false(seen & 1u << taken[i]);
	assert_true(plan.device_gpa + plan.device_count * plan.device_stride <= X86_HYPERCALL_GPA);

	config.irq_mode = AXARCH_IRQ_NONE;
	assert_int_equal(x86_plan(&config, &plan, NULL), 0);
	assert_int_equal(plan.device_count, 0);
}

/* Sorted, disjoint, RAM entries inside RAM and all of RAM told or deliberately withheld. */
static void check_e820(const struct axarch_plan *plan)
{
	struct x86_e820_entry map[X86_E820_MAX];
	const size_t count = x86_e820(plan, map);
	uint64_t ram = 0, planned = 0;

	assert_true(count > 0 && count <= X86_E820_MAX);
	for (size_t i = 0; i < count; i++) {
		assert_true(map[i].size_bytes > 0);
		if (i)
			assert_true(map[i - 1].gpa + map[i - 1].size_bytes <= map[i].gpa);
		if (map[i].type != 1)
			continue;
		assert_true(axarch_plan_is_ram(plan, map[i].gpa, map[i].size_bytes));
		ram += map[i].size_bytes;
	}
	for (size_t i = 0; i < plan->memory_count; i++)
		planned += plan->memory[i].size_bytes;
	assert_int_equal(ram + (X86_HIGH_RAM_GPA - X86_EBDA_GPA), planned);
	for (size_t i = 0; i < count; i++) {
		if (map[i].type != 1)
			continue;
		/* Nothing of ours that must survive may be told as RAM. */
		assert_false(map[i].gpa < X86_ACPI_GPA + X86_ACPI_SIZE &&
			     X86_ACPI_GPA < map[i].gpa + map[i].size_bytes);
		assert_false(map[i].gpa < X86_MP_TABLE_GPA + X86_MP_TABLE_SIZE &&
			     X86_MP_TABLE_GPA < map[i].gpa + map[i].size_bytes);
	}
}

static void invariants(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15ULL;
	(void)state;

	for (int round = 0; round < 2000; round++) {
		const unsigned bits = (unsigned)(24 + next_random(&seed) % 20);
		uint64_t bytes = X86_MIN_MEMORY + next_random(&seed) % (1ULL << bits);
		struct axarch_vm_config config = config_of(ax_align_down(bytes, 4096), 1);
		struct axarch_plan plan;
		struct ax_error err = {0};
		uint64_t total = 0;

		if (x86_plan(&config, &plan, &err) < 0)
			fail_msg("%s", err.message);
		for (size_t i = 0; i < plan.memory_count; i++)
			total += plan.memory[i].size_bytes;
		assert_int_equal(total, config.memory_bytes);
		for (size_t i = 1; i < plan.layout.count; i++) {
			const struct axas_layout_range *a = &plan.layout.range[i - 1];
			const struct axas_layout_range *b = &plan.layout.range[i];
			assert_true(a->gpa <= b->gpa);
			if (a->kind != AXAS_LAYOUT_MEMORY)
				assert_true(a->gpa + a->size_bytes <= b->gpa);
		}
		check_e820(&plan);
	}
}

static void e820_is_a_pc(void **state)
{
	static const struct x86_e820_entry expected[] = {
		{0, 0x9fc00, 1},           {0x9fc00, 0x400, 2},       {0xe0000, 0x20000, 2},
		{0x100000, 0xbff00000, 1}, {0xd0000000, 0x101000, 2}, {0xd0200000, 0x100000, 2},
		{0xfeffc000, 0x4000, 2},   {FOUR_GIB, 5 * AX_GIB, 1},
	};
	struct axarch_vm_config config = config_of(8 * AX_GIB, 1);
	struct x86_e820_entry map[X86_E820_MAX];
	struct axarch_plan plan;
	(void)state;

	assert_int_equal(x86_plan(&config, &plan, NULL), 0);
	assert_int_equal(x86_e820(&plan, map), AX_ARRAY_LEN(expected));
	for (size_t i = 0; i < AX_ARRAY_LEN(expected); i++) {
		assert_int_equal(map[i].gpa, expected[i].gpa);
		assert_int_equal(map[i].size_bytes, expected[i].size_bytes);
		assert_int_equal(map[i].type, expected[i].type);
	}
}

/* Further ranges of the layout are told as what they are, wherever they lie; neighbours merge. */
static void e820_tells_further_regions(void **state)
{
	static const struct axas_layout_range extra[] = {
		{"file", AXAS_LAYOUT_RESERVED, 0xe0000000, 0x200000, 0},
		{"hole", AXAS_LAYOUT_MEMORY, 0xc8000000, 0x8000000, 0},
		{"next", AXAS_LAYOUT_MEMORY, FOUR_GIB + AX_GIB, AX_GIB, 0},
		{"far", AXAS_LAYOUT_MEMORY, 32 * AX_GIB, 0x1000, 0},
		{"far file", AXAS_LAYOUT_RESERVED, 32 * AX_GIB + 0x1000, 0x1000, 0},
		{"device", AXAS_LAYOUT_PASSTHROUGH, 64 * AX_GIB, 0x1000, 0},
	};
	static const struct x86_e820_entry expected[] = {
		{0, 0x9fc00, 1},
		{0x9fc00, 0x400, 2},
		{0xe0000, 0x20000, 2},
		{0x100000, 0xbff00000, 1},
		{0xc8000000, 0x8000000, 1},
		{0xd0000000, 0x101000, 2},
		{0xd0200000, 0x100000, 2},
		{0xe0000000, 0x200000, 2},
		{0xfeffc000, 0x4000, 2},
		{FOUR_GIB, 2 * AX_GIB, 1},
		{32 * AX_GIB, 0x1000, 1},
		{32 * AX_GIB + 0x1000, 0x1000, 2},
		{64 * AX_GIB, 0x1000, 2},
	};
	struct axarch_vm_config config = config_of(4 * AX_GIB, 1);
	struct x86_e820_entry map[X86_E820_MAX];
	struct axarch_plan plan;
	struct ax_error err = {0};
	(void)state;

	assert_int_equal(x86_plan(&config, &plan, NULL), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(extra); i++)
		if (axas_layout_add(&plan.layout, &extra[i], &err))
			fail_msg("%s", err.message);
	assert_int_equal(x86_e820(&plan, map), AX_ARRAY_LEN(expected));
	for (size_t i = 0; i < AX_ARRAY_LEN(expected); i++) {
		assert_int_equal(map[i].gpa, expected[i].gpa);
		assert_int_equal(map[i].size_bytes, expected[i].size_bytes);
		assert_int_equal(map[i].type, expected[i].type);
	}
}

/* Nothing of the guest's own fits between the places for devices, whether they are used or not. */
static void device_window_is_whole(void **state)
{
	struct axarch_vm_config config = config_of(AX_GIB, 1);
	struct axas_layout_range range = {"mine", AXAS_LAYOUT_MEMORY, 0, 0x1000, 0};
	(void)state;

	for (int mode = AXARCH_IRQ_EMULATED; mode <= AXARCH_IRQ_NONE; mode++) {
		struct axarch_plan plan;
		config.irq_mode = (enum axarch_irq_mode)mode;
		assert_int_equal(x86_plan(&config, &plan, NULL), 0);
		assert_int_equal(plan.pci.ecam_gpa != 0, mode == AXARCH_IRQ_EMULATED);
		for (range.gpa = X86_DEVICE_GPA; range.gpa <= X86_HYPERCALL_GPA;
		     range.gpa += 0x1000)
			assert_int_equal(axas_layout_add(&plan.layout, &range, NULL), -EEXIST);
		assert_int_equal(axas_layout_add(&plan.layout, &range, NULL), 0);
	}
}

static void is_ram(void **state)
{
	struct axarch_vm_config config = config_of(5 * AX_GIB, 1);
	struct axarch_plan plan;
	(void)state;

	assert_int_equal(x86_plan(&config, &plan, NULL), 0);
	assert_true(axarch_plan_is_ram(&plan, 0, 3 * AX_GIB));
	assert_true(axarch_plan_is_ram(&plan, 6 * AX_GIB - 1, 1));
	assert_false(axarch_plan_is_ram(&plan, 0, 3 * AX_GIB + 1));
	assert_false(axarch_plan_is_ram(&plan, 3 * AX_GIB, 1));
	assert_false(axarch_plan_is_ram(&plan, 6 * AX_GIB, 1));
	assert_false(axarch_plan_is_ram(&plan, 4096, UINT64_MAX));
	assert_false(axarch_plan_is_ram(&plan, UINT64_MAX, 1));
	assert_false(axarch_plan_is_ram(&plan, UINT64_MAX, UINT64_MAX));
}

static void apic_ids(void **state)
{
	static const struct {
		uint32_t count, sockets, cores, threads;
		uint32_t expected[12];
	} rows[] = {
		{4, 0, 0, 0, {0, 1, 2, 3}},
		{3, 0, 0, 0, {0, 1, 2}},
		{8, 2, 2, 2, {0, 1, 2, 3, 4, 5, 6, 7}},
		{6, 2, 3, 1, {0, 1, 2, 4, 5, 6}},
		{12, 2, 3, 2, {0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13}},
		{4, 2, 0, 0, {0, 1, 2, 3}},
		{6, 0, 0, 3, {0, 1, 2, 4, 5, 6}},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct axarch_vm_config config = config_of(AX_GIB, rows[i].count);
		uint32_t ids[X86_MAX_VCPUS];
		struct ax_error err = {0};
		config.cpu.sockets = rows[i].sockets;
		config.cpu.cores = rows[i].cores;
		config.cpu.threads = rows[i].threads;
		if (x86_apic_ids(&config, ids, &err) < 0)
			fail_msg("%s", err.message);
		for (uint32_t n = 0; n < rows[i].count; n++)
			assert_int_equal(ids[n], rows[i].expected[n]);
	}
}

static void apic_ids_refused(void **state)
{
	static const uint32_t twice[] = {0, 4, 0}, large[] = {0, 1, 4096};
	uint32_t ids[X86_MAX_VCPUS];
	struct axarch_vm_config config = config_of(AX_GIB, 3);
	struct ax_error err = {0};
	(void)state;

	config.hardware_ids = twice;
	assert_int_equal(x86_apic_ids(&config, ids, &err), -EEXIST);
	assert_error(&err, AX_ERROR_CONFIGURATION, "hardware id 0 of vCPU 2");
	config.hardware_ids = large;
	assert_int_equal(x86_apic_ids(&config, ids, &err), -ERANGE);
	assert_error(&err, AX_ERROR_CONFIGURATION, "4096");
	config.hardware_ids = NULL;
	config.cpu.sockets = 2;
	assert_int_equal(x86_apic_ids(&config, ids, &err), -EINVAL);
	assert_error(&err, AX_ERROR_CONFIGURATION, "is not 3 vCPUs");
	config.cpu.sockets = UINT32_MAX;
	config.cpu.cores = config.cpu.threads = UINT32_MAX;
	assert_int_equal(x86_apic_ids(&config, ids, &err), -EINVAL);
	config = config_of(AX_GIB, 0);
	assert_int_equal(x86_apic_ids(&config, ids, &err), -ERANGE);
	assert_error(&err, AX_ERROR_CONFIGURATION, "1 to 1024");
	config.vcpu_count = 1025;
	assert_int_equal(x86_apic_ids(&config, ids, &err), -ERANGE);
	/* 3 x 257 needs two and nine bits; 513 threads in one core only ten. */
	config.vcpu_count = 3 * 257;
	config.cpu = (struct axarch_cpu_policy){.sockets = 257, .threads = 3};
	assert_int_equal(x86_apic_ids(&config, ids, &err), 0);
	/* Sockets that need more bits than ids have. */
	config.vcpu_count = 1023;
	config.cpu = (struct axarch_cpu_policy){.sockets = 341, .cores = 3};
	assert_int_equal(x86_apic_ids(&config, ids, &err), 0);
	assert_int_equal(ids[1022], 340 << 2 | 2);
}

static void given_ids(void **state)
{
	static const uint32_t given[] = {8, 2, 300, 4095};
	struct axarch_vm_config config = config_of(AX_GIB, 4);
	uint32_t ids[4];
	(void)state;

	config.hardware_ids = given;
	assert_int_equal(x86_apic_ids(&config, ids, NULL), 0);
	assert_memory_equal(ids, given, sizeof(given));
}

static void keep_line(void *ctx, enum ax_log_level level, const char *layer, const char *line)
{
	(void)layer;
	assert_int_equal(level, AX_LOG_WARN);
	snprintf(ctx, 256, "%s", line);
}

static void large_ids_are_warned_of(void **state)
{
	struct axarch_vm_config config = config_of(AX_GIB, 256);
	uint32_t ids[X86_MAX_VCPUS];
	char line[256] = "";
	(void)state;

	ax_log_set_sink(keep_line, line);
	assert_int_equal(x86_apic_ids(&config, ids, NULL), 0);
	x86_warn_of_large_ids("vm1", ids, 256);
	assert_string_equal(line, "");
	config.vcpu_count = 258;
	assert_int_equal(x86_apic_ids(&config, ids, NULL), 0);
	x86_warn_of_large_ids("vm1", ids, 258);
	ax_log_set_sink(NULL, NULL);
	assert_non_null(strstr(line, "vm1: 2 of 258 vCPUs have APIC ids above 255"));
	assert_non_null(strstr(line, "use at most 256 vCPUs"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_boundaries),
		cmocka_unit_test(memory_refused),
		cmocka_unit_test(narrowed_to_the_host),
		cmocka_unit_test(lines_are_free),
		cmocka_unit_test(invariants),
		cmocka_unit_test(e820_is_a_pc),
		cmocka_unit_test(e820_tells_further_regions),
		cmocka_unit_test(device_window_is_whole),
		cmocka_unit_test(is_ram),
		cmocka_unit_test(apic_ids),
		cmocka_unit_test(apic_ids_refused),
		cmocka_unit_test(given_ids),
		cmocka_unit_test(large_ids_are_warned_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
