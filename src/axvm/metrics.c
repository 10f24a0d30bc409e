/*
 * The VM's counters, gathered from where each is kept: vCPUs, address space, bus, devices and KVM
 * itself. Gathering takes no lock and stops nobody, so a status is always to be had.
 */
#include "vm_private.h"

#include <string.h>

static void add_vcpus(const struct axvm *vm, struct axvm_metrics *m)
{
	/* Which metric an exit kind feeds; what is not named here is "other". */
	static const size_t fed_by[AXVCPU_EXIT_KIND_COUNT] = {
		[AXVCPU_EXIT_IO_READ] = offsetof(struct axvm_metrics, io_exits),
		[AXVCPU_EXIT_IO_WRITE] = offsetof(struct axvm_metrics, io_exits),
		[AXVCPU_EXIT_MMIO_READ] = offsetof(struct axvm_metrics, mmio_exits),
		[AXVCPU_EXIT_MMIO_WRITE] = offsetof(struct axvm_metrics, mmio_exits),
		[AXVCPU_EXIT_SYSREG_READ] = offsetof(struct axvm_metrics, sysreg_exits),
		[AXVCPU_EXIT_SYSREG_WRITE] = offsetof(struct axvm_metrics, sysreg_exits),
		[AXVCPU_EXIT_HALT] = offsetof(struct axvm_metrics, halt_exits),
		[AXVCPU_EXIT_EXTERNAL_INTERRUPT] = offsetof(struct axvm_metrics, interrupt_exits),
		[AXVCPU_EXIT_NESTED_PAGE_FAULT] = offsetof(struct axvm_metrics, fault_exits),
	};

	for (uint32_t v = 0; v < vm->vcpu_count; v++) {
		struct axvcpu_stats stats;

		axvcpu_get_stats(vm->vcpus[v], &stats);
		m->vcpu_runs += stats.runs;
		m->vcpu_exits += stats.exits;
		m->kicks += stats.kicks;
		m->injected += stats.injected;
		m->guest_ns += stats.guest_ns;
		m->user_ns += stats.user_ns;
		for (size_t k = 0; k < AXVCPU_EXIT_KIND_COUNT; k++) {
			size_t at =
				fed_by[k] ? fed_by[k] : offsetof(struct axvm_metrics, other_exits);

			*(uint64_t *)(void *)((char *)m + at) += stats.by_kind[k];
		}
	}
}

static void add_devices(const struct axvm *vm, struct axvm_metrics *m)
{
	struct ax_loop_stats loop;
	struct axbus_stats bus;

	axbus_get_stats(vm->bus, &bus);
	for (size_t s = 0; s < AXDEV_SPACE_COUNT; s++)
		m->bus_missing += bus.missing[s];
	for (size_t i = 0; i < vm->virtio_count; i++) {
		struct axvirtio_stats stats;

		if (axvirtio_get_stats(vm->virtio[i], &stats))
			continue;
		m->io_kicks += stats.kicks;
		m->io_requests += stats.requests;
		m->io_batches += stats.batches;
		m->io_bytes += stats.bytes;
		m->irqs_raised += stats.interrupts + stats.config_interrupts;
		m->irqs_suppressed += stats.interrupts_suppressed;
	}
	for (unsigned i = 0; i < vm->io_count; i++) {
		ax_loop_get_stats(vm->io_loops[i], &loop);
		m->io_wakeups += loop.wakeups;
		m->io_syscalls += loop.syscalls;
	}
}

/* All stay 0 where the hypervisor does not count. */
static void add_theirs(const struct axvm *vm, struct axvm_metrics *m)
{
	const struct {
		const char *name;
		uint64_t *sum;
	} rows[] = {
		{"exits", &m->kvm_exits},
		{"io_exits", &m->kvm_io_exits},
		{"mmio_exits", &m->kvm_mmio_exits},
		{"halt_exits", &m->kvm_halt_exits},
	};

	for (uint32_t v = 0; v < vm->vcpu_count; v++)
		for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
			uint64_t value = 0;

			if (vm->arch->vcpu_stat(vm->arch_vm, v, rows[i].name, &value) == 0)
				*rows[i].sum += value;
		}
}

static void gather(const struct axvm *vm, struct axvm_metrics *m)
{
	struct axas_stats memory;
	uint64_t start = atomic_load(&vm->start_ns), end = atomic_load(&vm->end_ns);

	memset(m, 0, sizeof(*m));
	add_vcpus(vm, m);
	add_devices(vm, m);
	add_theirs(vm, m);
	axas_get_stats(vm->memory, &memory);
	m->memory_reads = memory.reads;
	m->memory_writes = memory.writes;
	m->memory_faults = memory.faults;
	m->errors = atomic_load(&vm->errors);
	m->hardware_failures = atomic_load(&vm->hardware_failures);
	m->hypercalls = atomic_load(&vm->hypercalls);
	m->timeout_events = atomic_load(&vm->timeouts);
	if (start)
		m->runtime_ns = (end ? end : ax_clock_ns()) - start;
}

static void derive(struct axvm_metrics *m)
{
	m->exits_per_second =
		m->runtime_ns ? (double)m->vcpu_exits * 1e9 / (double)m->runtime_ns : 0;
	m->guest_share = m->guest_ns + m->user_ns
				 ? (double)m->guest_ns / (double)(m->guest_ns + m->user_ns)
				 : 0;
	m->error_rate = m->vcpu_exits ? (double)m->errors / (double)m->vcpu_exits : 0;
}

void axvm_metrics_delta(const struct axvm_metrics *earlier, const struct axvm_metrics *later,
			struct axvm_metrics *ret_delta)
{
	struct axvm_metrics delta = {0};

#define SUBTRACT(name, text) delta.name = later->name - earlier->name;
	AXVM_METRICS(SUBTRACT)
#undef SUBTRACT
	derive(&delta);
	*ret_delta = delta;
}

void axvm_get_metrics(const struct axvm *vm, struct axvm_metrics *ret_metrics)
{
	struct axvm *mutable = (struct axvm *)(uintptr_t)vm; /* the lock is not part of its value */
	struct axvm_metrics base, now;

	/* The base first: a reset in between must not make a difference negative. */
	pthread_mutex_lock(&mutable->metrics_lock);
	base = vm->metrics_base;
	pthread_mutex_unlock(&mutable->metrics_lock);
	gather(vm, &now);
	axvm_metrics_delta(&base, &now, ret_metrics);
}

void axvm_metrics_reset(struct axvm *vm)
{
	struct axvm_metrics now;

	gather(vm, &now);
	pthread_mutex_lock(&vm->metrics_lock);
	vm->metrics_base = now;
	pthread_mutex_unlock(&vm->metrics_lock);
}

const char *axvm_metric_at(const struct axvm_metrics *metrics, size_t index, const char **ret_help,
			   uint64_t *ret_value)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} rows[] = {
#define ROW(name, text) {#name, text, offsetof(struct axvm_metrics, name)},
		AXVM_METRICS(ROW)
#undef ROW
	};

	if (index >= AX_ARRAY_LEN(rows))
		return NULL;
	*ret_help = rows[index].help;
	*ret_value = *(const uint64_t *)(const void *)((const char *)metrics + rows[index].offset);
	return rows[index].name;
}
