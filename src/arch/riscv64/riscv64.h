/*
 * The private header of riscv64: what its model files (plain C, built and tested on every host)
 * offer to its native kvm_*.c files: the address map, the loader, the device tree, the names of
 * extensions, SBI calls and the PLIC. Nothing here needs <linux/kvm.h>.
 */
#ifndef AXVM_ARCH_RISCV64_RISCV64_H
#define AXVM_ARCH_RISCV64_RISCV64_H

#include <axvm/arch.h>

/* ---- the address map (layout.c) -------------------------------------------------------------- */

/* Devices below 2 GiB, RAM from there on in one piece, as every RISC-V board has it. */
#define RV64_PLIC_GPA      0x0c000000ULL
#define RV64_APLIC_GPA     0x0d000000ULL
#define RV64_APLIC_SIZE    0x4000ULL
#define RV64_UART_GPA      0x10000000ULL
#define RV64_HYPERCALL_GPA 0x10010000ULL /* hypercall doorbell, docs/hypercall.md */
#define RV64_MARK_GPA      0x10020000ULL /* diagnostic codes, 4 bytes */
#define RV64_PVPANIC_GPA   0x10030000ULL /* "qemu,pvpanic-mmio" */
#define RV64_VIRTIO_GPA    0x10100000ULL /* virtio-mmio windows, 4 KiB each */
#define RV64_VIRTIO_SLOTS  32u
#define RV64_IMSIC_GPA     0x28000000ULL /* a page a hart */
#define RV64_IMSIC_SIZE    0x1000ULL
#define RV64_RAM_GPA       0x80000000ULL
#define RV64_MIN_MEMORY    (16ULL << 20)
#define RV64_MIN_GPA_BITS  41u /* Sv39x4, which every hart with the H extension has */
#define RV64_MAX_GPA_BITS  52u /* of the planner; harts have up to 56 */
#define RV64_MAX_VCPUS     1024u
#define RV64_MAX_HART_ID   1023u /* KVM takes ids below its number of vCPUs */

/* GSI n is source n of the PLIC or APLIC; 0 is no source. */
#define RV64_SOURCES    64u
#define RV64_UART_GSI   1u
#define RV64_VIRTIO_GSI 16u /* and the 31 behind it */

int rv64_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
	      struct ax_error *err);
/* Lower plan->gpa_limit to gpa_bits address bits (0: not known, which is Sv39x4); refuses a plan
 * whose RAM would lie beyond. */
int rv64_plan_narrow(struct axarch_plan *plan, unsigned gpa_bits, struct ax_error *err);
uint32_t rv64_hart_id(const struct axarch_vm_config *config, uint32_t index);

/* ---- what a hart has (isa.c) ----------------------------------------------------------------- */

/* Extensions are numbered as KVM numbers them in its register interface. */
#define RV64_EXTENSIONS 128u
struct rv64_hart {
	uint64_t extensions[RV64_EXTENSIONS / 64];
	uint64_t timebase_hz;
	uint32_t satp_mode;              /* largest: 8 Sv39, 9 Sv48, 10 Sv57; 0: not known */
	uint32_t cbom_bytes, cboz_bytes; /* of a cache block, 0: none */
};
void rv64_hart_add(struct rv64_hart *hart, unsigned extension);
bool rv64_hart_has(const struct rv64_hart *hart, unsigned extension);
enum { RV64_EXT_I = 5, RV64_EXT_SSAIA = 14, RV64_EXT_ZICBOM = 11, RV64_EXT_ZICBOZ = 12 };
#define RV64_ISA_MAX 1024
/* "rv64imafdc_zicsr_..."; cut at max, which RV64_ISA_MAX never is. */
void rv64_isa_string(const struct rv64_hart *hart, char *buf, size_t max);
/* The names alone, each ended by NUL and one more behind the last. */
void rv64_isa_list(const struct rv64_hart *hart, char *buf, size_t max);
const char *rv64_mmu_type(const struct rv64_hart *hart);

/* ---- images (load.c) ------------------------------------------------------------------------- */

enum rv64_irqchip {
	RV64_IRQCHIP_NONE,
	RV64_IRQCHIP_PLIC, /* ours */
	RV64_IRQCHIP_AIA,  /* APLIC and IMSICs in KVM */
};

/* Everything the loader needs to know about the machine it describes to the kernel. */
struct rv64_boot_info {
	const struct axarch_vm_config *config;
	const struct axarch_plan *plan;
	const struct axarch_boot *boot;
	const struct axarch_machine *machine;
	const struct rv64_hart *hart; /* they are all alike */
	enum rv64_irqchip irqchip;
	uint32_t aia_ids; /* highest interrupt identity of an IMSIC */
	/* For the kernel's random number generator; NULL: none. */
	const uint8_t *seed;
	size_t seed_bytes;
};
#define RV64_SEED_BYTES 32u

/* How the first hart starts: in S-mode with translation off. The others wait for the SBI's
 * hart_start. */
struct rv64_start {
	uint64_t pc, a0, a1;
};

/* The device tree is at the end of RAM, or of its first GiB. */
#define RV64_DTB_SIZE (2ULL << 20)
uint64_t rv64_dtb_gpa(const struct axarch_plan *plan);

/* Kernel, initrd and device tree into memory. Every malformed image is refused with file, value
 * and expectation. */
int rv64_load(struct axas *memory, const struct rv64_boot_info *info, struct rv64_start *ret_start,
	      struct ax_error *err);

/* ---- the device tree (tree.c, tree_cpus.c) --------------------------------------------------- */

struct axfdt;
/* For axarch_tree_load: info is a struct rv64_boot_info. */
void rv64_put_nodes(struct axfdt *fdt, const void *info);
uint32_t rv64_given_room(const struct axfdt *fdt, const void *info);
void rv64_put_edge(struct axfdt *fdt, const void *info, const char *path, uint32_t gsi);
/* CPUs, and the interrupt controllers that their interrupts come from. */
void rv64_tree_cpus(struct axfdt *fdt, const struct rv64_boot_info *info);
void rv64_tree_irqchip(struct axfdt *fdt, const struct rv64_boot_info *info);
enum { RV64_PHANDLE_IRQCHIP = 1, RV64_PHANDLE_IMSIC = 2, RV64_PHANDLE_CPU = 16 };

/* ---- SBI calls (sbi.c) ----------------------------------------------------------------------- */

/* AxVM's extension, in the SBI's experimental range: 'A', 'X', 'V'. docs/hypercall.md. */
#define RV64_SBI_AXVM 0x08415856ULL

enum { RV64_SBI_SUCCESS = 0, RV64_SBI_NOT_SUPPORTED = -2, RV64_SBI_INVALID_PARAM = -3 };

struct rv64_sbi_call {
	uint64_t extension, function, args[6]; /* a7, a6, a0..a5 */
};
enum rv64_sbi_kind {
	RV64_SBI_ANSWER,    /* a0 and a1 as they are */
	RV64_SBI_PUT,       /* a byte to the console, then the answer */
	RV64_SBI_WRITE,     /* guest memory to the console; the answer's a1 is how much was taken */
	RV64_SBI_HYPERCALL, /* function and args are the call */
};
struct rv64_sbi_result {
	enum rv64_sbi_kind kind;
	uint64_t a0, a1; /* for PUT and WRITE: when it was done */
	uint8_t byte;
	uint64_t gpa, bytes;
};
/* Calls that KVM hands over. */
void rv64_sbi_decode(const struct rv64_sbi_call *call, bool has_console,
		     struct rv64_sbi_result *ret_result);
/* What a0 and a1 are after a hypercall that answered `ret`. */
void rv64_sbi_hypercall_answer(uint64_t ret, uint64_t *ret_a0, uint64_t *ret_a1);

/* ---- the PLIC (plic.c, plic_dev.c) ----------------------------------------------------------- */

/*
 * Platform-level interrupt controller, PLIC specification 1.0.0, with RV64_SOURCES sources and one
 * context (S-mode) a hart. Any thread. `output` drives the external interrupt of one hart; it is
 * called with the PLIC's lock held, when the level changes or the hart sets its threshold, and must
 * not call back.
 */
struct rv64_plic;
int rv64_plic_create(uint32_t contexts, void (*output)(void *ctx, uint32_t context, bool level),
		     void *ctx, struct rv64_plic **ret_plic, struct ax_error *err);
void rv64_plic_destroy(struct rv64_plic *plic); /* NULL is fine */
/* -ENODEV for what is no source. A rising edge is an interrupt, also while one is being served;
 * so is a level that is still there when the guest completes. */
int rv64_plic_set_level(struct rv64_plic *plic, uint32_t source, bool level);
/* One access of 32 bits at an offset; false when there is no such register. */
bool rv64_plic_read(struct rv64_plic *plic, uint64_t offset, uint32_t *ret_value);
bool rv64_plic_write(struct rv64_plic *plic, uint64_t offset, uint32_t value);
void rv64_plic_reset(struct rv64_plic *plic); /* the lines stay as they are */
uint64_t rv64_plic_size(uint32_t contexts);   /* of its window */
/* Its registers as a device for the bus, which owns that, not the PLIC. */
int rv64_plic_device(struct rv64_plic *plic, uint64_t gpa, uint32_t contexts,
		     struct axdev **ret_dev, struct ax_error *err);

#endif
