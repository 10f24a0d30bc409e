/*
 * A list of CPUID leaves under edit, and the parts of the edit: cpuid.c has the processor's
 * features, cpuid_topology.c who shares what, cpuid_kvm.c the hypervisor's leaves.
 */
#ifndef AXVM_ARCH_X86_64_CPUID_H
#define AXVM_ARCH_X86_64_CPUID_H

#include "topology.h"

struct x86_cpuid_table {
	struct x86_cpuid_entry *entries;
	size_t count, max;
};

/* ---- cpuid_table.c --------------------------------------------------------------------------- */

struct x86_cpuid_entry *x86_cpuid_find(const struct x86_cpuid_table *t, uint32_t leaf,
				       uint32_t subleaf); /* NULL: not there */
void x86_cpuid_remove(struct x86_cpuid_table *t, uint32_t first, uint32_t last);
/* Leaves that do not fit are left out: the guest reads zeroes there. */
void x86_cpuid_add(struct x86_cpuid_table *t, const struct x86_cpuid_entry *entry);
/* Raise the highest basic leaf to one that is added past it. */
void x86_cpuid_reach(const struct x86_cpuid_table *t, uint32_t leaf);
void x86_cpuid_set_bit(uint32_t *reg, unsigned bit, bool on);

/* ---- cpuid_topology.c ------------------------------------------------------------------------ */

/* Ids of one package, as CPUID counts them: those there are, or those the id bits could hold. */
uint32_t x86_cpuid_per_package(const struct x86_topology *topo);
/* Leaves 4, 0xB, 0x1F and, on AMD, 0x80000001, 0x80000008, 0x8000001D, 0x8000001E. */
void x86_cpuid_edit_topology(struct x86_cpuid_table *t, const struct x86_cpuid_request *r,
			     const struct x86_topology *topo, bool is_amd);

/* ---- cpuid_kvm.c ----------------------------------------------------------------------------- */

/* 0x40000000 and following. */
void x86_cpuid_edit_hypervisor(struct x86_cpuid_table *t, const struct x86_cpuid_request *r);

#endif
