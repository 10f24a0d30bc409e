/*
 * What the files of the axvm layer share: the VM itself, top-down in the order it is built and
 * torn down in reverse.
 */
#ifndef AXVM_VM_PRIVATE_H
#define AXVM_VM_PRIVATE_H

#include <axvm/axvm.h>
#include <axvm/host.h>
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
};

struct axvm {
	const struct axcfg *config; /* not owned */
	struct axvm_options options;
	_Atomic int state;

	const struct axarch *arch;
	const struct axprof *profile;
	struct axarch_plan plan;

	struct ax_loop *io_loops[AXCFG_MAX_IO]; /* of the threads "io N" */
	struct axvm_io_thread io_threads[AXCFG_MAX_IO];
	unsigned io_count;
	int stop_fd; /* eventfd, see axvm_stop_fd */

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
	/* How much of each watched text has passed, and which have been seen; I/O thread. */
	uint32_t text_matched[AXVM_CONSOLE_TEXTS];
	bool text_seen[AXVM_CONSOLE_TEXTS];

	_Atomic uint64_t errors, hardware_failures, timeouts, hypercalls;
	_Atomic uint64_t start_ns, end_ns;
	_Atomic bool expired; /* the time limit has passed */
	/* At the last reset, and what guards it between its writer and readers. */
	pthread_mutex_t metrics_lock;
	struct axvm_metrics metrics_base;

	_Atomic uint32_t moment_count;
	_Atomic bool moment_noted[VM_MAX_MOMENTS]; /* it may be read */
	struct axvm_moment moments[VM_MAX_MOMENTS];
};

/* state.c: the only writer of vm->state. */
int axvm_move(struct axvm *vm, enum vm_operation operation, struct ax_error *err);

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

/* timeline.c */
void axvm_note_moment(struct axvm *vm, const char *fmt, ...) AX_PRINTF(2, 3);
void axvm_on_mark(void *ctx, uint64_t code);

#endif
