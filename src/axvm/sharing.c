/*
 * A VM without CPUs of its own runs on those that no other VM has claimed, today and tomorrow: it
 * leaves CPUs that are claimed later and comes back to those that are free again. Whether a VM
 * shares is placement.c's decision; what is claimed, the ledger's word, which yield.c listens to.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t list(const struct axvm *vm, const struct axledger_held *held, bool isolated,
		   int *ret_ids, bool *ret_any_held)
{
	size_t count = 0;

	for (size_t i = 0; i < vm->facts.cpu_count; i++) {
		const struct axhost_cpu *cpu = &vm->facts.cpus[i];

		if (!cpu->online || !cpu->allowed || (!isolated && !axvm_is_for_all(vm, cpu)))
			continue;
		if (axvm_has_id(held->cpus, held->cpu_count, cpu->id))
			*ret_any_held = true;
		else
			ret_ids[count++] = (int)cpu->id;
	}
	return count;
}

/* What others leave of the CPUs that this VM may share; rather isolated ones than theirs. */
static size_t list_free(const struct axvm *vm, const struct axledger_held *held, int *ret_ids,
			bool *ret_any_held)
{
	size_t count;

	*ret_any_held = false;
	count = list(vm, held, false, ret_ids, ret_any_held);
	return count ? count : list(vm, held, true, ret_ids, ret_any_held);
}

static int no_cpu(const struct axvm *vm, const struct axledger_held *held, struct ax_error *err)
{
	ax_error_set(err, AX_ERROR_CONFIGURATION, ENOSPC,
		     "placement: other VMs have all CPUs that %s may run on (%zu are held)",
		     vm->config->name, held->cpu_count);
	return ax_error_hint(err, "%s --overcommit, or stop one of the %zu VMs",
			     vm->config->placement.mode == AXCFG_PLACEMENT_SHARED
				     ? "instead of --placement shared say"
				     : "share them with",
			     held->vm_count);
}

/* No list at all when others have none, so that a VM alone on its host is left to the scheduler.
 * Under the planning lock, so that no claim comes between the look and the watch. */
int axvm_share(struct axvm *vm, const struct axledger_held *held, struct ax_error *err)
{
	struct vm_sharing *sharing = &vm->placement.sharing;
	bool any_held;

	sharing->cpus = calloc(vm->facts.cpu_count + 1, sizeof(*sharing->cpus));
	if (!sharing->cpus)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	sharing->count = list_free(vm, held, sharing->cpus, &any_held);
	if (!sharing->count && any_held)
		return no_cpu(vm, held, err);
	if (!any_held)
		sharing->count = 0;
	return 0;
}

/* ---- following what others claim: the first I/O thread --------------------------------------- */

/* Said once, until there is room again; NULL: there is. */
static void tell_crowded(struct axvm *vm, const char *why)
{
	struct vm_sharing *sharing = &vm->placement.sharing;

	if (why && !sharing->is_crowded)
		ax_log(AX_LOG_WARN, "placement", "%s stays on CPUs that others claim: %s",
		       vm->config->name, why);
	sharing->is_crowded = why;
}

/* False: it has no thread yet. One that has ended meanwhile needs no CPU. */
static bool move(pid_t tid, const int *cpus, size_t count, bool *forbidden)
{
	if (!tid)
		return false;
	*forbidden |= ax_task_move(tid, cpus, count) == -EINVAL;
	return true;
}

static void confine(void *loop)
{
	ax_loop_confine(loop);
}

static bool move_threads(struct axvm *vm, const int *cpus, size_t count)
{
	bool all = true, forbidden = false;

	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		all &= move(axvcpu_tid(vm->vcpus[i]), cpus, count, &forbidden);
	for (unsigned i = vm->config->io.affinity.count; i < vm->io_count; i++) {
		all &= move(atomic_load(&vm->io_threads[i].tid), cpus, count, &forbidden);
		/* Refused by a loop that has ended, and with it its workers. */
		(void)ax_loop_post(vm->io_loops[i], confine, vm->io_loops[i]);
	}
	/* The cpuset is another than when we started. */
	tell_crowded(vm, forbidden ? "the cpuset allows none of those that are left" : NULL);
	return all;
}

bool axvm_share_anew(struct axvm *vm, const struct axledger_held *held)
{
	struct vm_sharing *sharing = &vm->placement.sharing;
	AX_AUTO_FREE int *cpus = calloc(vm->facts.cpu_count + 1, sizeof(*cpus));
	bool any_held, done;
	size_t count;

	if (!cpus)
		return false;
	count = list_free(vm, held, cpus, &any_held);
	if (!count) {
		tell_crowded(vm, "none is left");
		return true;
	}
	pthread_mutex_lock(&vm->placement_lock);
	memcpy(sharing->cpus, cpus, count * sizeof(*cpus));
	sharing->count = any_held ? count : 0;
	done = move_threads(vm, cpus, count);
	pthread_mutex_unlock(&vm->placement_lock);
	axvm_move_aside(vm, cpus, count);
	return done;
}
