/*
 * Building and starting can fail at every step: the error is the step's own, names what it was
 * about, and nothing stays behind.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The Nth call of a hook fails, for N = 1, 2, ... until the VM can be built after all. */
static void test_every_build_hook(void **state)
{
	static const struct {
		enum generic_hook hook;
		uint32_t calls; /* that a build of three vCPUs and one device makes */
		enum ax_error_kind kind;
	} hooks[] = {
		{GENERIC_HOOK_PLAN, 1, AX_ERROR_CONFIGURATION},
		{GENERIC_HOOK_PROBE, 1, AX_ERROR_KVM_ABSENT},
		{GENERIC_HOOK_VM_CREATE, 1, AX_ERROR_VM_CREATION},
		{GENERIC_HOOK_MAP, 1, AX_ERROR_MEMORY_SETUP},
		{GENERIC_HOOK_ASSIGN_DOORBELL, 1, AX_ERROR_DEVICE},
		{GENERIC_HOOK_PLATFORM_ATTACH, 1, AX_ERROR_DEVICE},
		{GENERIC_HOOK_VCPU_CREATE, 3, AX_ERROR_VCPU_CREATION},
		{GENERIC_HOOK_LOAD, 1, AX_ERROR_BOOT_IMAGE},
		{GENERIC_HOOK_SETUP, 3, AX_ERROR_BOOT_STATE},
	};
	const char *disk = rig_file((char[4096]){0}, 4096);
	struct holdings before;

	(void)state;
	holdings_read(&before);
	for (size_t h = 0; h < AX_ARRAY_LEN(hooks); h++) {
		uint32_t nth = 1;

		for (;; nth++) {
			char device[64];
			struct rig rig;
			int rc;

			snprintf(device, sizeof(device), "--kvm-device=generic:%s@%u",
				 generic_hook_name(hooks[h].hook), nth);
			rig_init(&rig, WORDS(device, "-c", "3", "--rng", "--disk", disk,
					     "--serial=stdio"));
			rc = rig_create(&rig);
			if (rc) {
				assert_null(rig.vm);
				/* A doorbell that cannot be had may be done without. */
				assert_int_equal(rig.err.kind, hooks[h].kind);
				assert_non_null(strstr(rig.err.message, "as it was told to"));
			}
			rig_finish(&rig);
			holdings_check(&before);
			if (!rc)
				break;
		}
		if (nth - 1 < hooks[h].calls && hooks[h].hook != GENERIC_HOOK_ASSIGN_DOORBELL)
			fail_msg("%s: only %u calls can fail", generic_hook_name(hooks[h].hook),
				 nth - 1);
	}
}

/* Threads exist already: the failure stops the machine, as the host's and not the guest's. */
static void test_failures_while_running(void **state)
{
	static const struct {
		enum generic_hook hook;
		enum ax_error_kind kind;
		int status;
	} hooks[] = {
		{GENERIC_HOOK_BIND, AX_ERROR_THREAD, 31},
		{GENERIC_HOOK_RUN, AX_ERROR_VCPU_RUNTIME, 1},
	};
	struct holdings before;

	(void)state;
	holdings_read(&before);
	for (size_t h = 0; h < AX_ARRAY_LEN(hooks); h++) {
		for (uint32_t nth = 1; nth <= 3; nth++) {
			struct axvm_stop_info info;
			struct axvm_metrics metrics;
			struct rig rig;

			rig_init(&rig, WORDS("-c", "3"));
			rig.fault[0].hook = hooks[h].hook;
			rig.fault[0].nth = nth;
			info = rig_play(&rig, AXVM_STOP_HOST);
			assert_int_equal(axvm_state(rig.vm), AXVM_FAILED);
			assert_int_equal(info.error.kind, hooks[h].kind);
			assert_int_equal(axvm_stop_exit_status(info.reason, &info.error),
					 hooks[h].status);
			axvm_get_metrics(rig.vm, &metrics);
			assert_int_equal(metrics.hardware_failures, 1);
			rig_finish(&rig);
		}
	}
	holdings_check(&before);
}

/* Completing the last exit fails: a pause must not go on as if nothing had happened. */
static void test_failure_while_pausing(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, WORDS("-c", "2"));
	RIG_SCRIPT(&rig, 0, STEP_IN(0x60, 1), {.kind = GENERIC_STEP_JUMP, .count = 0});
	rig.fault[0].hook = GENERIC_HOOK_COMPLETE;
	rig.fault[0].nth = 1;
	rig_boot(&rig);
	while (!axvm_pause(rig.vm, &rig.err))
		assert_int_equal(axvm_resume(rig.vm, &rig.err), 0);
	assert_int_equal(rig_end(&rig).reason, AXVM_STOP_HOST);
	rig_finish(&rig);
}

/* A vCPU's thread cannot be had: the start fails, those that run already are ended. */
static void test_start_fails(void **state)
{
	static const char *const options[] = {"--cpu-affinity=0,0,9999", "--cpu-affinity=9999,0,0",
					      "--cpu-affinity=0,9999,0"};
	struct axvcpu_stats stats;
	struct axvm_stop_info info;
	struct holdings before;
	struct rig rig;

	(void)state;
	holdings_read(&before);
	for (size_t i = 0; i < AX_ARRAY_LEN(options); i++) {
		rig_init(&rig, WORDS("-c", "3", "--placement=off", options[i]));
		assert_int_equal(rig_create(&rig), 0);
		assert_true(axvm_start(rig.vm, &rig.err) < 0);
		assert_int_equal(rig.err.kind, AX_ERROR_THREAD);
		assert_non_null(strstr(rig.err.message, "9999"));
		assert_int_equal(axvm_state(rig.vm), AXVM_FAILED);
		axvm_get_stop_info(rig.vm, &info);
		assert_int_equal(info.reason, AXVM_STOP_HOST);
		assert_int_equal(info.error.kind, AX_ERROR_THREAD);
		for (uint32_t v = 0; v < 3; v++) {
			axvcpu_get_stats(axvm_vcpu(rig.vm, v), &stats);
			assert_int_equal(stats.runs, 0); /* the guest has not begun */
		}
		assert_int_equal(axvm_wait(rig.vm, &rig.err), 0);
		assert_int_equal(axvm_start(rig.vm, &rig.err), -EBADFD);
		rig_finish(&rig);
	}
	holdings_check(&before);
}

static void test_wrong_requests(void **state)
{
	const char *disk = rig_file("not a whole sector", 18);
	const char *empty = rig_file("", 0);
	const struct {
		const char *word;
		enum ax_error_kind kind;
		const char *message, *hint;
	} cases[] = {
		{"--kernel=/nonexistent/vmlinuz", AX_ERROR_BOOT_IMAGE,
		 "kernel: cannot open /nonexistent/vmlinuz", "check the path"},
		{"--initrd=/nonexistent/initrd", AX_ERROR_BOOT_IMAGE,
		 "initrd: cannot open /nonexistent/initrd", "check the path"},
		{"--disk=/nonexistent/disk", AX_ERROR_DISK, "/nonexistent/disk", ""},
		{"--memory=65G", AX_ERROR_CONFIGURATION, "64G", ""},
		{"--cpus=256", AX_ERROR_CONFIGURATION, "256 vCPUs", ""},
		{"--arch=pdp11", AX_ERROR_CONFIGURATION, "arch: 'pdp11' is not known", "generic"},
		{"--profile=xv9", AX_ERROR_CONFIGURATION, "profile: 'xv9'",
		 "auto, xv2, zen2, generic"},
		{"--region=gpa=0,size=4K", AX_ERROR_ALREADY_EXISTS, "memory.regions[0]", ""},
		{"--region=gpa=0xd0000000,size=4K", AX_ERROR_ALREADY_EXISTS, "memory.regions[0]",
		 ""},
		{"--region=gpa=0x40000000,size=4K,type=reserved,path=/nonexistent", AX_ERROR_NONE,
		 "/nonexistent", ""},
		{"--protocol=pvh", AX_ERROR_NONE, "", ""},
	};
	struct holdings before;
	char word[128];

	(void)state;
	holdings_read(&before);
	for (size_t i = 0; i < AX_ARRAY_LEN(cases); i++) {
		struct rig rig;

		/* A kernel that would do, unless the case is about it. */
		rig_init(&rig, WORDS("--kernel=/etc/passwd", cases[i].word));
		if (!strncmp(cases[i].word, "--arch", 6))
			rig.options.arch = NULL;
		if (!rig_create(&rig))
			fail_msg("'%s' was accepted", cases[i].word);
		assert_null(rig.vm);
		if (cases[i].kind != AX_ERROR_NONE && rig.err.kind != cases[i].kind)
			fail_msg("%s: %s: %s", cases[i].word, ax_error_kind_name(rig.err.kind),
				 rig.err.message);
		if (!strstr(rig.err.message, cases[i].message) ||
		    !strstr(rig.err.hint, cases[i].hint))
			fail_msg("%s: %s (%s)", cases[i].word, rig.err.message, rig.err.hint);
		rig_finish(&rig);
		holdings_check(&before);
	}
	for (int i = 0; i < 2; i++) {
		struct rig rig;

		snprintf(word, sizeof(word), "--disk=%s", i ? empty : disk);
		rig_init(&rig, WORDS(word));
		assert_true(rig_create(&rig) < 0);
		assert_int_equal(rig.err.kind, AX_ERROR_DISK);
		assert_non_null(strstr(rig.err.message, i ? empty : disk));
		rig_finish(&rig);
		holdings_check(&before);
	}
}

/* As many disks as a configuration can hold: each finds a line, and all go again. */
static void test_a_full_list_of_disks(void **state)
{
	const char *disk = rig_file((char[512]){0}, 512);
	char json[4096] = "{\"rng\": false, \"kernel\": {\"path\": \"x\"}, \"disks\": [";
	size_t used = strlen(json);
	struct holdings before;
	struct rig rig;

	(void)state;
	holdings_read(&before);
	for (int i = 0; i < AXCFG_MAX_DISKS; i++)
		used += (size_t)snprintf(json + used, sizeof(json) - used,
					 "%s{\"path\": \"%s\", \"ro\": true}", i ? ", " : "", disk);
	snprintf(json + used, sizeof(json) - used, "]}");
	rig_init(&rig, WORDS("--config", rig_file(json, strlen(json))));
	assert_int_equal(rig.config->disk_count, AXCFG_MAX_DISKS);
	assert_int_equal(rig_create(&rig), -ENOENT); /* only the kernel is missing */
	assert_int_equal(rig.err.kind, AX_ERROR_BOOT_IMAGE);
	rig_finish(&rig);
	holdings_check(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_build_hook),
		cmocka_unit_test(test_failures_while_running),
		cmocka_unit_test(test_failure_while_pausing),
		cmocka_unit_test(test_start_fails),
		cmocka_unit_test(test_wrong_requests),
		cmocka_unit_test(test_a_full_list_of_disks),
	};

	return cmocka_run_group_tests(tests, rig_warm_up, NULL);
}
