/*
 * Private to the self-test: a machine with 16 MiB that runs one payload and records what came out
 * of it, and the table of checks that use it.
 */
#ifndef AXVM_ARCH_AARCH64_KVM_SELFTEST_H
#define AXVM_ARCH_AARCH64_KVM_SELFTEST_H

#include "kvm_aarch64.h"

#define ST_CODE_GPA   0x40400000ULL
#define ST_EXTRA_GPA  0x60000000ULL
#define ST_REPORT_GPA 0x0b000000ULL /* no device: each access is an exit, and logged */
#define ST_DONE_GPA   0x0b000008ULL /* a write ends the payload */
#define ST_READ_VALUE 0x8877665544332211ULL
#define ST_MAX_LOG    16

struct st_access {
	enum axvcpu_exit_kind kind;
	uint64_t addr, value;
	uint32_t width;
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
	bool done, ended; /* the payload wrote to ST_DONE_GPA; a vCPU left its loop */
	struct axvcpu_exit end;
	struct st_access log[ST_MAX_LOG];
	size_t log_count;
};

/* drive gets the machine loaded but not started; answers AXARCH_SELFTEST_*, the reason in detail.
 */
struct st_check {
	const char *name;
	const char *code, *code_end;
	unsigned vcpus;
	bool no_gic;
	int (*drive)(struct st_machine *machine, char *detail, size_t size);
};
extern const struct st_check a64_selftest_checks[];
extern const size_t a64_selftest_check_count;

int a64_st_create(const char *kvm_device, const struct st_check *check, struct st_machine *machine);
void a64_st_destroy(struct st_machine *machine);
int a64_st_start(struct st_machine *machine);
/* Wait until `count` accesses are logged, the payload is done or ended, or five seconds have
 * passed. True: there are that many. */
bool a64_st_await(struct st_machine *machine, size_t count);
/* Wait for done or ended as long; stops the vCPUs. True: the payload is done. */
bool a64_st_finish(struct st_machine *machine);

#endif
