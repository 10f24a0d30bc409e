/*
 * The VM's I/O threads: a loop each, over which the queues of all devices are spread. The first
 * also has the consoles and the time limit. They run from the start until the guest is silent.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned how_many(const struct axvm *vm)
{
	const struct axplace_plan *plan = vm->placement.plan;
	const size_t planned = plan && plan->io_count ? plan->io_count : 1;

	if (vm->config->io.threads)
		return (unsigned)vm->config->io.threads;
	return planned < AXCFG_MAX_IO ? (unsigned)planned : AXCFG_MAX_IO;
}

/* The vCPUs of a guest node take the threads that serve it in turn. */
static int find_near(struct axvm *vm, unsigned count, struct ax_error *err)
{
	const struct axplace_plan *plan = vm->placement.plan;

	if (!plan || plan->io_count < count)
		return 0;
	vm->io_of_vcpu = calloc(plan->vcpu_count, sizeof(*vm->io_of_vcpu));
	if (!vm->io_of_vcpu)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	for (size_t v = 0, turn = 0; v < plan->vcpu_count; v++) {
		for (unsigned tried = 0; tried < count; tried++, turn++)
			if (plan->io[turn % count].guest_node == plan->vcpus[v].guest_node)
				break;
		vm->io_of_vcpu[v] = (uint32_t)(turn++ % count);
	}
	return 0;
}

int axvm_create_io(struct axvm *vm, struct ax_error *err)
{
	static const enum ax_loop_engine engines[] = {
		[AXCFG_IO_AUTO] = AX_LOOP_AUTO,
		[AXCFG_IO_URING] = AX_LOOP_IO_URING,
		[AXCFG_IO_EPOLL] = AX_LOOP_EPOLL,
	};
	const unsigned count = how_many(vm);
	int rc = find_near(vm, count, err);

	for (vm->io_count = 0; !rc && vm->io_count < count;) {
		rc = ax_loop_create(engines[vm->config->io.engine], &vm->io_loops[vm->io_count],
				    err);
		if (!rc)
			vm->io_count++;
	}
	return rc;
}

void axvm_destroy_io(struct axvm *vm)
{
	while (vm->io_count)
		ax_loop_destroy(vm->io_loops[--vm->io_count]);
	free(vm->io_of_vcpu);
	vm->io_of_vcpu = NULL;
}

static void run(void *arg)
{
	struct axvm_io_thread *io = arg;
	struct ax_error err = {0};

	atomic_store(&io->tid, gettid());
	if (ax_loop_run(io->vm->io_loops[io->index], &err))
		axvm_stop_with(io->vm, AXVM_STOP_HOST, NULL, &err);
	atomic_store(&io->tid, 0);
}

int axvm_start_io(struct axvm *vm, struct ax_error *err)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < vm->io_count; i++) {
		char name[32];
		struct ax_thread_config config = {.name = name};

		snprintf(name, sizeof(name), "io %u", i);
		vm->io_threads[i].vm = vm;
		vm->io_threads[i].index = i;
		/* The first may be moving the others already (sharing.c). */
		pthread_mutex_lock(&vm->placement_lock);
		const struct vm_cpus cpus = axvm_io_cpus(vm, i);
		config.cpus = cpus.ids;
		config.cpu_count = cpus.count;
		rc = ax_thread_start(&config, run, &vm->io_threads[i], &vm->io_threads[i].thread,
				     err);
		pthread_mutex_unlock(&vm->placement_lock);
	}
	return rc;
}

void axvm_stop_io(struct axvm *vm)
{
	for (unsigned i = 0; i < vm->io_count; i++)
		if (vm->io_threads[i].thread)
			ax_loop_stop(vm->io_loops[i]);
	for (unsigned i = 0; i < vm->io_count; i++) {
		ax_thread_join(vm->io_threads[i].thread);
		vm->io_threads[i].thread = NULL;
	}
}
