/*
 * What the payloads of aarch64 have in common. A payload starts at EL1 with the MMU off; START
 * switches it on, as without it the host's cached view of memory need not be the guest's. From there
 * on x20 is the place of data, x21 the test device. Handlers use x0 to x9, others x10 to x19.
 */
#include "map.h"

	.section .rodata

/* 2048 is what vectors are aligned to. */
.macro CODE name
	.balign 2048
	.globl	code_\name
code_\name:
.endm

.macro END name
	.globl	code_\name\()_end
code_\name\()_end:
.endm

/* 32 bits. */
.macro SET reg, value
	movz \reg, #((\value) & 0xffff)
	movk \reg, #(((\value) >> 16) & 0xffff), lsl #16
.endm

/* Identity: the first GiB is devices, the second memory. Uses x0, x1. */
.macro START
	SET x20, GUEST_TABLE_GPA
	SET x0, 0x401			/* device-nGnRnE (0), block, accessed */
	movk x0, #0x60, lsl #48		/* never executed */
	str x0, [x20]
	SET x0, 0x40000705		/* normal (1), inner shareable */
	str x0, [x20, #8]
	dsb sy
	SET x0, 0xff00			/* 0: device, 1: write-back */
	msr mair_el1, x0
	SET x0, 0x00800020		/* TTBR0 only, 32 bits, walks not cached */
	msr tcr_el1, x0
	msr ttbr0_el1, x20
	isb
	tlbi vmalle1
	ic iallu
	dsb sy
	mrs x0, sctlr_el1
	SET x1, 0x1005			/* M, C, I */
	orr x0, x0, x1
	msr sctlr_el1, x0
	isb
	SET x20, GUEST_DATA_GPA
	SET x21, GUEST_MMIO_GPA
.endm

/* The vCPU has nothing more to do. */
.macro HANG
9:	wfi
	b 9b
.endm

/* Tell the harness that the payload is through, with `word`. */
.macro DONE word=wzr
	str \word, [x21, #GUEST_DONE_GPA - GUEST_MMIO_GPA]
	HANG
.endm

/* The word of data at `offset` plus one, in `reg`. */
.macro COUNT offset=0, reg=x0
	ldr \reg, [x20, #\offset]
	add \reg, \reg, #1
	str \reg, [x20, #\offset]
.endm

/* ---- the GIC: x22 is not zero when it has system registers, as a GICv3 does ------------- */

#define GICD      0x08000000
#define GICC      0x08010000
#define GICR_SGI  0x10010000 /* CPU 0's frame of private interrupts, each 128 KiB further */
#define ICC_PMR     S3_0_C4_C6_0
#define ICC_SGI1R   S3_0_C12_C11_5
#define ICC_IAR1    S3_0_C12_C12_0
#define ICC_EOIR1   S3_0_C12_C12_1
#define ICC_SRE     S3_0_C12_C12_5
#define ICC_IGRPEN1 S3_0_C12_C12_7

/* The interrupt handler stands between the two. It has to end with IRQ_RETURN. */
.macro HANDLER
	b 2f
	.balign 2048
1:	.skip 0x280
	IRQ_ACK
.endm
/* The INTID into x9. */
.macro IRQ_ACK
	cbz x22, .Lack_v2_\@
	mrs x9, ICC_IAR1
	b .Lack_done_\@
.Lack_v2_\@:
	SET x0, GICC
	ldr w9, [x0, #0xc]
.Lack_done_\@:
.endm
.macro IRQ_RETURN
	cbz x22, .Leoi_v2_\@
	msr ICC_EOIR1, x9
	eret
.Leoi_v2_\@:
	SET x0, GICC
	str w9, [x0, #0x10]
	eret
.endm

/* Vectors, distributor and this CPU's interface. x19: this CPU's index, for its frame. */
.macro IRQ_SETUP cpu=xzr
2:	mov x19, \cpu
	adr x0, 1b
	msr vbar_el1, x0
	mrs x0, id_aa64pfr0_el1
	ubfx x22, x0, #24, #4
	cbz x22, .Lset_v2_\@
	mrs x0, ICC_SRE
	and x22, x0, #1
	cbz x22, .Lset_v2_\@
	mov x0, #0xff
	msr ICC_PMR, x0
	mov x0, #1
	msr ICC_IGRPEN1, x0
	mov w1, #0x12			/* affinity routing, group 1 */
	mov x0, #3
	b .Lset_done_\@
.Lset_v2_\@:
	SET x0, GICC
	mov w1, #0xff
	str w1, [x0, #4]
	mov w1, #1
	str w1, [x0]
	mov x0, #2
.Lset_done_\@:
	str x0, [x20, #GUEST_GIC_OFFSET]
	SET x0, GICD
	str w1, [x0]
	isb
.endm

#define EDGE_INTID  (32+GUEST_EDGE_GSI)
#define LEVEL_INTID (32+GUEST_LEVEL_GSI)
#define UART_INTID  33
#define TIMER_INTID 27 /* the virtual one */
#define BY_EDGE     2
#define BY_LEVEL    0

/* A line to CPU 0, BY_EDGE or BY_LEVEL. */
.macro ENABLE_SPI intid, trigger
	SET x0, GICD
	ldr w1, [x0, #0xc00 + \intid / 16 * 4]
	bic w1, w1, #(3 << (\intid % 16 * 2))
	mov w2, #\trigger
	orr w1, w1, w2, lsl #(\intid % 16 * 2)
	str w1, [x0, #0xc00 + \intid / 16 * 4]
	mov w1, #1 << (\intid % 32)
	cbz x22, .Lspi_v2_\@
	str w1, [x0, #0x80 + \intid / 32 * 4]	/* group 1 */
	b .Lspi_done_\@
.Lspi_v2_\@:
	mov w2, #1
	strb w2, [x0, #0x800 + \intid]	/* target */
.Lspi_done_\@:
	str w1, [x0, #0x100 + \intid / 32 * 4]
	dsb sy
.endm

/* An interrupt of this CPU's own. */
.macro ENABLE_PPI intid
	mov w1, #1 << \intid
	SET x0, GICD
	cbz x22, .Lppi_\@
	SET x0, GICR_SGI
	add x0, x0, x19, lsl #17
	mvn w2, wzr
	str w2, [x0, #0x80]
.Lppi_\@:
	str w1, [x0, #0x100]
	dsb sy
.endm

/* A moment with interrupts, after one has ended the wait. */
.macro WAIT_IRQ
	wfi
	msr daifclr, #2
	isb
	msr daifset, #2
.endm
/* Until the count of interrupts at +0 is the number at +24. */
.macro WAIT_COUNT
3:	WAIT_IRQ
	ldr x10, [x20]
	ldr x11, [x20, #24]
	cmp x10, x11
	b.lo 3b
.endm

/* ---- calls: PSCI and others by HVC --------------------------------------------------- */

#define PSCI_VERSION       0x84000000
#define PSCI_CPU_OFF       0x84000002
#define PSCI_CPU_ON        0xc4000003
#define PSCI_AFFINITY_INFO 0xc4000004
#define PSCI_SYSTEM_OFF    0x84000008
#define PSCI_SYSTEM_RESET  0x84000009
#define PSCI_FEATURES      0x8400000a

.macro CALL id
	SET x0, \id
	hvc #0
.endm

/* The affinity fields of MPIDR at x12, three times. Uses x13, x14. */
.macro TELL_ID
	mrs x13, mpidr_el1
	SET x14, 0xffffff
	and x13, x13, x14
	str x13, [x12]
	str x13, [x12, #8]
	str x13, [x12, #16]
.endm
