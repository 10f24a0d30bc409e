/*
 * What stands behind the registers of every serial port: the console, input taken from it ahead of
 * the receiver, the interrupt line, suspension, and the lock for all of it. The registers are a
 * chip's own: uart16550.c, pl011.c.
 *
 * Nothing here blocks a vCPU: when the console's ring is full the transmitter stays busy until the
 * console says there is room, and input that the guest does not fetch stays where it is.
 */
#ifndef AXDEVICE_SERIAL_H
#define AXDEVICE_SERIAL_H

#include <axvm/axdevice.h>
#include <pthread.h>

/* Input taken from the console ahead of the chip's FIFO, so that a paste costs a wake-up per half
 * of this and not one per FIFO. */
#define SERIAL_BACKLOG_BYTES 1024u

struct serial_port;

/* The registers. All are called with the lock held, and leave the interrupt line as is due. */
struct serial_chip {
	void (*access)(struct serial_port *port, struct axdev_access *access);
	void (*power_on)(struct serial_port *port);
	/* Is the receiver on the line? In loopback it is not. */
	bool (*on_line)(const struct serial_port *port);
	/* Move backlog into the receiver as far as it listens, and raise what follows. */
	void (*refill)(struct serial_port *port);
	/* The console takes bytes again. */
	void (*transmit)(struct serial_port *port);
};

struct serial_port {
	struct axdev dev; /* first: the destruction frees a chip by it */
	const struct serial_chip *chip;
	struct axchr *chr;       /* NULL: nothing is plugged in */
	struct axirq_line *line; /* NULL: polled only */
	pthread_mutex_t lock;    /* everything below and the chip's; vCPUs and the loop's thread */
	bool suspended;
	uint8_t backlog[SERIAL_BACKLOG_BYTES];
	uint32_t backlog_start, backlog_count;
};

/*
 * Make a device of `port`, the first member of a chip's allocated struct, whose dev.resource[0] and
 * chr the chip has set and whose other members are zero; and power it on. `gsi` is claimed when the
 * machine has interrupts. The struct is the device's from now on, and freed when this fails.
 */
int axdev_serial_create(struct serial_port *port, const struct serial_chip *chip, uint32_t gsi,
			enum axirq_trigger trigger, const char *name,
			const struct axdev_services *services, struct axdev **ret_dev,
			struct ax_error *err);

/* For chips, with the lock held. The next byte of input; false: there is none. */
bool axdev_serial_next(struct serial_port *port, uint8_t *ret_byte);
/* How many of `count` bytes are gone: all when nothing is plugged in, none while suspended. */
uint32_t axdev_serial_send(struct serial_port *port, const uint8_t *bytes, uint32_t count);

#endif
