/*
 * The payloads of the tests that all architectures have, for riscv64. Position-independent, integer
 * instructions only. +N is GUEST_DATA_GPA + N; what is left there is what the tests look at.
 */
#include "macros.S"

/* ---- MMIO --------------------------------------------------------------------------- */

/* Widths 1, 2, 4, 8 each at the offset of that number, out and in. */
CODE mmio_widths
	START
	li a1, 0x1122334455667788
	sb a1, 1(s1)
	sh a1, 2(s1)
	sw a1, 4(s1)
	sd a1, 8(s1)
	lbu a1, 1(s1)
	sd a1, (s0)
	lhu a1, 2(s1)
	sd a1, 8(s0)
	lwu a1, 4(s1)
	sd a1, 16(s0)
	ld a1, 8(s1)
	sd a1, 24(s0)
	DONE
END mmio_widths

CODE mmio_signed
	START
	lb a1, (s1)
	sd a1, (s0)
	lh a1, (s1)
	sd a1, 8(s0)
	lw a1, (s1)
	sd a1, 16(s0)
	DONE
END mmio_signed

CODE mmio_hole
	START
	li a2, GUEST_HOLE_GPA
	ld a1, (a2)
	sd a1, (s0)
	lbu a1, (a2)
	sd a1, 8(s0)
	sd a1, (a2)
	DONE
END mmio_hole

/* The doorbell: number 7 of 1 to 6, then number 99. */
CODE hypercall
	START
	li a1, 0x10010000
	li a2, 7
	sd a2, (a1)
	li a3, 1
	addi a4, a1, 8
1:	sd a3, (a4)
	addi a3, a3, 1
	addi a4, a4, 8
	bne a3, a2, 1b
	sd a2, 56(a1)
	ld a3, 56(a1)
	sd a3, (s0)
	li a2, 99
	sd a2, (a1)
	sd a2, 56(a1)
	ld a3, 56(a1)
	sd a3, 8(s0)
	DONE
END hypercall

/* Three times at the doorbell, in two widths, once beside it. */
CODE doorbell_mmio
	START
	sw a1, 0x50(s1)
	sh a1, 0x50(s1)
	sw a1, 0x50(s1)
	sw a1, 0x54(s1)
	DONE
END doorbell_mmio

/* At the address at +0x100 a device, at that at +0x108 none. */
CODE virtio_mmio_id
	START
	ld a2, 0x100(s0)
	sw zero, 0x70(a2)
	lwu a1, (a2)
	sd a1, (s0)
	lwu a1, 4(a2)
	sd a1, 8(s0)
	lwu a1, 8(a2)
	sd a1, 16(s0)
	li a1, 1
	sw a1, 0x14(a2)
	lwu a1, 0x10(a2)
	sd a1, 24(s0)
	li a1, 3
	sw a1, 0x70(a2)
	lwu a1, 0x70(a2)
	sd a1, 32(s0)
	sw zero, 0x30(a2)
	lwu a1, 0x34(a2)
	sd a1, 40(s0)
	ld a2, 0x108(s0)
	lwu a1, (a2)
	sd a1, 48(s0)
	DONE
END virtio_mmio_id

/* 100 writes, 50 reads; the DONE write is one more of the first. */
CODE stats_match
	START
	li a1, 100
1:	sw a1, (s1)
	addi a1, a1, -1
	bnez a1, 1b
	li a1, 50
2:	lw a2, (s1)
	addi a1, a1, -1
	bnez a1, 2b
	DONE
END stats_match

/* ---- memory ------------------------------------------------------------------------- */

CODE memory_read_only
	START
	li a2, GUEST_EXTRA_GPA
	ld a1, (a2)
	sd a1, (s0)
	li a1, 0x12345678
	sw a1, 4(a2)
	ld a1, (a2)
	sd a1, 8(s0)
	DONE
END memory_read_only

/* Counts turns at +0 and copies what it reads until that is all ones. */
CODE memory_unmap
	START
	li a2, GUEST_EXTRA_GPA
	li a3, -1
1:	ld a1, (a2)
	sd a1, 8(s0)
	COUNT
	bne a1, a3, 1b
	DONE
END memory_unmap

/* Writes its turn to the region until it reads something else, which at first may be the hole that
 * KVM leaves while a slot changes; then tries to clear what is there. */
CODE memory_protect
	START
	li a2, GUEST_EXTRA_GPA
	li a3, -1
1:	COUNT 0, a1
	sd a1, (a2)
	ld a4, (a2)
	beq a1, a4, 1b
2:	ld a4, (a2)
	beq a3, a4, 2b
	sd zero, (a2)
	ld a4, (a2)
	sd a4, 8(s0)
	DONE
END memory_protect

CODE end_efault
	START
	li a2, GUEST_EXTRA_GPA
	ld a1, (a2)
	DONE
END end_efault

/* ---- running and not ---------------------------------------------------------------- */

/* A kick may end a WFI. */
CODE halt
	START
	COUNT
	HANG
END halt

/* An instruction where there is no memory: KVM cannot go on. */
CODE end_fault
	START
	li s3, 0x1234567
	li a1, GUEST_HOLE_GPA
	jr a1
END end_fault

CODE spin
	START
1:	COUNT
	j 1b
END spin

CODE exits
	START
1:	COUNT
	sw a1, (s1)
	j 1b
END exits

/* Reads into the register of answers, which is zero otherwise, until it gets 0x5a5a5a5a. */
CODE reads
	START
	li a1, 0x5a5a5a5a
1:	li a0, 0
	lwu a0, (s1)
	COUNT
	sd a0, 8(s0)
	bne a0, a1, 1b
	DONE
END reads

/* Entered at +64: each register by its number to the place of that number. */
CODE registers
	HANG
	.balign 64
	csrw sscratch, s0
	li s0, GUEST_DATA_GPA
	.irp n, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, \
		26, 27, 28, 29, 30, 31
	sd x\n, 8 * \n(s0)
	.endr
	csrr t0, sscratch
	sd t0, 8 * 8(s0)
	DONE
END registers

/* ---- power -------------------------------------------------------------------------- */

CODE power_off
	li a0, 0
	li a1, 0
	CALL SBI_SRST, 0
	HANG
END power_off

CODE power_reset
	li a0, 1
	li a1, 0
	CALL SBI_SRST, 0
	HANG
END power_reset

/* As Linux: which events are there? Then the one. */
CODE power_panic
	START
	li a2, 0x10030000
	lbu a1, (a2)
	andi a1, a1, 1
	beqz a1, 9f
	sb a1, (a2)
	HANG
END power_panic

CODE marks
	START
	li a2, 0x10020000
	li a1, 0x31
	sw a1, (a2)
	li a1, 0x42
	sw a1, (a2)
	DONE
END marks

/* ---- interrupts --------------------------------------------------------------------- */

/* +0 counts, +8 says ready; ends after the number at +24. */
CODE line_irqfd
	START
	HANDLER
	IRQ_ACK
	COUNT
	IRQ_RETURN
	IRQ_SETUP
	ENABLE_LINE GUEST_EDGE_GSI, BY_EDGE
	li a1, 1
	sd a1, 8(s0)
	WAIT_COUNT
	DONE
END line_irqfd

/* Comes again after each end. The third handler reads the device and waits for a word at +32; what
 * comes later has time to. */
CODE line_level
	START
	HANDLER
	IRQ_ACK
	COUNT
	li t1, 3
	bltu t0, t1, 5f
	lw t0, (s1)
6:	ld t0, 32(s0)
	beqz t0, 6b
5:	IRQ_RETURN BY_LEVEL
	IRQ_SETUP
	ENABLE_LINE GUEST_LEVEL_GSI, BY_LEVEL
	li a1, 1
	sd a1, 8(s0)
	WAIT_COUNT
	li a1, 0x100000
	csrsi sstatus, 2
7:	addi a1, a1, -1
	bnez a1, 7b
	DONE
END line_level

/* Ten interrupts of the SBI's timer a little ahead, each waited for. The word: there is one.
 * An interrupt may still be seen after its timer was set anew (Privileged Architecture, "Sstc"), so
 * one counts when the time in s4 has come, and no more than once. */
CODE timer
	START
	HANDLER
	rdtime t0
	bltu t0, s4, 5f
	COUNT
	li s4, -1
5:	mv a0, s4
	CALL SBI_TIME, 0
	sret
	IRQ_SETUP
	li t0, SIE_TIMER
	csrw sie, t0
	li s3, 0
3:	addi s3, s3, 1
	rdtime s4
	li t0, 10000
	add s4, s4, t0
	mv a0, s4
	CALL SBI_TIME, 0
4:	WAIT_IRQ
	ld a1, (s0)
	bltu a1, s3, 4b
	li a1, 10
	bltu s3, a1, 3b
	li a1, 1
	DONE a1
END timer

/* The 16550. The handler reads what is there and sends each byte + 1; 'q' ends. */
CODE uart_echo
	START
	HANDLER
	IRQ_ACK
	li t0, 0x10000000
4:	lbu t1, 5(t0)
	andi t1, t1, 1
	beqz t1, 5f
	lbu t1, (t0)
	sb t1, (s0)
	addi t1, t1, 1
	sb t1, (t0)
	j 4b
5:	IRQ_RETURN
	IRQ_SETUP
	ENABLE_LINE UART_GSI, BY_EDGE
	li a2, 0x10000000
	li a1, 0x0b
	sb a1, 4(a2)
	li a1, 1
	sb a1, 1(a2)
	sd a1, 8(s0)
3:	WAIT_IRQ
	lbu a1, (s0)
	li a2, 'q'
	bne a1, a2, 3b
	DONE
END uart_echo

/* ---- several CPUs ------------------------------------------------------------------- */

/* The hart's id is in a0 at its start and nowhere else. */
.macro TELL_ID reg, place
	sd \reg, (\place)
	sd \reg, 8(\place)
	sd \reg, 16(\place)
.endm

/* Starts as many CPUs as +0 says, with the ids at +0x100. Each tells its own at +0x20, and at +0x200
 * of each of the others, then one at +0x300. */
CODE smp_start
	START
	addi a2, s0, 0x20
	TELL_ID a0, a2
	ld s3, (s0)
	addi s4, s0, 0x100
	li s5, 0
3:	ld a0, (s4)
	lla a1, 1f
	mv a2, s5
	CALL SBI_HSM, HART_START
	bnez a0, 9f
	addi s4, s4, 8
	addi s5, s5, 1
	bltu s5, s3, 3b
	addi s4, s0, 0x300
4:	ld a1, (s4)
	beqz a1, 4b
	addi s4, s4, 8
	addi s3, s3, -1
	bnez s3, 4b
	fence
	DONE
	.balign 4
1:	START
	li a2, 24
	mul a2, a2, a1
	add a2, a2, s0
	addi a2, a2, 0x200
	TELL_ID a0, a2
	fence
	slli a1, a1, 3
	add a1, a1, s0
	li a2, 1
	sd a2, 0x300(a1)
	HANG
END smp_start

/* Starts the other CPU, which counts at +0 and stops itself; sees that it is off, starts it again. */
CODE smp_off
	START
	li s3, 0
3:	ld a0, 0x100(s0)
	lla a1, 1f
	CALL SBI_HSM, HART_START
	bnez a0, 9f
	addi s3, s3, 1
4:	ld a1, (s0)
	bne a1, s3, 4b
5:	ld a0, 0x100(s0)
	CALL SBI_HSM, HART_STATUS
	li a2, 1
	bne a1, a2, 5b
	li a2, 2
	bne s3, a2, 3b
	DONE
	.balign 4
1:	START
	COUNT
	fence
	CALL SBI_HSM, HART_STOP
	HANG
END smp_off

	.section .note.GNU-stack, "", %progbits
