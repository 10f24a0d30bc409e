/*
 * The 16550A's own types, shared by its two files: uart16550.c (registers, as the guest sees them)
 * and uart16550_dev.c (the device: creation, console, suspend). Register names are those of
 * <linux/serial_reg.h>; section numbers are those of the PC16550D data sheet (June 1995).
 */
#ifndef AXDEVICE_UART16550_H
#define AXDEVICE_UART16550_H

#include <axvm/axdevice.h>
#include <pthread.h>

#define UART_FIFO_BYTES 16u
/* Input taken from the console ahead of the FIFO, so that a paste costs a wake-up per half of
 * this and not one per FIFO. */
#define UART_BACKLOG_BYTES 1024u
#define UART_REG_COUNT     8u

struct uart {
	struct axdev dev;
	struct axchr *chr;       /* NULL: nothing is plugged in */
	struct axirq_line *line; /* NULL: polled only */
	uint8_t reg_shift;
	enum axirq_trigger trigger;

	pthread_mutex_t lock; /* everything below; vCPUs and the loop's thread */
	bool suspended;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t modem;        /* MSR: lines in the upper half, changes in the lower */
	bool overrun;         /* LSR.OE */
	bool thre_pending;    /* the THRE interrupt has risen and was not yet answered */
	bool timeout_pending; /* characters below the trigger level are waiting (8.4.2) */
	bool irq_high;        /* the INTR pin */
	uint8_t rx[UART_FIFO_BYTES], rx_count;
	/* Bytes that wait for the console's ring; while there are any, THRE and TEMT are clear. */
	uint8_t tx[UART_FIFO_BYTES], tx_count;
	uint8_t backlog[UART_BACKLOG_BYTES];
	uint32_t backlog_start, backlog_count;
};

/* All with the lock held. `reg` is 0..7. */
void axdev_uart_power_on(struct uart *uart);
uint8_t axdev_uart_read(struct uart *uart, unsigned reg);
void axdev_uart_write(struct uart *uart, unsigned reg, uint8_t value);
/* Move backlog into the receiver as far as it listens, and raise what follows. */
void axdev_uart_refill(struct uart *uart);
/* The console takes bytes again. */
void axdev_uart_transmit(struct uart *uart);

#endif
