/* Where payloads find things on aarch64; for C and assembly. */
#ifndef AXVM_TESTS_GUEST_MAP_H
#define AXVM_TESTS_GUEST_MAP_H

#define GUEST_CODE_GPA  0x40400000 /* behind the device tree */
#define GUEST_DATA_GPA  0x40500000
#define GUEST_TABLE_GPA 0x40600000 /* translation, level 1 */
#define GUEST_EXTRA_GPA 0x48000000 /* for tests to put memory at */
#define GUEST_MMIO_GPA  0x0b000000 /* the test device, 4 KiB */
#define GUEST_DONE_GPA  0x0b001000
#define GUEST_HOLE_GPA  0x0c000010 /* nobody's */

/* Lines that are free for tests; GSI n is INTID 32 + n. */
#define GUEST_EDGE_GSI  50
#define GUEST_LEVEL_GSI 51

/* Registers by the numbers of axvcpu_set_gpr: first, one past the last, no register, a hypercall's
 * answer. */
#define GUEST_GPR_FIRST  0
#define GUEST_GPR_END    31
#define GUEST_GPR_NONE   33
#define GUEST_GPR_RETURN 0

/* What the tests of one GIC find at this offset: the version that the payload saw. */
#define GUEST_GIC_OFFSET 0x80

#endif
