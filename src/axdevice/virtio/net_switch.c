/*
 * An Ethernet switch between guests: its making, and ports that come from any thread and go when
 * their far end is closed. The way of the frames is net_switch_path.c's.
 */
#include "net_switch.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* Kept for a port that is slow: some sixty of the largest frames, as far as the host's limit
 * (net.core.wmem_max) lets us. The kernel doubles it for what it keeps beside the bytes. */
#define SEND_BYTES (4 * 1024 * 1024)
#define SWEEP_NS   (30 * 1000000000ULL)
/* Copies that a port's floods may cost; what comes faster is a storm. */
#define FLOODS_S    65536U
#define FLOOD_BURST 16384U

/* ---- ports ----------------------------------------------------------------------------------- */

static void free_port(struct switch_port *port)
{
	struct axnet_switch *sw = port->owner;

	if (port->fd >= 0)
		close(port->fd);
	free(port);
	atomic_fetch_sub(&sw->port_count, 1);
}

void axnet_port_unless_used(struct switch_port *port)
{
	if (port->gone && !port->reading && !port->sending && !port->busy) {
		/* Only now: an operation under way must not meet another file of that number. */
		ax_loop_forget_fd(port->owner->loop, port->fd);
		free_port(port);
	}
}

void axnet_port_leave(struct switch_port *port)
{
	struct axnet_switch *sw = port->owner;

	ax_loop_remove(port->event);
	port->event = NULL;
	port->gone = true;
	sw->port[port->slot] = NULL;
	sw->ports--;
	axnet_table_sweep(&sw->table, port->slot, ax_clock_ns());
	axnet_port_unless_used(port);
}

static void attach(struct axnet_switch *sw, struct switch_port *port)
{
	struct ax_error err = {0};

	while (sw->port[port->slot]) /* there are no more ports than slots */
		port->slot++;
	if (ax_loop_add_fd(sw->loop, port->fd, EPOLLIN, axnet_path_event, port, &port->event,
			   &err) < 0) {
		ax_log(AX_LOG_WARN, LAYER, "a port of a switch is closed again: %s", err.message);
		free_port(port);
		return;
	}
	ax_loop_keep_fd(sw->loop, port->fd);
	sw->port[port->slot] = port;
	sw->ports++;
}

static struct switch_port *take_arriving(struct axnet_switch *sw)
{
	struct switch_port *port;

	pthread_mutex_lock(&sw->lock);
	port = sw->arriving;
	sw->arriving = NULL;
	pthread_mutex_unlock(&sw->lock);
	return port;
}

static void on_arrival(void *ctx, int fd, uint32_t events)
{
	struct axnet_switch *sw = ctx;
	struct switch_port *port = take_arriving(sw);

	(void)fd;
	(void)events;
	while (port) {
		struct switch_port *next = port->next;

		attach(sw, port);
		port = next;
	}
}

static void allow_bytes(int fd)
{
	const int bytes = SEND_BYTES;

	/* Past the host's limit when we may, else up to it. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

int axnet_switch_adopt_port(struct axnet_switch *sw, int fd, struct ax_error *err)
{
	const struct axvirtio_limit floods = {.bytes_per_s = FLOODS_S, .bytes_burst = FLOOD_BURST};
	const uint64_t one = 1;
	struct switch_port *port;

	if (atomic_fetch_add(&sw->port_count, 1) >= SWITCH_PORTS) {
		atomic_fetch_sub(&sw->port_count, 1);
		return ax_error_set(err, AX_ERROR_DEVICE, ENOSPC, "a switch has %u ports at most",
				    SWITCH_PORTS);
	}
	port = calloc(1, sizeof(*port));
	if (!port) {
		atomic_fetch_sub(&sw->port_count, 1);
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a port");
	}
	port->owner = sw;
	port->fd = fd;
	port->turn = 1;
	limit_init(&port->floods, &floods);
	allow_bytes(fd);
	pthread_mutex_lock(&sw->lock);
	port->next = sw->arriving;
	sw->arriving = port;
	pthread_mutex_unlock(&sw->lock);
	if (write(sw->arrival_fd, &one, sizeof(one)) < 0) {
		/* only a counter at its limit refuses, and that is told enough */
	}
	return 0;
}

int axnet_switch_add_port(struct axnet_switch *sw, int *ret_fd, struct ax_error *err)
{
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, errno, "no socket pair for a port: %s",
				    strerror(errno));
	allow_bytes(fds[1]);
	r = axnet_switch_adopt_port(sw, fds[0], err);
	if (r < 0) {
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	*ret_fd = fds[1];
	return 0;
}

/* ---- the switch ------------------------------------------------------------------------------ */

static void on_sweep(void *ctx, int fd, uint32_t events)
{
	struct axnet_switch *sw = ctx;

	(void)fd;
	(void)events;
	axnet_table_sweep(&sw->table, TABLE_NO_PORT, ax_clock_ns());
}

static int open_switch(struct axnet_switch *sw, struct ax_error *err)
{
	uint64_t key = 0;
	int r;

	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key ^= ax_clock_ns() ^ (uintptr_t)sw;
	axnet_table_init(&sw->table, key);
	/* Read into before they are read from, and so only touched as far as they are used. */
	sw->buffers = malloc((size_t)SWITCH_FRAMES * (SWITCH_MAX + 1));
	sw->arrival_fd = eventfd(0, EFD_CLOEXEC);
	if (!sw->buffers || sw->arrival_fd < 0)
		return ax_error_set(err, AX_ERROR_DEVICE, sw->buffers ? errno : ENOMEM,
				    "cannot make a switch: %s",
				    strerror(sw->buffers ? errno : ENOMEM));
	axnet_path_init(sw);
	r = ax_loop_add_eventfd(sw->loop, sw->arrival_fd, on_arrival, sw, &sw->arrival, err);
	if (!r)
		r = ax_loop_add_timer(sw->loop, SWEEP_NS, SWEEP_NS, on_sweep, sw, &sw->sweep, err);
	return r;
}

int axnet_switch_create(struct ax_loop *loop, struct axnet_switch **ret_switch,
			struct ax_error *err)
{
	struct axnet_switch *sw = calloc(1, sizeof(*sw));
	int r;

	if (!sw)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for a switch");
	sw->loop = loop;
	sw->arrival_fd = -1;
	pthread_mutex_init(&sw->lock, NULL);
	r = open_switch(sw, err);
	if (r < 0) {
		axnet_switch_destroy(sw);
		return r;
	}
	*ret_switch = sw;
	return 0;
}

void axnet_switch_destroy(struct axnet_switch *sw)
{
	struct switch_port *port;

	if (!sw)
		return;
	ax_loop_remove(sw->arrival);
	ax_loop_remove(sw->sweep);
	ax_loop_cancel_defer(sw->loop, &sw->resume);
	port = take_arriving(sw);
	while (port) {
		struct switch_port *next = port->next;

		free_port(port);
		port = next;
	}
	for (unsigned i = 0; i < SWITCH_PORTS; i++) {
		port = sw->port[i];
		if (!port)
			continue;
		ax_loop_remove(port->event);
		ax_loop_forget_fd(sw->loop, port->fd);
		free_port(port);
	}
	if (sw->arrival_fd >= 0)
		close(sw->arrival_fd);
	pthread_mutex_destroy(&sw->lock);
	free(sw->buffers);
	free(sw);
}

void axnet_switch_get_stats(const struct axnet_switch *sw, struct axnet_switch_stats *ret_stats)
{
	*ret_stats = (struct axnet_switch_stats){
		.frames = ax_counter_read(&sw->frames),
		.bytes = ax_counter_read(&sw->bytes),
		.flooded = ax_counter_read(&sw->flooded),
		.dropped = ax_counter_read(&sw->dropped),
		.ports = atomic_load(&sw->port_count),
	};
}
