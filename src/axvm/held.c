/*
 * What the VMs of this host hold, as the planner wants it, and this VM's own entry among them. The
 * ledger itself is host's; who may share with whom is placement.c's concern.
 */
#include "vm_private.h"

#include <errno.h>
#include <stdlib.h>

bool axvm_has_id(const uint32_t *ids, size_t count, uint32_t id)
{
	while (count-- > 0)
		if (ids[count] == id)
			return true;
	return false;
}

void axvm_close_held(struct vm_held *h)
{
	axledger_close(h->ledger);
	axledger_held_free(&h->held);
	free(h->memory);
}

/* From here to close_held nobody else plans. A ledger that cannot be used is no reason not to run:
 * it only means that nobody sees the other. One that is busy for so long, or broken, is. */
int axvm_open_held(const char *directory, struct axledger_claim *given_up, struct vm_held *ret,
		   struct ax_error *err)
{
	struct ax_error why = {0};
	int rc = axledger_open(directory, AXLEDGER_WAIT_MS, &ret->ledger, &why);

	axledger_release(given_up);
	if (rc && !directory && why.kind == AX_ERROR_CONFIGURATION) {
		ax_log(AX_LOG_WARN, "placement", "VMs of this host do not see each other: %s",
		       why.message);
		return 0;
	}
	if (!rc)
		rc = axledger_held(ret->ledger, &ret->held, &why);
	if (rc) {
		if (err)
			*err = why;
		return rc;
	}
	if (axledger_warning(ret->ledger))
		ax_log(AX_LOG_INFO, "placement", "%s", axledger_warning(ret->ledger));
	if (ret->held.ignored_count)
		ax_log(AX_LOG_WARN, "placement", "%zu entries of %s are left out: %s",
		       ret->held.ignored_count, axledger_directory(ret->ledger), ret->held.ignored);
	ret->memory = calloc(ret->held.memory_count + 1, sizeof(*ret->memory));
	if (!ret->memory)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	for (size_t i = 0; i < ret->held.memory_count; i++)
		ret->memory[i] = (struct axplace_held_memory){
			.node = ret->held.memory[i].node,
			.page_size_bytes = ret->held.memory[i].page_size_bytes,
			.bytes = ret->held.memory[i].bytes,
		};
	ret->as_request = (struct axplace_held){
		.cpus = ret->held.cpus,
		.holders = ret->held.holders,
		.cpu_count = ret->held.cpu_count,
		.memory = ret->memory,
		.memory_count = ret->held.memory_count,
	};
	return 0;
}

int axvm_plan_here(const struct axcfg *config, const struct axhost_facts *facts, const char *ledger,
		   struct axplace_plan **ret_plan, struct ax_error *err)
{
	struct vm_held held = {0};
	int rc = axvm_open_held(ledger, NULL, &held, err);

	if (!rc)
		rc = axvm_plan(config, facts, &held.as_request, ret_plan, err);
	axvm_close_held(&held);
	return rc;
}

int axvm_claim(struct axvm *vm, struct vm_held *held, struct ax_error *err)
{
	const struct axplace_plan *plan = vm->placement.plan;
	AX_AUTO_FREE struct axledger_memory *memory = calloc(plan->memory_count, sizeof(*memory));
	struct axledger_request request = {
		.name = vm->config->name,
		.cpus = vm->placement.floats ? NULL : plan->claims,
		.cpu_count = vm->placement.floats ? 0 : plan->claim_count,
		.memory = memory,
		.memory_count = plan->memory_count,
	};

	if (!held->ledger)
		return 0;
	if (!memory)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "out of memory for a plan");
	for (size_t i = 0; i < plan->memory_count; i++)
		memory[i] = (struct axledger_memory){
			.node = plan->memory[i].node,
			.page_size_bytes = axas_page_size(plan->memory[i].backing),
			.bytes = plan->memory[i].size_bytes,
		};
	return axledger_claim(held->ledger, &request, &vm->placement.claim, err);
}
