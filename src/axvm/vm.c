/*
 * A VM from configuration to LOADED, and its end. Building is a list of steps; the one error path
 * is the ordinary destroy, which takes a half-built VM.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int choose_arch(struct axvm *vm, struct ax_error *err)
{
	if (!vm->options.arch)
		return axarch_choose(vm->config->arch, &vm->arch, err);
	vm->arch = vm->options.arch;
	return 0;
}

static int create_io(struct axvm *vm, struct ax_error *err)
{
	int rc;

	vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->placement.aside_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_fd < 0 || vm->placement.aside_fd < 0)
		return ax_error_set(err, AX_ERROR_VM_CREATION, errno,
				    "cannot create an eventfd: %s", strerror(errno));
	rc = axvm_create_io(vm, err);
	return rc ? rc : axvm_follow_claims(vm, err);
}

static int build(struct axvm *vm, struct ax_error *err)
{
	static const struct {
		const char *name;
		int (*step)(struct axvm *vm, struct ax_error *err);
	} steps[] = {
		{"architecture", choose_arch}, {"placement", axvm_place},
		{"I/O loop", create_io},       {"machine", axvm_build_machine},
		{"memory", axvm_build_memory}, {"devices", axvm_build_devices},
		{"vCPUs", axvm_build_vcpus},   {"images", axvm_load_images},
	};

	for (size_t i = 0; i < AX_ARRAY_LEN(steps); i++) {
		int rc = steps[i].step(vm, err);

		if (rc)
			return rc;
		axvm_note_moment(vm, "%s ready", steps[i].name);
	}
	return axvm_move(vm, VM_OP_LOADED, err);
}

int axvm_create(const struct axcfg *config, const struct axvm_options *options,
		struct axvm **ret_vm, struct ax_error *err)
{
	struct axvm *vm = calloc(1, sizeof(*vm));
	int rc;

	if (!vm) {
		axledger_release(options ? options->claim : NULL);
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a VM");
	}
	vm->config = config;
	vm->stop_fd = -1;
	vm->placement.watch_fd = vm->placement.aside_fd = -1;
	pthread_mutex_init(&vm->stop_lock, NULL);
	pthread_mutex_init(&vm->metrics_lock, NULL);
	pthread_mutex_init(&vm->placement_lock, NULL);
	if (options)
		vm->options = *options;
	/* All zero means none: nobody writes a guest's output to standard input. */
	if (!vm->options.console.in_fd && !vm->options.console.out_fd)
		vm->options.console.in_fd = vm->options.console.out_fd = -1;
	if (!vm->options.exec_ns)
		vm->options.exec_ns = ax_clock_ns();
	axvm_note_moment(vm, "configuration read");
	rc = build(vm, err);
	if (rc) {
		axvm_destroy(vm);
		return rc;
	}
	*ret_vm = vm;
	return 0;
}

static void stop_if_alive(struct axvm *vm)
{
	enum axvm_state state = axvm_state(vm);

	if (state == AXVM_STOPPED || state == AXVM_FAILED || state == AXVM_LOADING)
		return;
	axvm_request_stop(vm, AXVM_STOP_FORCED);
	(void)axvm_wait(vm, NULL);
}

void axvm_destroy(struct axvm *vm)
{
	if (!vm)
		return;
	stop_if_alive(vm);
	/* The reverse of building. Each of these takes NULL. */
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		axvcpu_destroy(vm->vcpus[i]);
	free(vm->vcpus);
	axbus_destroy(vm->bus);
	axchr_destroy(vm->console);
	for (size_t i = 0; i < AX_ARRAY_LEN(vm->ports); i++)
		axchr_destroy(vm->ports[i]);
	axirq_domain_destroy(vm->irqs);
	axas_destroy(vm->memory);
	if (vm->arch_vm)
		vm->arch->vm_destroy(vm->arch_vm);
	axvm_destroy_io(vm);
	axvm_unplace(vm); /* now its CPUs and its memory are free */
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
	pthread_mutex_destroy(&vm->placement_lock);
	pthread_mutex_destroy(&vm->metrics_lock);
	pthread_mutex_destroy(&vm->stop_lock);
	free(vm);
}

const char *axvm_name(const struct axvm *vm)
{
	return vm->config->name;
}

uint32_t axvm_vcpu_count(const struct axvm *vm)
{
	return vm->vcpu_count;
}

struct axvcpu *axvm_vcpu(struct axvm *vm, uint32_t index)
{
	return index < vm->vcpu_count ? vm->vcpus[index] : NULL;
}

struct axas *axvm_memory(struct axvm *vm)
{
	return vm->memory;
}

struct axbus *axvm_bus(struct axvm *vm)
{
	return vm->bus;
}

struct axarch_vm *axvm_arch_vm(struct axvm *vm)
{
	return vm->arch_vm;
}

int axvm_inject(struct axvm *vm, uint32_t vcpu, const struct axvcpu_irq *irq, struct ax_error *err)
{
	struct ax_error failure = {0};
	int rc;

	if (vcpu >= vm->vcpu_count)
		return ax_error_set(err, AX_ERROR_IRQ_INJECTION, EINVAL, "vCPU %u: the VM has %u",
				    vcpu, vm->vcpu_count);
	rc = axvcpu_inject(vm->vcpus[vcpu], irq, &failure);
	if (rc) {
		(void)axvm_report(vm, &failure);
		if (err)
			*err = failure;
	}
	return rc;
}
