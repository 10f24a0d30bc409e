/* The payloads of the tests that only riscv64 has; see code.S. */
#include "macros.S"

/* Both words of an answer to the place of that number. */
.macro KEEP place
	sd a0, 16 * \place(s0)
	sd a1, 16 * \place + 8(s0)
.endm

/* ---- the SBI ------------------------------------------------------------------------ */

/* AxVM's number 7 of 1 to 6, number 99; are AxVM's extension and HSM there? an unknown one. */
CODE sbi
	START
	li a0, 1
	li a1, 2
	li a2, 3
	li a3, 4
	li a4, 5
	li a5, 6
	CALL SBI_AXVM, 7
	KEEP 0
	CALL SBI_AXVM, 99
	KEEP 1
	li a0, SBI_AXVM
	CALL SBI_BASE, 3
	KEEP 2
	li a0, SBI_HSM
	CALL SBI_BASE, 3
	KEEP 3
	CALL 0x12345678, 0
	KEEP 4
	DONE
END sbi

/* Start nobody and oneself; the state of oneself, of a stopped hart, of nobody. */
CODE hsm
	START
	li a0, 77
	lla a1, 9f
	CALL SBI_HSM, HART_START
	KEEP 0
	li a0, 0
	lla a1, 9f
	CALL SBI_HSM, HART_START
	KEEP 1
	li a0, 0
	CALL SBI_HSM, HART_STATUS
	KEEP 2
	li a0, 1
	CALL SBI_HSM, HART_STATUS
	KEEP 3
	li a0, 77
	CALL SBI_HSM, HART_STATUS
	KEEP 4
	DONE
END hsm

/* ---- CSRs --------------------------------------------------------------------------- */

/* A swap, a read that sets bits, a plain read, and one nobody claims. +0 counts faults. */
CODE csr
	START
	HANDLER
	COUNT
	csrr t0, sepc
	addi t0, t0, 4
	csrw sepc, t0
	sret
2:	lla t0, 1b
	csrw stvec, t0
	li a1, 0x1234
	csrrw a2, CSR_STOPEI, a1
	sd a2, 8(s0)
	li a1, 0xf0
	csrrs a2, CSR_STOPEI, a1
	sd a2, 16(s0)
	csrr a2, CSR_STOPEI
	sd a2, 24(s0)
	csrr a2, CSR_SIREG
	DONE
END csr

/* ---- interrupts --------------------------------------------------------------------- */

/* Identity 60 of the IMSIC. Counts at +0, ends after the number at +24; the word: is there one? */
CODE inject_msi
	START
	HANDLER
	IRQ_ACK
	sd t3, 16(s0)
	COUNT
	IRQ_RETURN
	IRQ_SETUP
	beqz s2, 4f
	li t0, EIE0
	csrw CSR_SISELECT, t0
	li t1, 1 << 60
	csrs CSR_SIREG, t1
	li a1, 1
	sd a1, 8(s0)
	WAIT_COUNT
4:	DONE s2
END inject_msi

/* The hart's external interrupt with no controller behind it, which goes when the guest leaves. */
CODE inject_external
	START
	HANDLER
	lw t0, (s1)
	COUNT
	sret
2:	lla t0, 1b
	csrw stvec, t0
	li t0, SIE_EXTERNAL
	csrw sie, t0
	li a1, 1
	sd a1, 8(s0)
	WAIT_COUNT
	DONE
END inject_external

	.section .note.GNU-stack, "", %progbits
