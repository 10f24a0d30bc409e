/*
 * A VM on the generic fake in one call: configuration words, one script per vCPU, and what the
 * tests ask of it afterwards. Also counts what must not stay behind.
 */
#ifndef AXVM_TESTS_RIG_H
#define AXVM_TESTS_RIG_H

#include "../test.h"

#include "arch/generic/generic.h"

#include <axvm/axvm.h>

#define RIG_MAX_VCPUS 8
#define WORDS(...)    ((const char *const[]){__VA_ARGS__, NULL})

struct rig {
	struct axvm *vm;
	const struct axcfg *config;
	struct axvm_options options;
	struct {
		const struct generic_step *steps;
		size_t count;
	} script[RIG_MAX_VCPUS];
	/* Faults to arm on the fresh architecture VM; 0 ends. */
	struct {
		enum generic_hook hook;
		uint32_t nth;
	} fault[4];
	struct ax_error err; /* of the last call below */
};

/* Words as after `axvm run`; small memory, no serial console and no rng unless they say so. */
void rig_init(struct rig *rig, const char *const *words);
void rig_script(struct rig *rig, uint32_t vcpu, const struct generic_step *steps, size_t count);
#define RIG_SCRIPT(rig, vcpu, ...)                                         \
	do {                                                               \
		static const struct generic_step steps_[] = {__VA_ARGS__}; \
		rig_script((rig), (vcpu), steps_, AX_ARRAY_LEN(steps_));   \
	} while (0)
int rig_create(struct rig *rig);
void rig_boot(struct rig *rig); /* create and start, both must work */
/* Until it stops by itself (a test that hangs fails after 20 s); state and stop info. */
struct axvm_stop_info rig_end(struct rig *rig);
/* Boot, end and destroy; the reason must be this. */
struct axvm_stop_info rig_play(struct rig *rig, enum axvm_stop_reason reason);
void rig_finish(struct rig *rig);
struct axarch_vm *rig_arch(struct rig *rig);
/* What the step's exit was answered. */
struct generic_answer rig_answer(struct rig *rig, uint32_t vcpu, size_t step);

/* Poll `condition` for up to 20 s. */
#define RIG_UNTIL(condition)                                                   \
	do {                                                                   \
		for (int tries_ = 0; !(condition) && tries_ < 20000; tries_++) \
			rig_pause_a_little();                                  \
		if (!(condition))                                              \
			fail_msg("not within 20 s: %s", #condition);           \
	} while (0)
void rig_pause_a_little(void);

/* Steps. */
#define STEP_OUT(p, w, v)                                                                  \
	{                                                                                  \
		.exit = {.kind = AXVCPU_EXIT_IO_WRITE, .io = {.port = (p), .width = (w)}}, \
		.value = (v)                                                               \
	}
#define STEP_IN(p, w)                                                                     \
	{                                                                                 \
		.exit = {.kind = AXVCPU_EXIT_IO_READ, .io = {.port = (p), .width = (w)} } \
	}
#define STEP_OFF                                                                               \
	{                                                                                      \
		.exit = {.kind = AXVCPU_EXIT_SYSTEM_DOWN, .system = {AXVCPU_SYSTEM_POWEROFF} } \
	}
#define STEP_EVENT(e)                                                                \
	{                                                                            \
		.exit = {.kind = AXVCPU_EXIT_SYSTEM_DOWN, .system = {.event = (e)} } \
	}
#define STEP_SPIN                         \
	{                                 \
		.kind = GENERIC_STEP_SPIN \
	}

/* What this process holds; two readings must agree when nothing was left behind. */
struct holdings {
	size_t fds, tasks, maps;
};
/* Group set-up: one VM's life, so that what a process keeps for good is there (TSan: a thread). */
int rig_warm_up(void **state);
void holdings_read(struct holdings *ret);
void holdings_check(const struct holdings *before);

/* A file with these bytes in TMPDIR, removed at exit. */
const char *rig_file(const void *bytes, size_t count);

#endif
