/*
 * virtio: paravirtual devices inside the axdevice layer - the split virtqueue with every check on
 * what a guest writes, the device classes, and the transport that shows them to the guest.
 * "Spec" is VIRTIO 1.2 (OASIS CS01); section numbers refer to it.
 *
 *      driver (guest, vCPU threads)              device (AxVM, I/O loop thread)
 *
 *   1 fills descriptors        desc table      5 copies each descriptor once, checks it,
 *     [addr len flags next] <--------------->    turns the chain into an iovec array
 *   2 avail.ring[i] = head     avail ring      4 reads avail.idx: how many heads are new
 *     avail.idx = i + 1     ---------------->
 *   3 reads avail_event / NO_NOTIFY, kicks  --- doorbell eventfd -->  wakes the I/O loop
 *                              used ring       6 used.ring[j] = {head, bytes written}
 *     consumes the buffers  <----------------  7 used.idx = j + n, once per batch
 *   9 interrupt handler     <---- line ------  8 reads used_event / NO_INTERRUPT, interrupts
 *
 * Ring rules (Spec 2.7), which this layer keeps so that devices need not know them:
 *
 * - All three areas belong to the guest and may change at any moment. Nothing in them is read
 *   twice: a descriptor is copied, the copy is checked, the copy is used.
 * - Ring addresses, size and features are latched when the driver sets DRIVER_OK; what it writes
 *   into the registers later has no effect until the next reset. Rings lie wholly in guest memory
 *   (the used ring in writable memory), each contiguous on the host, aligned 16 / 2 / 4, and do
 *   not overlap (2.7, 4.2.2.2).
 * - Indices are 16-bit and free-running; entry i of a ring is slot i mod size. A driver never has
 *   more heads out than the queue has slots: avail.idx - used.idx <= size, modulo 2^16 (2.7.13.3).
 * - A chain has at most `size` descriptors and 2^32 bytes (2.7.5.3.1, 2.7.5.2); all readable
 *   descriptors stand before the first writable one (2.7.4.2). INDIRECT needs the negotiated
 *   feature, excludes NEXT, does not nest, and its table is a multiple of 16 bytes, not empty
 *   (2.7.5.3). The WRITE flag of an INDIRECT descriptor is ignored (2.7.5.3.2).
 * - A descriptor of zero bytes is accepted and carries nothing: the split ring does not forbid it,
 *   and message framing must not matter (2.7.4). Its address is not looked at.
 * - Who violates a rule gets DEVICE_NEEDS_RESET and a configuration interrupt (2.1.2); the device
 *   then touches no ring until the driver resets it. The violation has a type (enum axvq_error),
 *   is counted, and is logged with a limit. Nothing else in the VM or on the host is affected.
 * - Entries are put into the used ring as requests end, and shown to the driver in one store of
 *   used.idx per batch. A full fence stands between that store and the read of used_event or
 *   NO_INTERRUPT (2.7.7.2), and between enabling kicks and re-reading avail.idx (2.7.10).
 *
 * Threads: registers are reached from any vCPU. Each queue belongs to one loop ("I/O thread"), and
 * everything about its ring happens there, except between a reset and DRIVER_OK, when the I/O
 * threads are kept out and the vCPU that writes the status register does the work. The queues of a
 * device may stand on several loops; a queue and what is only its own needs no lock. No function
 * here blocks, with one exception: a status write of 0 or FAILED, stopping a queue and suspending
 * return only after the I/O thread has left and all requests in flight have ended, because a driver
 * may reuse its memory then (2.4.2).
 */
#ifndef AXVM_VIRTIO_H
#define AXVM_VIRTIO_H

#include <axvm/axdevice.h>
#include <axvm/pci.h>
#include <linux/virtio_ring.h>

/* ---- split virtqueue ------------------------------------------------------------------------- */

enum axvq_error {
	AXVQ_OK,
	/* found when the queue is set up */
	AXVQ_SIZE,         /* 0, not a power of two, or more than the device offers */
	AXVQ_ALIGNMENT,    /* descriptor table 16, avail ring 2, used ring 4 */
	AXVQ_RING_OUTSIDE, /* a ring wraps, or is not contiguous memory of the right access */
	AXVQ_RING_OVERLAP,
	/* found while taking a chain */
	AXVQ_AVAIL_JUMP, /* more heads out than the queue has slots */
	AXVQ_HEAD,       /* head >= size */
	AXVQ_NEXT,       /* next >= size, or >= the entries of an indirect table */
	AXVQ_LENGTH,     /* more descriptors than the queue size: a loop; or more than 2^32 bytes */
	AXVQ_INDIRECT_FEATURE,
	AXVQ_INDIRECT_NESTED,
	AXVQ_INDIRECT_NEXT,
	AXVQ_INDIRECT_LENGTH,
	AXVQ_INDIRECT_OUTSIDE,
	AXVQ_ADDRESS,  /* a buffer wraps, touches unmapped memory, or is read-only and writable */
	AXVQ_ORDER,    /* readable after writable */
	AXVQ_SEGMENTS, /* the chain needs more iovecs than the device has */
	/* found by the device */
	AXVQ_PROTOCOL, /* the buffers cannot hold even the device's answer */
	AXVQ_ERROR_COUNT
};
const char *axvq_error_name(enum axvq_error error); /* "avail-jump"; never NULL */

/* What a driver has programmed; guest addresses and entries, not yet checked. */
struct axvq_setup {
	uint64_t desc_gpa;
	uint64_t avail_gpa; /* "driver area" */
	uint64_t used_gpa;  /* "device area" */
	uint32_t size;      /* entries, as written: wider than legal so that nothing is cut off */
};

/*
 * One queue, embedded in its owner and touched by one thread at a time. Zero-initialised it is
 * inactive, and pop finds nothing. Fields are read-only for everyone but the functions below.
 */
struct axvq {
	const struct axas *memory; /* not owned */
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint32_t size; /* entries; 0: inactive */
	bool event_idx;
	bool indirect;
	uint16_t next_avail;    /* the entry pop takes next */
	uint16_t seen_avail;    /* avail.idx as last read */
	uint16_t next_used;     /* where push puts its entry */
	uint16_t shown_used;    /* used.idx as last published */
	enum axvq_error broken; /* once set, pop and publish do nothing until the next start */
};

/* A chain in host terms: `readable` vectors for the device to read, then `writable` to write. */
struct axvq_chain {
	struct iovec *iov; /* the caller's array */
	uint32_t readable;
	uint32_t writable;
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	uint16_t head; /* give this to push */
};

/*
 * Check and latch. `features` are the negotiated ones. -EPROTO and *ret_why for what the driver
 * did wrong (vq is then inactive), 0 otherwise. Both indices start at 0.
 */
int axvq_start(struct axvq *vq, const struct axas *memory, const struct axvq_setup *setup,
	       uint32_t max_size, uint64_t features, enum axvq_error *ret_why);
void axvq_stop(struct axvq *vq); /* back to inactive */

/*
 * Take the next chain. 1: *ret_chain is filled, its vectors are in iov[0..iov_max-1] and stay valid
 * memory until axas_destroy. 0: nothing new. -EPROTO: vq->broken says why, now and for every later
 * call. Never allocates; does at most 2 * size steps.
 */
int axvq_pop(struct axvq *vq, struct iovec *iov, unsigned iov_max, struct axvq_chain *ret_chain);
/* Undo the last pop, which found a chain that was neither pushed nor begun: pop finds it again. */
void axvq_unpop(struct axvq *vq);
/* Give a chain back with the bytes written into it; the driver sees it after publish. Any order. */
void axvq_push(struct axvq *vq, uint16_t head, uint32_t written_bytes);
/* Show everything pushed since the last publish. true: the driver wants an interrupt now. */
bool axvq_publish(struct axvq *vq);
/* Ask the driver not to kick (a hint) while the queue is being drained. */
void axvq_disable_kicks(struct axvq *vq);
/* Ask for a kick with the next chain. true: chains came in meanwhile, drain again. */
bool axvq_enable_kicks(struct axvq *vq);
bool axvq_has_chains(const struct axvq *vq); /* would pop find one, or a violation? */

/* ---- device classes -------------------------------------------------------------------------- */

#define AXVIRTIO_MAX_QUEUES     64
#define AXVIRTIO_MAX_QUEUE_SIZE 1024

struct axvirtio;
struct axvirtio_core; /* status, features, queues, eventfds: transport-neutral, opaque */

/* The I/O thread is out of the device while activate and reset run (on a vCPU's thread). */
struct axvirtio_ops {
	/* Just bound to a transport: device->core and the queues' loops are there (axvirtio_loop),
	 * for events and timers of the device's own. Control thread, loops not running; may be
	 * NULL. What it makes, unbound ends. */
	int (*bound)(struct axvirtio *device, struct ax_error *err);
	/* The transport goes away, or bound has failed; another may come. Control thread, loops not
	 * running, nothing in flight; may be NULL. */
	void (*unbound)(struct axvirtio *device);
	/* DRIVER_OK, with features negotiated and queues checked. May be NULL. A negative errno
	 * makes the device ask for a reset. */
	int (*activate)(struct axvirtio *device, uint64_t features);
	/* Forget the driver. Nothing is in flight. May be NULL. */
	void (*reset)(struct axvirtio *device);
	/* For devices that lend queues (axvirtio_lend); all three are NULL for others. start: work
	 * may begin, after activate, or go on after a suspend; a negative errno makes the device
	 * ask for a reset. stop: no work from now on, and when it returns nobody is in the rings;
	 * it may come again, or without a start. interrupt_moved: axvirtio_interrupt_fd of a lent
	 * queue has changed, after DRIVER_OK. vCPU or control thread, not at the same time. */
	int (*start)(struct axvirtio *device);
	void (*stop)(struct axvirtio *device);
	void (*interrupt_moved)(struct axvirtio *device, unsigned index);
	/* The queue's I/O thread: chains may wait in queue `index`. Usually calls axvirtio_serve.
	 */
	void (*handle_queue)(struct axvirtio *device, unsigned index);
	/* Queues of one group stand on one loop, groups are spread. NULL: each is its own group. */
	unsigned (*queue_group)(const struct axvirtio *device, unsigned index);
	/* The driver wrote `width` bytes at `offset`, all inside the config space. NULL: config is
	 * read-only and writes are ignored. Called with the config lock held. */
	void (*write_config)(struct axvirtio *device, uint32_t offset, const uint8_t *bytes,
			     unsigned width);
	void (*destroy)(struct axvirtio *device);
};

/* Embedded as first member by a device, which fills everything above `core` before binding. */
struct axvirtio {
	const struct axvirtio_ops *ops;
	const char *class_name;     /* "virtio-blk"; static */
	uint32_t device_id;         /* VIRTIO_ID_* */
	uint64_t features;          /* device bits; VERSION_1, INDIRECT_DESC and EVENT_IDX are
				     * offered for every device without being listed here */
	unsigned queue_count;       /* 1..AXVIRTIO_MAX_QUEUES */
	const uint16_t *queue_max;  /* entries per queue, powers of two, <= MAX_QUEUE_SIZE */
	void *config;               /* the device's config space, little-endian; may be NULL */
	uint32_t config_size;       /* bytes */
	struct axvirtio_core *core; /* NULL until a transport has bound the device */
	struct ax_loop *own_loop;   /* the core's, until the device is destroyed; else NULL */
};

/* --- for devices, on the queue's I/O thread, inside handle_queue, between enter and leave, or
 * while a hold lasts --- */

/* As axvq_pop, and a violation has already put the device into DEVICE_NEEDS_RESET. Also finds
 * nothing while a reset or suspend is waiting, so that a batch ends early then. */
int axvirtio_pop(struct axvirtio *device, unsigned index, struct iovec *iov, unsigned iov_max,
		 struct axvq_chain *ret_chain);
/* As axvq_push; counts one request of `bytes` moved. What one round of the loop pushes is
 * published, and the driver interrupted at most once, at the end of that round. */
void axvirtio_push(struct axvirtio *device, unsigned index, uint16_t head, uint32_t written_bytes,
		   uint64_t bytes);
/* Publish at once, for who cannot wait for the end of the round. */
void axvirtio_publish(struct axvirtio *device, unsigned index);
/* Give back the chain taken last, unused: the next pop takes it again. */
void axvirtio_unpop(struct axvirtio *device, unsigned index);
/* The request that is about to be pushed ends with an error status: counted. */
void axvirtio_count_error(struct axvirtio *device, unsigned index);
/* The guest broke the protocol in a way that the device cannot answer in its own terms. */
void axvirtio_fail(struct axvirtio *device, unsigned index, enum axvq_error why);

/*
 * Drain a queue: call `one` until it returns 0 (empty: then take kicks again, when the loop has
 * nothing else to do, and look at the queue until then) or less (failed, or no more can be taken
 * now: whoever said so sees to it that the queue is woken). At most one queue size of chains per
 * call, and none begun after 50 ms; when more wait, the queue kicks itself so that other events of
 * the same loop get their turn.
 */
void axvirtio_serve(struct axvirtio *device, unsigned index,
		    int (*one)(struct axvirtio *device, unsigned index));
/* For queues whose buffers wait for the device (receive queues): the driver need not kick for new
 * ones unless the device has run out. true: wanted, but chains came in meanwhile, so look again. */
bool axvirtio_want_kicks(struct axvirtio *device, unsigned index, bool want);

/* For requests that end after handle_queue has returned (asynchronous I/O): one hold per request,
 * taken inside; a reset waits until all are released. The completion runs inside the hold. */
void axvirtio_hold(struct axvirtio *device, unsigned index);
void axvirtio_release(struct axvirtio *device, unsigned index);

/* For events of the device's own (a tap, a socket, a timer) on the queue's loop: false while the
 * driver is not there or a reset or suspend is waiting; the rings must not be touched then. When
 * the driver is back, handle_queue is called for every queue. */
bool axvirtio_enter(struct axvirtio *device, unsigned index);
void axvirtio_leave(struct axvirtio *device, unsigned index);

/* --- lending queues: somebody outside (vhost) works on the rings, and the loop does not. In start,
 * interrupt_moved and, where said so, while bound --- */

/* The rings as the driver has set them up, checked, and good until stop returns. */
struct axvirtio_rings {
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint32_t size;
};
/* Does the transport let queues be lent? In bound. */
bool axvirtio_can_lend(const struct axvirtio *device);
/* Lend queue `index`: from now on the driver's kicks are writes to the eventfd kick_fd, which is
 * the device's and outlives its transport, and handle_queue is not called. Lending again costs
 * nothing. false: the driver does not use the queue. */
bool axvirtio_lend(struct axvirtio *device, unsigned index, int kick_fd,
		   struct axvirtio_rings *ret_rings);
/* Where the rings and what they name lie. */
const struct axas *axvirtio_memory(const struct axvirtio *device);
/* It is the loop's again. Nothing when it is already. */
void axvirtio_take_back(struct axvirtio *device, unsigned index);
/* An eventfd that interrupts the driver for a queue as often as it is written; -1: it wants none.
 * Not counted in the statistics. */
int axvirtio_interrupt_fd(const struct axvirtio *device, unsigned index);

/* --- any thread --- */

/* The loop that serves the queue; constant. */
struct ax_loop *axvirtio_loop(const struct axvirtio *device, unsigned index);
/* Have handle_queue called soon, as if the driver had kicked. */
void axvirtio_wake(struct axvirtio *device, unsigned index);
/* Change the config space and tell the driver (generation, configuration interrupt). Any thread. */
void axvirtio_update_config(struct axvirtio *device, uint32_t offset, const void *bytes,
			    uint32_t len);

/* --- for whoever owns the device --- */

/* Do on the calling thread what there is to do now (ax_loop_step); true when there was something.
 * Only for devices created with io_loop == NULL (tests, fuzzing, single-threaded monitors), which
 * have a loop of their own. */
bool axvirtio_poll(struct axvirtio *device);
/* A device that no transport has taken yet. NULL is fine. */
void axvirtio_destroy(struct axvirtio *device);

#define AXVIRTIO_BATCH_BUCKETS 8
struct axvirtio_stats {
	uint64_t kicks;                 /* wake-ups of the I/O thread by a doorbell */
	uint64_t requests;              /* chains given back */
	uint64_t errors;                /* of these, with an error status */
	uint64_t bytes;                 /* payload moved */
	uint64_t interrupts;            /* sent for queues */
	uint64_t interrupts_suppressed; /* published batches the driver wanted none for */
	uint64_t config_interrupts;
	uint64_t batches;                            /* publishes that showed something */
	uint64_t batch_size[AXVIRTIO_BATCH_BUCKETS]; /* 1, 2-3, 4-7 ... 128 and more requests */
	uint64_t depth_max;                          /* most chains held at once by one queue */
	uint64_t resets;                             /* by the driver */
	uint64_t malformed;                          /* violations of all types */
	uint64_t malformed_by[AXVQ_ERROR_COUNT];
	uint64_t bad_register_writes; /* out of order, out of range or out of place: ignored */
	enum axvq_error last_error;   /* the latest violation */
};

/* ---- virtio-mmio transport (Spec 4.2, version 2) --------------------------------------------- */

#define AXVIRTIO_MMIO_SIZE 4096U
#define AXVIRTIO_VENDOR_ID 0x4d565841U /* "AXVM" in memory order; virtio does not assign these */

/* Where a device stands in the guest; the owner of the machine model chooses. */
struct axvirtio_place {
	uint64_t gpa;           /* of an MMIO window: multiple of AXVIRTIO_MMIO_SIZE, outside RAM */
	uint32_t gsi;           /* of that: edge triggered, not shared */
	struct axpci_host *pci; /* not NULL: a PCI function there, and the others are not used */
};

/* Put `device` behind the transport that `place` asks for. Takes ownership whatever happens: on
 * failure the device is destroyed. What every class's create hook ends with. */
int axvirtio_attach(const char *name, const struct axvirtio_place *place, struct axvirtio *device,
		    const struct axdev_services *services, struct axdev **ret_dev,
		    struct ax_error *err) AX_MUST_CHECK;
/* The device behind a transport of either kind; NULL when dev is none. Any thread. */
struct axvirtio *axvirtio_of(const struct axdev *dev);

/*
 * Put `device` behind a 4 KiB register window, with one doorbell per queue and one interrupt line.
 * Takes ownership of device on success; on failure it stays the caller's and may be tried again.
 * services->memory and irqs are needed; io_loop must not be running yet, or be this thread's.
 * -EEXIST line taken, -EINVAL bad place or device, -ENOMEM, or what a doorbell gave.
 */
int axvirtio_mmio_create(const char *name, uint64_t gpa, uint32_t gsi, struct axvirtio *device,
			 const struct axdev_services *services, struct axdev **ret_dev,
			 struct ax_error *err) AX_MUST_CHECK;

/* What an owner tells the guest about a device (ACPI, device tree, command line). */
struct axvirtio_mmio_info {
	uint64_t gpa;
	uint64_t size_bytes;
	uint32_t gsi;
	uint32_t device_id;
};
/* -ENODEV when dev is not one of this transport's. Any thread. */
int axvirtio_mmio_get_info(const struct axdev *dev, struct axvirtio_mmio_info *ret_info);
/* Both transports; -ENODEV when dev is neither. Any thread. */
int axvirtio_get_stats(const struct axdev *dev, struct axvirtio_stats *ret_stats);

/* ---- virtio-pci transport, modern (Spec 4.1) ------------------------------------------------- */

/*
 * Put `device` on the PCI host: one memory BAR and MSI-X (pci.h). Vector 0 is for
 * configuration changes and 1 + i for queue i when the driver asks so; each queue has a notify
 * address of its own. Ownership as with axvirtio_mmio_create.
 */
int axvirtio_pci_create(const char *name, struct axpci_host *host, struct axvirtio *device,
			const struct axdev_services *services, struct axdev **ret_dev,
			struct ax_error *err) AX_MUST_CHECK;

#endif
