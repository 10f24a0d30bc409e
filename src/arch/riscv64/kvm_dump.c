/*
 * A vCPU's registers as text, for the report of a failure: general ones, those of traps and of
 * translation, whether it is started, and the code at pc while nothing is translated.
 */
#include "kvm_riscv64.h"

#include <inttypes.h>

/* Instructions begin at halfwords. */
static void put_code(struct axarch_text *text, const struct rv64_vcpu *vcpu, uint64_t pc)
{
	uint16_t half;

	axarch_put(text, "code at %016" PRIx64 ":", pc);
	for (unsigned i = 0; i < 12; i++) {
		if (!vcpu->vm->memory || axas_read_u16(vcpu->vm->memory, pc + 2 * i, &half) < 0) {
			axarch_put(text, " ..");
			break;
		}
		axarch_put(text, " %04x", half);
	}
	axarch_put(text, "\n");
}

void rv64_vcpu_dump(void *impl, char *buf, size_t buf_size)
{
	static const char *const core[] = {
		"pc", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
		"a1", "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
		"s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
	};
	static const char *const csrs[RV64_CSR_COUNT] = {
		"sstatus", "sie", "stvec", "sscratch", "sepc", "scause", "stval", "sip", "satp",
	};
	const struct rv64_vcpu *vcpu = impl;
	struct axarch_text text = {.buf = buf, .size = buf_size};
	uint64_t x[AX_ARRAY_LEN(core)], csr[RV64_CSR_COUNT], mode = 0;
	bool online = true;
	int ret = 0;

	if (!buf_size)
		return;
	buf[0] = '\0';
	for (size_t i = 0; ret == 0 && i < AX_ARRAY_LEN(core); i++)
		ret = rv64_get_reg(vcpu, RV64_REG_CORE(i), &x[i], NULL);
	for (size_t i = 0; ret == 0 && i < RV64_CSR_COUNT; i++)
		ret = rv64_get_reg(vcpu, RV64_REG_CSR(i), &csr[i], NULL);
	if (ret == 0)
		ret = rv64_get_reg(vcpu, RV64_REG_CORE(RV64_CORE_MODE), &mode, NULL);
	if (ret == 0)
		ret = axkvm_vcpu_online(vcpu->kvm, &online, NULL);
	if (ret < 0) {
		axarch_put(&text, "vCPU %u: its registers cannot be read\n", vcpu->index);
		return;
	}
	axarch_put(&text, "vCPU %u (hart id %u), %s-mode%s\n", vcpu->index, vcpu->hart_id,
		   mode ? "S" : "U", online ? "" : ", stopped");
	for (size_t i = 0; i < AX_ARRAY_LEN(core); i++)
		axarch_put(&text, "%-3s %016" PRIx64 "%s", core[i], x[i], i % 4 == 3 ? "\n" : "  ");
	for (size_t i = 0; i < RV64_CSR_COUNT; i++)
		axarch_put(&text, "%-8s %016" PRIx64 "%s", csrs[i], csr[i],
			   i % 3 == 2 ? "\n" : "  ");
	if (!csr[RV64_CSR_SATP])
		put_code(&text, vcpu, x[RV64_CORE_PC]);
}
