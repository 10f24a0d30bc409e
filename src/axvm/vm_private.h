/*
 * What the files of the axvm layer share: the VM itself, top-down in the order it is built and
 * torn down in reverse.
 */
#ifndef AXVM_VM_PRIVATE_H
#define AXVM_VM_PRIVATE_H

#include <axvm/axvm.h>
#include <axvm/host.h>
#include <axvm/ledger.h>
#include <axvm/place.h>
#include <axvm/profile.h>
#include <axvm/virtio_devices.h>

#include <pthread.h>

#define VM_MAX_MOMENTS     64
#define AXVM_CONSOLE_TEXTS 3
#define VM_MAX_DEVICES     32

enum vm_operation {
	VM_OP_LOADED,
	VM_OP_START,
	VM_OP_PAUSE,
	VM_OP_PAUSED,
	VM_OP_RESUME,
	VM_OP_STOP,
	VM_OP_STOPPED,
	VM_OP_FAIL,
	VM_OP_COUNT
};

struct axvm_io_thread {
	struct axvm *vm;
	unsigned index;
	struct ax_thread *thread;
	_Atomic pid_t tid; /* while it runs; for whoever looks (live.c) */
};

/* Host CPUs that a thread may run on; count 0: anywhere. */
struct vm_cpus {
	const int *ids;
	size_t count;
};

/* CPUs that no other VM has claimed (sharing.c). */
struct vm_sharing {
	int *cpus; /* it, count and near: under placement_lock once threads run */
	size_t count;
	/* Those near each guest node of a plan that is kept to but for CPUs; count 0: there are
	 * none, and `cpus` it is. */
	struct vm_cpus near[AXARCH_MAX_NODES];
	int *near_ids;           /* of all of them */
	uint32_t *homes;         /* the guest node that each CPU of the facts is near */
	_Atomic bool is_crowded; /* others have all; said once */
};

/* Where the VM runs (placement.c): by a plan; or on shared CPUs, of the plan's nodes or of all; or
 * as pinned; or anywhere. */
struct vm_placement {
	struct axplace_plan *plan; /* NULL: none is followed */
	bool floats;               /* it is, but for CPUs: vCPUs share those of their nodes */
	bool bind;                 /* the plan's memory to its nodes */
	struct axledger_claim *claim;
	struct vm_sharing sharing;
	bool spare_isolated; /* isolcpus= are for VMs with a plan, where there are other CPUs */
	int *pins, io_pins[AXCFG_MAX_IO]; /* as configured; pins with mode off only */
	/* yield.c: the ledger's, for claims that come and go while the VM runs. */
	char *directory;
	int watch_fd;
	unsigned tries; /* since the last change */
	struct ax_event *settle, *watch;
	_Atomic bool yielded; /* I/O threads are elsewhere for others */
	/* aside.c: where the owner's thread and helpers belong since others have claimed CPUs. */
	int *aside; /* it and count: under placement_lock */
	size_t aside_count;
	int aside_fd; /* eventfd, see axvm_aside_fd */
};

struct axvm {
	const struct axcfg *config; /* not owned */
	struct axvm_options options;
	_Atomic int state;

	const struct axarch *arch;
	struct axhost_facts facts; /* of this host when the VM was made */
	const struct axprof *profile;
	struct vm_placement placement;
	struct axarch_plan plan;

	struct ax_loop *io_loops[AXCFG_MAX_IO]; /* of the threads "io N" */
	struct axvm_io_thread io_threads[AXCFG_MAX_IO];
	unsigned io_count;
	uint32_t *io_of_vcpu; /* which of them is on the vCPU's node; NULL: nobody says */
	int stop_fd;          /* eventfd, see axvm_stop_fd */

	struct axarch_vm *arch_vm;
	struct axas *memory;
	struct axbus *bus;
	struct axirq_domain *irqs;
	struct axdev_services services;
	struct axpci_host *pci; /* the bus owns it; NULL: devices are on virtio-mmio */
	struct axchr *console;
	struct axchr *ports[AXCFG_MAX_CONSOLES];      /* of the virtio console */
	struct axarch_device devices[VM_MAX_DEVICES]; /* what the guest is told about */
	size_t device_count;
	struct axdev *virtio[VM_MAX_DEVICES]; /* owned by the bus */
	size_t virtio_count;

	struct axvcpu **vcpus;
	uint32_t vcpu_count;

	/* Why it stops: the first request wins (stop.c). */
	_Atomic int stop_reason;
	pthread_mutex_t stop_lock; /* guards stop_info, between the vCPU that failed and readers */
	struct axvm_stop_info stop_info;
	_Atomic bool panic_seen; /* on the console */
	_Atomic bool panic_told; /* by pvpanic */
	struct ax_post panic_post;
	struct ax_event *panic_grace; /* first I/O loop's timer; from axvm_await_last_words on */
	/* How much of each watched text has passed, and which have been seen; I/O thread. */
	uint32_t text_matched[AXVM_CONSOLE_TEXTS];
	bool text_seen[AXVM_CONSOLE_TEXTS];

	_Atomic uint64_t errors, hardware_failures, timeouts, hypercalls;
	_Atomic uint64_t start_ns, end_ns;
	_Atomic bool expired; /* the time limit has passed */
	pthread_mutex_t placement_lock;

	/* At the last reset, and what guards it between its writer and readers. */
	pthread_mutex_t metrics_lock;
	struct axvm_metrics metrics_base;

	_Atomic uint32_t moment_count;
	_Atomic bool moment_noted[VM_MAX_MOMENTS]; /* it may be read */
	struct axvm_moment moments[VM_MAX_MOMENTS];
};

/* state.c: the only writer of vm->state. */
int axvm_move(struct axvm *vm, enum vm_operation operation, struct ax_error *err);

/* yield.c: from here on the VM sees what others claim, and from the start on it makes room. */
void axvm_watch_claims(struct axvm *vm, const struct axledger *ledger);
int axvm_follow_claims(struct axvm *vm, struct ax_error *err);

/* held.c: what others hold. From open to close nobody else on this host plans, so that a claim
 * between them is of what is free; so is what is given up then. */
struct vm_held {
	struct axledger *ledger; /* NULL: there is none, and others are not seen */
	struct axledger_held held;
	struct axplace_held_memory *memory;
	struct axplace_held as_request;
};
int axvm_open_held(const char *directory, struct axledger_claim *given_up, struct vm_held *ret,
		   struct ax_error *err);
void axvm_close_held(struct vm_held *held); /* zeroed is fine */
int axvm_claim(struct axvm *vm, struct vm_held *held, struct ax_error *err);
bool axvm_has_id(const uint32_t *ids, size_t count, uint32_t id); /* is it one of them? */

/* placement.c: reads the host, chooses the profile, decides where the VM runs, and claims that. */
int axvm_place(struct axvm *vm, struct ax_error *err);
void axvm_unplace(struct axvm *vm);
/* Have its vCPUs their cores to themselves, its own I/O threads left out too? */
bool axvm_is_alone(const struct axvm *vm);
/* Is there a core of the host for all but the vCPUs: one of housekeeping without any of them? */
bool axvm_has_spare_core(const struct axhost_facts *facts, const struct axplace_plan *plan);
struct vm_cpus axvm_vcpu_cpus(const struct axvm *vm, uint32_t index);
struct vm_cpus axvm_io_cpus(const struct axvm *vm, unsigned index);

/* sharing.c: on what `held` leaves, on its nodes when it floats; no list when that is all. Anew:
 * the threads go there; false: some are not there yet, ask again. */
int axvm_share(struct axvm *vm, const struct axledger_held *held, struct ax_error *err);
bool axvm_share_anew(struct axvm *vm, const struct axledger_held *held);

/* For each CPU of the facts the guest node that it is near: whose memory is on its node, else whose
 * vCPUs were planned there, since it has no memory; AXHOST_NONE: no vCPU's. */
void axvm_find_homes(const struct axhost_facts *facts, const struct axplace_plan *plan,
		     uint32_t *ret_homes);

/* placement.c: may threads be there that have no CPUs of their own, as far as the host is
 * concerned? */
bool axvm_is_for_all(const struct axvm *vm, const struct axhost_cpu *cpu);

/* aside.c: from now on these. */
void axvm_move_aside(struct axvm *vm, const int *cpus, size_t count);

/* topology.c: what the guest is told of the plan. NULL when that is nothing. free() ends it, but
 * not before the plan. */
int axvm_topology(const struct axvm *vm, const struct axarch_topology **ret_topology,
		  struct ax_error *err);

/* drift.c: compares what is with the plan, and says in the log what differs. */
void axvm_look_for_drift(struct axvm *vm);

/* build.c: the steps of axvm_create, in order. */
int axvm_build_machine(struct axvm *vm, struct ax_error *err);
int axvm_build_devices(struct axvm *vm, struct ax_error *err);
int axvm_build_vcpus(struct axvm *vm, struct ax_error *err);
int axvm_load_images(struct axvm *vm, struct ax_error *err);

/* devices.c */
int axvm_attach_devices(struct axvm *vm, struct ax_error *err);
/* Make a device and put it on the bus, whose it is then. */
int axvm_attach(struct axvm *vm, const char *class_name, const char *name, const void *config,
		size_t config_size, struct axdev **ret_dev, struct ax_error *err);
/* The same for a virtio device; `place` is that in its config, and is chosen here. */
int axvm_attach_virtio(struct axvm *vm, const char *class_name, const char *name,
		       struct axvirtio_place *place, const void *config, size_t config_size,
		       struct ax_error *err);

/* pci.c: are the devices on PCI? The only place that knows what machine.transport=auto means. */
bool axvm_wants_pci(const struct axvm *vm);
int axvm_build_pci(struct axvm *vm, struct ax_error *err);

/* consoles.c: all that are configured, as one device; is one of them a terminal (hvc0)? */
int axvm_attach_consoles(struct axvm *vm, struct ax_error *err);
bool axvm_has_terminal(const struct axcfg *config);

/* io.c: the I/O threads. stop joins them; what the guest asked for before is still served. */
int axvm_create_io(struct axvm *vm, struct ax_error *err);
void axvm_destroy_io(struct axvm *vm);
int axvm_start_io(struct axvm *vm, struct ax_error *err);
void axvm_stop_io(struct axvm *vm);

/* plan_request.c: what RAM is made of, unless a plan says otherwise. */
enum axas_backing axvm_backing(const struct axcfg *config, const struct axprof *profile);

/* memory.c: before the machine is made, and when it can be given memory. */
int axvm_plan_regions(struct axvm *vm, struct ax_error *err);
int axvm_build_memory(struct axvm *vm, struct ax_error *err);

/* exit.c */
enum axvcpu_verdict axvm_on_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				 struct ax_error *err);

uint64_t axvm_on_hypercall(void *ctx, uint64_t nr, const uint64_t args[6]);

/* stop.c */
void axvm_stop_with(struct axvm *vm, enum axvm_stop_reason reason, struct axvcpu *vcpu,
		    const struct ax_error *error);
void axvm_on_power(void *ctx, enum axdev_power_event event);
void axvm_console_tap(void *ctx, const uint8_t *bytes, size_t count);
size_t axvm_console_filter(void *ctx, uint8_t *bytes, size_t count);
void axvm_settle_stop_reason(struct axvm *vm);
/* Before the start: a guest that has told of its panic is to be stopped soon after. */
int axvm_await_last_words(struct axvm *vm, struct ax_error *err) AX_MUST_CHECK;

/* timeline.c */
void axvm_note_moment(struct axvm *vm, const char *fmt, ...) AX_PRINTF(2, 3);
void axvm_on_mark(void *ctx, uint64_t code);

#endif
