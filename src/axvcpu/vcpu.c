/*
 * One vCPU without its thread: creation, the moves an embedder can make by itself, dump and
 * statistics. Registers are in registers.c.
 *
 * Each move is checked against the table first, then the architecture's hook is called, then the
 * state changes; a hook that fails leaves the vCPU INVALID. Setup, bind and unbind of one vCPU are
 * called by one thread at a time; everything a second thread may do is in request.c.
 */
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int check_config(const struct axvcpu_config *config, struct ax_error *err)
{
	const struct axvcpu_ops *ops = config->ops;
	const char *missing = NULL;

	if (!ops)
		missing = "ops";
	else if (!ops->setup || !ops->run || !ops->destroy)
		missing = "one of the hooks setup, run, destroy";
	else if (!ops->kick || !ops->clear_kick || !ops->complete || !ops->inject)
		missing = "one of the hooks kick, clear_kick, complete, inject";
	else if (!ops->set_entry || !ops->set_gpr || !ops->get_gpr || !ops->set_return_value ||
		 !ops->dump)
		missing = "one of the register hooks";
	if (missing)
		return ax_error_set(err, AX_ERROR_VCPU_CREATION, EINVAL,
				    "vCPU %u of VM %u: the architecture gives no %s", config->index,
				    config->vm_id, missing);
	return 0;
}

int axvcpu_create(const struct axvcpu_config *config, struct axvcpu **ret_vcpu,
		  struct ax_error *err)
{
	struct axvcpu *vcpu = NULL;
	void *mem = NULL;
	int *cpus = NULL;

	int rc = check_config(config, err);
	if (rc < 0)
		return rc;
	if (config->host_cpus && config->host_cpu_count) {
		cpus = calloc(config->host_cpu_count, sizeof(*cpus));
		if (!cpus)
			goto no_memory;
		memcpy(cpus, config->host_cpus, config->host_cpu_count * sizeof(*cpus));
	}
	if (posix_memalign(&mem, AX_CACHE_LINE, sizeof(*vcpu)) != 0)
		goto no_memory;
	vcpu = memset(mem, 0, sizeof(*vcpu));
	vcpu->ops = config->ops;
	vcpu->impl = config->impl;
	vcpu->on_exit = config->on_exit;
	vcpu->on_exit_ctx = config->on_exit_ctx;
	vcpu->vm_id = config->vm_id;
	vcpu->index = config->index;
	vcpu->hardware_id = config->hardware_id;
	vcpu->limits = config->limits;
	vcpu->host_cpus = cpus;
	vcpu->policy = config->policy;
	vcpu->priority = config->priority;
	vcpu->host_cpu_count = cpus ? config->host_cpu_count : 0;
	vcpu->calls_tail = &vcpu->calls;
	atomic_init(&vcpu->state, AXVCPU_CREATED);
	pthread_mutex_init(&vcpu->lock, NULL);
	pthread_cond_init(&vcpu->changed, NULL);
	*ret_vcpu = vcpu;
	return 0;
no_memory:
	free(cpus);
	return ax_error_set(err, AX_ERROR_NO_MEMORY, ENOMEM, "no memory for vCPU %u of VM %u",
			    config->index, config->vm_id);
}

void axvcpu_destroy(struct axvcpu *vcpu)
{
	if (!vcpu)
		return;
	axvcpu_request_stop(vcpu);
	axvcpu_join(vcpu);
	vcpu->ops->destroy(vcpu->impl);
	pthread_cond_destroy(&vcpu->changed);
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu->host_cpus);
	free(vcpu);
}

uint32_t axvcpu_index(const struct axvcpu *vcpu)
{
	return vcpu->index;
}

uint64_t axvcpu_hardware_id(const struct axvcpu *vcpu)
{
	return vcpu->hardware_id;
}

bool axvcpu_is_bsp(const struct axvcpu *vcpu)
{
	return vcpu->index == 0;
}

void *axvcpu_impl(const struct axvcpu *vcpu)
{
	return vcpu->impl;
}

enum axvcpu_state axvcpu_state(const struct axvcpu *vcpu)
{
	enum axvcpu_state state = axvcpu_raw_state(vcpu);

	if (state == AXVCPU_RUNNING && vcpu->ops->halted && vcpu->ops->halted(vcpu->impl))
		return AXVCPU_BLOCKED;
	return state;
}

/* ---- moves ----------------------------------------------------------------------------------- */

int axvcpu_hook_failed(struct axvcpu *vcpu, const char *hook, int rc, struct ax_error *err)
{
	axvcpu_move(vcpu, AXVCPU_OP_FAIL, NULL);
	if (err && err->kind == AX_ERROR_NONE)
		ax_error_set(err, AX_ERROR_VCPU_RUNTIME, -rc, "failed: %s", strerror(-rc));
	ax_error_context(err, "vCPU %u of VM %u: %s", vcpu->index, vcpu->vm_id, hook);
	return rc;
}

/* Another thread's vCPU is moved by that thread alone. */
static int check_move(const struct axvcpu *vcpu, enum axvcpu_op op, struct ax_error *err)
{
	int rc = axvcpu_check(vcpu, op, err);

	if (rc < 0)
		return rc;
	if (axvcpu_is_elsewhere(vcpu))
		return axvcpu_refuse(vcpu, op, "it has a thread of its own", err);
	return 0;
}

static int make_move(struct axvcpu *vcpu, enum axvcpu_op op,
		     int (*hook)(void *impl, struct ax_error *err), const char *name,
		     struct ax_error *err)
{
	int rc = check_move(vcpu, op, err);

	if (rc < 0)
		return rc;
	rc = hook ? hook(vcpu->impl, err) : 0;
	if (rc < 0)
		return axvcpu_hook_failed(vcpu, name, rc, err);
	vcpu->left_ns = 0; /* the time until the next run is nobody's */
	return axvcpu_move(vcpu, op, err);
}

int axvcpu_setup(struct axvcpu *vcpu, struct ax_error *err)
{
	return make_move(vcpu, AXVCPU_OP_SETUP, vcpu->ops->setup, "setup", err);
}

int axvcpu_bind(struct axvcpu *vcpu, struct ax_error *err)
{
	return make_move(vcpu, AXVCPU_OP_BIND, vcpu->ops->bind, "bind", err);
}

int axvcpu_unbind(struct axvcpu *vcpu, struct ax_error *err)
{
	return make_move(vcpu, AXVCPU_OP_UNBIND, vcpu->ops->unbind, "unbind", err);
}

static void count_exit(struct axvcpu *vcpu, enum axvcpu_exit_kind kind)
{
	assert((unsigned)kind < AXVCPU_EXIT_KIND_COUNT);
	ax_counter_add(&vcpu->exits, 1);
	ax_counter_add(&vcpu->by_kind[kind], 1);
}

int axvcpu_run(struct axvcpu *vcpu, struct axvcpu_exit *ret_exit, struct ax_error *err)
{
	int rc = check_move(vcpu, AXVCPU_OP_RUN, err);
	if (rc == 0)
		rc = axvcpu_move(vcpu, AXVCPU_OP_RUN, err);
	if (rc < 0)
		return rc;

	uint64_t entered_ns = ax_clock_ns();
	if (vcpu->left_ns)
		ax_counter_add(&vcpu->user_ns, entered_ns - vcpu->left_ns);
	if (!ax_counter_read(&vcpu->first_entry_ns))
		ax_counter_add(&vcpu->first_entry_ns, entered_ns);
	ax_counter_add(&vcpu->runs, 1);

	rc = vcpu->ops->run(vcpu->impl, ret_exit, err);

	vcpu->left_ns = ax_clock_ns();
	ax_counter_add(&vcpu->guest_ns, vcpu->left_ns - entered_ns);
	if (rc < 0) {
		ret_exit->kind = AXVCPU_EXIT_INTERNAL_ERROR;
		count_exit(vcpu, AXVCPU_EXIT_INTERNAL_ERROR);
		return axvcpu_hook_failed(vcpu, "run", rc, err);
	}
	count_exit(vcpu, ret_exit->kind);
	vcpu->needs_complete = ret_exit->kind != AXVCPU_EXIT_EXTERNAL_INTERRUPT;
	/* The kick has had its effect. Only here, not before every entry: a kick that comes with
	 * another exit then costs one more entry that returns at once, and none is ever lost. */
	if (ret_exit->kind == AXVCPU_EXIT_EXTERNAL_INTERRUPT)
		vcpu->ops->clear_kick(vcpu->impl);
	return axvcpu_move(vcpu, AXVCPU_OP_LEAVE, err);
}

/* ---- what it did ----------------------------------------------------------------------------- */

struct dump_target {
	char *buf;
	size_t buf_size;
};

static int dump_here(struct axvcpu *vcpu, void *arg, struct ax_error *err)
{
	struct dump_target *target = arg;

	(void)err;
	vcpu->ops->dump(vcpu->impl, target->buf, target->buf_size);
	return 0;
}

void axvcpu_dump(struct axvcpu *vcpu, char *buf, size_t buf_size)
{
	struct dump_target target = {buf, buf_size};

	if (!buf_size)
		return;
	buf[0] = '\0';
	axvcpu_call(vcpu, dump_here, &target, NULL);
}

void axvcpu_get_stats(const struct axvcpu *vcpu, struct axvcpu_stats *ret_stats)
{
	struct axvcpu_stats stats = {
		.runs = ax_counter_read(&vcpu->runs),
		.exits = ax_counter_read(&vcpu->exits),
		.kicks = atomic_load(&vcpu->kicks),
		.injected = atomic_load(&vcpu->injected),
		.guest_ns = ax_counter_read(&vcpu->guest_ns),
		.user_ns = ax_counter_read(&vcpu->user_ns),
		.first_entry_ns = ax_counter_read(&vcpu->first_entry_ns),
	};

	for (size_t kind = 0; kind < AXVCPU_EXIT_KIND_COUNT; kind++)
		stats.by_kind[kind] = ax_counter_read(&vcpu->by_kind[kind]);
	*ret_stats = stats;
}
