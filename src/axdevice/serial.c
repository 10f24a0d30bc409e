/* The half of a serial port that is no register: console, backlog, line, suspension. */
#include "serial.h"

#include <stdlib.h>

static struct serial_port *port_of(struct axdev *dev)
{
	return ax_container_of(dev, struct serial_port, dev);
}

bool axdev_serial_next(struct serial_port *port, uint8_t *ret_byte)
{
	if (!port->backlog_count)
		return false;
	*ret_byte = port->backlog[port->backlog_start];
	port->backlog_start = (port->backlog_start + 1) % SERIAL_BACKLOG_BYTES;
	port->backlog_count--;
	return true;
}

uint32_t axdev_serial_send(struct serial_port *port, const uint8_t *bytes, uint32_t count)
{
	if (!port->chr)
		return count;
	return port->suspended ? 0 : (uint32_t)axchr_send(port->chr, bytes, count);
}

/* Is the console owed a call because there is room again? Half empty, so that calls are few. */
static bool wants_input(const struct serial_port *port)
{
	return !port->suspended && port->chip->on_line(port) &&
	       port->backlog_count <= SERIAL_BACKLOG_BYTES / 2;
}

static enum axdev_result serial_access(struct axdev *dev, struct axdev_access *access)
{
	struct serial_port *port = port_of(dev);
	bool resume;

	pthread_mutex_lock(&port->lock);
	port->chip->access(port, access);
	resume = port->chr && wants_input(port);
	pthread_mutex_unlock(&port->lock);
	if (resume)
		axchr_resume_input(port->chr); /* one atomic load unless input is held back */
	return AXDEV_HANDLED;
}

static size_t can_receive(void *ctx)
{
	struct serial_port *port = ctx;
	size_t room = 0;

	pthread_mutex_lock(&port->lock);
	if (wants_input(port))
		room = SERIAL_BACKLOG_BYTES - port->backlog_count;
	pthread_mutex_unlock(&port->lock);
	return room;
}

static void receive(void *ctx, const uint8_t *bytes, size_t count)
{
	struct serial_port *port = ctx;

	pthread_mutex_lock(&port->lock);
	for (size_t i = 0; i < count && port->backlog_count < SERIAL_BACKLOG_BYTES; i++) {
		uint32_t slot = (port->backlog_start + port->backlog_count) % SERIAL_BACKLOG_BYTES;

		port->backlog[slot] = bytes[i];
		port->backlog_count++;
	}
	if (!port->suspended) /* suspended after can_receive: resume raises what is due */
		port->chip->refill(port);
	pthread_mutex_unlock(&port->lock);
}

static void can_send(void *ctx)
{
	struct serial_port *port = ctx;

	pthread_mutex_lock(&port->lock);
	if (!port->suspended)
		port->chip->transmit(port);
	pthread_mutex_unlock(&port->lock);
}

static void serial_reset(struct axdev *dev)
{
	struct serial_port *port = port_of(dev);

	pthread_mutex_lock(&port->lock);
	port->chip->power_on(port);
	if (port->backlog_count) /* what was typed ahead is for whoever boots next */
		port->chip->refill(port);
	pthread_mutex_unlock(&port->lock);
	if (port->chr)
		axchr_resume_input(port->chr);
}

static int serial_suspend(struct axdev *dev, struct ax_error *err)
{
	struct serial_port *port = port_of(dev);

	(void)err;
	pthread_mutex_lock(&port->lock);
	port->suspended = true;
	pthread_mutex_unlock(&port->lock);
	return 0;
}

static int serial_resume(struct axdev *dev, struct ax_error *err)
{
	struct serial_port *port = port_of(dev);

	(void)err;
	pthread_mutex_lock(&port->lock);
	port->suspended = false;
	port->chip->transmit(port); /* the console may have asked meanwhile */
	if (port->backlog_count)
		port->chip->refill(port);
	pthread_mutex_unlock(&port->lock);
	if (port->chr)
		axchr_resume_input(port->chr);
	return 0;
}

static void serial_destroy(struct axdev *dev)
{
	struct serial_port *port = port_of(dev);

	if (port->chr)
		axchr_bind(port->chr, NULL);
	axirq_release(port->line);
	pthread_mutex_destroy(&port->lock);
	free(port);
}

static const struct axdev_ops serial_ops = {
	.access = serial_access,
	.reset = serial_reset,
	.suspend = serial_suspend,
	.resume = serial_resume,
	.destroy = serial_destroy,
};

int axdev_serial_create(struct serial_port *port, const struct serial_chip *chip, uint32_t gsi,
			enum axirq_trigger trigger, const char *name,
			const struct axdev_services *services, struct axdev **ret_dev,
			struct ax_error *err)
{
	if (services->irqs) {
		int rc = axirq_claim(services->irqs, gsi, trigger, name, &port->line, err);

		if (rc) {
			free(port);
			return rc;
		}
	}
	port->dev.ops = &serial_ops;
	port->dev.resource_count = 1;
	port->chip = chip;
	pthread_mutex_init(&port->lock, NULL);
	chip->power_on(port);
	if (port->chr)
		axchr_bind(port->chr, &(struct axchr_device){.can_receive = can_receive,
							     .receive = receive,
							     .can_send = can_send,
							     .dev = port});
	*ret_dev = &port->dev;
	return 0;
}
