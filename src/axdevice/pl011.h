/*
 * The registers and the state of a PL011, of which one file is the device (pl011.c) and others are
 * its tests. Registers and their bits are those of the PrimeCell UART (PL011) Technical Reference
 * Manual, revision r1p5 (Arm DDI 0183G); section numbers in both files are that manual's.
 */
#ifndef AXDEVICE_PL011_H
#define AXDEVICE_PL011_H

#include "serial.h"

/* r1p4 and r1p5 have 32; drivers derive it from the revision in PeriphID2 and fill half of it
 * blindly, so the two belong together. */
#define PL011_FIFO_CHARS 32u

enum pl011_register { /* table 3-1 */
		      PL011_DR = 0x000,
		      PL011_RSR = 0x004, /* ECR when written */
		      PL011_FR = 0x018,
		      PL011_ILPR = 0x020,
		      PL011_IBRD = 0x024,
		      PL011_FBRD = 0x028,
		      PL011_LCR_H = 0x02c,
		      PL011_CR = 0x030,
		      PL011_IFLS = 0x034,
		      PL011_IMSC = 0x038,
		      PL011_RIS = 0x03c,
		      PL011_MIS = 0x040,
		      PL011_ICR = 0x044,
		      PL011_DMACR = 0x048,
};

#define PL011_DR_OE  0x800u
#define PL011_RSR_OE 0x008u

#define PL011_FR_CTS  0x001u
#define PL011_FR_DSR  0x002u
#define PL011_FR_DCD  0x004u
#define PL011_FR_BUSY 0x008u
#define PL011_FR_RXFE 0x010u
#define PL011_FR_TXFF 0x020u
#define PL011_FR_RXFF 0x040u
#define PL011_FR_TXFE 0x080u
#define PL011_FR_RI   0x100u

#define PL011_LCR_H_FEN 0x10u

#define PL011_CR_UARTEN 0x0001u
#define PL011_CR_LBE    0x0080u
#define PL011_CR_TXE    0x0100u
#define PL011_CR_RXE    0x0200u
#define PL011_CR_DTR    0x0400u
#define PL011_CR_RTS    0x0800u
#define PL011_CR_OUT1   0x1000u
#define PL011_CR_OUT2   0x2000u

/* IMSC, RIS, MIS, ICR. No line noise: framing, parity and break errors (7, 8, 9) never rise. */
#define PL011_INT_RI  0x001u
#define PL011_INT_CTS 0x002u
#define PL011_INT_DCD 0x004u
#define PL011_INT_DSR 0x008u
#define PL011_INT_RX  0x010u
#define PL011_INT_TX  0x020u
#define PL011_INT_RT  0x040u
#define PL011_INT_OE  0x400u
#define PL011_INT_ALL 0x7ffu

struct pl011 {
	struct serial_port port; /* first; its lock is for all that follows */
	uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
	uint32_t modem;                /* FR's four modem lines */
	bool overrun;                  /* the next character to enter the FIFO tells of it */
	uint16_t rx[PL011_FIFO_CHARS]; /* as DR shows them: character and DR_OE */
	/* Characters that wait for the console's ring; while there are any, BUSY is set. */
	uint8_t tx[PL011_FIFO_CHARS];
	uint32_t rx_count, tx_count;
};

#endif
