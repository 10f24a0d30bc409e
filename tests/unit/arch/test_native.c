/*
 * What the native halves share: a count of CPUs against what this program and this KVM can do.
 */
#include "../test.h"

#include "../../../src/arch/native.h"

#include <errno.h>
#include <string.h>

static void counts_above_kvms_are_refused_with_its_number(void **state)
{
	struct axarch_vm_config config = {.vcpu_count = 1024};
	struct ax_error err = {0};
	(void)state;

	assert_int_equal(axarch_check_kvm_vcpus(&config, 1024, &err), 0);
	assert_int_equal(axarch_check_kvm_vcpus(&config, 0, &err), 0); /* KVM does not say */
	assert_int_equal(axarch_check_kvm_vcpus(&config, 710, &err), -ERANGE);
	assert_int_equal(err.kind, AX_ERROR_CONFIGURATION);
	assert_non_null(strstr(err.message, "1024 CPUs"));
	assert_non_null(strstr(err.message, "710"));
	assert_non_null(strstr(err.hint, "1 to 710"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_above_kvms_are_refused_with_its_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
