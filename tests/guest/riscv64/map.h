/* Where payloads find things on riscv64; for C and assembly. */
#ifndef AXVM_TESTS_GUEST_MAP_H
#define AXVM_TESTS_GUEST_MAP_H

#define GUEST_CODE_GPA  0x80200000
#define GUEST_DATA_GPA  0x80300000
#define GUEST_EXTRA_GPA 0x88000000 /* for tests to put memory at */
#define GUEST_MMIO_GPA  0x20000000 /* the test device, 4 KiB */
#define GUEST_DONE_GPA  0x20001000
#define GUEST_HOLE_GPA  0x21000010 /* nobody's */

/* Lines that are free for tests: sources of PLIC and APLIC, and what they are to the IMSIC. */
#define GUEST_EDGE_GSI  50
#define GUEST_LEVEL_GSI 51

/* Registers by the numbers of axvcpu_set_gpr: first, one past the last, no register, a hypercall's
 * answer. */
#define GUEST_GPR_FIRST  1
#define GUEST_GPR_END    32
#define GUEST_GPR_NONE   33
#define GUEST_GPR_RETURN 10

#endif
