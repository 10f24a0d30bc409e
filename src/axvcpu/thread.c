/*
 * The vCPU's thread: bind, then turn after turn serve what was asked of it, enter the guest, and
 * hand the exit to the owner, until someone says stop.
 *
 * This is the one place that parks. Who may ask for what is in request.c.
 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* Tell the owner that the loop ends by something other than the guest. The answer changes nothing.
 */
static void report_end(struct axvcpu *vcpu, enum axvcpu_exit_kind kind, struct ax_error *err)
{
	struct axvcpu_exit exit = {.kind = kind};

	vcpu->on_exit(vcpu->on_exit_ctx, vcpu, &exit, err);
}

static void report_timeout(struct axvcpu *vcpu)
{
	struct ax_error err = {0};

	ax_error_set(&err, AX_ERROR_TIMEOUT, ETIMEDOUT, "vCPU %u has run for its limit of %.3f s",
		     vcpu->index, (double)vcpu->limits.timeout_ns / 1e9);
	ax_error_hint(&err, "raise the time limit if the guest needs longer");
	report_end(vcpu, AXVCPU_EXIT_PREEMPTION_TIMER, &err);
}

static void report_max_exits(struct axvcpu *vcpu)
{
	struct ax_error err = {0};

	ax_error_set(&err, AX_ERROR_MAX_ITERATIONS, EDQUOT,
		     "vCPU %u has left the guest %llu times, its limit", vcpu->index,
		     (unsigned long long)vcpu->limits.max_exits);
	ax_error_hint(&err, "raise the limit of exits if the guest needs more");
	report_end(vcpu, AXVCPU_EXIT_PREEMPTION_TIMER, &err);
}

/* The instruction that caused the last exit is finished without entering the guest. Lock held. */
static int complete_exit(struct axvcpu *vcpu)
{
	struct ax_error err = {0};

	pthread_mutex_unlock(&vcpu->lock);
	vcpu->needs_complete = false;
	int rc = vcpu->ops->complete(vcpu->impl, &err);
	if (rc < 0) {
		axvcpu_hook_failed(vcpu, "complete", rc, &err);
		report_end(vcpu, AXVCPU_EXIT_INTERNAL_ERROR, &err);
	}
	pthread_mutex_lock(&vcpu->lock);
	return rc;
}

static void park(struct axvcpu *vcpu)
{
	if (vcpu->left_ns)
		ax_counter_add(&vcpu->user_ns, ax_clock_ns() - vcpu->left_ns);
	axvcpu_move(vcpu, AXVCPU_OP_PARK, NULL);
	vcpu->parked = true;
	pthread_cond_broadcast(&vcpu->changed);
}

static void unpark(struct axvcpu *vcpu)
{
	if (!vcpu->parked)
		return;
	vcpu->parked = false;
	axvcpu_move(vcpu, AXVCPU_OP_UNPARK, NULL);
	if (vcpu->left_ns)
		vcpu->left_ns = ax_clock_ns();
}

/* Do what other threads have asked for; parks while paused. False: the loop ends. */
static bool serve_requests(struct axvcpu *vcpu)
{
	bool go_on = true, expired = false;

	pthread_mutex_lock(&vcpu->lock);
	for (;;) {
		uint32_t requests = atomic_load(&vcpu->requests);

		if (requests & (AXVCPU_REQUEST_STOP | AXVCPU_REQUEST_EXPIRE)) {
			expired = !(requests & AXVCPU_REQUEST_STOP);
			go_on = false;
			break;
		}
		if (requests & AXVCPU_REQUEST_CALL) {
			axvcpu_run_calls(vcpu);
			continue;
		}
		if (!(requests & AXVCPU_REQUEST_PAUSE))
			break;
		if (!vcpu->parked && vcpu->needs_complete) {
			if (complete_exit(vcpu) < 0) {
				go_on = false;
				break;
			}
			continue; /* the lock was dropped: look again */
		}
		if (!vcpu->parked)
			park(vcpu);
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	}
	unpark(vcpu);
	pthread_mutex_unlock(&vcpu->lock);
	if (expired)
		report_timeout(vcpu);
	return go_on;
}

static void run_loop(struct axvcpu *vcpu)
{
	const uint64_t max_exits = vcpu->limits.max_exits;
	struct axvcpu_exit *exit = &vcpu->exit;
	struct ax_error err = {0};
	uint64_t exits = 0;

	for (;;) {
		/* A request made after this look comes with a kick, so run() returns at once. */
		if (atomic_load(&vcpu->requests) && !serve_requests(vcpu))
			return;
		err.kind = AX_ERROR_NONE; /* the handler may have filled it */
		if (axvcpu_run(vcpu, exit, &err) < 0) {
			report_end(vcpu, AXVCPU_EXIT_INTERNAL_ERROR, &err);
			return;
		}
		/* Ours, not the guest's: neither the owner's business nor part of the limit. */
		if (exit->kind == AXVCPU_EXIT_EXTERNAL_INTERRUPT)
			continue;
		exits++;
		if (exit->kind != AXVCPU_EXIT_NOTHING &&
		    vcpu->on_exit(vcpu->on_exit_ctx, vcpu, exit, &err) == AXVCPU_STOP)
			return;
		if (max_exits && exits >= max_exits) {
			report_max_exits(vcpu);
			return;
		}
	}
}

static void thread_main(void *arg)
{
	struct axvcpu *vcpu = arg;
	struct ax_error err = {0};

	atomic_store(&vcpu->self, pthread_self());
	pthread_mutex_lock(&vcpu->lock); /* start has finished with us */
	pthread_mutex_unlock(&vcpu->lock);

	if (axvcpu_bind(vcpu, &err) < 0)
		report_end(vcpu, AXVCPU_EXIT_INTERNAL_ERROR, &err);
	else
		run_loop(vcpu);
	if (axvcpu_raw_state(vcpu) == AXVCPU_READY && axvcpu_unbind(vcpu, &err) < 0)
		ax_log(AX_LOG_ERROR, LAYER, "%s", err.message);

	/* From here on callers serve themselves. */
	pthread_mutex_lock(&vcpu->lock);
	axvcpu_run_calls(vcpu);
	atomic_store(&vcpu->self, (pthread_t)0);
	atomic_store(&vcpu->tid, 0);
	atomic_store(&vcpu->live, false);
	pthread_cond_broadcast(&vcpu->changed);
	pthread_mutex_unlock(&vcpu->lock);
}

int axvcpu_start(struct axvcpu *vcpu, bool paused, struct ax_error *err)
{
	char name[24];

	if (!vcpu->on_exit)
		return ax_error_set(err, AX_ERROR_THREAD, EINVAL,
				    "vCPU %u of VM %u has no exit handler and cannot have a thread",
				    vcpu->index, vcpu->vm_id);
	snprintf(name, sizeof(name), "vcpu %u", vcpu->index);
	const struct ax_thread_config config = {
		.name = name,
		.cpus = vcpu->host_cpus,
		.cpu_count = vcpu->host_cpu_count,
		.policy = vcpu->policy,
		.priority = vcpu->priority,
	};

	pthread_mutex_lock(&vcpu->lock);
	while (vcpu->borrowed)
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	int rc = axvcpu_check(vcpu, AXVCPU_OP_START, err);
	if (rc == 0 && vcpu->thread)
		rc = axvcpu_refuse(vcpu, AXVCPU_OP_START, "it has a thread already", err);
	if (rc < 0)
		goto out;
	atomic_store(&vcpu->requests, paused ? AXVCPU_REQUEST_PAUSE : 0);
	atomic_store(&vcpu->live, true);
	rc = ax_thread_start(&config, thread_main, vcpu, &vcpu->thread, err);
	if (rc < 0) {
		atomic_store(&vcpu->live, false);
		ax_error_context(err, "vCPU %u of VM %u", vcpu->index, vcpu->vm_id);
		goto out;
	}
	atomic_store(&vcpu->tid, ax_thread_tid(vcpu->thread));
out:
	pthread_mutex_unlock(&vcpu->lock);
	return rc;
}

void axvcpu_join(struct axvcpu *vcpu)
{
	assert(!axvcpu_is_self(vcpu));
	pthread_mutex_lock(&vcpu->lock);
	while (atomic_load(&vcpu->live))
		pthread_cond_wait(&vcpu->changed, &vcpu->lock);
	/* Taken out under the lock: from now on nobody kicks it. */
	struct ax_thread *thread = vcpu->thread;
	vcpu->thread = NULL;
	pthread_mutex_unlock(&vcpu->lock);
	ax_thread_join(thread);
}
