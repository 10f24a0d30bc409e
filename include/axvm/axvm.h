/*
 * axvm: one virtual machine - built from a frozen configuration, moved through its life by one
 * state machine, and the place where a vCPU's exit is routed to a device.
 *
 *   create: LOADING -> LOADED     (memory, devices, vCPUs and images are in place)
 *   start:  LOADED -> RUNNING     pause / resume: RUNNING -> SUSPENDING -> SUSPENDED -> RUNNING
 *   stop:   any of these -> STOPPING -> STOPPED, with a stop reason;  a host failure -> FAILED
 *   An illegal move: -EBADFD with AX_ERROR_INVALID_STATE, nothing changed.
 *
 * Ownership is a tree: vm > address space, bus > devices, vCPUs > threads, I/O threads; destroy
 * tears it down in reverse. Several VMs may live in one process.
 *
 * Threads: axvm_create .. axvm_destroy belong to one control thread. Everything marked "any
 * thread" may be called from others, vCPU threads included, and never blocks on a running vCPU.
 */
#ifndef AXVM_AXVM_H
#define AXVM_AXVM_H

#include <axvm/base.h>
#include <axvm/axaddrspace.h>
#include <axvm/axdevice.h>
#include <axvm/axvcpu.h>
#include <axvm/arch.h>
#include <axvm/config.h>
#include <axvm/host.h>
#include <axvm/ledger.h>
#include <axvm/place.h>

struct axvm;

enum axvm_state {
	AXVM_LOADING = 0,
	AXVM_LOADED,
	AXVM_RUNNING,
	AXVM_SUSPENDING,
	AXVM_SUSPENDED,
	AXVM_STOPPING,
	AXVM_STOPPED,
	AXVM_FAILED,
	AXVM_STATE_COUNT
};

/* The names other systems use for the same states (docs/states.md has the full table). */
enum axvm_naming {
	AXVM_NAMING_AXVM,
	AXVM_NAMING_AXVM_0_3,
	AXVM_NAMING_AXVISOR,
	AXVM_NAMING_NEXT,
	AXVM_NAMING_AXHV,
	AXVM_NAMING_COUNT
};
const char *axvm_state_name(enum axvm_state state, enum axvm_naming naming);

enum axvm_stop_reason {
	AXVM_STOP_NONE = 0,
	AXVM_STOP_CLEAN,       /* the owner asked for it */
	AXVM_STOP_SYSTEM_DOWN, /* the guest powered off */
	AXVM_STOP_RESET,       /* the guest asked for a reboot */
	AXVM_STOP_PANIC,       /* the guest said it panicked */
	AXVM_STOP_FORCED,
	AXVM_STOP_LIMIT, /* timeout or number of exits */
	AXVM_STOP_FAULT, /* the guest did what cannot be continued: triple fault, ... */
	AXVM_STOP_HOST,  /* the host failed; error says how */
	AXVM_STOP_REASON_COUNT
};
const char *axvm_stop_reason_name(enum axvm_stop_reason reason); /* "system-down" */
/* What a program ends with: 0 clean and system-down, 10 reset, 11 panic, 12 fault, 13 limit, ... */
int axvm_stop_exit_status(enum axvm_stop_reason reason, const struct ax_error *error);

struct axvm_stop_info {
	enum axvm_stop_reason reason;
	uint32_t vcpu;         /* which vCPU reported it; UINT32_MAX: none */
	struct ax_error error; /* kind NONE unless FAULT, LIMIT or HOST */
	char registers[2048];  /* the vCPU's registers for FAULT and HOST; else empty */
};

/* What does not come from the configuration. All may be zero. */
struct axvm_options {
	struct axchr_config
		console; /* fds of the serial console; used when serial.mode is not none */
	/* The configured virtio console ports, in their order, but for those on a socket; fewer
	 * than there are: the others' output goes nowhere. */
	const struct axchr_config *ports;
	size_t port_count;
	uint16_t columns, rows; /* of the first port's terminal; 0: not known */
	/* Per configured network card a connected socket of its passt or switch, or -1; duplicated.
	 */
	const int *net_fds;
	size_t net_fd_count;
	const struct axarch *arch; /* NULL: as the configuration says */
	/* Sees a fresh architecture VM before vCPUs are made (the fake's scripts). May be NULL. */
	int (*on_arch_vm)(void *ctx, struct axarch_vm *arch_vm, struct ax_error *err);
	void *ctx;
	/* Bringing all memory may take long: how much is there. By several threads at once. Other
	 * than 0 ends axvm_create with -ECANCELED. May be NULL. */
	int (*on_memory)(void *ctx, uint64_t bytes, uint64_t total_bytes);
	void *on_memory_ctx;
	uint64_t exec_ns;   /* when the program was started, for the timeline; 0: now */
	const char *ledger; /* its directory; NULL: the host's (ledger.h) */
	/* Of the VM whose place this one takes (axvm_take_claim), or NULL: given up in the moment
	 * in which this one plans, so that nobody comes between. axvm_create owns it, also when it
	 * fails.
	 */
	struct axledger_claim *claim;
};

/* Everything up to LOADED. `config` must outlive the VM. Nothing stays behind on failure. */
int axvm_create(const struct axcfg *config, const struct axvm_options *options,
		struct axvm **ret_vm, struct ax_error *err) AX_MUST_CHECK;
/* Stops it first when needed. NULL is fine. */
void axvm_destroy(struct axvm *vm);

int axvm_start(struct axvm *vm, struct ax_error *err);
/* Ask for the end, any thread, returns at once; the first reason wins. */
void axvm_request_stop(struct axvm *vm, enum axvm_stop_reason reason);
/* An operation on part of the VM has failed (its memory, bus, a vCPU). An error that requires a
 * shutdown by its severity stops the VM with reason HOST; any other is counted and logged, and the
 * VM goes on. The VM's own operations do this by themselves. Any thread. True: it stops. */
bool axvm_report(struct axvm *vm, const struct ax_error *error);
/* Readable once a stop has been requested by whomever: for the owner's loop, which then calls
 * axvm_wait. Not to be read or closed by the caller. */
int axvm_stop_fd(const struct axvm *vm);
/* Until STOPPED or FAILED: joins every vCPU thread. Control thread. */
int axvm_wait(struct axvm *vm, struct ax_error *err);
int axvm_stop(struct axvm *vm, enum axvm_stop_reason reason, struct ax_error *err); /* both */
/* All vCPUs parked (BLOCKED) and devices quiet when pause returns. */
int axvm_pause(struct axvm *vm, struct ax_error *err);
int axvm_resume(struct axvm *vm, struct ax_error *err);

/* Another file behind disk `index`, without the guest's noticing more than a new size; path NULL:
 * what now has the old name, or has grown. On failure the old one stays. Control thread, while
 * running. */
int axvm_replace_disk(struct axvm *vm, size_t index, const char *path, struct ax_error *err);
/* How much memory the guest is asked to give back; it follows as it can. Any thread. -ENODEV
 * without a balloon. */
int axvm_set_balloon(struct axvm *vm, uint64_t size_bytes, struct ax_error *err);
/* The terminal of the first virtio console port has another size. Any thread. */
void axvm_resize_console(struct axvm *vm, uint16_t columns, uint16_t rows);

/* ---- placement (docs/placement.md) ----------------------------------------------------------- */

/* The plan of a VM with this configuration on that host, where others hold this (NULL: nothing).
 * Errors are the planner's, with hints in words of the command line. */
int axvm_plan(const struct axcfg *config, const struct axhost_facts *facts,
	      const struct axplace_held *held, struct axplace_plan **ret_plan,
	      struct ax_error *err) AX_MUST_CHECK;
/* The same with what the VMs of this host hold now; `ledger` as in struct axvm_options. */
int axvm_plan_here(const struct axcfg *config, const struct axhost_facts *facts, const char *ledger,
		   struct axplace_plan **ret_plan, struct ax_error *err) AX_MUST_CHECK;
/* Would axvm_create find a place for it on this host now? Claims nothing. */
int axvm_check_placement(const struct axcfg *config, const char *ledger, struct ax_error *err);
/* Why axvm_create would not follow that plan; NULL: it would. */
const char *axvm_plan_unused(const struct axcfg *config, const struct axhost_facts *facts,
			     const struct axplace_plan *plan);
/* Would it keep to all of that plan but its CPUs, which it shares with whoever is on their nodes?
 * Of one that is not followed for want of a core, on a host with several nodes. */
bool axvm_plan_floats(const struct axcfg *config, const struct axhost_facts *facts,
		      const struct axplace_plan *plan);
/* There is no plan for that reason: would axvm_create share CPUs instead of failing? */
bool axvm_shares_instead(const struct axcfg *config, const struct ax_error *why);
/* Would it bind guest memory to the plan's nodes? Not on a host with one, nor the memory of several
 * when the guest is not told of them. */
bool axvm_plan_binds(const struct axcfg *config, const struct axhost_facts *facts,
		     const struct axplace_plan *plan);
/* The plan that a VM runs by, or NULL. Any thread, until destroy. */
const struct axplace_plan *axvm_placement(const struct axvm *vm);

/* CPUs that the placement leaves to the control thread and to helpers; 0: any. Returns how many
 * there are, whatever fits. They change when other VMs come and go: axvm_aside_fd is readable then,
 * and to be read by the caller (an eventfd), not closed. Any thread, until destroy. */
size_t axvm_aside(const struct axvm *vm, int *ret_cpus, size_t max);
int axvm_aside_fd(const struct axvm *vm);

/* What a VM has claimed outlives it then, and is the caller's; NULL when it has nothing. Control
 * thread, after the VM has stopped. */
struct axledger_claim *axvm_take_claim(struct axvm *vm);

/* What is not as planned. All zero without a plan. */
struct axvm_drift {
	uint32_t vcpus, io_threads; /* threads that may run elsewhere; from start to stop */
	uint64_t looked_bytes;      /* of guest memory bound to nodes: a sample */
	uint64_t astray_bytes;      /* of these, on another node */
	bool memory_unknown;        /* the host does not tell where pages are */
	char first[128];            /* the first of them in words; empty when there is none */
};
/* Control thread. Looks at no more than 64 Ki pages. */
void axvm_get_drift(const struct axvm *vm, struct axvm_drift *ret_drift);

/* ---- looking at it: any thread, no lock of the VM -------------------------------------------- */

enum axvm_state axvm_state(const struct axvm *vm);
void axvm_get_stop_info(const struct axvm *vm, struct axvm_stop_info *ret_info); /* after stopped */
const char *axvm_name(const struct axvm *vm);
uint32_t axvm_vcpu_count(const struct axvm *vm);
struct axvcpu *axvm_vcpu(struct axvm *vm, uint32_t index); /* NULL past the end */
struct axas *axvm_memory(struct axvm *vm);
struct axbus *axvm_bus(struct axvm *vm);
struct axarch_vm *axvm_arch_vm(struct axvm *vm);
int axvm_inject(struct axvm *vm, uint32_t vcpu, const struct axvcpu_irq *irq, struct ax_error *err);

/* ---- metrics --------------------------------------------------------------------------------- */

/* One row per counter: its name, its unit and how it is fed stand in src/axvm/metrics.c. */
#define AXVM_METRICS(X)                                                \
	X(vcpu_runs, "entries into the guest")                         \
	X(vcpu_exits, "exits to userspace")                            \
	X(io_exits, "port exits")                                      \
	X(mmio_exits, "MMIO exits")                                    \
	X(sysreg_exits, "system register exits")                       \
	X(hypercalls, "hypercalls")                                    \
	X(halt_exits, "halt exits to userspace")                       \
	X(interrupt_exits, "exits because the host wanted the CPU")    \
	X(fault_exits, "memory fault exits")                           \
	X(other_exits, "exits of any other kind")                      \
	X(errors, "exits that ended in an error")                      \
	X(hardware_failures, "failed entries and internal errors")     \
	X(timeout_events, "run limits reached")                        \
	X(kicks, "times a vCPU was made to leave the guest")           \
	X(injected, "interrupts injected by the monitor")              \
	X(memory_reads, "accessor reads")                              \
	X(memory_writes, "accessor writes")                            \
	X(memory_faults, "accessor calls refused")                     \
	X(bus_missing, "accesses no device claimed")                   \
	X(guest_ns, "time inside KVM_RUN, all vCPUs")                  \
	X(user_ns, "time vCPU threads spent outside it")               \
	X(runtime_ns, "time since the start")                          \
	X(io_wakeups, "wake-ups of the I/O threads")                   \
	X(io_syscalls, "system calls of the I/O threads")              \
	X(io_kicks, "doorbells of devices served")                     \
	X(io_requests, "device requests completed")                    \
	X(io_batches, "batches in which the guest was told of them")   \
	X(io_bytes, "bytes moved by devices")                          \
	X(irqs_raised, "device interrupts raised")                     \
	X(irqs_suppressed, "device interrupts the guest did not want") \
	X(kvm_exits, "all exits, KVM's own count")                     \
	X(kvm_io_exits, "port accesses, KVM's own count")              \
	X(kvm_mmio_exits, "MMIO exits, KVM's own count")               \
	X(kvm_halt_exits, "halts, KVM's own count")

struct axvm_metrics {
#define AXVM_METRIC_FIELD(name, text) uint64_t name;
	AXVM_METRICS(AXVM_METRIC_FIELD)
#undef AXVM_METRIC_FIELD
	/* Derived. */
	double exits_per_second, guest_share, error_rate;
};

/* Any thread. Values since the last axvm_metrics_reset. */
void axvm_get_metrics(const struct axvm *vm, struct axvm_metrics *ret_metrics);
/* *later - *earlier, field by field, with the derived values of the difference. */
void axvm_metrics_delta(const struct axvm_metrics *earlier, const struct axvm_metrics *later,
			struct axvm_metrics *ret_delta);
void axvm_metrics_reset(struct axvm *vm); /* control thread */
/* Rows for printing: NULL past the end. */
const char *axvm_metric_at(const struct axvm_metrics *metrics, size_t index, const char **ret_help,
			   uint64_t *ret_value);

/* ---- timeline -------------------------------------------------------------------------------- */

/* Moments of a boot, in the order they happened; marks are the guest's own (x86: a byte written to
 * the diagnostic port 0x80). */
struct axvm_moment {
	char name[48];
	uint64_t at_ns; /* since exec */
};
size_t axvm_timeline(const struct axvm *vm, struct axvm_moment *moments, size_t max);

#endif
