/*
 * A vCPU's registers as text, for the report of a failure: general ones, those of exceptions and of
 * translation, whether it is powered, and the code at PC while the MMU is off.
 */
#include "kvm_aarch64.h"

#include <inttypes.h>

#define SCTLR_M 0x1u

/* Physical addresses are known only while nothing is translated. */
static void put_code(struct axarch_text *text, const struct a64_vcpu *vcpu, uint64_t pc)
{
	uint32_t word;

	axarch_put(text, "code at %016" PRIx64 ":", pc);
	for (unsigned i = 0; i < 8; i++) {
		if (!vcpu->vm->memory || axas_read_u32(vcpu->vm->memory, pc + 4 * i, &word) < 0) {
			axarch_put(text, " ..");
			break;
		}
		axarch_put(text, " %08x", word);
	}
	axarch_put(text, "\n");
}

void a64_vcpu_dump(void *impl, char *buf, size_t buf_size)
{
	static const struct {
		const char *name;
		uint64_t id;
	} rows[] = {
		{"pc", A64_CORE(regs.pc)},
		{"pstate", A64_CORE(regs.pstate)},
		{"sp_el0", A64_CORE(regs.sp)},
		{"sp_el1", A64_CORE(sp_el1)},
		{"elr", A64_CORE(elr_el1)},
		{"spsr", A64_CORE(spsr[0])},
		{"esr", ARM64_SYS_REG(3, 0, 5, 2, 0)},
		{"far", ARM64_SYS_REG(3, 0, 6, 0, 0)},
		{"vbar", ARM64_SYS_REG(3, 0, 12, 0, 0)},
		{"sctlr", ARM64_SYS_REG(3, 0, 1, 0, 0)},
		{"tcr", ARM64_SYS_REG(3, 0, 2, 0, 2)},
		{"mair", ARM64_SYS_REG(3, 0, 10, 2, 0)},
		{"ttbr0", ARM64_SYS_REG(3, 0, 2, 0, 0)},
		{"ttbr1", ARM64_SYS_REG(3, 0, 2, 0, 1)},
		{"mpidr", ARM64_SYS_REG(3, 0, 0, 0, 5)},
	};
	enum { PC = 0, SCTLR = 9 };
	const struct a64_vcpu *vcpu = impl;
	struct axarch_text text = {.buf = buf, .size = buf_size};
	uint64_t values[AX_ARRAY_LEN(rows)], x;
	bool online;

	if (!buf_size)
		return;
	buf[0] = '\0';
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++) {
		if (a64_get_reg(vcpu, rows[i].id, &values[i], NULL) == 0)
			continue;
		axarch_put(&text, "vCPU %u: its registers cannot be read\n", vcpu->index);
		return;
	}
	if (axkvm_vcpu_online(vcpu->kvm, &online, NULL) < 0)
		online = true;
	axarch_put(&text, "vCPU %u%s\n", vcpu->index, online ? "" : " (powered off)");
	if (vcpu->has_undecoded)
		axarch_put(&text,
			   "accesses 0x%" PRIx64
			   ", where there is no memory, by an instruction that KVM "
			   "does not decode (a pair, a vector, write-back; ISS 0x%" PRIx64 ")\n",
			   vcpu->undecoded_gpa, vcpu->undecoded_iss);
	for (unsigned i = 0; i < 31; i++) {
		if (a64_get_reg(vcpu, A64_X(i), &x, NULL) < 0)
			x = 0;
		axarch_put(&text, "x%-2u %016" PRIx64 "%s", i, x,
			   i % 4 == 3 || i == 30 ? "\n" : "  ");
	}
	for (size_t i = 0; i < AX_ARRAY_LEN(rows); i++)
		axarch_put(&text, "%-6s %016" PRIx64 "%s", rows[i].name, values[i],
			   i % 3 == 2 ? "\n" : "  ");
	if (!(values[SCTLR] & SCTLR_M))
		put_code(&text, vcpu, values[PC]);
}
