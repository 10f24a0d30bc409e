/*
 * The bytes of a port: what the driver transmits goes to the port's backend, what the backend has
 * goes into the driver's receive buffers (Spec 5.3.6). Nothing is kept here: output that the
 * backend does not take stays in the driver's buffer, input that finds no buffer stays with the
 * backend, which stops reading. So a slow reader holds up the guest's writer and a guest that does
 * not read holds up its typist; Linux waits inside hvc's transmit with a lock held, as it would for
 * a UART.
 */
#include "console.h"
#include "iov.h"
#include <errno.h>

/* ---- output ---------------------------------------------------------------------------------- */

/* Hand over what is left of the chain; false when the backend is full. */
static bool send_chain(struct console_port *port, const struct axvq_chain *chain)
{
	struct iov_cursor cursor = {.iov = chain->iov, .count = chain->readable};

	/* The driver may have changed a chain that was given back; it is then its own loss. */
	iov_advance(&cursor, IOV_SKIP, NULL, port->sent);
	for (unsigned i = 0; i < cursor.count; i++) {
		const struct iovec *iov = &cursor.iov[i];
		const size_t taken = axchr_send(port->chr, iov->iov_base, iov->iov_len);

		port->sent += taken;
		if (taken < iov->iov_len)
			return false;
	}
	return true;
}

static int output_one(struct axvirtio *device, unsigned index)
{
	struct console *console = ax_container_of(device, struct console, device);
	struct console_port *port = &console->port[index < CONSOLE_CONTROL_IN ? 0 : index / 2 - 1];
	struct axvq_chain chain;
	int r = axvirtio_pop(device, index, console->iov, CONSOLE_IOV, &chain);

	if (r <= 0)
		return r;
	if (!send_chain(port, &chain)) {
		axvirtio_unpop(device, index);
		return -EAGAIN; /* not 0, which would look again at once; can_send does */
	}
	port->sent = 0;
	axvirtio_push(device, index, chain.head, 0, chain.readable_bytes);
	return 1;
}

void axvirtio_console_handle_output(struct console_port *port)
{
	axvirtio_serve(&port->console->device, console_receive_queue(port) + 1, output_one);
}

void axvirtio_console_can_send(void *dev)
{
	struct console_port *port = dev;

	axvirtio_wake(&port->console->device, console_receive_queue(port) + 1);
}

/* ---- input ----------------------------------------------------------------------------------- */

static size_t scatter(const struct axvq_chain *chain, const uint8_t *bytes, size_t count)
{
	size_t done = 0;

	for (uint32_t i = 0; i < chain->writable && done < count; i++) {
		const struct iovec *iov = &chain->iov[chain->readable + i];
		const size_t step = count - done < iov->iov_len ? count - done : iov->iov_len;

		memcpy(iov->iov_base, bytes + done, step);
		done += step;
	}
	return done;
}

/* Into the driver's buffers, as many as there are but no more than a queue's worth at once: one
 * that adds empty ones all the time must not keep us here. */
static size_t fill(struct console_port *port, const uint8_t *bytes, size_t count)
{
	struct console *console = port->console;
	struct axvirtio *device = &console->device;
	const unsigned index = console_receive_queue(port);
	size_t done = 0;

	for (unsigned turn = 0; turn < CONSOLE_QUEUE_SIZE; turn++) {
		struct axvq_chain chain;
		size_t n;
		int r;

		if (done == count)
			return done;
		r = axvirtio_pop(device, index, console->iov, CONSOLE_IOV, &chain);
		if (r < 0 || (r == 0 && !axvirtio_want_kicks(device, index, true)))
			return done;
		if (r == 0)
			continue; /* one came in just now */
		n = scatter(&chain, bytes + done, count - done);
		if (!n)
			axvirtio_count_error(device, index);
		axvirtio_push(device, index, chain.head, (uint32_t)n, n);
		done += n;
	}
	axvirtio_wake(device, index);
	return done;
}

size_t axvirtio_console_take(void *dev, const uint8_t *bytes, size_t count)
{
	struct console_port *port = dev;
	struct console *console = port->console;
	const unsigned index = console_receive_queue(port);
	size_t done = 0;

	/* When the driver is back, handle_queue resumes the input. */
	if (!axvirtio_enter(&console->device, index))
		return 0;
	/* Drivers throw away what comes for a port that nobody has opened. */
	if (port->guest_open)
		done = fill(port, bytes, count);
	axvirtio_leave(&console->device, index);
	return done;
}

void axvirtio_console_handle_input(struct console_port *port)
{
	axvirtio_want_kicks(&port->console->device, console_receive_queue(port), false);
	axchr_resume_input(port->chr);
}
