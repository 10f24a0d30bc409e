/*
 * The scripted fake, as tests see it: what each vCPU does is a list of steps, a C function that
 * plays the guest, or a flat image in a tiny byte code; what the VM saw can be asked afterwards.
 *
 * Private to this directory and to tests. There are no globals: everything hangs on the VM, and
 * faults that must strike before there is one are named in the configuration's kvm_device.
 */
#ifndef AXVM_GENERIC_H
#define AXVM_GENERIC_H

#include <axvm/arch.h>

extern const struct axarch axarch_generic;

/* ---- the machine ----------------------------------------------------------------------------- */

#define GENERIC_LOW_RAM_BYTES   (3 * AX_GIB) /* what is more continues at 4 GiB */
#define GENERIC_HIGH_RAM_GPA    (4 * AX_GIB)
#define GENERIC_MAX_RAM_BYTES   (64 * AX_GIB)
#define GENERIC_MAX_VCPUS       255
#define GENERIC_GPA_LIMIT       (1ULL << 40)
#define GENERIC_DEVICE_GPA      0xd0000000ULL
#define GENERIC_DEVICE_STRIDE   0x1000ULL
#define GENERIC_DEVICE_COUNT    32
#define GENERIC_FIRST_GSI       16 /* of the device slots, one each */
#define GENERIC_GSI_COUNT       64
#define GENERIC_MSI_COUNT       256 /* GSIs from GENERIC_GSI_COUNT on */
#define GENERIC_HYPERCALL_GPA   0xd0100000ULL
#define GENERIC_PCI_ECAM_GPA    0xd0200000ULL
#define GENERIC_PCI_WINDOW_GPA  0xd1000000ULL
#define GENERIC_PCI_WINDOW_SIZE 0x1000000ULL
#define GENERIC_SERIAL_PORT     0x3f8
#define GENERIC_SERIAL_GSI      4
#define GENERIC_MARK_PORT       0x80
#define GENERIC_POWER_PORT      0x604 /* 16-bit 0x2000: off */
#define GENERIC_RESET_PORT      0x64  /* 8-bit 0xfe */
#define GENERIC_PANIC_PORT      0x505 /* 8-bit 1 */
#define GENERIC_DEFAULT_LOAD    0x10000ULL
#define GENERIC_GPR_COUNT       16

/* ---- scripts --------------------------------------------------------------------------------- */

struct generic_guest; /* the guest's side of a vCPU */
typedef void generic_program_fn(struct generic_guest *guest, void *ctx);

enum generic_step_kind {
	GENERIC_STEP_EXIT,    /* leave with `exit`; a write that hits a doorbell does not leave */
	GENERIC_STEP_PROGRAM, /* be `program`, until it returns */
	GENERIC_STEP_HALT,    /* stay inside, halted, until an interrupt comes */
	GENERIC_STEP_SPIN,    /* stay inside until kicked `count` times; 0: for ever */
	GENERIC_STEP_FAIL,    /* run() fails with error_kind and sys_errno */
	GENERIC_STEP_JUMP,    /* go on with step number `count` */
};

/* After the last step, and without any, the vCPU is halted for ever. */
struct generic_step {
	enum generic_step_kind kind;
	struct axvcpu_exit exit; /* io.data, mmio.data: written from here, NULL: from value */
	uint64_t value;          /* what a write writes, little-endian */
	uint32_t count;
	generic_program_fn *program;
	void *ctx;
	enum ax_error_kind error_kind;
	int sys_errno;
};

/* Replace the script of a vCPU; the steps are copied. Before the vCPU's setup. */
int generic_vm_set_script(struct axarch_vm *vm, uint32_t vcpu, const struct generic_step *steps,
			  size_t count);

/* How often a step's exit was answered, and how the last time. */
struct generic_answer {
	uint32_t count;
	uint64_t value; /* read data, hypercall result, system register */
	bool faulted;   /* sysreg.inject_fault */
	uint8_t bytes[64];
};
/* False when there is no such step. Any thread. */
bool generic_vm_answer(struct axarch_vm *vm, uint32_t vcpu, size_t step,
		       struct generic_answer *ret_answer);

/* ---- a guest in C ---------------------------------------------------------------------------- */

/*
 * A program runs on a thread of its own that only ever moves while its vCPU is in run(), as a
 * guest does. Each call below that is not a hit in memory leaves the guest and comes back with the
 * answer; when the vCPU is destroyed it does not come back at all.
 */
/* Memory where a slot is mapped (aligned ones are single atomic accesses), MMIO elsewhere. */
uint64_t generic_guest_load(struct generic_guest *guest, uint64_t gpa, uint8_t width);
void generic_guest_store(struct generic_guest *guest, uint64_t gpa, uint8_t width, uint64_t value);
/* Memory only; false, and nothing copied, when part of it is not mapped. */
bool generic_guest_read(struct generic_guest *guest, uint64_t gpa, void *buf, size_t len);
bool generic_guest_write(struct generic_guest *guest, uint64_t gpa, const void *buf, size_t len);
uint64_t generic_guest_in(struct generic_guest *guest, uint16_t port, uint8_t width);
void generic_guest_out(struct generic_guest *guest, uint16_t port, uint8_t width, uint64_t value);
uint64_t generic_guest_hypercall(struct generic_guest *guest, uint64_t nr, const uint64_t args[6]);
/* False: the access faulted. */
bool generic_guest_sysreg_read(struct generic_guest *guest, uint64_t reg, uint64_t *ret_value);
bool generic_guest_sysreg_write(struct generic_guest *guest, uint64_t reg, uint64_t value);
/* Until a vector is injected, or a line is raised that was not waited for yet. */
void generic_guest_halt(struct generic_guest *guest);
void generic_guest_wait_irq(struct generic_guest *guest, uint32_t gsi);
/* Let a kick through: for loops that poll memory. */
void generic_guest_relax(struct generic_guest *guest);

/* ---- what the VM saw ------------------------------------------------------------------------- */

/* Vectors given to a vCPU so far, oldest first; returns how many there were. */
size_t generic_vm_delivered(struct axarch_vm *vm, uint32_t vcpu, uint32_t *vectors, size_t max);
/* Times the line rose, or the message was sent, by call or by its eventfd (which is drained here).
 */
uint64_t generic_vm_irq_edges(struct axarch_vm *vm, uint32_t gsi);
bool generic_vm_irq_level(struct axarch_vm *vm, uint32_t gsi);
bool generic_vm_irq_has_fd(struct axarch_vm *vm, uint32_t gsi);
/* What the GSI sends; false: nothing. */
bool generic_vm_message(struct axarch_vm *vm, uint32_t gsi, struct axirq_message *ret_message);
size_t generic_vm_doorbells(struct axarch_vm *vm);
uint64_t generic_vm_doorbell_hits(struct axarch_vm *vm);
size_t generic_vm_slots(struct axarch_vm *vm);
/* The command line load was given; "" before. Lives as long as the VM. */
const char *generic_vm_cmdline(struct axarch_vm *vm);
/* The topology it was created with, or NULL. Lives as long as the VM. */
const struct axarch_topology *generic_vm_topology(struct axarch_vm *vm);

/* ---- faults ---------------------------------------------------------------------------------- */

enum generic_hook {
	GENERIC_HOOK_PROBE,
	GENERIC_HOOK_PLAN,
	GENERIC_HOOK_VM_CREATE,
	GENERIC_HOOK_MAP,
	GENERIC_HOOK_UNMAP,
	GENERIC_HOOK_SET_LEVEL,
	GENERIC_HOOK_ASSIGN_FD,
	GENERIC_HOOK_RELEASE_FD,
	GENERIC_HOOK_SET_MSI,
	GENERIC_HOOK_ASSIGN_DOORBELL,
	GENERIC_HOOK_RELEASE_DOORBELL,
	GENERIC_HOOK_PLATFORM_ATTACH,
	GENERIC_HOOK_VCPU_CREATE,
	GENERIC_HOOK_LOAD,
	GENERIC_HOOK_VCPU_STAT,
	GENERIC_HOOK_SELFTEST,
	GENERIC_HOOK_SETUP,
	GENERIC_HOOK_BIND,
	GENERIC_HOOK_UNBIND,
	GENERIC_HOOK_RUN,
	GENERIC_HOOK_COMPLETE,
	GENERIC_HOOK_INJECT,
	GENERIC_HOOK_SET_ENTRY,
	GENERIC_HOOK_SET_GPR,
	GENERIC_HOOK_GET_GPR,
	GENERIC_HOOK_SET_RETURN_VALUE,
	GENERIC_HOOK_COUNT
};
const char *generic_hook_name(enum generic_hook hook); /* "vcpu_create" */

/*
 * Faults in a configuration's kvm_device: "generic:HOOK[@N][=KIND][,...]" - the Nth call (from 1,
 * default 1) of HOOK in this VM fails with the error kind of that name (default: the one natural
 * for the hook). "generic:probe=KvmAbsent", "generic:vcpu_create@3,unmap".
 */
#define GENERIC_FAULT_PREFIX "generic:"
/* The same for a VM that exists; the call is counted from now on. nth 0 takes the fault away. */
void generic_vm_set_fault(struct axarch_vm *vm, enum generic_hook hook, uint32_t nth,
			  enum ax_error_kind kind);
/* Calls of a hook so far. */
uint32_t generic_vm_calls(struct axarch_vm *vm, enum generic_hook hook);

/* ---- the byte code of flat images ------------------------------------------------------------ */

/*
 * Without a script a vCPU executes this from guest memory, starting at the boot's entry with its
 * index in r1. Operands follow the opcode, little-endian; w is a width of 1, 2, 4 or 8 bytes, r a
 * register 0..15, rel16 is relative to the next instruction. Anything else, 0 included, leaves
 * with INTERNAL_ERROR (reason = opcode, detail[0] = its address).
 */
enum generic_opcode {
	GENERIC_OP_NOP = 0x01,
	GENERIC_OP_MOV = 0x02,   /* r imm64 */
	GENERIC_OP_ADD = 0x03,   /* r imm64 */
	GENERIC_OP_JMP = 0x04,   /* rel16 */
	GENERIC_OP_JNZ = 0x05,   /* r rel16 */
	GENERIC_OP_OUT = 0x10,   /* w port16 r */
	GENERIC_OP_IN = 0x11,    /* w port16 r */
	GENERIC_OP_STORE = 0x12, /* w gpa64 r: memory or MMIO */
	GENERIC_OP_LOAD = 0x13,  /* w gpa64 r */
	GENERIC_OP_SAY = 0x14,   /* len8 bytes: each to the serial port */
	GENERIC_OP_HCALL = 0x15, /* number in r0, arguments in r1..r6; answer in r0 */
	GENERIC_OP_RDSR = 0x16,  /* r reg32; a refused access leaves with a triple fault */
	GENERIC_OP_WRSR = 0x17,  /* r reg32 */
	GENERIC_OP_HALT = 0x20,  /* until an interrupt */
	GENERIC_OP_SPIN = 0x21,  /* for ever */
	GENERIC_OP_OFF = 0x30,   /* SYSTEM_DOWN: power off */
	GENERIC_OP_RESET = 0x31,
	GENERIC_OP_CRASH = 0x32,
	GENERIC_OP_DOWN = 0x33, /* CPU_DOWN: this vCPU only; halted for ever when entered again */
};

#endif
