/*
 * An architecture that is not there yet says so from every hook, and touches nothing.
 */
#include "../test.h"

#include <axvm/arch.h>

#include <errno.h>
#include <string.h>

static const struct axarch *stub(void)
{
	const struct axarch *arch = axarch_by_name("loongarch64");

	assert_non_null(arch);
	return arch;
}

/* Every hook is there: one that is added to the table and not here is found. */
static void test_complete(void **state)
{
	const size_t count = offsetof(struct axarch, unfinished) / sizeof(void (*)(void));

	(void)state;
	for (size_t i = 0; i < count; i++) {
		uintptr_t entry;

		memcpy(&entry, (const char *)stub() + i * sizeof(entry), sizeof(entry));
		if (!entry)
			fail_msg("entry %zu of %zu in struct axarch is NULL", i, count);
	}
}

/* The others of this build, if there are any, are what machines are run with. */
static void test_registered(void **state)
{
	(void)state;
	assert_string_equal(stub()->name, "loongarch64");
	assert_true(stub()->unfinished);
#ifdef __loongarch64
	assert_true(stub()->ident());
	assert_ptr_equal(axarch_native(), stub());
#else
	assert_false(stub()->ident());
#ifdef __x86_64__
	if (axarch_by_name("x86_64"))
		assert_ptr_equal(axarch_native(), axarch_by_name("x86_64"));
#endif
#endif
}

static void expect_refusal(const struct ax_error *err, int rc)
{
	assert_int_equal(rc, -ENOTSUP);
	assert_int_equal(err->kind, AX_ERROR_UNSUPPORTED);
	assert_int_equal(err->sys_errno, ENOTSUP);
	assert_int_equal(ax_error_kind_exit_status(err->kind), 1);
	assert_non_null(strstr(err->message, "not implemented on loongarch64 yet"));
	assert_non_null(strstr(err->hint, "HACKING.md"));
	assert_non_null(strstr(err->hint, "How to add an architecture"));
}

/* Of everything the hooks are given, all zero; what they return must be left as it was. */
struct arguments {
	struct axarch_vm_config config;
	struct axarch_plan plan;
	struct axarch_boot boot;
	struct axarch_machine machine;
	struct axarch_platform platform;
	struct axdev_doorbell doorbell;
	struct axarch_vm *vm;
	const struct axvcpu_ops *ops;
	void *impl;
};

enum hook { PROBE, PLAN, VM_CREATE, DOORBELL, PLATFORM, VCPU_CREATE, LOAD, HOOK_COUNT };

static int call(enum hook hook, struct arguments *a, struct ax_error *err)
{
	const struct axarch *arch = stub();

	switch (hook) {
	case PROBE:
		return arch->probe(NULL, err);
	case PLAN:
		return arch->plan(&a->config, &a->plan, err);
	case VM_CREATE:
		return arch->vm_create(&a->config, &a->plan, &a->vm, err);
	case DOORBELL:
		return arch->assign_doorbell(NULL, &a->doorbell, err);
	case PLATFORM:
		return arch->platform_attach(NULL, &a->platform, err);
	case VCPU_CREATE:
		return arch->vcpu_create(NULL, 0, &a->ops, &a->impl, err);
	case LOAD:
		return arch->load(NULL, NULL, &a->boot, &a->machine, err);
	default:
		return 0;
	}
}

static void test_refuses(void **state)
{
	static struct arguments before, after;

	(void)state;
	for (enum hook hook = 0; hook < HOOK_COUNT; hook++) {
		struct ax_error err = {0};

		memset(&before, 0, sizeof(before));
		memset(&after, 0, sizeof(after));
		expect_refusal(&err, call(hook, &after, &err));
		assert_memory_equal(&before, &after, sizeof(before));
		assert_int_equal(call(hook, &after, NULL), -ENOTSUP);
	}
}

static void test_no_errors(void **state)
{
	struct axarch_fact facts[2] = {{0}};
	struct axdev_doorbell doorbell = {0};
	uint64_t value = 7;

	(void)state;
	assert_int_equal(stub()->facts(NULL, facts, AX_ARRAY_LEN(facts)), 0);
	assert_null(facts[0].name);
	assert_int_equal(stub()->facts("/dev/null", NULL, 0), 0);
	stub()->vm_destroy(NULL);
	assert_int_equal(stub()->release_doorbell(NULL, &doorbell), -ENOTSUP);
	assert_int_equal(stub()->vcpu_stat(NULL, 0, "exits", &value), -ENOENT);
	assert_int_equal(value, 7);
}

/* Through the layers that would use it. */
static void test_mapper(void **state)
{
	const struct axas_region_config region = {
		.name = "ram", .size_bytes = AX_MIB, .flags = AXAS_RW, .fd = -1};
	struct axas_mapper mapper = {0};
	struct axas *memory = NULL;
	struct ax_error err = {0};

	(void)state;
	stub()->vm_mapper(NULL, &mapper);
	assert_non_null(mapper.map);
	assert_int_equal(mapper.unmap(mapper.ctx, 0, 0, AX_MIB, NULL), -ENOTSUP);
	assert_int_equal(axas_create(0, &mapper, &memory, NULL), 0);
	expect_refusal(&err, axas_map(memory, &region, &err));
	assert_int_equal(axas_regions(memory, NULL, 0), 0);
	axas_destroy(memory);
}

static void test_lines(void **state)
{
	struct axirq_domain *domain = NULL;
	struct axirq_line *line = NULL;
	struct axirq_chip chip = {0};

	(void)state;
	stub()->vm_irq_chip(NULL, &chip);
	assert_int_equal(chip.gsi_count, 0);
	assert_int_equal(chip.set_level(chip.ctx, 0, true), -ENOTSUP);
	assert_int_equal(axirq_domain_create(&chip, &domain, NULL), 0);
	for (uint32_t gsi = 0; gsi < 32; gsi++)
		assert_int_equal(axirq_claim(domain, gsi, AXIRQ_EDGE, "test", &line, NULL),
				 -ERANGE);
	axirq_domain_destroy(domain);
}

static void count_failure(void *ctx, const char *check, int status, const char *detail)
{
	int *failed = ctx;

	assert_non_null(check);
	assert_int_equal(status, AXARCH_SELFTEST_FAIL);
	assert_string_equal(detail, "not implemented on loongarch64 yet");
	(*failed)++;
}

static void test_selftest(void **state)
{
	int failed = 0;

	(void)state;
	assert_int_equal(stub()->selftest(NULL, count_failure, &failed), 1);
	assert_int_equal(failed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete), cmocka_unit_test(test_registered),
		cmocka_unit_test(test_refuses),  cmocka_unit_test(test_no_errors),
		cmocka_unit_test(test_mapper),   cmocka_unit_test(test_lines),
		cmocka_unit_test(test_selftest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
