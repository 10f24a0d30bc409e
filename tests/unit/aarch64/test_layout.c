/*
 * The planner: boundaries by table, invariants for random sizes, CPU ids.
 */
#include "helpers.h"

#include <string.h>

static void memory_is_one_piece(void **state)
{
	static const struct {
		uint64_t bytes, limit;
	} rows[] = {
		{16 * AX_MIB, 1ULL << 40},          {256 * AX_MIB + 4096, 1ULL << 40},
		{64 * AX_GIB, 1ULL << 40},          {1023 * AX_GIB, 1ULL << 40},
		{1023 * AX_GIB + 4096, 1ULL << 41}, {2048 * AX_GIB, 1ULL << 42},
		{4096 * AX_GIB, 1ULL << 43},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = {.vcpu_count = 1,
							.memory_bytes = rows[i].bytes};
		struct axarch_plan plan;
		struct ax_error err = {0};
		if (a64_plan(&config, &plan, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(plan.memory_count, 1);
		assert_int_equal(plan.memory[0].gpa, A64_RAM_GPA);
		assert_int_equal(plan.memory[0].size_bytes, rows[i].bytes);
		assert_int_equal(plan.gpa_limit, rows[i].limit);
	}
}

static void refused(void **state)
{
	static const uint32_t swapped[] = {1, 0}, right[] = {0, 1};
	static const struct {
		struct axarch_vm_config config;
		const char *text;
	} rows[] = {
		{{.vcpu_count = 1}, "16M to"},
		{{.vcpu_count = 1, .memory_bytes = 16 * AX_MIB - 4096}, "16M to"},
		{{.vcpu_count = 1, .memory_bytes = 16 * AX_MIB + 1}, "4096"},
		{{.vcpu_count = 1, .memory_bytes = 4096 * AX_GIB + 4096}, "16M to 4T"},
		{{.vcpu_count = 1, .memory_bytes = UINT64_MAX - 4095}, "outside"},
		{{.vcpu_count = 0, .memory_bytes = AX_GIB}, "1 to 512"},
		{{.vcpu_count = 513, .memory_bytes = AX_GIB}, "1 to 512"},
		{{.vcpu_count = 9, .memory_bytes = AX_GIB, .gic_version = 2},
		 "GICv2 serves up to 8"},
		{{.vcpu_count = 1, .memory_bytes = AX_GIB, .gic_version = 4},
		 "2 and 3 are possible"},
		{{.vcpu_count = 1, .memory_bytes = AX_GIB, .gic_version = 1},
		 "2 and 3 are possible"},
		{{.vcpu_count = 2, .memory_bytes = AX_GIB, .hardware_ids = swapped}, "MPIDR 0x0"},
	};
	const struct axarch_vm_config fine = {
		.vcpu_count = 2, .memory_bytes = AX_GIB, .hardware_ids = right};
	struct axarch_plan plan = {.gpa_limit = 77};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct ax_error err = {0};
		assert_true(a64_plan(&rows[i].config, &plan, &err) < 0);
		assert_error(&err, AX_ERROR_CONFIGURATION, rows[i].text);
		assert_int_equal(plan.gpa_limit, 77);
	}
	assert_int_equal(a64_plan(&fine, &plan, NULL), 0);
}

static bool has_range(const struct axarch_plan *plan, const char *name, uint64_t *ret_size)
{
	for (size_t i = 0; i < plan->layout.count; i++)
		if (!strcmp(plan->layout.range[i].name, name)) {
			*ret_size = plan->layout.range[i].size_bytes;
			return true;
		}
	return false;
}

/* Which windows are kept for a GIC, by version and CPUs. */
static void gic_windows(void **state)
{
	static const struct {
		uint32_t version, cpus;
		bool cpu_interface, redistributors;
	} rows[] = {
		{0, 8, true, true},  {0, 9, false, true}, {2, 1, true, false},
		{2, 8, true, false}, {3, 1, false, true}, {3, 512, false, true},
	};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = {.vcpu_count = rows[i].cpus,
							.memory_bytes = AX_GIB,
							.gic_version = rows[i].version};
		struct axarch_plan plan;
		uint64_t size = 0;
		assert_int_equal(a64_plan(&config, &plan, NULL), 0);
		assert_true(has_range(&plan, "gic-distributor", &size));
		assert_int_equal(has_range(&plan, "gic-cpu", &size), rows[i].cpu_interface);
		assert_int_equal(has_range(&plan, "gic-redistributors", &size),
				 rows[i].redistributors);
		if (rows[i].redistributors)
			assert_int_equal(size, rows[i].cpus * A64_GICR_SIZE);
	}
}

static void slots_and_lines(void **state)
{
	struct axarch_vm_config config = {.vcpu_count = 1, .memory_bytes = AX_GIB};
	struct axarch_plan plan;
	(void)state;

	assert_int_equal(a64_plan(&config, &plan, NULL), 0);
	assert_int_equal(plan.device_count, 32);
	assert_int_equal(plan.device_gpa, A64_VIRTIO_GPA);
	for (uint32_t i = 0; i < plan.device_count; i++) {
		assert_int_equal(plan.device_gsi[i], 16 + i);
		assert_true(plan.device_gsi[i] < A64_SPIS);
	}
	config.irq_mode = AXARCH_IRQ_NONE;
	assert_int_equal(a64_plan(&config, &plan, NULL), 0);
	assert_int_equal(plan.device_count, 0);
}

static void narrowed_to_the_host(void **state)
{
	const struct axarch_vm_config config = {.vcpu_count = 1, .memory_bytes = 64 * AX_GIB};
	const struct axarch_vm_config large = {.vcpu_count = 1, .memory_bytes = 2048 * AX_GIB};
	struct axarch_plan plan;
	struct ax_error err = {0};
	(void)state;

	assert_int_equal(a64_plan(&config, &plan, NULL), 0);
	assert_int_equal(a64_plan_narrow(&plan, 52, NULL), 0);
	assert_int_equal(plan.gpa_limit, 1ULL << 40);
	assert_int_equal(a64_plan_narrow(&plan, 0, NULL), 0); /* an old KVM has 40 */
	assert_int_equal(plan.gpa_limit, 1ULL << 40);
	assert_int_equal(a64_plan_narrow(&plan, 37, NULL), 0);
	assert_int_equal(plan.gpa_limit, 1ULL << 37); /* further regions keep to it as well */
	assert_true(a64_plan_narrow(&plan, 36, &err) < 0);
	assert_error(&err, AX_ERROR_CONFIGURATION, "up to 63G");
	assert_int_equal(plan.gpa_limit, 1ULL << 37);

	assert_int_equal(a64_plan(&large, &plan, NULL), 0);
	assert_true(a64_plan_narrow(&plan, 0, &err) < 0);
	assert_error(&err, AX_ERROR_CONFIGURATION, "40 address bits");
}

/* KVM's reset_mpidr: sixteen to a cluster. */
static void ids(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t mpidr;
	} rows[] = {{0, 0}, {15, 15}, {16, 0x100}, {255, 0xf0f}, {511, 0x1f0f}, {4096, 0x10000}};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		assert_int_equal(a64_mpidr(rows[i].index), rows[i].mpidr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_one_piece),  cmocka_unit_test(refused),
		cmocka_unit_test(gic_windows),          cmocka_unit_test(slots_and_lines),
		cmocka_unit_test(narrowed_to_the_host), cmocka_unit_test(ids),
	};
	return cmocka_run_group_tests_name("aarch64-layout", tests, NULL, NULL);
}
