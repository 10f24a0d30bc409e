/*
 * Faults on demand: their spelling in kvm_device, those set in a VM that exists, and the self-test
 * that finds them.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct axarch *generic(void)
{
	return axarch_by_name("generic");
}

static void test_fault_specs(void **state)
{
	static const char *const bad[] = {
		"generic:nonsense",     "generic:map@", "generic:map@0",          "generic:map@1x",
		"generic:map=Nonsense", "generic:,",    "generic:map@99999999999"};
	struct axarch_vm_config config = {.vcpu_count = 1, .memory_bytes = AX_MIB};
	struct axarch_plan plan;
	struct ax_error err = {0};
	struct axarch_vm *vm = NULL;

	(void)state;
	assert_int_equal(generic()->plan(&config, &plan, NULL), 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(bad); i++) {
		config.kvm_device = bad[i];
		assert_int_equal(generic()->probe(bad[i], &err), -EINVAL);
		assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
		assert_int_equal(generic()->vm_create(&config, &plan, &vm, NULL), -EINVAL);
		assert_null(vm);
	}
	assert_true(generic()->probe("generic:probe=KvmVersion", &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_KVM_VERSION);
	assert_true(generic()->probe("generic:plan,probe@1", &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_KVM_ABSENT);
	assert_int_equal(generic()->probe("generic:probe@2", NULL), 0);
	assert_int_equal(generic()->probe("generic:", NULL), 0);
	config.kvm_device = "generic:plan";
	assert_true(generic()->plan(&config, &plan, NULL) < 0);
	config.kvm_device = "generic:vm_create=NoMemory";
	assert_true(generic()->vm_create(&config, &plan, &vm, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_NO_MEMORY);
	assert_null(vm);
	generic()->vm_destroy(NULL);
	for (int hook = 0; hook < GENERIC_HOOK_COUNT; hook++)
		assert_non_null(generic_hook_name(hook));
}

static void test_failing_map(void **state)
{
	struct machine machine;
	struct ax_error err = {0};
	const struct axas_region_config region = {
		.name = "more", .gpa = AX_GIB, .size_bytes = AX_MIB, .flags = AXAS_RW, .fd = -1};

	(void)state;
	machine_create(&machine, 1);
	generic_vm_set_fault(machine.vm, GENERIC_HOOK_MAP, 1, AX_ERROR_NONE);
	assert_true(axas_map(machine.memory, &region, &err) < 0);
	assert_int_equal(generic_vm_slots(machine.vm), 1);
	assert_int_equal(axas_map(machine.memory, &region, NULL), 0);
	assert_int_equal(generic_vm_slots(machine.vm), 2);
	generic_vm_set_fault(machine.vm, GENERIC_HOOK_VCPU_CREATE, 1, AX_ERROR_NO_MEMORY);
	const struct axvcpu_ops *ops = NULL;
	void *impl = NULL;
	assert_true(machine.arch->vcpu_create(machine.vm, 0, &ops, &impl, &err) < 0);
	assert_int_equal(err.kind, AX_ERROR_NO_MEMORY);
	assert_true(machine.arch->vcpu_create(machine.vm, 1, &ops, &impl, &err) < 0);
	assert_null(impl);
	struct axirq_chip chip;
	machine.arch->vm_irq_chip(machine.vm, &chip);
	generic_vm_set_fault(machine.vm, GENERIC_HOOK_SET_LEVEL, 2, AX_ERROR_NONE);
	assert_int_equal(chip.set_level(chip.ctx, 1, true), 0);
	assert_true(chip.set_level(chip.ctx, 1, true) < 0);
	generic_vm_set_fault(machine.vm, GENERIC_HOOK_SET_LEVEL, 0, AX_ERROR_NONE);
	assert_int_equal(chip.set_level(chip.ctx, 1, true), 0);
	machine_destroy(&machine);
}

struct selftest_log {
	int checks, failed;
};

static void on_check(void *ctx, const char *check, int status, const char *detail)
{
	struct selftest_log *log = ctx;

	log->checks += check && detail;
	log->failed += status == AXARCH_SELFTEST_FAIL;
}

static void test_selftest(void **state)
{
	static const char *const broken[] = {"generic:selftest", "generic:run", "generic:setup",
					     "generic:vcpu_create", "generic:vm_create"};
	struct selftest_log log = {0};

	(void)state;
	assert_int_equal(generic()->selftest(NULL, on_check, &log), 0);
	assert_int_equal(log.checks, 1);
	assert_int_equal(log.failed, 0);
	for (size_t i = 0; i < AX_ARRAY_LEN(broken); i++)
		assert_int_equal(generic()->selftest(broken[i], on_check, &log), 1);
	assert_int_equal(log.failed, AX_ARRAY_LEN(broken));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_specs),
		cmocka_unit_test(test_failing_map),
		cmocka_unit_test(test_selftest),
	};

	return cmocka_run_group_tests_name("generic-fault", tests, NULL, NULL);
}
