/*
 * Where this VM runs: by a plan on CPUs of its own, on CPUs that it shares, or anywhere. Asks the
 * planner and decides between the three. The ledger is held.c's; who carries it out are the steps
 * of building: topology.c, memory.c, io.c and build.c ask here.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the decision ---------------------------------------------------------------------------- */

/* Somebody said how: then it is done so, or not at all. */
static bool is_must(const struct axcfg *config)
{
	return config->placement.mode == AXCFG_PLACEMENT_DEDICATED || config->cpus.affinity.count ||
	       config->placement.cores != AXCFG_CORES_AUTO || config->placement.spread ||
	       config->placement.whole_nodes || config->placement.overcommit ||
	       config->placement.max_nodes || config->placement.nodes.count ||
	       config->placement.keep_free.count || config->cpus.scheduler >= AXCFG_SCHEDULER_FIFO;
}

static bool has_vcpu(const struct axhost_facts *facts, const struct axplace_plan *plan,
		     uint32_t core)
{
	for (size_t i = 0; i < facts->cpu_count; i++) {
		if (!facts->cpus[i].online || facts->cpus[i].core != core)
			continue;
		for (size_t v = 0; v < plan->vcpu_count; v++)
			if (plan->vcpus[v].cpu == facts->cpus[i].id)
				return true;
	}
	return false;
}

/* Claims do not tell: of whole nodes they are all there is. */
bool axvm_has_spare_core(const struct axhost_facts *facts, const struct axplace_plan *plan)
{
	for (size_t i = 0; i < facts->cpu_count; i++)
		if (axvm_has_id(plan->housekeeping, plan->housekeeping_count, facts->cpus[i].id) &&
		    !has_vcpu(facts, plan, facts->cpus[i].core))
			return true;
	return false;
}

const char *axvm_plan_unused(const struct axcfg *config, const struct axhost_facts *facts,
			     const struct axplace_plan *plan)
{
	if (config->placement.mode == AXCFG_PLACEMENT_OFF)
		return "--placement off";
	if (config->placement.mode == AXCFG_PLACEMENT_SHARED)
		return "--placement shared";
	if (is_must(config))
		return NULL;
	/* The host's own threads, and those that do the guest's I/O, must be somewhere. */
	return axvm_has_spare_core(facts, plan) ? NULL
						: "no core would be left for I/O and the host";
}

/* Isolated CPUs are not shared where there are others (sharing.c): who shared those of a node that
 * has no others would run far from its memory. */
static bool has_shared_cpus(const struct axhost_facts *facts, const struct axplace_plan *plan)
{
	bool any = false, on_node[AXARCH_MAX_NODES] = {false};

	for (size_t i = 0; i < facts->cpu_count; i++) {
		const struct axhost_cpu *cpu = &facts->cpus[i];

		if (!cpu->online || !cpu->allowed || cpu->isolated)
			continue;
		any = true;
		for (size_t v = 0; v < plan->vcpu_count; v++)
			if (plan->vcpus[v].cpu == cpu->id)
				on_node[plan->vcpus[v].guest_node] = true;
	}
	for (size_t v = 0; v < plan->vcpu_count; v++)
		if (any && !on_node[plan->vcpus[v].guest_node])
			return false;
	return true;
}

bool axvm_plan_floats(const struct axcfg *config, const struct axhost_facts *facts,
		      const struct axplace_plan *plan)
{
	return config->placement.mode == AXCFG_PLACEMENT_AUTO &&
	       axvm_plan_unused(config, facts, plan) && axvm_plan_binds(config, facts, plan) &&
	       has_shared_cpus(facts, plan);
}

bool axvm_shares_instead(const struct axcfg *config, const struct ax_error *why)
{
	return config->placement.mode == AXCFG_PLACEMENT_AUTO && !is_must(config) &&
	       why->kind == AX_ERROR_CONFIGURATION && why->sys_errno != EINVAL;
}

/* ---- carrying it out ------------------------------------------------------------------------- */

static void tell(const struct axvm *vm, const struct vm_held *held, const char *why)
{
	const char *where = vm->placement.floats ? "CPUs of its nodes" : "CPUs";
	static const char ours[] = "placement: ";

	/* The planner's messages begin as those of the log. */
	if (!strncmp(why, ours, strlen(ours)))
		why += strlen(ours);
	/* Of a small host nobody is to be told at every start. */
	ax_log(held->held.vm_count ? AX_LOG_WARN : AX_LOG_INFO, "placement",
	       "%s shares %s: %s; `axvm plan` tells more", vm->config->name, where, why);
}

/* The memory of a VM without a must is no reason to refuse it. */
static bool may_bind(const struct axvm *vm)
{
	if (is_must(vm->config) || axas_can_bind())
		return true;
	ax_log(AX_LOG_WARN, "placement",
	       "%s's memory is left to the kernel: a system call filter forbids mbind (containers "
	       "allow it with CAP_SYS_NICE)",
	       vm->config->name);
	return false;
}

/* Without a claim it is a question only. */
static int decide(struct axvm *vm, struct vm_held *held, bool claim, struct ax_error *err)
{
	const struct axcfg *config = vm->config;
	struct vm_placement *place = &vm->placement;
	struct axplace_plan *plan = NULL;
	struct ax_error why = {0};
	const char *unused;
	int rc = 0;

	if (config->placement.mode == AXCFG_PLACEMENT_SHARED)
		return axvm_share(vm, &held->held, err);
	rc = axvm_plan(config, &vm->facts, &held->as_request, &plan, &why);
	if (rc && !axvm_shares_instead(config, &why)) {
		if (err)
			*err = why;
		return rc;
	}
	unused = rc ? why.message : axvm_plan_unused(config, &vm->facts, plan);
	place->bind = !rc && (!unused || axvm_plan_floats(config, &vm->facts, plan)) &&
		      axvm_plan_binds(config, &vm->facts, plan) && may_bind(vm);
	place->floats = unused && place->bind;
	if (!unused || place->floats)
		place->plan = plan;
	else
		axplace_free(plan);
	if (unused) {
		tell(vm, held, unused);
		rc = axvm_share(vm, &held->held, err);
	}
	return !rc && place->plan && claim ? axvm_claim(vm, held, err) : rc;
}

/* Without a plan a list is just what it says. */
static int pin(struct axvm *vm, struct ax_error *err)
{
	const struct axcfg_uint_list *list = &vm->config->cpus.affinity;

	vm->placement.pins = calloc(list->count + 1, sizeof(*vm->placement.pins));
	if (!vm->placement.pins)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	for (size_t i = 0; i < list->count; i++)
		vm->placement.pins[i] = (int)list->values[i];
	return 0;
}

/* The scheduler balances nothing between isolated CPUs, and whoever isolates them has VMs in mind
 * that have them to themselves. */
bool axvm_is_for_all(const struct axvm *vm, const struct axhost_cpu *cpu)
{
	return cpu->online && cpu->allowed && !(cpu->isolated && vm->placement.spare_isolated);
}

static void read_host(struct axvm *vm)
{
	axhost_read("", &vm->facts);
	for (size_t i = 0; i < vm->facts.cpu_count; i++) {
		const struct axhost_cpu *cpu = &vm->facts.cpus[i];

		vm->placement.spare_isolated |= cpu->online && cpu->allowed && !cpu->isolated;
	}
}

static int place(struct axvm *vm, bool claim, struct ax_error *err)
{
	const struct axcfg_uint_list *io = &vm->config->io.affinity;
	struct vm_held held = {0};
	int rc;

	vm->placement.watch_fd = vm->placement.aside_fd = -1;
	for (size_t i = 0; i < io->count; i++)
		vm->placement.io_pins[i] = (int)io->values[i];
	if (vm->config->placement.mode == AXCFG_PLACEMENT_OFF) {
		read_host(vm);
		rc = axprof_select(vm->config->profile, &vm->facts, &vm->profile, err);
		return rc ? rc : pin(vm, err);
	}
	/* Under the planning lock, so that free memory is what others have left. */
	rc = axvm_open_held(vm->options.ledger, vm->options.claim, &held, err);
	vm->options.claim = NULL;
	read_host(vm);
	if (!rc)
		rc = axprof_select(vm->config->profile, &vm->facts, &vm->profile, err);
	if (!rc)
		rc = decide(vm, &held, claim, err);
	if (!rc && claim && held.ledger)
		axvm_watch_claims(vm, held.ledger);
	axvm_close_held(&held);
	return rc;
}

int axvm_place(struct axvm *vm, struct ax_error *err)
{
	return place(vm, true, err);
}

int axvm_check_placement(const struct axcfg *config, const char *ledger, struct ax_error *err)
{
	struct axvm *vm = calloc(1, sizeof(*vm));
	int rc;

	if (!vm)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	vm->config = config;
	vm->options.ledger = ledger;
	rc = place(vm, false, err);
	axvm_unplace(vm);
	free(vm);
	return rc;
}

struct axledger_claim *axvm_take_claim(struct axvm *vm)
{
	struct axledger_claim *claim = vm->placement.claim;

	vm->placement.claim = NULL;
	/* What the VM gives back now is not for others: who takes its place will want it. */
	if (claim)
		axledger_promise(claim);
	return claim;
}

void axvm_unplace(struct axvm *vm)
{
	axledger_release(vm->options.claim);
	vm->options.claim = NULL;
	axledger_release(vm->placement.claim);
	axplace_free(vm->placement.plan);
	free(vm->placement.sharing.cpus);
	free(vm->placement.sharing.near_ids);
	free(vm->placement.sharing.homes);
	free(vm->placement.pins);
	free(vm->placement.directory);
	free(vm->placement.aside);
	if (vm->placement.watch_fd >= 0)
		close(vm->placement.watch_fd);
	if (vm->placement.aside_fd >= 0)
		close(vm->placement.aside_fd);
	axhost_free(&vm->facts);
	vm->placement = (struct vm_placement){.watch_fd = -1, .aside_fd = -1};
}

/* ---- what the steps of building ask ---------------------------------------------------------- */

const struct axplace_plan *axvm_placement(const struct axvm *vm)
{
	return vm->placement.plan;
}

bool axvm_is_alone(const struct axvm *vm)
{
	const struct axplace_plan *plan = vm->placement.plan;

	return plan && !vm->placement.floats && plan->dedicated &&
	       axvm_has_spare_core(&vm->facts, plan);
}

static struct vm_cpus shared_cpus(const struct axvm *vm, uint32_t guest_node)
{
	const struct vm_sharing *sharing = &vm->placement.sharing;

	if (vm->placement.floats && sharing->near[guest_node].count)
		return sharing->near[guest_node];
	return (struct vm_cpus){sharing->cpus, sharing->count};
}

struct vm_cpus axvm_vcpu_cpus(const struct axvm *vm, uint32_t index)
{
	const struct vm_placement *place = &vm->placement;

	if (place->floats)
		return shared_cpus(vm, place->plan->vcpus[index].guest_node);
	/* CPU numbers are small: the same object as an int. */
	if (place->plan)
		return (struct vm_cpus){(const int *)&place->plan->vcpus[index].cpu, 1};
	if (index < vm->config->cpus.affinity.count)
		return (struct vm_cpus){&place->pins[index], 1};
	return (struct vm_cpus){place->sharing.cpus, place->sharing.count};
}

struct vm_cpus axvm_io_cpus(const struct axvm *vm, unsigned index)
{
	const struct vm_placement *place = &vm->placement;

	if (index < vm->config->io.affinity.count)
		return (struct vm_cpus){&place->io_pins[index], 1};
	if (place->floats && index < place->plan->io_count)
		return shared_cpus(vm, place->plan->io[index].guest_node);
	if (place->plan && index < place->plan->io_count)
		return (struct vm_cpus){(const int *)place->plan->io[index].cpus,
					place->plan->io[index].cpu_count};
	return (struct vm_cpus){place->sharing.cpus, place->sharing.count};
}
