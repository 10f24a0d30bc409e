/*
 * The connections there are: a pool without allocation but for each one's ring, the table by ports,
 * and the answers to packets that belong to none. All of it is bounded, whatever the guest sends.
 */
#include "vsock.h"
#include <sys/mman.h>
#include <unistd.h>

/* ---- the pool -------------------------------------------------------------------------------- */

struct vsock_conn *axvirtio_vsock_alloc(struct vsock *vsock, int fd)
{
	struct vsock_conn *conn = vsock->free;
	uint8_t *ring;

	if (vsock->conn_count >= vsock->conn_max)
		return NULL;
	/* Pages of it exist when a slow reader makes them be used, and are gone with it. */
	ring = mmap(NULL, VSOCK_RING_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ring == MAP_FAILED)
		return NULL;
	if (conn)
		vsock->free = conn->next_free;
	else
		conn = &vsock->conns[vsock->fresh++];
	*conn = (struct vsock_conn){
		.vsock = vsock,
		.fd = fd,
		.ring = ring,
		.batch = 1,
	};
	vsock->conn_count++;
	return conn;
}

static void unlist(struct vsock_list *list, struct vsock_conn *conn, size_t next_offset)
{
	struct vsock_conn *before = NULL;

#define NEXT(c) (*(struct vsock_conn **)((char *)(c) + next_offset))
	for (struct vsock_conn *at = list->first; at != conn; at = NEXT(at))
		before = at;
	if (before)
		NEXT(before) = NEXT(conn);
	else
		list->first = NEXT(conn);
	if (list->last == conn)
		list->last = before;
#undef NEXT
}

/* Nothing more is to be sent for it. */
static void silence(struct vsock_conn *conn)
{
	if (conn->in_control)
		unlist(&conn->vsock->control, conn, offsetof(struct vsock_conn, next_control));
	if (conn->in_data)
		unlist(&conn->vsock->data, conn, offsetof(struct vsock_conn, next_data));
	conn->in_control = conn->in_data = false;
	conn->pending = 0;
}

void axvirtio_vsock_free(struct vsock_conn *conn)
{
	struct vsock *vsock = conn->vsock;

	if (conn->in_table)
		axvirtio_vsock_leave_table(conn);
	vsock->greeted -= conn->state == VSOCK_GREETING;
	axvirtio_vsock_hang_up(conn);
	munmap(conn->ring, VSOCK_RING_BYTES);
	conn->state = VSOCK_FREE;
	conn->deadline_ns = 0;
	conn->next_free = vsock->free;
	vsock->free = conn;
	vsock->conn_count--;
	axvirtio_vsock_update_listener(vsock);
}

/* ---- the table ------------------------------------------------------------------------------- */

static unsigned hash_of(uint32_t host_port, uint32_t guest_port)
{
	return ((host_port ^ guest_port * 0x9e3779b1U) * 0x85ebca6bU >> 16) % VSOCK_HASH;
}

struct vsock_conn *axvirtio_vsock_find(const struct vsock *vsock, uint32_t host_port,
				       uint32_t guest_port)
{
	struct vsock_conn *conn = vsock->hash[hash_of(host_port, guest_port)];

	while (conn && (conn->host_port != host_port || conn->guest_port != guest_port))
		conn = conn->next_hashed;
	return conn;
}

void axvirtio_vsock_enter_table(struct vsock_conn *conn, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_conn **bucket = &conn->vsock->hash[hash_of(host_port, guest_port)];

	conn->host_port = host_port;
	conn->guest_port = guest_port;
	conn->next_hashed = *bucket;
	*bucket = conn;
	conn->in_table = true;
	conn->vsock->tabled++;
}

void axvirtio_vsock_leave_table(struct vsock_conn *conn)
{
	struct vsock_conn **link = &conn->vsock->hash[hash_of(conn->host_port, conn->guest_port)];

	while (*link != conn)
		link = &(*link)->next_hashed;
	*link = conn->next_hashed;
	conn->in_table = false;
	conn->vsock->tabled--;
	silence(conn);
}

/* ---- replies --------------------------------------------------------------------------------- */

void axvirtio_vsock_reply_rst(struct vsock *vsock, const struct vsock_reply *reply)
{
	vsock->replies[(vsock->reply_first + vsock->reply_count++) % VSOCK_REPLIES] = *reply;
	ax_loop_defer(vsock->loop, &vsock->pump);
}
