/*
 * A VM without CPUs of its own runs on those that no other VM has claimed, today and tomorrow: it
 * leaves CPUs that are claimed later and comes back to those that are free again. One that floats
 * keeps each thread on its node, as long as there is a CPU. Whether a VM shares is placement.c's
 * decision; what is claimed, the ledger's word, which yield.c listens to.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANYWHERE AXHOST_NONE /* for list: not those near a guest node only */

static size_t list(const struct axvm *vm, const struct axledger_held *held, bool isolated,
		   uint32_t guest_node, int *ret_ids, bool *ret_any_held)
{
	size_t count = 0;

	for (size_t i = 0; i < vm->facts.cpu_count; i++) {
		const struct axhost_cpu *cpu = &vm->facts.cpus[i];

		if (!cpu->online || !cpu->allowed || (!isolated && !axvm_is_for_all(vm, cpu)) ||
		    (guest_node != ANYWHERE && vm->placement.sharing.homes[i] != guest_node))
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
	count = list(vm, held, false, ANYWHERE, ret_ids, ret_any_held);
	return count ? count : list(vm, held, true, ANYWHERE, ret_ids, ret_any_held);
}

/* `node` is an index into the facts'; a home that was found before stays. */
static void set_home(const struct axhost_facts *facts, uint32_t node, uint32_t guest_node,
		     uint32_t *homes)
{
	for (size_t i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].node == node && homes[i] == AXHOST_NONE)
			homes[i] = guest_node;
}

static uint32_t index_of(const struct axhost_facts *facts, uint32_t node)
{
	for (size_t i = 0; i < facts->node_count; i++)
		if (facts->nodes[i].id == node)
			return (uint32_t)i;
	return AXHOST_NONE;
}

static uint32_t node_of(const struct axhost_facts *facts, uint32_t cpu)
{
	for (size_t i = 0; i < facts->cpu_count; i++)
		if (facts->cpus[i].id == cpu)
			return facts->cpus[i].node;
	return AXHOST_NONE;
}

void axvm_find_homes(const struct axhost_facts *facts, const struct axplace_plan *plan,
		     uint32_t *ret_homes)
{
	for (size_t i = 0; i < facts->cpu_count; i++)
		ret_homes[i] = AXHOST_NONE;
	for (size_t n = 0; n < plan->memory_count; n++)
		set_home(facts, index_of(facts, plan->memory[n].node), (uint32_t)n, ret_homes);
	for (size_t v = 0; v < plan->vcpu_count; v++)
		set_home(facts, node_of(facts, plan->vcpus[v].cpu), plan->vcpus[v].guest_node,
			 ret_homes);
}

/* For each guest node what others leave near it. Under placement_lock once threads run. */
static void list_near(struct axvm *vm, const struct axledger_held *held)
{
	struct vm_sharing *sharing = &vm->placement.sharing;
	const struct axplace_plan *plan = vm->placement.plan;
	int *ids = sharing->near_ids;
	bool any_held;

	for (size_t n = 0; n < plan->memory_count; n++) {
		const size_t count = list(vm, held, false, (uint32_t)n, ids, &any_held);

		sharing->near[n] = (struct vm_cpus){ids, count};
		ids += count;
	}
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
	sharing->near_ids = calloc(vm->facts.cpu_count + 1, sizeof(*sharing->near_ids));
	sharing->homes = calloc(vm->facts.cpu_count + 1, sizeof(*sharing->homes));
	if (!sharing->cpus || !sharing->near_ids || !sharing->homes)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	sharing->count = list_free(vm, held, sharing->cpus, &any_held);
	if (!sharing->count && any_held)
		return no_cpu(vm, held, err);
	if (!any_held)
		sharing->count = 0;
	if (vm->placement.floats) {
		axvm_find_homes(&vm->facts, vm->placement.plan, sharing->homes);
		list_near(vm, held);
	}
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
static bool move(pid_t tid, struct vm_cpus cpus, bool *forbidden)
{
	if (!tid)
		return false;
	*forbidden |= ax_task_move(tid, cpus.ids, cpus.count) == -EINVAL;
	return true;
}

static void confine(void *loop)
{
	ax_loop_confine(loop);
}

/* Those of its node, or all there are: a list also where axvm_vcpu_cpus has none. */
static struct vm_cpus or_all(struct vm_cpus own, struct vm_cpus all)
{
	return own.count ? own : all;
}

static bool move_threads(struct axvm *vm, struct vm_cpus cpus)
{
	bool all = true, forbidden = false;

	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		all &= move(axvcpu_tid(vm->vcpus[i]), or_all(axvm_vcpu_cpus(vm, i), cpus),
			    &forbidden);
	for (unsigned i = vm->config->io.affinity.count; i < vm->io_count; i++) {
		all &= move(atomic_load(&vm->io_threads[i].tid), or_all(axvm_io_cpus(vm, i), cpus),
			    &forbidden);
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
	if (vm->placement.floats)
		list_near(vm, held);
	done = move_threads(vm, (struct vm_cpus){cpus, count});
	pthread_mutex_unlock(&vm->placement_lock);
	axvm_move_aside(vm, cpus, count);
	return done;
}
