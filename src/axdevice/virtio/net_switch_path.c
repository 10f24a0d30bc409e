/*
 * A frame's way through the switch. A port's turn is a batch of reads; when all have ended, their
 * frames are sent in order, one operation for each port that gets one, and what a port does not
 * take at once is dropped. Frames and sends come from pools: a port for which none is left waits
 * until some come back, so that what is under way is bounded however much the guests send.
 */
#include "net_switch.h"
#include <errno.h>
#include <sys/epoll.h>

/* The pools come back in any order; a port that needs them stands in line. */
static void wait_in_line(struct switch_port *port)
{
	struct axnet_switch *sw = port->owner;

	port->waiting = true;
	port->next = NULL;
	*sw->waiting_tail = port;
	sw->waiting_tail = &port->next;
}

static void came_back(struct axnet_switch *sw)
{
	if (sw->waiting)
		ax_loop_defer(sw->loop, &sw->resume);
}

static void release_frame(struct axnet_switch *sw, struct switch_frame *frame)
{
	if (--frame->users)
		return;
	frame->next = sw->free_frames;
	sw->free_frames = frame;
	came_back(sw);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void on_sent(struct ax_op *op, int32_t result)
{
	struct switch_send *send = ax_container_of(op, struct switch_send, op);
	struct switch_port *to = send->to;
	struct axnet_switch *sw = to->owner;

	/* Its socket is full, or its far end has just gone. */
	if (result < 0)
		ax_counter_add(&sw->dropped, 1);
	release_frame(sw, send->frame);
	send->next = sw->free_sends;
	sw->free_sends = send;
	sw->sends++;
	came_back(sw);
	to->sending--;
	axnet_port_unless_used(to);
}

static void send_to(struct switch_port *to, struct switch_frame *frame)
{
	struct axnet_switch *sw = to->owner;
	struct switch_send *send = sw->free_sends;

	sw->free_sends = send->next;
	sw->sends--;
	send->frame = frame;
	send->to = to;
	send->iov = (struct iovec){frame->buffer, (size_t)frame->result};
	frame->users++;
	to->sending++;
	ax_op_writev(sw->loop, &send->op, to->fd, &send->iov, 1, AX_OP_NO_OFFSET, 0);
}

/* As a number whose lowest byte is the first on the wire, where the group bit is (802.3, 3.2.3). */
static uint64_t mac_at(const uint8_t *p)
{
	uint64_t mac = 0;

	for (unsigned i = 0; i < 6; i++)
		mac |= (uint64_t)p[i] << (8 * i);
	return mac;
}

static bool is_group(uint64_t mac)
{
	return mac & 1;
}

/* false: there are too few sends left for it. */
static bool forward(struct switch_port *from, struct switch_frame *frame)
{
	struct axnet_switch *sw = from->owner;
	const uint8_t *ethernet = frame->buffer + SWITCH_HEADER;
	const uint64_t target = mac_at(ethernet), source = mac_at(ethernet + 6);
	const uint64_t now_ns = ax_clock_ns();
	const uint16_t slot =
		is_group(target) ? TABLE_NO_PORT : axnet_table_find(&sw->table, target, now_ns);

	if (sw->sends < (slot == TABLE_NO_PORT ? sw->ports : 1))
		return false;
	if (is_group(source) || !source) {
		ax_counter_add(&sw->dropped, 1); /* nobody has such an address */
		return true;
	}
	axnet_table_learn(&sw->table, source, from->slot, now_ns);
	ax_counter_add(&sw->frames, 1);
	ax_counter_add(&sw->bytes, (uint64_t)frame->result - SWITCH_HEADER);
	if (slot != TABLE_NO_PORT) {
		if (sw->port[slot] && sw->port[slot] != from)
			send_to(sw->port[slot], frame);
		return true;
	}
	if (limit_may_take_at(&from->floods, now_ns)) {
		ax_counter_add(&sw->dropped, 1);
		return true;
	}
	limit_charge(&from->floods, sw->ports);
	ax_counter_add(&sw->flooded, 1);
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		if (sw->port[i] && sw->port[i] != from)
			send_to(sw->port[i], frame);
	}
	return true;
}

static void forward_all(struct switch_port *port)
{
	while (port->at < port->count) {
		struct switch_frame *frame = port->frame[port->at];

		if (!forward(port, frame)) {
			wait_in_line(port);
			return;
		}
		port->at++;
		release_frame(port->owner, frame);
	}
	port->count = 0;
	port->at = 0;
	port->busy = false;
	if (port->hung_up)
		axnet_port_leave(port);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What a read brought: a frame that can be forwarded? */
static bool is_frame(struct switch_port *port, const struct switch_frame *frame)
{
	const int32_t result = frame->result;
	const bool passes = result == -EAGAIN || result == -ECONNRESET || result == -ENOMEM ||
			    result == -ENOBUFS;

	if (result >= (int32_t)SWITCH_MIN && result <= (int32_t)SWITCH_MAX)
		return true;
	/* An empty message looks like the end; which of the two, the hang-up tells. */
	if ((result == 0 && port->events & EPOLLHUP) || (result < 0 && !passes))
		port->hung_up = true;
	else if (result >= 0)
		ax_counter_add(&port->owner->dropped, 1);
	return false;
}

static void turn_ends(struct switch_port *port)
{
	const uint32_t tried = port->count;
	uint32_t filled = 0, kept = 0;

	for (uint32_t i = 0; i < tried; i++) {
		struct switch_frame *frame = port->frame[i];

		filled += frame->result >= 0;
		if (is_frame(port, frame))
			port->frame[kept++] = frame;
		else
			release_frame(port->owner, frame);
	}
	/* Reads that find nothing are not free either. */
	port->turn = filled < tried ? filled : 2 * tried;
	if (port->turn < 1)
		port->turn = 1;
	if (port->turn > SWITCH_TURN)
		port->turn = SWITCH_TURN;
	port->count = kept;
	port->at = 0;
	forward_all(port);
}

static void on_read(struct ax_op *op, int32_t result)
{
	struct switch_frame *frame = ax_container_of(op, struct switch_frame, op);
	struct switch_port *port = frame->from;

	frame->result = result;
	if (--port->reading == 0)
		turn_ends(port);
}

static void begin_turn(struct switch_port *port)
{
	struct axnet_switch *sw = port->owner;

	port->busy = true;
	if (!sw->free_frames) {
		wait_in_line(port);
		return;
	}
	for (port->count = 0; port->count < port->turn && sw->free_frames; port->count++) {
		struct switch_frame *frame = sw->free_frames;

		sw->free_frames = frame->next;
		frame->users = 1;
		frame->from = port;
		frame->iov = (struct iovec){frame->buffer, SWITCH_MAX + 1};
		port->frame[port->count] = frame;
		ax_op_readv(sw->loop, &frame->op, port->fd, &frame->iov, 1, AX_OP_NO_OFFSET, 0);
	}
	port->reading = port->count;
}

void axnet_path_event(void *ctx, int fd, uint32_t events)
{
	struct switch_port *port = ctx;

	(void)fd;
	if (port->busy)
		return; /* it is asked again as long as there is something */
	port->events = events;
	begin_turn(port);
}

/* Each of those that wait now once: who waits again stands behind the others. */
static void on_resume(void *ctx)
{
	struct axnet_switch *sw = ctx;
	struct switch_port *port = sw->waiting;

	sw->waiting = NULL;
	sw->waiting_tail = &sw->waiting;
	while (port) {
		struct switch_port *next = port->next;

		port->waiting = false;
		if (port->count)
			forward_all(port);
		else
			begin_turn(port);
		port = next;
	}
}

void axnet_path_init(struct axnet_switch *sw)
{
	sw->waiting_tail = &sw->waiting;
	sw->resume = (struct ax_deferred){.fn = on_resume, .ctx = sw};
	for (unsigned i = 0; i < SWITCH_FRAMES; i++) {
		struct switch_frame *frame = &sw->frame[i];

		frame->op.fn = on_read;
		frame->buffer = sw->buffers + (size_t)i * (SWITCH_MAX + 1);
		frame->next = sw->free_frames;
		sw->free_frames = frame;
	}
	for (unsigned i = 0; i < SWITCH_SENDS; i++) {
		sw->send[i].op.fn = on_sent;
		sw->send[i].next = sw->free_sends;
		sw->free_sends = &sw->send[i];
	}
	sw->sends = SWITCH_SENDS;
}
