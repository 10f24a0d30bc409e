/*
 * The self-test of an architecture on real hardware: checks that each run one payload in a machine
 * of 16 MiB, made through struct axarch alone, whose exits are written down. An architecture brings
 * payloads, its addresses, and the checks that only it has. Needs no KVM header: model code.
 */
#ifndef AXVM_ARCH_SELFTEST_H
#define AXVM_ARCH_SELFTEST_H

#include <axvm/arch.h>

#include <pthread.h>

#define AXARCH_ST_READ_VALUE 0x8877665544332211ULL /* what every access reads */
#define AXARCH_ST_MAX_LOG    16
#define AXARCH_ST_BELL       5 /* the value that rings */

struct axarch_st_machine;

/* drive gets the machine loaded but not started; answers AXARCH_SELFTEST_*, the reason in detail.
 */
struct axarch_check {
	const char *name;
	const char *code, *code_end; /* NULL: nothing to run, drive gets no machine */
	unsigned vcpus;
	bool no_irqchip;
	int (*drive)(struct axarch_st_machine *machine, char *detail, size_t size);
	/* 0: as in struct axarch_selftest. */
	unsigned flat_bits;
	uint64_t code_gpa;
};
/* A row of the table; the payload is from <payload>_code to <payload>_code_end. */
#define AXARCH_CHECK(title, payload, cpus, without_irqchip, function)                    \
	{                                                                                \
		.name = (title), .code = payload##_code, .code_end = payload##_code_end, \
		.vcpus = (cpus), .no_irqchip = (without_irqchip), .drive = (function),   \
	}

struct axarch_selftest {
	const struct axarch *arch;
	const struct axarch_check *checks;
	size_t check_count;
	unsigned flat_bits; /* of struct axarch_boot */
	uint64_t code_gpa;
	uint64_t extra_gpa; /* free, for 64 KiB of memory that come and go */
	/* No device is there: each access is an exit, and logged. A payload reports words at
	 * report_gpa; a write at report_gpa + 8 ends it, as does one to done_port, if not 0. */
	uint64_t report_gpa;
	uint16_t done_port;
	/* Where the payload of axarch_st_drive_bell writes AXARCH_ST_BELL twice. */
	enum axdev_space bell_space;
	uint64_t bell_addr;
	uint8_t bell_width;
	/* What payloads need beside their code, when the vCPUs are set up; may be NULL. */
	int (*prepare)(struct axarch_st_machine *machine);
};

struct axarch_st_access {
	enum axvcpu_exit_kind kind;
	uint64_t addr, value;
	uint32_t width, count;
};

struct axarch_st_machine {
	const struct axarch_selftest *test;
	const struct axarch_check *check;
	struct axarch_vm *vm;
	struct axas *memory;
	struct axdev *device; /* from prepare: gets the accesses to its window; NULL: none */
	struct axvcpu *vcpu[2];
	struct ax_error err;

	pthread_mutex_t lock; /* the members below */
	pthread_cond_t changed;
	bool done, ended; /* the payload said so; a vCPU left its loop */
	struct axvcpu_exit end;
	struct axarch_st_access log[AXARCH_ST_MAX_LOG];
	size_t log_count;
};

/* The `selftest` hook: every check in order, after KVM itself. */
int axarch_selftest_run(const struct axarch_selftest *test, const char *kvm_device,
			void (*report)(void *ctx, const char *check, int status,
				       const char *detail),
			void *ctx);

/* ---- the machine (selftest_machine.c) -------------------------------------------------------- */

/* Destroy it also when this fails. */
int axarch_st_create(const struct axarch_selftest *test, const struct axarch_check *check,
		     const char *kvm_device, struct axarch_st_machine *machine);
void axarch_st_destroy(struct axarch_st_machine *machine);
int axarch_st_start(struct axarch_st_machine *machine);
/* Wait until `count` accesses are logged, the payload is done or ended, or five seconds have
 * passed. True: there are that many. */
bool axarch_st_await(struct axarch_st_machine *machine, size_t count);
/* Where KVM tells, wait until the first vCPU really sleeps. */
void axarch_st_await_sleep(const struct axarch_st_machine *machine);
/* Wait for done or ended as long; stops the vCPUs. True: the payload is done. */
bool axarch_st_finish(struct axarch_st_machine *machine);
bool axarch_st_run(struct axarch_st_machine *machine); /* start and finish */

/* ---- for drive (selftest.c) ------------------------------------------------------------------ */

int axarch_st_verdict(bool good, char *detail, size_t size, const char *pass, const char *fail);
int axarch_st_host_error(const struct axarch_st_machine *machine, char *detail, size_t size);
/* Is this the access logged as index? */
bool axarch_st_logged(const struct axarch_st_machine *machine, size_t index,
		      enum axvcpu_exit_kind kind, uint64_t addr, uint32_t width, uint64_t value);
/* The same of a word of 8 bytes at report_gpa, and at report_gpa + 8. */
bool axarch_st_told(const struct axarch_st_machine *machine, size_t index, uint64_t value);
bool axarch_st_told_last(const struct axarch_st_machine *machine, size_t index, uint64_t value);

/* Checks that are the same everywhere; each with what its payload does. */

/* Writes 1, 2, 4 and 8 bytes of 0x1122334455667788 at report_gpa + 0x101, 2, 4 and 8, reports what
 * 2 bytes there read, ends with what 8 bytes read. */
int axarch_st_drive_mmio(struct axarch_st_machine *machine, char *detail, size_t size);
/* Writes 4 bytes of 77 at extra_gpa and ends with what it reads there. */
int axarch_st_drive_rom(struct axarch_st_machine *machine, char *detail, size_t size);
/* Reports, reads extra_gpa until that is not zero, is done. */
int axarch_st_drive_unmap(struct axarch_st_machine *machine, char *detail, size_t size);
/* Rings twice, is done. */
int axarch_st_drive_bell(struct axarch_st_machine *machine, char *detail, size_t size);
/* Reports, spins. */
int axarch_st_drive_kick(struct axarch_st_machine *machine, char *detail, size_t size);
/* Report, sleep until an interrupt was handled, are done: line `gsi` by an eventfd, one injected.
 * `pass` is what to say then. */
int axarch_st_irqfd(struct axarch_st_machine *machine, uint32_t gsi, char *detail, size_t size,
		    const char *pass);
int axarch_st_wake(struct axarch_st_machine *machine, uint32_t vector, char *detail, size_t size,
		   const char *pass);
/* Powers the machine off. */
int axarch_st_power_off(struct axarch_st_machine *machine, char *detail, size_t size,
			const char *pass);

#endif
