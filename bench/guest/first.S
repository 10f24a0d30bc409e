# A kernel whose first instructions end the machine: a 16-bit write of 0x2000 to port 0x604, which
# is ACPI's power-off for AxVM and QEMU's isa-debug-exit device when that is put there.
# As a PVH kernel (ELF, 32-bit entry), or with -DFIRMWARE as a firmware image (reset vector).
# With -DIDLE it only halts, for ever; with -DTOUCH=END it writes to each page of 4 KiB from 16 MiB to
# END first.
#ifdef FIRMWARE
	.code16
	.globl	_start
_start:	.fill	0xfff0, 1, 0xf4
	movw	$0x604, %dx
	movw	$0x2000, %ax
	outw	%ax, %dx
1:	hlt
	jmp	1b
	.org	0x10000
#else
	.section .note.pvh, "a", @note
	.long	4, 4, 18 # XEN_ELFNOTE_PHYS32_ENTRY
	.asciz	"Xen"
	.long	_start
	.text
	.code32
	.globl	_start
_start:
#ifdef TOUCH
	movl	$0x1000000, %edi
2:	movl	%edi, (%edi)
	addl	$0x1000, %edi
	cmpl	$TOUCH, %edi
	jb	2b
#endif
#ifndef IDLE
	movl	$0x604, %edx
	movl	$0x2000, %eax
	outw	%ax, %dx
#endif
1:	hlt
	jmp	1b
#endif
