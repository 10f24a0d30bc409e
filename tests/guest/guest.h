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

/* Wait until cond holds, at most two seconds. */
#define WAIT_FOR(cond, ...)                                      \
	do {                                                     \
		uint64_t until_ = ax_clock_ns() + 2000000000ULL; \
		while (!(cond) && ax_clock_ns() < until_)        \
			guest_sleep_ms(1);                       \
		CHECK(cond, __VA_ARGS__);                        \
	} while (0)
void guest_sleep_ms(unsigned ms);

/* ---- payloads ---------------------------------------------------------------------- */

/* GUEST_CODE(name, 64, "assembly") defines name[] .. name_end[]; position-independent. */
#define GUEST_CODE(name, bits, text)                                                      \
	extern const char name[], name##_end[];                                           \
	__asm__(".pushsection .rodata\n\t.balign 64\n\t.code" #bits "\n" #name ":\n" text \
		"\n" #name "_end:\n\t.code64\n\t.popsection\n")

/* Tells the harness that the payload is through, with AL as its word. */
#define GUEST_DONE "\n\tmov $0x7f0, %dx\n\tout %al, %dx\n9:\thlt\n\tjmp 9b\n"
/* EOI and return, RAX saved by the caller of the handler's body. */
#define GUEST_EOI "\n\tmov $0xfee000b0, %eax\n\tmovl $0, (%rax)\n"
/* Software-enable the LAPIC, mask the PIC (lines below 16 reach both), load guest_gate's IDT. */
#define GUEST_IRQ_SETUP                                          \
	"\n\tmov $0xff, %al\n\tout %al, $0x21\n\tout %al, $0xa1" \
	"\n\tmov $0xfee000f0, %eax\n\tmovl $0x1ff, (%rax)\n\tlidt 0x310000\n"

#define GUEST_CODE_GPA 0x100000ULL
#define GUEST_DATA_GPA 0x200000ULL
#define GUEST_IDT_GPA  0x300000ULL /* and its pseudo-descriptor at 0x310000 */

/* ---- the test device: claims these, remembers all, reads give read_value ----------- */

#define GUEST_PORT     0x700ULL      /* 16 ports; 0x7f0 is DONE */
#define GUEST_MMIO_GPA 0xd0200000ULL /* 4 KiB */
#define GUEST_MSR      0x41785600ULL /* two of them; the second faults */
struct guest_access {
	enum axdev_space space;
	uint64_t offset, value;
	uint8_t width;
	bool is_write;
};

struct guest_config {
	unsigned vcpus; /* 0: 1 */
	unsigned bits;  /* 0: 64 */
	enum axarch_irq_mode irq_mode;
	enum axbus_missing_policy missing;
	bool pit, msr_device;
	const uint32_t *hardware_ids;
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
void guest_gate(struct guest *guest, unsigned vector, uint64_t handler_gpa);
void guest_start(struct guest *guest);
/* Until the payload is done or a vCPU ended; stops and joins all. */
void guest_finish(struct guest *guest);
void guest_destroy(struct guest *guest);
/* All of the above for a payload that runs to DONE. */
void guest_run(struct guest *guest, const struct guest_config *config, const char *code,
	       const char *code_end);
#define GUEST_RUN(guest, config, name) guest_run(guest, config, name, name##_end)

uint64_t guest_data(const struct guest *guest,
		    uint64_t offset); /* u64 at GUEST_DATA_GPA + offset */
void guest_set_data(struct guest *guest, uint64_t offset, uint64_t value);
void guest_expect(const struct guest *guest, size_t index, const struct guest_access *want);
void guest_inject(struct guest *guest, uint32_t vector, enum axvcpu_irq_trigger trigger,
		  bool notify_eoi);

#endif
