/*
 * The fake proves itself: one vCPU, without a thread, reports a write, reads an answer and powers
 * off. What `axvm selftest` shows on a machine without KVM.
 */
#include "generic_priv.h"

#include <string.h>

static const char *play(struct axvcpu *vcpu, struct axarch_vm *vm)
{
	struct axvcpu_exit exit = {0};
	struct generic_answer answer;

	if (axvcpu_setup(vcpu, NULL) < 0 || axvcpu_bind(vcpu, NULL) < 0)
		return "setup or bind failed";
	if (axvcpu_run(vcpu, &exit, NULL) < 0 || exit.kind != AXVCPU_EXIT_IO_WRITE ||
	    memcmp(exit.io.data, "\x34\x12", 2) != 0)
		return "no port write";
	if (axvcpu_run(vcpu, &exit, NULL) < 0 || exit.kind != AXVCPU_EXIT_MMIO_READ)
		return "no MMIO read";
	memset(exit.mmio.data, 0x5a, exit.mmio.width);
	if (axvcpu_run(vcpu, &exit, NULL) < 0 || exit.kind != AXVCPU_EXIT_SYSTEM_DOWN)
		return "no power off";
	if (!generic_vm_answer(vm, 0, 1, &answer) || answer.value != 0x5a5a5a5a)
		return "the answer to a read did not arrive";
	return NULL;
}

static const char *check(const char *kvm_device)
{
	const struct generic_step script[] = {
		{.exit = {.kind = AXVCPU_EXIT_IO_WRITE, .io = {.port = 0x80, .width = 2}},
		 .value = 0x1234},
		{.exit = {.kind = AXVCPU_EXIT_MMIO_READ, .mmio = {.gpa = 0x1000, .width = 4}}},
		{.exit = {.kind = AXVCPU_EXIT_SYSTEM_DOWN}},
	};
	struct axarch_vm_config config = {
		.name = "selftest", .vcpu_count = 1, .kvm_device = kvm_device};
	struct axvcpu_config vcpu_config = {0};
	struct axvcpu *vcpu = NULL;
	struct axarch_vm *vm = NULL;
	struct axarch_plan plan = {0};
	const char *failed = "the VM or its vCPU could not be created";

	if (generic_faults_strike_once(kvm_device, GENERIC_HOOK_SELFTEST, NULL) < 0)
		return "it was told to fail";
	if (generic_vm_create(&config, &plan, &vm, NULL) < 0)
		return failed;
	if (generic_vm_set_script(vm, 0, script, AX_ARRAY_LEN(script)) == 0 &&
	    generic_vcpu_create(vm, 0, &vcpu_config.ops, &vcpu_config.impl, NULL) == 0) {
		if (axvcpu_create(&vcpu_config, &vcpu, NULL) == 0) {
			failed = play(vcpu, vm);
			axvcpu_destroy(vcpu);
		} else {
			vcpu_config.ops->destroy(vcpu_config.impl);
		}
	}
	generic_vm_destroy(vm);
	return failed;
}

int generic_selftest(const char *kvm_device,
		     void (*report)(void *ctx, const char *check, int status, const char *detail),
		     void *ctx)
{
	const char *failed = check(kvm_device);

	report(ctx, "script", failed ? AXARCH_SELFTEST_FAIL : AXARCH_SELFTEST_PASS,
	       failed ? failed : "exits, answers and power off");
	return failed ? 1 : 0;
}
