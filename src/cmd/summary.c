/*
 * What is printed when a VM has ended: why, its counters, and where the time of its boot went.
 */
#include "cmd.h"

#include <axvm/virtio_devices.h>

#include <stdio.h>
#include <string.h>

static void print_exits(const struct axvm *vm)
{
	uint64_t by_kind[AXVCPU_EXIT_KIND_COUNT] = {0};

	for (uint32_t v = 0; v < axvm_vcpu_count(vm); v++) {
		struct axvcpu_stats stats;

		axvcpu_get_stats(axvm_vcpu((struct axvm *)(uintptr_t)vm, v), &stats);
		for (int k = 0; k < AXVCPU_EXIT_KIND_COUNT; k++)
			by_kind[k] += stats.by_kind[k];
	}
	for (int k = 0; k < AXVCPU_EXIT_KIND_COUNT; k++)
		if (by_kind[k])
			fprintf(stderr, "    %-20s %12llu\n",
				axvcpu_exit_name((enum axvcpu_exit_kind)k),
				(unsigned long long)by_kind[k]);
}

/* vCPUs that the guest had brought up when it ended. */
static uint32_t count_online(const struct axvm *vm)
{
	uint32_t count = 0;

	for (uint32_t v = 0; v < axvm_vcpu_count(vm); v++) {
		bool online = false;

		if (axvcpu_online(axvm_vcpu((struct axvm *)(uintptr_t)vm, v), &online, NULL) == 0)
			count += online;
	}
	return count;
}

/* A line per virtio device: what its driver asked for, and what that took. */
static void print_devices(const struct axvm *vm)
{
	struct axbus *bus = axvm_bus((struct axvm *)(uintptr_t)vm);
	struct axdev *devs[64];
	const size_t count = axbus_devices(bus, devs, AX_ARRAY_LEN(devs));
	bool any = false;

	for (size_t i = 0; i < count && i < AX_ARRAY_LEN(devs); i++) {
		struct axvirtio_stats stats;

		if (axvirtio_get_stats(devs[i], &stats) || !stats.requests)
			continue;
		if (!any)
			fprintf(stderr, "  %-12s %10s %8s %10s %10s %8s %8s %6s %8s\n",
				"devices:", "requests", "errors", "kicks", "batches", "irqs",
				"spared", "depth", "MiB");
		any = true;
		fprintf(stderr, "    %-10s %10llu %8llu %10llu %10llu %8llu %8llu %6llu %8.1f\n",
			devs[i]->name, (unsigned long long)stats.requests,
			(unsigned long long)stats.errors, (unsigned long long)stats.kicks,
			(unsigned long long)stats.batches, (unsigned long long)stats.interrupts,
			(unsigned long long)stats.interrupts_suppressed,
			(unsigned long long)stats.depth_max, (double)stats.bytes / AX_MIB);
	}
}

void summary_print(const struct axvm *vm)
{
	const uint32_t vcpus = axvm_vcpu_count(vm), online = count_online(vm);
	struct axvm_metrics metrics;
	struct axvm_stop_info info;
	const char *name, *help;
	uint64_t value;

	axvm_get_metrics(vm, &metrics);
	axvm_get_stop_info(vm, &info);
	fprintf(stderr, "\naxvm: %s stopped (%s) after %.3f s on %u vCPU%s", axvm_name(vm),
		axvm_stop_reason_name(info.reason), (double)metrics.runtime_ns / 1e9, vcpus,
		vcpus == 1 ? "" : "s");
	if (online && online < vcpus) /* KVM stops all when the guest powers off */
		fprintf(stderr, ", %u of them up", online);
	fprintf(stderr, "\n");
	for (size_t i = 0; (name = axvm_metric_at(&metrics, i, &help, &value)); i++)
		if (value && !strstr(name, "_ns"))
			fprintf(stderr, "  %-20s %14llu  %s\n", name, (unsigned long long)value,
				help);
	fprintf(stderr, "  %-20s %14.1f  %s\n", "exits_per_second", metrics.exits_per_second,
		"to userspace");
	fprintf(stderr, "  %-20s %13.1f%%  %s\n", "guest_share", metrics.guest_share * 100,
		"of the vCPU threads' time was spent in KVM_RUN");
	print_devices(vm);
	fprintf(stderr, "  exits by cause:\n");
	print_exits(vm);
}

void timeline_print(const struct axvm *vm)
{
	struct axvm_moment moments[80];
	size_t count = axvm_timeline(vm, moments, AX_ARRAY_LEN(moments));
	uint64_t before = 0;

	fprintf(stderr, "\naxvm: timeline, milliseconds since the program started\n");
	for (size_t i = 0; i < count; i++) {
		fprintf(stderr, "  %10.3f  %+10.3f  %s\n", (double)moments[i].at_ns / 1e6,
			(double)(moments[i].at_ns - before) / 1e6, moments[i].name);
		before = moments[i].at_ns;
	}
}
