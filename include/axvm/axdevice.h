/*
 * axdevice: emulated devices and how guest accesses find them - the bus (ports, MMIO and system
 * registers), interrupt lines, doorbells, the character backend of consoles, and the registry of
 * device classes.
 *
 * A device is a struct that embeds struct axdev as its first member and fills in a const struct
 * axdev_ops. It owns its state and its own lock; the bus takes none: dispatch reads an immutable,
 * sorted table that attach and detach replace.
 *
 * Threads: the access hook runs on whichever vCPU made the access, several at once. A device that
 * does work puts it on its I/O loop; nothing in an access hook may block.
 * Guest misbehaviour is answered in the device's own protocol, never by an error to the caller.
 */
#ifndef AXVM_AXDEVICE_H
#define AXVM_AXDEVICE_H

#include <axvm/base.h>
#include <axvm/axaddrspace.h>

/* ---- devices --------------------------------------------------------------------------------- */

enum axdev_space { AXDEV_PORT, AXDEV_MMIO, AXDEV_SYSREG, AXDEV_SPACE_COUNT };

struct axdev_resource {
	enum axdev_space space;
	uint64_t base; /* port number, gpa, or register number */
	uint64_t size; /* ports, bytes, or registers; not 0, base + size must not wrap */
	bool wide;     /* accesses that begin here may end beyond: ports whose width says whose */
};

struct axdev_access {
	enum axdev_space space;
	uint64_t offset;  /* from the start of the resource that was hit */
	uint8_t resource; /* which of the device's resources */
	uint8_t width;    /* bytes: 1, 2, 4, 8; MMIO: 1 to 8, as a page crossing cuts it */
	bool is_write;
	uint64_t value; /* in for writes (zero-extended), out for reads */
};

enum axdev_result {
	AXDEV_HANDLED,
	AXDEV_UNHANDLED, /* as if no device were there: all ones / ignored, and counted */
	AXDEV_FAULT,     /* system registers: the access faults in the guest */
};

struct axdev;
struct axdev_ops {
	enum axdev_result (*access)(struct axdev *dev, struct axdev_access *access);
	/* Back to power-on state; no vCPU is running. May be NULL, as may the next two. */
	void (*reset)(struct axdev *dev);
	/* Quiesce: when suspend returns the device has no work in flight; resume undoes it. */
	int (*suspend)(struct axdev *dev, struct ax_error *err);
	int (*resume)(struct axdev *dev, struct ax_error *err);
	/* Free everything; already detached from the bus and its loop is not running. */
	void (*destroy)(struct axdev *dev);
};

#define AXDEV_MAX_RESOURCES 4
struct axdev {
	const struct axdev_ops *ops;
	const char *class_name; /* "virtio-blk"; static */
	char name[32];          /* unique in its VM: "disk0" */
	struct axdev_resource resource[AXDEV_MAX_RESOURCES];
	uint8_t resource_count;
};
void axdev_destroy(struct axdev *dev); /* NULL is fine */

/* ---- bus ------------------------------------------------------------------------------------- */

struct axbus;

/* What an access that no device claims does (it is always counted and logged with a limit). */
enum axbus_missing_policy {
	AXBUS_MISSING_IGNORE, /* reads give all ones, writes vanish; a system register faults */
	AXBUS_MISSING_FAULT,  /* axbus_access returns -ENXIO and the VM stops with a fault */
};

int axbus_create(enum axbus_missing_policy policy, struct axbus **ret_bus,
		 struct ax_error *err) AX_MUST_CHECK;
/* Destroys the devices that are still attached, last attached first. NULL is fine. */
void axbus_destroy(struct axbus *bus);

/* Takes ownership of dev on success. -EEXIST with both names when a resource overlaps one already
 * there or the name is taken, -EINVAL for an empty or wrapping resource. */
int axbus_attach(struct axbus *bus, struct axdev *dev, struct ax_error *err) AX_MUST_CHECK;
/* Gives ownership back. No access to dev may be running (vCPUs paused or not started). */
int axbus_detach(struct axbus *bus, struct axdev *dev, struct ax_error *err);

/*
 * Any vCPU thread, no lock. `addr` is absolute; access->offset and resource are filled here.
 * Always returns a complete answer in access->value (all ones of the width for a missing read).
 * 0, or 1 for a system register to be refused (AXDEV_FAULT, or missing), or -ENXIO by policy.
 * An access that straddles the end of a resource is missing, unless that is `wide`.
 */
int axbus_access(struct axbus *bus, uint64_t addr, struct axdev_access *access);

/* All devices, in the order of attachment (suspend and reset run in reverse, resume in order). */
struct axdev *axbus_find(const struct axbus *bus, const char *name);
size_t axbus_devices(const struct axbus *bus, struct axdev **devs, size_t max);
void axbus_reset(struct axbus *bus);
int axbus_suspend(struct axbus *bus, struct ax_error *err); /* on failure nothing is suspended */
int axbus_resume(struct axbus *bus, struct ax_error *err);

struct axbus_stats {
	uint64_t accesses[AXDEV_SPACE_COUNT];
	uint64_t missing[AXDEV_SPACE_COUNT];
};
void axbus_get_stats(const struct axbus *bus, struct axbus_stats *ret_stats);

/* ---- interrupt lines ------------------------------------------------------------------------- */

/*
 * The lines into the VM's interrupt controller, by global system interrupt (GSI) number. The
 * architecture's VM supplies the chip; a device claims a line once and then raises it without
 * knowing whether an eventfd or a call stands behind it.
 */
struct axirq_message {
	uint64_t address;
	uint32_t data;
	uint32_t device_id; /* of the sender (PCI: bus, device, function); for controllers that ask
			     */
};

struct axirq_chip {
	/* Drive the pin. */
	int (*set_level)(void *ctx, uint32_t gsi, bool level);
	/* Let a write to event_fd pulse the pin (irqfd). May be NULL: pulses go by set_level. */
	int (*assign_fd)(void *ctx, uint32_t gsi, int event_fd, struct ax_error *err);
	int (*release_fd)(void *ctx, uint32_t gsi, int event_fd);
	uint32_t gsi_first, gsi_count; /* lines that exist */
	/* Message-signalled interrupts: `msi_count` GSIs from msi_first on have no pin; each sends
	 * the message it was given last (MSI route), by its irqfd. NULL message: none. All or none
	 * of the three; control or vCPU thread, may sleep. */
	int (*set_msi)(void *ctx, uint32_t gsi, const struct axirq_message *message,
		       struct ax_error *err);
	uint32_t msi_first, msi_count;
	void *ctx;
};

enum axirq_trigger { AXIRQ_EDGE, AXIRQ_LEVEL };

struct axirq_domain;
struct axirq_line; /* one claimed line; owned by the claimer until released */

int axirq_domain_create(const struct axirq_chip *chip, struct axirq_domain **ret_domain,
			struct ax_error *err) AX_MUST_CHECK;
void axirq_domain_destroy(struct axirq_domain *domain);

/* -EEXIST when another owner holds the line (both named), -ERANGE when the chip has no such line.
 */
int axirq_claim(struct axirq_domain *domain, uint32_t gsi, enum axirq_trigger trigger,
		const char *owner, struct axirq_line **ret_line,
		struct ax_error *err) AX_MUST_CHECK;
void axirq_release(struct axirq_line *line); /* NULL is fine */
uint32_t axirq_gsi(const struct axirq_line *line);
/* Edge line: one interrupt (a write to the irqfd: one system call). Any thread. */
void axirq_pulse(struct axirq_line *line);
/* Level line: drive it; calls that do not change the level cost nothing. Any thread. */
void axirq_set_level(struct axirq_line *line, bool level);
uint64_t axirq_raised(const struct axirq_line *line);

/*
 * Message-signalled interrupts: one struct axirq_msi per vector, with an irqfd of its own, so that
 * sending is one write to an eventfd and KVM delivers to the CPU the message names.
 */
struct axirq_msi; /* owned by the claimer until released */

/* How many more can be claimed; 0 where the chip has none. */
uint32_t axirq_msi_available(const struct axirq_domain *domain);
/* -ENOSPC when all are taken, -ENOTSUP when the chip has none. */
int axirq_msi_claim(struct axirq_domain *domain, const char *owner, struct axirq_msi **ret_msi,
		    struct ax_error *err) AX_MUST_CHECK;
void axirq_msi_release(struct axirq_msi *msi); /* NULL is fine */
/* Where it goes from now on; NULL: nowhere (masked), and what is sent meanwhile is kept as one
 * pending interrupt that the next message delivers. Unchanged messages cost nothing. vCPU thread.
 */
int axirq_msi_set(struct axirq_msi *msi, const struct axirq_message *message);
bool axirq_msi_pending(const struct axirq_msi *msi); /* sent while masked */
void axirq_msi_send(struct axirq_msi *msi);          /* any thread; one system call */
int axirq_msi_fd(const struct axirq_msi *msi);       /* its eventfd, for another sender (vhost) */
uint64_t axirq_msi_sent(const struct axirq_msi *msi);

/* ---- what a VM offers to its devices --------------------------------------------------------- */

/* Let a guest write of exactly `width` bytes (of `match`, when has_match) at an address signal
 * event_fd without the vCPU leaving the kernel (ioeventfd). */
struct axdev_doorbell {
	enum axdev_space space; /* PORT or MMIO */
	uint64_t addr;
	uint8_t width; /* 0: any width, without match (MMIO only) */
	bool has_match;
	uint64_t match;
	int event_fd;
};

struct axdev_services {
	struct axas *memory;
	struct axirq_domain *irqs;
	/* NULL when the VM cannot: the device's access hook then sees the write itself. */
	int (*assign_doorbell)(void *ctx, const struct axdev_doorbell *doorbell,
			       struct ax_error *err);
	int (*release_doorbell)(void *ctx, const struct axdev_doorbell *doorbell);
	void *ctx;
	struct ax_loop *io_loop; /* the loop of the I/O thread this device is served by */
	/* All I/O threads' loops, over which a device with several queues spreads them, beginning
	 * with io_first. None: everything is on io_loop. */
	struct ax_loop *const *io_loops;
	unsigned io_loop_count;
	unsigned io_first;
	/* Of each vCPU the loop that is near it, an index; NULL: none is nearer than another. A
	 * driver gives the queues of a device to its CPUs in order, each an equal part of them: the
	 * loop follows. */
	const uint32_t *io_of_vcpu;
	uint32_t vcpu_count;
};

/* ---- character backends ---------------------------------------------------------------------- */

/*
 * Where a console's bytes go and come from. Output from a vCPU thread lands in a bounded ring
 * that the loop's thread drains, so a slow terminal never blocks a vCPU; input stops being read
 * while the device has no room. Bounded both ways: nothing a guest prints grows the monitor.
 */
struct axchr;

struct axchr_config {
	int in_fd;  /* -1: none. Not owned. */
	int out_fd; /* -1: output is discarded. Not owned. */
	/* Sees every output byte on the loop's thread (console log, panic watch). May be NULL. */
	void (*output_tap)(void *ctx, const uint8_t *bytes, size_t count);
	/* Sees input before the guest: edits bytes in place, returns how many remain (escape
	 * keys). May be NULL. */
	size_t (*input_filter)(void *ctx, uint8_t *bytes, size_t count);
	void *ctx;
	/*
	 * Not NULL: instead of the two descriptors (-1 then) a Unix stream socket is made there,
	 * mode 0600, and removed at the end; one nobody listens on any more is replaced. One client
	 * at a time, others wait for their turn; what is sent while there is none is discarded. A
	 * client may end its sending (shutdown(2)) and go on reading; it has left when it has
	 * closed and the device has taken all it sent.
	 */
	const char *socket_path;
};

/* The device side: called on the loop's thread. */
struct axchr_device {
	size_t (*can_receive)(void *dev); /* bytes it can take now */
	void (*receive)(void *dev, const uint8_t *bytes, size_t count);
	void (*can_send)(void *dev); /* the ring has room again after axchr_send fell short */
	void *dev;
	/* In place of can_receive and receive, for devices that cannot promise room: takes what it
	 * can and returns how much. After less than count, axchr_resume_input asks again. */
	size_t (*take)(void *dev, const uint8_t *bytes, size_t count);
	/* axchr_is_open has another answer. May be NULL. */
	void (*open_changed)(void *dev);
};

/* With socket_path: -ENAMETOOLONG, -EADDRINUSE when somebody listens there, -EEXIST for what is no
 * socket, or what bind(2) gave. */
int axchr_create(const struct axchr_config *config, struct ax_loop *loop, struct axchr **ret_chr,
		 struct ax_error *err) AX_MUST_CHECK;
void axchr_destroy(struct axchr *chr);
/* On the loop's thread or while it is not running. `device` is copied; NULL unbinds. */
void axchr_bind(struct axchr *chr, const struct axchr_device *device);
/* Is there somebody at the other end? Always, but for sockets. On the loop's thread. */
bool axchr_is_open(const struct axchr *chr);
struct ax_loop *axchr_loop(const struct axchr *chr); /* the one it was created with */
/* Any thread, never blocks: how many bytes were taken. */
size_t axchr_send(struct axchr *chr, const uint8_t *bytes, size_t count);
/* The device has room again (its FIFO was read): input resumes. Any thread. */
void axchr_resume_input(struct axchr *chr);
/* Loop's thread stopped: write out what is left in the ring, for at most timeout_ms. */
void axchr_flush(struct axchr *chr, unsigned timeout_ms);

/* ---- registry -------------------------------------------------------------------------------- */

/*
 * Every device class there is, in one explicit array (src/axdevice/registry.c): adding a device is
 * one file and one line there. `config` points to the class's own config struct.
 */
struct axdev_class {
	const char *name;    /* "virtio-blk" */
	uint32_t type;       /* number in configuration files: 0xE1 ... */
	const char *summary; /* one line for listings */
	size_t config_size;
	int (*create)(const char *name, const void *config, const struct axdev_services *services,
		      struct axdev **ret_dev, struct ax_error *err);
};
const struct axdev_class *axdev_class_by_name(const char *name); /* NULL: unknown */
const struct axdev_class *axdev_class_by_type(uint32_t type);
const struct axdev_class *axdev_class_at(size_t index); /* NULL past the end */
/* Create by class name; unknown names give AX_ERROR_DEVICE_NOT_FOUND listing the known ones. */
int axdev_create(const char *class_name, const char *name, const void *config, size_t config_size,
		 const struct axdev_services *services, struct axdev **ret_dev,
		 struct ax_error *err) AX_MUST_CHECK;

/* ---- devices that need no bus protocol of their own ------------------------------------------ */

/* 16550A UART, class "uart16550", type 2. */
struct axdev_uart16550_config {
	enum axdev_space space; /* PORT or MMIO */
	uint64_t base;
	uint8_t reg_shift; /* 0 for ports; register n stands at n << reg_shift */
	uint32_t gsi;
	enum axirq_trigger trigger; /* edge when not set */
	struct axchr *chr;          /* not owned, outlives the device */
};

/* Arm PrimeCell UART r1p5 (DDI 0183), class "pl011", type 0x42 (ours): 4 KiB of MMIO. */
struct axdev_pl011_config {
	uint64_t base;
	uint32_t gsi;      /* level */
	struct axchr *chr; /* not owned, outlives the device; NULL: nothing is plugged in */
};

/* Arm PrimeCell real-time clock (DDI 0224), class "pl031", type 0x43 (ours): 4 KiB of MMIO. Shows
 * the host's CLOCK_REALTIME. Its alarm waits on the services' io_loop; without one it is seen by
 * the next access. */
struct axdev_pl031_config {
	uint64_t base;
	uint32_t gsi; /* level */
};

/*
 * Registers by which a guest ends or restarts the machine, as a table: a write of `value` (under
 * `mask`) at an address reports an event. Class "power", type 0x40 (ours).
 */
enum axdev_power_event { AXDEV_POWER_OFF, AXDEV_POWER_RESET, AXDEV_POWER_PANIC };
struct axdev_power_rule {
	enum axdev_space space;
	uint64_t addr;
	uint8_t width; /* 0: any */
	uint64_t mask, value;
	enum axdev_power_event event;
};
struct axdev_power_config {
	const struct axdev_power_rule *rules; /* copied */
	size_t rule_count;
	/* On the vCPU's thread. */
	void (*on_event)(void *ctx, enum axdev_power_event event);
	void *ctx;
};

/* Class "hypercall-doorbell", type 0x41 (ours): a 64-byte MMIO block of nr, six arguments and a
 * result, called by a write to its last word; see docs/hypercall.md. */
struct axdev_hypercall_config {
	uint64_t base;
	/* Returns the result; nr unknown: -ENOSYS as a 64-bit value. On the vCPU's thread. */
	uint64_t (*call)(void *ctx, uint64_t nr, const uint64_t args[6]);
	void *ctx;
};

#endif
