/*
 * virtio-console (Spec 5.3): what is offered, the life of the device, and the terminal's size.
 * Bytes are console_port.c's, the messages of MULTIPORT console_control.c's.
 *
 * MULTIPORT is always offered, if only for its RESIZE: Linux long read the configuration's size
 * only after a change, so a terminal without the message had none at first. A driver that does not
 * take MULTIPORT has port 0, which is then open from DRIVER_OK on. The size and the emergency write
 * are those of port 0 too, and are offered where that is a console.
 */
#include "console.h"
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t queue_max[] = {
	CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE,   /* port 0 */
	CONSOLE_CONTROL_SIZE, CONSOLE_CONTROL_SIZE, /* control */
	CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE, CONSOLE_QUEUE_SIZE,
	CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE, CONSOLE_QUEUE_SIZE,
	CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE, CONSOLE_QUEUE_SIZE,
	CONSOLE_QUEUE_SIZE,   CONSOLE_QUEUE_SIZE,
};
_Static_assert(AX_ARRAY_LEN(queue_max) == CONSOLE_QUEUES(AXVIRTIO_CONSOLE_MAX_PORTS),
	       "one a queue");

static struct console *console_of(struct axvirtio *device)
{
	return ax_container_of(device, struct console, device);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* A client of a port's backend came or went. */
static void open_changed(void *dev)
{
	struct console_port *port = dev;

	axvirtio_wake(&port->console->device, CONSOLE_CONTROL_IN);
}

static int bound(struct axvirtio *device, struct ax_error *err)
{
	struct console *console = console_of(device);

	for (unsigned i = 0; i < console->port_count; i++) {
		if (axchr_loop(console->port[i].chr) != axvirtio_loop(device, 0))
			return ax_error_set(err, AX_ERROR_INTERNAL, EINVAL,
					    "%s: the backend of port %u is on another loop",
					    console->name, i);
	}
	for (unsigned i = 0; !console->is_bound && i < console->port_count; i++)
		axchr_bind(console->port[i].chr, &(struct axchr_device){
							 .take = axvirtio_console_take,
							 .can_send = axvirtio_console_can_send,
							 .open_changed = open_changed,
							 .dev = &console->port[i],
						 });
	console->is_bound = true;
	return 0;
}

static int activate(struct axvirtio *device, uint64_t features)
{
	struct console *console = console_of(device);

	console->features = features;
	console->port[0].guest_open = !console_has(console, VIRTIO_CONSOLE_F_MULTIPORT);
	return 0;
}

static void reset(struct axvirtio *device)
{
	struct console *console = console_of(device);

	console->features = 0;
	console->device_ready = false;
	console->told_size = 0;
	for (unsigned i = 0; i < console->port_count; i++) {
		struct console_port *port = &console->port[i];

		port->sent = 0;
		port->told = 0;
		port->ready = false;
		port->guest_open = false;
	}
}

static void handle_queue(struct axvirtio *device, unsigned index)
{
	struct console *console = console_of(device);
	const bool is_control = index == CONSOLE_CONTROL_IN || index == CONSOLE_CONTROL_OUT;
	struct console_port *port = &console->port[index < CONSOLE_CONTROL_IN ? 0 : index / 2 - 1];

	/* Queues that do not exist without MULTIPORT are left alone. */
	if (index >= CONSOLE_CONTROL_IN && !console_has(console, VIRTIO_CONSOLE_F_MULTIPORT))
		return;
	if (is_control)
		axvirtio_console_handle_control(console, index);
	else if (index & 1)
		axvirtio_console_handle_output(port);
	else
		axvirtio_console_handle_input(port);
}

static unsigned queue_group(const struct axvirtio *device, unsigned index)
{
	(void)device;
	(void)index;
	return 0;
}

/* Emergency write (5.3.4): one byte, without queues and whatever the status is. Only to a console:
 * whoever speaks with the guest over a channel expects no such text in between. */
static void write_config(struct axvirtio *device, uint32_t offset, const uint8_t *bytes,
			 unsigned width)
{
	struct console_port *first = &console_of(device)->port[0];

	(void)width;
	if (offset == offsetof(struct virtio_console_config, emerg_wr) && first->is_console)
		axchr_send(first->chr, bytes, 1);
}

static void destroy(struct axvirtio *device)
{
	struct console *console = console_of(device);

	for (unsigned i = 0; console->is_bound && i < console->port_count; i++)
		axchr_bind(console->port[i].chr, NULL);
	pthread_mutex_destroy(&console->size_lock);
	free(console);
}

static const struct axvirtio_ops console_ops = {
	.bound = bound,
	.activate = activate,
	.reset = reset,
	.handle_queue = handle_queue,
	.queue_group = queue_group,
	.write_config = write_config,
	.destroy = destroy,
};

/* ---- the terminal's size --------------------------------------------------------------------- */

void axvirtio_console_resize(struct axvirtio *device, uint16_t columns, uint16_t rows)
{
	struct console *console = console_of(device);
	const uint32_t size = (uint32_t)columns << 16 | rows;
	const uint16_t config[] = {htole16(columns), htole16(rows)};

	pthread_mutex_lock(&console->size_lock);
	if (atomic_exchange(&console->size, size) != size) {
		/* With MULTIPORT the message counts, but the fields can be read all the same. */
		axvirtio_update_config(device, 0, config, sizeof(config));
		axvirtio_wake(device, CONSOLE_CONTROL_IN);
	}
	pthread_mutex_unlock(&console->size_lock);
}

/* ---- creation -------------------------------------------------------------------------------- */

/* It becomes a file's name in the guest, and is written to logs. */
static bool is_name(const char *name)
{
	const size_t length = strlen(name);

	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c >= 0x7f || c == '/')
			return false;
	}
	return length && length <= CONSOLE_MAX_NAME && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static int check_ports(const char *name, const struct axvirtio_console_config *config,
		       struct ax_error *err)
{
	const struct axvirtio_console_port *ports = config->ports;

	if (!config->port_count || config->port_count > AXVIRTIO_CONSOLE_MAX_PORTS)
		return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				    "%s: %u console ports; there can be 1 to %u", name,
				    config->port_count, AXVIRTIO_CONSOLE_MAX_PORTS);
	for (uint32_t i = 0; i < config->port_count; i++) {
		if (!ports[i].chr)
			return ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
					    "%s: port %u has no backend", name, i);
		if (ports[i].name && !is_name(ports[i].name)) {
			ax_error_set(err, AX_ERROR_CONFIGURATION, EINVAL,
				     "%s: \"%s\" cannot be the name of port %u", name,
				     ports[i].name, i);
			return ax_error_hint(err,
					     "1 to %u printable ASCII characters without / "
					     "and blanks",
					     CONSOLE_MAX_NAME);
		}
		for (uint32_t k = 0; k < i; k++) {
			if (ports[k].chr == ports[i].chr)
				return ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
						    "%s: ports %u and %u have one backend", name, k,
						    i);
			if (ports[k].name && ports[i].name && !strcmp(ports[k].name, ports[i].name))
				return ax_error_set(err, AX_ERROR_ALREADY_EXISTS, EEXIST,
						    "%s: ports %u and %u are both called %s", name,
						    k, i, ports[i].name);
		}
	}
	return 0;
}

static void fill_ports(struct console *console, const struct axvirtio_console_config *config)
{
	console->port_count = config->port_count;
	for (unsigned i = 0; i < config->port_count; i++) {
		const struct axvirtio_console_port *from = &config->ports[i];
		struct console_port *port = &console->port[i];

		port->console = console;
		port->index = i;
		port->chr = from->chr;
		port->is_console = from->is_console;
		if (from->name)
			snprintf(port->name, sizeof(port->name), "%s", from->name);
	}
}

int axvirtio_console_create(const char *name, const struct axvirtio_console_config *config,
			    struct axvirtio **ret_device, struct ax_error *err)
{
	struct console *console;
	int r = check_ports(name, config, err);

	if (r < 0)
		return r;
	console = calloc(1, sizeof(*console));
	if (!console)
		return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for device %s",
				    name);
	snprintf(console->name, sizeof(console->name), "%s", name);
	fill_ports(console, config);
	pthread_mutex_init(&console->size_lock, NULL);
	atomic_init(&console->size, (uint32_t)config->columns << 16 | config->rows);
	console->log_limit = (struct ax_ratelimit)AX_RATELIMIT_INIT;
	console->config.cols = htole16(config->columns);
	console->config.rows = htole16(config->rows);
	console->config.max_nr_ports = htole32(config->port_count);
	console->device.ops = &console_ops;
	console->device.class_name = "virtio-console";
	console->device.device_id = VIRTIO_ID_CONSOLE;
	console->device.features = 1ULL << VIRTIO_CONSOLE_F_MULTIPORT;
	if (console->port[0].is_console)
		console->device.features |=
			1ULL << VIRTIO_CONSOLE_F_SIZE | 1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE;
	console->device.queue_count = CONSOLE_QUEUES(config->port_count);
	console->device.queue_max = queue_max;
	console->device.config = &console->config;
	console->device.config_size = sizeof(console->config);
	*ret_device = &console->device;
	return 0;
}

static int create_class(const char *name, const void *config, const struct axdev_services *services,
			struct axdev **ret_dev, struct ax_error *err)
{
	const struct axvirtio_console_config *console = config;
	struct axdev_services ours = *services;
	struct axvirtio *device = NULL;
	int r = axvirtio_console_create(name, console, &device, err);

	if (r < 0)
		return r;
	/* Not spread over the loops: where its backends are. */
	ours.io_loop = axchr_loop(console->ports[0].chr);
	ours.io_loop_count = 0;
	return axvirtio_attach(name, &console->place, device, &ours, ret_dev, err);
}

const struct axdev_class axvirtio_console_class = {
	.name = "virtio-console",
	.type = AXVIRTIO_CONSOLE_TYPE,
	.summary = "terminals and byte channels",
	.config_size = sizeof(struct axvirtio_console_config),
	.create = create_class,
};
