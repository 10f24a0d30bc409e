/*
 * A PL011 or a PL031 on a bus, driven as a guest would: 32-bit registers at an MMIO window, line 1.
 */
#ifndef TEST_AXDEVICE_PL0_RIG_H
#define TEST_AXDEVICE_PL0_RIG_H

#include "helpers.h"

#define PL0_BASE 0x9000000u
#define PL0_LINE 1

struct pl0_rig {
	struct loop_thread lt;
	struct axbus *bus;
	struct fake_chip chip;
	struct axirq_domain *irqs;
	struct axchr *chr; /* PL011 */
	struct axdev *dev;
};
void pl011_rig_setup(struct pl0_rig *rig, int in, int out); /* either may be -1 */
void pl031_rig_setup(struct pl0_rig *rig);
void pl0_rig_teardown(struct pl0_rig *rig);

uint32_t rd(struct pl0_rig *rig, uint32_t offset);
void wr(struct pl0_rig *rig, uint32_t offset, uint32_t value);
/* The line; only while no other thread drives it. */
bool line_high(const struct pl0_rig *rig);
/* How often it rose; any time. */
int line_rises(const struct pl0_rig *rig);

#endif
