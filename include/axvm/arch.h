/*
 * arch: the seam. Everything an architecture decides stands behind one const table, struct axarch;
 * above it nothing can tell architectures apart, below it each keeps its own types.
 *
 * An architecture composes the common parts: it turns a request into a memory layout, makes the
 * hypervisor's VM with its interrupt controller, says how memory, lines and doorbells reach it,
 * attaches its platform devices to the common bus, makes vCPUs (struct axvcpu_ops), and puts
 * kernel, initrd, command line and machine description into guest memory.
 *
 * `generic` is a scripted fake that runs on any machine without KVM (tests). Model files (CPUID,
 * ACPI, boot protocols) compile everywhere; native kvm_*.c files only for their target.
 */
#ifndef AXVM_ARCH_H
#define AXVM_ARCH_H

#include <axvm/base.h>
#include <axvm/axaddrspace.h>
#include <axvm/axvcpu.h>
#include <axvm/axdevice.h>

struct axarch_vm; /* the architecture's own VM */

enum axarch_irq_mode {
	AXARCH_IRQ_EMULATED, /* interrupt controllers in KVM */
	AXARCH_IRQ_NONE,     /* no interrupt controller: payloads that poll */
};

/* The serial port. */
enum axarch_uart {
	AXARCH_UART_AUTO, /* the one that the architecture's kernels know best */
	AXARCH_UART_16550,
	AXARCH_UART_PL011, /* aarch64 */
};

/* How a guest CPU waits for something; bits of own_waits. They are x86's, elsewhere ignored. */
enum axarch_wait {
	AXARCH_WAIT_HALT = 0x1,   /* HLT; where MWAIT is given it exits nevertheless */
	AXARCH_WAIT_PAUSE = 0x2,  /* PAUSE, again and again: for a lock */
	AXARCH_WAIT_MWAIT = 0x4,  /* MONITOR and MWAIT, told to the guest only then */
	AXARCH_WAIT_CSTATE = 0x8, /* counters of how long the core slept */
};

/* What a hypervisor does for guests that know of it; bits of no_paravirt. x86: KVM's. */
enum axarch_paravirt {
	AXARCH_PARAVIRT_ASYNC_PF = 0x1,     /* goes on while the host fetches a page */
	AXARCH_PARAVIRT_STEAL_TIME = 0x2,   /* is told when its CPUs do not run */
	AXARCH_PARAVIRT_EOI = 0x4,          /* ends interrupts without an exit */
	AXARCH_PARAVIRT_UNHALT = 0x8,       /* waits for locks in HLT */
	AXARCH_PARAVIRT_TLB_FLUSH = 0x10,   /* CPUs that do not run flush when they do */
	AXARCH_PARAVIRT_SEND_IPI = 0x20,    /* IPIs to many CPUs by one exit */
	AXARCH_PARAVIRT_SCHED_YIELD = 0x40, /* gives way to a CPU that it waits for */
};

/* What guest CPUs look like and which of their instructions exit: a profile's wish (profile.h).
 * What the hypervisor lacks is never missed. All zero: everything that it has, every exit. */
struct axarch_cpu_policy {
	bool mask_paravirt; /* hide the KVM leaves (bare payloads on partial KVMs) */
	/* 0: one socket, vcpu_count cores, 1 thread, one last level cache a socket. */
	uint32_t sockets, cores, threads, llcs;
	uint32_t own_waits;   /* enum axarch_wait: without an exit */
	uint32_t no_paravirt; /* enum axarch_paravirt: left out */
	bool realtime;        /* tell that these CPUs are never taken away for long */
	/* Leave out what the processor lacks, or the hypervisor keeps to itself, so that each use
	 * of it is an exit. x86: TSC_ADJUST; UMIP where it is emulated. */
	bool no_emulated;
};

/*
 * Nodes of memory and CPUs, and who shares a core, as a plan decided them; an architecture tells
 * them to the guest (SRAT, SLIT and CPUID; numa-node-id, distance-map and cpu-map) and decides
 * nothing. `plan` refuses what cannot be: sizes that do not add up, a node that is not there or has
 * neither memory nor CPUs, distances that are none, more CPUs on a core than it has threads, a core
 * of two caches, a package across nodes; on x86 packages or threads beside hardware_ids, which
 * would not show them. `load` refuses it beside a given device tree, which has a topology of its
 * own.
 */
#define AXARCH_MAX_NODES 64
struct axarch_topology {
	uint32_t node_count; /* 0: the guest is told of no nodes */
	/* Of each node, in whole pages, together memory_bytes; node 0's is the lowest, and so on.
	 * 0: a node of CPUs alone; anything else is at least 1 MiB. */
	const uint64_t *node_bytes;
	const uint32_t *vcpu_nodes; /* of each vCPU; a node may have none */
	/* node_count x node_count, from row to column, as ACPI 6.4 5.2.17 has them: 10 on the
	 * diagonal, more elsewhere, 255 is unreachable. NULL: none are told. */
	const uint8_t *distances;
	uint32_t threads_per_core; /* 0: 1 */
	/* Of each vCPU, any numbers. NULL: the package is the node, or the only one; and the vCPUs
	 * of a package fill its cores in order of their index. */
	const uint32_t *vcpu_packages, *vcpu_cores;
	/* Of each vCPU, any numbers: those of a package with the same share its last level cache.
	 * A core's vCPUs have the same. NULL: a package has one. Without vcpu_cores the vCPUs of
	 * each cache fill cores. x86's, elsewhere ignored. */
	const uint32_t *vcpu_llcs;
};

struct axarch_vm_config {
	const char *name; /* for messages; copied */
	uint32_t id;
	uint32_t vcpu_count;
	const uint32_t *hardware_ids; /* vcpu_count ids the guest reads; NULL: 0, 1, 2 ... */
	uint64_t memory_bytes;
	enum axarch_irq_mode irq_mode;
	bool acpi;            /* describe the machine by ACPI (where the architecture has it) */
	bool mp_table;        /* x86: also by an MP table, for acpi=off */
	bool legacy_pit;      /* x86: a PIT in KVM */
	uint32_t gic_version; /* aarch64: 2, 3, or 0 for the newest KVM has; else 0 */
	enum axarch_uart uart;
	struct axarch_cpu_policy cpu;
	/* Borrowed for the call; NULL: no nodes, and CPUs as `cpu` says, which else says nothing of
	 * sockets, cores and threads. */
	const struct axarch_topology *topology;
	const char *kvm_device; /* NULL: /dev/kvm */
};

/* Where things go. Filled by plan, kept by axvm, handed back to the other hooks. */
#define AXARCH_MAX_MEMORY_RANGES (AXARCH_MAX_NODES + 1) /* a hole cuts one in two */
struct axarch_plan {
	struct axas_layout layout;
	struct {
		uint64_t gpa, size_bytes;
		uint32_t node;              /* of the topology; 0 without */
	} memory[AXARCH_MAX_MEMORY_RANGES]; /* RAM, in gpa order; each on one node */
	size_t memory_count;
	uint64_t gpa_limit;
	/* virtio-mmio windows: slot i stands at device_gpa + i * device_stride. */
	uint64_t device_gpa, device_stride;
	uint32_t device_count; /* slots there are lines for */
	uint32_t device_gsi[32];
	/* Where a PCI host goes; ecam_gpa 0: this architecture has none yet. */
	struct {
		uint64_t ecam_gpa, window_gpa, window_bytes;
		bool ports; /* configuration access by I/O ports too */
	} pci;
};

enum axarch_boot_protocol {
	AXARCH_BOOT_AUTO,
	AXARCH_BOOT_LINUX64, /* x86: bzImage or ELF by the 64-bit entry; else Image */
	AXARCH_BOOT_LINUX32, /* x86: bzImage by the 32-bit protected-mode entry */
	AXARCH_BOOT_PVH,     /* x86: ELF with the PVH note */
	AXARCH_BOOT_FLAT,    /* raw bytes at load_gpa, started at entry */
};

/* Images are open files of the caller; names are for messages. */
struct axarch_boot {
	int kernel_fd; /* -1: nothing to load, the caller has put code into memory itself */
	const char *kernel_name;
	int initrd_fd; /* -1: none */
	const char *initrd_name;
	const char *cmdline; /* complete but for device announcements */
	/* A device tree to be patched, where others are made up. Architectures without refuse it.
	 */
	const char *dtb_name; /* NULL: none */
	int dtb_fd;
	enum axarch_boot_protocol protocol;
	uint64_t load_gpa, entry; /* FLAT only; entry 0 means load_gpa */
	/* x86 FLAT: 16 real mode, 32 protected, 64 long mode with the low 4 GiB mapped. */
	unsigned flat_bits;
};

/* How the guest learns of its devices. */
enum axarch_announce {
	AXARCH_ANNOUNCE_AUTO = 0,      /* the way this architecture's kernels take it */
	AXARCH_ANNOUNCE_TABLES = 0x1,  /* in ACPI / FDT */
	AXARCH_ANNOUNCE_CMDLINE = 0x2, /* virtio_mmio.device= on the command line */
	AXARCH_ANNOUNCE_BOTH = 0x3,
};

/* A device the guest must be told about. */
struct axarch_device {
	enum { AXARCH_DEVICE_VIRTIO_MMIO } kind;
	uint64_t gpa, size_bytes;
	uint32_t gsi;
};

struct axarch_machine {
	const struct axarch_device *devices;
	size_t device_count;
	enum axarch_announce announce;
	bool has_serial;
	bool has_pci; /* the PCI host of the plan is there */
};

/* What the platform devices of an architecture need from the VM. */
struct axarch_platform {
	struct axbus *bus;
	const struct axdev_services *services;
	struct axchr *serial; /* NULL: no serial port */
	void (*on_power)(void *ctx, enum axdev_power_event event);
	/* Diagnostic codes of the guest (x86: POST port 0x80); the timeline's marks. */
	void (*on_mark)(void *ctx, uint64_t code);
	uint64_t (*on_hypercall)(void *ctx, uint64_t nr, const uint64_t args[6]);
	void *ctx;
};

/* One answer of probe, printed by `axvm doctor` and `axvm selftest`. */
struct axarch_fact {
	const char *name; /* "KVM_CAP_IRQFD", "vmx/svm" */
	bool required;
	int value;        /* 0: absent */
	const char *what; /* what AxVM uses it for */
};

/*
 * The table. Every hook is called from the control thread, one at a time for one VM, and returns
 * 0 or a negative errno with err filled; create hooks give ownership to the caller and leave
 * nothing behind when they fail.
 */
struct axarch {
	const char *name; /* "x86_64" */

	/* The kernel command line when the user gives none: without and with a serial console. */
	const char *cmdline_silent, *cmdline_serial;
	const char *cmdline_no_pci; /* added when there is no PCI host */

	/* Is this machine mine (was this table's native half built)? */
	bool (*ident)(void);

	/* The gate (H1): can VMs run here at all? Distinct error kinds, nothing kept open. */
	int (*probe)(const char *kvm_device, struct ax_error *err);
	/* Everything found out about this host's KVM; returns how many facts there are. Never
	 * fails: an absent KVM shows as absent facts. */
	size_t (*facts)(const char *kvm_device, struct axarch_fact *facts, size_t max);

	/* Pure: request -> layout. Refuses sizes and counts out of range, naming the range. */
	int (*plan)(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		    struct ax_error *err);

	int (*vm_create)(const struct axarch_vm_config *config, const struct axarch_plan *plan,
			 struct axarch_vm **ret_vm, struct ax_error *err);
	void (*vm_destroy)(struct axarch_vm *vm); /* NULL is fine; vCPUs are gone */

	/* How the common parts reach this VM. */
	void (*vm_mapper)(struct axarch_vm *vm, struct axas_mapper *ret_mapper);
	void (*vm_irq_chip)(struct axarch_vm *vm, struct axirq_chip *ret_chip);
	int (*assign_doorbell)(void *vm, const struct axdev_doorbell *doorbell,
			       struct ax_error *err);
	int (*release_doorbell)(void *vm, const struct axdev_doorbell *doorbell);

	/* Attach UART, power registers and whatever else the platform has to the bus. */
	int (*platform_attach)(struct axarch_vm *vm, const struct axarch_platform *platform,
			       struct ax_error *err);

	/* The vCPU's ops and its impl (owned by the caller until given to axvcpu_create). */
	int (*vcpu_create)(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
			   void **ret_impl, struct ax_error *err);

	/* Put images and tables into memory and remember the start state, which the vCPUs' setup
	 * hook loads. Called once per boot, before axvcpu_setup. */
	int (*load)(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
		    const struct axarch_machine *machine, struct ax_error *err);

	/* A statistic of the hypervisor's own of one vCPU; -ENOENT when it has none of that name.
	 * Any thread, while vCPU and VM are there; the vCPU is not stopped. "exits" are all, and
	 * these their causes under names of ours: "io_exits", "mmio_exits", "sysreg_exits",
	 * "halt_exits", "yield_exits" (the guest waits for another CPU), "hypercalls",
	 * "fault_exits" (a page was missing), "irq_exits" (the host was interrupted),
	 * "irq_window_exits", "signal_exits" (to userspace). All others have the hypervisor's. */
	int (*vcpu_stat)(struct axarch_vm *vm, uint32_t vcpu, const char *name,
			 uint64_t *ret_value);

	/* Prove that this host's KVM does what a boot needs: run payloads, call report once per
	 * check. Returns the number of failed checks. */
	int (*selftest)(const char *kvm_device,
			void (*report)(void *ctx, const char *check, int status,
				       const char *detail),
			void *ctx);

	/* Behind all that may not be NULL: every hook refuses, and users are not offered it. */
	bool unfinished;
};
enum { AXARCH_SELFTEST_PASS, AXARCH_SELFTEST_FAIL, AXARCH_SELFTEST_SKIP };

/* An architecture is a directory of src/arch and one line in its meson.build. */
const struct axarch *axarch_native(void);              /* this machine's; never NULL */
const struct axarch *axarch_by_name(const char *name); /* NULL: unknown */
const struct axarch *axarch_at(size_t index);          /* NULL past the end */
/* What a configuration names; "auto" or NULL: this machine's. */
int axarch_choose(const char *name, const struct axarch **ret_arch, struct ax_error *err);

#endif
