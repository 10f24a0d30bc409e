/*
 * Is everything where the plan put it? Reads back what the kernel says of threads and pages: an
 * administrator, a cpuset or a daemon may have moved them since. Mends nothing.
 */
#include "vm_private.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* For the CPU_*_S macros; as many as a Linux can have. */
struct mask {
	cpu_set_t sets[8192 / CPU_SETSIZE];
};

static void note(struct axvm_drift *drift, const char *fmt, ...) AX_PRINTF(2, 3);
static void note(struct axvm_drift *drift, const char *fmt, ...)
{
	va_list args;

	if (drift->first[0])
		return;
	va_start(args, fmt);
	vsnprintf(drift->first, sizeof(drift->first), fmt, args);
	va_end(args);
}

/* May it run on these CPUs and no others? One that has ended drifts no more. */
static bool is_placed(pid_t tid, struct vm_cpus cpus)
{
	struct mask mask = {0};

	if (!tid || sched_getaffinity(tid, sizeof(mask.sets), mask.sets) != 0)
		return true;
	for (size_t i = 0; i < cpus.count; i++) {
		if (!CPU_ISSET_S(cpus.ids[i], sizeof(mask.sets), mask.sets))
			return false;
		CPU_CLR_S(cpus.ids[i], sizeof(mask.sets), mask.sets);
	}
	return CPU_COUNT_S(sizeof(mask.sets), mask.sets) == 0;
}

static void look_at_memory(const struct axvm *vm, struct axvm_drift *drift)
{
	struct axas_placement pages;

	if (axas_placement(vm->memory, 0, UINT64_MAX, 0, &pages, NULL)) {
		drift->memory_unknown = true;
		return;
	}
	drift->looked_bytes = pages.looked_bytes;
	drift->astray_bytes = pages.astray_bytes;
	if (pages.astray_bytes)
		note(drift,
		     "%llu of %llu KiB of guest memory that were looked at are on other nodes",
		     (unsigned long long)(pages.astray_bytes >> 10),
		     (unsigned long long)(pages.looked_bytes >> 10));
}

void axvm_get_drift(const struct axvm *vm, struct axvm_drift *ret_drift)
{
	*ret_drift = (struct axvm_drift){0};
	if (!vm->placement.plan)
		return;
	for (uint32_t i = 0; i < vm->vcpu_count && !vm->placement.floats; i++) {
		const struct vm_cpus cpus = axvm_vcpu_cpus(vm, i);

		if (is_placed(axvcpu_tid(vm->vcpus[i]), cpus))
			continue;
		ret_drift->vcpus++;
		note(ret_drift, "thread \"vcpu %u\" may run elsewhere than on CPU %d", i,
		     cpus.ids[0]);
	}
	/* Those that have stepped aside for others are where they should be. */
	for (unsigned i = 0;
	     i < vm->io_count && !vm->placement.floats && !atomic_load(&vm->placement.yielded);
	     i++) {
		const struct ax_thread *thread = vm->io_threads[i].thread;

		if (!thread || is_placed(ax_thread_tid(thread), axvm_io_cpus(vm, i)))
			continue;
		ret_drift->io_threads++;
		note(ret_drift, "thread \"io %u\" may run elsewhere than planned", i);
	}
	if (vm->placement.bind)
		look_at_memory(vm, ret_drift);
}

void axvm_look_for_drift(struct axvm *vm)
{
	struct axvm_drift drift;

	axvm_get_drift(vm, &drift);
	if (drift.first[0])
		ax_log(AX_LOG_WARN, "placement",
		       "%s does not run as planned: %s (%u vCPUs, %u I/O threads, %llu KiB astray)",
		       vm->config->name, drift.first, drift.vcpus, drift.io_threads,
		       (unsigned long long)(drift.astray_bytes >> 10));
}
