/*
 * Exits that only riscv64 has: SBI calls and accesses to CSRs that KVM does not serve itself, and
 * how their answers get back into the guest. What a call means is sbi.c's.
 */
#include "kvm_riscv64.h"

#include <errno.h>

#define WRITE_CHUNK 256u /* of what one call may write to the console */

#define CAUSE_ILLEGAL 2u
#define SSTATUS_SIE   (1ULL << 1)
#define SSTATUS_SPIE  (1ULL << 5)
#define SSTATUS_SPP   (1ULL << 8)
#define STVEC_MODE    3ULL

/* ---- SBI calls ------------------------------------------------------------------------------- */

/* The guest gets back how much was taken and comes again with the rest. */
static void write_console(const struct rv64_vcpu *vcpu, struct rv64_sbi_result *result)
{
	uint8_t bytes[WRITE_CHUNK];
	const size_t count = result->bytes < sizeof(bytes) ? (size_t)result->bytes : sizeof(bytes);

	if (axas_read(vcpu->vm->memory, result->gpa, bytes, count) < 0) {
		result->a0 = (uint64_t)RV64_SBI_INVALID_PARAM;
		return;
	}
	result->a1 = axchr_send(vcpu->vm->console, bytes, count);
}

static void decode_sbi(struct rv64_vcpu *vcpu, struct kvm_run *run, struct axvcpu_exit *exit)
{
	struct rv64_sbi_call call = {
		.extension = run->riscv_sbi.extension_id,
		.function = run->riscv_sbi.function_id,
	};
	struct rv64_sbi_result result;

	for (size_t i = 0; i < AX_ARRAY_LEN(call.args); i++)
		call.args[i] = run->riscv_sbi.args[i];
	rv64_sbi_decode(&call, vcpu->vm->console != NULL, &result);
	exit->kind = AXVCPU_EXIT_NOTHING;
	switch (result.kind) {
	case RV64_SBI_HYPERCALL:
		exit->kind = AXVCPU_EXIT_HYPERCALL;
		exit->hypercall.nr = call.function;
		for (size_t i = 0; i < AX_ARRAY_LEN(call.args); i++)
			exit->hypercall.args[i] = call.args[i];
		exit->hypercall.ret = 0;
		vcpu->answer = exit;
		return;
	case RV64_SBI_PUT:
		axchr_send(vcpu->vm->console, &result.byte, 1);
		break;
	case RV64_SBI_WRITE:
		write_console(vcpu, &result);
		break;
	case RV64_SBI_ANSWER:
		break;
	}
	run->riscv_sbi.ret[0] = result.a0;
	run->riscv_sbi.ret[1] = result.a1;
}

/* ---- CSRs ------------------------------------------------------------------------------------ */

/* Until the handler says otherwise the access faults: the register is nobody's. */
static void decode_csr(struct rv64_vcpu *vcpu, const struct kvm_run *run, struct axvcpu_exit *exit)
{
	exit->kind = AXVCPU_EXIT_SYSREG_READ;
	exit->sysreg.reg = run->riscv_csr.csr_num;
	exit->sysreg.value = 0;
	exit->sysreg.inject_fault = true;
	vcpu->answer = exit;
	vcpu->csr_step = RV64_CSR_READ;
}

/* As the hart would: an illegal instruction, with stval left at 0 as is allowed. */
static int refuse_csr(struct rv64_vcpu *vcpu, struct ax_error *err)
{
	struct kvm_run *run = axkvm_vcpu_run_page(vcpu->kvm);
	uint64_t pc = 0, sstatus = 0, stvec = 0, mode = 0;
	int ret = rv64_get_reg(vcpu, RV64_REG_CORE(RV64_CORE_PC), &pc, err);

	if (ret == 0)
		ret = rv64_get_reg(vcpu, RV64_REG_CORE(RV64_CORE_MODE), &mode, err);
	if (ret == 0)
		ret = rv64_get_reg(vcpu, RV64_REG_CSR(RV64_CSR_SSTATUS), &sstatus, err);
	if (ret == 0)
		ret = rv64_get_reg(vcpu, RV64_REG_CSR(RV64_CSR_STVEC), &stvec, err);
	if (ret < 0)
		return ret;
	const uint64_t trapped = (sstatus & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)) |
				 (sstatus & SSTATUS_SIE ? SSTATUS_SPIE : 0) |
				 (mode ? SSTATUS_SPP : 0);
	const struct {
		uint64_t id, value;
	} writes[] = {
		{RV64_REG_CSR(RV64_CSR_SEPC), pc},
		{RV64_REG_CSR(RV64_CSR_SCAUSE), CAUSE_ILLEGAL},
		{RV64_REG_CSR(RV64_CSR_STVAL), 0},
		{RV64_REG_CSR(RV64_CSR_SSTATUS), trapped},
		{RV64_REG_CORE(RV64_CORE_MODE), 1},
		{RV64_REG_CORE(RV64_CORE_PC), stvec & ~STVEC_MODE},
	};
	for (size_t i = 0; ret == 0 && i < AX_ARRAY_LEN(writes); i++)
		ret = rv64_set_reg(vcpu, writes[i].id, writes[i].value, err);
	/* So that KVM does not complete the instruction, which would go on behind it. */
	run->exit_reason = KVM_EXIT_UNKNOWN;
	return ret;
}

static int settle_csr(struct rv64_vcpu *vcpu, const struct axvcpu_exit *answer,
		      struct ax_error *err)
{
	struct kvm_run *run = axkvm_vcpu_run_page(vcpu->kvm);
	const bool was_read = vcpu->csr_step == RV64_CSR_READ;

	vcpu->csr_step = RV64_CSR_IDLE;
	if (answer->sysreg.inject_fault)
		return refuse_csr(vcpu, err);
	if (was_read)
		vcpu->csr_old = answer->sysreg.value;
	run->riscv_csr.ret_value = vcpu->csr_old;
	if (was_read && run->riscv_csr.write_mask)
		vcpu->csr_step = RV64_CSR_WRITE_DUE;
	return 0;
}

bool rv64_second_half(struct rv64_vcpu *vcpu, struct axvcpu_exit *exit)
{
	const struct kvm_run *run = axkvm_vcpu_run_page(vcpu->kvm);
	const uint64_t mask = run->riscv_csr.write_mask;

	if (vcpu->csr_step != RV64_CSR_WRITE_DUE)
		return false;
	vcpu->csr_step = RV64_CSR_WRITE;
	exit->kind = AXVCPU_EXIT_SYSREG_WRITE;
	exit->sysreg.reg = run->riscv_csr.csr_num;
	exit->sysreg.value = (vcpu->csr_old & ~mask) | (run->riscv_csr.new_value & mask);
	exit->sysreg.inject_fault = true;
	vcpu->answer = exit;
	return true;
}

/* ---- both ------------------------------------------------------------------------------------ */

bool rv64_decode(void *ctx, void *kvm_run, struct axvcpu_exit *exit)
{
	struct kvm_run *run = kvm_run;

	switch (run->exit_reason) {
	case KVM_EXIT_RISCV_SBI:
		decode_sbi(ctx, run, exit);
		return true;
	case KVM_EXIT_RISCV_CSR:
		decode_csr(ctx, run, exit);
		return true;
	default:
		return false;
	}
}

int rv64_settle(struct rv64_vcpu *vcpu, struct ax_error *err)
{
	struct kvm_run *run = axkvm_vcpu_run_page(vcpu->kvm);
	const struct axvcpu_exit *answer = vcpu->answer;
	uint64_t a0, a1;

	if (!answer)
		return 0;
	vcpu->answer = NULL;
	if (vcpu->csr_step != RV64_CSR_IDLE)
		return settle_csr(vcpu, answer, err);
	rv64_sbi_hypercall_answer(answer->hypercall.ret, &a0, &a1);
	run->riscv_sbi.ret[0] = a0;
	run->riscv_sbi.ret[1] = a1;
	return 0;
}
