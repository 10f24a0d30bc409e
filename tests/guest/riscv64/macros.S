/*
 * What the payloads of riscv64 have in common. A payload starts in S-mode with translation off, a0
 * the hart's id. START keeps that; from there on s0 is the place of data, s1 the test device.
 * Handlers use t0 to t3, and a0, a6, a7 when they call; others use the rest.
 */
#include "map.h"

	.section .rodata
	.option norelax

.macro CODE name
	.balign 64
	.globl	code_\name
code_\name:
.endm

.macro END name
	.globl	code_\name\()_end
code_\name\()_end:
.endm

.macro START
	li s0, GUEST_DATA_GPA
	li s1, GUEST_MMIO_GPA
.endm

/* The vCPU has nothing more to do. */
.macro HANG
9:	wfi
	j 9b
.endm

/* Tell the harness that the payload is through, with `word`. */
.macro DONE word=zero
	li t0, GUEST_DONE_GPA
	sw \word, (t0)
	HANG
.endm

/* The word of data at `offset` plus one, in `reg`. */
.macro COUNT offset=0, reg=t0
	ld \reg, \offset(s0)
	addi \reg, \reg, 1
	sd \reg, \offset(s0)
.endm

/* ---- interrupts: s2 is not zero when hart and board have AIA, otherwise there is a PLIC -- */

#define PLIC        0x0c000000
#define PLIC_ENABLE (PLIC+0x2000)
#define PLIC_CLAIM  (PLIC+0x200004)
#define APLIC       0x0d000000
#define APLIC_SETIPNUM (APLIC+0x1cdc)
#define APLIC_SETIENUM (APLIC+0x1edc)
#define APLIC_TARGET   (APLIC+0x3000)
#define CSR_SISELECT 0x150
#define CSR_SIREG    0x151
#define CSR_STOPEI   0x15c
#define EIDELIVERY   0x70
#define EITHRESHOLD  0x72
#define EIE0         0xc0
#define SIE_TIMER    (1<<5)
#define SIE_EXTERNAL (1<<9)
#define BY_EDGE      4 /* source modes of the APLIC */
#define BY_LEVEL     6
#define UART_GSI     1

/* The handler stands behind HANDLER and before IRQ_SETUP. */
.macro HANDLER
	j 2f
	.balign 4
1:
.endm
/* The source into t3. */
.macro IRQ_ACK
	bnez s2, .Lack_aia_\@
	li t3, PLIC_CLAIM
	lw t3, (t3)
	j .Lack_done_\@
.Lack_aia_\@:
	csrrw t3, CSR_STOPEI, zero
	srli t3, t3, 16
.Lack_done_\@:
.endm
/* A level that is still there comes again: a PLIC sees to that, an APLIC that sends MSIs is asked. */
.macro IRQ_RETURN mode=BY_EDGE
	li t0, PLIC_CLAIM
	beqz s2, .Leoi_\@
	.if \mode == BY_LEVEL
	li t0, APLIC_SETIPNUM
	.else
	j .Leoi_done_\@
	.endif
.Leoi_\@:
	sw t3, (t0)
.Leoi_done_\@:
	sret
.endm

/* The vector, and which kind of controller: without AIA its register traps to the label. */
.macro IRQ_SETUP
2:	lla t0, .Lplic_\@
	csrw stvec, t0
	li s2, 0
	csrr t0, CSR_STOPEI
	li s2, 1
	li t0, EIDELIVERY
	csrw CSR_SISELECT, t0
	li t0, 1
	csrw CSR_SIREG, t0
	li t0, EITHRESHOLD
	csrw CSR_SISELECT, t0
	csrw CSR_SIREG, zero
	li t0, APLIC
	li t1, 0x104			/* enabled, MSIs */
	sw t1, (t0)
	.balign 4
.Lplic_\@:
	lla t0, 1b
	csrw stvec, t0
	li t0, SIE_EXTERNAL
	csrw sie, t0
.endm

/* A line below 64 to hart 0. */
.macro ENABLE_LINE source, mode
	bnez s2, .Lline_aia_\@
	li t1, 1
	li t0, PLIC + 4 * \source	/* priority */
	sw t1, (t0)
	li t0, PLIC_CLAIM - 4		/* threshold */
	sw zero, (t0)
	li t0, PLIC_ENABLE + \source / 32 * 4
	lw t2, (t0)
	li t1, 1 << (\source % 32)
	or t2, t2, t1
	sw t2, (t0)
	j .Lline_done_\@
.Lline_aia_\@:
	li t0, EIE0
	csrw CSR_SISELECT, t0
	li t1, 1 << \source
	csrs CSR_SIREG, t1
	li t0, APLIC + 4 * \source
	li t1, \mode
	sw t1, (t0)
	li t0, APLIC_TARGET + 4 * \source
	li t1, \source
	sw t1, (t0)
	li t0, APLIC_SETIENUM
	sw t1, (t0)
.Lline_done_\@:
.endm

/* A moment with interrupts, after one has ended the wait. */
.macro WAIT_IRQ
	wfi
	csrsi sstatus, 2
	csrci sstatus, 2
.endm
/* Until the count of interrupts at +0 is the number at +24. */
.macro WAIT_COUNT
3:	WAIT_IRQ
	ld a0, (s0)
	ld a1, 24(s0)
	bltu a0, a1, 3b
.endm

/* ---- the SBI ------------------------------------------------------------------------- */

#define SBI_BASE 0x10
#define SBI_TIME 0x54494d45
#define SBI_HSM  0x48534d
#define HART_START  0
#define HART_STOP   1
#define HART_STATUS 2
#define SBI_SRST 0x53525354
#define SBI_AXVM 0x08415856

.macro CALL extension, function
	li a7, \extension
	li a6, \function
	ecall
.endm
