/*
 * What the payloads of x86_64 have in common. A payload starts in long mode with the low 4 GiB
 * mapped, interrupts off, a stack, and all other registers zero.
 */
#include "map.h"

	.section .rodata
	.code64

.macro CODE name, bits=64
	.balign 64
	.globl	code_\name
code_\name:
	.code\bits
.endm

.macro END name
	.globl	code_\name\()_end
code_\name\()_end:
	.code64
.endm

/* The vCPU has nothing more to do. */
.macro HANG
9:	hlt
	jmp 9b
.endm

/* Tell the harness that the payload is through, with AL as its word. */
.macro DONE
	mov $GUEST_DONE_PORT, %dx
	out %al, %dx
	HANG
.endm

/* Before a handler, and behind it: jump over it, make it the vector's. Uses EAX. */
.macro HANDLER
	jmp 2f
1:
.endm
.macro GATE vector
2:	lea 1b(%rip), %eax
	mov %ax, GUEST_IDT_GPA + 16 * \vector
	movw $0x10, GUEST_IDT_GPA + 16 * \vector + 2
	movw $0x8e00, GUEST_IDT_GPA + 16 * \vector + 4
	shr $16, %eax
	mov %ax, GUEST_IDT_GPA + 16 * \vector + 6
.endm
.macro LOAD_IDT
	lidt 8f(%rip)
	jmp 9f
8:	.word 256 * 16 - 1
	.quad GUEST_IDT_GPA
9:
.endm
/* Software-enable the LAPIC, mask the PIC (lines below 16 reach both). */
.macro IRQ_SETUP
	mov $0xff, %al
	out %al, $0x21
	out %al, $0xa1
	mov $0xfee000f0, %eax
	movl $0x1ff, (%rax)
	LOAD_IDT
.endm
/* A pin of the IOAPIC, with the low word of its entry (the vector, 0x8000 for level) to CPU 0. */
.macro ROUTE pin, entry
	mov $0xfec00000, %esi
	movl $0x11 + 2 * \pin, (%rsi)
	movl $0, 16(%rsi)
	movl $0x10 + 2 * \pin, (%rsi)
	movl $\entry, 16(%rsi)
.endm
/* Uses EAX. */
.macro EOI
	mov $0xfee000b0, %eax
	movl $0, (%rax)
.endm
/* Halt until the count of interrupts at +0 is the number at +24. */
.macro WAIT_COUNT
3:	sti
	hlt
	cli
	mov GUEST_DATA_GPA + 24, %rax
	cmp GUEST_DATA_GPA, %rax
	ja 3b
.endm
