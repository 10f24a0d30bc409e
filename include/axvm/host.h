/*
 * host: what this machine is. Facts are read once from /proc and /sys below a root directory, so
 * that tests and recorded hosts come through the same reader; nothing here decides anything.
 */
#ifndef AXVM_HOST_H
#define AXVM_HOST_H

#include <axvm/base.h>

struct axhost_page_pool {
	uint64_t page_size_bytes;
	uint64_t total, free; /* pages */
};

struct axhost_facts {
	char vendor[16]; /* "GenuineIntel", "Arm"; empty when unknown */
	char model_name[64];
	/* As x86 numbers them. Arm: family 0, the part, variant and revision (0x41 is r4p1). */
	uint32_t family, model, stepping;
	uint32_t cpus_online;
	uint32_t nodes_online; /* NUMA nodes */
	uint64_t memory_bytes, memory_available_bytes;
	struct axhost_page_pool pools[4];
	size_t pool_count;
	bool thp; /* transparent huge pages for shared memory or by madvise */
	/* CPU flags that profiles ask for. */
	bool vmx, svm, ept, invariant_tsc, x2apic, tsc_scaling, apicv, gbpages, hypervisor;
	char kernel_release[64];
};

/* root: "" for this machine, or a directory that holds proc/ and sys/ of another. Files that are
 * missing leave their facts at zero; never fails but for lack of memory. */
void axhost_read(const char *root, struct axhost_facts *ret_facts);

#endif
