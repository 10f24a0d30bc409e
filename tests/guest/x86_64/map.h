/* Where payloads find things on x86_64; for C and assembly. */
#ifndef AXVM_TESTS_GUEST_MAP_H
#define AXVM_TESTS_GUEST_MAP_H

#define GUEST_CODE_GPA  0x100000
#define GUEST_REAL_GPA  0x8000 /* of 16-bit code, also the trampoline of secondary CPUs */
#define GUEST_DATA_GPA  0x200000
#define GUEST_IDT_GPA   0x300000
#define GUEST_EXTRA_GPA 0x8000000  /* for tests to put memory at */
#define GUEST_MMIO_GPA  0xd0200000 /* the test device, 4 KiB */
#define GUEST_HOLE_GPA  0xd8000010 /* nobody's */
#define GUEST_DONE_PORT 0x7f0
#define GUEST_PORT      0x700      /* the test device, 16 ports */
#define GUEST_MSR       0x41785600 /* two of a device; the second faults */

/* Lines that are free for tests. */
#define GUEST_EDGE_GSI  16
#define GUEST_LEVEL_GSI 17

/* Registers by the numbers of axvcpu_set_gpr: first, one past the last, no register, a hypercall's
 * answer. */
#define GUEST_GPR_FIRST  0
#define GUEST_GPR_END    16
#define GUEST_GPR_NONE   16
#define GUEST_GPR_RETURN 0

#endif
