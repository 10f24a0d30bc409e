/*
 * Private to the native half of riscv64: the VM and vCPU as KVM has them, numbers of KVM's
 * interface that are younger than the oldest headers we build with, and what the kvm_*.c and
 * platform files offer each other. The model half (riscv64.h) knows nothing of this.
 */
#ifndef AXVM_ARCH_RISCV64_KVM_RISCV64_H
#define AXVM_ARCH_RISCV64_KVM_RISCV64_H

#include "riscv64.h"

#include "../native.h"

#include <axvm/kvm.h>

#include <linux/kvm.h>

/* ---- KVM's interface ------------------------------------------------------------------------- */

/* Registers of KVM_GET_ONE_REG: a type, a subtype, an index; all that are used here have 64 bits.
 */
#define RV64_REG(type, subtype, index)                                                           \
	(KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)(type) << 24 | (uint64_t)(subtype) << 16 | \
	 (uint64_t)(index))
#define RV64_REG_CONFIG(index)    RV64_REG(1, 0, index)
#define RV64_REG_CORE(index)      RV64_REG(2, 0, index) /* 0: pc, n: x<n>, 32: mode */
#define RV64_REG_CSR(index)       RV64_REG(3, 0, index)
#define RV64_REG_TIMER(index)     RV64_REG(4, 0, index)
#define RV64_REG_EXTENSION(index) RV64_REG(7, 0, index)
#define RV64_REG_SBI(index)       RV64_REG(8, 0, index)

enum { RV64_CONFIG_CBOM = 1, RV64_CONFIG_CBOZ = 5, RV64_CONFIG_SATP_MODE = 6 };
enum { RV64_CORE_PC = 0, RV64_CORE_A0 = 10, RV64_CORE_A1 = 11, RV64_CORE_MODE = 32 };
enum {
	RV64_CSR_SSTATUS,
	RV64_CSR_SIE,
	RV64_CSR_STVEC,
	RV64_CSR_SSCRATCH,
	RV64_CSR_SEPC,
	RV64_CSR_SCAUSE,
	RV64_CSR_STVAL,
	RV64_CSR_SIP,
	RV64_CSR_SATP,
	RV64_CSR_COUNT
};
enum { RV64_TIMER_FREQUENCY = 0 };
enum { RV64_SBI_DBCN = 9 };

/* The device of type RISCV_AIA (Linux 6.5): groups and what is in them. */
#define RV64_DEV_TYPE_AIA 11u
enum { RV64_AIA_CONFIG = 0, RV64_AIA_ADDR = 1, RV64_AIA_CTRL = 2 };
enum { RV64_AIA_CONFIG_IDS = 1, RV64_AIA_CONFIG_SRCS = 2, RV64_AIA_CONFIG_HART_BITS = 5 };
enum { RV64_AIA_ADDR_APLIC = 0, RV64_AIA_ADDR_IMSIC = 1 /* and those behind it, by index */ };
enum { RV64_AIA_CTRL_INIT = 0 };

/* ---- the VM and its vCPUs -------------------------------------------------------------------- */

struct axarch_vm {
	char name[64];
	struct axarch_vm_config config;   /* name and hardware_ids point into this struct */
	struct axarch_topology *topology; /* what config.topology is, ours; or NULL */
	struct axarch_plan plan;
	uint32_t *hart_ids; /* vcpu_count of them */
	struct axkvm *kvm;
	struct axkvm_vm *vm;
	enum rv64_irqchip irqchip;
	struct rv64_plic *plic; /* RV64_IRQCHIP_PLIC */
	int aia_fd;             /* RV64_IRQCHIP_AIA, else -1 */
	uint32_t aia_ids;
	struct rv64_hart hart; /* filled when the first vCPU is made */

	struct axkvm_vcpu **vcpus; /* by index; NULL until created. Not owned. */
	struct axchr *console;     /* where the SBI's goes; NULL: nowhere */

	/* From load. */
	struct rv64_start start;
	const struct axas *memory;
};

/* An access to a CSR that KVM hands over is a read and then perhaps a write. */
enum rv64_csr_step { RV64_CSR_IDLE, RV64_CSR_READ, RV64_CSR_WRITE_DUE, RV64_CSR_WRITE };

struct rv64_vcpu {
	struct axkvm_vcpu *kvm; /* first, for axarch_kvm_* */
	struct axarch_vm *vm;
	uint32_t index, hart_id;
	/* The exit whose answer KVM gets before the next entry; NULL: none. */
	const struct axvcpu_exit *answer;
	enum rv64_csr_step csr_step;
	uint64_t csr_old;
	/* The external interrupt stands by inject. */
	_Atomic bool injected;
};

/* ---- kvm_vcpu.c, kvm_regs.c, kvm_dump.c ------------------------------------------------------ */

int rv64_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
		     void **ret_impl, struct ax_error *err);
/* -errno without a message when `err` is NULL. */
int rv64_get_reg(const struct rv64_vcpu *vcpu, uint64_t id, uint64_t *ret_value,
		 struct ax_error *err);
int rv64_set_reg(const struct rv64_vcpu *vcpu, uint64_t id, uint64_t value, struct ax_error *err);
/* What a vCPU has, for the device tree. */
int rv64_read_hart(const struct rv64_vcpu *vcpu, struct rv64_hart *ret_hart, struct ax_error *err);
int rv64_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err);
int rv64_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err);
int rv64_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err);
int rv64_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err);
void rv64_vcpu_dump(void *impl, char *buf, size_t buf_size);

/* ---- kvm_call.c: exits that only riscv64 has ------------------------------------------------- */

/* For axkvm_vcpu_run; ctx is the vCPU. */
bool rv64_decode(void *ctx, void *kvm_run, struct axvcpu_exit *exit);
/* Before an entry: what the last exit was answered goes to KVM. */
int rv64_settle(struct rv64_vcpu *vcpu, struct ax_error *err);
/* True: the last exit has a second half, now in *exit, and KVM is not to be entered. */
bool rv64_second_half(struct rv64_vcpu *vcpu, struct axvcpu_exit *exit);

/* ---- kvm_irq.c, kvm_aia.c: interrupts -------------------------------------------------------- */

/* AIA in KVM where there is one, else a PLIC of ours; sets irqchip. */
int rv64_irqchip_create(struct axarch_vm *vm, struct ax_error *err);
/* All vCPUs are there: the controller works from here on. */
int rv64_irqchip_finish(struct axarch_vm *vm, struct ax_error *err);
void rv64_irqchip_destroy(struct axarch_vm *vm);
void rv64_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip);
int rv64_vcpu_inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err);
/* The vCPU left the guest by an act of the guest's: an injected interrupt has been seen. */
void rv64_vcpu_injected_done(struct rv64_vcpu *vcpu);

int rv64_aia_create(struct axarch_vm *vm, struct ax_error *err);
int rv64_aia_finish(struct axarch_vm *vm, struct ax_error *err);

/* ---- kvm_probe.c, kvm_selftest.c: the host --------------------------------------------------- */

int rv64_require(const struct axkvm *kvm, struct ax_error *err);
int rv64_probe(const char *kvm_device, struct ax_error *err);
size_t rv64_facts(const char *kvm_device, struct axarch_fact *facts, size_t max);
int rv64_selftest(const char *kvm_device,
		  void (*report)(void *ctx, const char *check, int status, const char *detail),
		  void *ctx);

/* ---- platform.c: the board's devices --------------------------------------------------------- */

int rv64_platform_attach(struct axarch_vm *vm, const struct axarch_platform *platform,
			 struct ax_error *err);

extern const struct axarch axarch_riscv64;

#endif
