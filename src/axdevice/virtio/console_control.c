/*
 * The control queues of MULTIPORT (Spec 5.3.6.2). What the driver is to be told is not queued: it
 * is what differs between how a port is and what the driver was told of it, so however often things
 * change and however few buffers the driver offers, nothing grows, and it hears the latest.
 */
#include "console.h"
#include "iov.h"
#include <endian.h>
#include <errno.h>

struct message {
	struct virtio_console_control header;
	uint8_t more[CONSOLE_MAX_NAME];
	uint32_t length;
	/* What it settles. */
	struct console_port *port;
	unsigned told;
	bool tells_size;
	uint32_t size;
};

/* ---- to the driver --------------------------------------------------------------------------- */

static bool compose(struct message *message, struct console_port *port, unsigned event,
		    unsigned value, unsigned told)
{
	*message = (struct message){
		.header = {.id = htole32(port->index),
			   .event = htole16((uint16_t)event),
			   .value = htole16((uint16_t)value)},
		.length = sizeof(message->header),
		.port = port,
		.told = told,
	};
	return true;
}

/*
 * Columns, then rows, as the specification has them. Linux had them the other way round until 2025
 * (its commit 5326ab737a47, which went into its long-term versions too).
 */
static bool compose_size(struct message *message, struct console_port *port, uint32_t size)
{
	const uint16_t fields[] = {htole16((uint16_t)(size >> 16)), htole16((uint16_t)size)};

	compose(message, port, VIRTIO_CONSOLE_RESIZE, 0, 0);
	memcpy(message->more, fields, sizeof(fields));
	message->length += sizeof(fields);
	message->tells_size = true;
	message->size = size;
	return true;
}

/* false: it knows all of this port. */
static bool compose_next(struct console *console, struct console_port *port,
			 struct message *message)
{
	const uint32_t size = atomic_load(&console->size);
	const bool is_open = axchr_is_open(port->chr);

	if (!(port->told & TOLD_ADD))
		return compose(message, port, VIRTIO_CONSOLE_PORT_ADD, 0, TOLD_ADD);
	if (!port->ready)
		return false;
	if (port->is_console && !(port->told & TOLD_CONSOLE))
		return compose(message, port, VIRTIO_CONSOLE_CONSOLE_PORT, 1, TOLD_CONSOLE);
	if (port->name[0] && !(port->told & TOLD_NAME)) {
		const size_t length = strlen(port->name);

		compose(message, port, VIRTIO_CONSOLE_PORT_NAME, 1, TOLD_NAME);
		memcpy(message->more, port->name, length); /* not terminated */
		message->length += (uint32_t)length;
		return true;
	}
	if (is_open != !!(port->told & TOLD_OPEN))
		return compose(message, port, VIRTIO_CONSOLE_PORT_OPEN, is_open, TOLD_OPEN);
	if (!port->index && size != console->told_size &&
	    console_has(console, VIRTIO_CONSOLE_F_SIZE))
		return compose_size(message, port, size);
	return false;
}

static bool find_message(struct console *console, struct message *message)
{
	for (unsigned i = 0; console->device_ready && i < console->port_count; i++) {
		if (compose_next(console, &console->port[i], message))
			return true;
	}
	return false;
}

static void settle(struct console *console, const struct message *message)
{
	message->port->told ^= message->told;
	if (message->tells_size)
		console->told_size = message->size;
}

static int tell_one(struct axvirtio *device, unsigned index)
{
	struct console *console = ax_container_of(device, struct console, device);
	struct iov_cursor cursor;
	struct axvq_chain chain;
	struct message message;
	uint32_t written = 0;
	int r;

	if (!find_message(console, &message))
		return -EAGAIN; /* buffers wait for news, not news for buffers: no kicks */
	r = axvirtio_pop(device, index, console->iov, CONSOLE_IOV, &chain);
	if (r <= 0)
		return r;
	if (chain.writable_bytes < message.length) {
		axvirtio_count_error(device, index); /* it may have a larger one */
	} else {
		cursor = (struct iov_cursor){chain.iov + chain.readable, chain.writable};
		iov_advance(&cursor, IOV_SCATTER, &message.header, sizeof(message.header));
		iov_advance(&cursor, IOV_SCATTER, message.more,
			    message.length - sizeof(message.header));
		written = message.length;
		settle(console, &message);
	}
	axvirtio_push(device, index, chain.head, written, written);
	return 1;
}

/* ---- from the driver ------------------------------------------------------------------------- */

static bool on_device_ready(struct console *console, bool good)
{
	if (!good)
		ax_log_limited(&console->log_limit, AX_LOG_WARN, LAYER,
			       "%s: the guest's driver has failed", console->name);
	console->device_ready = good;
	return good;
}

static bool on_port_ready(struct console_port *port, bool good)
{
	if (!(port->told & TOLD_ADD))
		return false;
	if (!good)
		ax_log_limited(&port->console->log_limit, AX_LOG_WARN, LAYER,
			       "%s: the guest's driver cannot use port %u", port->console->name,
			       port->index);
	port->ready = good;
	return good;
}

static bool on_port_open(struct console_port *port, bool is_open)
{
	if (!port->ready)
		return false;
	port->guest_open = is_open;
	if (is_open)
		axchr_resume_input(port->chr);
	return true;
}

/* false: it makes no sense, and changes nothing; there is no answer for the driver. */
static bool obey(struct console *console, const struct virtio_console_control *message)
{
	const uint32_t id = le32toh(message->id);
	const uint16_t event = le16toh(message->event);
	const bool value = le16toh(message->value);

	if (event == VIRTIO_CONSOLE_DEVICE_READY) /* id is not used */
		return on_device_ready(console, value);
	if (!console->device_ready || id >= console->port_count)
		return false;
	switch (event) {
	case VIRTIO_CONSOLE_PORT_READY:
		return on_port_ready(&console->port[id], value);
	case VIRTIO_CONSOLE_PORT_OPEN:
		return on_port_open(&console->port[id], value);
	default:
		return false;
	}
}

static int obey_one(struct axvirtio *device, unsigned index)
{
	struct console *console = ax_container_of(device, struct console, device);
	struct virtio_console_control message;
	struct iov_cursor cursor;
	struct axvq_chain chain;
	int r = axvirtio_pop(device, index, console->iov, CONSOLE_IOV, &chain);

	if (r <= 0)
		return r;
	cursor = (struct iov_cursor){chain.iov, chain.readable};
	/* Copied once, then looked at. */
	if (iov_advance(&cursor, IOV_GATHER, &message, sizeof(message)) < sizeof(message) ||
	    !obey(console, &message))
		axvirtio_count_error(device, index);
	axvirtio_push(device, index, chain.head, 0, sizeof(message));
	return 1;
}

void axvirtio_console_handle_control(struct console *console, unsigned index)
{
	if (index == CONSOLE_CONTROL_IN) {
		axvirtio_serve(&console->device, index, tell_one);
		return;
	}
	axvirtio_serve(&console->device, index, obey_one);
	axvirtio_wake(&console->device,
		      CONSOLE_CONTROL_IN); /* there may be something to tell now */
}
