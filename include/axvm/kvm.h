/*
 * kvm: the only door to /dev/kvm. Opens it, checks what it can do, owns the VM and vCPU file
 * descriptors, and turns struct kvm_run into the portable exits of axvcpu.h. <linux/kvm.h> is
 * included in src/kvm and in src/arch/<name>/kvm_*.c only; this header needs none of it, so
 * capability numbers travel as plain integers.
 *
 * Threads: slots, routes, irqfds and ioeventfds may be changed from any thread; a vCPU's run and
 * register calls belong to that vCPU's thread.
 */
#ifndef AXVM_KVM_H
#define AXVM_KVM_H

#include <axvm/base.h>
#include <axvm/axaddrspace.h>
#include <axvm/axvcpu.h>

/* ---- the system ------------------------------------------------------------------------------ */

struct axkvm; /* an open /dev/kvm */

/* device NULL: "/dev/kvm". Distinct errors: KVM_ABSENT (no node), KVM_PERMISSION (with the remedy:
 * the kvm group), KVM_INIT (anything else, e.g. not a KVM device), KVM_VERSION (not 12). */
int axkvm_open(const char *device, struct axkvm **ret_kvm, struct ax_error *err) AX_MUST_CHECK;
void axkvm_close(struct axkvm *kvm);
int axkvm_fd(const struct axkvm *kvm);
int axkvm_api_version(const struct axkvm *kvm);
int axkvm_check(const struct axkvm *kvm, long capability); /* KVM_CHECK_EXTENSION; 0: absent */

struct axkvm_requirement {
	long capability;
	const char *name; /* "KVM_CAP_IRQFD" */
	const char *why;  /* completes "AxVM needs it to ..." */
};
/* -ENOTSUP with AX_ERROR_MISSING_CAPABILITY naming every missing one. */
int axkvm_require(const struct axkvm *kvm, const struct axkvm_requirement *list, size_t count,
		  struct ax_error *err);

/* ---- one VM ---------------------------------------------------------------------------------- */

struct axkvm_vm;

int axkvm_vm_create(struct axkvm *kvm, unsigned long type, struct axkvm_vm **ret_vm,
		    struct ax_error *err) AX_MUST_CHECK;
void axkvm_vm_destroy(struct axkvm_vm *vm); /* vCPUs are destroyed before */
int axkvm_vm_fd(const struct axkvm_vm *vm);

/* The slots of this VM as the address space's mapper. */
void axkvm_vm_mapper(struct axkvm_vm *vm, struct axas_mapper *ret_mapper);

int axkvm_vm_irq_line(struct axkvm_vm *vm, uint32_t gsi, bool level);
int axkvm_vm_irqfd(struct axkvm_vm *vm, uint32_t gsi, int event_fd, int resample_fd, bool assign,
		   struct ax_error *err); /* resample_fd -1: none */
int axkvm_vm_ioeventfd(struct axkvm_vm *vm, bool is_port, uint64_t addr, uint8_t width,
		       bool has_match, uint64_t match, int event_fd, bool assign,
		       struct ax_error *err);
int axkvm_vm_signal_msi(struct axkvm_vm *vm, uint64_t address, uint32_t data, struct ax_error *err);

/*
 * Where GSIs lead: pins of interrupt controllers, which the architecture lists once, and messages.
 * KVM takes the table as a whole, and takes it anew only when something in it has changed.
 */
struct axkvm_pin_route {
	uint32_t gsi, chip, pin; /* chip: KVM_IRQCHIP_* */
};
struct axkvm_msi_route {
	uint64_t address;
	uint32_t data;
	bool has_device_id; /* for controllers that translate by sender */
	uint32_t device_id;
};
/* How many GSIs of messages there is room for beside `pins` pins, at most `wanted`; 0: KVM has no
 * routing. */
uint32_t axkvm_vm_msi_room(const struct axkvm_vm *vm, uint32_t pins, uint32_t wanted);
/* Before any message. A GSI may have several pins. `is_default`: KVM leads them there by itself, so
 * that it is not told before there is a message. The list is copied. */
int axkvm_vm_route_pins(struct axkvm_vm *vm, const struct axkvm_pin_route *pins, size_t count,
			bool is_default, struct ax_error *err);
/* NULL: leads nowhere. On failure (KVM refuses some addresses) the table is what it was. */
int axkvm_vm_route_msi(struct axkvm_vm *vm, uint32_t gsi, const struct axkvm_msi_route *msi,
		       struct ax_error *err);

/* ---- one vCPU -------------------------------------------------------------------------------- */

struct axkvm_vcpu;

int axkvm_vcpu_create(struct axkvm_vm *vm, unsigned long id, struct axkvm_vcpu **ret_vcpu,
		      struct ax_error *err) AX_MUST_CHECK;
void axkvm_vcpu_destroy(struct axkvm_vcpu *vcpu);
int axkvm_vcpu_fd(const struct axkvm_vcpu *vcpu);
void *axkvm_vcpu_run_page(const struct axkvm_vcpu *vcpu); /* struct kvm_run, for arch kvm_*.c */

/* Enter once and decode. An exit only one architecture has is handed to `decode` first (may be
 * NULL; returns true when it has filled *exit). Never hides an exit: what nobody knows comes back
 * as INTERNAL_ERROR with KVM's exit number in failure.reason (KVM_EXIT_INTERNAL_ERROR itself, 17:
 * detail is the suberror and up to three words of data). The answer to a SYSREG or HYPERCALL exit
 * is read from *exit by the next run or complete: it must live that long. */
int axkvm_vcpu_run(struct axkvm_vcpu *vcpu, struct axvcpu_exit *exit,
		   bool (*decode)(void *ctx, void *kvm_run, struct axvcpu_exit *exit), void *ctx,
		   struct ax_error *err);
/* Let KVM finish the pending port, MMIO or MSR exit without entering the guest. */
int axkvm_vcpu_complete(struct axkvm_vcpu *vcpu, struct ax_error *err);
void axkvm_vcpu_kick(struct axkvm_vcpu *vcpu); /* immediate_exit = 1; any thread */
void axkvm_vcpu_clear_kick(struct axkvm_vcpu *vcpu);
/* From the binary statistics; any thread, never waits for the vCPU. halted is true
 * while KVM blocks the vCPU in HLT or before its start, false when KVM cannot tell. stat: -ENOENT
 * when KVM has no such statistic, -ENOTSUP when it has none at all. */
bool axkvm_vcpu_halted(struct axkvm_vcpu *vcpu);
/* By KVM_GET_MP_STATE: not while it waits for INIT or SIPI, or is stopped (PSCI, HSM). A KVM that
 * keeps no such state has all vCPUs up. The vCPU's thread: KVM lets no other in while it runs. */
int axkvm_vcpu_online(struct axkvm_vcpu *vcpu, bool *ret_online, struct ax_error *err);
int axkvm_vcpu_stat(struct axkvm_vcpu *vcpu, const char *name, uint64_t *ret_value);

/* ---- KVM's own statistics -------------------------------------------------------------------- */

struct axkvm_stats; /* KVM_GET_STATS_FD of a VM or a vCPU */
int axkvm_stats_open(int vm_or_vcpu_fd, struct axkvm_stats **ret_stats, struct ax_error *err);
void axkvm_stats_close(struct axkvm_stats *stats);
/* Any thread, no lock taken in KVM. -ENOENT: KVM has no statistic of that name. */
int axkvm_stats_read(const struct axkvm_stats *stats, const char *name, uint64_t *ret_value);
/* Names in KVM's order; NULL past the end. */
const char *axkvm_stats_name(const struct axkvm_stats *stats, size_t index);

#endif
