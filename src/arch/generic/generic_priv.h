/*
 * What the files of the fake share. vm.c owns struct axarch_vm, lines.c its interrupt lines and
 * doorbells, memory.c its slots, fault.c the injected faults; vcpu.c owns struct generic_vcpu,
 * script.c and bytecode.c choose what it does next, guest.c plays C functions as guests.
 *
 * Locks: a vCPU's, then the VM's.
 */
#ifndef AXVM_GENERIC_PRIV_H
#define AXVM_GENERIC_PRIV_H

#include "generic.h"

#include <pthread.h>

#define GENERIC_DATA_BYTES    4096
#define GENERIC_IRQ_QUEUE     64
#define GENERIC_MAX_DOORBELLS 256
#define GENERIC_MAX_SLOTS     512
#define GENERIC_LINES         (GENERIC_GSI_COUNT + GENERIC_MSI_COUNT)

struct generic_fault {
	uint32_t nth; /* 0: none */
	enum ax_error_kind kind;
};

struct generic_faults {
	struct generic_fault fault[GENERIC_HOOK_COUNT];
	_Atomic uint32_t calls[GENERIC_HOOK_COUNT];
	pthread_mutex_t lock;
};

/* What one turn of a guest comes to. */
enum generic_turn {
	GENERIC_TURN_EXIT,  /* vcpu->exit is filled */
	GENERIC_TURN_AGAIN, /* something was done: take the next turn */
	GENERIC_TURN_WAIT,  /* nothing to do before an interrupt or a kick */
	GENERIC_TURN_POLL,  /* as WAIT, but what is waited for does not wake us */
	GENERIC_TURN_FAIL,  /* err is filled */
};

struct generic_vcpu {
	struct axarch_vm *vm;
	uint32_t index;

	/* What to do. Fixed from setup on. */
	struct generic_step *steps;
	struct generic_answer *answers;
	size_t step_count;
	bool has_code; /* no script, but a flat image */

	pthread_mutex_t lock; /* everything below but the atomics */
	pthread_cond_t changed;
	_Atomic bool kicked;
	_Atomic bool halted;
	_Atomic uint64_t exits, io_exits, mmio_exits, halt_exits;
	size_t step; /* the one that is being done */
	bool step_begun;
	uint32_t spin_kicks;
	bool was_kicked; /* left by a kick: a spin may end */
	uint64_t pc, gpr[GENERIC_GPR_COUNT];
	bool is_down; /* byte code: this vCPU has ended itself */

	/* The exit that was reported and not completed yet. */
	bool pending;
	struct axvcpu_exit *reported; /* the caller's copy: holds answers by value */
	struct axvcpu_exit exit;
	uint64_t answer;
	bool answer_faulted;
	unsigned answer_gpr; /* byte code: where a read goes; GENERIC_GPR_COUNT: nowhere */
	uint8_t data[GENERIC_DATA_BYTES];

	struct axvcpu_irq queue[GENERIC_IRQ_QUEUE];
	size_t queue_count;
	uint32_t *delivered;
	size_t delivered_count;
	size_t delivered_taken; /* those that have ended a halt */

	struct generic_guest *guest; /* the program that is being played */
};

struct axarch_vm {
	char name[64];
	uint32_t vcpu_count;
	struct axarch_topology *topology; /* NULL: none was given */
	struct generic_vcpu *vcpus;
	_Atomic uint32_t vcpus_alive;
	struct generic_faults faults;
	bool has_code;
	uint64_t entry;
	char *cmdline;

	pthread_mutex_t lock; /* everything below */
	struct {
		bool used, read_only;
		uint64_t gpa, size_bytes;
		char *hva;
	} slot[GENERIC_MAX_SLOTS];
	struct {
		bool level;
		int fd; /* -1: none; a duplicate, ours */
		int callers_fd;
		uint64_t edges, edges_taken; /* rises so far, and those that were waited for */
		bool has_message;
		struct axirq_message message;
	} line[GENERIC_LINES]; /* pins, then messages */
	struct {
		struct axdev_doorbell spec;
		int fd; /* a duplicate, ours */
	} doorbell[GENERIC_MAX_DOORBELLS];
	size_t doorbell_count;
	uint64_t doorbell_hits;
};

/* fault.c. A hook asks first; < 0 with err filled when it is to fail. */
void generic_faults_init(struct generic_faults *faults);
void generic_faults_finish(struct generic_faults *faults);
int generic_faults_parse(struct generic_faults *faults, const char *kvm_device,
			 struct ax_error *err);
int generic_faults_strike(struct generic_faults *faults, enum generic_hook hook,
			  struct ax_error *err);
/* For hooks that have no VM: only @1 can strike. */
int generic_faults_strike_once(const char *kvm_device, enum generic_hook hook,
			       struct ax_error *err);

/* plan.c */
int generic_plan(const struct axarch_vm_config *config, struct axarch_plan *ret_plan,
		 struct ax_error *err);

/* vm.c */
int generic_vm_create(const struct axarch_vm_config *config, const struct axarch_plan *plan,
		      struct axarch_vm **ret_vm, struct ax_error *err);
void generic_vm_destroy(struct axarch_vm *vm);
int generic_load(struct axarch_vm *vm, struct axas *memory, const struct axarch_boot *boot,
		 const struct axarch_machine *machine, struct ax_error *err);
int generic_vcpu_stat(struct axarch_vm *vm, uint32_t vcpu, const char *name, uint64_t *ret_value);

/* memory.c */
void generic_vm_mapper(struct axarch_vm *vm, struct axas_mapper *ret_mapper);
/* Whole ranges that lie in slots (writable ones for a write), or nothing. */
bool generic_vm_read(struct axarch_vm *vm, uint64_t gpa, void *buf, size_t len);
bool generic_vm_write(struct axarch_vm *vm, uint64_t gpa, const void *buf, size_t len);
/* Single accesses when aligned. False: not memory. */
bool generic_vm_load(struct axarch_vm *vm, uint64_t gpa, uint8_t width, uint64_t *ret_value);
bool generic_vm_store(struct axarch_vm *vm, uint64_t gpa, uint8_t width, uint64_t value);

/* lines.c */
void generic_vm_irq_chip(struct axarch_vm *vm, struct axirq_chip *ret_chip);
int generic_assign_doorbell(void *vm, const struct axdev_doorbell *doorbell, struct ax_error *err);
int generic_release_doorbell(void *vm, const struct axdev_doorbell *doorbell);
/* Signals the doorbell this write hits, if any. */
bool generic_vm_ring(struct axarch_vm *vm, const struct axvcpu_exit *exit);
void generic_vm_close_fds(struct axarch_vm *vm);
/* True once for every time the line rose. */
bool generic_vm_take_edge(struct axarch_vm *vm, uint32_t gsi);

/* platform.c */
int generic_platform_attach(struct axarch_vm *vm, const struct axarch_platform *platform,
			    struct ax_error *err);

/* vcpu.c */
int generic_vcpu_create(struct axarch_vm *vm, uint32_t index, const struct axvcpu_ops **ret_ops,
			void **ret_impl, struct ax_error *err);
void generic_vcpu_init(struct generic_vcpu *vcpu, struct axarch_vm *vm, uint32_t index);
void generic_vcpu_finish(struct generic_vcpu *vcpu);

/* exit.c, with the vCPU's lock held. Leave with an exit whose data comes from behind its pointer
 * or from `value`; a read finds a pattern there that is no answer. AGAIN when a doorbell was hit
 * and there is nothing to leave for. */
enum generic_turn generic_vcpu_leave(struct generic_vcpu *vcpu, const struct axvcpu_exit *exit,
				     uint64_t value);
/* Take the handler's answer out of the reported exit. */
void generic_vcpu_complete(struct generic_vcpu *vcpu);

/* registers.c: hooks of struct axvcpu_ops. */
int generic_vcpu_set_entry(void *impl, uint64_t entry, struct ax_error *err);
int generic_vcpu_set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err);
int generic_vcpu_get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err);
int generic_vcpu_set_return_value(void *impl, uint64_t value, struct ax_error *err);
void generic_vcpu_dump(void *impl, char *buf, size_t buf_size);

/* script.c, bytecode.c, guest.c: one turn, with the vCPU's lock held. *ret_over is set when what
 * was to be done is done. */
enum generic_turn generic_script_turn(struct generic_vcpu *vcpu, struct ax_error *err);
enum generic_turn generic_halt_turn(struct generic_vcpu *vcpu, bool *ret_over);
enum generic_turn generic_code_turn(struct generic_vcpu *vcpu);
enum generic_turn generic_guest_turn(struct generic_vcpu *vcpu, generic_program_fn *program,
				     void *ctx, bool *ret_over, struct ax_error *err);
/* The pending exit is answered: vcpu->answer, and byte_count bytes in vcpu->data. */
void generic_script_answered(struct generic_vcpu *vcpu, size_t byte_count);
/* Ends a program that is being played. */
void generic_guest_end(struct generic_vcpu *vcpu);

/* selftest.c */
int generic_selftest(const char *kvm_device,
		     void (*report)(void *ctx, const char *check, int status, const char *detail),
		     void *ctx);

#endif
