/*
 * What the files of the switch share: net_switch.c (its life, and ports that come and go),
 * net_switch_path.c (frames on their way), net_switch_table.c (who is where).
 *
 * All of it is the loop's thread's, but the list of ports that arrive and the counts.
 */
#ifndef AXVM_VIRTIO_NET_SWITCH_H
#define AXVM_VIRTIO_NET_SWITCH_H

#include <axvm/virtio_devices.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include "limit.h"

#define LAYER "net"

#define SWITCH_HEADER ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define SWITCH_MIN    (SWITCH_HEADER + 14) /* Ethernet's addresses and type */
/* 64 KiB of a segmentation offload, and every header that may stand before it. */
#define SWITCH_MAX (SWITCH_HEADER + 65536 + 64)

#define SWITCH_PORTS  256U
#define SWITCH_TURN   16U /* frames a port may have under way */
#define SWITCH_FRAMES 64U
#define SWITCH_SENDS  1024U

/* ---- the table ------------------------------------------------------------------------------- */

#define TABLE_SETS     4096U
#define TABLE_WAYS     4U
#define TABLE_PER_PORT 256U /* addresses that one port may have */
#define TABLE_AGE_NS   (300 * 1000000000ULL)
#define TABLE_NO_PORT  UINT16_MAX

struct switch_entry {
	uint64_t mac; /* 0: free */
	uint64_t seen_ns;
	uint16_t port;
};

struct switch_table {
	uint64_t key;
	uint32_t count[SWITCH_PORTS];
	struct switch_entry entry[TABLE_SETS][TABLE_WAYS];
};

void axnet_table_init(struct switch_table *table, uint64_t key);
/* A frame from mac came in by the port. */
void axnet_table_learn(struct switch_table *table, uint64_t mac, uint16_t port, uint64_t now_ns);
uint16_t axnet_table_find(const struct switch_table *table, uint64_t mac, uint64_t now_ns);
/* Forget what is too old, and what was the port's (TABLE_NO_PORT: nobody's). */
void axnet_table_sweep(struct switch_table *table, uint16_t port, uint64_t now_ns);

/* ---- frames and ports ------------------------------------------------------------------------ */

struct switch_port;

/* A buffer with one frame: read once, sent as often as need be. */
struct switch_frame {
	struct ax_op op;
	struct iovec iov;
	struct switch_port *from; /* while it is read */
	struct switch_frame *next;
	uint32_t users;
	int32_t result;
	uint8_t *buffer; /* SWITCH_MAX + 1, which tells what was too long */
};

struct switch_send {
	struct ax_op op;
	struct iovec iov;
	struct switch_frame *frame;
	struct switch_port *to;
	struct switch_send *next;
};

struct switch_port {
	struct axnet_switch *owner;
	struct switch_port *next; /* among those that arrive, or that wait */
	struct ax_event *event;
	int fd;
	uint16_t slot;
	uint32_t events; /* as they were when its turn began */
	uint32_t reading, sending;
	uint32_t turn;      /* frames it tries to read the next time */
	uint32_t count, at; /* of frame[]: there are, and is next */
	bool busy, waiting, hung_up, gone;
	struct limit floods; /* its bytes are copies */
	struct switch_frame *frame[SWITCH_TURN];
};

struct axnet_switch {
	struct ax_loop *loop;
	struct switch_port *port[SWITCH_PORTS];
	uint32_t ports;
	struct switch_frame *free_frames;
	struct switch_send *free_sends;
	uint32_t sends; /* free ones */
	struct switch_port *waiting, **waiting_tail;
	struct ax_deferred resume;
	struct ax_event *arrival, *sweep;
	int arrival_fd;
	struct ax_counter frames, bytes, flooded, dropped;
	pthread_mutex_t lock; /* the rest */
	struct switch_port *arriving;
	_Atomic uint32_t port_count; /* with those that arrive */

	struct switch_table table;
	struct switch_frame frame[SWITCH_FRAMES];
	struct switch_send send[SWITCH_SENDS];
	uint8_t *buffers;
};

/* net_switch_path.c */
void axnet_path_init(struct axnet_switch *net_switch);
void axnet_path_event(void *port, int fd, uint32_t events);
/* net_switch.c: the port's far end is closed. It may be freed by this, or by the last operation. */
void axnet_port_leave(struct switch_port *port);
void axnet_port_unless_used(struct switch_port *port);

#endif
