/*
 * A vCPU for the tests of axvcpu alone: it hands out a list of exits and then sits in a blocking
 * system call, which only the kick's flag and signal together end - as KVM_RUN does.
 */
#ifndef AXVM_TESTS_AXVCPU_FAKE_H
#define AXVM_TESTS_AXVCPU_FAKE_H

#include "../test.h"

#include <axvm/axvcpu.h>

#include <pthread.h>

enum fake_hook {
	FAKE_SETUP = 1,
	FAKE_BIND,
	FAKE_UNBIND,
	FAKE_RUN,
	FAKE_COMPLETE,
	FAKE_INJECT,
	FAKE_REGISTER,
};

struct fake {
	/* What to do; set before the vCPU is used. */
	const struct axvcpu_exit *exits;
	size_t exit_count;
	bool repeat;     /* begin again instead of blocking */
	bool say_halted; /* while it blocks */
	bool is_down;
	enum fake_hook failing;
	bool fail_silently; /* without filling err */

	/* What happened. */
	_Atomic bool immediate_exit, halted, blocking;
	_Atomic uint32_t runs, completes, queued, delivered, destroyed;
	size_t next_exit;
	uint64_t entry, gpr[4], return_value;
	_Atomic pthread_t register_thread; /* who touched registers last */
	_Atomic pthread_t run_thread;
};

/* The owner's side: what on_exit was told and what it answers. */
struct owner {
	_Atomic uint32_t seen[AXVCPU_EXIT_KIND_COUNT];
	_Atomic uint32_t total;
	_Atomic int stop_at; /* stop at the exit of this kind; -1: never */
	enum ax_error_kind last_error;
	int last_errno;
	char last_message[512];
	enum axvcpu_state state_inside;
	void (*inside)(struct owner *owner, struct axvcpu *vcpu, struct axvcpu_exit *exit);
};

extern const struct axvcpu_ops fake_ops;
enum axvcpu_verdict owner_on_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				  struct ax_error *err);
struct axvcpu *fake_vcpu(struct fake *fake, struct owner *owner, uint32_t index);
/* Set up, and started. */
struct axvcpu *fake_started(struct fake *fake, struct owner *owner, bool paused);

uint64_t sum_by_kind(const struct axvcpu_stats *stats);
int count_threads(void);

#endif
