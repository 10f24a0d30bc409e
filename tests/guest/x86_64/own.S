/* The payloads of the tests that only x86_64 has; see code.S. */
#include "macros.S"
#define DATA GUEST_DATA_GPA

/* ---- ports -------------------------------------------------------------------------- */

CODE io_out
	mov $GUEST_PORT, %dx
	mov $0xa1b2c3d4, %eax
	out %al, %dx
	mov $GUEST_PORT + 2, %dx
	out %ax, %dx
	mov $GUEST_PORT + 4, %dx
	out %eax, %dx
	DONE
END io_out

CODE io_in
	mov $DATA, %edi
	mov $-1, %rax
	mov $GUEST_PORT, %dx
	in %dx, %al
	mov %rax, (%rdi)
	mov $-1, %rax
	mov $GUEST_PORT + 2, %dx
	in %dx, %ax
	mov %rax, 8(%rdi)
	mov $-1, %rax
	mov $GUEST_PORT + 4, %dx
	in %dx, %eax
	mov %rax, 16(%rdi)
	DONE
END io_in

/* Five bytes, then three words, then two doublewords. */
CODE io_rep_out
	cld
	mov $DATA, %esi
	mov $GUEST_PORT, %dx
	mov $5, %ecx
	rep outsb
	mov $3, %ecx
	rep outsw
	mov $2, %ecx
	rep outsl
	mov %rsi, DATA + 0x100
	mov %rcx, DATA + 0x108
	DONE
END io_rep_out

CODE io_rep_in
	cld
	mov $DATA, %edi
	mov $GUEST_PORT, %dx
	mov $3, %ecx
	rep insb
	mov $2, %ecx
	rep insw
	mov $600, %ecx
	rep insl
	mov %rdi, DATA + 0x10000
	mov %rcx, DATA + 0x10008
	DONE
END io_rep_in

CODE io_unclaimed
	mov $DATA, %edi
	mov $0x1234, %dx
	xor %eax, %eax
	in %dx, %al
	mov %rax, (%rdi)
	xor %eax, %eax
	in %dx, %ax
	mov %rax, 8(%rdi)
	xor %eax, %eax
	in %dx, %eax
	mov %rax, 16(%rdi)
	out %eax, %dx
	DONE
END io_unclaimed

/* 7 matches three times; the byte and 8 come out. */
CODE doorbell_port
	mov $GUEST_PORT + 4, %dx
	mov $7, %eax
	out %ax, %dx
	out %ax, %dx
	out %ax, %dx
	out %al, %dx
	inc %eax
	out %ax, %dx
	DONE
END doorbell_port

/* ---- MSRs --------------------------------------------------------------------------- */

/* #GP: its error code and the instruction go away, rdmsr and wrmsr are 2 bytes. */
.macro COUNT_FAULTS
	HANDLER
	incq DATA + 0x100
	add $8, %rsp
	addq $2, (%rsp)
	iretq
	GATE 13
	LOAD_IDT
.endm

CODE msr_device
	COUNT_FAULTS
	mov $GUEST_MSR, %ecx
	rdmsr
	mov %eax, DATA
	mov %edx, DATA + 4
	mov $0x55667788, %eax
	mov $0x11223344, %edx
	wrmsr
	inc %ecx
	rdmsr
	wrmsr
	DONE
END msr_device

CODE msr_unknown
	COUNT_FAULTS
	mov $GUEST_MSR, %ecx
	rdmsr
	wrmsr
	mov $0xc0000080, %ecx
	rdmsr
	mov %eax, DATA
	DONE
END msr_unknown

/* ---- modes -------------------------------------------------------------------------- */

/* DS reaches 64 KiB in real mode: the result goes to 0x9000. */
CODE mode_16, 16
	mov $0x9000, %bx
	mov %cs, %ax
	mov %ax, (%bx)
	smsw %ax
	mov %ax, 2(%bx)
	DONE
END mode_16

CODE mode_32, 32
	mov $DATA, %edi
	mov %cr0, %eax
	mov %eax, (%edi)
	push $0x1234
	pop 4(%edi)
	DONE
END mode_32

/* ---- power -------------------------------------------------------------------------- */

CODE power_cf9
	mov $0xcf9, %dx
	in %dx, %al
	and $0xf9, %al
	or $2, %al
	out %al, %dx
	or $6, %al
	out %al, %dx
	HANG
END power_cf9

/* GSI 9 is the SCI. Waits for the button; the handler clears its status. */
CODE power_button
	HANDLER
	mov $0x600, %dx
	in %dx, %ax
	mov %rax, DATA + 8
	mov $0x100, %ax
	out %ax, %dx
	in %dx, %ax
	mov %rax, DATA + 16
	incq DATA
	EOI
	iretq
	GATE 0x50
	IRQ_SETUP
	ROUTE 9, 0x8050
	mov $0x602, %dx
	mov $0x100, %ax
	out %ax, %dx
	movq $1, DATA + 24
3:	sti
	hlt
	cli
	cmpq $0, DATA
	je 3b
	DONE
END power_button

/* ---- interrupts --------------------------------------------------------------------- */

/* Channel 0 at about 1 kHz, IOAPIC pin 2 as the MADT says. */
CODE timer_pit
	HANDLER
	push %rax
	incq DATA
	EOI
	pop %rax
	iretq
	GATE 0x50
	IRQ_SETUP
	ROUTE 2, 0x50
	mov $0x34, %al
	out %al, $0x43
	mov $0xa9, %al
	out %al, $0x40
	mov $0x04, %al
	out %al, $0x40
3:	sti
	hlt
	cli
	cmpq $10, DATA
	jb 3b
	DONE
END timer_pit

/* +0 counts interrupts of two vectors, +8 says ready; ends after the number at +24. */
.macro COUNT_INJECTED
	HANDLER
	push %rax
	incq DATA
	EOI
	pop %rax
	iretq
	GATE 0x40
	GATE 0x61
	IRQ_SETUP
.endm

CODE inject_spin
	COUNT_INJECTED
	sti
	movq $1, DATA + 8
3:	mov DATA + 24, %rax
	cmp DATA, %rax
	jne 3b
	DONE
END inject_spin

CODE inject_halt
	COUNT_INJECTED
	movq $1, DATA + 8
	WAIT_COUNT
	DONE
END inject_halt

/* The guest's LAPIC says which kind of interrupt it took: +32 is the word of the trigger mode
 * register that has vectors 0x60 to 0x7f. */
CODE inject_trigger
	HANDLER
	push %rax
	mov $0xfee001b0, %eax
	mov (%rax), %eax
	mov %eax, DATA + 32
	incq DATA
	EOI
	pop %rax
	iretq
	GATE 0x61
	IRQ_SETUP
	sti
	movq $1, DATA + 8
3:	mov DATA + 24, %rax
	cmp DATA, %rax
	jne 3b
	DONE
END inject_trigger

/* Without a LAPIC; nothing must come as long as interrupts are off. */
CODE inject_bare
	HANDLER
	incq DATA
	iretq
	GATE 0x40
	GATE 0x61
	LOAD_IDT
	movq $1, DATA + 8
	mov $0x1000, %ecx
3:	dec %ecx
	jnz 3b
	cmpq $0, DATA
	jne 9f
	sti
4:	cmpq $2, DATA
	jne 4b
	DONE
END inject_bare

/* ---- waiting ------------------------------------------------------------------------ */

/* +0x100: ECX of leaf 1, then EBX of leaf 5. Told of MWAIT it waits by that: for the count at +24
 * and for a word at +0x200. */
CODE wait_mwait
	COUNT_INJECTED
	mov $1, %eax
	xor %ecx, %ecx
	cpuid
	mov %ecx, DATA + 0x100
	mov $5, %eax
	xor %ecx, %ecx
	cpuid
	mov %ebx, DATA + 0x104
	testl $8, DATA + 0x100
	jz 5f
	movq $1, DATA + 8
3:	mov $DATA + 0x200, %eax
	xor %ecx, %ecx
	xor %edx, %edx
	monitor
	cmpq $0, DATA + 0x200
	je 4f
	mov DATA + 24, %rax
	cmp DATA, %rax
	jbe 5f
4:	xor %eax, %eax
	sti
	mwait
	cli
	jmp 3b
5:	DONE
END wait_mwait

	.section .note.GNU-stack, "", %progbits
