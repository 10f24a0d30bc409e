/*
 * A whole fake machine for tests: VM, address space and vCPUs made through the architecture table
 * only, and an exit handler that answers by simple rules and remembers.
 */
#ifndef AXVM_TESTS_GENERIC_MACHINE_H
#define AXVM_TESTS_GENERIC_MACHINE_H

#include "../test.h"

#include <axvm/arch.h>

#include "generic.h"

#include <unistd.h>

#define MACHINE_MAX_VCPUS 64

struct machine {
	const struct axarch *arch;
	struct axarch_plan plan;
	struct axarch_vm *vm;
	struct axas *memory;
	struct axvcpu *vcpu[MACHINE_MAX_VCPUS];
	uint32_t vcpu_count;

	/* Reads answer this pattern, hypercalls nr + args[0]; an exit that ends things stops. */
	uint64_t read_value;
	bool refuse_sysregs;
	struct axbus *bus; /* if there is one, it gets the accesses */
	_Atomic uint32_t seen[AXVCPU_EXIT_KIND_COUNT];
	_Atomic uint32_t total;
	struct axvcpu_exit last; /* with one vCPU */
	_Atomic uint64_t ended_vector;
	uint8_t last_bytes[16];
	enum ax_error_kind last_error;
	char text[256]; /* written to the serial port */
	_Atomic uint32_t text_len;
};

#define MACHINE_RAM (16 * AX_MIB)
/* Up to created vCPUs; scripts can be set now. */
void machine_create(struct machine *machine, uint32_t vcpu_count);
void machine_script(struct machine *machine, uint32_t vcpu, const struct generic_step *steps,
		    size_t count);
/* Set up and start all. */
void machine_start(struct machine *machine);
/* Wait until all have ended by themselves. */
void machine_join(struct machine *machine);
void machine_destroy(struct machine *machine);
/* A script for vCPU 0 played to its end, which it must have. */
void machine_play(struct machine *machine, const struct generic_step *steps, size_t count);

#define STEP_OFF                                           \
	{                                                  \
		.exit = {.kind = AXVCPU_EXIT_SYSTEM_DOWN } \
	}

#endif
