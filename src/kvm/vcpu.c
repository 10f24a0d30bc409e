/*
 * One vCPU's file descriptor and run page: creation, entering the guest, completing an exit without
 * entering, kicks. What an exit means is decode.c's; registers and modes are the architecture's.
 */
#include "kvm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int run_page_size(struct axkvm *kvm, size_t *ret_bytes, struct ax_error *err)
{
	size_t bytes = atomic_load_explicit(&kvm->run_bytes, memory_order_relaxed);
	if (!bytes) {
		int ret = axkvm_call(kvm, kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
		if (ret < (int)sizeof(struct kvm_run))
			return ax_error_set(
				err, AX_ERROR_VCPU_CREATION, ret < 0 ? -ret : EPROTO,
				"KVM_GET_VCPU_MMAP_SIZE gives %d, at least %zu are needed", ret,
				sizeof(struct kvm_run));
		bytes = (size_t)ret;
		atomic_store_explicit(&kvm->run_bytes, bytes, memory_order_relaxed);
	}
	*ret_bytes = bytes;
	return 0;
}

static int create_error(struct axkvm_vm *vm, unsigned long id, int error, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_VCPU_CREATION, error, "KVM_CREATE_VCPU with id %lu: %s", id,
		     strerror(error));
	if (error == EINVAL)
		ax_error_hint(err, "this KVM takes %d vCPUs a VM with ids below %d",
			      axkvm_check(vm->kvm, KVM_CAP_MAX_VCPUS),
			      axkvm_check(vm->kvm, KVM_CAP_MAX_VCPU_ID));
	else if (error == EMFILE || error == ENFILE)
		ax_error_hint(err, "raise the limit of open files (ulimit -n)");
	return -error;
}

int axkvm_vcpu_create(struct axkvm_vm *vm, unsigned long id, struct axkvm_vcpu **ret_vcpu,
		      struct ax_error *err)
{
	size_t run_bytes = 0;
	int ret = run_page_size(vm->kvm, &run_bytes, err);
	if (ret < 0)
		return ret;
	struct axkvm_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for vCPU %lu", id);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->run_bytes = run_bytes;
	vcpu->fd = axkvm_call(vm->kvm, vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0) {
		ret = create_error(vm, id, -vcpu->fd, err);
		free(vcpu);
		return ret;
	}
	void *run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED) {
		ret = ax_error_set(err, AX_ERROR_VCPU_CREATION, errno,
				   "the run page of vCPU %lu cannot be mapped: %s", id,
				   strerror(errno));
		close(vcpu->fd);
		free(vcpu);
		return ret;
	}
	vcpu->run = run;
	/* Asked for now because KVM serialises a vCPU's ioctls with KVM_RUN: later, from another
	 * thread, this would wait until the guest is left. */
	vcpu->stats_fd = axkvm_call(vm->kvm, vcpu->fd, KVM_GET_STATS_FD, 0);
	pthread_mutex_init(&vcpu->stats_lock, NULL);
	*ret_vcpu = vcpu;
	return 0;
}

void axkvm_vcpu_destroy(struct axkvm_vcpu *vcpu)
{
	if (!vcpu)
		return;
	axkvm_stats_close(atomic_load(&vcpu->stats));
	if (vcpu->stats_fd >= 0)
		close(vcpu->stats_fd);
	pthread_mutex_destroy(&vcpu->stats_lock);
	munmap(vcpu->run, vcpu->run_bytes);
	close(vcpu->fd);
	free(vcpu);
}

int axkvm_vcpu_fd(const struct axkvm_vcpu *vcpu)
{
	return vcpu->fd;
}

void *axkvm_vcpu_run_page(const struct axkvm_vcpu *vcpu)
{
	return vcpu->run;
}

/* ---- entering -------------------------------------------------------------------------------- */

/* Carry the handler's answer from the portable exit to where KVM looks for it. */
static void give_answer(struct axkvm_vcpu *vcpu)
{
	struct axvcpu_exit *exit = vcpu->answer;

	vcpu->answer = NULL;
	if (!exit)
		return;
	if (vcpu->run->exit_reason == KVM_EXIT_HYPERCALL) {
		vcpu->run->hypercall.ret = exit->hypercall.ret;
	} else {
		vcpu->run->msr.data = exit->sysreg.value;
		vcpu->run->msr.error = exit->sysreg.inject_fault;
	}
}

/* KVM_RUN; 0, 1 for "interrupted", 2 for "nothing happened", or a negative errno. */
enum { RUN_EXIT = 0, RUN_INTERRUPTED = 1, RUN_AGAIN = 2 };
static int enter(struct axkvm_vcpu *vcpu)
{
	give_answer(vcpu);
	int ret = axkvm_call(vcpu->vm->kvm, vcpu->fd, KVM_RUN, 0);
	if (ret >= 0)
		return RUN_EXIT;
	if (ret == -EINTR)
		return RUN_INTERRUPTED;
	/* A processor that waits for INIT or SIPI got an event that did not start it. */
	if (ret == -EAGAIN)
		return RUN_AGAIN;
	if ((ret == -EFAULT || ret == -EHWPOISON) &&
	    vcpu->run->exit_reason == KVM_EXIT_MEMORY_FAULT)
		return RUN_EXIT;
	return ret;
}

static int run_error(const struct axkvm_vcpu *vcpu, int ret, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_VCPU_RUNTIME, -ret, "KVM_RUN of vCPU %lu: %s", vcpu->id,
		     strerror(-ret));
	if (ret == -EFAULT)
		ax_error_hint(err, "the guest touched memory whose host page cannot be had "
				   "(a truncated file, an empty huge-page pool)");
	else if (ret == -EHWPOISON)
		ax_error_hint(err, "the guest touched a page that the host has marked as broken; "
				   "see the kernel log");
	return ret;
}

int axkvm_vcpu_run(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit,
		   bool (*decode)(void *ctx, void *kvm_run, struct axvcpu_exit *exit), void *ctx,
		   struct ax_error *err)
{
	int ret = RUN_EXIT;

	if (vcpu->stashed)
		vcpu->stashed = false;
	else
		ret = enter(vcpu);
	if (ret < 0)
		return run_error(vcpu, ret, err);
	if (ret == RUN_INTERRUPTED) {
		exit->kind = AXVCPU_EXIT_EXTERNAL_INTERRUPT;
		exit->interrupt.vector = 0;
	} else if (ret == RUN_AGAIN) {
		exit->kind = AXVCPU_EXIT_NOTHING;
	} else if (!decode || !decode(ctx, vcpu->run, exit)) {
		axkvm_decode(vcpu, exit);
	}
	return 0;
}

int axkvm_vcpu_complete(struct axkvm_vcpu *vcpu, struct ax_error *err)
{
	if (vcpu->stashed)
		return 0;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	int ret = enter(vcpu);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	/* A kick that came meanwhile set the byte that was just cleared. */
	if (atomic_load(&vcpu->kicked))
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (ret < 0)
		return run_error(vcpu, ret, err);
	/* The instruction goes on with another access (a string, a wide or unaligned one). */
	if (ret == RUN_EXIT)
		vcpu->stashed = true;
	return 0;
}

void axkvm_vcpu_kick(struct axkvm_vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, true);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
}

void axkvm_vcpu_clear_kick(struct axkvm_vcpu *vcpu)
{
	atomic_store(&vcpu->kicked, false);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

int axkvm_vcpu_online(struct axkvm_vcpu *vcpu, bool *ret_online, struct ax_error *err)
{
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};
	int ret = 0;

	if (axkvm_check(vcpu->vm->kvm, KVM_CAP_MP_STATE))
		ret = axkvm_call_ptr(vcpu->vm->kvm, vcpu->fd, KVM_GET_MP_STATE, &state);
	if (ret < 0)
		return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, -ret,
				    "KVM_GET_MP_STATE of vCPU %lu: %s", vcpu->id, strerror(-ret));
	*ret_online = state.mp_state == KVM_MP_STATE_RUNNABLE ||
		      state.mp_state == KVM_MP_STATE_HALTED ||
		      state.mp_state == KVM_MP_STATE_AP_RESET_HOLD;
	return 0;
}

/* ---- statistics ------------------------------------------------------------------------------ */

static const struct axkvm_stats *vcpu_stats(struct axkvm_vcpu *vcpu)
{
	if (!atomic_load_explicit(&vcpu->stats_read, memory_order_acquire)) {
		pthread_mutex_lock(&vcpu->stats_lock);
		if (!atomic_load(&vcpu->stats_read)) {
			struct axkvm_stats *stats = NULL;
			if (vcpu->stats_fd >= 0 &&
			    axkvm_stats_parse(vcpu->stats_fd, &stats, NULL) == 0) {
				vcpu->stats_fd = -1; /* theirs now */
				atomic_store(&vcpu->stats, stats);
			}
			atomic_store_explicit(&vcpu->stats_read, true, memory_order_release);
		}
		pthread_mutex_unlock(&vcpu->stats_lock);
	}
	return atomic_load_explicit(&vcpu->stats, memory_order_acquire);
}

int axkvm_vcpu_stat(struct axkvm_vcpu *vcpu, const char *name, uint64_t *ret_value)
{
	const struct axkvm_stats *stats = vcpu_stats(vcpu);
	return stats ? axkvm_stats_read(stats, name, ret_value) : -ENOTSUP;
}

bool axkvm_vcpu_halted(struct axkvm_vcpu *vcpu)
{
	uint64_t blocking = 0;
	return axkvm_vcpu_stat(vcpu, "blocking", &blocking) == 0 && blocking;
}
