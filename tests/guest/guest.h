/*
 * The harness of the payload tests: a small VM made from the library's layers, with a test device
 * that remembers every access, and a few lines of assembly as its guest. One test is one function
 * in a process of its own; it passes when it returns.
 *
 * Payloads use integer instructions only, so that they run on every KVM there is.
 */
#ifndef AXVM_TESTS_GUEST_H
#define AXVM_TESTS_GUEST_H

#include <axvm/arch.h>

#include "map.h"

#include <pthread.h>

struct guest_test {
	const char *name;
	void (*run)(void);
};

/* GUEST_TEST(io_out, "io-out") { ... } defines the test that main.c lists as io_out. */
#define GUEST_TEST(id, text)                            \
	static void id(void);                           \
	extern const struct guest_test test_##id;       \
	const struct guest_test test_##id = {text, id}; \
	static void id(void)

/* Each ends the test. SKIP is for what this machine's KVM cannot do. */
#define CHECK(cond, ...)                                                    \
	do {                                                                \
		if (!(cond))                                                \
			guest_fail(__FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)
#define CHECK_EQ(got, want)                                                                        \
	do {                                                                                       \
		uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                         \
		CHECK(got_ == want_, #got " is 0x%llx, expected 0x%llx", (unsigned long long)got_, \
		      (unsigned long long)want_);                                                  \
	} while (0)
#define CHECK_OK(call, err) CHECK((call) == 0, "%s", (err)->message)
void guest_fail(const char *file, int line, const char *cond, const char *fmt, ...) AX_PRINTF(4, 5)
	__attribute__((noreturn));
void guest_skip(const char *fmt, ...) AX_PRINTF(1, 2) __attribute__((noreturn));

/* Wait until cond holds, at most ten seconds: a loaded machine is slow. What held once is enough.
 */
#define WAIT_FOR(cond, ...)                                                 \
	do {                                                                \
		uint64_t until_ = ax_clock_ns() + 10000000000ULL;           \
		bool met_;                                                  \
		while (!(met_ = (cond)) && ax_clock_ns() < until_)          \
			guest_sleep_ms(1);                                  \
		if (!met_)                                                  \
			guest_fail(__FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)
void guest_sleep_ms(unsigned ms);

/* ---- payloads -------------------------------------------------------------------------------- */

/* GUEST_CODE(name) declares the bytes between CODE name and END name in an architecture's *.S.
 * They are loaded at GUEST_CODE_GPA; map.h of the architecture has this and the other places. */
#define GUEST_CODE(name) extern const char code_##name[], code_##name##_end[]

/* ---- the test device: remembers every access, its reads give read_value ---------------------- */

struct guest_access {
	enum axdev_space space;
	uint64_t offset, value;
	uint8_t width;
	bool is_write;
};

struct guest_config {
	unsigned vcpus; /* 0: 1 */
	enum axarch_irq_mode irq_mode;
	enum axbus_missing_policy missing;
	const uint32_t *hardware_ids;
	unsigned bits;      /* x86: of the start state; 0: 64 */
	uint64_t load_gpa;  /* 0: GUEST_CODE_GPA */
	bool pit;           /* x86 */
	bool paravirt;      /* x86: show KVM's leaves */
	uint32_t own_waits; /* x86: enum axarch_wait */
	unsigned gic;       /* aarch64: version; 0: KVM's newest */
	enum axarch_uart uart;
	uint64_t sysreg; /* two registers of the test device, the second faults; 0: none */
	struct axvcpu_limits limits;
	struct ax_loop *loop; /* with in_fd and out_fd: a serial port */
	int in_fd, out_fd;
};

#define GUEST_MAX_VCPUS 4
#define GUEST_MAX_LOG   64
struct guest {
	struct guest_config config;
	const struct axarch *arch;
	struct axarch_plan plan;
	struct axarch_vm *vm;
	struct axas *memory;
	struct axbus *bus;
	struct axirq_domain *irqs;
	struct axdev_services services;
	struct axchr *serial;
	struct axvcpu *vcpu[GUEST_MAX_VCPUS];
	struct ax_error err;

	_Atomic uint64_t read_value;
	/* What happened; written under the lock, tests poll the atomic ones. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct guest_access log[GUEST_MAX_LOG];
	_Atomic size_t log_count;
	_Atomic bool done;
	uint8_t done_value;
	_Atomic bool ended; /* a vCPU has left its loop */
	struct axvcpu_exit end;
	struct ax_error end_err;
	_Atomic uint64_t ends_of_interrupt, last_end_of_interrupt;
	enum axdev_power_event power;
	bool powered;
	uint64_t marks;
	uint64_t last_mark;
	_Atomic uint64_t hypercalls;
};

/* ---- what differs, from arch.c of the architecture ------------------------------------------- */

struct guest_arch {
	struct axdev_resource done; /* where a payload says that it is through */
	struct axdev_resource test[AXDEV_MAX_RESOURCES - 1]; /* the test device */
	uint8_t test_count;
	/* The KVM of this machine shows less than the processor would (x86: paravirtual ones). */
	bool (*kvm_is_partial)(void);
	/* Why loads may not extend the sign of what a device answers; NULL: they must. */
	const char *loses_sign;
	/* Is it the end that `end_fault` must come to, and does the dump show its registers? */
	bool (*is_fault)(const struct axvcpu_exit *end);
	bool (*shows_fault)(const char *dump);
};
extern const struct guest_arch guest_arch;

/* ---- the machine ----------------------------------------------------------------------------- */

/* guest_exits.c, for guest.c. */
void guest_attach_devices(struct guest *guest);
enum axvcpu_verdict guest_route_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				     struct ax_error *err);
void guest_on_power(void *ctx, enum axdev_power_event event);
void guest_on_mark(void *ctx, uint64_t code);
uint64_t guest_on_hypercall(void *ctx, uint64_t nr, const uint64_t args[6]);

/* Machine without vCPUs' start state; then the payload, then run. All fail the test themselves. */
void guest_create(struct guest *guest, const struct guest_config *config);
void guest_load(struct guest *guest, const char *code, const char *code_end);
void guest_start(struct guest *guest);
/* Until the payload is done or a vCPU ended; stops and joins all. */
void guest_finish(struct guest *guest);
/* The same, and it must have come to DONE. */
void guest_finish_done(struct guest *guest);
void guest_destroy(struct guest *guest);
/* All of the above for a payload that runs to DONE. */
void guest_run(struct guest *guest, const struct guest_config *config, const char *code,
	       const char *code_end);
#define GUEST_LOAD(guest, name)        guest_load(guest, code_##name, code_##name##_end)
#define GUEST_RUN(guest, config, name) guest_run(guest, config, code_##name, code_##name##_end)

/* What common tests and an architecture's own do alike: a payload that ends the machine, one that
 * rings so often and comes out so often, one that starts the three CPUs of these ids, one that
 * echoes what the serial port gets. */
void guest_expect_power(const char *code, const char *code_end, enum axdev_power_event event);
void guest_ring(const struct axdev_doorbell *wanted, const char *code, const char *code_end,
		uint64_t want_count, size_t want_log);
void guest_echo(enum axarch_uart uart, const char *code, const char *code_end);
void guest_start_all(const uint32_t ids[4], const uint32_t *hardware_ids);

uint64_t guest_data(const struct guest *guest,
		    uint64_t offset); /* u64 at GUEST_DATA_GPA + offset */
void guest_set_data(struct guest *guest, uint64_t offset, uint64_t value);
void guest_expect(const struct guest *guest, size_t index, const struct guest_access *want);
void guest_inject(struct guest *guest, uint32_t vector, enum axvcpu_irq_trigger trigger,
		  bool notify_eoi);

#endif
