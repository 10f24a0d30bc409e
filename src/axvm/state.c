/*
 * The VM's state machine as a table, and the names that other systems use for the same states.
 * axvm_move is the only writer; readers take an atomic snapshot.
 */
#include "vm_private.h"

#include <errno.h>

#define MOVE(state) ((state) + 1) /* 0 is an illegal move */

static const uint8_t moves[VM_OP_COUNT][AXVM_STATE_COUNT] = {
	[VM_OP_LOADED] = {[AXVM_LOADING] = MOVE(AXVM_LOADED)},
	[VM_OP_START] = {[AXVM_LOADED] = MOVE(AXVM_RUNNING)},
	[VM_OP_PAUSE] = {[AXVM_RUNNING] = MOVE(AXVM_SUSPENDING)},
	[VM_OP_PAUSED] = {[AXVM_SUSPENDING] = MOVE(AXVM_SUSPENDED)},
	[VM_OP_RESUME] = {[AXVM_SUSPENDED] = MOVE(AXVM_RUNNING)},
	[VM_OP_STOP] =
		{
			[AXVM_LOADED] = MOVE(AXVM_STOPPING),
			[AXVM_RUNNING] = MOVE(AXVM_STOPPING),
			[AXVM_SUSPENDING] = MOVE(AXVM_STOPPING),
			[AXVM_SUSPENDED] = MOVE(AXVM_STOPPING),
		},
	[VM_OP_STOPPED] = {[AXVM_STOPPING] = MOVE(AXVM_STOPPED)},
	[VM_OP_FAIL] =
		{
			[AXVM_LOADING] = MOVE(AXVM_FAILED),
			[AXVM_LOADED] = MOVE(AXVM_FAILED),
			[AXVM_RUNNING] = MOVE(AXVM_FAILED),
			[AXVM_SUSPENDING] = MOVE(AXVM_FAILED),
			[AXVM_SUSPENDED] = MOVE(AXVM_FAILED),
			[AXVM_STOPPING] = MOVE(AXVM_FAILED),
		},
};

static const char *const operation_names[VM_OP_COUNT] = {
	[VM_OP_LOADED] = "load",
	[VM_OP_START] = "start",
	[VM_OP_PAUSE] = "pause",
	[VM_OP_PAUSED] = "finish pausing",
	[VM_OP_RESUME] = "resume",
	[VM_OP_STOP] = "stop",
	[VM_OP_STOPPED] = "finish stopping",
	[VM_OP_FAIL] = "fail",
};

/*
 * Columns: ours; the first AxVM (0.3); axvisor; its refactoring plan; the AxHV control plane.
 * Where another system has no such state, the nearest one a user of it would see stands there.
 */
static const char *const names[AXVM_STATE_COUNT][AXVM_NAMING_COUNT] = {
	[AXVM_LOADING] = {"Loading", "Created", "Loading", "Uninit", "STOPPED"},
	[AXVM_LOADED] = {"Loaded", "Initialized", "Loaded", "Inited", "STOPPED"},
	[AXVM_RUNNING] = {"Running", "Running", "Running", "Running", "RUNNING"},
	[AXVM_SUSPENDING] = {"Suspending", "Running", "Running", "Switching", "RUNNING"},
	[AXVM_SUSPENDED] = {"Suspended", "Paused", "Suspended", "Running", "PAUSED"},
	[AXVM_STOPPING] = {"Stopping", "Running", "Stopping", "Stopping", "RUNNING"},
	[AXVM_STOPPED] = {"Stopped", "Stopped", "Stopped", "Stopped", "STOPPED"},
	[AXVM_FAILED] = {"Failed", "Failed", "Stopped", "Stopped", "STOPPED"},
};

const char *axvm_state_name(enum axvm_state state, enum axvm_naming naming)
{
	if ((unsigned)state >= AXVM_STATE_COUNT || (unsigned)naming >= AXVM_NAMING_COUNT)
		return "?";
	return names[state][naming];
}

enum axvm_state axvm_state(const struct axvm *vm)
{
	return (enum axvm_state)atomic_load_explicit(&vm->state, memory_order_acquire);
}

int axvm_move(struct axvm *vm, enum vm_operation operation, struct ax_error *err)
{
	int from = atomic_load_explicit(&vm->state, memory_order_acquire);

	for (;;) {
		uint8_t to = moves[operation][from];

		if (!to)
			return ax_error_set(err, AX_ERROR_INVALID_STATE, EBADFD,
					    "cannot %s a VM that is %s", operation_names[operation],
					    names[from][AXVM_NAMING_AXVM]);
		if (atomic_compare_exchange_weak_explicit(
			    &vm->state, &from, to - 1, memory_order_acq_rel, memory_order_acquire))
			return 0;
	}
}
