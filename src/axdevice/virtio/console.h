/*
 * What the files of virtio-console share: console.c (what is offered, life, the terminal's size),
 * console_port.c (bytes of a port), console_control.c (the messages of MULTIPORT).
 *
 * All queues and all backends stand on one loop, whose thread owns everything here but what is
 * marked; a reset clears it from a vCPU's thread while the gates keep the loop out.
 */
#ifndef AXVM_VIRTIO_CONSOLE_H
#define AXVM_VIRTIO_CONSOLE_H

#include <axvm/virtio_devices.h>
#include <linux/virtio_console.h>
#include <pthread.h>

#define LAYER "virtio"

#define CONSOLE_QUEUE_SIZE     128U
#define CONSOLE_CONTROL_SIZE   32U
#define CONSOLE_IOV            (CONSOLE_QUEUE_SIZE + 8)
#define CONSOLE_MAX_NAME       64U
#define CONSOLE_CONTROL_IN     2U /* to the driver (5.3.2) */
#define CONSOLE_CONTROL_OUT    3U
#define CONSOLE_QUEUES(ports_) (2 + 2 * (ports_))

/* What the driver has been told of a port. */
enum {
	TOLD_ADD = 1,
	TOLD_CONSOLE = 2,
	TOLD_NAME = 4,
	TOLD_OPEN = 8,
};

struct console;
struct console_port {
	struct console *console;
	unsigned index;
	struct axchr *chr;
	bool is_console;
	char name[CONSOLE_MAX_NAME + 1];

	uint64_t sent; /* bytes of the transmit queue's first chain that the backend has already */
	unsigned told; /* TOLD_* */
	bool ready;    /* PORT_READY came */
	bool guest_open; /* PORT_OPEN came: it takes input */
};

struct console {
	struct axvirtio device;
	char name[32];
	struct virtio_console_config config; /* the core's, under its lock */
	unsigned port_count;
	struct console_port port[AXVIRTIO_CONSOLE_MAX_PORTS];
	struct iovec iov[CONSOLE_IOV];
	struct ax_ratelimit log_limit;
	bool is_bound; /* the backends know us */

	uint64_t features; /* negotiated */
	bool device_ready;
	uint32_t told_size;

	pthread_mutex_t size_lock; /* the order of resizes */
	_Atomic uint32_t size;     /* any thread: columns in the upper half, rows in the lower */
};

static inline bool console_has(const struct console *console, unsigned feature)
{
	return console->features >> feature & 1;
}

/* Port n has a pair of queues, with that of control between those of 0 and 1 (5.3.2). */
static inline unsigned console_receive_queue(const struct console_port *port)
{
	return port->index ? 2 + 2 * port->index : 0;
}

/* console_port.c, on the queue's thread inside its gate */
void axvirtio_console_handle_input(struct console_port *port);
void axvirtio_console_handle_output(struct console_port *port);
/* The backend's calls. */
size_t axvirtio_console_take(void *dev, const uint8_t *bytes, size_t count);
void axvirtio_console_can_send(void *dev);

/* console_control.c, likewise */
void axvirtio_console_handle_control(struct console *console, unsigned index);

#endif
