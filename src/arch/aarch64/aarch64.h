/*
 * The private header of aarch64: what its model files (plain C, built and tested on every host)
 * offer to its native kvm_*.c files: the address map, the loader, the device tree, PSCI numbers
 * and fault syndromes. Nothing here needs <linux/kvm.h>.
 */
#ifndef AXVM_ARCH_AARCH64_AARCH64_H
#define AXVM_ARCH_AARCH64_AARCH64_H

#include <axvm/arch.h>

/* ---- the address map (layout.c) -------------------------------------------------------------- */

/* Devices below 1 GiB, RAM from there on in one piece. Windows are 64 KiB apart, so that guests
 * with pages of any size can map each alone. */
#define A64_GICD_GPA      0x08000000ULL
#define A64_GICD_SIZE     0x10000ULL /* GICv2 uses the first 4 KiB */
#define A64_GICC_GPA      0x08010000ULL
#define A64_GICC_SIZE     0x2000ULL
#define A64_UART_GPA      0x09000000ULL
#define A64_RTC_GPA       0x09010000ULL
#define A64_HYPERCALL_GPA 0x09020000ULL /* hypercall doorbell, docs/hypercall.md */
#define A64_MARK_GPA      0x09030000ULL /* diagnostic codes, 4 bytes */
#define A64_PVPANIC_GPA   0x09040000ULL /* "qemu,pvpanic-mmio" */
#define A64_VIRTIO_GPA    0x0a000000ULL /* virtio-mmio windows, 4 KiB each */
#define A64_VIRTIO_SLOTS  32u
#define A64_GICR_GPA      0x10000000ULL /* GICv3: two frames of 64 KiB a CPU */
#define A64_GICR_SIZE     0x20000ULL
#define A64_RAM_GPA       0x40000000ULL
#define A64_MIN_MEMORY    (16ULL << 20)
#define A64_MAX_MEMORY    (4ULL << 40) /* in one piece: a slot of KVM's holds 8 TiB less a page */
#define A64_MIN_IPA_BITS  40u  /* what every KVM host but the smallest has; fewer page tables */
#define A64_MAX_VCPUS     512u /* KVM's */
#define A64_GICV2_VCPUS   8u

/* GSI n is SPI n, which is INTID 32 + n and the n of a device tree's <0 n flags>. */
#define A64_SPI_FIRST_INTID 32u
#define A64_INTIDS          128u /* 32 private ones and 96 SPIs */
#define A64_SPIS            (A64_INTIDS - A64_SPI_FIRST_INTID)
#define A64_UART_GSI        1u
#define A64_RTC_GSI         2u
#define A64_VIRTIO_GSI      16u /* and the 31 behind it */
/* PPIs by INTID - 16, as KVM wires them. */
#define A64_PPI_PMU          7u
#define A64_PPI_TIMER_HYP    10u
#define A64_PPI_TIMER_VIRT   11u
#define A64_PPI_TIMER_SECURE 13u
#define A64_PPI_TIMER_PHYS   14u
#define A64_PPI_FIRST_INTID  16u

int a64_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
	     struct ax_error *err);
/* Lower plan->gpa_limit to ipa_bits address bits (0: not known, which is 40); refuses a plan whose
 * RAM would lie beyond. */
int a64_plan_narrow(struct axarch_plan *plan, unsigned ipa_bits, struct ax_error *err);
/* The affinity fields of MPIDR_EL1 as KVM gives them to vCPU `index`. */
uint64_t a64_mpidr(uint32_t index);

/* ---- images (load.c) ------------------------------------------------------------------------- */

/* Everything the loader needs to know about the machine it describes to the kernel. */
struct a64_boot_info {
	const struct axarch_vm_config *config;
	const struct axarch_plan *plan;
	const struct axarch_boot *boot;
	const struct axarch_machine *machine;
	uint32_t gic_version; /* 2 or 3; with AXARCH_IRQ_NONE not looked at */
	bool has_pmu;
	/* For the kernel's random number generator and the place it runs at; NULL: none. */
	const uint8_t *seed;
	size_t seed_bytes;
};
#define A64_SEED_BYTES 40u /* 32 for rng-seed, 8 for kaslr-seed */

/* How vCPU 0 starts: at EL1 with the MMU off and interrupts masked. The others wait for CPU_ON. */
struct a64_start {
	uint64_t pc, x0;
};

/* The device tree stands at the start of RAM, below the kernel. */
#define A64_DTB_GPA  A64_RAM_GPA
#define A64_DTB_SIZE (2ULL << 20)

/* Kernel, initrd and device tree into memory. Every malformed image is refused with file, value
 * and expectation. */
int a64_load(struct axas *memory, const struct a64_boot_info *info, struct a64_start *ret_start,
	     struct ax_error *err);

/* ---- the device tree (tree.c) ---------------------------------------------------------------- */

struct axfdt;
/* For axarch_tree_load: info is a struct a64_boot_info. */
void a64_put_nodes(struct axfdt *fdt, const void *info);
uint32_t a64_given_room(const struct axfdt *fdt, const void *info);
void a64_put_edge(struct axfdt *fdt, const void *info, const char *path, uint32_t gsi);

/* ---- calls and faults (psci.c, syndrome.c) --------------------------------------------------- */

/* SMCCC function ids (Arm DEN 0028) that are AxVM's own, of the service "vendor specific
 * hypervisor", 64-bit: id - BASE is the number of the hypercall. */
#define A64_HVC_BASE  0xc6000100u
#define A64_HVC_COUNT 0x100u

/* A call by HVC or SMC with x0..x6 in regs as a portable exit: PSCI (Arm DEN 0022) calls that end
 * or start something, hypercalls for all others. Ids outside AxVM's range keep their whole number
 * in hypercall.nr. */
void a64_decode_call(const uint64_t regs[7], struct axvcpu_exit *exit);

/* An access KVM could not decode: the ISS of ESR_EL2 as KVM_EXIT_ARM_NISV gives it. */
void a64_decode_nisv(uint64_t iss, uint64_t gpa, struct axvcpu_exit *exit);

#endif
