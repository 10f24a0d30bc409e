/*
 * A built VM's life: start, pause, resume, stop, wait. The control thread calls these; what may
 * come from elsewhere (a stop) is only a request that axvm_wait completes.
 */
#include "vm_private.h"

#include <errno.h>

#define FLUSH_TIMEOUT_MS 200

static void on_timeout(void *ctx, int fd, uint32_t events)
{
	struct axvm *vm = ctx;

	(void)fd;
	(void)events;
	/* The bootstrap processor reports it; that stops all of them. It may have no thread yet. */
	atomic_store(&vm->expired, true);
	axvcpu_expire(vm->vcpus[0]);
}

static int start_threads(struct axvm *vm, struct ax_error *err)
{
	struct ax_event *timer;
	int rc = 0;

	if (vm->config->limits.timeout_ns)
		rc = ax_loop_add_timer(vm->io_loops[0], vm->config->limits.timeout_ns, 0,
				       on_timeout, vm, &timer, err);
	if (!rc)
		rc = axvm_await_last_words(vm, err);
	if (!rc)
		rc = axvm_start_io(vm, err);
	/* The first vCPU last and the others held back: if one thread cannot be had, nothing of the
	 * guest has run. One that fails by itself meanwhile has reported that. */
	for (uint32_t i = vm->vcpu_count; !rc && i-- > 0;)
		rc = axvcpu_start(vm->vcpus[i], i > 0, err);
	for (uint32_t i = 1; !rc && i < vm->vcpu_count; i++)
		(void)axvcpu_resume(vm->vcpus[i], NULL);
	return rc;
}

static void end_threads(struct axvm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		axvcpu_request_stop(vm->vcpus[i]);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		axvcpu_join(vm->vcpus[i]);
	/* The guest is silent now. */
	axvm_stop_io(vm);
	if (vm->console)
		axchr_flush(vm->console, FLUSH_TIMEOUT_MS);
	for (size_t i = 0; i < AX_ARRAY_LEN(vm->ports); i++)
		if (vm->ports[i])
			axchr_flush(vm->ports[i], FLUSH_TIMEOUT_MS);
	atomic_store(&vm->end_ns, ax_clock_ns());
}

int axvm_start(struct axvm *vm, struct ax_error *err)
{
	int rc;

	if (!vm->config->kernel.path && !vm->options.on_arch_vm) {
		ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL, "no kernel is configured");
		return ax_error_hint(err, "set kernel.path, or give --kernel PATH");
	}
	rc = axvm_move(vm, VM_OP_START, err);
	if (rc)
		return rc;
	atomic_store(&vm->start_ns, ax_clock_ns());
	axvm_note_moment(vm, "start");
	rc = start_threads(vm, err);
	if (rc) {
		axvm_stop_with(vm, AXVM_STOP_HOST, NULL, err);
		end_threads(vm);
		(void)axvm_move(vm, VM_OP_FAIL, NULL);
		return rc;
	}
	/* A time limit shorter than this start has found no thread to tell. */
	if (atomic_load(&vm->expired))
		axvcpu_expire(vm->vcpus[0]);
	/* A stop that came while the threads were being made must not miss the later ones. */
	if (atomic_load(&vm->stop_reason) != AXVM_STOP_NONE)
		for (uint32_t i = 0; i < vm->vcpu_count; i++)
			axvcpu_request_stop(vm->vcpus[i]);
	axvm_look_for_drift(vm);
	return 0;
}

int axvm_wait(struct axvm *vm, struct ax_error *err)
{
	enum axvm_state state = axvm_state(vm);

	if (state == AXVM_STOPPED || state == AXVM_FAILED)
		return 0;
	if (state == AXVM_LOADED || state == AXVM_LOADING)
		return ax_error_set(err, AX_ERROR_INVALID_STATE, EBADFD,
				    "cannot wait for a VM that is %s and was never started",
				    axvm_state_name(state, AXVM_NAMING_AXVM));
	/* Without a request this blocks until the guest ends by itself. */
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		axvcpu_join(vm->vcpus[i]);
	end_threads(vm);
	if (atomic_load(&vm->stop_reason) == AXVM_STOP_NONE)
		axvm_stop_with(
			vm, AXVM_STOP_HOST, NULL,
			&(struct ax_error){.kind = AX_ERROR_INTERNAL,
					   .severity = AX_SEVERITY_ERROR,
					   .message = "all vCPU threads ended without a reason"});
	axvm_settle_stop_reason(vm);
	if (atomic_load(&vm->stop_reason) == AXVM_STOP_HOST)
		return axvm_move(vm, VM_OP_FAIL, err);
	return axvm_move(vm, VM_OP_STOPPED, err);
}

int axvm_stop(struct axvm *vm, enum axvm_stop_reason reason, struct ax_error *err)
{
	axvm_request_stop(vm, reason);
	return axvm_wait(vm, err);
}

int axvm_pause(struct axvm *vm, struct ax_error *err)
{
	struct ax_error failure = {0};
	int rc = axvm_move(vm, VM_OP_PAUSE, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		axvcpu_request_pause(vm->vcpus[i]);
	for (uint32_t i = 0; !rc && i < vm->vcpu_count; i++)
		rc = axvcpu_pause(vm->vcpus[i], &failure);
	if (!rc)
		rc = axbus_suspend(vm->bus, &failure);
	if (!rc)
		return axvm_move(vm, VM_OP_PAUSED, err); /* refused when a stop came meanwhile */
	/* Back to where it was: nothing stays half paused, unless it cannot go on at all. */
	if (!axvm_report(vm, &failure)) {
		for (uint32_t i = 0; i < vm->vcpu_count; i++)
			(void)axvcpu_resume(vm->vcpus[i], NULL);
		if (!axvm_move(vm, VM_OP_PAUSED, NULL))
			(void)axvm_move(vm, VM_OP_RESUME, NULL);
	}
	if (err)
		*err = failure;
	return rc;
}

int axvm_resume(struct axvm *vm, struct ax_error *err)
{
	struct ax_error failure = {0};
	int rc = axvm_move(vm, VM_OP_RESUME, err);

	if (rc)
		return rc;
	rc = axbus_resume(vm->bus, &failure);
	for (uint32_t i = 0; !rc && i < vm->vcpu_count; i++)
		rc = axvcpu_resume(vm->vcpus[i], &failure);
	if (rc) {
		/* Whatever its severity: a machine that is half awake is none. */
		axvm_stop_with(vm, AXVM_STOP_HOST, NULL, &failure);
		if (err)
			*err = failure;
	}
	return rc;
}
