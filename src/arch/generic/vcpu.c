/*
 * The fake's vCPU: one entry into the guest is turns of script, byte code or program until one of
 * them leaves, with the same rules about kicks, pending exits and halting as KVM has.
 *
 * Owns the hooks axvcpu calls. The pending exit is exit.c's; what the guest does is script.c's,
 * bytecode.c's and guest.c's; who an exit goes to is axvcpu's.
 */
#include "generic_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void generic_vcpu_init(struct generic_vcpu *vcpu, struct axarch_vm *vm, uint32_t index)
{
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->answer_gpr = GENERIC_GPR_COUNT;
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
}

void generic_vcpu_finish(struct generic_vcpu *vcpu)
{
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu->delivered);
	free(vcpu->answers);
	free(vcpu->steps);
}

/* ---- one entry ------------------------------------------------------------------------------- */

static void count_exit(struct generic_vcpu *vcpu, enum axvcpu_exit_kind kind)
{
	atomic_fetch_add(&vcpu->exits, 1);
	if (kind == AXVCPU_EXIT_IO_READ || kind == AXVCPU_EXIT_IO_WRITE)
		atomic_fetch_add(&vcpu->io_exits, 1);
	else if (kind == AXVCPU_EXIT_MMIO_READ || kind == AXVCPU_EXIT_MMIO_WRITE)
		atomic_fetch_add(&vcpu->mmio_exits, 1);
	else if (kind == AXVCPU_EXIT_HALT)
		atomic_fetch_add(&vcpu->halt_exits, 1);
}

/* Give queued interrupts to the guest, which ends each at once. True: an exit tells of an end. */
static bool deliver(struct generic_vcpu *vcpu, struct axvcpu_exit *exit)
{
	if (!vcpu->queue_count)
		return false;
	struct axvcpu_irq irq = vcpu->queue[0];
	vcpu->queue_count--;
	memmove(vcpu->queue, vcpu->queue + 1, vcpu->queue_count * sizeof(vcpu->queue[0]));
	vcpu->delivered_count++;
	if (!irq.notify_eoi)
		return false;
	*exit = (struct axvcpu_exit){.kind = AXVCPU_EXIT_INTERRUPT_END};
	exit->interrupt.vector = irq.vector;
	return true;
}

static void wait_a_little(struct generic_vcpu *vcpu)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_cond_timedwait */
	until.tv_nsec += 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&vcpu->changed, &vcpu->lock, &until);
}

static int enter(struct generic_vcpu *vcpu, struct axvcpu_exit *exit, struct ax_error *err)
{
	for (;;) {
		if (atomic_load(&vcpu->kicked)) {
			*exit = (struct axvcpu_exit){.kind = AXVCPU_EXIT_EXTERNAL_INTERRUPT};
			vcpu->was_kicked = true;
			return 0;
		}
		while (vcpu->queue_count)
			if (deliver(vcpu, exit))
				return 0;
		switch (vcpu->has_code ? generic_code_turn(vcpu) : generic_script_turn(vcpu, err)) {
		case GENERIC_TURN_EXIT:
			*exit = vcpu->exit;
			vcpu->reported = exit;
			vcpu->pending = true;
			return 0;
		case GENERIC_TURN_WAIT:
			pthread_cond_wait(&vcpu->changed, &vcpu->lock);
			break;
		case GENERIC_TURN_POLL:
			wait_a_little(vcpu);
			break;
		case GENERIC_TURN_FAIL:
			return err ? -err->sys_errno : -EIO;
		case GENERIC_TURN_AGAIN:
			break;
		}
	}
}

static int run(void *impl, struct axvcpu_exit *exit, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;
	struct ax_error own = {0};

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_RUN, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vcpu->lock);
	generic_vcpu_complete(vcpu);
	rc = enter(vcpu, exit, err ? err : &own);
	pthread_mutex_unlock(&vcpu->lock);
	if (rc == 0)
		count_exit(vcpu, exit->kind);
	return rc;
}

static int complete(void *impl, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_COMPLETE, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vcpu->lock);
	generic_vcpu_complete(vcpu);
	pthread_mutex_unlock(&vcpu->lock);
	return 0;
}

/* ---- the other hooks ------------------------------------------------------------------------- */

static int setup(void *impl, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_SETUP, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&vcpu->lock);
	vcpu->has_code = !vcpu->step_count && vcpu->vm->has_code;
	vcpu->pc = vcpu->vm->entry;
	vcpu->gpr[1] = vcpu->index;
	pthread_mutex_unlock(&vcpu->lock);
	return 0;
}

static int bind(void *impl, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	return generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_BIND, err);
}

static int unbind(void *impl, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	return generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_UNBIND, err);
}

static void kick(void *impl)
{
	struct generic_vcpu *vcpu = impl;

	/* Before the lock: byte code runs with it held and looks at the flag. */
	atomic_store(&vcpu->kicked, true);
	pthread_mutex_lock(&vcpu->lock);
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

static void clear_kick(void *impl)
{
	struct generic_vcpu *vcpu = impl;

	atomic_store(&vcpu->kicked, false);
}

static bool halted(void *impl)
{
	struct generic_vcpu *vcpu = impl;

	return atomic_load(&vcpu->halted);
}

static int online(void *impl, bool *ret_online, struct ax_error *err)
{
	const struct generic_vcpu *vcpu = impl;

	(void)err;
	*ret_online = !vcpu->is_down;
	return 0;
}

static int inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err)
{
	struct generic_vcpu *vcpu = impl;

	int rc = generic_faults_strike(&vcpu->vm->faults, GENERIC_HOOK_INJECT, err);
	if (rc < 0)
		return rc;
	if (irq->vector > 255)
		return ax_error_set(err, AX_ERROR_IRQ_INJECTION, EINVAL,
				    "vCPU %u: no vector %u: there are 0 to 255", vcpu->index,
				    irq->vector);
	pthread_mutex_lock(&vcpu->lock);
	bool full = vcpu->queue_count == GENERIC_IRQ_QUEUE;
	size_t log_count = vcpu->delivered_count + vcpu->queue_count;
	/* Logged in order of injection, which is the order of delivery. */
	uint32_t *log =
		full ? NULL : realloc(vcpu->delivered, (log_count + 1) * sizeof(*vcpu->delivered));
	if (log) {
		vcpu->delivered = log;
		log[log_count] = irq->vector;
		vcpu->queue[vcpu->queue_count++] = *irq;
		pthread_cond_broadcast(&vcpu->changed);
	}
	pthread_mutex_unlock(&vcpu->lock);
	if (!log)
		return ax_error_set(err, AX_ERROR_IRQ_INJECTION, full ? ENOSPC : ENOMEM,
				    "vCPU %u: no room for vector %u", vcpu->index, irq->vector);
	return 0;
}

size_t generic_vm_delivered(struct axarch_vm *vm, uint32_t index, uint32_t *vectors, size_t max)
{
	if (index >= vm->vcpu_count)
		return 0;
	struct generic_vcpu *vcpu = &vm->vcpus[index];
	pthread_mutex_lock(&vcpu->lock);
	size_t count = vcpu->delivered_count;
	for (size_t i = 0; i < count && i < max; i++)
		vectors[i] = vcpu->delivered[i];
	pthread_mutex_unlock(&vcpu->lock);
	return count;
}

static void destroy(void *impl)
{
	struct generic_vcpu *vcpu = impl;

	generic_guest_end(vcpu);
	atomic_fetch_sub(&vcpu->vm->vcpus_alive, 1);
}

int generic_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
			void **ret_impl, struct ax_error *err)
{
	static const struct axvcpu_ops ops = {
		.setup = setup,
		.bind = bind,
		.unbind = unbind,
		.run = run,
		.kick = kick,
		.clear_kick = clear_kick,
		.complete = complete,
		.halted = halted,
		.online = online,
		.inject = inject,
		.set_entry = generic_vcpu_set_entry,
		.set_gpr = generic_vcpu_set_gpr,
		.get_gpr = generic_vcpu_get_gpr,
		.set_return_value = generic_vcpu_set_return_value,
		.dump = generic_vcpu_dump,
		.destroy = destroy,
	};

	int rc = generic_faults_strike(&vm->faults, GENERIC_HOOK_VCPU_CREATE, err);
	if (rc < 0)
		return rc;
	if (index >= vm->vcpu_count)
		return ax_error_set(err, AX_ERROR_VCPU_CREATION, ERANGE,
				    "VM \"%s\" has no vCPU %u: it has %u", vm->name, index,
				    vm->vcpu_count);
	atomic_fetch_add(&vm->vcpus_alive, 1);
	*ret_ops = &ops;
	*ret_impl = &vm->vcpus[index];
	return 0;
}
