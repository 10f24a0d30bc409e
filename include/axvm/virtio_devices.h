/*
 * virtio_devices: the virtio device classes of the axdevice layer, one section each: what a device
 * is made from, and what can be done with it while it runs. virtio.h has queues and transports.
 *
 * Each class has a config struct for axdev_create, whose `place` says where the guest finds it, and
 * a create function of its own that makes the device alone, for another transport or for tests.
 * Strings and structs are copied; descriptors are duplicated unless it says otherwise.
 *
 * Threads: create on the control thread before the I/O threads run. What may be called while they
 * do says so.
 */
#ifndef AXVM_VIRTIO_DEVICES_H
#define AXVM_VIRTIO_DEVICES_H

#include <axvm/virtio.h>

/* ---- rate limits ----------------------------------------------------------------------------- */

/*
 * Token buckets for bandwidth and for operations; both must have room. A bucket holds `burst` at
 * most and fills at `per_s`. A request is let through when its bucket is not empty, and may then
 * overdraw it: what follows waits. per_s 0: no limit; burst 0: what comes in 100 ms.
 */
struct axvirtio_limit {
	uint64_t bytes_per_s, bytes_burst;
	uint64_t ops_per_s, ops_burst;
};

/* ---- virtio-blk: class "virtio-blk", type 0xE1 (Spec 5.2) ------------------------------------ */

#define AXVIRTIO_BLK_TYPE         0xE1U
#define AXVIRTIO_BLK_SECTOR_BYTES 512U
#define AXVIRTIO_BLK_SERIAL_BYTES 20U /* not terminated when full (5.2.6) */
#define AXVIRTIO_BLK_MAX_QUEUES   32U

/*
 * A raw file or block device; the content is never looked at to guess a format. Its size at
 * creation, rounded down to whole sectors with a warning, is the capacity; less than a sector is
 * refused. A writable image is locked exclusively, a read-only one shared (OFD locks, advisory),
 * for the life of the device: -EBUSY "in use by another process".
 *
 * With `base`, path is an overlay (docs/overlay.md): it holds what the guest has written, all else
 * is read from the base, which is opened read-only and never changed.
 */
struct axvirtio_blk_config {
	struct axvirtio_place place;
	const char *path; /* opened here when fd < 0 */
	int fd;           /* >= 0: duplicated, path is then only a name for messages */
	bool read_only;
	bool direct;        /* O_DIRECT: past the host's page cache; for fd, set by its opener */
	const char *serial; /* what GET_ID answers, cut to 20 bytes; NULL: the device's name */
	const char *base;   /* NULL: path is the whole disk */
	uint32_t queues;    /* 1..AXVIRTIO_BLK_MAX_QUEUES; 0: 1 */
	bool no_discard;    /* offer neither discard nor write-zeroes */
	struct axvirtio_limit limit;
};
extern const struct axdev_class axvirtio_blk_class;

int axvirtio_blk_create(const char *name, const struct axvirtio_blk_config *config,
			struct axvirtio **ret_device, struct ax_error *err) AX_MUST_CHECK;

/* Would create find its files usable now? They are opened as it opens them, but nothing is locked
 * or written, so that their users do not notice. */
int axvirtio_blk_check(const struct axvirtio_blk_config *config, struct ax_error *err);

/* Go on with another backing file of the same or another size, opened as the first was; path NULL:
 * the file that now has the old name. The driver is told of a new capacity. Requests in flight end
 * on the old one first. On failure the old one stays. Control thread, while running. */
int axvirtio_blk_replace(struct axvirtio *device, const char *path, struct ax_error *err);

/* Make an empty overlay of an existing base. -EEXIST when path is there. */
int axvirtio_blk_make_overlay(const char *path, const char *base, struct ax_error *err);

/* ---- virtio-net: class "virtio-net", type 0xE2 (Spec 5.1) ------------------------------------ */

#define AXVIRTIO_NET_TYPE      0xE2U
#define AXVIRTIO_NET_MAX_PAIRS 16U

enum axvirtio_net_backend {
	AXVIRTIO_NET_TAP,    /* a tap interface of the host, by name */
	AXVIRTIO_NET_STREAM, /* a stream socket of length-prefixed frames (passt), by descriptor */
	AXVIRTIO_NET_PACKET, /* a seqpacket socket, one frame with its virtio_net_hdr each: a port
			      * of a switch (axnet_switch) in this or another process, by descriptor
			      */
};

struct axvirtio_net_config {
	struct axvirtio_place place;
	enum axvirtio_net_backend backend;
	const char *tap; /* TAP: interface name; made if it is not there and we may */
	int fd;          /* STREAM, PACKET, and TAP when it is open already; else -1. Duplicated */
	uint8_t mac[6];  /* all zero: one made from the VM's and device's name, locally administered
			  */
	const char *vm_name;
	uint16_t mtu;    /* 0: not told */
	uint32_t pairs;  /* queue pairs, 1..AXVIRTIO_NET_MAX_PAIRS; 0: 1. More than 1: TAP only */
	bool no_offload; /* neither checksum nor segmentation offloads */
	/* Let /dev/vhost-net move the packets; TAP and PCI only, without limits. For guests that
	 * are trusted: the host's kernel then reads their rings. Frames, requests, kicks and
	 * interrupts of these queues, and what the guest breaks there, are not counted. */
	bool vhost;
	struct axvirtio_limit rx_limit, tx_limit;
};
extern const struct axdev_class axvirtio_net_class;

int axvirtio_net_create(const char *name, const struct axvirtio_net_config *config,
			struct axvirtio **ret_device, struct ax_error *err) AX_MUST_CHECK;

/* Would create find this in order, and its tap to be had? Looks at the interface without attaching
 * to it, so whoever takes it in the meantime, or takes its last queues, is found by create only. */
int axvirtio_net_check(const char *name, const struct axvirtio_net_config *config,
		       struct ax_error *err);

struct axvirtio_net_stats {
	uint64_t rx_frames, tx_frames;
	uint64_t rx_dropped; /* no room in the driver's buffers, or not what it negotiated */
	uint64_t tx_dropped; /* malformed, or not taken by the host */
	uint32_t active_pairs;
	bool link_up;
};
void axvirtio_net_get_stats(const struct axvirtio *device,
			    struct axvirtio_net_stats *ret_stats); /* any thread */

/*
 * An Ethernet switch between guests, in one process: learns addresses, floods what it does not
 * know, never blocks a sender and keeps nothing for a port that does not take its frames. Each
 * message of a port is a frame of up to 64 KiB and its headers, behind a struct virtio_net_hdr_v1
 * that goes through as it is: whoever receives it judges it. A device completes a checksum that its
 * guest does not want to, and drops segmentation offloads that its guest has not negotiated; so
 * guests that cannot take them are on a switch whose devices all have no_offload.
 *
 * Bounded: 256 ports, 16384 addresses for five minutes, 256 of a port, of which none pushes out
 * another's; 65536 copies a second that a port's floods cost, what comes faster is dropped; frames
 * under way. It believes source addresses, and has no spanning tree.
 */
struct axnet_switch;
int axnet_switch_create(struct ax_loop *loop, struct axnet_switch **ret_switch,
			struct ax_error *err) AX_MUST_CHECK;
/* NULL is fine; loop not running, and nothing left for it to do (ax_loop_step). Ports hang up. */
void axnet_switch_destroy(struct axnet_switch *net_switch);
/* A new port: the descriptor of its far end, the caller's, for AXVIRTIO_NET_PACKET; the port goes
 * when all its copies are closed. -ENOSPC when there are 256. Any thread. */
int axnet_switch_add_port(struct axnet_switch *net_switch, int *ret_fd, struct ax_error *err);

/* The same for one end that came from elsewhere (accept), a non-blocking seqpacket socket: the
 * switch's on success. */
int axnet_switch_adopt_port(struct axnet_switch *net_switch, int fd, struct ax_error *err);

struct axnet_switch_stats {
	uint64_t frames, bytes; /* taken from ports, of Ethernet without the header */
	uint64_t flooded;       /* of these, to all ports */
	uint64_t dropped;       /* no frames; floods too many; and for each port that took none */
	uint64_t ports;
};
/* Any thread. */
void axnet_switch_get_stats(const struct axnet_switch *net_switch,
			    struct axnet_switch_stats *ret_stats);

/* ---- virtio-console: class "virtio-console", type 0xE3 (Spec 5.3) ---------------------------- */

#define AXVIRTIO_CONSOLE_TYPE      0xE3U
#define AXVIRTIO_CONSOLE_MAX_PORTS 8U

/*
 * All bytes wait where they are: output that a port's backend does not take stays in the guest's
 * buffer, input that the guest has no buffer for stays with the backend. A driver without MULTIPORT
 * knows only the first port and takes it for a console; size and emergency write are that port's.
 * So consoles come first. Where there is none, the first is a channel like the others.
 */
struct axvirtio_console_port {
	const char *name;  /* 1 to 64 printable ASCII characters; the guest finds it in
			    * /dev/virtio-ports; NULL: none */
	struct axchr *chr; /* not owned, outlives the device; all of one loop, where the device is
			    * then: class create sees to it, else services->io_loop */
	bool is_console;   /* a terminal (hvcN) as opposed to a plain byte channel */
};

struct axvirtio_console_config {
	struct axvirtio_place place;
	const struct axvirtio_console_port *ports; /* consoles first */
	uint32_t port_count;
	uint16_t columns, rows; /* 0: not known */
};
extern const struct axdev_class axvirtio_console_class;

int axvirtio_console_create(const char *name, const struct axvirtio_console_config *config,
			    struct axvirtio **ret_device, struct ax_error *err) AX_MUST_CHECK;
/* The terminal of port 0 has another size. Any thread, once there is a transport. */
void axvirtio_console_resize(struct axvirtio *device, uint16_t columns, uint16_t rows);

/* ---- virtio-rng: class "virtio-rng", type 0xE4 (Spec 5.4) ------------------------------------ */

#define AXVIRTIO_RNG_TYPE      0xE4U
#define AXVIRTIO_RNG_MAX_BYTES 65536U /* per request, whatever the guest asks for */

struct axvirtio_rng_config {
	struct axvirtio_place place;
	const char *path; /* source of bytes, opened here; NULL and fd < 0: getrandom(2) */
	int fd;           /* >= 0: duplicated; wins over path. 0 is a file: set -1 when unused */
	struct axvirtio_limit limit;
};
extern const struct axdev_class axvirtio_rng_class;

int axvirtio_rng_create(const char *name, const struct axvirtio_rng_config *config,
			struct axvirtio **ret_device, struct ax_error *err) AX_MUST_CHECK;

/* ---- virtio-balloon: class "virtio-balloon", type 0xE5 (Spec 5.5) ---------------------------- */

#define AXVIRTIO_BALLOON_TYPE 0xE5U

struct axvirtio_balloon_config {
	struct axvirtio_place place;
	uint64_t size_bytes;        /* what the guest is asked to give back at first */
	bool deflate_on_oom;        /* the guest may take pages back when it would run out */
	bool report_free_pages;     /* the guest tells of pages it does not use */
	uint64_t stats_interval_ns; /* 0: no statistics */
};
extern const struct axdev_class axvirtio_balloon_class;

int axvirtio_balloon_create(const char *name, const struct axvirtio_balloon_config *config,
			    struct axvirtio **ret_device, struct ax_error *err) AX_MUST_CHECK;
/* Ask for another size; the guest follows as it can. Any thread. */
void axvirtio_balloon_set(struct axvirtio *device, uint64_t size_bytes);

struct axvirtio_balloon_stats {
	uint64_t wanted_bytes, actual_bytes; /* asked for; given so far */
	uint64_t reported_bytes;             /* given back by free page reports, in total */
	uint64_t refused;    /* pages of it that were no RAM, or could not be freed */
	uint64_t updated_ns; /* when the guest's own figures came; 0: never */
	/* The guest's (5.5.6.3); UINT64_MAX: not told. Bytes or counts. */
	uint64_t swap_in, swap_out, major_faults, minor_faults, free_memory, total_memory;
	uint64_t available_memory, disk_caches, hugetlb_allocations, hugetlb_failures;
};
void axvirtio_balloon_get_stats(const struct axvirtio *device,
				struct axvirtio_balloon_stats *ret_stats); /* any thread */

/* ---- virtio-vsock: class "virtio-vsock", type 0xE6 (Spec 5.10) ------------------------------- */

#define AXVIRTIO_VSOCK_TYPE 0xE6U

/*
 * Stream sockets between guest and host over Unix sockets, by the convention of Firecracker: who
 * connects to `path` and writes "CONNECT port\n" is answered "OK port\n" and then talks to the
 * guest's listener on that port; what the guest connects to at CID 2, port P, is the Unix socket
 * `path`_P.
 */
struct axvirtio_vsock_config {
	struct axvirtio_place place;
	uint64_t cid;     /* of the guest: 3 .. 2^32-2 */
	const char *path; /* made here; an old socket nobody listens on is replaced */
	struct axvirtio_limit limit;
};
extern const struct axdev_class axvirtio_vsock_class;

int axvirtio_vsock_create(const char *name, const struct axvirtio_vsock_config *config,
			  struct axvirtio **ret_device, struct ax_error *err) AX_MUST_CHECK;

#endif
