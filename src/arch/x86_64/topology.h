/*
 * The topology a guest is shown, shared by topology.c and cpuid.c.
 */
#ifndef AXVM_ARCH_X86_64_TOPOLOGY_H
#define AXVM_ARCH_X86_64_TOPOLOGY_H

#include "x86.h"

struct x86_topology {
	uint32_t sockets, cores, threads; /* cores a socket, threads a core */
	uint32_t llcs;                    /* last level caches a socket */
	/* APIC id: thread in the lowest thread_bits, cache from llc_bits up, socket from
	 * package_bits up. One cache a socket has no bits. */
	unsigned thread_bits, llc_bits, package_bits;
};

/* policy may be NULL (the default); zeroes in it are computed from vcpu_count. */
void x86_topology_of(const struct axarch_cpu_policy *policy, uint32_t vcpu_count,
		     uint32_t max_apic_id, struct x86_topology *ret);

#endif
