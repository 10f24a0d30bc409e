/*
 * What the files of this layer share: struct axvcpu and the operations of its state machine.
 *
 * state.c owns the table and is the only writer of `state`; vcpu.c owns creation, the moves
 * and statistics, registers.c registers and injection; thread.c owns the thread and its run loop,
 * request.c what other threads ask of it (kick, pause, calls); exit.c owns the names of exits.
 */
#ifndef AXVCPU_INTERNAL_H
#define AXVCPU_INTERNAL_H

#include <axvm/axvcpu.h>

#include <pthread.h>
#include <stdalign.h>

#define LAYER "axvcpu"

/* Everything that may be asked of a vCPU; rows of the table in state.c. */
enum axvcpu_op {
	AXVCPU_OP_SETUP,
	AXVCPU_OP_BIND,
	AXVCPU_OP_UNBIND,
	AXVCPU_OP_RUN,   /* into the guest ... */
	AXVCPU_OP_LEAVE, /* ... and out of it */
	AXVCPU_OP_PARK,
	AXVCPU_OP_UNPARK,
	AXVCPU_OP_FAIL, /* a hook failed */
	/* The rest never change the state; the table says only where they are legal. */
	AXVCPU_OP_START,
	AXVCPU_OP_PAUSE,
	AXVCPU_OP_RESUME,
	AXVCPU_OP_SET_ENTRY,
	AXVCPU_OP_SET_GPR,
	AXVCPU_OP_GET_GPR,
	AXVCPU_OP_SET_RETURN_VALUE,
	AXVCPU_OP_INJECT,
	AXVCPU_OP_COUNT
};

/* What other threads ask of the run loop; bits of `requests`. */
enum axvcpu_request {
	AXVCPU_REQUEST_STOP = 0x1,
	AXVCPU_REQUEST_PAUSE = 0x2,
	AXVCPU_REQUEST_CALL = 0x4,
	AXVCPU_REQUEST_EXPIRE = 0x8,
};

/* One function to be executed on the vCPU's thread; lives on its caller's stack. */
struct axvcpu_pending_call {
	struct axvcpu_pending_call *next;
	axvcpu_call_fn *fn;
	void *arg;
	struct ax_error *err;
	int rc;
	bool done;
};

struct axvcpu {
	/* Read on every turn of the run loop; written by any thread. */
	alignas(AX_CACHE_LINE) _Atomic int state; /* enum axvcpu_state; only axvcpu_move writes */
	_Atomic uint32_t requests;                /* written with `lock` held */

	/* Fixed at creation. */
	alignas(AX_CACHE_LINE) const struct axvcpu_ops *ops;
	void *impl;
	axvcpu_exit_fn *on_exit;
	void *on_exit_ctx;
	uint32_t vm_id, index;
	uint64_t hardware_id;
	struct axvcpu_limits limits;
	int *host_cpus;
	size_t host_cpu_count;
	int policy, priority;

	/* Written only by the thread that runs the vCPU. */
	alignas(AX_CACHE_LINE) struct ax_counter runs;
	struct ax_counter exits, guest_ns, user_ns, first_entry_ns;
	struct ax_counter by_kind[AXVCPU_EXIT_KIND_COUNT];
	uint64_t left_ns;        /* when run() last returned; 0: user time is not being counted */
	struct axvcpu_exit exit; /* of the run loop: outlives it, the answer is taken by the next */
	bool needs_complete;     /* the last exit may have an instruction half done */

	/* Written by any thread. */
	alignas(AX_CACHE_LINE) _Atomic uint64_t kicks;
	_Atomic uint64_t injected;
	_Atomic bool live;      /* the thread exists and has not left its function's last lines */
	_Atomic pthread_t self; /* who may touch it: its thread, or a borrower; 0: nobody */
	_Atomic pid_t tid;
	pthread_mutex_t lock;     /* the members below, writes to `requests`, and live */
	pthread_cond_t changed;   /* any of them changed */
	struct ax_thread *thread; /* from start to join */
	bool parked;
	bool borrowed; /* no thread, but someone's call is being executed */
	struct axvcpu_pending_call *calls, **calls_tail;
};

/* The only writer of vcpu->state. Safe against other threads: of two moves one finds the state
 * the other has left. FAIL never fails. */
int axvcpu_move(struct axvcpu *vcpu, enum axvcpu_op op, struct ax_error *err);
/* Is op legal now? For the operations that leave the state as it is. */
int axvcpu_check(const struct axvcpu *vcpu, enum axvcpu_op op, struct ax_error *err);
/* The error of an illegal move for another reason than the table: `why` completes the sentence. */
int axvcpu_refuse(const struct axvcpu *vcpu, enum axvcpu_op op, const char *why,
		  struct ax_error *err);
static inline enum axvcpu_state axvcpu_raw_state(const struct axvcpu *vcpu)
{
	return (enum axvcpu_state)atomic_load(&vcpu->state);
}

/* A hook of a move returned rc < 0: state INVALID, err completed. Returns rc. */
int axvcpu_hook_failed(struct axvcpu *vcpu, const char *hook, int rc, struct ax_error *err);

/* Is the caller the vCPU's own thread? Does the vCPU belong to a thread that is not the caller? */
bool axvcpu_is_self(const struct axvcpu *vcpu);
bool axvcpu_is_elsewhere(const struct axvcpu *vcpu);

/* With lock held, on the vCPU's thread: execute what is queued (the lock is dropped meanwhile). */
void axvcpu_run_calls(struct axvcpu *vcpu);

#endif
