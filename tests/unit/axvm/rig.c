/*
 * Configuration, scripts and VM of one test, and the process's holdings before and after it.
 */
#include "rig.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void rig_init(struct rig *rig, const char *const *words)
{
	/* A file in memory stands behind the guest's: one that stays is seen (guest_maps). Tests
	 * that run at the same time share the host's ledger: only their own are to see it. */
	static const char *const small[] = {
		"run",      "-m",   "16M",      "--memory-backing", "anon",
		"--serial", "none", "--no-rng", "--placement=off"};
	const char *argv[48];
	struct axcfg_builder *builder = NULL;
	int argc = 0, rc;

	memset(rig, 0, sizeof(*rig));
	for (size_t i = 0; i < AX_ARRAY_LEN(small); i++)
		argv[argc++] = small[i];
	for (; words && *words; words++)
		argv[argc++] = *words;
	rc = axcfg_builder_create(&builder, &rig->err);
	if (!rc)
		rc = axcfg_builder_args(builder, argc, (char *const *)(uintptr_t)argv, NULL, NULL,
					&rig->err);
	if (!rc)
		rc = axcfg_builder_finish(builder, &rig->config, &rig->err);
	axcfg_builder_destroy(builder);
	if (rc)
		fail_msg("%s", rig->err.message);
	rig->options.arch = &axarch_generic;
	rig->options.console.in_fd = rig->options.console.out_fd = -1;
}

void rig_script(struct rig *rig, uint32_t vcpu, const struct generic_step *steps, size_t count)
{
	assert_true(vcpu < RIG_MAX_VCPUS);
	rig->script[vcpu].steps = steps;
	rig->script[vcpu].count = count;
}

static int on_arch_vm(void *ctx, struct axarch_vm *arch_vm, struct ax_error *err)
{
	struct rig *rig = ctx;

	(void)err;
	for (size_t i = 0; i < AX_ARRAY_LEN(rig->fault) && rig->fault[i].nth; i++)
		generic_vm_set_fault(arch_vm, rig->fault[i].hook, rig->fault[i].nth, 0);
	for (uint32_t v = 0; v < rig->config->cpus.count && v < RIG_MAX_VCPUS; v++) {
		int rc = rig->script[v].count
				 ? generic_vm_set_script(arch_vm, v, rig->script[v].steps,
							 rig->script[v].count)
				 : 0;
		if (rc)
			return rc;
	}
	return 0;
}

int rig_create(struct rig *rig)
{
	rig->options.on_arch_vm = on_arch_vm;
	rig->options.ctx = rig;
	rig->err = (struct ax_error){0};
	return axvm_create(rig->config, &rig->options, &rig->vm, &rig->err);
}

void rig_boot(struct rig *rig)
{
	if (rig_create(rig))
		fail_msg("create: %s", rig->err.message);
	if (axvm_start(rig->vm, &rig->err))
		fail_msg("start: %s", rig->err.message);
}

struct axvm_stop_info rig_end(struct rig *rig)
{
	struct pollfd stopped = {.fd = axvm_stop_fd(rig->vm), .events = POLLIN};
	struct axvm_stop_info info;

	if (poll(&stopped, 1, 20000) != 1)
		fail_msg("it has not stopped after 20 s");
	if (axvm_wait(rig->vm, &rig->err))
		fail_msg("wait: %s", rig->err.message);
	axvm_get_stop_info(rig->vm, &info);
	assert_int_equal(axvm_state(rig->vm),
			 info.reason == AXVM_STOP_HOST ? AXVM_FAILED : AXVM_STOPPED);
	return info;
}

struct axvm_stop_info rig_play(struct rig *rig, enum axvm_stop_reason reason)
{
	struct axvm_stop_info info;

	rig_boot(rig);
	info = rig_end(rig);
	if (info.reason != reason)
		fail_msg("it stopped for %s, not %s: %s", axvm_stop_reason_name(info.reason),
			 axvm_stop_reason_name(reason), info.error.message);
	return info;
}

void rig_finish(struct rig *rig)
{
	axvm_destroy(rig->vm);
	axcfg_destroy(rig->config);
	rig->vm = NULL;
	rig->config = NULL;
}

struct axarch_vm *rig_arch(struct rig *rig)
{
	return axvm_arch_vm(rig->vm);
}

struct generic_answer rig_answer(struct rig *rig, uint32_t vcpu, size_t step)
{
	struct generic_answer answer = {0};

	assert_true(generic_vm_answer(rig_arch(rig), vcpu, step, &answer));
	return answer;
}

void rig_pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

int rig_warm_up(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, NULL);
	RIG_SCRIPT(&rig, 0, STEP_OFF);
	rig_play(&rig, AXVM_STOP_SYSTEM_DOWN);
	rig_finish(&rig);
	return 0;
}

static size_t entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Mappings of guest memory: what a VM would leave behind. */
static size_t guest_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	size_t count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		count += strstr(line, "memfd:") != NULL;
	fclose(file);
	return count;
}

void holdings_read(struct holdings *ret)
{
	ret->fds = entries("/proc/self/fd");
	ret->tasks = entries("/proc/self/task");
	ret->maps = guest_maps();
}

void holdings_check(const struct holdings *before)
{
	struct holdings now;

	/* A joined thread's entry in /proc may outlive it by a moment: here, and in `before`. */
	for (int i = 0; i < 2000; i++) {
		holdings_read(&now);
		if (now.tasks <= before->tasks)
			break;
		rig_pause_a_little();
	}
	assert_int_equal(now.fds, before->fds);
	assert_true(now.tasks <= before->tasks);
	assert_int_equal(now.maps, before->maps);
}

static char files[16][64];
static size_t file_count;

static void remove_files(void)
{
	while (file_count)
		unlink(files[--file_count]);
}

const char *rig_file(const void *bytes, size_t count)
{
	char *path = files[file_count];
	int fd;

	assert_true(file_count < AX_ARRAY_LEN(files));
	if (!file_count)
		atexit(remove_files);
	snprintf(path, sizeof(files[0]), "/tmp/axvm-unit-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	file_count++;
	assert_int_equal(ax_pwrite_full(fd, bytes, count, 0), 0);
	close(fd);
	return path;
}
