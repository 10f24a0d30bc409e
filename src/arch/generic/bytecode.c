/*
 * The byte code of flat images: one instruction a turn, fetched from guest memory through the
 * slots. The encoding is written down in generic.h.
 */
#include "generic_priv.h"

#include <string.h>

/* Fetches operands one after the other; `ok` is false once memory has ended. */
struct fetch {
	struct generic_vcpu *vcpu;
	uint64_t pc;
	bool ok;
};

static uint64_t take(struct fetch *fetch, size_t len)
{
	uint64_t value = 0;

	if (fetch->ok)
		fetch->ok = generic_vm_read(fetch->vcpu->vm, fetch->pc, &value, len);
	fetch->pc += len;
	return value;
}

static unsigned take_gpr(struct fetch *fetch)
{
	unsigned index = (unsigned)take(fetch, 1);

	if (index < GENERIC_GPR_COUNT)
		return index;
	fetch->ok = false;
	return 0;
}

static uint8_t take_width(struct fetch *fetch, uint8_t most)
{
	uint8_t width = (uint8_t)take(fetch, 1);

	if (!ax_is_power_of_two(width) || width > most)
		fetch->ok = false;
	return fetch->ok ? width : 1;
}

static enum generic_turn undefined(struct generic_vcpu *vcpu, uint8_t opcode)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_INTERNAL_ERROR};

	exit.failure.reason = opcode;
	exit.failure.detail[0] = vcpu->pc;
	return generic_vcpu_leave(vcpu, &exit, 0);
}

static enum generic_turn system_down(struct generic_vcpu *vcpu, enum axvcpu_system_event event)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_SYSTEM_DOWN};

	exit.system.event = event;
	return generic_vcpu_leave(vcpu, &exit, 0);
}

static enum generic_turn port_access(struct fetch *fetch, bool is_write)
{
	struct axvcpu_exit exit = {.kind = is_write ? AXVCPU_EXIT_IO_WRITE : AXVCPU_EXIT_IO_READ};

	exit.io.width = take_width(fetch, 4);
	exit.io.port = (uint16_t)take(fetch, 2);
	exit.io.count = 1;
	unsigned gpr = take_gpr(fetch);
	if (!fetch->ok)
		return GENERIC_TURN_FAIL;
	if (!is_write)
		fetch->vcpu->answer_gpr = gpr;
	return generic_vcpu_leave(fetch->vcpu, &exit, fetch->vcpu->gpr[gpr]);
}

static enum generic_turn memory_access(struct fetch *fetch, bool is_write)
{
	struct generic_vcpu *vcpu = fetch->vcpu;
	struct axvcpu_exit exit = {.kind = is_write ? AXVCPU_EXIT_MMIO_WRITE
						    : AXVCPU_EXIT_MMIO_READ};

	exit.mmio.width = take_width(fetch, 8);
	exit.mmio.gpa = take(fetch, 8);
	unsigned gpr = take_gpr(fetch);
	if (!fetch->ok)
		return GENERIC_TURN_FAIL;
	if (is_write ? generic_vm_store(vcpu->vm, exit.mmio.gpa, exit.mmio.width, vcpu->gpr[gpr])
		     : generic_vm_load(vcpu->vm, exit.mmio.gpa, exit.mmio.width, &vcpu->gpr[gpr]))
		return GENERIC_TURN_AGAIN;
	if (!is_write)
		vcpu->answer_gpr = gpr;
	return generic_vcpu_leave(vcpu, &exit, vcpu->gpr[gpr]);
}

static enum generic_turn sysreg_access(struct fetch *fetch, bool is_write)
{
	struct generic_vcpu *vcpu = fetch->vcpu;
	struct axvcpu_exit exit = {.kind = is_write ? AXVCPU_EXIT_SYSREG_WRITE
						    : AXVCPU_EXIT_SYSREG_READ};

	unsigned gpr = take_gpr(fetch);
	exit.sysreg.reg = take(fetch, 4);
	if (!fetch->ok)
		return GENERIC_TURN_FAIL;
	if (is_write)
		exit.sysreg.value = vcpu->gpr[gpr];
	else
		vcpu->answer_gpr = gpr;
	return generic_vcpu_leave(vcpu, &exit, 0);
}

/* All bytes in one string access, as OUTSB with a count. */
static enum generic_turn say(struct fetch *fetch)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_IO_WRITE};
	char text[255];
	size_t len = (size_t)take(fetch, 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)take(fetch, 1);
	if (!fetch->ok)
		return GENERIC_TURN_FAIL;
	if (!len)
		return GENERIC_TURN_AGAIN;
	exit.io.port = GENERIC_SERIAL_PORT;
	exit.io.width = 1;
	exit.io.count = (uint32_t)len;
	exit.io.data = text;
	return generic_vcpu_leave(fetch->vcpu, &exit, 0);
}

static enum generic_turn hypercall(struct generic_vcpu *vcpu)
{
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_HYPERCALL};

	exit.hypercall.nr = vcpu->gpr[0];
	for (size_t i = 0; i < 6; i++)
		exit.hypercall.args[i] = vcpu->gpr[1 + i];
	vcpu->answer_gpr = 0;
	return generic_vcpu_leave(vcpu, &exit, 0);
}

static enum generic_turn branch(struct fetch *fetch, bool conditional)
{
	bool taken = !conditional || fetch->vcpu->gpr[take_gpr(fetch)] != 0;
	int16_t distance = (int16_t)take(fetch, 2);

	if (!fetch->ok)
		return GENERIC_TURN_FAIL;
	if (taken)
		fetch->pc += (uint64_t)(int64_t)distance;
	return GENERIC_TURN_AGAIN;
}

static enum generic_turn arithmetic(struct fetch *fetch, bool add)
{
	unsigned gpr = take_gpr(fetch);
	uint64_t value = take(fetch, 8);

	if (!fetch->ok)
		return GENERIC_TURN_FAIL;
	fetch->vcpu->gpr[gpr] = value + (add ? fetch->vcpu->gpr[gpr] : 0);
	return GENERIC_TURN_AGAIN;
}

/* FAIL: not an instruction. Waiting leaves the program counter where it is. */
static enum generic_turn execute(struct fetch *fetch, uint8_t opcode)
{
	struct generic_vcpu *vcpu = fetch->vcpu;
	struct axvcpu_exit exit = {.kind = AXVCPU_EXIT_CPU_DOWN};
	bool over;

	switch (opcode) {
	case GENERIC_OP_NOP:
		return GENERIC_TURN_AGAIN;
	case GENERIC_OP_MOV:
	case GENERIC_OP_ADD:
		return arithmetic(fetch, opcode == GENERIC_OP_ADD);
	case GENERIC_OP_JMP:
	case GENERIC_OP_JNZ:
		return branch(fetch, opcode == GENERIC_OP_JNZ);
	case GENERIC_OP_OUT:
	case GENERIC_OP_IN:
		return port_access(fetch, opcode == GENERIC_OP_OUT);
	case GENERIC_OP_STORE:
	case GENERIC_OP_LOAD:
		return memory_access(fetch, opcode == GENERIC_OP_STORE);
	case GENERIC_OP_SAY:
		return say(fetch);
	case GENERIC_OP_HCALL:
		return hypercall(vcpu);
	case GENERIC_OP_RDSR:
	case GENERIC_OP_WRSR:
		return sysreg_access(fetch, opcode == GENERIC_OP_WRSR);
	case GENERIC_OP_HALT:
		return generic_halt_turn(vcpu, &over);
	case GENERIC_OP_SPIN:
		return GENERIC_TURN_WAIT;
	case GENERIC_OP_OFF:
		return system_down(vcpu, AXVCPU_SYSTEM_POWEROFF);
	case GENERIC_OP_RESET:
		return system_down(vcpu, AXVCPU_SYSTEM_RESET);
	case GENERIC_OP_CRASH:
		return system_down(vcpu, AXVCPU_SYSTEM_CRASH);
	case GENERIC_OP_DOWN:
		vcpu->is_down = true;
		return generic_vcpu_leave(vcpu, &exit, 0);
	default:
		return GENERIC_TURN_FAIL;
	}
}

enum generic_turn generic_code_turn(struct generic_vcpu *vcpu)
{
	struct fetch fetch = {.vcpu = vcpu, .pc = vcpu->pc, .ok = true};

	if (vcpu->is_down) {
		atomic_store(&vcpu->halted, true);
		return GENERIC_TURN_WAIT;
	}
	if (vcpu->answer_faulted) { /* nobody handles faults here */
		vcpu->answer_faulted = false;
		vcpu->is_down = true;
		return system_down(vcpu, AXVCPU_SYSTEM_TRIPLE_FAULT);
	}
	uint8_t opcode = (uint8_t)take(&fetch, 1);
	enum generic_turn turn = fetch.ok ? execute(&fetch, opcode) : GENERIC_TURN_FAIL;
	if (turn == GENERIC_TURN_FAIL)
		return undefined(vcpu, opcode);
	if (turn == GENERIC_TURN_AGAIN || turn == GENERIC_TURN_EXIT)
		vcpu->pc = fetch.pc;
	return turn;
}
