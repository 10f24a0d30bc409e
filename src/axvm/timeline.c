/*
 * Where the time of a boot goes: moments noted by the monitor while it builds the VM, and marks the
 * guest writes to its diagnostic port. Appending is lock-free; a full table drops what comes later.
 */
#include "vm_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
	atomic_store_explicit(&vm->moment_noted[i], true, memory_order_release);
}

void axvm_on_mark(void *ctx, uint64_t code)
{
	axvm_note_moment(ctx, "guest mark 0x%llx", (unsigned long long)code);
}

/* Places are taken in the order threads come, which is not quite that of the clock. */
static void insert(struct axvm_moment *moments, size_t count, const struct axvm_moment *moment)
{
	size_t at = count;

	while (at && moments[at - 1].at_ns > moment->at_ns) {
		moments[at] = moments[at - 1];
		at--;
	}
	moments[at] = *moment;
}

size_t axvm_timeline(const struct axvm *vm, struct axvm_moment *moments, size_t max)
{
	struct axvm_moment all[VM_MAX_MOMENTS + 1];
	uint32_t count = atomic_load(&vm->moment_count);
	struct axvcpu_stats stats = {0};
	size_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		if (atomic_load_explicit(&vm->moment_noted[i], memory_order_acquire))
			insert(all, n++, &vm->moments[i]);
	/* The bootstrap processor's; others come first only where all start by themselves. */
	for (uint32_t v = 0; v < vm->vcpu_count && !stats.first_entry_ns; v++)
		axvcpu_get_stats(vm->vcpus[v], &stats);
	if (stats.first_entry_ns) {
		/* The vCPU's own note of its first entry takes its place among the others. */
		const struct axvm_moment first = {.name = "first guest instruction",
						  .at_ns = stats.first_entry_ns -
							   vm->options.exec_ns};

		insert(all, n++, &first);
	}
	if (n > max)
		n = max;
	memcpy(moments, all, n * sizeof(*moments));
	return n;
}
