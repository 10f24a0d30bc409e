/*
 * The VM's I/O threads: a loop each, over which the queues of all devices are spread. The first
 * also has the consoles and the time limit. They run from the start until the guest is silent.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdio.h>

int axvm_create_io(struct axvm *vm, struct ax_error *err)
{
	static const enum ax_loop_engine engines[] = {
		[AXCFG_IO_AUTO] = AX_LOOP_AUTO,
		[AXCFG_IO_URING] = AX_LOOP_IO_URING,
		[AXCFG_IO_EPOLL] = AX_LOOP_EPOLL,
	};
	const unsigned count = vm->config->io.threads ? (unsigned)vm->config->io.threads : 1;
	int rc = 0;

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
}

static void run(void *arg)
{
	struct axvm_io_thread *io = arg;
	struct ax_error err = {0};

	if (ax_loop_run(io->vm->io_loops[io->index], &err))
		axvm_stop_with(io->vm, AXVM_STOP_HOST, NULL, &err);
}

int axvm_start_io(struct axvm *vm, struct ax_error *err)
{
	const struct axcfg_uint_list *affinity = &vm->config->io.affinity;
	int rc = 0;

	for (unsigned i = 0; !rc && i < vm->io_count; i++) {
		const int cpu = affinity->count ? (int)affinity->values[i] : 0;
		char name[32];
		struct ax_thread_config config = {
			.name = name,
			.cpus = affinity->count ? &cpu : NULL,
			.cpu_count = affinity->count ? 1 : 0,
		};

		snprintf(name, sizeof(name), "io %u", i);
		vm->io_threads[i] = (struct axvm_io_thread){.vm = vm, .index = i};
		rc = ax_thread_start(&config, run, &vm->io_threads[i], &vm->io_threads[i].thread,
				     err);
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
