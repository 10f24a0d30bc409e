/* What lies between the last two looks at a VM, by second. */
#include "top.h"

#include <string.h>

double top_seconds(const struct top_vm *vm)
{
	if (!vm->earlier || vm->later->at_ns <= vm->earlier->at_ns)
		return (double)NAN;
	return (double)(vm->later->at_ns - vm->earlier->at_ns) / 1e9;
}

double top_rate(const struct top_vm *vm, uint64_t earlier, uint64_t later)
{
	if (earlier == AXVM_LIVE_UNKNOWN || later == AXVM_LIVE_UNKNOWN)
		return (double)NAN;
	return later < earlier ? 0 : (double)(later - earlier) / top_seconds(vm);
}

struct top_thread_rates top_thread(const struct top_vm *vm, const struct axvm_live_thread *earlier,
				   const struct axvm_live_thread *later)
{
	if (!earlier || earlier->tid != later->tid || !later->task.has_times)
		return (struct top_thread_rates){(double)NAN, (double)NAN};
	return (struct top_thread_rates){
		.run = top_rate(vm, earlier->task.run_ns, later->task.run_ns) / 1e9,
		.steal = top_rate(vm, earlier->task.wait_ns, later->task.wait_ns) / 1e9,
	};
}

double top_ipi_rate(const struct top_vm *vm, size_t vcpu)
{
	if (vcpu >= vm->ipi_count || !vm->ipis[vcpu].counter)
		return (double)NAN;
	return top_rate(vm, vm->ipis[vcpu].earlier, vm->ipis[vcpu].later);
}

double top_cpu(const struct top_vm *vm)
{
	return vm->earlier ? top_rate(vm, vm->earlier->cpu_ns, vm->later->cpu_ns) / 1e9
			   : (double)NAN;
}

double top_steal(const struct top_vm *vm)
{
	double sum = vm->earlier ? 0 : (double)NAN;

	for (size_t v = 0; vm->earlier && v < vm->later->vcpu_count; v++)
		sum += top_thread(vm, &vm->earlier->vcpus[v].thread, &vm->later->vcpus[v].thread)
			       .steal;
	return sum;
}

double top_exits(const struct top_vm *vm)
{
	double sum = vm->earlier ? 0 : (double)NAN;

	for (size_t v = 0; vm->earlier && v < vm->later->vcpu_count; v++) {
		const struct axvm_live_vcpu *a = &vm->earlier->vcpus[v], *b = &vm->later->vcpus[v];
		const double rate = top_rate(vm, a->kvm.exits, b->kvm.exits);

		sum += isnan(rate) ? top_rate(vm, a->own.exits, b->own.exits) : rate;
	}
	return sum;
}

double top_halts(const struct top_vm *vm)
{
	double sum = vm->earlier ? 0 : (double)NAN;

	for (size_t v = 0; vm->earlier && v < vm->later->vcpu_count; v++)
		sum += top_rate(vm, vm->earlier->vcpus[v].kvm.halt_exits,
				vm->later->vcpus[v].kvm.halt_exits);
	return sum;
}

double top_other(const struct top_vm *vm, size_t vcpu)
{
	const struct axvm_live_kvm *a, *b;
	double rest, rate;

	if (!vm->earlier)
		return (double)NAN;
	a = &vm->earlier->vcpus[vcpu].kvm;
	b = &vm->later->vcpus[vcpu].kvm;
	/* `exits` is the first of the list: counted twice, and then once less. */
	rest = 2 * top_rate(vm, a->exits, b->exits);
#define SUBTRACT(name, text)                               \
	if (!isnan(rate = top_rate(vm, a->name, b->name))) \
		rest -= rate;
	AXVM_LIVE_CAUSES(SUBTRACT)
#undef SUBTRACT
	return rest < 0 ? 0 : rest;
}

/* What it may use counts, not where it is: a thread that sleeps stays on its CPU until it wakes. */
bool top_is_astray(const struct axvm_live_thread *thread)
{
	return thread->planned[0] && thread->tid &&
	       strcmp(thread->planned, thread->task.allowed) != 0;
}
