/*
 * axvcpu: one virtual CPU as every architecture sees it - its state machine, its host thread, its
 * run limits, and the portable list of reasons why it leaves the guest. Knows no architecture:
 * registers and modes are behind struct axvcpu_ops.
 *
 *   create -> CREATED --setup--> FREE --bind--> READY --run--> RUNNING --(exit)--> READY ...
 *                                  ^--unbind----'        RUNNING <--halt/park--> BLOCKED
 *   a failing operation -> INVALID;  an illegal move -> AX_ERROR_INVALID_STATE, state unchanged
 *
 * The way of an exit to a device:  vCPU thread: ops->run() fills struct axvcpu_exit
 *   -> config.on_exit() (axvm's exit router) -> axbus_access() -> the device's access hook
 *   -> data goes back in the same struct -> the next ops->run() completes the instruction.
 *
 * Threads: run/bind/unbind happen on the vCPU's own thread once it is started. state, stats,
 * kick, pause/resume, inject and call may be used from any thread.
 */
#ifndef AXVM_AXVCPU_H
#define AXVM_AXVCPU_H

#include <axvm/base.h>

struct axvcpu; /* opaque */

enum axvcpu_state {
	AXVCPU_INVALID = 0,
	AXVCPU_CREATED = 1,
	AXVCPU_FREE = 2,
	AXVCPU_READY = 3,
	AXVCPU_RUNNING = 4,
	AXVCPU_BLOCKED = 5, /* halted in the guest, or parked by pause */
	AXVCPU_STATE_COUNT
};
const char *axvcpu_state_name(enum axvcpu_state state); /* "Running" */

/* ---- why a vCPU left the guest --------------------------------------------------------------- */

enum axvcpu_exit_kind {
	AXVCPU_EXIT_NOTHING = 0, /* nothing for the caller to do: enter again */
	AXVCPU_EXIT_HYPERCALL,
	AXVCPU_EXIT_MMIO_READ,
	AXVCPU_EXIT_MMIO_WRITE,
	AXVCPU_EXIT_SYSREG_READ, /* x86: RDMSR of a filtered MSR */
	AXVCPU_EXIT_SYSREG_WRITE,
	AXVCPU_EXIT_IO_READ,
	AXVCPU_EXIT_IO_WRITE,
	AXVCPU_EXIT_EXTERNAL_INTERRUPT, /* the host wanted the CPU: signal, kick */
	AXVCPU_EXIT_NESTED_PAGE_FAULT,  /* memory fault without an emulable access */
	AXVCPU_EXIT_HALT,
	AXVCPU_EXIT_CPU_UP,
	AXVCPU_EXIT_CPU_DOWN,
	AXVCPU_EXIT_SYSTEM_DOWN, /* power off, reset or crash of the whole machine */
	AXVCPU_EXIT_FAIL_ENTRY,
	AXVCPU_EXIT_SEND_IPI,
	AXVCPU_EXIT_IDLE,
	AXVCPU_EXIT_PREEMPTION_TIMER, /* a run limit's timer fired */
	AXVCPU_EXIT_INTERRUPT_END,    /* EOI of a vector someone asked to hear about */
	AXVCPU_EXIT_INTERNAL_ERROR,   /* the hypervisor below could not go on */
	AXVCPU_EXIT_KIND_COUNT
};
const char *axvcpu_exit_name(enum axvcpu_exit_kind kind); /* "MmioRead" */

enum axvcpu_system_event {
	AXVCPU_SYSTEM_POWEROFF,
	AXVCPU_SYSTEM_RESET,
	AXVCPU_SYSTEM_CRASH,        /* the guest said it panicked */
	AXVCPU_SYSTEM_TRIPLE_FAULT, /* x86 shutdown state */
};

/*
 * One exit. Reads carry `count` items of `width` bytes that the handler fills in `data`; writes
 * carry them filled. `data` points into memory of the vCPU (for a string port access: `count`
 * items in a row), valid until the next run.
 */
struct axvcpu_exit {
	enum axvcpu_exit_kind kind;
	union {
		struct {
			uint64_t nr, args[6];
			uint64_t ret; /* set by the handler */
		} hypercall;
		struct {
			uint64_t gpa;
			uint8_t width; /* 1 to 8: what crosses a page comes in two parts */
			void *data;
		} mmio;
		struct {
			uint16_t port;
			uint8_t width; /* 1, 2, 4 */
			uint32_t count;
			void *data;
		} io;
		struct {
			uint64_t reg; /* MSR number, system register encoding, CSR number */
			uint64_t value;
			bool inject_fault; /* set by the handler: the access faults in the guest */
		} sysreg;
		struct {
			uint64_t gpa;
			uint32_t access; /* AXAS_READ / AXAS_WRITE / AXAS_EXEC bits */
		} fault;
		struct {
			uint64_t vector; /* also INTERRUPT_END */
		} interrupt;
		struct {
			uint64_t target_cpu, entry_point, arg;
		} cpu_up;
		struct {
			uint64_t target_cpu, target_cpu_aux, vector;
			bool to_all, to_self;
		} ipi;
		struct {
			enum axvcpu_system_event event;
			uint64_t detail;
		} system;
		struct {
			uint64_t reason; /* the hardware's or hypervisor's own number */
			uint64_t detail[4];
		} failure;
	};
};

/* ---- what an architecture provides ----------------------------------------------------------- */

enum axvcpu_irq_trigger { AXVCPU_IRQ_EDGE, AXVCPU_IRQ_LEVEL };
struct axvcpu_irq {
	uint32_t vector;
	enum axvcpu_irq_trigger trigger;
	bool notify_eoi; /* report AXVCPU_EXIT_INTERRUPT_END when the guest ends it */
};

/*
 * `impl` is the architecture's own vCPU. All hooks but kick, halted and inject are called with the
 * vCPU stopped between two runs, on its thread once it has one. Each returns 0 or a negative errno
 * with err filled.
 */
struct axvcpu_ops {
	/* Load the start state; the vCPU can run afterwards. */
	int (*setup)(void *impl, struct ax_error *err);
	/* The calling thread becomes (ceases to be) the vCPU's. May be NULL. */
	int (*bind)(void *impl, struct ax_error *err);
	int (*unbind)(void *impl, struct ax_error *err);
	/* Complete the previous exit, enter the guest once, decode the next exit. Returns 0 with
	 * *exit filled (EINTR is AXVCPU_EXIT_EXTERNAL_INTERRUPT), or a negative errno. *exit stays
	 * where it is, with the handler's answer in it, until the next run or complete. */
	int (*run)(void *impl, struct axvcpu_exit *exit, struct ax_error *err);
	/* Any thread: make the current or next run() return at once; clear_kick undoes it. */
	void (*kick)(void *impl);
	void (*clear_kick)(void *impl);
	/* Complete the pending exit without entering the guest (before a pause is visible). */
	int (*complete)(void *impl, struct ax_error *err);
	/* Any thread: is the guest CPU halted (HLT, WFI) or not yet started? May be NULL. */
	bool (*halted)(void *impl);
	/* Is the CPU up, that is started by INIT/SIPI, PSCI or HSM and not ended that way since?
	 * May be NULL: always. */
	int (*online)(void *impl, bool *ret_online, struct ax_error *err);
	/* Any thread, vCPU running, halted or stopped: queue an interrupt. */
	int (*inject)(void *impl, const struct axvcpu_irq *irq, struct ax_error *err);
	int (*set_entry)(void *impl, uint64_t entry, struct ax_error *err);
	int (*set_gpr)(void *impl, unsigned index, uint64_t value, struct ax_error *err);
	int (*get_gpr)(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err);
	/* The register in which a hypercall answers. */
	int (*set_return_value)(void *impl, uint64_t value, struct ax_error *err);
	/* Registers as text for a failure report; always NUL-terminated. */
	void (*dump)(void *impl, char *buf, size_t buf_size);
	void (*destroy)(void *impl);
};

/* ---- one vCPU -------------------------------------------------------------------------------- */

/* What the exit handler wants next. */
enum axvcpu_verdict {
	AXVCPU_CONTINUE, /* enter the guest again */
	AXVCPU_STOP,     /* leave the run loop; the thread ends */
};

/*
 * On the vCPU's thread, after every exit but NOTHING and those the run loop answers itself
 * (kicks, limits). `err` is filled and exit->kind is INTERNAL_ERROR when run() failed outright.
 */
typedef enum axvcpu_verdict axvcpu_exit_fn(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
					   struct ax_error *err);

struct axvcpu_limits {
	uint64_t timeout_ns; /* wall time in the run loop; 0: none. Watched by the owner's timer */
	uint64_t max_exits;  /* since start, those by kicks not counted; 0: none */
};

struct axvcpu_config {
	uint32_t vm_id;
	uint32_t index;       /* 0 is the bootstrap processor */
	uint64_t hardware_id; /* what the guest reads: APIC id, MPIDR, hart id */
	const int *host_cpus; /* affinity of the thread, copied; NULL: not pinned */
	size_t host_cpu_count;
	int policy, priority; /* of the thread, as in struct ax_thread_config */
	struct axvcpu_limits limits;
	const struct axvcpu_ops *ops; /* static */
	void *impl;                   /* owned: destroyed through ops->destroy */
	axvcpu_exit_fn *on_exit;
	void *on_exit_ctx;
};

/* State CREATED. On failure `impl` still belongs to the caller. */
int axvcpu_create(const struct axvcpu_config *config, struct axvcpu **ret_vcpu,
		  struct ax_error *err) AX_MUST_CHECK;
/* Stops and joins the thread if there is one. NULL is fine. */
void axvcpu_destroy(struct axvcpu *vcpu);

uint32_t axvcpu_index(const struct axvcpu *vcpu);
uint64_t axvcpu_hardware_id(const struct axvcpu *vcpu);
bool axvcpu_is_bsp(const struct axvcpu *vcpu);
void *axvcpu_impl(const struct axvcpu *vcpu);
/* Never blocks; RUNNING is reported as BLOCKED while ops->halted says so. */
enum axvcpu_state axvcpu_state(const struct axvcpu *vcpu);

/* Has the guest brought this CPU up (and not down again)? Asked between two runs: a running vCPU is
 * kicked, and the call waits for it as axvcpu_call does. From FREE on. */
int axvcpu_online(struct axvcpu *vcpu, bool *ret_online, struct ax_error *err);

/* The moves, for embedders that bring their own thread. Wrong source state: -EBADFD with
 * AX_ERROR_INVALID_STATE naming state and operation, nothing changed. A hook that fails: INVALID.
 */
int axvcpu_setup(struct axvcpu *vcpu, struct ax_error *err);
int axvcpu_bind(struct axvcpu *vcpu, struct ax_error *err);
int axvcpu_unbind(struct axvcpu *vcpu, struct ax_error *err);
/* One entry. READY -> RUNNING -> READY. The handler's answer is read from *ret_exit when the vCPU
 * is entered or completed next, so it stays there until then. A failing run() makes it
 * INTERNAL_ERROR. */
int axvcpu_run(struct axvcpu *vcpu, struct axvcpu_exit *ret_exit, struct ax_error *err);

/* Registers: legal in FREE and READY, and in BLOCKED by pause (executed on the vCPU's thread). */
int axvcpu_set_entry(struct axvcpu *vcpu, uint64_t entry, struct ax_error *err);
int axvcpu_set_gpr(struct axvcpu *vcpu, unsigned index, uint64_t value, struct ax_error *err);
int axvcpu_get_gpr(struct axvcpu *vcpu, unsigned index, uint64_t *ret_value, struct ax_error *err);
int axvcpu_set_return_value(struct axvcpu *vcpu, uint64_t value, struct ax_error *err);
/* Legal from FREE on. Before the vCPU runs the interrupt is queued and delivered when it does. */
int axvcpu_inject(struct axvcpu *vcpu, const struct axvcpu_irq *irq, struct ax_error *err);
void axvcpu_dump(struct axvcpu *vcpu, char *buf, size_t buf_size);

/* ---- its thread ------------------------------------------------------------------------------ */

/* Start thread "vcpu N" (pinned as configured): bind, then run until told otherwise. When
 * `paused`, it parks before the first entry. From FREE. */
int axvcpu_start(struct axvcpu *vcpu, bool paused, struct ax_error *err);
/* Ask the thread to leave the run loop (any thread, returns at once); then join it. */
void axvcpu_request_stop(struct axvcpu *vcpu);
void axvcpu_join(struct axvcpu *vcpu);
/* Park: returns once the vCPU stands outside the guest, BLOCKED, with its last exit completed.
 * Not from the vCPU's own thread. Resume lets it run again. Both are idempotent. */
int axvcpu_pause(struct axvcpu *vcpu, struct ax_error *err);
int axvcpu_resume(struct axvcpu *vcpu, struct ax_error *err);
/* Request without waiting, so that many vCPUs stop in parallel; axvcpu_pause then waits. */
void axvcpu_request_pause(struct axvcpu *vcpu);
/* Leave the guest once (work is waiting); the run loop goes on by itself. The thread of an embedder
 * that calls axvcpu_run is not signalled: only ops->kick is called, the signal is its own. */
void axvcpu_kick(struct axvcpu *vcpu);
/* Execute fn between two runs, on the vCPU's thread if it has one (it is kicked; while paused it
 * need not move), otherwise right here; returns what fn returned. Unless the vCPU is paused its
 * last exit may not be completed yet. Not while holding a lock that on_exit takes. */
typedef int axvcpu_call_fn(struct axvcpu *vcpu, void *arg, struct ax_error *err);
int axvcpu_call(struct axvcpu *vcpu, axvcpu_call_fn *fn, void *arg, struct ax_error *err);
/* The owner's timer says timeout_ns has passed: the loop ends with AXVCPU_EXIT_PREEMPTION_TIMER
 * and AX_ERROR_TIMEOUT through on_exit. max_exits ends the same way with AX_ERROR_MAX_ITERATIONS.
 */
void axvcpu_expire(struct axvcpu *vcpu);
pid_t axvcpu_tid(const struct axvcpu *vcpu); /* 0 while it has no thread */

/* ---- what it did ----------------------------------------------------------------------------- */

struct axvcpu_stats {
	uint64_t runs;                            /* entries into the guest */
	uint64_t exits;                           /* exits that reached userspace, each once */
	uint64_t by_kind[AXVCPU_EXIT_KIND_COUNT]; /* sums to exits */
	uint64_t kicks;
	uint64_t injected;
	uint64_t guest_ns;       /* time inside run() */
	uint64_t user_ns;        /* time between two runs, parked time excluded */
	uint64_t first_entry_ns; /* ax_clock_ns of the first entry; 0 before it */
};
/* Any thread, no lock; values of one moment only when the vCPU is not running. */
void axvcpu_get_stats(const struct axvcpu *vcpu, struct axvcpu_stats *ret_stats);

#endif
