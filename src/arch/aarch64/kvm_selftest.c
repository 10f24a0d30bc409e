/*
 * The self-test: proves that this host's KVM does what a boot needs, one payload for each thing,
 * and tells what it found. The payloads are kvm_selftest_checks.c's.
 */
#include "kvm_selftest.h"

#include <stdio.h>

static int run_check(const char *kvm_device, const struct st_check *check, char *detail,
		     size_t size)
{
	struct st_machine machine;
	int status = AXARCH_SELFTEST_FAIL;

	detail[0] = '\0';
	if (a64_st_create(kvm_device, check, &machine) < 0)
		snprintf(detail, size, "%s", machine.err.message);
	else
		status = check->drive(&machine, detail, size);
	if (status == AXARCH_SELFTEST_FAIL && machine.ended)
		snprintf(detail, size, "the guest ended with %s (reason 0x%llx) %s",
			 axvcpu_exit_name(machine.end.kind),
			 (unsigned long long)machine.end.failure.reason, machine.err.message);
	a64_st_destroy(&machine);
	return status;
}

int a64_selftest(const char *kvm_device,
		 void (*report)(void *ctx, const char *check, int status, const char *detail),
		 void *ctx)
{
	struct ax_error err = {0};
	char detail[640];
	int failed = 0;

	if (a64_probe(kvm_device, &err) < 0) {
		snprintf(detail, sizeof(detail), "%s", err.message);
		report(ctx, "KVM", AXARCH_SELFTEST_FAIL, detail);
		return 1;
	}
	report(ctx, "KVM", AXARCH_SELFTEST_PASS, "API version 12, every required capability");
	for (size_t i = 0; i < a64_selftest_check_count; i++) {
		const struct st_check *check = &a64_selftest_checks[i];
		int status = run_check(kvm_device, check, detail, sizeof(detail));

		failed += status == AXARCH_SELFTEST_FAIL;
		report(ctx, check->name, status, detail);
	}
	return failed;
}
