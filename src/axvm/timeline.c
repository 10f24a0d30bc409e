/*
 * Where the time of a boot goes: moments noted by the monitor while it builds the VM, and marks the
 * guest writes to its diagnostic port. Appending is lock-free; a full table drops what comes later.
 */
#include "vm_private.h"

#include <stdarg.h>
#include <stdio.h>

void axvm_note_moment(struct axvm *vm, const char *fmt, ...)
{
	uint64_t now = ax_clock_ns();
	uint32_t i = atomic_load_explicit(&vm->moment_count, memory_order_relaxed);
	struct axvm_moment *moment;
	va_list args;

	do {
		if (i >= VM_MAX_MOMENTS)
			return;
	} while (!atomic_compare_exchange_weak(&vm->moment_count, &i, i + 1));
	moment = &vm->moments[i];
	moment->at_ns = now - vm->options.exec_ns;
	va_start(args, fmt);
	vsnprintf(moment->name, sizeof(moment->name), fmt, args);
	va_end(args);
}

void axvm_on_mark(void *ctx, uint64_t code)
{
	axvm_note_moment(ctx, "guest mark 0x%llx", (unsigned long long)code);
}

size_t axvm_timeline(const struct axvm *vm, struct axvm_moment *moments, size_t max)
{
	uint32_t count = atomic_load(&vm->moment_count);
	struct axvcpu_stats stats;
	size_t n = 0;
	bool entered = false;

	if (!vm->vcpu_count)
		return 0;
	axvcpu_get_stats(vm->vcpus[0], &stats);
	for (uint32_t i = 0; i < count && n < max; i++) {
		uint64_t first = stats.first_entry_ns - vm->options.exec_ns;

		/* The vCPU's own note of its first entry takes its place among the others. */
		if (stats.first_entry_ns && !entered && vm->moments[i].at_ns > first) {
			entered = true;
			moments[n++] = (struct axvm_moment){.name = "first guest instruction",
							    .at_ns = first};
			if (n == max)
				break;
		}
		moments[n++] = vm->moments[i];
	}
	if (stats.first_entry_ns && !entered && n < max)
		moments[n++] =
			(struct axvm_moment){.name = "first guest instruction",
					     .at_ns = stats.first_entry_ns - vm->options.exec_ns};
	return n;
}
