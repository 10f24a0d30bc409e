/*
 * A machine without a hypervisor: ../arch/rig.h with everything x86_load asks for, and looking into
 * its memory.
 */
#ifndef AXVM_TESTS_X86_64_HELPERS_H
#define AXVM_TESTS_X86_64_HELPERS_H

#include "../arch/rig.h"

#include "load.h"

struct machine {
	struct rig rig;
	uint32_t apic_ids[X86_MAX_VCPUS];
	struct x86_boot_info info;
};

/* Plans and maps; what a rig has and ACPI, announced in tables. */
void machine_init(struct machine *m, uint64_t memory_bytes, uint32_t vcpu_count);
int machine_load(struct machine *m, struct x86_start *ret_start);

/* Guest memory into buf; fails the test when it is not there. */
void peek(const struct machine *m, uint64_t gpa, void *buf, size_t len);
uint64_t peek64(const struct machine *m, uint64_t gpa);
uint32_t peek32(const struct machine *m, uint64_t gpa);
uint16_t peek16(const struct machine *m, uint64_t gpa);
uint8_t peek8(const struct machine *m, uint64_t gpa);

uint8_t byte_sum(const void *bytes, size_t len);
/* A small deterministic generator (xorshift64*). */
uint64_t next_random(uint64_t *state);

#endif
