/*
 * pci: a minimal PCI Express host inside the axdevice layer - one root bus of type 0 functions,
 * ECAM configuration space, memory BARs at fixed addresses, and MSI-X. No INTx, no I/O BARs, no
 * bridges, no hot-plug. "PCI" is the PCI Local Bus Specification 3.0, "PCIe" the PCI Express
 * Base 5.0.
 *
 * A function is a device of the bus (struct axdev) whose resource is its BAR, plus 4 KiB of
 * configuration space that the host serves. BARs never move: software that sizes one sees its size,
 * any other value written is ignored and counted, so that no guest can put a BAR over its RAM.
 *
 * Threads: configuration accesses come from any vCPU, several at once, and are serialised by the
 * host's lock; MSI-X tables by the function's own. Neither is taken on the way of an interrupt.
 */
#ifndef AXVM_PCI_H
#define AXVM_PCI_H

#include <axvm/axdevice.h>

#define AXPCI_CONFIG_BYTES 4096U
#define AXPCI_SLOTS        32U /* functions 00:00.0 .. 00:1f.0; 0 is the host bridge itself */

/* ---- the host -------------------------------------------------------------------------------- */

/* Chosen by the machine model (struct axarch_plan). */
struct axpci_host_config {
	uint64_t ecam_gpa;                 /* AXPCI_SLOTS * 8 * 4 KiB for the one bus: 1 MiB */
	uint64_t window_gpa, window_bytes; /* where BARs are placed */
	bool ports;                        /* configuration access by 0xcf8/0xcfc as well (x86) */
};
#define AXPCI_ECAM_BYTES (1ULL << 20)

/* Class "pci-host", type 0x44 (ours): attach it to the bus before the functions. */
extern const struct axdev_class axpci_host_class;
struct axpci_host;
/* The host behind a device of that class; NULL when it is none. */
struct axpci_host *axpci_host_of(struct axdev *dev);

struct axpci_host_stats {
	uint64_t config_reads, config_writes; /* of one to four aligned bytes, wherever they go */
	uint64_t bad_accesses;                /* others: all ones, or ignored */
	uint64_t bar_moves;                   /* writes that would have moved a BAR: ignored */
};
void axpci_host_get_stats(struct axpci_host *host, struct axpci_host_stats *ret_stats);

/* ---- functions ------------------------------------------------------------------------------- */

struct axpci_function;

struct axpci_function_ops {
	/* A write to configuration space that the header and MSI-X do not own: `offset` is within a
	 * capability of the function. Host lock held. May be NULL. */
	void (*write_config)(struct axpci_function *function, uint32_t offset, unsigned width,
			     uint32_t value);
	/* Before such a read: bring config bytes up to date. May be NULL. */
	void (*read_config)(struct axpci_function *function, uint32_t offset, unsigned width);
	/* The command register is another than before. Host lock held. May be NULL. */
	void (*command_changed)(struct axpci_function *function);
};

/* Embedded by a device. The device fills name, identity and ops and calls init; then it adds
 * capabilities and MSI-X. No vCPU runs yet. */
struct axpci_function {
	const struct axpci_function_ops *ops;
	const char *name; /* the device's, for messages */
	uint16_t vendor_id, device_id, subsystem_vendor_id, subsystem_id;
	uint8_t revision;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
	/* the host's */
	struct axpci_host *host;
	uint8_t slot;
	uint8_t config[AXPCI_CONFIG_BYTES];
	uint8_t writable[64]; /* mask of the header's bits that software may change */
	uint32_t next_capability;
	_Atomic uint16_t command; /* as in config, for those without the host's lock */
	struct {
		uint64_t gpa, size_bytes; /* size 0: none. 32-bit memory BAR */
	} bar[6];
	struct axpci_msix *msix;
};

/* Gives the function a free slot, and its BAR 0 of bar_bytes (a power of two, at least 4 KiB) a
 * place in the window: function->bar[0].gpa is then where its axdev resource stands.
 * -ENOSPC when slots or window are full. */
int axpci_function_init(struct axpci_host *host, struct axpci_function *function,
			uint64_t bar_bytes, struct ax_error *err) AX_MUST_CHECK;
/* Adds a capability of `bytes` and returns its offset. `body` is all of it; the first two bytes, id
 * and next pointer, are filled in. What software writes is passed to ops->write_config. */
uint32_t axpci_add_capability(struct axpci_function *function, uint8_t id, const void *body,
			      uint32_t bytes);
void axpci_function_finish(struct axpci_function *function); /* frees slot and MSI-X */
/* Does software let it answer memory accesses (command register)? Any thread, no lock. */
bool axpci_memory_enabled(const struct axpci_function *function);
bool axpci_bus_master(const struct axpci_function *function);
/* Back to power-on: header, MSI-X. */
void axpci_function_reset(struct axpci_function *function);

/* ---- MSI-X (PCI 6.8.2) ----------------------------------------------------------------------- */

#define AXPCI_MSIX_MAX 128U /* vectors of one function */

/* A table of `vectors` and its pending bits inside BAR 0, at offsets that are multiples of 8 and do
 * not overlap; the function passes accesses there to axpci_msix_access. */
int axpci_msix_add(struct axpci_function *function, struct axirq_domain *irqs, unsigned vectors,
		   uint32_t table_offset, uint32_t pba_offset, struct ax_error *err) AX_MUST_CHECK;
/* Is the access within table or pending bits? Then it has been answered. vCPU thread. */
bool axpci_msix_access(struct axpci_function *function, struct axdev_access *access);
/* Send a vector; numbers that do not exist and a disabled MSI-X are ignored. Any thread, no lock.
 */
void axpci_msix_send(struct axpci_function *function, unsigned vector);
/* The eventfd behind a vector, for another sender (vhost), or -1: there is none. What that sends
 * while MSI-X is off may come when it is on again. */
int axpci_msix_fd(const struct axpci_function *function, unsigned vector);
bool axpci_msix_enabled(const struct axpci_function *function); /* any thread, no lock */
unsigned axpci_msix_vectors(const struct axpci_function *function);

#endif
