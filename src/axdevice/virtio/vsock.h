/*
 * What the files of virtio-vsock share. vsock.c is the device; vsock_packet.c takes what the guest
 * sends, vsock_pump.c sends to it; vsock_table.c has the connections, vsock_conn.c and
 * vsock_stream.c are one of them; vsock_host.c listens, greets and connects on the host.
 *
 * Everything but `epoch` belongs to the loop's thread. A reset only moves the epoch on; the loop
 * ends the connections of the epoch before when it next looks (axvirtio_vsock_sync).
 */
#ifndef AXVM_VIRTIO_VSOCK_H
#define AXVM_VIRTIO_VSOCK_H

#include <axvm/virtio_devices.h>
#include <linux/virtio_vsock.h>
#include <sys/un.h>
#include "iov.h"
#include "limit.h"

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

#define VSOCK_QUEUE_SIZE  256U
#define VSOCK_CHAIN_IOV   (VSOCK_QUEUE_SIZE + 8) /* buffers may cross memory regions */
#define VSOCK_HDR_BYTES   44U
#define VSOCK_HOST_CID    2U
#define VSOCK_PORT_ANY    UINT32_MAX
#define VSOCK_FIRST_PORT  (1U << 30) /* of those given to host programs that connect */
#define VSOCK_MAX_CONNS   1024U
#define VSOCK_MAX_GREETED 64U /* host programs that have not said yet which port they want */
#define VSOCK_REPLIES     (2 * VSOCK_MAX_CONNS)
#define VSOCK_HASH        1024U
/* What we keep of a guest's data that its Unix socket does not take, and so the credit we give. */
#define VSOCK_RING_BYTES (128U << 10)
#define VSOCK_READ_BATCH 16U /* packets that one readv may fill */
#define VSOCK_LINE_BYTES 20U /* "CONNECT 4294967295\n" and a terminator */

#define VSOCK_TICK_NS   50000000ULL    /* how often deadlines are looked at while there are any */
#define VSOCK_WAIT_NS   5000000000ULL  /* for a greeting, an answer, an end */
#define VSOCK_LINGER_NS 30000000000ULL /* for a host reader to go on after the guest has closed */

enum vsock_state {
	VSOCK_FREE,
	VSOCK_GREETING,   /* accepted; which port is not said yet. Not in the table */
	VSOCK_REQUESTED,  /* REQUEST on its way to the guest or answered soon */
	VSOCK_CONNECTING, /* the host's listener has no room; tried again with every tick */
	VSOCK_OPEN,
	VSOCK_CLOSING, /* the host has closed; the guest is told and shall answer with RST */
	VSOCK_LINGER,  /* the guest has closed; what it sent goes to the socket. Not in the table */
};

/* Packets without payload that wait for a buffer of the guest's, in the order they are sent. */
enum vsock_pending {
	VSOCK_SEND_REQUEST = 1,
	VSOCK_SEND_RESPONSE = 2,
	VSOCK_SEND_CREDIT = 4,
	VSOCK_ASK_CREDIT = 8,
	VSOCK_SEND_SHUTDOWN = 16,
};

struct vsock;

struct vsock_conn {
	struct vsock *vsock;
	struct vsock_conn *next_free, *next_hashed;
	struct vsock_conn *next_control, *next_data;
	bool in_control, in_data; /* queued for the pump */
	bool in_table;
	uint8_t state;
	uint8_t pending;   /* enum vsock_pending */
	uint8_t shut_sent; /* SHUTDOWN flags told or to be told to the guest */
	uint8_t shut_seen; /* by the guest */
	bool readable;     /* the socket has, or may have, something for the guest */
	bool hung_up;      /* the peer of the socket is gone, but what it sent may still be there */
	bool eof;
	bool deaf;     /* the socket takes nothing any more; what the guest sends is dropped */
	uint8_t batch; /* packets the next readv may fill */
	int fd;
	struct ax_event *event;
	uint32_t events;      /* as the loop knows them */
	uint64_t deadline_ns; /* 0: none */
	uint32_t host_port, guest_port;

	/* From the guest (5.10.6.3): received, passed on, and that as the guest last heard it. What
	 * lies between the first two is in the ring. */
	uint32_t rx_cnt, fwd_cnt, told_fwd_cnt;
	uint8_t *ring;
	uint32_t ring_at; /* of the oldest byte */

	/* To the guest: sent, and what it says it has room for. */
	uint32_t tx_cnt, peer_buf_alloc, peer_fwd_cnt;

	uint8_t line_bytes;
	char line[VSOCK_LINE_BYTES];
};

/* An RST for a connection that is not in the table. */
struct vsock_reply {
	uint64_t from_cid;
	uint32_t from_port, to_port;
	uint16_t type;
};

/* A buffer of the guest's that is about to be filled. */
struct vsock_rx_packet {
	struct iovec header[VSOCK_HDR_BYTES]; /* where that goes, in as many pieces as it may be */
	unsigned segments;
	uint32_t bytes; /* of data it can take */
	uint16_t head;
};

struct vsock_list {
	struct vsock_conn *first, *last;
};

struct vsock {
	struct axvirtio device;
	char name[32];
	uint64_t cid;
	struct virtio_vsock_config config;
	struct ax_loop *loop;
	_Atomic uint32_t epoch;
	uint32_t seen_epoch;
	int reset_fd;
	struct ax_event *reset_event;
	struct limit limit;
	struct limit_waiter rx_waiter, tx_waiter;
	struct ax_ratelimit log_limit;

	struct sockaddr_un address; /* of the listening socket */
	struct ax_listener listener;
	bool listening; /* awake */
	bool no_accept; /* until the next tick: no descriptors */
	struct ax_event *listen_event;

	struct ax_event *timer;
	bool ticking;
	struct ax_deferred pump;
	bool tx_waits; /* for room among the replies */
	unsigned conn_max, conn_count, greeted, tabled;
	unsigned fresh; /* conns[fresh..] were never used: their pages stay untouched */
	uint32_t next_port;
	struct vsock_conn *free;
	struct vsock_list control, data;
	struct vsock_conn *hash[VSOCK_HASH];
	unsigned reply_first, reply_count;
	struct vsock_reply replies[VSOCK_REPLIES];
	struct iovec tx_iov[VSOCK_CHAIN_IOV];
	struct iovec rx_iov[AX_OP_MAX_IOV];
	struct vsock_rx_packet rx_packets[VSOCK_READ_BATCH];
	struct vsock_conn conns[VSOCK_MAX_CONNS];
};

/* ---- vsock.c --------------------------------------------------------------------------------- */

/* First thing in whatever the loop calls: end what belongs to a driver that is gone. */
void axvirtio_vsock_sync(struct vsock *vsock);
/* Enter the queue for the driver whose connections we have. */
bool axvirtio_vsock_enter(struct vsock *vsock, unsigned index);
/* Deadlines are to be looked at. */
void axvirtio_vsock_start_ticks(struct vsock *vsock);

/* ---- vsock_table.c: the pool, the table of ports, replies ------------------------------------ */

/* NULL: all are in use. Its state is to be entered at once. On success fd is its. */
struct vsock_conn *axvirtio_vsock_alloc(struct vsock *vsock, int fd);
/* Out of the table and all lists, its socket closed. */
void axvirtio_vsock_free(struct vsock_conn *conn);
struct vsock_conn *axvirtio_vsock_find(const struct vsock *vsock, uint32_t host_port,
				       uint32_t guest_port);
void axvirtio_vsock_enter_table(struct vsock_conn *conn, uint32_t host_port, uint32_t guest_port);
/* Nothing is sent for it from now on. */
void axvirtio_vsock_leave_table(struct vsock_conn *conn);
/* Every connection in the table may need an RST at any time, so room for it is kept. */
static inline bool vsock_has_reply_room(const struct vsock *vsock)
{
	return vsock->reply_count + vsock->tabled < VSOCK_REPLIES;
}
void axvirtio_vsock_reply_rst(struct vsock *vsock, const struct vsock_reply *reply);

/* ---- vsock_conn.c: events and ends ----------------------------------------------------------- */

void axvirtio_vsock_enter_state(struct vsock_conn *conn, enum vsock_state state);
void axvirtio_vsock_set_deadline(struct vsock_conn *conn, uint64_t delay_ns);
void axvirtio_vsock_expire(struct vsock_conn *conn); /* its deadline has come */
/* Put the socket on the loop, and take it from there and close it. */
int axvirtio_vsock_watch(struct vsock_conn *conn);
void axvirtio_vsock_hang_up(struct vsock_conn *conn);
/* Have the loop wait for what the connection can make use of now, and no more. */
void axvirtio_vsock_update(struct vsock_conn *conn);
/* Send RST if the guest knows of the connection, and forget it. */
void axvirtio_vsock_abort(struct vsock_conn *conn);
/* The guest is through with it; what it has sent before is still to reach the socket. */
void axvirtio_vsock_leave(struct vsock_conn *conn);
void axvirtio_vsock_guest_shut(struct vsock_conn *conn, uint32_t flags);
/* The socket has given its last byte. */
void axvirtio_vsock_host_eof(struct vsock_conn *conn);
void axvirtio_vsock_tell_shutdown(struct vsock_conn *conn, uint8_t flags);

/* ---- vsock_stream.c: from the guest into the socket ------------------------------------------ */

/* `bytes` of payload, which the cursor has. Too many, or after the guest's SHUTDOWN: abort. */
void axvirtio_vsock_receive(struct vsock_conn *conn, struct iov_cursor payload, uint32_t bytes);
/* The socket takes something again. false: that was the end of the connection. */
bool axvirtio_vsock_flush(struct vsock_conn *conn);
/* The socket takes nothing any more: what is kept and what will come is dropped. */
void axvirtio_vsock_drop_kept(struct vsock_conn *conn);

static inline uint32_t vsock_kept(const struct vsock_conn *conn)
{
	return conn->rx_cnt - conn->fwd_cnt;
}

/* Let the vectors end after `bytes`, which they have. */
static inline void vsock_cut(struct iov_cursor *cursor, uint32_t bytes)
{
	unsigned count = 0;

	while (bytes) {
		struct iovec *iov = &cursor->iov[count++];

		if (iov->iov_len > bytes)
			iov->iov_len = bytes;
		bytes -= (uint32_t)iov->iov_len;
	}
	cursor->count = count;
}

/* What the guest has room for. */
static inline uint32_t vsock_credit(const struct vsock_conn *conn)
{
	const uint32_t in_flight = conn->tx_cnt - conn->peer_fwd_cnt;

	return in_flight < conn->peer_buf_alloc ? conn->peer_buf_alloc - in_flight : 0;
}

/* ---- vsock_file.c ---------------------------------------------------------------------------- */

int axvirtio_vsock_new_socket(void);
int axvirtio_vsock_connect_to(int fd, const struct sockaddr_un *address);
int axvirtio_vsock_listen(struct vsock *vsock, const char *path, struct ax_error *err);

/* ---- vsock_host.c ---------------------------------------------------------------------------- */

void axvirtio_vsock_accept(void *ctx, int fd, uint32_t events);
/* Accept again, or no more, as there is room. */
void axvirtio_vsock_update_listener(struct vsock *vsock);
/* A program of the host's writes its line. */
void axvirtio_vsock_greet(struct vsock_conn *conn);
/* The guest has accepted what it said: tell it so. */
void axvirtio_vsock_accepted(struct vsock_conn *conn);
/* A connection of the guest's to the host's listener for host_port; NULL: there can be no more. */
struct vsock_conn *axvirtio_vsock_begin_connect(struct vsock *vsock, uint32_t host_port,
						uint32_t guest_port);
/* Connect to the host's listener for conn->host_port, or try so again with the next tick. */
void axvirtio_vsock_connect(struct vsock_conn *conn);

/* ---- vsock_packet.c -------------------------------------------------------------------------- */

int axvirtio_vsock_serve_one(struct axvirtio *device, unsigned index); /* of the TX queue */

/* ---- vsock_pump.c ---------------------------------------------------------------------------- */

/* A packet without payload, or the socket's data, is to be sent: at the end of this round. */
void axvirtio_vsock_post(struct vsock_conn *conn, uint8_t pending);
void axvirtio_vsock_post_data(struct vsock_conn *conn);
void axvirtio_vsock_pump(void *ctx);

/* ---- vsock_read.c ---------------------------------------------------------------------------- */

/* Every packet of a connection tells the guest its credit. */
struct virtio_vsock_hdr axvirtio_vsock_header(struct vsock_conn *conn, uint16_t op, uint32_t bytes);
void axvirtio_vsock_credit_was_told(struct vsock_conn *conn);
/* 1: there is no more that the guest has room for; 0: no buffers; negative: not now. */
int axvirtio_vsock_send_all_data(struct vsock *vsock);

#endif
