/*
 * The blocking fake and the recording owner. Checks are made by the tests' own thread only.
 */
#include "fake.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int told_to_fail(const struct fake *fake, enum fake_hook hook, struct ax_error *err)
{
	if (fake->failing != hook)
		return 0;
	if (fake->fail_silently)
		return -EIO;
	return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, EIO, "told to fail");
}

static int setup(void *impl, struct ax_error *err)
{
	return told_to_fail(impl, FAKE_SETUP, err);
}

static int bind(void *impl, struct ax_error *err)
{
	return told_to_fail(impl, FAKE_BIND, err);
}

static int unbind(void *impl, struct ax_error *err)
{
	return told_to_fail(impl, FAKE_UNBIND, err);
}

/* Between the look at the flag and the sleep no signal can slip through: ppoll opens the mask. */
static void block(struct fake *fake)
{
	sigset_t kick_only, old;

	sigemptyset(&kick_only);
	sigaddset(&kick_only, SIGRTMIN + 1);
	pthread_sigmask(SIG_BLOCK, &kick_only, &old);
	if (!atomic_load(&fake->immediate_exit)) {
		atomic_store(&fake->halted, fake->say_halted);
		atomic_store(&fake->blocking, true);
		ppoll(NULL, 0, NULL, &old);
		atomic_store(&fake->blocking, false);
		atomic_store(&fake->halted, false);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int run(void *impl, struct axvcpu_exit *exit, struct ax_error *err)
{
	struct fake *fake = impl;

	atomic_fetch_add(&fake->runs, 1);
	fake->run_thread = pthread_self();
	atomic_fetch_add(&fake->delivered, atomic_exchange(&fake->queued, 0));
	int rc = told_to_fail(fake, FAKE_RUN, err);
	if (rc < 0)
		return rc;
	if (atomic_load(&fake->immediate_exit)) {
		*exit = (struct axvcpu_exit){.kind = AXVCPU_EXIT_EXTERNAL_INTERRUPT};
		return 0;
	}
	if (fake->repeat && fake->next_exit == fake->exit_count)
		fake->next_exit = 0;
	if (fake->next_exit < fake->exit_count) {
		*exit = fake->exits[fake->next_exit++];
		return 0;
	}
	block(fake);
	*exit = (struct axvcpu_exit){.kind = AXVCPU_EXIT_EXTERNAL_INTERRUPT};
	return 0;
}

static void kick(void *impl)
{
	atomic_store(&((struct fake *)impl)->immediate_exit, true);
}

static void clear_kick(void *impl)
{
	atomic_store(&((struct fake *)impl)->immediate_exit, false);
}

static int complete(void *impl, struct ax_error *err)
{
	atomic_fetch_add(&((struct fake *)impl)->completes, 1);
	return told_to_fail(impl, FAKE_COMPLETE, err);
}

static bool halted(void *impl)
{
	return atomic_load(&((struct fake *)impl)->halted);
}

static int online(void *impl, bool *ret_online, struct ax_error *err)
{
	struct fake *fake = impl;

	fake->register_thread = pthread_self();
	*ret_online = !fake->is_down;
	return told_to_fail(fake, FAKE_REGISTER, err);
}

static int inject(void *impl, const struct axvcpu_irq *irq, struct ax_error *err)
{
	(void)irq;
	int rc = told_to_fail(impl, FAKE_INJECT, err);
	if (rc == 0)
		atomic_fetch_add(&((struct fake *)impl)->queued, 1);
	return rc;
}

static int set_entry(void *impl, uint64_t entry, struct ax_error *err)
{
	struct fake *fake = impl;

	fake->register_thread = pthread_self();
	fake->entry = entry;
	return told_to_fail(fake, FAKE_REGISTER, err);
}

static int set_gpr(void *impl, unsigned index, uint64_t value, struct ax_error *err)
{
	struct fake *fake = impl;

	fake->register_thread = pthread_self();
	if (index >= AX_ARRAY_LEN(fake->gpr))
		return ax_error_set(err, AX_ERROR_REGISTER_ACCESS, EINVAL, "no register %u", index);
	fake->gpr[index] = value;
	return told_to_fail(fake, FAKE_REGISTER, err);
}

static int get_gpr(void *impl, unsigned index, uint64_t *ret_value, struct ax_error *err)
{
	struct fake *fake = impl;

	fake->register_thread = pthread_self();
	int rc = told_to_fail(fake, FAKE_REGISTER, err);
	*ret_value = index < AX_ARRAY_LEN(fake->gpr) ? fake->gpr[index] : 0;
	return rc;
}

static int set_return_value(void *impl, uint64_t value, struct ax_error *err)
{
	struct fake *fake = impl;

	fake->register_thread = pthread_self();
	fake->return_value = value;
	return told_to_fail(fake, FAKE_REGISTER, err);
}

static void dump(void *impl, char *buf, size_t buf_size)
{
	struct fake *fake = impl;

	fake->register_thread = pthread_self();
	snprintf(buf, buf_size, "entry %llx", (unsigned long long)fake->entry);
}

static void destroy(void *impl)
{
	atomic_fetch_add(&((struct fake *)impl)->destroyed, 1);
}

const struct axvcpu_ops fake_ops = {
	.setup = setup,
	.bind = bind,
	.unbind = unbind,
	.run = run,
	.kick = kick,
	.clear_kick = clear_kick,
	.complete = complete,
	.halted = halted,
	.online = online,
	.inject = inject,
	.set_entry = set_entry,
	.set_gpr = set_gpr,
	.get_gpr = get_gpr,
	.set_return_value = set_return_value,
	.dump = dump,
	.destroy = destroy,
};

enum axvcpu_verdict owner_on_exit(void *ctx, struct axvcpu *vcpu, struct axvcpu_exit *exit,
				  struct ax_error *err)
{
	struct owner *owner = ctx;

	owner->state_inside = axvcpu_state(vcpu);
	owner->last_error = err->kind;
	owner->last_errno = err->sys_errno;
	if (err->kind)
		memcpy(owner->last_message, err->message, sizeof(owner->last_message));
	if (owner->inside)
		owner->inside(owner, vcpu, exit);
	atomic_fetch_add(&owner->seen[exit->kind], 1);
	atomic_fetch_add(&owner->total, 1);
	return (int)exit->kind == atomic_load(&owner->stop_at) ? AXVCPU_STOP : AXVCPU_CONTINUE;
}

struct axvcpu *fake_vcpu(struct fake *fake, struct owner *owner, uint32_t index)
{
	const struct axvcpu_config config = {
		.vm_id = 7,
		.index = index,
		.hardware_id = 100 + index,
		.ops = &fake_ops,
		.impl = fake,
		.on_exit = owner ? owner_on_exit : NULL,
		.on_exit_ctx = owner,
	};
	struct axvcpu *vcpu = NULL;

	if (owner)
		atomic_store(&owner->stop_at, -1);
	assert_int_equal(axvcpu_create(&config, &vcpu, NULL), 0);
	return vcpu;
}

struct axvcpu *fake_started(struct fake *fake, struct owner *owner, bool paused)
{
	struct axvcpu *vcpu = fake_vcpu(fake, owner, 0);

	assert_int_equal(axvcpu_setup(vcpu, NULL), 0);
	assert_int_equal(axvcpu_start(vcpu, paused, NULL), 0);
	return vcpu;
}

uint64_t sum_by_kind(const struct axvcpu_stats *stats)
{
	uint64_t sum = 0;

	for (size_t kind = 0; kind < AXVCPU_EXIT_KIND_COUNT; kind++)
		sum += stats->by_kind[kind];
	return sum;
}

int count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count - 2; /* . and .. */
}
