/*
 * The registers of the PL031, of which one file is the device (pl031.c) and others are its tests.
 * Names are those of the PrimeCell Real Time Clock (PL031) Technical Reference Manual (Arm DDI
 * 0224), chapter 3.
 */
#ifndef AXDEVICE_PL031_H
#define AXDEVICE_PL031_H

enum pl031_register { /* table 3-1 */
		      PL031_DR = 0x000,
		      PL031_MR = 0x004,
		      PL031_LR = 0x008,
		      PL031_CR = 0x00c,
		      PL031_IMSC = 0x010,
		      PL031_RIS = 0x014,
		      PL031_MIS = 0x018,
		      PL031_ICR = 0x01c,
};

#define PL031_CR_START 0x1u
#define PL031_INT      0x1u

#endif
