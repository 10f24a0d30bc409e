/*
 * Private to src/host: the parts of /proc/cpuinfo that are an architecture's own, and the topology.
 */
#ifndef AXVM_HOST_PRIVATE_H
#define AXVM_HOST_PRIVATE_H

#include <axvm/host.h>

struct axhost_arm {
	bool present;
	uint32_t implementer, variant, part, revision;
};
/* A line of the first processor's paragraph; those that are not Arm's change nothing. */
void axhost_read_arm_line(const char *line, struct axhost_arm *arm);
/* Vendor, model and stepping, when there were such lines. */
void axhost_name_arm(const struct axhost_arm *arm, struct axhost_facts *facts);

/* The same for RISC-V, straight into vendor and model. */
void axhost_read_riscv_line(const char *line, struct axhost_facts *facts);

/* One node unless there are some, one package, a core for each online CPU. -ENOMEM. */
int axhost_fill_flat(struct axhost_facts *facts);

#endif
