/*
 * Private to the native half of aarch64: the VM and vCPU as KVM has them, and what the kvm_*.c and
 * platform files offer each other. The model half (aarch64.h) knows nothing of this.
 */
#ifndef AXVM_ARCH_AARCH64_KVM_AARCH64_H
#define AXVM_ARCH_AARCH64_KVM_AARCH64_H

#include "aarch64.h"

#include "../native.h"

#include <axvm/kvm.h>

#include <linux/kvm.h>
#include <pthread.h>

/* An irqfd that a device asked for before the GIC could take it. */
struct a64_irqfd {
	uint32_t gsi;
	int event_fd; /* -1: free */
};

struct axarch_vm {
	char name[64];
	struct axarch_vm_config config;   /* name points into this struct */
	struct axarch_topology *topology; /* what config.topology is, ours; or NULL */
	struct axarch_plan plan;
	struct axkvm *kvm;
	struct axkvm_vm *vm;
	int gic_fd;           /* -1: no interrupt controller */
	uint32_t gic_version; /* 2 or 3 */
	bool has_pmu, has_sve, has_ptrauth;
	bool forwards_calls;    /* SMCCC filter: hypercalls by HVC */
	uint32_t target;        /* KVM_ARM_PREFERRED_TARGET */
	uint32_t base_features; /* word 0 of kvm_vcpu_init, KVM_ARM_VCPU_POWER_OFF aside */

	/* KVM takes irqfds when the GIC is initialized, which needs all vCPUs; until then here. */
	pthread_mutex_t lock;
	bool gic_ready;
	struct a64_irqfd waiting[A64_SPIS];

	struct axkvm_vcpu **vcpus; /* by index; NULL until created. Not owned. */

	/* The guest has ended the machine, at which KVM switches all CPUs off. */
	_Atomic bool ended;

	/* From load. */
	struct a64_start start;
	const struct axas *memory;
};

struct a64_vcpu {
	struct axkvm_vcpu *kvm; /* first, for axarch_kvm_* */
	struct axarch_vm *vm;
	uint32_t index;
	/* The hypercall exit whose answer goes into x0 before the next entry; NULL: none. */
	const struct axvcpu_exit *answer;
	/* The access that KVM could not decode, for dump. */
	bool has_undecoded;
	uint64_t undecoded_gpa, undecoded_iss;
};

/* ---- kvm_vm.c -------------------------------------------------------------------------------- */

/* KVM_SET_DEVICE_ATTR on a device, a VM or a vCPU; `what` names it for the error. */
int a64_set_attr(int fd, uint32_t group, uint64_t attr, const void *value, const char *what,
		 struct ax_error *err);

/* ---- kvm_gic.c: the interrupt controller ----------------------------------------------------- */

/* Can this KVM make one of that version? No vCPU has run. */
bool a64_gic_exists(struct axkvm_vm *vm, uint32_t version);
/* The version asked for, or the newest; addresses and size are set. */
int a64_gic_create(struct axarch_vm *vm, struct ax_error *err);
/* All vCPUs are there: the GIC works from here on, and so do irqfds. */
int a64_gic_finish(struct axarch_vm *vm, struct ax_error *err);
void a64_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip);
int a64_vcpu_inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err);

/* ---- kvm_vcpu.c, kvm_regs.c, kvm_dump.c ------------------------------------------------------ */

/* What a vCPU can have on this host, into vm. */
int a64_choose_features(struct axarch_vm *vm, struct ax_error *err);
int a64_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
		    void **ret_impl, struct ax_error *err);

/* The id of a 64-bit register among KVM's "core" ones, by its place in struct kvm_regs. */
#define A64_CORE(member)                                       \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
	 (uint64_t)KVM_REG_ARM_CORE_REG(member))
#define A64_X(index)                                                         \
	(A64_CORE(regs.regs) + 2 * (uint64_t)(index)) /* in words of 32 bits \
						       */
int a64_get_reg(const struct a64_vcpu *vcpu, uint64_t id, uint64_t *ret_value,
		struct ax_error *err);
int a64_set_reg(const struct a64_vcpu *vcpu, uint64_t id, uint64_t value, struct ax_error *err);
int a64_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err);
int a64_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err);
int a64_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err);
int a64_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err);
void a64_vcpu_dump(void *impl, char *buf, size_t buf_size);

/* ---- kvm_call.c: calls by HVC ---------------------------------------------------------------- */

/* Have KVM hand AxVM's range of function ids to us, where it can; sets forwards_calls. */
void a64_forward_calls(struct axarch_vm *vm);
/* Exits that only aarch64 has, for axkvm_vcpu_run; ctx is the vCPU. */
bool a64_decode(void *ctx, void *kvm_run, struct axvcpu_exit *exit);
/* Before an entry: the answer of the last call into x0. */
int a64_answer_call(struct a64_vcpu *vcpu, struct ax_error *err);

/* ---- kvm_probe.c, kvm_selftest.c: the host --------------------------------------------------- */

int a64_require(const struct axkvm *kvm, struct ax_error *err);
int a64_probe(const char *kvm_device, struct ax_error *err);
size_t a64_facts(const char *kvm_device, struct axarch_fact *facts, size_t max);
int a64_selftest(const char *kvm_device,
		 void (*report)(void *ctx, const char *check, int status, const char *detail),
		 void *ctx);

/* ---- platform.c: the board's devices --------------------------------------------------------- */

int a64_platform_attach(struct axarch_vm *vm, const struct axarch_platform *platform,
			struct ax_error *err);

extern const struct axarch axarch_aarch64;

#endif
