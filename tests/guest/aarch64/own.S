/* The payloads of the tests that only aarch64 has; see code.S. */
#include "macros.S"

/* ---- the 16550 that there can be in place of the PL011 ------------------------------ */

CODE uart_16550
	START
	HANDLER
	SET x0, 0x09000000
4:	ldrb w1, [x0, #5]
	tbz w1, #0, 5f
	ldrb w1, [x0]
	strb w1, [x20]
	add w1, w1, #1
	strb w1, [x0]
	b 4b
5:	IRQ_RETURN
	IRQ_SETUP
	ENABLE_SPI UART_INTID, BY_EDGE
	SET x10, 0x09000000
	mov w11, #0x0b
	strb w11, [x10, #4]
	mov w11, #1
	strb w11, [x10, #1]
	mov x11, #1
	str x11, [x20, #8]
3:	WAIT_IRQ
	ldrb w11, [x20]
	cmp w11, #'q'
	b.ne 3b
	DONE
END uart_16550

/* ---- interrupts --------------------------------------------------------------------- */

/* Counts at +0 what is injected, and keeps the last INTID at +16; ends after the number at +24. */
CODE inject
	START
	HANDLER
	COUNT
	str x9, [x20, #16]
	IRQ_RETURN
	IRQ_SETUP
	ENABLE_SPI EDGE_INTID, BY_EDGE
	mov x10, #1
	str x10, [x20, #8]
	WAIT_COUNT
	DONE
END inject

/* CPU 1 waits for ten SGIs of CPU 0, each sent when the one before has come. */
CODE sgi
	START
	HANDLER
	COUNT
	and x9, x9, #0xfff
	IRQ_RETURN
	IRQ_SETUP
	mov x1, #1
	adr x2, 3f
	CALL PSCI_CPU_ON
	cbnz x0, 9f
4:	ldr x10, [x20, #8]
	cbz x10, 4b
	mov x10, #0
5:	add x10, x10, #1
	cbz x22, 6f
	SET x0, 0x05000002		/* SGI 5 to Aff0 1 */
	msr ICC_SGI1R, x0
	isb
	b 7f
6:	SET x0, GICD
	SET x1, 0x00020005		/* SGI 5 to CPU interface 1 */
	str w1, [x0, #0xf00]
7:	ldr x11, [x20]
	cmp x11, x10
	b.lo 7b
	cmp x10, #10
	b.lo 5b
	DONE
3:	START
	mov x10, #1
	IRQ_SETUP x10
	ENABLE_PPI 5
	str x10, [x20, #8]
8:	WAIT_IRQ
	b 8b
END sgi

/* ---- calls -------------------------------------------------------------------------- */

/* What PSCI answers, at +0: version; is there CPU_ON? an unknown call; CPU_ON of nobody and of
 * oneself; AFFINITY_INFO of oneself, of a CPU that is off, of nobody. */
CODE psci
	START
	mov x10, x20
	CALL PSCI_VERSION
	str x0, [x10], #8
	SET x1, PSCI_CPU_ON
	CALL PSCI_FEATURES
	str x0, [x10], #8
	CALL 0x8400ff00
	str x0, [x10], #8
	mov x1, #0x77
	adr x2, 9f
	CALL PSCI_CPU_ON
	str x0, [x10], #8
	mov x1, #0
	adr x2, 9f
	CALL PSCI_CPU_ON
	str x0, [x10], #8
	mov x1, #0
	mov x2, #0
	CALL PSCI_AFFINITY_INFO
	str x0, [x10], #8
	mov x1, #1
	mov x2, #0
	CALL PSCI_AFFINITY_INFO
	str x0, [x10], #8
	mov x1, #0x77
	mov x2, #0
	CALL PSCI_AFFINITY_INFO
	str x0, [x10], #8
	DONE
END psci

/* Number 7 of 1 to 6, number 99, and an id that is not AxVM's. */
CODE hvc
	START
	SET x0, 0xc6000107
	mov x1, #1
	mov x2, #2
	mov x3, #3
	mov x4, #4
	mov x5, #5
	mov x6, #6
	hvc #0
	str x0, [x20]
	SET x0, 0xc6000163
	hvc #0
	str x0, [x20, #8]
	SET x0, 0xc6000300
	hvc #0
	str x0, [x20, #16]
	DONE
END hvc

	.section .note.GNU-stack, "", %progbits
