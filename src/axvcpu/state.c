/*
 * The vCPU state machine: one table of legal moves, one function that writes the state.
 *
 * A cell names the state an operation leads to; an empty cell is an illegal move. What an
 * operation does, and on which thread, is decided by its callers.
 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* Marks a cell as filled, so that an empty one cannot be taken for INVALID (0). */
#define LEGAL     0x80
#define TO(state) (LEGAL | AXVCPU_##state)

static const char *const op_names[AXVCPU_OP_COUNT] = {
	[AXVCPU_OP_SETUP] = "setup",
	[AXVCPU_OP_BIND] = "bind",
	[AXVCPU_OP_UNBIND] = "unbind",
	[AXVCPU_OP_RUN] = "run",
	[AXVCPU_OP_LEAVE] = "leave",
	[AXVCPU_OP_PARK] = "park",
	[AXVCPU_OP_UNPARK] = "unpark",
	[AXVCPU_OP_FAIL] = "fail",
	[AXVCPU_OP_START] = "start",
	[AXVCPU_OP_PAUSE] = "pause",
	[AXVCPU_OP_RESUME] = "resume",
	[AXVCPU_OP_SET_ENTRY] = "set_entry",
	[AXVCPU_OP_SET_GPR] = "set_gpr",
	[AXVCPU_OP_GET_GPR] = "get_gpr",
	[AXVCPU_OP_SET_RETURN_VALUE] = "set_return_value",
	[AXVCPU_OP_INJECT] = "inject",
};

/* Registers can be touched wherever the vCPU stands between two runs. */
#define REGISTER_ROW                                                  \
	{                                                             \
		[AXVCPU_FREE] = TO(FREE), [AXVCPU_READY] = TO(READY), \
		[AXVCPU_BLOCKED] = TO(BLOCKED),                       \
	}
/* From the moment there can be a thread. */
#define THREAD_ROW                                                              \
	{                                                                       \
		[AXVCPU_FREE] = TO(FREE), [AXVCPU_READY] = TO(READY),           \
		[AXVCPU_RUNNING] = TO(RUNNING), [AXVCPU_BLOCKED] = TO(BLOCKED), \
	}

static const uint8_t moves[AXVCPU_OP_COUNT][AXVCPU_STATE_COUNT] = {
	[AXVCPU_OP_SETUP] = {[AXVCPU_CREATED] = TO(FREE)},
	[AXVCPU_OP_BIND] = {[AXVCPU_FREE] = TO(READY)},
	[AXVCPU_OP_UNBIND] = {[AXVCPU_READY] = TO(FREE)},
	[AXVCPU_OP_RUN] = {[AXVCPU_READY] = TO(RUNNING)},
	[AXVCPU_OP_LEAVE] = {[AXVCPU_RUNNING] = TO(READY)},
	[AXVCPU_OP_PARK] = {[AXVCPU_READY] = TO(BLOCKED)},
	[AXVCPU_OP_UNPARK] = {[AXVCPU_BLOCKED] = TO(READY)},
	[AXVCPU_OP_FAIL] =
		{
			[AXVCPU_INVALID] = TO(INVALID),
			[AXVCPU_CREATED] = TO(INVALID),
			[AXVCPU_FREE] = TO(INVALID),
			[AXVCPU_READY] = TO(INVALID),
			[AXVCPU_RUNNING] = TO(INVALID),
			[AXVCPU_BLOCKED] = TO(INVALID),
		},
	[AXVCPU_OP_START] = {[AXVCPU_FREE] = TO(FREE)},
	[AXVCPU_OP_PAUSE] = THREAD_ROW,
	[AXVCPU_OP_RESUME] = THREAD_ROW,
	[AXVCPU_OP_SET_ENTRY] = REGISTER_ROW,
	[AXVCPU_OP_SET_GPR] = REGISTER_ROW,
	[AXVCPU_OP_GET_GPR] = REGISTER_ROW,
	[AXVCPU_OP_SET_RETURN_VALUE] = REGISTER_ROW,
	[AXVCPU_OP_INJECT] = THREAD_ROW,
};

static const char *const state_names[AXVCPU_STATE_COUNT] = {
	[AXVCPU_INVALID] = "Invalid", [AXVCPU_CREATED] = "Created", [AXVCPU_FREE] = "Free",
	[AXVCPU_READY] = "Ready",     [AXVCPU_RUNNING] = "Running", [AXVCPU_BLOCKED] = "Blocked",
};

const char *axvcpu_state_name(enum axvcpu_state state)
{
	return (unsigned)state < AXVCPU_STATE_COUNT ? state_names[state] : "unknown";
}

static int refuse_move(const struct axvcpu *vcpu, enum axvcpu_op op, int state,
		       struct ax_error *err)
{
	char list[80] = "";
	size_t used = 0;

	if (!err)
		return -EBADFD;
	for (int from = 0; from < AXVCPU_STATE_COUNT; from++)
		if (moves[op][from])
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 used ? ", " : "", state_names[from]);
	ax_error_set(err, AX_ERROR_INVALID_STATE, EBADFD, "vCPU %u of VM %u: cannot %s in state %s",
		     vcpu->index, vcpu->vm_id, op_names[op], axvcpu_state_name(state));
	return ax_error_hint(err, "%s is possible in state %s", op_names[op], list);
}

int axvcpu_refuse(const struct axvcpu *vcpu, enum axvcpu_op op, const char *why,
		  struct ax_error *err)
{
	return ax_error_set(err, AX_ERROR_INVALID_STATE, EBADFD,
			    "vCPU %u of VM %u: cannot %s in state %s: %s", vcpu->index, vcpu->vm_id,
			    op_names[op], axvcpu_state_name(axvcpu_raw_state(vcpu)), why);
}

int axvcpu_check(const struct axvcpu *vcpu, enum axvcpu_op op, struct ax_error *err)
{
	enum axvcpu_state state = axvcpu_raw_state(vcpu);

	return moves[op][state] ? 0 : refuse_move(vcpu, op, state, err);
}

int axvcpu_move(struct axvcpu *vcpu, enum axvcpu_op op, struct ax_error *err)
{
	int from = atomic_load(&vcpu->state);
	uint8_t to;

	/* Sequentially consistent: a kick relies on the order of this store and its own flag. */
	do {
		to = moves[op][from];
		if (!to)
			return refuse_move(vcpu, op, from, err);
	} while (!atomic_compare_exchange_weak(&vcpu->state, &from, to & ~LEGAL));
	return 0;
}
