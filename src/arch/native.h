/*
 * What the native halves of the architectures have in common: asking a KVM for what it can do,
 * checks of vCPU counts, statistics, vCPU hooks that only pass on, and text for reports. Uses the
 * contract of the kvm layer alone, so that it is built on every host.
 */
#ifndef AXVM_ARCH_NATIVE_H
#define AXVM_ARCH_NATIVE_H

#include <axvm/arch.h>
#include <axvm/kvm.h>

/* ---- what this host's KVM can do ------------------------------------------------------------- */

/* A row of a table of struct axkvm_requirement; `why` completes "AxVM needs it to ...". */
#define AXARCH_CAP(cap, why)                        \
	{                                           \
		KVM_CAP_##cap, "KVM_CAP_" #cap, why \
	}

/* The `probe` hook: can it be opened, and has it got everything in the list? */
int axarch_probe_kvm(const char *kvm_device, const struct axkvm_requirement *list, size_t count,
		     struct ax_error *err);
/* One capability of a KVM that is opened for just that; -1 when it cannot be. */
int axarch_ask_kvm(const char *kvm_device, long capability);

/* For the `facts` hook. */
struct axarch_fact_list {
	struct axarch_fact *facts;
	size_t max, count; /* count goes on beyond max */
};
void axarch_add_fact(struct axarch_fact_list *list, const char *name, bool required, int value,
		     const char *what);
/* All absent when kvm is NULL. */
void axarch_add_capabilities(struct axarch_fact_list *list, const struct axkvm *kvm,
			     const struct axkvm_requirement *capabilities, size_t count,
			     bool required);

/* ---- a VM ------------------------------------------------------------------------------------ */

/* 1 to max CPUs? */
int axarch_check_vcpus(const struct axarch_vm_config *config, uint32_t max, struct ax_error *err);
/* Not more than KVM_CAP_MAX_VCPUS, if there is that? */
int axarch_check_kvm_vcpus(const struct axarch_vm_config *config, int max, struct ax_error *err);
/* The copy a VM keeps: its name is in `name`; what need not live as long is NULL. */
void axarch_copy_config(const struct axarch_vm_config *config, char *name, size_t size,
			struct axarch_vm_config *ret_copy);

/* What KVM calls a statistic of ours, or the parts it is the sum of. */
struct axarch_stat {
	const char *name, *theirs[2];
};
/* The `vcpu_stat` hook. A statistic that is not in the list has the same name in KVM; a vCPU that
 * is NULL has none. */
int axarch_kvm_stat(struct axkvm_vcpu *vcpu, const struct axarch_stat *list, size_t count,
		    const char *name, uint64_t *ret_value);

/* ---- a vCPU ---------------------------------------------------------------------------------- */

/* Is `index` in range, and not taken in `vcpus` yet? */
int axarch_check_new_vcpu(const struct axarch_vm_config *config, struct axkvm_vcpu *const *vcpus,
			  uint32_t index, struct ax_error *err);

/* Hooks of struct axvcpu_ops that have KVM do it and nothing else. `impl` is any struct whose first
 * member is the struct axkvm_vcpu pointer. */
void axarch_kvm_kick(void *impl);
void axarch_kvm_clear_kick(void *impl);
int axarch_kvm_complete(void *impl, struct ax_error *err);
bool axarch_kvm_halted(void *impl);
int axarch_kvm_online(void *impl, bool *ret_online, struct ax_error *err);

/* ---- text ------------------------------------------------------------------------------------ */

struct axarch_text {
	char *buf;
	size_t size, used; /* used goes beyond size once, when it is full */
};
void axarch_put(struct axarch_text *text, const char *fmt, ...) AX_PRINTF(2, 3);

#endif
