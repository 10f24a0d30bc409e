/*
 * A list of CPUID leaves as KVM has it: found, added and taken out. What stands in them is for
 * cpuid.c and its parts.
 */
#include "cpuid.h"

struct x86_cpuid_entry *x86_cpuid_find(const struct x86_cpuid_table *t, uint32_t leaf,
				       uint32_t subleaf)
{
	for (size_t i = 0; i < t->count; i++) {
		struct x86_cpuid_entry *e = &t->entries[i];
		if (e->leaf == leaf && (!e->has_subleaf || e->subleaf == subleaf))
			return e;
	}
	return NULL;
}

void x86_cpuid_remove(struct x86_cpuid_table *t, uint32_t first, uint32_t last)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->count; i++)
		if (t->entries[i].leaf < first || t->entries[i].leaf > last)
			t->entries[kept++] = t->entries[i];
	t->count = kept;
}

void x86_cpuid_add(struct x86_cpuid_table *t, const struct x86_cpuid_entry *entry)
{
	if (t->count < t->max)
		t->entries[t->count++] = *entry;
}

void x86_cpuid_set_bit(uint32_t *reg, unsigned bit, bool on)
{
	*reg = on ? *reg | 1u << bit : *reg & ~(1u << bit);
}

void x86_cpuid_reach(const struct x86_cpuid_table *t, uint32_t leaf)
{
	struct x86_cpuid_entry *leaf0 = x86_cpuid_find(t, 0, 0);
	if (leaf0 && leaf0->eax < leaf)
		leaf0->eax = leaf;
}
