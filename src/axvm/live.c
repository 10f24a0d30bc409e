/*
 * A look at the running VM (live.h): gathered from where each counter is kept, and from what the
 * kernel tells of our threads. How it is told to others is the api layer's.
 */
#include "vm_private.h"

#include <axvm/live.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void look_at_thread(struct axvm_live_thread *thread, pid_t tid)
{
	thread->node = UINT32_MAX;
	thread->task.cpu = -1;
	/* One that ends meanwhile has no thread. */
	if (tid && ax_task_look(tid, &thread->task) == 0)
		thread->tid = tid;
}

static void tell_plan(struct axvm_live_thread *thread, struct vm_cpus cpus)
{
	(void)ax_format_cpus(cpus.ids, cpus.count, thread->planned, sizeof(thread->planned));
}

/* Nodes that the guest is not told of are none: then it has one that holds everything. */
static uint32_t guest_node_of(const struct axvm *vm, uint32_t index)
{
	const struct axplace_plan *plan = axvm_placement(vm);
	const size_t last = vm->plan.memory_count;

	return plan && last && vm->plan.memory[last - 1].node ? plan->vcpus[index].guest_node : 0;
}

static void look_at_vcpu(const struct axvm *vm, uint32_t index, struct axvm_live_vcpu *vcpu)
{
	const struct {
		const char *name;
		uint64_t *value;
	} rows[] = {
#define ROW(name, text) {#name, &vcpu->kvm.name},
		AXVM_LIVE_CAUSES(ROW) AXVM_LIVE_COUNTS(ROW)
#undef ROW
	};

	look_at_thread(&vcpu->thread, axvcpu_tid(vm->vcpus[index]));
	tell_plan(&vcpu->thread, axvm_vcpu_cpus(vm, index));
	vcpu->guest_node = guest_node_of(vm, index);
	vcpu->state = axvcpu_state(vm->vcpus[index]);
	axvcpu_get_stats(vm->vcpus[index], &vcpu->own);
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		if (vm->arch->vcpu_stat(vm->arch_vm, index, rows[i].name, rows[i].value) < 0)
			*rows[i].value = AXVM_LIVE_UNKNOWN;
}

static void look_at_io(const struct axvm *vm, unsigned index, struct axvm_live_io *io)
{
	const bool is_aside =
		index >= vm->config->io.affinity.count && atomic_load(&vm->placement.yielded);

	/* Joined by the control thread alone, which is the only one that may destroy the VM. */
	look_at_thread(&io->thread, atomic_load(&vm->io_threads[index].tid));
	/* One that has stepped aside for others (yield.c) is where it should be, as in drift.c. */
	if (!is_aside)
		tell_plan(&io->thread, axvm_io_cpus(vm, index));
	ax_loop_get_stats(vm->io_loops[index], &io->loop);
}

static void look_at_devices(const struct axvm *vm, struct axvm_live *live)
{
	for (size_t i = 0; i < vm->virtio_count && i < AXVM_LIVE_MAX_DEVICES; i++) {
		struct axvm_live_device *device = &live->devices[live->device_count];

		if (axvirtio_get_stats(vm->virtio[i], &device->stats))
			continue;
		snprintf(device->name, sizeof(device->name), "%s", vm->virtio[i]->name);
		live->device_count++;
	}
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* Of the CPUs that all threads are on, by one look at the host. */
static int find_nodes(struct axvm_live *live)
{
	const size_t count = live->vcpu_count + live->io_count;
	AX_AUTO_FREE uint32_t *nodes = calloc(count + 1, sizeof(*nodes));
	AX_AUTO_FREE int *cpus = calloc(count + 1, sizeof(*cpus));

	if (!nodes || !cpus)
		return -ENOMEM;
	for (size_t i = 0; i < live->vcpu_count; i++)
		cpus[i] = live->vcpus[i].thread.task.cpu;
	for (size_t i = 0; i < live->io_count; i++)
		cpus[live->vcpu_count + i] = live->io[i].thread.task.cpu;
	axhost_nodes_of("", cpus, count, nodes);
	for (size_t i = 0; i < live->vcpu_count; i++)
		live->vcpus[i].thread.node = nodes[i];
	for (size_t i = 0; i < live->io_count; i++)
		live->io[i].thread.node = nodes[live->vcpu_count + i];
	return 0;
}

static void add_placement(struct axas_placement *sum, const struct axas_placement *part)
{
	sum->mapped_bytes += part->mapped_bytes;
	sum->looked_bytes += part->looked_bytes;
	sum->absent_bytes += part->absent_bytes;
	sum->astray_bytes += part->astray_bytes;
	sum->on_higher_node += part->on_higher_node;
	for (size_t n = 0; n < AXAS_PLACEMENT_NODES; n++)
		sum->on_node[n] += part->on_node[n];
}

static struct axvm_live_memory *memory_of(struct axvm_live *live, uint32_t guest_node)
{
	size_t i = 0;

	while (i < live->memory_count && live->memory[i].guest_node != guest_node)
		i++;
	if (i == AX_ARRAY_LEN(live->memory))
		return NULL;
	if (i == live->memory_count)
		live->memory[live->memory_count++].guest_node = guest_node;
	return &live->memory[i];
}

/* Each range gets its share of the pages that are to be looked at. A host that does not say where
 * pages lie leaves all of it 0. */
static void look_at_memory(const struct axvm *vm, size_t max_pages, struct axvm_live *live)
{
	for (size_t i = 0; max_pages && i < vm->plan.memory_count; i++) {
		const uint64_t bytes = vm->plan.memory[i].size_bytes;
		const double share = (double)bytes / (double)live->memory_bytes;
		struct axvm_live_memory *memory = memory_of(live, vm->plan.memory[i].node);
		struct axas_placement part;

		if (memory && !axas_placement(vm->memory, vm->plan.memory[i].gpa, bytes,
					      1 + (size_t)(share * (double)max_pages), &part, NULL))
			add_placement(&memory->placement, &part);
	}
}

static void find_remote(struct axvm_live *live)
{
	for (size_t v = 0; v < live->vcpu_count; v++) {
		struct axvm_live_vcpu *vcpu = &live->vcpus[v];
		const struct axas_placement *own = NULL;

		for (size_t i = 0; i < live->memory_count; i++)
			if (live->memory[i].guest_node == vcpu->guest_node)
				own = &live->memory[i].placement;
		if (!own || vcpu->thread.node == UINT32_MAX)
			continue;
		vcpu->present_bytes = own->looked_bytes - own->absent_bytes;
		vcpu->remote_bytes = vcpu->present_bytes;
		if (vcpu->thread.node < AXAS_PLACEMENT_NODES)
			vcpu->remote_bytes -= own->on_node[vcpu->thread.node];
		else
			vcpu->remote_bytes -= own->on_higher_node;
	}
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void look_at_vm(const struct axvm *vm, struct axvm_live *live)
{
	const uint64_t start = atomic_load(&vm->start_ns), end = atomic_load(&vm->end_ns);
	struct timespec cpu;

	snprintf(live->name, sizeof(live->name), "%s", axvm_name(vm));
	snprintf(live->arch, sizeof(live->arch), "%s", vm->arch->name);
	live->pid = getpid();
	live->state = axvm_state(vm);
	live->at_ns = ax_clock_ns();
	if (start)
		live->runtime_ns = (end ? end : live->at_ns) - start;
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		live->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
	live->memory_bytes = axas_total_bytes(vm->memory);
}

int axvm_live_take(const struct axvm *vm, size_t max_pages, struct axvm_live **ret_live,
		   struct ax_error *err)
{
	struct axvm_live *live = calloc(1, sizeof(*live));
	struct axvm *mutable = (struct axvm *)(uintptr_t)vm; /* the lock is not part of its value */

	if (live) {
		live->vcpus = calloc(vm->vcpu_count + 1, sizeof(*live->vcpus));
		live->io = calloc(vm->io_count + 1, sizeof(*live->io));
	}
	if (!live || !live->vcpus || !live->io)
		goto no_memory;
	look_at_vm(vm, live);
	pthread_mutex_lock(&mutable->placement_lock);
	for (; live->vcpu_count < vm->vcpu_count; live->vcpu_count++)
		look_at_vcpu(vm, (uint32_t)live->vcpu_count, &live->vcpus[live->vcpu_count]);
	for (; live->io_count < vm->io_count; live->io_count++)
		look_at_io(vm, (unsigned)live->io_count, &live->io[live->io_count]);
	pthread_mutex_unlock(&mutable->placement_lock);
	look_at_devices(vm, live);
	look_at_memory(vm, max_pages, live);
	if (find_nodes(live))
		goto no_memory;
	find_remote(live);
	*ret_live = live;
	return 0;
no_memory:
	axvm_live_free(live);
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a look at %s",
			    axvm_name(vm));
}

void axvm_live_free(struct axvm_live *live)
{
	if (!live)
		return;
	free(live->vcpus);
	free(live->io);
	free(live);
}
