/*
 * The private header of x86_64: what its model files (plain C, built and tested on every host)
 * offer to its native kvm_*.c files. Nothing here needs <linux/kvm.h>: CPUID and start states are
 * neutral structs that the native half translates.
 */
#ifndef AXVM_ARCH_X86_64_X86_H
#define AXVM_ARCH_X86_64_X86_H

#include <axvm/arch.h>

/* ---- the address map (layout.c) -------------------------------------------------------------- */

#define X86_GDT_GPA       0x500ULL  /* descriptors of the 32-bit starts: code 0x10, data 0x18 */
#define X86_GDT64_GPA     0x540ULL  /* those of the 64-bit start; the same selectors */
#define X86_PVH_INFO_GPA  0x6000ULL /* hvm_start_info and its tables */
#define X86_ZERO_PAGE_GPA 0x7000ULL
#define X86_STACK_GPA     0x8ff0ULL
#define X86_PML4_GPA      0x9000ULL /* + PDPT at 0xa000, PDs at 0xb000..0xe000: low 4 GiB */
#define X86_CMDLINE_GPA   0x20000ULL
#define X86_CMDLINE_MAX   0x10000ULL /* room at X86_CMDLINE_GPA, NUL included */
#define X86_EBDA_GPA      0x9fc00ULL
#define X86_ACPI_GPA      0xe0000ULL /* RSDP first (found by the BIOS area scan), then tables */
#define X86_ACPI_SIZE     0x1e000ULL
/* Floating pointer, then table. MP 1.4 section 4 has it searched for in the BIOS area's upper half
 * (0xf0000..0xfffff); the last KiB below 640 KiB, searched too, is too small for 254 CPUs. */
#define X86_MP_TABLE_GPA     0xfe000ULL
#define X86_MP_TABLE_SIZE    0x2000ULL
#define X86_HIGH_RAM_GPA     0x100000ULL
#define X86_HOLE_GPA         0xc0000000ULL /* RAM stops here and goes on at 4 GiB */
#define X86_DEVICE_GPA       0xd0000000ULL /* virtio-mmio windows, 4 KiB each */
#define X86_HYPERCALL_GPA    0xd0100000ULL /* hypercall doorbell */
#define X86_PCI_ECAM_GPA     0xd0200000ULL /* configuration space of PCI bus 0, 1 MiB */
#define X86_PCI_WINDOW_GPA   0xd1000000ULL /* BARs; the host bridge hands it to the bus */
#define X86_PCI_WINDOW_SIZE  0x1000000ULL
#define X86_IOAPIC_GPA       0xfec00000ULL
#define X86_LAPIC_GPA        0xfee00000ULL
#define X86_IDENTITY_MAP_GPA 0xfeffc000ULL /* KVM's EPT identity page (Intel) */
#define X86_TSS_GPA          0xfeffd000ULL /* KVM's three TSS pages */
#define X86_MIN_MEMORY       (16ULL << 20)
#define X86_GPA_LIMIT        (1ULL << 46) /* of the model; x86_plan_narrow knows the host's */
#define X86_MAX_VCPUS        1024u
#define X86_MAX_APIC_ID      4095u /* KVM_MAX_VCPU_IDS - 1 */
#define X86_MAX_XAPIC_ID     254u  /* eight bits, 0xff being all CPUs */
#define X86_MAX_IRQ_ID       255u  /* what eight bits of an interrupt reach in x2APIC mode */

/* GSIs of an IOAPIC with 24 pins. */
#define X86_IOAPIC_PINS 24u
#define X86_SERIAL_GSI  4u
#define X86_SCI_GSI     9u
/* MADT and MP table tell the guest that ISA IRQ 0 (the PIT) arrives at this pin, as on every PC:
 * the native half routes GSI 0 to PIC pin 0 and to this IOAPIC pin (KVM's default has pin 0). */
#define X86_PIT_IOAPIC_PIN 2u
/* Lines for virtio-mmio: ISA pins free of other use first (they also work by command line without
 * ACPI), then 16..23; listed in layout.c. */

/* Ports. */
#define X86_PORT_POST    0x80u
#define X86_PORT_I8042   0x64u
#define X86_PORT_COM1    0x3f8u
#define X86_PORT_PVPANIC 0x505u
#define X86_PORT_PM1_EVT 0x600u /* status word, enable word */
#define X86_PORT_PM1_CNT                                                        \
	0x604u /* word; SLP_EN with SLP_TYP 0 is S5: also the bare 0x2000 write \
		*/
#define X86_PORT_RESET 0xcf9u

int x86_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
	     struct ax_error *err);
/* Lower plan->gpa_limit to what phys_bits address bits reach (0: not known); refuses a plan whose
 * RAM would lie beyond. */
int x86_plan_narrow(struct axarch_plan *plan, unsigned phys_bits, struct ax_error *err);

/* ---- e820 (e820.c) --------------------------------------------------------------------------- */

struct x86_e820_entry {
	uint64_t gpa, size_bytes;
	uint32_t type; /* 1 RAM, 2 reserved, 3 ACPI */
};
#define X86_E820_MAX 32
/* From the plan: RAM with the EBDA, the BIOS area and the device hole as reserved entries. */
size_t x86_e820(const struct axarch_plan *plan, struct x86_e820_entry entries[X86_E820_MAX]);

/* ---- images (load.c, bzimage.c, elf.c, flat.c, initrd.c) ------------------------------------- */

enum x86_start_mode {
	X86_START_LONG,      /* 64-bit, paging on the tables at X86_PML4_GPA */
	X86_START_PROTECTED, /* 32-bit flat, paging off */
	X86_START_REAL,      /* 16-bit, CS:IP = entry */
};

/* How the bootstrap processor starts; the others wait for INIT/SIPI. Registers that are not here
 * are zero, RFLAGS is 2. */
struct x86_start {
	enum x86_start_mode mode;
	uint64_t rip, rsp, rsi, rbx;
	uint16_t real_cs; /* REAL only: CS selector, its base is real_cs << 4; 0 below 64 KiB */
};

/* Everything x86_load needs to know about the machine it describes to the kernel. */
struct x86_boot_info {
	const struct axarch_vm_config *config;
	const struct axarch_plan *plan;
	const struct axarch_boot *boot;
	const struct axarch_machine *machine;
	const uint32_t *apic_ids; /* config->vcpu_count of them */
	bool has_pic;             /* two 8259s beside the IOAPIC */
};

/* What AXARCH_ANNOUNCE_AUTO means for this kernel: tables, unless it is told to do without. */
enum axarch_announce x86_announce(const struct x86_boot_info *info);
/* Loads kernel, initrd, command line (with device announcements), zero page or PVH info, GDT, page
 * tables, ACPI and MP table. Every malformed image is refused with file, value and expectation. */
int x86_load(struct axas *memory, const struct x86_boot_info *info, struct x86_start *ret_start,
	     struct ax_error *err);
/* GDT and the identity page tables of the low 4 GiB (also used by the self-test). */
int x86_write_boot_tables(struct axas *memory, struct ax_error *err);

/* ---- tables (acpi.c, aml.c, mptable.c) ------------------------------------------------------- */

int x86_write_acpi(struct axas *memory, const struct x86_boot_info *info, uint64_t *ret_rsdp_gpa,
		   struct ax_error *err);
int x86_write_mptable(struct axas *memory, const struct x86_boot_info *info, struct ax_error *err);

/* ---- CPUID (cpuid.c) ------------------------------------------------------------------------- */

struct x86_cpuid_entry {
	uint32_t leaf, subleaf;
	bool has_subleaf; /* the subleaf is significant */
	uint32_t eax, ebx, ecx, edx;
};

struct x86_cpuid_request {
	uint32_t apic_id;
	uint32_t max_apic_id; /* highest of the VM; 0: vcpu_count - 1. Sizes the package when ids
				 have gaps and the policy names no topology */
	uint32_t vcpu_count;
	const struct axarch_cpu_policy *policy; /* NULL: the default */
	bool tsc_deadline;                      /* KVM_CAP_TSC_DEADLINE_TIMER */
	bool x2apic;                            /* in-kernel LAPIC present */
	bool msi_ext_dest;                      /* messages may name ids of fifteen bits */
	uint32_t tsc_khz;   /* 0: unknown; otherwise leaves 0x15/0x40000010 tell it */
	uint32_t own_waits; /* enum axarch_wait: whose exits are off (x86_own_waits) */
	const struct x86_cpuid_entry *host_mwait; /* leaf 5 of the processor; NULL: none */
	bool host_has_umip;                       /* in the processor */
};
/* Edit what KVM supports (in place, may add leaves up to max) into what one vCPU reads: APIC ids in
 * 1, 0xB, 0x1F and 0x8000001E, topology in 1, 4, 0xB, 0x1F, 0x80000008, 0x8000001D, TSC-deadline,
 * x2APIC, MWAIT, hypervisor bit and leaves, without features that are emulated if the policy says
 * so. Returns the new count. */
size_t x86_cpuid_edit(struct x86_cpuid_entry *entries, size_t count, size_t max,
		      const struct x86_cpuid_request *request);
/* Of the waits that are wanted without exits, those to ask of a KVM that offers `offered`, on a
 * processor whose leaf 5 this is (NULL: none). MWAIT if a guest would idle by it; HLT unless an
 * Intel has MWAIT (ADR 0103). */
uint32_t x86_own_waits(uint32_t wanted, uint32_t offered, const struct x86_cpuid_entry *host_mwait,
		       bool is_intel);
/* APIC ids of all vCPUs: config->hardware_ids, or the smallest layout that shows the topology of
 * the policy (0..n-1 unless cores or threads are no powers of two and there are several sockets or
 * cores). Refuses duplicates, ids KVM cannot have, a topology that is not vcpu_count CPUs, and ids
 * beside a topology that only ids of its own could show. */
int x86_apic_ids(const struct axarch_vm_config *config, uint32_t *apic_ids, struct ax_error *err);
/* What CPUID says to a VM's topology, as a policy; config->cpu when it has none. The topology has
 * been checked. */
void x86_policy_of(const struct axarch_vm_config *config, struct axarch_cpu_policy *ret_policy);
/* A warning in the log of ids that no interrupt reaches. */
void x86_warn_of_large_ids(const char *vm_name, const uint32_t *apic_ids, uint32_t count);

/* ---- start states (start.c) ------------------------------------------------------------------ */

struct x86_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint8_t type, present, dpl, db, s, l, g;
};

/* Presets are const tables, one per mode. */
struct x86_sregs {
	struct x86_segment cs, data, tr, ldt;
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
	uint64_t cr0, cr3, cr4, efer;
};
const struct x86_sregs *x86_start_sregs(enum x86_start_mode mode);

#endif
