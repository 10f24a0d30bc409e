/*
 * What the files of virtio-net share: net.c (the device at work), net_create.c (how it is made),
 * net_ctrl.c (the control queue), net_tx.c and net_rx.c (frames of backends that keep them apart, a
 * system call each), net_chains.c (receive buffers), net_header.c (what a virtio_net_hdr may say),
 * net_stream.c (frames on a byte stream), net_socket.c and net_tap.c (opening and telling the
 * host), net_vhost.c (queues that the host's kernel serves).
 *
 * A queue pair belongs to one loop, and so does everything in its struct; what pairs share is
 * atomic or changes only while no I/O thread is in the device.
 */
#ifndef AXVM_VIRTIO_NET_H
#define AXVM_VIRTIO_NET_H

#include <axvm/virtio_devices.h>
#include <linux/virtio_net.h>
#include "iov.h"
#include "limit.h"

#define LAYER "virtio"

#define NET_QUEUE_SIZE 256U
#define NET_CTRL_SIZE  64U
/* The longest legal chain, and room for buffers that cross from one memory region to the next. */
#define NET_IOV (NET_QUEUE_SIZE + 8)
/* Vectors of all chains a queue has in hand. */
#define NET_VECTORS   2048U
#define NET_BATCH     64U
#define NET_BATCH_MIN 4U /* reads of which all but one may find nothing */
#define NET_HEADER    ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define ETHERNET      14U /* addresses and type: no frame is shorter */
/* A GSO frame: 64 KiB of IP behind all headers that may stand before it. */
#define NET_FRAME_MAX (65536U + 64)
/* What a frame without GSO needs, header included (5.1.6.3.1). */
#define NET_PLAIN_ROOM (NET_HEADER + 1514)

#define NET_BIT(feature) (1ULL << VIRTIO_NET_F_##feature)
#define NET_OFFLOADS_TX \
	(NET_BIT(CSUM) | NET_BIT(HOST_TSO4) | NET_BIT(HOST_TSO6) | NET_BIT(HOST_ECN))
#define NET_OFFLOADS_RX \
	(NET_BIT(GUEST_CSUM) | NET_BIT(GUEST_TSO4) | NET_BIT(GUEST_TSO6) | NET_BIT(GUEST_ECN))

struct net;
struct net_pair;

/* How frames get in and out. Functions without a comment: the pair's I/O thread, inside the gate of
 * the queue they are about. */
struct net_backend {
	bool framed;       /* one read is one frame behind a struct virtio_net_hdr_v1 */
	uint64_t features; /* offloads it can take and give */
	/* The driver's features, or 0: it is gone. vCPU thread, gates closed. */
	void (*negotiated)(struct net *net, uint64_t features);
	/* Use pairs [0, count) of the host's side; control queue's I/O thread or as above. NULL:
	 * there is one. */
	int (*set_pairs)(struct net *net, uint32_t count);
	void (*receive)(struct net_pair *pair, uint32_t events);
	void (*transmit)(struct net_pair *pair);
};
extern const struct net_backend axvirtio_net_tap, axvirtio_net_packet, axvirtio_net_stream;

int axvirtio_net_tap_open(struct net *net, const struct axvirtio_net_config *config,
			  struct ax_error *err);
/* Why it does not open, or would not: net_tap_check.c. `name` is the device's, in messages. */
int axvirtio_net_tap_check(const char *name, const struct axvirtio_net_config *config,
			   struct ax_error *err);
int axvirtio_net_tap_check_name(const char *name, const char *tap, struct ax_error *err);
int axvirtio_net_tap_explain(const char *name, const char *tap, uint32_t pairs, int code,
			     struct ax_error *err);
int axvirtio_net_tap_low_mtu(const char *name, const char *tap, int has, uint16_t mtu,
			     struct ax_error *err);
int axvirtio_net_tun_explain(const char *name, int code, struct ax_error *err);
int axvirtio_net_socket_open(struct net *net, const struct axvirtio_net_config *config,
			     struct ax_error *err);
int axvirtio_net_stream_open(struct net *net, struct ax_error *err); /* pair 0 has its socket */

/* ---- receive buffers: chains in hand, in the driver's order ---------------------------------- */

struct net_chain {
	uint32_t first, count; /* of net_chains.iov, writable vectors only */
	uint32_t bytes;
	uint16_t head;
	bool used;
};

struct net_chains {
	uint32_t count, vectors;
	uint64_t bytes;
	uint64_t most_bytes; /* the most the driver has had here at once */
	struct net_chain chain[NET_QUEUE_SIZE];
	struct iovec iov[NET_VECTORS];
};

struct net_rx_slot {
	struct ax_op op;
	struct net_pair *pair;
	struct virtio_net_hdr_v1 header;
	uint32_t first, count; /* chains it reads into */
	uint32_t room;         /* of these, behind the header */
	int32_t result;
};

struct net_rx {
	struct limit_waiter waiter;
	struct ax_counter frames, dropped;
	uint32_t in_flight, batch, batch_size;
	uint32_t expect;   /* bytes of room a read gets */
	uint32_t reserved; /* chains that reads of the batch have */
	uint32_t events;   /* as reported when the batch began */
	bool broken;       /* reading failed: not again before the driver kicks */
	struct net_chains chains;
	struct net_rx_slot slot[NET_BATCH];
	struct iovec iov[NET_VECTORS + 2 * NET_BATCH];
	uint8_t (*spill)[NET_FRAME_MAX]; /* per slot: what a frame has more than its room; lazy */
};

struct net_tx_slot {
	struct ax_op op;
	struct net_pair *pair;
	struct virtio_net_hdr_v1 header; /* read once, checked, and sent from here */
	uint32_t bytes;                  /* of the frame */
	struct iovec *iov;               /* header and frame */
	uint32_t vectors;
	int32_t result;
	uint16_t head;
};

struct net_tx {
	struct limit_waiter waiter;
	struct ax_counter frames, dropped;
	uint32_t in_flight, batch, vectors;
	uint32_t finished; /* of the batch: given back */
	bool again;        /* chains may wait that nobody will kick for */
	struct net_tx_slot slot[NET_BATCH];
	struct iovec iov[NET_VECTORS];
};

struct net_stream; /* net_stream.c */

struct net_pair {
	struct net *net;
	unsigned index; /* of the pair; its queues are 2 * index and one more (5.1.2) */
	int fd;
	struct ax_event *event;
	uint32_t armed; /* EPOLLIN | EPOLLOUT */
	struct net_stream *stream;
	struct net_rx rx;
	struct net_tx tx;
};

/* ---- the device ------------------------------------------------------------------------------ */

struct net {
	struct axvirtio device;
	char name[32];
	const struct net_backend *backend;
	char tap[16]; /* interface name; "" when there is none */
	struct virtio_net_config config;
	uint8_t mac[6];
	uint32_t pair_count;
	_Atomic uint32_t active_pairs; /* VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET */
	_Atomic bool link_down;
	bool mac_changed;  /* by the driver: back at the reset */
	uint64_t features; /* negotiated and consistent; changes while the gates are closed */
	struct limit rx_limit, tx_limit;
	struct ax_ratelimit log_limit;
	uint16_t queue_max[2 * AXVIRTIO_NET_MAX_PAIRS + 1];
	struct iovec ctrl_iov[NET_IOV];
	struct net_pair *pair;   /* [pair_count] */
	struct net_vhost *vhost; /* [pair_count]; NULL: the pairs' loops move the frames */
};

static inline unsigned net_rx_queue(const struct net_pair *pair)
{
	return 2 * pair->index;
}

static inline unsigned net_tx_queue(const struct net_pair *pair)
{
	return 2 * pair->index + 1;
}

static inline bool net_has(const struct net *net, unsigned feature)
{
	return net->features >> feature & 1;
}

extern const struct axvirtio_ops axvirtio_net_ops;
/* As no driver has used it. */
void axvirtio_net_reset_pair(struct net_pair *pair);

/* The far end is gone for good: tell the driver, read no more. I/O thread. */
void axvirtio_net_link_down(struct net *net);
/* Receive on pairs [0, count) from now on. Control queue's I/O thread, or with the gates closed. */
int axvirtio_net_set_pairs(struct net *net, uint32_t count);
/* Wait for EPOLLIN and EPOLLOUT as asked, or with neither for nothing at all. */
void axvirtio_net_arm(struct net_pair *pair, uint32_t events);

/* ---- control queue (5.1.6.5) ----------------------------------------------------------------- */

int axvirtio_net_ctrl_one(struct axvirtio *device, unsigned index); /* for axvirtio_serve */

/* ---- vhost: all but open, once, do nothing for a device without ------------------------------ */

int axvirtio_net_vhost_open(struct net *net, struct ax_error *err); /* the pairs have their taps */
void axvirtio_net_vhost_close(struct net *net);                     /* also after a failed open */
/* As the hooks of struct axvirtio_ops. */
int axvirtio_net_vhost_start(struct net *net);
void axvirtio_net_vhost_stop(struct net *net);
void axvirtio_net_vhost_reset(struct net *net);
void axvirtio_net_vhost_interrupt_moved(struct net *net, unsigned queue);

/* ---- headers (5.1.6.2, 5.1.6.4) -------------------------------------------------------------- */

/* A header from the guest, before a frame of `bytes`: only what was negotiated and makes sense
 * remains. false: drop the frame. */
bool axvirtio_net_header_from_guest(const struct net *net, struct virtio_net_hdr_v1 *header,
				    uint32_t bytes);
/* The same for the other way. *ret_checksum: the guest cannot complete the checksum, so that the
 * frame needs it done; untouched otherwise. */
bool axvirtio_net_header_to_guest(const struct net *net, struct virtio_net_hdr_v1 *header,
				  uint32_t bytes, bool *ret_checksum);

/* Completing a checksum: the frame goes through axvirtio_net_sum twice, in pieces; the first pass
 * adds up, the second writes. */
struct net_sum {
	uint32_t at, start, field;
	bool writing;
	uint64_t sum;
};
struct net_sum axvirtio_net_sum_begin(const struct virtio_net_hdr_v1 *header);
void axvirtio_net_sum(struct net_sum *sum, uint8_t *bytes, uint32_t count);
void axvirtio_net_sum_end_pass(struct net_sum *sum);

/* ---- receive (RX queue's I/O thread, inside its gate) ---------------------------------------- */

/* A frame on its way to the driver: the first `in_place` bytes are already in chains (`own` of them
 * from `first` on, filled to the end if there is a rest), the others are copied. */
struct net_frame {
	struct virtio_net_hdr_v1 header;
	uint32_t first, own;
	uint32_t in_place, rest_bytes;
	const uint8_t *rest;
};

/* Take all chains there are. 1: enough to receive into; 0: the driver will kick for more;
 * -EPROTO: the driver broke a rule, and the device waits for a reset. */
int axvirtio_net_chains_ready(struct net_pair *pair);
/* false: no room, or a header this driver cannot take; all chains remain in hand. */
bool axvirtio_net_chains_deliver(struct net_pair *pair, const struct net_frame *frame);
/* Let go of chains that are used, and of all reservations. */
void axvirtio_net_chains_compact(struct net_pair *pair);

void axvirtio_net_rx_receive(struct net_pair *pair, uint32_t events); /* as the backend's hook */
/* Reading failed: say so and leave it until the driver kicks. */
void axvirtio_net_rx_fail(struct net_pair *pair, int code);

/* ---- transmit (TX queue's I/O thread, inside its gate) --------------------------------------- */

/* Pop and check a packet into the batch, which has room for vector_max vectors. 1: *ret_slot is it,
 * with result 0 or what is wrong with it; otherwise what axvirtio_serve is to be told. */
int axvirtio_net_tx_take(struct net_pair *pair, uint32_t vector_max, struct net_tx_slot **ret_slot);
/* Give slots of the batch back, in order and by their results, until `count` are. */
void axvirtio_net_tx_finish(struct net_pair *pair, uint32_t count);
/* All of the batch has ended: finish it, and look for what came meanwhile. */
void axvirtio_net_tx_end_batch(struct net_pair *pair);
void axvirtio_net_tx_transmit(struct net_pair *pair); /* as the backend's hook */

#endif
