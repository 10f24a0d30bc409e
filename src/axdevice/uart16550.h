/*
 * The state of a 16550A, of which one file is the device (uart16550.c) and others are its tests.
 * Register names are those of <linux/serial_reg.h>; section numbers are those of the PC16550D data
 * sheet (June 1995).
 */
#ifndef AXDEVICE_UART16550_H
#define AXDEVICE_UART16550_H

#include "serial.h"

#define UART_FIFO_BYTES 16u
#define UART_REG_COUNT  8u

struct uart {
	struct serial_port port; /* first; its lock is for all that follows but the constants */
	uint8_t reg_shift;       /* constant */
	enum axirq_trigger trigger;

	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t modem;        /* MSR: lines in the upper half, changes in the lower */
	bool overrun;         /* LSR.OE */
	bool thre_pending;    /* the THRE interrupt has risen and was not yet answered */
	bool timeout_pending; /* characters below the trigger level are waiting (8.4.2) */
	bool irq_high;        /* the INTR pin */
	uint8_t rx[UART_FIFO_BYTES], rx_count;
	/* Bytes that wait for the console's ring; while there are any, THRE and TEMT are clear. */
	uint8_t tx[UART_FIFO_BYTES], tx_count;
};

#endif
