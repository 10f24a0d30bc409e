/*
 * What other threads may ask of a vCPU's thread: a kick, stop, pause, resume, expiry of its time,
 * and the execution of a function.
 *
 * Why no kick is lost: a request is stored first, then ops->kick makes the next run() return at
 * once, then a signal interrupts a run() that is already in the kernel. The thread clears the
 * kick before it looks at its requests, so either it sees the request or run() sees the kick.
 * `lock` is a leaf: no hook and no callback is called with it held, but ax_thread_* functions are.
 */
#include "internal.h"

#include <errno.h>

bool axvcpu_is_self(const struct axvcpu *vcpu)
{
	return atomic_load(&vcpu->self) == pthread_self();
}

bool axvcpu_is_elsewhere(const struct axvcpu *vcpu)
{
	return atomic_load(&vcpu->live) && !axvcpu_is_self(vcpu);
}

void axvcpu_kick(struct axvcpu *vcpu)
{
	vcpu->ops->kick(vcpu->impl);
	/* Sequentially consistent like the state: if the vCPU is seen outside the guest here, its
	 * way back in comes after the hook and finds the kick. */
	atomic_fetch_add(&vcpu->kicks, 1);
	if (axvcpu_raw_state(vcpu) != AXVCPU_RUNNING)
		return;
	pthread_mutex_lock(&vcpu->lock); /* the thread may not be joined meanwhile */
	if (vcpu->thread)
		ax_thread_kick(vcpu->thread);
	pthread_mutex_unlock(&vcpu->lock);
}

/* Without a thread there is nobody to ask, and nothing is remembered. */
static void request(struct axvcpu *vcpu, uint32_t bit)
{
	pthread_mutex_lock(&vcpu->lock);
	bool live = atomic_load(&vcpu->live);
	if (live) {
		atomic_fetch_or(&vcpu->requests, bit);
		pthread_cond_broadcast(&vcpu->changed);
	}
	pthread_mutex_unlock(&vcpu->lock);
	if (live)
		axvcpu_kick(vcpu);
}

void axvcpu_request_stop(struct axvcpu *vcpu)
{
	request(vcpu, AXVCPU_REQUEST_STOP);
}

void axvcpu_request_pause(struct axvcpu *vcpu)
{
	request(vcpu, AXVCPU_REQUEST_PAUSE);
}

void axvcpu_expire(struct axvcpu *vcpu)
{
	request(vcpu, AXVCPU_REQUEST_EXPIRE);
}

/* With lock held: pause and resume are for a vCPU that was started and not joined yet. */
static int check_has_thread(struct axvcpu *vcpu, enum axvcpu_op op, struct ax_error *err)
{
	int rc = axvcpu_check(vcpu, op, err);

	if (rc == 0 && !vcpu->thread)
		rc = axvcpu_refuse(vcpu, op, "it has no thread", err);
	return rc;
}

int axvcpu_pause(struct axvcpu *vcpu, struct ax_error *err)
{
	if (axvcpu_is_self(vcpu))
		return ax_error_set(err, AX_ERROR_INVALID_STATE, EDEADLK,
				    "vCPU %u of VM %u cannot wait for its own pause", vcpu->index,
				    vcpu->vm_id);
	pthread_mutex_lock(&vcpu->lock);
	int rc = check_has_thread(vcpu, AXVCPU_OP_PAUSE, err);
	pthread_mutex_unlock(&vcpu->lock);
	if (rc < 0)
		return rc;

	request(vcpu, AXVCPU_REQUEST_PAUSE);

	pthread_mutex_lock(&vcpu->lock);
	while (atomic_load(&vcpu->live) && !vcpu->parked &&
	       (atomic_load(&vcpu->requests) & AXVCPU_REQUEST_PAUSE))
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	if (!atomic_load(&vcpu->live)) /* it ended by itself: outside the guest too, or failed */
		rc = axvcpu_check(vcpu, AXVCPU_OP_PAUSE, err);
	else if (!vcpu->parked)
		rc = ax_error_set(err, AX_ERROR_INVALID_STATE, ECANCELED,
				  "vCPU %u of VM %u was resumed while it was being paused",
				  vcpu->index, vcpu->vm_id);
	pthread_mutex_unlock(&vcpu->lock);
	return rc;
}

int axvcpu_resume(struct axvcpu *vcpu, struct ax_error *err)
{
	pthread_mutex_lock(&vcpu->lock);
	int rc = check_has_thread(vcpu, AXVCPU_OP_RESUME, err);
	if (rc == 0) {
		atomic_fetch_and(&vcpu->requests, ~(uint32_t)AXVCPU_REQUEST_PAUSE);
		pthread_cond_broadcast(&vcpu->changed);
	}
	pthread_mutex_unlock(&vcpu->lock);
	return rc;
}

pid_t axvcpu_tid(const struct axvcpu *vcpu)
{
	return atomic_load(&vcpu->tid);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* With lock held and no thread there: be the vCPU's thread for one call, as one caller at a time.
 */
static int call_here(struct axvcpu *vcpu, axvcpu_call_fn *fn, void *arg, struct ax_error *err)
{
	vcpu->borrowed = true;
	atomic_store(&vcpu->self, pthread_self());
	pthread_mutex_unlock(&vcpu->lock);
	int rc = fn(vcpu, arg, err);
	pthread_mutex_lock(&vcpu->lock);
	atomic_store(&vcpu->self, (pthread_t)0);
	vcpu->borrowed = false;
	pthread_cond_broadcast(&vcpu->changed);
	return rc;
}

/* With lock held: have the thread do it. It serves every call before it ends, so this ends. */
static int call_there(struct axvcpu *vcpu, axvcpu_call_fn *fn, void *arg, struct ax_error *err)
{
	struct axvcpu_pending_call call = {.fn = fn, .arg = arg, .err = err};

	*vcpu->calls_tail = &call;
	vcpu->calls_tail = &call.next;
	atomic_fetch_or(&vcpu->requests, AXVCPU_REQUEST_CALL);
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);

	axvcpu_kick(vcpu);

	pthread_mutex_lock(&vcpu->lock);
	while (!call.done)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	return call.rc;
}

int axvcpu_call(struct axvcpu *vcpu, axvcpu_call_fn *fn, void *arg, struct ax_error *err)
{
	if (axvcpu_is_self(vcpu))
		return fn(vcpu, arg, err);
	pthread_mutex_lock(&vcpu->lock);
	while (vcpu->borrowed)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	int rc = atomic_load(&vcpu->live) ? call_there(vcpu, fn, arg, err)
					  : call_here(vcpu, fn, arg, err);
	pthread_mutex_unlock(&vcpu->lock);
	return rc;
}

void axvcpu_run_calls(struct axvcpu *vcpu)
{
	struct axvcpu_pending_call *call;

	while ((call = vcpu->calls)) {
		vcpu->calls = call->next;
		if (!vcpu->calls)
			vcpu->calls_tail = &vcpu->calls;
		pthread_mutex_unlock(&vcpu->lock);
		int rc = call->fn(vcpu, call->arg, call->err);
		pthread_mutex_lock(&vcpu->lock);
		call->rc = rc;
		call->done = true;
		pthread_cond_broadcast(&vcpu->changed);
	}
	atomic_fetch_and(&vcpu->requests, ~(uint32_t)AXVCPU_REQUEST_CALL);
}
