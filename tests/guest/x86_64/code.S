/*
 * The payloads of the tests that all architectures have, for x86_64. Position-independent, integer
 * instructions only. +N is GUEST_DATA_GPA + N; what is left there is what the tests look at.
 */
#include "macros.S"
#define DATA GUEST_DATA_GPA

/* ---- MMIO --------------------------------------------------------------------------- */

/* Widths 1, 2, 4, 8 each at the offset of that number, out and in. */
CODE mmio_widths
	mov $GUEST_MMIO_GPA, %esi
	mov $DATA, %edi
	mov $0x1122334455667788, %rax
	mov %al, 1(%rsi)
	mov %ax, 2(%rsi)
	mov %eax, 4(%rsi)
	mov %rax, 8(%rsi)
	mov $-1, %rax
	mov 1(%rsi), %al
	xor $-0x100, %rax /* nothing but AL has changed */
	mov %rax, (%rdi)
	mov $-1, %rax
	mov 2(%rsi), %ax
	xor $-0x10000, %rax
	mov %rax, 8(%rdi)
	mov 4(%rsi), %eax
	mov %rax, 16(%rdi)
	mov 8(%rsi), %rax
	mov %rax, 24(%rdi)
	DONE
END mmio_widths

CODE mmio_signed
	mov $GUEST_MMIO_GPA, %esi
	movsbq (%rsi), %rax
	mov %rax, DATA
	movswq (%rsi), %rax
	mov %rax, DATA + 8
	movslq (%rsi), %rax
	mov %rax, DATA + 16
	DONE
END mmio_signed

CODE mmio_hole
	mov $GUEST_HOLE_GPA, %esi
	mov $DATA, %edi
	mov (%rsi), %rax
	mov %rax, (%rdi)
	movzbl (%rsi), %eax
	mov %rax, 8(%rdi)
	mov %rax, (%rsi)
	DONE
END mmio_hole

/* The doorbell: number 7 of 1 to 6, then number 99. */
CODE hypercall
	mov $0xd0100000, %esi
	movq $7, (%rsi)
	mov $1, %eax
	lea 8(%rsi), %rdx
1:	mov %rax, (%rdx)
	inc %eax
	add $8, %rdx
	cmp $7, %eax
	jne 1b
	mov %rax, 56(%rsi)
	mov 56(%rsi), %rax
	mov %rax, DATA
	movq $99, (%rsi)
	mov %rax, 56(%rsi)
	mov 56(%rsi), %rax
	mov %rax, DATA + 8
	DONE
END hypercall

/* Three times at the doorbell, in two widths, once beside it. */
CODE doorbell_mmio
	mov $GUEST_MMIO_GPA + 0x50, %esi
	mov %eax, (%rsi)
	mov %ax, (%rsi)
	mov %eax, (%rsi)
	mov %eax, 4(%rsi)
	DONE
END doorbell_mmio

/* At the address at +0x100 a device, at that at +0x108 none. */
CODE virtio_mmio_id
	mov DATA + 0x100, %rsi
	mov $DATA, %edi
	xor %eax, %eax
	mov %eax, 0x70(%rsi)
	mov (%rsi), %eax
	mov %rax, (%rdi)
	mov 4(%rsi), %eax
	mov %rax, 8(%rdi)
	mov 8(%rsi), %eax
	mov %rax, 16(%rdi)
	movl $1, 0x14(%rsi)
	mov 0x10(%rsi), %eax
	mov %rax, 24(%rdi)
	movl $3, 0x70(%rsi)
	mov 0x70(%rsi), %eax
	mov %rax, 32(%rdi)
	movl $0, 0x30(%rsi)
	mov 0x34(%rsi), %eax
	mov %rax, 40(%rdi)
	mov DATA + 0x108, %rsi
	mov (%rsi), %eax
	mov %rax, 48(%rdi)
	DONE
END virtio_mmio_id

/* 100 writes, 50 reads; the DONE write is one more of the first. */
CODE stats_match
	mov $GUEST_PORT, %dx
	mov $100, %ecx
1:	out %al, %dx
	dec %ecx
	jnz 1b
	mov $GUEST_MMIO_GPA, %esi
	mov $50, %ecx
2:	mov (%rsi), %eax
	dec %ecx
	jnz 2b
	DONE
END stats_match

/* ---- memory ------------------------------------------------------------------------- */

CODE memory_read_only
	mov $GUEST_EXTRA_GPA, %esi
	mov (%rsi), %rax
	mov %rax, DATA
	mov $0x12345678, %eax
	mov %eax, 4(%rsi)
	mov (%rsi), %rax
	mov %rax, DATA + 8
	DONE
END memory_read_only

/* Counts turns at +0 and copies what it reads until that is all ones. */
CODE memory_unmap
	mov $GUEST_EXTRA_GPA, %esi
	mov $DATA, %edi
1:	mov (%rsi), %rax
	mov %rax, 8(%rdi)
	incq (%rdi)
	cmp $-1, %rax
	jne 1b
	DONE
END memory_unmap

/* Writes its turn to the region until it reads something else, which at first may be the hole that
 * KVM leaves while a slot changes; then tries to clear what is there. */
CODE memory_protect
	mov $GUEST_EXTRA_GPA, %esi
	mov $DATA, %edi
1:	incq (%rdi)
	mov (%rdi), %rax
	mov %rax, (%rsi)
	cmp %rax, (%rsi)
	je 1b
2:	mov (%rsi), %rax
	cmp $-1, %rax
	je 2b
	movq $0, (%rsi)
	mov (%rsi), %rax
	mov %rax, 8(%rdi)
	DONE
END memory_protect

CODE end_efault
	mov $GUEST_EXTRA_GPA, %esi
	mov (%rsi), %rax
	DONE
END end_efault

/* ---- running and not ---------------------------------------------------------------- */

CODE halt
	incq DATA
	hlt
	incq DATA
	DONE
END halt

/* An IDT with no entries turns the first exception into a triple fault. */
CODE end_fault
	mov $0x1234567, %ebx
	lidt 1f(%rip)
	ud2
	.balign 8
1:	.word 0
	.quad 0
END end_fault

CODE spin
1:	incq DATA
	jmp 1b
END spin

CODE exits
	mov $GUEST_PORT, %dx
1:	incq DATA
	out %al, %dx
	jmp 1b
END exits

/* Reads into the register of answers, which is zero otherwise, until it gets 0x5a5a5a5a. */
CODE reads
	mov $GUEST_PORT, %dx
1:	mov $0, %eax
	in %dx, %eax
	incq DATA
	mov %rax, DATA + 8
	cmp $0x5a5a5a5a, %eax
	jne 1b
	DONE
END reads

/* Entered at +64: each register by its number to the place of that number. */
CODE registers
	mov $0xbad, %ebx
	DONE
	.balign 64
	mov %rax, DATA
	mov %rcx, DATA + 8 * 1
	mov %rdx, DATA + 8 * 2
	mov %rbx, DATA + 8 * 3
	mov %rsp, DATA + 8 * 4
	mov %rbp, DATA + 8 * 5
	mov %rsi, DATA + 8 * 6
	mov %rdi, DATA + 8 * 7
	mov %r8, DATA + 8 * 8
	mov %r9, DATA + 8 * 9
	mov %r10, DATA + 8 * 10
	mov %r11, DATA + 8 * 11
	mov %r12, DATA + 8 * 12
	mov %r13, DATA + 8 * 13
	mov %r14, DATA + 8 * 14
	mov %r15, DATA + 8 * 15
	DONE
END registers

/* ---- power -------------------------------------------------------------------------- */

/* As ACPICA does it: sleep type first, then with SLP_EN; another type is not ours. */
CODE power_off
	mov $0x604, %dx
	in %dx, %ax
	test $1, %al
	jz 9f
	mov $0x3400, %ax
	out %ax, %dx
	in %dx, %ax
	and $0xc3ff, %ax
	out %ax, %dx
	or $0x2000, %ax
	out %ax, %dx
	HANG
END power_off

/* i8042. It takes commands at once, but looks like no controller: its output never drains. */
CODE power_reset
	mov $0xd1, %al
	out %al, $0x64
1:	in $0x64, %al
	test $2, %al
	jnz 1b
	test $1, %al
	jz 9f
	in $0x60, %al
	in $0x64, %al
	test $1, %al
	jz 9f
	mov $0xfe, %al
	out %al, $0x64
	HANG
END power_reset

CODE power_panic
	mov $0x505, %dx
	in %dx, %al
	test $1, %al
	jz 9f
	mov $1, %al
	out %al, %dx
	HANG
END power_panic

CODE marks
	mov $0x31, %al
	out %al, $0x80
	mov $0x42, %al
	out %al, $0x80
	DONE
END marks

/* ---- interrupts --------------------------------------------------------------------- */

/* +0 counts, +8 says ready; ends after the number at +24. */
CODE line_irqfd
	HANDLER
	push %rax
	incq DATA
	EOI
	pop %rax
	iretq
	GATE 0x50
	IRQ_SETUP
	ROUTE GUEST_EDGE_GSI, 0x50
	movq $1, DATA + 8
	WAIT_COUNT
	DONE
END line_irqfd

/* Comes again after each end. The third handler reads the device and waits for a word at +32; what
 * comes later has time to. */
CODE line_level
	HANDLER
	push %rax
	push %rdx
	incq DATA
	cmpq $3, DATA
	jb 5f
	mov $GUEST_PORT, %dx
	in %dx, %al
6:	cmpq $1, DATA + 32
	jne 6b
5:	EOI
	pop %rdx
	pop %rax
	iretq
	GATE 0x50
	IRQ_SETUP
	ROUTE GUEST_LEVEL_GSI, 0x8050
	movq $1, DATA + 8
	WAIT_COUNT
	mov $0x100000, %ecx
	sti
7:	dec %ecx
	jnz 7b
	DONE
END line_level

/*
 * Ten interrupts of the TSC deadline a little ahead, each waited for. The word: is there one? QEMU
 * 7.2, which emulates the lab's CPU, forgets over a VMRUN that interrupts wait for one instruction
 * more behind an sti. The handler then comes before the hlt, which nothing would end: it steps over.
 */
CODE timer
	HANDLER
	push %rax
	incq DATA
	EOI
	lea 6f(%rip), %rax
	cmp %rax, 8(%rsp)
	jne 7f
	incq 8(%rsp)
7:	pop %rax
	iretq
	GATE 0x50
	IRQ_SETUP
	mov $1, %eax
	cpuid
	bt $24, %ecx
	jnc 4f
	mov $0xfee00320, %esi
	movl $0x40050, (%rsi)
	mfence
	mov $10, %edi
3:	rdtsc
	add $100000, %eax
	adc $0, %edx
	mov $0x6e0, %ecx
	wrmsr
	sti
6:	hlt
	cli
	dec %edi
	jnz 3b
	mov $1, %al
	jmp 5f
4:	xor %eax, %eax
5:	DONE
END timer

/* The handler reads what is there and sends each byte + 1; 'q' ends. */
CODE uart_echo
	HANDLER
	mov $0x3fd, %dx
	in %dx, %al
	test $1, %al
	jz 5f
	mov $0x3f8, %dx
	in %dx, %al
	mov %al, DATA
	inc %al
	out %al, %dx
	jmp 1b
5:	EOI
	iretq
	GATE 0x50
	IRQ_SETUP
	ROUTE 4, 0x50
	mov $0x3fc, %dx
	mov $0x0b, %al
	out %al, %dx
	mov $0x3f9, %dx
	mov $1, %al
	out %al, %dx
	movq $1, DATA + 8
3:	sti
	hlt
	cli
	cmpb $'q', DATA
	jne 3b
	DONE
END uart_echo

/* ---- several CPUs ------------------------------------------------------------------- */

/* Words of the secondary CPUs, in reach of real mode. */
#define STARTED  0x7000 /* how many began */
#define FINISHED 0x7004
#define IDS      0x7040 /* of each, in order of coming: CPUID leaf 1, leaf 0xB */

/* Copy label 1 to 2 to the trampoline, enable the LAPIC, address all others. */
.macro TRAMPOLINE
2:	cld
	lea 1b(%rip), %rsi
	mov $GUEST_REAL_GPA, %edi
	mov $2b - 1b, %ecx
	rep movsb
	mov $0xfee00000, %esi
	movl $0x1ff, 0xf0(%rsi)
.endm
.macro SEND_INIT
	movl $0xc4500, 0x300(%rsi)
	mov $0x8000, %ecx
4:	dec %ecx
	jnz 4b
.endm
.macro SEND_SIPI
	movl $0xc4600 + GUEST_REAL_GPA / 0x1000, 0x300(%rsi)
.endm

/* Starts as many CPUs as +0 says, all at once. Each tells its APIC id as often as it can be read:
 * three words at +0x20, and at +0x200 of each of the others. */
CODE smp_start
	jmp 2f
	.code16
1:	xor %ax, %ax
	mov %ax, %ds
	mov $1, %eax
	cpuid
	shr $24, %ebx
	mov $1, %eax
	lock xadd %eax, STARTED
	mov %eax, %edi
	shl $3, %edi
	mov %ebx, IDS(%di)
	mov $0xb, %eax
	xor %ecx, %ecx
	cpuid
	mov %edx, IDS + 4(%di)
	lock incl FINISHED
3:	cli
	hlt
	jmp 3b
	.code64
	TRAMPOLINE
	SEND_INIT
	SEND_SIPI
	mov DATA, %r8d
5:	cmp FINISHED, %r8d
	jne 5b
	mov $1, %eax
	cpuid
	shr $24, %ebx
	mov %rbx, DATA + 0x20
	mov $0xb, %eax
	xor %ecx, %ecx
	cpuid
	mov %rdx, DATA + 0x28
	mov 0x20(%rsi), %eax
	shr $24, %eax
	mov %rax, DATA + 0x30
	mov $IDS, %esi
	mov $DATA + 0x200, %edi
6:	mov (%rsi), %eax
	mov %rax, (%rdi)
	mov %rax, 16(%rdi)
	mov 4(%rsi), %eax
	mov %rax, 8(%rdi)
	add $8, %esi
	add $24, %edi
	dec %r8d
	jnz 6b
	DONE
END smp_start

/* Starts the other CPU, stops it (by INIT: no other takes a SIPI) and starts it again; +0 counts. */
CODE smp_off
	jmp 2f
	.code16
1:	xor %ax, %ax
	mov %ax, %ds
	lock incl STARTED
3:	cli
	hlt
	jmp 3b
	.code64
	TRAMPOLINE
	SEND_INIT
	SEND_SIPI
5:	cmpl $1, STARTED
	jne 5b
	SEND_SIPI
	SEND_INIT
	mov STARTED, %eax
	SEND_SIPI
6:	mov STARTED, %ecx
	cmp %eax, %ecx
	je 6b
	mov %rcx, DATA
	DONE
END smp_off

/*
 * Starts the CPU of the id at +0x100, which is in x2APIC mode as this one is, and sends it vector
 * 0x40; then leads the IOAPIC's pin of GUEST_EDGE_GSI to it. It counts; +0 shows the count, and it
 * is through when that is the number at +24.
 */
#define X2APIC_EOI 0x80b
#define X2APIC_SVR 0x80f
#define X2APIC_ICR 0x830
.macro X2APIC_SEND command
	mov $X2APIC_ICR, %ecx
	mov DATA + 0x100, %edx
	mov $\command, %eax
	wrmsr
.endm
CODE smp_far
	jmp 2f
	.code16
1:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %ss
	mov $0x7800, %sp
	movw $GUEST_REAL_GPA + 4f - 1b, 4 * 0x40
	mov %ax, 4 * 0x40 + 2
	mov $X2APIC_SVR, %ecx
	xor %edx, %edx
	mov $0x1ff, %eax
	wrmsr
	lock incl STARTED
3:	sti
	hlt
	jmp 3b
4:	lock incl FINISHED
	mov $X2APIC_EOI, %ecx
	xor %edx, %edx
	xor %eax, %eax
	wrmsr
	iretw
	.code64
	TRAMPOLINE
	X2APIC_SEND 0x4500
	X2APIC_SEND 0x4600 + GUEST_REAL_GPA / 0x1000
5:	cmpl $1, STARTED
	jne 5b
	X2APIC_SEND 0x4040
	/* Bits 31:24 of the entry's high word are bits 7:0 of the id, 23:17 are 14:8. */
	mov DATA + 0x100, %eax
	mov %eax, %ecx
	shl $24, %eax
	shr $8, %ecx
	shl $17, %ecx
	or %eax, %ecx
	mov $0xfec00000, %esi
	movl $0x11 + 2 * GUEST_EDGE_GSI, (%rsi)
	mov %ecx, 16(%rsi)
	movl $0x10 + 2 * GUEST_EDGE_GSI, (%rsi)
	movl $0x40, 16(%rsi)
6:	mov FINISHED, %eax
	mov %rax, DATA
	cmp DATA + 24, %rax
	jb 6b
	DONE
END smp_far

/*
 * A level line to a CPU in x2APIC mode: masked by its handler while it is served, as systems do to
 * move it, ended, and unmasked. +0 counts, the third handler waits for a one at +0x20.
 */
CODE level_far
	HANDLER
	push %rax
	push %rcx
	push %rdx
	incq DATA
	mov $0xfec00000, %ecx
	movl $0x10 + 2 * GUEST_LEVEL_GSI, (%rcx)
	movl $0x18041, 16(%rcx)
	cmpq $3, DATA
	jne 4f
	mov $GUEST_PORT, %dx
	out %al, %dx
3:	cmpq $1, DATA + 0x20
	jne 3b
4:	mov $X2APIC_EOI, %ecx
	xor %edx, %edx
	xor %eax, %eax
	wrmsr
	mov $0xfec00000, %ecx
	movl $0x8041, 16(%rcx)
	pop %rdx
	pop %rcx
	pop %rax
	iretq
	GATE 0x41
	LOAD_IDT
	mov $X2APIC_SVR, %ecx
	xor %edx, %edx
	mov $0x1ff, %eax
	wrmsr
	ROUTE GUEST_LEVEL_GSI, 0x8041
	movq $1, DATA + 8
	sti
6:	mov DATA + 24, %rax
	cmp DATA, %rax
	ja 6b
	cli
	mov $0xfec00000, %ecx
	mov 16(%rcx), %eax
	mov %rax, DATA + 0x28
	DONE
END level_far

	.section .note.GNU-stack, "", %progbits
