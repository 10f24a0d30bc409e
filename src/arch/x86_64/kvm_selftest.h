/*
 * Private to the self-test: a machine with 16 MiB that runs one payload and records what came out
 * of it, and the table of checks that use it.
 */
#ifndef AXVM_ARCH_X86_64_KVM_SELFTEST_H
#define AXVM_ARCH_X86_64_KVM_SELFTEST_H

#include "kvm_x86.h"

#include <pthread.h>

#define ST_CODE_GPA   0x100000ULL
#define ST_REAL_GPA   0x8000ULL /* 16-bit payloads */
#define ST_DATA_GPA   0x200000ULL
#define ST_IDT_GPA    0x300000ULL /* its pseudo-descriptor is at 0x310000 */
#define ST_EXTRA_GPA  0x8000000ULL
#define ST_READ_VALUE 0x8877665544332211ULL
#define ST_MAX_LOG    16

struct st_access {
	enum axvcpu_exit_kind kind;
	uint64_t addr, value;
	uint32_t width, count;
};

struct st_check;
struct st_machine {
	const struct st_check *check;
	struct axarch_vm *vm;
	struct axas *memory;
	struct axvcpu *vcpu[2];
	struct ax_error err;

	pthread_mutex_t lock; /* the members below */
	pthread_cond_t changed;
	_Atomic bool done, ended; /* the payload wrote port 0x10; a vCPU left its loop */
	struct axvcpu_exit end;
	struct st_access log[ST_MAX_LOG];
	size_t log_count;
};

/* drive gets the machine loaded but not started; answers AXARCH_SELFTEST_*, the reason in detail.
 */
struct st_check {
	const char *name;
	const char *code, *code_end;
	unsigned bits, vcpus;
	bool no_irqchip;
	int (*drive)(struct st_machine *machine, char *detail, size_t size);
};
extern const struct st_check x86_selftest_checks[];
extern const size_t x86_selftest_check_count;

int x86_st_create(const char *kvm_device, const struct st_check *check, struct st_machine *machine);
void x86_st_destroy(struct st_machine *machine);
int x86_st_start(struct st_machine *machine);
/* Until *flag (done or ended) or two seconds have passed; stops the vCPUs. True: it came. */
bool x86_st_finish(struct st_machine *machine, const _Atomic bool *flag);
/* Wait for the payload's word at ST_DATA_GPA + offset to be value, at most two seconds. */
bool x86_st_await(struct st_machine *machine, uint64_t offset, uint64_t value);
uint64_t x86_st_data(const struct st_machine *machine, uint64_t offset);

#endif
