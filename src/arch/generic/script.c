/*
 * Scripts: what the next step of a vCPU comes to, and the record of how its exits were answered.
 * A step is over when its exit has been answered, not when it has been reported.
 */
#include "generic_priv.h"

#include <errno.h>
#include <string.h>

static void next_step(struct generic_vcpu *vcpu)
{
	vcpu->step++;
	vcpu->step_begun = false;
}

/* Halted until a vector was delivered that no halt has ended with yet. */
enum generic_turn generic_halt_turn(struct generic_vcpu *vcpu, bool *ret_over)
{
	*ret_over = vcpu->delivered_taken < vcpu->delivered_count;
	if (*ret_over) {
		vcpu->delivered_taken++;
		atomic_store(&vcpu->halted, false);
		return GENERIC_TURN_AGAIN;
	}
	/* Whoever sees it halted sees it counted. */
	if (!atomic_load(&vcpu->halted))
		atomic_fetch_add(&vcpu->halt_exits, 1);
	atomic_store(&vcpu->halted, true);
	return GENERIC_TURN_WAIT;
}

static enum generic_turn spin(struct generic_vcpu *vcpu, const struct generic_step *step)
{
	if (!vcpu->step_begun) {
		vcpu->step_begun = true;
		vcpu->was_kicked = false;
		vcpu->spin_kicks = 0;
	}
	if (vcpu->was_kicked) {
		vcpu->was_kicked = false;
		vcpu->spin_kicks++;
	}
	if (!step->count || vcpu->spin_kicks < step->count)
		return GENERIC_TURN_WAIT;
	next_step(vcpu);
	return GENERIC_TURN_AGAIN;
}

static enum generic_turn fail(const struct generic_vcpu *vcpu, const struct generic_step *step,
			      struct ax_error *err)
{
	ax_error_set(err, step->error_kind ? step->error_kind : AX_ERROR_VCPU_RUNTIME,
		     step->sys_errno ? step->sys_errno : EIO,
		     "step %zu of vCPU %u fails, as it was told to", vcpu->step, vcpu->index);
	return GENERIC_TURN_FAIL;
}

enum generic_turn generic_script_turn(struct generic_vcpu *vcpu, struct ax_error *err)
{
	if (vcpu->step >= vcpu->step_count) {
		atomic_store(&vcpu->halted, true);
		return GENERIC_TURN_WAIT;
	}
	const struct generic_step *step = &vcpu->steps[vcpu->step];
	enum generic_turn turn;
	bool over = false;

	switch (step->kind) {
	case GENERIC_STEP_EXIT:
		turn = generic_vcpu_leave(vcpu, &step->exit, step->value);
		if (turn == GENERIC_TURN_AGAIN) /* a doorbell: nobody will answer */
			next_step(vcpu);
		return turn;
	case GENERIC_STEP_PROGRAM:
		turn = generic_guest_turn(vcpu, step->program, step->ctx, &over, err);
		break;
	case GENERIC_STEP_HALT:
		turn = generic_halt_turn(vcpu, &over);
		break;
	case GENERIC_STEP_SPIN:
		return spin(vcpu, step);
	case GENERIC_STEP_FAIL:
		return fail(vcpu, step, err);
	case GENERIC_STEP_JUMP:
	default:
		vcpu->step = step->count;
		vcpu->step_begun = false;
		return GENERIC_TURN_AGAIN;
	}
	if (over)
		next_step(vcpu);
	return turn;
}

void generic_script_answered(struct generic_vcpu *vcpu, size_t byte_count)
{
	if (vcpu->step >= vcpu->step_count)
		return;
	struct generic_answer *answer = &vcpu->answers[vcpu->step];

	answer->count++;
	answer->value = vcpu->answer;
	answer->faulted = vcpu->answer_faulted;
	memcpy(answer->bytes, vcpu->data,
	       byte_count < sizeof(answer->bytes) ? byte_count : sizeof(answer->bytes));
	if (vcpu->steps[vcpu->step].kind == GENERIC_STEP_EXIT)
		next_step(vcpu);
}

bool generic_vm_answer(struct axarch_vm *vm, uint32_t index, size_t step,
		       struct generic_answer *ret_answer)
{
	if (index >= vm->vcpu_count)
		return false;
	struct generic_vcpu *vcpu = &vm->vcpus[index];
	pthread_mutex_lock(&vcpu->lock);
	bool found = step < vcpu->step_count;
	if (found)
		*ret_answer = vcpu->answers[step];
	pthread_mutex_unlock(&vcpu->lock);
	return found;
}
