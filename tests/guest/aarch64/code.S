/*
 * The payloads of the tests that all architectures have, for aarch64. Position-independent, integer
 * instructions only. +N is GUEST_DATA_GPA + N; what is left there is what the tests look at.
 */
#include "macros.S"

/* ---- MMIO --------------------------------------------------------------------------- */

/* Widths 1, 2, 4, 8 each at the offset of that number, out and in. */
CODE mmio_widths
	START
	SET x10, 0x55667788
	movk x10, #0x3344, lsl #32
	movk x10, #0x1122, lsl #48
	strb w10, [x21, #1]
	strh w10, [x21, #2]
	str w10, [x21, #4]
	str x10, [x21, #8]
	ldrb w10, [x21, #1]
	str x10, [x20]
	ldrh w10, [x21, #2]
	str x10, [x20, #8]
	ldr w10, [x21, #4]
	str x10, [x20, #16]
	ldr x10, [x21, #8]
	str x10, [x20, #24]
	DONE
END mmio_widths

CODE mmio_signed
	START
	ldrsb x10, [x21]
	str x10, [x20]
	ldrsh x10, [x21]
	str x10, [x20, #8]
	ldrsw x10, [x21]
	str x10, [x20, #16]
	DONE
END mmio_signed

CODE mmio_hole
	START
	SET x10, GUEST_HOLE_GPA
	ldr x11, [x10]
	str x11, [x20]
	ldrb w11, [x10]
	str x11, [x20, #8]
	str x11, [x10]
	DONE
END mmio_hole

/* The doorbell: number 7 of 1 to 6, then number 99. */
CODE hypercall
	START
	SET x10, 0x09020000
	mov x11, #7
	str x11, [x10]
	mov x11, #1
	add x12, x10, #8
1:	str x11, [x12]
	add x12, x12, #8
	add x11, x11, #1
	cmp x11, #7
	b.ne 1b
	str x11, [x10, #56]
	ldr x11, [x10, #56]
	str x11, [x20]
	mov x11, #99
	str x11, [x10]
	str x11, [x10, #56]
	ldr x11, [x10, #56]
	str x11, [x20, #8]
	DONE
END hypercall

/* Three times at the doorbell, in two widths, once beside it. */
CODE doorbell_mmio
	START
	str w10, [x21, #0x50]
	strh w10, [x21, #0x50]
	str w10, [x21, #0x50]
	str w10, [x21, #0x54]
	DONE
END doorbell_mmio

/* At the address at +0x100 a device, at that at +0x108 none. */
CODE virtio_mmio_id
	START
	ldr x10, [x20, #0x100]
	str wzr, [x10, #0x70]
	ldr w11, [x10]
	str x11, [x20]
	ldr w11, [x10, #4]
	str x11, [x20, #8]
	ldr w11, [x10, #8]
	str x11, [x20, #16]
	mov w11, #1
	str w11, [x10, #0x14]
	ldr w11, [x10, #0x10]
	str x11, [x20, #24]
	mov w11, #3
	str w11, [x10, #0x70]
	ldr w11, [x10, #0x70]
	str x11, [x20, #32]
	str wzr, [x10, #0x30]
	ldr w11, [x10, #0x34]
	str x11, [x20, #40]
	ldr x10, [x20, #0x108]
	ldr w11, [x10]
	str x11, [x20, #48]
	DONE
END virtio_mmio_id

/* 100 writes, 50 reads; the DONE write is one more of the first. */
CODE stats_match
	START
	mov x10, #100
1:	str w10, [x21]
	subs x10, x10, #1
	b.ne 1b
	mov x10, #50
2:	ldr w11, [x21]
	subs x10, x10, #1
	b.ne 2b
	DONE
END stats_match

/* ---- memory ------------------------------------------------------------------------- */

CODE memory_read_only
	START
	SET x10, GUEST_EXTRA_GPA
	ldr x11, [x10]
	str x11, [x20]
	SET x11, 0x12345678
	str w11, [x10, #4]
	ldr x11, [x10]
	str x11, [x20, #8]
	DONE
END memory_read_only

/* Counts turns at +0 and copies what it reads until that is all ones. */
CODE memory_unmap
	START
	SET x10, GUEST_EXTRA_GPA
1:	ldr x11, [x10]
	str x11, [x20, #8]
	COUNT 0, x12
	cmn x11, #1
	b.ne 1b
	DONE
END memory_unmap

/* Writes its turn to the region until it reads something else, which at first may be the hole that
 * KVM leaves while a slot changes; then tries to clear what is there. */
CODE memory_protect
	START
	SET x10, GUEST_EXTRA_GPA
1:	COUNT 0, x11
	str x11, [x10]
	ldr x12, [x10]
	cmp x11, x12
	b.eq 1b
2:	ldr x12, [x10]
	cmn x12, #1
	b.eq 2b
	str xzr, [x10]
	ldr x12, [x10]
	str x12, [x20, #8]
	DONE
END memory_protect

CODE end_efault
	START
	SET x10, GUEST_EXTRA_GPA
	ldr x11, [x10]
	DONE
END end_efault

/* ---- running and not ---------------------------------------------------------------- */

/* A kick may end a WFI. */
CODE halt
	START
	COUNT
	HANG
END halt

/* The syndrome of an access of two registers does not say which: KVM cannot go on. */
CODE end_fault
	START
	SET x19, 0x1234567
	SET x10, GUEST_HOLE_GPA
	ldp x11, x12, [x10]
	DONE
END end_fault

CODE spin
	START
1:	COUNT
	b 1b
END spin

CODE exits
	START
1:	COUNT
	str w0, [x21]
	b 1b
END exits

/* Reads into the register of answers, which is zero otherwise, until it gets 0x5a5a5a5a. */
CODE reads
	START
	SET x10, 0x5a5a5a5a
	mov x0, #0
1:	mov x0, #0
	ldr w0, [x21]
	COUNT 0, x11
	str x0, [x20, #8]
	cmp x0, x10
	b.ne 1b
	DONE
END reads

/* Entered at +64: each register by its number to the place of that number. */
CODE registers
	HANG
	.balign 64
	msr tpidr_el0, x0
	msr tpidrro_el0, x1
	msr tpidr_el1, x20
	msr sp_el0, x21
	START
	.irp n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 22, 23, 24, 25, 26, \
		27, 28, 29, 30
	str x\n, [x20, #8 * \n]
	.endr
	mrs x0, tpidr_el0
	str x0, [x20]
	mrs x0, tpidrro_el0
	str x0, [x20, #8]
	mrs x0, tpidr_el1
	str x0, [x20, #8 * 20]
	mrs x0, sp_el0
	str x0, [x20, #8 * 21]
	DONE
END registers

/* ---- power -------------------------------------------------------------------------- */

CODE power_off
	START
	CALL PSCI_SYSTEM_OFF
	HANG
END power_off

CODE power_reset
	START
	CALL PSCI_SYSTEM_RESET
	HANG
END power_reset

/* As Linux: which events are there? Then the one. */
CODE power_panic
	START
	SET x10, 0x09040000
	ldrb w11, [x10]
	tbz w11, #0, 9f
	mov w11, #1
	strb w11, [x10]
	HANG
END power_panic

CODE marks
	START
	SET x10, 0x09030000
	mov w11, #0x31
	str w11, [x10]
	mov w11, #0x42
	str w11, [x10]
	DONE
END marks

/* ---- interrupts --------------------------------------------------------------------- */

/* +0 counts, +8 says ready; ends after the number at +24. */
CODE line_irqfd
	START
	HANDLER
	COUNT
	IRQ_RETURN
	IRQ_SETUP
	ENABLE_SPI EDGE_INTID, BY_EDGE
	mov x10, #1
	str x10, [x20, #8]
	WAIT_COUNT
	DONE
END line_irqfd

/* Comes again after each end. The third handler reads the device and waits for a word at +32; what
 * comes later has time to. */
CODE line_level
	START
	HANDLER
	COUNT
	cmp x0, #3
	b.lo 5f
	ldr w1, [x21]
6:	ldr x1, [x20, #32]
	cbz x1, 6b
5:	IRQ_RETURN
	IRQ_SETUP
	ENABLE_SPI LEVEL_INTID, BY_LEVEL
	mov x10, #1
	str x10, [x20, #8]
	WAIT_COUNT
	SET x10, 0x100000
	msr daifclr, #2
7:	subs x10, x10, #1
	b.ne 7b
	DONE
END line_level

/* Ten interrupts of the virtual timer a millisecond ahead, each waited for. The word: there is one.
 * The line may fall later than the timer was stopped: one counts when the timer says it is its. */
CODE timer
	START
	HANDLER
	mrs x0, cntv_ctl_el0
	tbz x0, #0, 5f			/* ENABLE, without which the next says nothing */
	tbz x0, #2, 5f			/* ISTATUS */
	COUNT
	msr cntv_ctl_el0, xzr
	isb
5:
	IRQ_RETURN
	IRQ_SETUP
	ENABLE_PPI TIMER_INTID
	mrs x12, cntfrq_el0
	mov x13, #1000
	udiv x12, x12, x13
	mov x14, #0
3:	add x14, x14, #1
	msr cntv_tval_el0, x12
	mov x13, #1
	msr cntv_ctl_el0, x13
	isb
4:	WAIT_IRQ
	ldr x10, [x20]
	cmp x10, x14
	b.lo 4b
	cmp x14, #10
	b.lo 3b
	DONE w13
END timer

/* The PL011. The handler reads what is there and sends each byte + 1; 'q' ends. */
CODE uart_echo
	START
	HANDLER
	SET x0, 0x09000000
4:	ldr w1, [x0, #0x18]
	tbnz w1, #4, 5f
	ldr w1, [x0]
	and w1, w1, #0xff
	strb w1, [x20]
	add w1, w1, #1
	str w1, [x0]
	b 4b
5:	mov w1, #0x7ff
	str w1, [x0, #0x44]
	IRQ_RETURN
	IRQ_SETUP
	ENABLE_SPI UART_INTID, BY_LEVEL
	SET x10, 0x09000000
	mov w11, #0x301
	str w11, [x10, #0x30]
	mov w11, #0x50
	str w11, [x10, #0x38]
	mov x11, #1
	str x11, [x20, #8]
3:	WAIT_IRQ
	ldrb w11, [x20]
	cmp w11, #'q'
	b.ne 3b
	DONE
END uart_echo

/* ---- several CPUs ------------------------------------------------------------------- */

/* Starts as many CPUs as +0 says, with the MPIDRs at +0x100. Each tells its own three times at
 * +0x20, and at +0x200 of each of the others, then one at +0x300. */
CODE smp_start
	START
	ldr x10, [x20]
	mov x11, #0
3:	add x12, x20, #0x100
	ldr x1, [x12, x11, lsl #3]
	adr x2, 1f
	mov x3, x11
	CALL PSCI_CPU_ON
	cbnz x0, 9f
	add x11, x11, #1
	cmp x11, x10
	b.lo 3b
	add x12, x20, #0x300
	mov x11, #0
4:	ldr x13, [x12, x11, lsl #3]
	cbz x13, 4b
	add x11, x11, #1
	cmp x11, x10
	b.lo 4b
	dmb sy
	add x12, x20, #0x20
	TELL_ID
	DONE
1:	mov x10, x0
	START
	mov x11, #24
	madd x12, x10, x11, x20
	add x12, x12, #0x200
	TELL_ID
	dmb sy
	add x12, x20, #0x300
	mov x13, #1
	str x13, [x12, x10, lsl #3]
	HANG
END smp_start

/* Starts the other CPU, which counts at +0 and stops itself; sees that it is off, starts it again. */
CODE smp_off
	START
	mov x10, #0
3:	ldr x1, [x20, #0x100]
	adr x2, 1f
	CALL PSCI_CPU_ON
	cbnz x0, 9f
	add x10, x10, #1
4:	ldr x11, [x20]
	cmp x10, x11
	b.ne 4b
5:	ldr x1, [x20, #0x100]
	mov x2, #0
	CALL PSCI_AFFINITY_INFO
	cmp x0, #1
	b.ne 5b
	cmp x10, #2
	b.ne 3b
	DONE
1:	START
	COUNT
	dsb sy
	CALL PSCI_CPU_OFF
	HANG
END smp_off

	.section .note.GNU-stack, "", %progbits
