/*
 * The planner: boundaries by table, hart ids, what other architectures have and this one refuses.
 */
#include "helpers.h"

#include <string.h>

static void memory_is_one_piece(void **state)
{
	static const uint64_t rows[] = {16 * AX_MIB, 256 * AX_MIB + 4096, 64 * AX_GIB,
					(1ULL << 52) - 2 * AX_GIB};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		const struct axarch_vm_config config = {.vcpu_count = 1, .memory_bytes = rows[i]};
		struct axarch_plan plan;
		struct ax_error err = {0};
		if (rv64_plan(&config, &plan, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(plan.memory_count, 1);
		assert_int_equal(plan.memory[0].gpa, RV64_RAM_GPA);
		assert_int_equal(plan.memory[0].size_bytes, rows[i]);
		assert_int_equal(plan.gpa_limit, 1ULL << 52);
	}
}

static void refused(void **state)
{
	static const uint32_t twice[] = {3, 4, 3}, large[] = {0, 1024};
	static const struct {
		struct axarch_vm_config config;
		const char *text;
	} rows[] = {
		{{.vcpu_count = 1}, "16M to"},
		{{.vcpu_count = 1, .memory_bytes = 16 * AX_MIB - 4096}, "16M to"},
		{{.vcpu_count = 1, .memory_bytes = 16 * AX_MIB + 1}, "4096"},
		{{.vcpu_count = 1, .memory_bytes = 1ULL << 52}, "outside"},
		{{.vcpu_count = 1, .memory_bytes = UINT64_MAX - 4095}, "outside"},
		{{.vcpu_count = 0, .memory_bytes = AX_GIB}, "1 to 1024"},
		{{.vcpu_count = 1025, .memory_bytes = AX_GIB}, "1 to 1024"},
		{{.vcpu_count = 3, .memory_bytes = AX_GIB, .hardware_ids = twice},
		 "hart id 3 of CPU 2"},
		{{.vcpu_count = 2, .memory_bytes = AX_GIB, .hardware_ids = large}, "0 to 1023"},
		{{.vcpu_count = 1, .memory_bytes = AX_GIB, .gic_version = 3}, "has no GIC"},
		{{.vcpu_count = 1, .memory_bytes = AX_GIB, .uart = AXARCH_UART_PL011}, "PL011"},
	};
	struct axarch_plan plan = {.gpa_limit = 77};
	(void)state;

	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		struct ax_error err = {0};
		assert_true(rv64_plan(&rows[i].config, &plan, &err) < 0);
		assert_error(&err, AX_ERROR_CONFIGURATION, rows[i].text);
		assert_int_equal(plan.gpa_limit, 77);
	}
}

static void ids(void **state)
{
	static const uint32_t chosen[] = {5, 0, 1023};
	struct axarch_vm_config config = {.vcpu_count = 3, .memory_bytes = AX_GIB};
	struct axarch_plan plan;
	(void)state;

	assert_int_equal(rv64_hart_id(&config, 2), 2);
	config.hardware_ids = chosen;
	assert_int_equal(rv64_plan(&config, &plan, NULL), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(rv64_hart_id(&config, i), chosen[i]);
}

static void slots_and_lines(void **state)
{
	struct axarch_vm_config config = {.vcpu_count = RV64_MAX_VCPUS, .memory_bytes = AX_GIB};
	struct axarch_plan plan;
	(void)state;

	assert_int_equal(rv64_plan(&config, &plan, NULL), 0);
	assert_int_equal(plan.device_count, 32);
	assert_int_equal(plan.device_gpa, RV64_VIRTIO_GPA);
	for (uint32_t i = 0; i < plan.device_count; i++) {
		assert_int_equal(plan.device_gsi[i], 16 + i);
		assert_true(plan.device_gsi[i] < RV64_SOURCES);
	}
	config.irq_mode = AXARCH_IRQ_NONE;
	assert_int_equal(rv64_plan(&config, &plan, NULL), 0);
	assert_int_equal(plan.device_count, 0);
}

static void narrowed_to_the_host(void **state)
{
	const struct axarch_vm_config config = {.vcpu_count = 1, .memory_bytes = 64 * AX_GIB};
	const struct axarch_vm_config large = {.vcpu_count = 1, .memory_bytes = 2048 * AX_GIB};
	struct axarch_plan plan;
	struct ax_error err = {0};
	(void)state;

	assert_int_equal(rv64_plan(&config, &plan, NULL), 0);
	assert_int_equal(rv64_plan_narrow(&plan, 59, NULL), 0);
	assert_int_equal(plan.gpa_limit, 1ULL << 52);
	assert_int_equal(rv64_plan_narrow(&plan, 50, NULL), 0);
	assert_int_equal(plan.gpa_limit, 1ULL << 50);
	assert_int_equal(rv64_plan_narrow(&plan, 0, NULL), 0); /* an old KVM: Sv39x4 */
	assert_int_equal(plan.gpa_limit, 1ULL << 41);
	assert_true(rv64_plan_narrow(&plan, 36, &err) < 0);
	assert_error(&err, AX_ERROR_CONFIGURATION, "up to 62G");
	assert_int_equal(plan.gpa_limit, 1ULL << 41);

	assert_int_equal(rv64_plan(&large, &plan, NULL), 0);
	assert_true(rv64_plan_narrow(&plan, 41, &err) < 0);
	assert_error(&err, AX_ERROR_CONFIGURATION, "41 address bits");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_one_piece),
		cmocka_unit_test(refused),
		cmocka_unit_test(ids),
		cmocka_unit_test(slots_and_lines),
		cmocka_unit_test(narrowed_to_the_host),
	};
	return cmocka_run_group_tests_name("riscv64-layout", tests, NULL, NULL);
}
